"""Time and memory of exact proof: powers of Strassen's algorithm, dense bases, large integers.

Every proof is asserted against a second one: a changed coefficient must be refuted.

    python benchmarks/proof.py [--rounds 7] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from grokkit.scheme import Refuted, Scheme, expand, sandwiched, verify
from grokkit.scheme.catalog import catalog, standard
from grokkit.studies import Median


def dense() -> Scheme:
    """<4,4,4;49> in a basis without zeros."""
    rng = np.random.default_rng(0)
    gauge = []
    for _ in range(3):
        lower = np.tril(rng.integers(1, 3, (4, 4)), -1) + np.eye(4, dtype=int)
        gauge.append((lower @ lower.T).tolist())
    return sandwiched(expand(catalog["strassen"], 2), *gauge)


CASES: dict[str, Callable[[], Scheme]] = {
    "<2,2,2;7>": lambda: catalog["strassen"],
    "<4,4,4;49>": lambda: expand(catalog["strassen"], 2),
    "<4,4,4;49> in a dense rational basis": dense,
    "<5,5,5;125>": lambda: standard(5, 5, 5),
    "<8,8,8;343>": lambda: expand(catalog["winograd"], 3),
    "<16,16,16;2401>": lambda: expand(catalog["strassen"], 4),
}


def measure(name: str, rounds: int) -> dict[str, Any]:
    scheme = CASES[name]()
    w = np.array(scheme.W)
    w[-1, -1] += 1
    try:
        verify(Scheme(scheme.target, scheme.U, scheme.V, w, scheme.denominators))
    except Refuted:
        pass
    else:
        raise AssertionError("a wrong scheme was certified")
    seconds = []
    certificate = verify(scheme)
    for _ in range(rounds):
        fresh = Scheme(scheme.target, scheme.U, scheme.V, scheme.W, scheme.denominators)
        started = time.perf_counter()
        verify(fresh)
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "scheme": name,
        "equations": certificate.equations,
        "seconds": Median.of(seconds).to_json(),
        "peak_mib": peak,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [measure(name, arguments.rounds) for name in CASES]
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"Median of {arguments.rounds} proofs, digest included; peak memory of the process so far.\n")
    print("| scheme | equations | ms [95 %] | peak MiB |\n|---|---|---|---|")
    for row in rows:
        ms = {key: 1000 * row["seconds"][key] for key in ("median", "low", "high")}
        print(
            f"| {row['scheme']} | {row['equations']:,} | {ms['median']:.1f} [{ms['low']:.1f}, {ms['high']:.1f}] | "
            f"{row['peak_mib']:.0f} |"
        )


if __name__ == "__main__":
    main()
