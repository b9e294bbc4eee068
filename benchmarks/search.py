"""How often searches succeed, and in what time: `python benchmarks/search.py [rates|numeric|lifting|flips]
[--runs N] [--only FORMAT...]`.

rates    independent searches for every format, each within a budget of processor time: found, proven by the independent
         verifier, and the time to that, its median by Kaplan and Meier where searches were cut off
numeric  independent starts from random weights: how many come through each stage, and the time of a proven scheme
lifting  how liftings of schemes over GF(2) end, by format
flips    flips a second on one core, by format and ring
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from statsmodels.duration.survfunc import SurvfuncRight

from grokkit.scheme import MatrixProduct, dumps, parse_target, verify, verify_standalone
from grokkit.search import FlipSearch, NumericSearch, NumericSettings, find_scheme, lift
from grokkit.search._packed import RINGS, standard_packed, to_scheme
from grokkit.search._walk import walk
from grokkit.search._work import in_threads
from grokkit.studies import Proportion

GOALS = (
    # format, rank, ring, budget in seconds of processor time
    ("2x2x2", 7, "ternary", 30),
    ("2x2x3", 11, "ternary", 30),
    ("2x2x4", 14, "ternary", 30),
    ("2x2x5", 18, "ternary", 30),
    ("2x3x3", 15, "ternary", 30),
    ("2x3x4", 20, "ternary", 30),
    ("2x3x5", 25, "Z", 60),
    ("2x4x4", 26, "Z", 60),
    ("2x4x5", 33, "Z", 60),
    ("3x3x3", 23, "ternary", 30),
    ("3x3x4", 29, "Z", 60),
    ("3x3x5", 36, "Z", 60),
    ("3x4x4", 38, "Z", 60),
    ("4x4x4", 49, "ternary", 60),
    ("4x4x4", 47, "GF(2)", 60),
    ("2x5x5", 40, "Z", 60),
    ("3x4x5", 47, "Z", 100),
)


NUMERIC = (
    # target, rank, ring that ends the attempts
    ("2x2x2", 7, "ternary"),
    ("2x2x3", 11, "ternary"),
    ("2x2x4", 14, "ternary"),
    ("2x2x5", 18, "ternary"),
    ("2x3x3", 15, "ternary"),
    ("2x3x4", 20, "ternary"),
    ("3x3x3", 23, "Q"),
    ("3x3x3", 23, "ternary"),
    ("complex", 3, "ternary"),
    ("poly:2", 3, "ternary"),
    ("poly:3", 5, "Q"),
    ("poly:4", 7, "Q"),
    ("toeplitz:3", 5, "Q"),
    ("cyclic:3", 4, "Q"),
    ("cyclic:4", 5, "Q"),
    ("cyclic:5", 8, "Q"),
    ("cyclic:6", 8, "Q"),
    ("quaternion", 8, "Q"),
    ("3x3x4", 29, "Q"),
)


def independently_proven(scheme) -> bool:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scheme.json"
        path.write_text(dumps(scheme), encoding="utf-8")
        return verify_standalone.check(path)[0] == 0


def rates(runs: int, only: Sequence[str] = ()) -> None:
    print(f"Seeds 0 to {runs - 1}, independent searches from the standard algorithm, one thread each; CPU seconds.\n")
    print("| format | rank | ring | found [95 % Wilson] | median time | 10 % and 90 % | flips to it, median | budget |")
    print("|---|---|---|---|---|---|---|---|")
    for form, rank, ring, budget in GOALS:
        if only and f"{form}:{rank}" not in only:
            continue
        times, found, flips = [], [], []
        for seed in range(runs):
            started = time.process_time()

            def stop(result, started=started, budget=budget):
                if time.process_time() - started > budget:
                    raise KeyboardInterrupt

            result = find_scheme(form, rank, ring, seed=seed, budget=1e6, progress=stop)
            times.append(min(time.process_time() - started, budget))
            found.append(result.found and times[-1] < budget)
            if found[-1]:
                assert independently_proven(result.scheme)
                flips.append(result.tried)
        survival = SurvfuncRight(np.array(times), np.array(found, dtype=int))
        low, middle, high = (survival.quantile(share) for share in (0.1, 0.5, 0.9))
        share = Proportion(sum(found), runs)
        shown = [f"{x:.2f}" if np.isfinite(x) else f"> {budget}" for x in (middle, low, high)]
        tried = f"{np.median(flips) / 1e6:.1f} million" if flips else ""
        print(
            f"| {form} | {rank} | {ring} | {share} | {shown[0]} s | {shown[1]}, {shown[2]} | {tried} | {budget} s |",
            flush=True,
        )


def numeric(runs: int) -> None:
    print(f"Starts 0 to {runs - 1} of seed 0, independent of each other, from Gaussian weights; CPU seconds.")
    print("Converged: the equations hold in float64. Thinned: sparse, with exact zeros. Exact: rational and proven.\n")
    print(
        "| target | rank | wanted | converged | thinned | exact [95 % Wilson] | ternary | over Z | seconds a start | an exact one |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, rank, ring in NUMERIC:
        search = NumericSearch(parse_target(name), rank, ring, 0, NumericSettings(starts=1))
        for _ in range(runs):
            for scheme in search.round(in_threads(1)):
                assert independently_proven(scheme)
        stages, seconds = search.counts.stages, search.counts.seconds
        exact = sum(stages[kind] for kind in ("ternary", "Z", "Q"))
        thinned = exact + stages["pin"]
        converged = runs - stages["anneal"]
        each = f"{seconds / exact:.2f}" if exact else "none"
        integral = stages["ternary"] + stages["Z"]
        print(
            f"| {name} | {rank} | {ring} | {converged} | {thinned} | {Proportion(exact, runs)} | {stages['ternary']} "
            f"| {integral} | {seconds / runs:.2f} | {each} |",
            flush=True,
        )


def lifting(runs: int) -> None:
    print("Schemes over GF(2) from as many ladders, the first of each; at most 5 orders of pivots a scheme.\n")
    print("| format | rank | walks | schemes | ternary | Z | Q | obstructed | stuck | algebraic | seconds a scheme |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    cases = [
        ("2x3x3", 15, False),
        ("2x4x4", 26, False),
        ("3x3x3", 23, False),
        ("3x3x3", 23, True),
        ("3x3x4", 29, False),
    ]
    cases += [("3x4x4", 38, False), ("4x4x4", 49, True), ("4x4x4", 49, False)]
    for form, rank, symmetric in cases:
        outcomes: Counter[str] = Counter()
        seconds = 0.0
        for seed in range(runs):
            search = FlipSearch(MatrixProduct.parse(form), "GF(2)", seed, goal=rank, symmetric=symmetric)
            found = []
            while search.counts.rounds < 300 and (search.best is None or search.best > rank):
                found = search.round(in_threads(1))
            if search.best == rank:
                scheme = to_scheme(found[0], search.target, "GF(2)")
                verify(scheme)
                started = time.process_time()
                outcomes[lift(scheme, tries=5).outcome] += 1
                seconds += time.process_time() - started
        cells = [str(outcomes[kind]) for kind in ("ternary", "Z", "Q", "obstructed", "stuck", "algebraic")]
        total = outcomes.total()
        kind = "symmetric" if symmetric else "ladder"
        print(
            f"| {form} | {rank} | {kind} | {total} | {' | '.join(cells)} | {seconds / max(1, total):.2f} |", flush=True
        )


def flips(runs: int) -> None:
    print(
        f"Million flips tried a second on one core, from the standard algorithm, {runs} turns: median (lowest, highest).\n"
    )
    print("| format | " + " | ".join(RINGS) + " | GF(2), symmetric |")
    print("|---|---|---|---|---|")
    from grokkit.search._symmetric import symmetric_start

    rng = np.random.default_rng(0)
    for n in (2, 3, 4, 5, 6, 8):
        target = MatrixProduct(n, n, n)
        cells = []
        for ring, symmetric in [*((ring, False) for ring in RINGS), ("GF(2)", True)]:
            start = symmetric_start(n, ring, 1, rng)[1] if symmetric else standard_packed(target)
            speeds = []
            for _ in range(runs):
                random = rng.integers(0, 2**64, 1, dtype=np.uint64)
                started = time.process_time()
                options = {
                    "entries": n * n,
                    "steps": 2_000_000,
                    "symmetric": symmetric,
                    "headroom": 4 if symmetric else 2,
                }
                found = walk([start], random, np.array([5000]), ring=ring, **options)
                speeds.append(found.tried[0] / (time.process_time() - started) / 1e6)
            cells.append(f"{np.median(speeds):.1f} ({min(speeds):.1f}, {max(speeds):.1f})")
        print(f"| {n}x{n}x{n} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rates", "numeric", "lifting", "flips"))
    parser.add_argument(
        "--runs", type=int, default=0, metavar="N", help="searches of each kind [rates, numeric, lifting: 20; flips: 5]"
    )
    goals = [f"{form}:{rank}" for form, rank, _, _ in GOALS]
    parser.add_argument("--only", nargs="+", default=[], choices=goals, metavar="GOAL", help="of rates, like 4x4x4:47")
    arguments = parser.parse_args()
    if arguments.runs < 0:
        sys.exit("benchmarks/search.py: --runs must not be negative")
    tables = {"rates": partial(rates, only=arguments.only), "numeric": numeric, "lifting": lifting, "flips": flips}
    tables[arguments.what](arguments.runs or (5 if arguments.what == "flips" else 20))


if __name__ == "__main__":
    main()
