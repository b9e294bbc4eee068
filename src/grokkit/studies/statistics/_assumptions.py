"""What an analysis of variance takes for granted, checked: equal variances, normal residuals, balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float
from scipy import stats

from grokkit.studies.statistics._values import NotEstimable, Test, as_json, table

SHAPIRO_UP_TO = 5000
"""Above, the p-value of the Shapiro-Wilk test is not accurate and Jarque-Bera takes its place."""


@final
@dataclass(frozen=True)
class Assumptions:
    """Tests of the assumptions, and the cells that break them by construction."""

    equal_variances: Test | NotEstimable
    normal_residuals: Test | NotEstimable
    balanced: bool
    smallest_cell: int
    largest_cell: int
    without_variance: tuple[str, ...]
    """Cells all of whose runs gave the same value."""

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        sizes = f"{self.smallest_cell} runs a cell"
        if not self.balanced:
            sizes = f"no: {self.smallest_cell} to {self.largest_cell} runs a cell"
        rows = [
            ("equal variances", str(self.equal_variances)),
            ("normal residuals", str(self.normal_residuals)),
            ("balanced", sizes),
            ("cells without variance", ", ".join(self.without_variance) or "none"),
        ]
        return table("assumptions", ("", ""), rows)


def check_assumptions(
    cells: Sequence[Float[np.ndarray, "_"]], names: Sequence[str], residuals: Float[np.ndarray, " runs"]
) -> Assumptions:
    """Brown-Forsythe over the cells, Shapiro-Wilk or Jarque-Bera over the residuals, balance."""
    sizes = [len(cell) for cell in cells]
    still = tuple(name for name, cell in zip(names, cells, strict=True) if len(cell) > 1 and np.ptp(cell) == 0)
    return Assumptions(
        brown_forsythe(cells), normality(residuals), min(sizes) == max(sizes), min(sizes), max(sizes), still
    )


def brown_forsythe(cells: Sequence[Float[np.ndarray, "_"]]) -> Test | NotEstimable:
    """Equal variances: Levene's test about the medians (Brown and Forsythe 1974), over cells of two runs or more."""
    cells = [cell for cell in cells if len(cell) > 1]
    n = sum(map(len, cells))
    if len(cells) < 2:
        return NotEstimable("two cells of two runs or more are needed to compare variances")
    if not any(np.ptp(np.abs(cell - np.median(cell))) for cell in cells):
        return NotEstimable("the distances to the medians do not vary within any cell")
    levene: Any = stats.levene
    found = levene(*cells, center="median")
    return Test(
        "Brown-Forsythe", float(found.statistic), (len(cells) - 1.0, float(n - len(cells))), float(found.pvalue), n
    )


def normality(residuals: Float[np.ndarray, " runs"]) -> Test | NotEstimable:
    """Shapiro-Wilk up to 5000 residuals, Jarque-Bera above."""
    n = len(residuals)
    if n < 3:
        return NotEstimable(f"{n} residuals are too few for a test of normality")
    if np.ptp(residuals) == 0:
        return NotEstimable("all residuals are equal")
    if n <= SHAPIRO_UP_TO:
        found: Any = stats.shapiro(residuals)
        return Test("Shapiro-Wilk", float(found.statistic), (), float(found.pvalue), n)
    found = stats.jarque_bera(residuals)
    return Test("Jarque-Bera", float(found.statistic), (2.0,), float(found.pvalue), n)
