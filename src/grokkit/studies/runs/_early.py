"""What the first part of training says of a run: features for the prediction of its outcome."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from grokkit.scheme import InvalidInput
from grokkit.studies.runs._runs import Runs

SHARES: Final = (0.01, 0.05, 0.1, 0.25)
"""Shares of training that are looked at by custom."""
LOGARITHMIC: Final = ("train_loss", "test_loss", "gradient_norm")
"""Metrics that enter as their common logarithm."""
SMALLEST: Final = 1e-30


def early_features(runs: Runs, share: float) -> dict[str, np.ndarray]:
    """Features of each run from the first `share` of its training, in the order of `Runs.table`.

    For every metric of the study (but the slot norms, of which the mean and the spread over slots enter): its last
    value in that part, and for the losses also the slope of their common logarithm, in decades over that part (least
    squares over the logged points). Losses and gradient norms enter as common logarithms. ``loss`` is the training
    loss, the baseline of `grokkit.studies.statistics.predict_success`.

    Raises `InvalidInput` for a share outside (0, 1], for a study without ``train_loss`` among its metrics, and where
    fewer than two points were logged in that part.
    """
    if not 0 < share <= 1:
        raise InvalidInput(f"share is {share:g}; a part of training above 0, up to 1, is needed")
    kept = [name for name in runs.study.metrics if f"trajectory_{name}" in runs.columns]
    if "train_loss" not in kept:
        raise InvalidInput("the study keeps no train_loss among its metrics; the baseline needs it")
    table = runs.table(["trajectory_step", *(f"trajectory_{name}" for name in kept)]).to_pydict()
    rows = [
        _of_run({name: table[f"trajectory_{name}"][at] for name in kept}, np.array(steps, dtype=float), share)
        for at, steps in enumerate(table["trajectory_step"])
    ]
    names = list(rows[0]) if rows else []
    return {name: np.array([row[name] for row in rows]) for name in names}


def _of_run(metrics: dict[str, Any], steps: np.ndarray, share: float) -> dict[str, float]:
    inside = steps <= share * steps[-1]
    if inside.sum() < 2:
        raise InvalidInput(
            f"{int(inside.sum())} points were logged in the first {100 * share:g} % of training; two are needed: "
            "raise log_points"
        )
    when = steps[inside] / max(steps[inside][-1], 1)
    found: dict[str, float] = {}
    for name, values in metrics.items():
        early = np.array(values, dtype=float)[inside]
        label = "loss" if name == "train_loss" else name.replace("_", " ")
        if name == "slot_norms":
            found["slot norm"] = float(early[-1].mean())
            found["spread of slot norms"] = float(early[-1].std())
            continue
        if name in LOGARITHMIC:
            early = np.log10(np.maximum(early, SMALLEST))
        found[label] = float(early[-1])
        if name in ("train_loss", "test_loss"):
            found[f"slope of {label}"] = float(np.polyfit(when, early, 1)[0])
    return found
