"""Find the catalog's schemes, from nothing: `python benchmarks/build_catalog.py [FORMAT...]`.

For every format a search (`grokkit.search.find_scheme`) collects schemes of the wanted rank, walks towards fewer
additions make the ternary ones cheaper, and two are kept: the one with the fewest additions and, where it is another,
the one with the least growth. Searches are counted in rounds, so they come out alike on any machine. Files and the
table of figures go to src/grokkit/scheme/data/catalog; hours on two cores for all.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from grokkit import _native
from grokkit.scheme import (
    MatrixProduct,
    Provenance,
    Scheme,
    construct,
    frobenius_growth,
    growth_factor,
    load,
    reduce_additions,
    save,
    verify,
)
from grokkit.search import cheapen, find_scheme

FOLDER = Path(__file__).resolve().parent.parent / "src" / "grokkit" / "scheme" / "data" / "catalog"
COLUMNS: Sequence[str] = ("name", "format", "rank", "ring", "ternary", "additions", "growth", "frobenius", "digest")
WANTED = {
    # format: (rank, ring of the search, seeds, rounds of each search at most)
    "2x2x2": (7, "ternary", 2, 50),
    "2x2x3": (11, "ternary", 4, 200),
    "2x2x4": (14, "ternary", 4, 200),
    "2x2x5": (18, "ternary", 4, 200),
    "2x3x3": (15, "ternary", 8, 200),
    "2x3x4": (20, "ternary", 6, 400),
    "2x3x5": (25, "ternary", 2, 600),
    "2x4x4": (26, "ternary", 2, 600),
    "2x4x5": (33, "Z", 1, 600),
    "2x5x5": (40, "Z", 1, 800),
    "3x3x3": (23, "ternary", 8, 400),
    "3x3x4": (29, "ternary", 2, 800),
    "3x3x5": (36, "ternary", 1, 800),
    "3x4x4": (38, "ternary", 1, 1500),
    "3x4x5": (47, "Z", 1, 3000),
    "4x4x4": (49, "ternary", 2, 400),
    "3x5x5": (58, "Z", 1, 4000),
}
MAPS = {
    # target: (rank, ring), ...
    "complex": ((3, "ternary"),),
    "quaternion": ((8, "ternary"),),
    "poly:2": ((3, "ternary"),),
    "poly:3": ((6, "ternary"), (5, "Q")),
    "poly:4": ((9, "ternary"), (7, "Q")),
    "toeplitz:2": ((3, "ternary"),),
    "toeplitz:3": ((6, "ternary"), (5, "Q")),
    "cyclic:3": ((4, "Q"),),
    "cyclic:4": ((5, "Q"),),
    "cyclic:6": ((8, "Q"),),
}
SYMMETRIC = {"3x3x3": False}
"""Whether searches keep to schemes with cyclic symmetry, where it is not both in turn; with it 3x3x3 stays at 62 additions."""
CHEAPEN = {"4x4x4": 20}
"""Rounds of walks towards fewer additions, where they are not 60."""
WANT = 40
WANT_OF_LARGE = 12
"""Schemes of the wanted rank that each search collects: of formats with less than 30 products, and of larger ones."""


def collected(form: str, rank: int, ring: str, seeds: Iterable[int], rounds: int) -> list[Scheme]:
    found = []
    for seed in seeds:
        result = find_scheme(
            form,
            rank,
            ring,
            seed=seed,
            rounds=rounds,
            want=WANT if math.prod(MatrixProduct.parse(form).format) < 30 else WANT_OF_LARGE,
            budget=1e6,
            workers=2,
            symmetric=SYMMETRIC.get(form),
        )
        good = [scheme for scheme in result.schemes if scheme.rank <= rank]
        print(f"{form} seed {seed}: {len(good)} of rank {result.rank}, {result.cpu_seconds:.0f} s", flush=True)
        found += good
    return found


def measure(name: str, scheme: Scheme) -> dict[str, str]:
    target = scheme.target
    return {
        "name": name,
        "format": "x".join(map(str, target.format)) if isinstance(target, MatrixProduct) else target.name[1:-1],
        "rank": str(scheme.rank),
        "ring": str(scheme.ring),
        "ternary": str(scheme.ternary).lower(),
        "additions": str(reduce_additions(scheme, tries=200).additions),
        "growth": str(growth_factor(scheme)),
        "frobenius": f"{frobenius_growth(scheme):.4f}",
        "digest": scheme.digest,
    }


def build(form: str, only: int | None) -> None:
    rank, ring, seeds, rounds = WANTED[form]
    started = time.process_time()
    command = f"python benchmarks/build_catalog.py {form}" + (f" --seed {only}" if only is not None else "")
    found = collected(form, rank, ring, range(seeds) if only is None else [only], rounds)
    if not found:
        print(f"{form}: nothing of rank {rank} was found", flush=True)
        return
    # what takes fewest additions by a few tries, then by walks
    by_additions = sorted(found, key=lambda scheme: reduce_additions(scheme, tries=3).additions)
    ternary = [scheme for scheme in by_additions if scheme.ternary]
    candidates = by_additions[: 12 if rank < 40 else 2]
    if ternary:
        cheap = cheapen(ternary[:40], seed=only or 0, rounds=CHEAPEN.get(form, 60), threads=2)
        print(f"{form} walks: {reduce_additions(cheap).additions} additions", flush=True)
        candidates.append(cheap)
    cheapest = min(candidates, key=lambda scheme: (reduce_additions(scheme).additions, growth_factor(scheme)))
    calmest = min(
        [*found, *candidates], key=lambda scheme: (growth_factor(scheme), reduce_additions(scheme, tries=20).additions)
    )
    keep(form, "", cheapest, command)
    if growth_factor(calmest) < growth_factor(cheapest):
        keep(form, "-growth", calmest, command)
    print(f"{form}: {time.process_time() - started:.0f} s of this process", flush=True)


def build_map(name: str) -> None:
    """Of some schemes for a target that is no matrix product, the one with the fewest additions, then least growth."""
    for rank, ring in MAPS[name]:
        result = find_scheme(name, rank, ring, seed=0, rounds=400, want=8, budget=1e6, workers=2)
        found = [scheme for scheme in result.schemes if scheme.rank == rank]
        if not found:
            print(f"{name}: nothing of rank {rank} was found", flush=True)
            continue
        best = min(found, key=lambda scheme: (reduce_additions(scheme).additions, growth_factor(scheme)))
        keep(name.replace(":", "-"), "", best, f"python benchmarks/build_catalog.py {name}")


def keep(form: str, suffix: str, scheme: Scheme, command: str) -> None:
    """Write a scheme, unless the one there has as few additions (or as little growth)."""
    name = f"{form}-{scheme.rank}{suffix}"
    path = FOLDER / f"{name}.json"
    if path.exists():
        old = load(path)
        worse = growth_factor(scheme) >= growth_factor(old)
        if not suffix:
            worse = reduce_additions(scheme).additions >= reduce_additions(old).additions
        if worse:
            print(f"{name}: what is there is as good", flush=True)
            return
    origin = scheme.provenance
    configuration = dict(origin.configuration) | {"command": command}
    scheme = scheme.with_provenance(Provenance(origin.method, origin.seed, configuration, origin.version))
    save(scheme, path, verify(scheme))
    print(f"{name}: {measure(name, scheme)}", flush=True)


def write_table() -> None:
    schemes = [(path.stem, load(path)) for path in FOLDER.glob("*.json")]
    schemes.sort(key=lambda x: (not isinstance(x[1].target, MatrixProduct), x[1].target.nonzeros, x[0]))
    rows = [measure(name, scheme) for name, scheme in schemes]
    with (FOLDER / "catalog.csv").open("w", encoding="ascii", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_speeds(measured: Path) -> None:
    """The speeds of `grokkit bench schemes --json`, as the catalog holds them."""
    content = json.loads(measured.read_text(encoding="utf-8"))
    first = content["rows"][0]
    where = f"{first['dtype']}, {first['threads']} thread, {platform.machine()}, native core {_native.status()}"
    lines = [
        f"# Time of the classical product over that of one fused level: {where}.",
        "name,speed,low,high,rounds,shape",
    ]
    for row in content["rows"]:
        speed, shape = row["speed"], "x".join(map(str, row["shape"]))
        lines.append(f"{row['name']},{speed['value']:.4f},{speed['low']:.4f},{speed['high']:.4f},{speed['n']},{shape}")
    (FOLDER / "speeds.csv").write_text("\n".join(lines) + "\n", encoding="ascii")


def build_by_construction(form: str) -> None:
    """The cheapest construction from the catalog, where no search has reached its rank."""
    schemes = [load(path) for path in sorted(FOLDER.glob("*.json"))]
    matrices = [scheme for scheme in schemes if isinstance(scheme.target, MatrixProduct)]
    scheme = construct(form, matrices).build()
    keep(form, "", scheme, f"python benchmarks/build_catalog.py --construct {form}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "formats", nargs="*", metavar="FORMAT", help=f"of {', '.join([*WANTED, *MAPS])}; all by default"
    )
    parser.add_argument("--seed", type=int, help="the search of this seed only; 3x3x3 needs 4 for its 58 additions")
    parser.add_argument("--construct", action="append", default=[], metavar="FORMAT", help="build one from the others")
    parser.add_argument("--table", action="store_true", help="only write the table of figures")
    parser.add_argument("--speeds", type=Path, metavar="FILE", help="take in what grokkit bench schemes --json printed")
    arguments = parser.parse_args()
    if arguments.speeds is not None:
        write_speeds(arguments.speeds)
        return
    known = {**WANTED, **MAPS}
    unknown = [form for form in arguments.formats if form not in known]
    if unknown:
        sys.exit(f"build_catalog: unknown format {unknown[0]}; use {', '.join(known)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not arguments.table and not (arguments.construct and not arguments.formats):
        for form in arguments.formats or known:
            if form in WANTED:
                build(form, arguments.seed)
            else:
                build_map(form)
    for form in arguments.construct:
        build_by_construction(form)
    write_table()


if __name__ == "__main__":
    main()
