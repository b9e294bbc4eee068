"""Settle every claim of the source documents: run the ledger's protocols and print the table of verdicts.

Each protocol's results go to the folder as soon as they are there, and protocols that it has results of are not run
again; with --ship results also become those that the package ships.

    [GROKKIT_TEST_DATA=...] python benchmarks/ledger.py [--quick] [--only NAME ...] [--out runs/claims] [--ship]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from pathlib import Path

from grokkit.studies import ledger as room
from grokkit.studies.ledger import PROTOCOLS, ledger, load_results, run_claims

SHIPPED = Path(room.__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", choices=[each.name for each in PROTOCOLS])
    parser.add_argument("--again", action="store_true", help="run what the folder already has results of")
    parser.add_argument("--out", type=Path, default=Path("runs") / "claims")
    parser.add_argument("--engine", default="joblib")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--ship", action="store_true", help="copy the results into the package")
    arguments = parser.parse_args()
    scale = "quick" if arguments.quick else "full"
    for protocol in PROTOCOLS:
        path = arguments.out / f"{protocol.name}.json"
        if arguments.only and protocol.name not in arguments.only:
            continue
        if arguments.again or not path.exists() or load_results(path).scale != scale:
            run_claims(
                list(protocol.claims),
                scale,
                arguments.out,
                engine=arguments.engine,
                workers=arguments.workers,
                progress=lambda text: print(text, file=sys.stderr),
            )
        results = load_results(path)
        assert set(results.measurements) == set(protocol.claims), f"{protocol.name}: a claim was not measured"
        print(f"{protocol.name}: {results.cpu_seconds:.0f} s CPU", file=sys.stderr)
        if arguments.ship:
            SHIPPED.mkdir(exist_ok=True)
            shutil.copyfile(path, SHIPPED / path.name)
    entries = ledger(arguments.out)
    print("| claim | stated | found | verdict |\n|---|---|---|---|")
    for each in entries:
        cells = (each.claim.id, each.claim.stated, each.ruling.reason, str(each.ruling.verdict))
        print(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    counts = Counter(str(each.ruling.verdict) for each in entries)
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()) + ".")


if __name__ == "__main__":
    main()
