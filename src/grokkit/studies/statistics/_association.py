"""Whether two categorical columns depend on each other, and whether success rises with a dose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int
from scipy import stats
from scipy.special import chndtr

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics._columns import Data, as_frame, levels, numbers, outcomes, text
from grokkit.studies.statistics._root import root
from grokkit.studies.statistics._tables import Randomization, permuted_tables
from grokkit.studies.statistics._values import TAIL, Estimate, NotEstimable, Test, as_json, table

EXPECTED = 5.0
"""Smallest expected count for which the chi-square distribution is trusted (Cochran 1954)."""


@final
@dataclass(frozen=True)
class Association:
    """Independence of two categorical columns, tested."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    n: int
    chi_square: Test
    smallest_expected: float
    permutation: Randomization
    """The chi-square statistic against tables of the same margins."""
    p: float
    """Of the chi-square distribution where every expected count is 5 or more, else of the permutation."""
    p_from: str
    cramers_v: Estimate
    """sqrt(χ² / (n (k − 1))), k the shorter side; interval by the noncentral chi-square."""

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        rows = [(name, *counts) for name, counts in zip(self.rows, self.counts, strict=True)]
        below = [
            f"p = {self.p:.4g} ({self.p_from})",
            str(self.chi_square),
            f"permutation: {self.permutation}",
            f"smallest expected count {self.smallest_expected:.3g}",
            f"Cramér's V {self.cramers_v}",
        ]
        return table(f"association, n = {self.n}", ("", *self.columns), rows, below)


@final
@dataclass(frozen=True)
class Trend:
    """Whether the share of successes rises or falls with a score."""

    outcome: str
    dose: str
    scores: tuple[float, ...]
    successes: tuple[int, ...]
    runs: tuple[int, ...]
    n: int
    test: Test | NotEstimable
    """Cochran-Armitage: z² on one degree of freedom."""
    permutation: Randomization | NotEstimable
    slope: Estimate | NotEstimable
    """Change of the share by one unit of score (least squares), interval from the binomial variances of the levels."""

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        rows = [
            (dose, count, runs, count / runs)
            for dose, count, runs in zip(self.scores, self.successes, self.runs, strict=True)
        ]
        below = [str(self.test), f"permutation: {self.permutation}", f"slope {self.slope}"]
        return table(
            f"{self.outcome} by {self.dose}, n = {self.n}", ("score", "successes", "runs", "share"), rows, below
        )


def association(data: Data, first: str, second: str, *, resamples: int = 9999, seed: int = 0) -> Association:
    """Test the independence of two categorical columns: chi-square, and a permutation test that is exact when small."""
    frame = as_frame(data, first, second)
    (rows, i), (columns, j) = levels(frame, first), levels(frame, second)
    for name, distinct in ((first, rows), (second, columns)):
        if len(distinct) < 2:
            raise InvalidInput(f"column {name!r} has the one value {distinct[0]!r}; nothing can depend on it")
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(counts, (i, j), 1)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / len(frame)
    statistic = float(((counts - expected) ** 2 / expected).sum())
    df = float((len(rows) - 1) * (len(columns) - 1))
    chi_square = Test("chi-square", statistic, (df,), float(stats.chi2.sf(statistic, df)), len(frame))
    permutation = permuted_tables(
        counts, lambda tables: ((tables - expected) ** 2 / expected).sum(axis=(1, 2)), resamples=resamples, seed=seed
    )
    trusted = float(expected.min()) >= EXPECTED
    scale = len(frame) * (min(counts.shape) - 1)
    low, high = (math.sqrt(min(1.0, each / scale)) for each in _chi_square_noncentrality(statistic, df))
    return Association(
        tuple(f"{first}={text(row)}" for row in rows),
        tuple(f"{second}={text(column)}" for column in columns),
        tuple(tuple(row) for row in counts.tolist()),
        len(frame),
        chi_square,
        float(expected.min()),
        permutation,
        chi_square.p if trusted else permutation.p,
        "chi-square" if trusted else "permutation",
        Estimate(math.sqrt(statistic / scale), low, high, len(frame), "noncentral chi-square"),
    )


def _chi_square_noncentrality(statistic: float, df: float) -> tuple[float, float]:
    def solve(at: float) -> float:
        def excess(lam: float) -> float:
            return float(chndtr(statistic, df, lam)) - at

        if excess(0.0) <= 0:
            return 0.0
        upper = 2 * statistic + 20.0
        while excess(upper) > 0:
            upper *= 2
        return root(excess, 0.0, upper)

    return solve(1 - TAIL), solve(TAIL)


def trend(data: Data, outcome: str, dose: str, *, resamples: int = 9999, seed: int = 0) -> Trend:
    """Cochran-Armitage test for a trend of successes in a numeric dose, whose values are the scores.

    Sources: Cochran (1954), Armitage (1955). The permutation test of the same statistic, two-sided, needs no large
    sample. With only successes or only failures nothing is estimable.
    """
    frame = as_frame(data, outcome, dose)
    success, score = outcomes(frame, outcome), numbers(frame, dose)
    scores, codes = np.unique(score, return_inverse=True)
    if len(scores) < 2:
        raise InvalidInput(f"column {dose!r} has the one value {scores[0]:g}; a trend needs two")
    runs = np.bincount(codes)
    hits = np.bincount(codes, weights=success).astype(np.int64)
    n, share = len(success), float(success.mean())
    shown = (outcome, dose, tuple(scores.tolist()), tuple(hits.tolist()), tuple(runs.tolist()), n)
    if share in (0.0, 1.0):
        no = NotEstimable("every run succeeded" if share else "no run succeeded")
        return Trend(*shown, no, no, no)
    centered = scores - float((runs * scores).sum()) / n
    spread = float((runs * centered**2).sum())
    z = float((hits * centered).sum()) / math.sqrt(share * (1 - share) * spread)
    test = Test("Cochran-Armitage", z * z, (1.0,), float(2 * stats.norm.sf(abs(z))), n)
    observed = np.stack([hits, runs - hits], axis=1)
    permutation = permuted_tables(
        observed, lambda tables: np.abs((tables[:, :, 0] * centered).sum(axis=1)), resamples=resamples, seed=seed
    )
    return Trend(*shown, test, permutation, _slope(hits, runs, centered, spread))


def _slope(
    hits: Int[np.ndarray, " levels"],
    runs: Int[np.ndarray, " levels"],
    centered: Float[np.ndarray, " levels"],
    spread: float,
) -> Estimate | NotEstimable:
    shares = hits / runs
    variance = float((runs * centered**2 * shares * (1 - shares)).sum()) / spread**2
    if variance == 0:
        return NotEstimable("runs of one level all agree, at every level: the binomial variances are zero")
    slope, half = float((hits * centered).sum()) / spread, float(stats.norm.isf(TAIL)) * math.sqrt(variance)
    return Estimate(slope, slope - half, slope + half, int(runs.sum()), "binomial variances, Wald")
