"""The weight files that the published work shipped: exact as they are, exact after crystallizing, or refused.

GROKKIT_TEST_DATA=... python benchmarks/checkpoints.py
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

from grokkit.scheme import InvalidInput, equivalent
from grokkit.scheme.catalog import catalog
from grokkit.studies import NoExpansion, discover_expansion_operator


def main() -> None:
    folder = os.environ.get("GROKKIT_TEST_DATA")
    if not folder:
        sys.exit("set GROKKIT_TEST_DATA to a folder with checkpoints/*.pt")
    print(
        "*Explained*: share of the product's variance that the weights as shipped compute (0: nothing). *By its products*: the same "
        "with the best possible output weights, which no gauge and no scale changes; seven random products give 7/16 = 0.44.\n"
    )
    print(
        "| file | verdict | mse as shipped | lattice distance | explained | by its products | polish moved by | gauge | Strassen in another basis |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    verdicts: Counter[str] = Counter()
    for path in sorted((Path(folder) / "checkpoints").glob("*.pt")):
        try:
            operator, metrics = discover_expansion_operator(path)
        except (NoExpansion, InvalidInput) as error:
            verdicts["refused"] += 1
            print(f"| {path.name} | refused: {error} | | | | | | | |")
            continue
        verdict = "exact as shipped" if metrics["shipped_exact"] else "exact after crystallizing"
        if metrics["confidence"] < 0.01:
            verdict = "empty: the solver found a scheme unaided"
        verdicts[verdict] += 1
        moved = metrics["polish_moved"]
        print(
            f"| {path.name} | {verdict} | {metrics['mse_before']:.2g} | {metrics['lattice_distance_before']:.2f} | "
            f"{metrics['confidence']:.6f} | {metrics['products_explain']:.6f} | {'' if moved is None else f'{moved:.2g}'} | {metrics['gauge_used']['gauge']} | "
            f"{'yes' if equivalent(operator.scheme, catalog['strassen']) else 'no'} |"
        )
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) + ".")


if __name__ == "__main__":
    main()
