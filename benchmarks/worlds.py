"""Worlds with known solutions: errors of every baseline, and what the solvers conserve.

Baselines are judged on one step of 64 unseen runs (least squares learns from 256); conservation over 1000 steps of 8.

    python benchmarks/worlds.py [--seed 0] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from grokkit.tasks import WORLDS, Mean, ModularAddition, Parity, World, baselines, example_baselines, world

COLUMNS = ("zero", "persistence", "linear", "oracle")
TOLERANCE = {"double-pendulum": 1e-6, "hamiltonian-field": 1e-6}
"""Largest change of an invariant in 1000 steps; 1e-9 elsewhere."""


def largest_drift(each: World, seed: int) -> tuple[str, float]:
    """The invariant that moves the most in 1000 steps of 8 runs, and how far."""
    runs = each.generate(8, 1000, seed)
    flat = runs.states.reshape(-1, *each.state_shape)
    given = {name: np.repeat(values, 1001) for name, values in runs.parameters.items()}
    held = {name: values.reshape(8, -1) for name, values in each.invariants(flat, given).items()}
    drifts = {name: float(np.abs(values - values[:, :1]).max()) for name, values in held.items()}
    worst = max(drifts, key=drifts.__getitem__)
    return worst, drifts[worst]


def short(error: Mean | None) -> str:
    return "" if error is None else f"{error.value:.3g} [{error.low:.3g}, {error.high:.3g}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    chosen = parser.parse_args()
    kept: dict[str, Any] = {}
    print(f"| world | {' | '.join(COLUMNS)} | largest drift, 1000 steps |\n|---" + "|---" * (len(COLUMNS) + 1) + "|")
    rest: list[str] = []
    for name in WORLDS:
        each = world(name)
        if isinstance(each, World):
            train, test = each.generate(256, 40, 2 * chosen.seed), each.generate(64, 40, 2 * chosen.seed + 1)
            found = {row.name: row.error for row in baselines(each, train, test)}
            what, drift = largest_drift(each, chosen.seed)
            assert found["oracle"].value < 1e-20, name
            assert (found["linear"].value < 1e-16) == each.linear, name
            assert drift < TOLERANCE.get(name, 1e-9), f"{name}: {what} moved by {drift}"
            cells = " | ".join(short(found[column]) for column in COLUMNS)
            print(f"| {name} | {cells} | {what} {drift:.1g} |")
            kept[name] = {column: error.to_json() for column, error in found.items()} | {"drift": drift, "of": what}
            continue
        halves = (
            each.split(0.5, chosen.seed)
            if isinstance(each, Parity | ModularAddition)
            else (each.generate(4000, 2 * chosen.seed), each.generate(4000, 2 * chosen.seed + 1))
        )
        found = {row.name: row.error for row in example_baselines(each, *halves)}
        assert found["oracle"].value == 0, name
        trivial = found.get("majority", found.get("zero"))
        rest.append(f"| {name} | {short(trivial)} | {short(found['linear'])} | {short(found['oracle'])} |")
        kept[name] = {column: error.to_json() for column, error in found.items()}
    print("\n| task | zero or majority | linear | oracle |\n|---|---|---|---|\n" + "\n".join(rest))
    if chosen.json:
        chosen.json.write_text(json.dumps(kept))


if __name__ == "__main__":
    main()
