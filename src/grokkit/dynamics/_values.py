"""What an instrument answers: an estimate with its interval, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float
from scipy import stats

from grokkit.scheme import InvalidInput

LEVEL = 0.95
"""The confidence of every interval of this room."""


@final
@dataclass(frozen=True)
class Undefined:
    """There is no such number here, and this is the reason. It is false, and no float."""

    reason: str

    def __bool__(self) -> bool:
        return False

    def __float__(self) -> float:
        raise InvalidInput(f"there is no value: {self.reason}; test isinstance(value, Undefined) first")

    def __str__(self) -> str:
        return f"undefined ({self.reason})"


@final
@dataclass(frozen=True)
class Estimate:
    """A number estimated from `n` independent draws, with its standard error and a 95 % interval.

    The interval may be wider than two standard errors, one-sided or unbounded (`math.inf`), as a ratio's is.

    >>> print(Estimate(2.0, 0.5, 1.0, 3.0, n=4))
    2 (95 %: 1 to 3, n = 4)
    """

    value: float
    standard_error: float
    low: float
    high: float
    n: int

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.6g} (95 %: {self.low:.4g} to {self.high:.4g}, n = {self.n})"


def mean_of(values: Float[np.ndarray, " n"] | Sequence[float]) -> Estimate:
    """The mean of independent values with Student's interval; unbounded for a single value.

    >>> print(mean_of([1.0, 2.0, 3.0]))
    2 (95 %: -0.4841 to 4.484, n = 3)
    """
    values = np.asarray(values, dtype=np.float64)
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Estimate(mean, math.inf, -math.inf, math.inf, n)
    return around(mean, float(np.std(values, ddof=1)) / math.sqrt(n), n, n - 1)


def around(value: float, standard_error: float, n: int, freedom: int) -> Estimate:
    """Student's interval about a value. `freedom` is the number of degrees of freedom of the standard error."""
    half = _quantile(freedom) * standard_error if standard_error else 0.0
    return Estimate(float(value), float(standard_error), float(value - half), float(value + half), n)


def jackknife(left_out: Float[np.ndarray, "n figures"]) -> Float[np.ndarray, "figures figures"]:
    """The covariance of figures, from their values with each sample left out (Tukey 1958).

    (n − 1)/n Σ (θ₋ᵢ − mean)(θ₋ᵢ − mean)ᵀ. For the mean of the samples this is exactly their variance over n.
    """
    n = len(left_out)
    centered = left_out - left_out.mean(axis=0)
    return (n - 1) / n * centered.T @ centered


def ratio(above: float, below: float, covariance: Float[np.ndarray, "2 2"], n: int, what: str) -> Estimate | Undefined:
    """above / below, both nonnegative in truth, with Fieller's interval (1954).

    The interval holds every r ≥ 0 for which above − r · below differs from zero by less than Student's quantile of its
    standard errors. It is unbounded above where `below` does not differ from zero. The standard error is the delta
    method's. A denominator estimated at zero or less leaves no ratio.
    """
    if not below > 0:
        return Undefined(f"{what} is estimated as {below:.3g}, not above zero: more samples are needed, or it is zero")
    value, squared = float(above / below), _quantile(n - 1) ** 2
    error = covariance[0, 0] - 2 * value * covariance[0, 1] + value * value * covariance[1, 1]
    # (above − r below)² ≤ squared · variance is a r² − 2 b r + c ≤ 0
    a = below * below - squared * covariance[1, 1]
    b = above * below - squared * covariance[0, 1]
    c = above * above - squared * covariance[0, 0]
    root = b * b - a * c
    standard_error = float(math.sqrt(max(float(error), 0.0)) / below)
    if root < 0:  # then a < 0 and every ratio is possible
        return Estimate(value, standard_error, 0.0, math.inf, n)
    if a > 0:
        low, high = (b - math.sqrt(root)) / a, (b + math.sqrt(root)) / a
        return Estimate(value, standard_error, max(float(low), 0.0), float(high), n)
    low = c / (b + math.sqrt(root)) if b + math.sqrt(root) > 0 else 0.0
    return Estimate(value, standard_error, min(max(float(low), 0.0), value), math.inf, n)


def _quantile(freedom: int) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))
