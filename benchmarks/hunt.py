"""Hunt for schemes that nobody has: `python benchmarks/hunt.py --out DIR --budget 8h [--turn 2min] [FORMAT...]`.

For every format up to 6x6x6 (and 2 x m x p up to 8) and every ring, a search wants one product less than the lowest
rank on record; where none is on record, one less than the cheapest construction from the catalog. Searches take turns, those
with the least time first, and go on from where they were: stop the campaign at any moment and start it again with the same
DIR. What undercuts the record is proven three times (exact tensor equations, the independent verifier, products of
random integer matrices), kept, and announced. The table at the end says how near each search came.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grokkit.scheme import InvalidInput, MatrixProduct, Scheme, best_known, plans, save, verify, verify_standalone
from grokkit.scheme.catalog import catalog
from grokkit.search import find_scheme, lower_bound, open_search

RINGS = ("ternary", "Z", "Q", "GF(2)")
LARGEST, LARGEST_OF_FLAT = 6, 8
SECONDS = {"s": 1, "min": 60, "h": 3600}


@dataclass(frozen=True)
class Quarry:
    """One search of the campaign."""

    form: str
    ring: str
    known: int
    """The rank to undercut."""
    source: str
    """``record`` or ``construction``."""
    folder: Path

    @property
    def spent(self) -> float:
        """CPU seconds so far."""
        return open_search(self.folder).cpu_seconds if (self.folder / "search.npz").is_file() else 0.0


def formats() -> Iterator[tuple[int, int, int]]:
    for n in range(2, LARGEST + 1):
        for m in range(n, LARGEST_OF_FLAT + 1):
            for p in range(m, LARGEST_OF_FLAT + 1):
                if p <= LARGEST or n == 2:
                    yield n, m, p


def quarries(out: Path, only: list[str]) -> list[Quarry]:
    ours = [scheme for scheme in catalog.schemes() if isinstance(scheme.target, MatrixProduct)]
    built = {ring: plans(ours, ring, LARGEST_OF_FLAT) for ring in RINGS}
    wanted = []
    for form in formats():
        name = "x".join(map(str, form))
        if only and name not in only:
            continue
        record = best_known(form)
        for ring in RINGS:
            constructed = built[ring][form].rank
            known = min(record.get(ring, constructed), constructed)
            if known - 1 < lower_bound(MatrixProduct(*form), ring)[0]:
                continue  # it cannot be undercut
            folder = out / f"{name}-{re.sub('[()]', '', ring)}"
            wanted.append(Quarry(name, ring, known, "record" if ring in record else "construction", folder))
    return wanted


def proven_three_times(scheme: Scheme, folder: Path) -> Path:
    """Write a discovery after three proofs that share no code; raises if any fails."""
    path = folder / f"discovery-{scheme.name.strip('<>').replace(',', 'x').replace(';', '-')}.json"
    save(scheme, path, verify(scheme))
    code, lines = verify_standalone.check(path)
    assert code == 0, lines
    n, m, p = scheme.target.format  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    modulus = scheme.ring.characteristic
    u, v, w = (np.array(x, dtype=object) for x in (scheme.U, scheme.V, scheme.W))
    for _ in range(20):
        a, b = (rng.integers(-99, 100, shape).astype(object) for shape in ((n, m), (m, p)))
        found = w @ ((u @ a.reshape(-1)) * (v @ b.reshape(-1)))
        difference = found - math.prod(scheme.denominators) * (a @ b).reshape(-1)
        assert not (difference % modulus if modulus else difference).any(), "products of matrices disagree"
    return path


def turn(quarry: Quarry, seconds: float, workers: int, seed: int) -> Scheme | None:
    """Go on with one search. The scheme that undercuts the record, if this turn found one."""
    result = find_scheme(
        quarry.form, quarry.known - 1, quarry.ring, budget=seconds, workers=workers, seed=seed, out=quarry.folder
    )
    if not result.complete:
        raise KeyboardInterrupt
    return result.scheme if result.found else None


def seconds_of(text: str) -> float:
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h)", text)
    if parts is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 90s, 10min or 8h")
    return float(parts[1]) * SECONDS[parts[2]]


def report(hunted: list[Quarry]) -> None:
    print("| format | ring | known | reached | CPU seconds | flips |\n|---|---|---|---|---|---|")
    for each in hunted:
        if not (each.folder / "search.npz").is_file():
            continue
        record = open_search(each.folder)
        flips = sum(walks.tried for walks in record.walks)
        mark = f" **below the {each.source}**" if record.rank < each.known else ""
        print(
            f"| {each.form} | {each.ring} | {each.known} ({each.source}) | {record.rank}{mark} "
            f"| {record.cpu_seconds:.0f} | {flips / 1e6:.0f} million |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help="only these, such as 4x5x5")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the searches live")
    parser.add_argument("--budget", type=seconds_of, default=3600.0, metavar="TIME", help="wall-clock time [1h]")
    parser.add_argument("--turn", type=seconds_of, default=60.0, metavar="TIME", help="of one search at a time [1min]")
    parser.add_argument("--ring", choices=RINGS, help="only this one")
    parser.add_argument("--workers", type=int, default=1, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    given = parser.parse_args()
    try:
        hunted = [each for each in quarries(given.out, given.formats) if given.ring in (None, each.ring)]
        if not hunted:
            sys.exit("hunt: none of these formats can be undercut or is in range")
        spent = {each: each.spent for each in hunted}
        ends = time.monotonic() + given.budget
        while time.monotonic() < ends:
            now = min(hunted, key=spent.__getitem__)
            found = turn(now, min(given.turn, max(1.0, ends - time.monotonic())), given.workers, given.seed)
            if found is not None:
                path = proven_three_times(found, now.folder)
                print(
                    f"\a{found.name} over {now.ring}: BELOW THE {now.source.upper()} OF {now.known}; {path}", flush=True
                )
                hunted.remove(now)  # hunted further by the next campaign, one lower
                spent.pop(now)
                continue
            spent[now] = now.spent + 1e-9
            print(
                f"{now.form} {now.ring}: {open_search(now.folder).rank}, known {now.known}", file=sys.stderr, flush=True
            )
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
    except InvalidInput as error:
        sys.exit(f"hunt: {error}")
    report(quarries(given.out, given.formats))


if __name__ == "__main__":
    main()
