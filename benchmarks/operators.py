"""Zero-shot transfer between grids: errors by resolution, fixed against changed topology, and the spectral-tail bound.

Operators are trained on 16 nodes an axis and judged on finer grids without retraining, beside wrong embeddings,
persistence and zero. Then the published bound on random operators.

    python benchmarks/operators.py [--problem wave extended cyclotron drift bound] [--seeds 5] [--figures FOLDER] [--json]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from grokkit.transfer.operators import (
    CASES,
    KINDS,
    TransferStudy,
    bound_by_resolution,
    bound_violations,
    error_by_resolution,
    fields_side_by_side,
    heat_kernel,
    spectral_tail,
)


def show(found: TransferStudy) -> None:
    print(f"\n### {found.problem}: trained on {found.trained_on} nodes, {len(found.seeds)} seeds\n")
    print(
        "| predictor | numbers trained | "
        + " | ".join(f"{nodes} nodes" for nodes in found.nodes)
        + " | error(32) / error(16) |"
    )
    print("|---" * (3 + len(found.nodes)) + "|")
    for row in found.rows:
        cells = " | ".join(str(found.error(row, nodes)) for nodes in found.nodes)
        print(f"| {row} | {found.parameters.get(row, '')} | {cells} | {found.growth(row, 32)} |")


def bound(operators: int, seed: int) -> list[dict[str, Any]]:
    rows = [bound_violations(kind, operators, seed) for kind in KINDS]
    print(f"\n### The spectral-tail bound on {operators} random operators and fields, seed {seed}\n")
    print(
        "| operators | above the published bound | 95 % interval of the rate | above the completed bound | error / bound, median | largest |"
    )
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.kind} | {row.published} of {row.n} | {row.rate_low:.2g} to {row.rate_high:.2g} | {row.completed} | "
            f"{row.median_ratio:.2g} | {row.largest_ratio:.3g} |"
        )
    operator, fields = heat_kernel()
    print("\nA heat kernel (exp(-k²/200), modes to 64) on 200 fields whose coefficients fall as 1/k^1.5; medians:\n")
    print("| modes kept | error | operator norm × tail | Hilbert-Schmidt norm × tail |\n|---|---|---|---|")
    for kept in (7, 15, 31):
        tail = spectral_tail(operator, fields, kept)
        print(
            f"| {kept} | {np.median(tail.error):.2e} | {np.median(tail.operator_bound):.2e} | {np.median(tail.bound):.2e} |"
        )
    return [row.to_json() for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", nargs="+", choices=[*CASES, "bound"], default=[*CASES, "bound"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--operators", type=int, default=2000)
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    kept: dict[str, Any] = {}
    for name in chosen.problem:
        if name == "bound":
            kept[name] = bound(chosen.operators, 0)
            if chosen.figures:
                bound_by_resolution(*heat_kernel(), range(1, 48)).savefig(
                    chosen.figures / "operators-bound.png", dpi=110
                )
            continue
        found = CASES[name].study(range(chosen.seeds))
        check(name, found)
        show(found)
        kept[name] = found.to_json()
        if chosen.figures:
            error_by_resolution(found).savefig(chosen.figures / f"operators-{name}.png", dpi=110)
            fields_side_by_side(found.grids[:3], {row: each[:3] for row, each in found.examples.items()}).savefig(
                chosen.figures / f"operators-{name}-fields.png", dpi=110
            )
    if chosen.json:
        chosen.json.write_text(json.dumps(kept))


def check(name: str, found: TransferStudy) -> None:
    """The answers that are known: the multiplier is exact where the domain is fixed, and the operator transfers."""
    if name == "extended":
        return
    here, there = (np.array(found.errors["Fourier operator"][place]) for place in (0, 1))
    assert (there <= 1.2 * here).all(), f"{name}: error(32) / error(16) is {there / here}"
    assert (there < np.array(found.errors["persistence"][1])).all(), f"{name}: persistence is better"
    assert "multiplier" not in found.rows or np.max(found.errors["multiplier"]) < 1e-24


if __name__ == "__main__":
    main()
