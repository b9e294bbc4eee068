"""Separation: directions in which the logistic likelihood rises for ever, found by linear programming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linprog

from grokkit.studies.statistics._values import as_json

TOLERANCE = 1e-7


@final
@dataclass(frozen=True)
class Separation:
    """Whether a linear combination of the predictors tells successes from failures without error."""

    kind: Literal["none", "quasi-complete", "complete", "one class only"]
    infinite: tuple[str, ...]
    """Terms whose maximum likelihood estimate is infinite."""

    def __bool__(self) -> bool:
        return self.kind != "none"

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        if self.kind in ("none", "one class only"):
            return self.kind
        return f"{self.kind} separation by {', '.join(self.infinite)}"


def find_separation(
    matrix: Float[np.ndarray, "runs terms"], success: Int[np.ndarray, " runs"], names: tuple[str, ...]
) -> Separation:
    """Look for β with (2y − 1) x·β ≥ 0 for all runs, not zero for all (Albert and Anderson 1984; Konis 2007).

    Separation is complete if the inequality can be strict for every run. The matrix must have full column rank.
    """
    signed = (2 * success - 1)[:, None] * matrix / np.abs(matrix).max(axis=0)
    box = [(-1.0, 1.0)] * matrix.shape[1]
    rows = np.unique(signed, axis=0)
    found = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=box, method="highs")
    if -found.fun <= TOLERANCE:
        return Separation("none", ())
    infinite = []
    for at, name in enumerate(names):
        reach = 0.0
        for sign in (-1.0, 1.0):
            cost = np.zeros(len(names))
            cost[at] = sign
            reach = max(reach, -linprog(cost, A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=box, method="highs").fun)
        if reach > TOLERANCE:
            infinite.append(name)
    if success.min() == success.max():
        return Separation("one class only", tuple(infinite))
    margin = linprog(
        np.r_[np.zeros(len(names)), -1.0],
        A_ub=np.hstack([-rows, np.ones((len(rows), 1))]),
        b_ub=np.zeros(len(rows)),
        bounds=[*box, (None, 1.0)],
        method="highs",
    )
    return Separation("complete" if -margin.fun > TOLERANCE else "quasi-complete", tuple(infinite))
