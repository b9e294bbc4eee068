"""Ratios, means and exponents of timings, with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float

RESAMPLES: Final = 2000
"""Bootstrap samples of an interval."""


@final
@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % percentile bootstrap interval, from n rounds (or n cases)."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def ratio_of_medians(
    numerators: Float[np.ndarray, "*contenders rounds"], denominator: Float[np.ndarray, " rounds"], *, seed: int = 0
) -> Estimate:
    """Median of the numerator over the median of the denominator, paired by round.

    A round of both is drawn together, so what slows a whole round down cancels. Several numerators, one a row,
    stand for the one of them with the smallest median; the bootstrap chooses anew in every sample, so that the
    interval knows about the choice.

    >>> ratio_of_medians(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0])).value
    2.0
    """
    rows = np.atleast_2d(numerators)
    drawn = _draws(len(denominator), seed)
    middle = np.median(rows, axis=-1).min() / np.median(denominator)
    spread = np.median(rows[:, drawn], axis=-1).min(axis=0) / np.median(denominator[drawn], axis=-1)
    return _estimate(middle, spread, len(denominator))


def geometric_mean(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """Geometric mean of positive figures of independent cases; the cases are resampled.

    >>> round(geometric_mean([0.5, 2.0, 1.0]).value, 6)
    1.0
    """
    logs = np.log(np.asarray(values, dtype=np.float64))
    spread = np.exp(logs[_draws(len(logs), seed)].mean(axis=-1))
    return _estimate(float(np.exp(logs.mean())), spread, len(logs))


def scaling_exponent(
    sizes: Sequence[float],
    seconds: Sequence[Sequence[float]],
    over: Sequence[Sequence[float]] | None = None,
    *,
    seed: int = 0,
) -> Estimate:
    """e of t ∝ N^e: the slope of log(median t) on log N, by least squares.

    Parameters
    ----------
    sizes:
        N of every entry of `seconds`, two different ones at least.
    seconds:
        The timings at each size, one a round.
    over:
        Timings of the same rounds to divide the medians by; the slope is then that of the quotient, in which
        what changed between one size and the next for both cancels.

    The interval resamples the rounds within each size: it covers the noise of timing, not the bend of the
    curve, so it is no statement about sizes beyond those measured. `n` is the number of sizes.

    >>> scaling_exponent([2, 4, 8], [[8.0], [64.0], [512.0]]).value
    3.0
    """
    if len(set(sizes)) < 2:
        raise ValueError("an exponent needs two different sizes at least")
    rng = np.random.default_rng(seed)
    middles, spreads = [], []
    for index, times in enumerate(seconds):
        values = np.asarray(times, dtype=np.float64)
        drawn = rng.integers(0, len(values), (RESAMPLES, len(values)))
        middle, spread = np.median(values), np.median(values[drawn], axis=-1)
        if over is not None:
            below = np.asarray(over[index], dtype=np.float64)
            middle, spread = middle / np.median(below), spread / np.median(below[drawn], axis=-1)
        middles.append(math.log(middle))
        spreads.append(np.log(spread))
    x = np.log(np.asarray(sizes, dtype=np.float64))
    x -= x.mean()
    weights = x / (x @ x)
    return _estimate(round(float(weights @ np.array(middles)), 12), weights @ np.array(spreads), len(sizes))


def _draws(count: int, seed: int) -> np.ndarray:
    if count < 1:
        raise ValueError("an estimate needs one value at least")
    return np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))


def _estimate(middle: float, spread: np.ndarray, n: int) -> Estimate:
    low, high = np.percentile(spread, (2.5, 97.5))
    return Estimate(float(middle), float(low), float(high), n)
