"""Means and shares with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from scipy import stats

from grokkit.scheme import InvalidInput

LEVEL: Final = 0.95


@final
@dataclass(frozen=True)
class Mean:
    """A mean over `n` independent runs, or a share of them, with its 95 % interval.

    >>> print(Mean.of([1.0, 2.0, 3.0]))
    2 [-0.4841, 4.484], n = 3
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: np.ndarray | Sequence[float], least: float = -math.inf) -> Mean:
        """Student's interval, unbounded for one run, never below `least`.

        One infinite value makes mean and upper end infinite, and leaves the lower end at `least`.
        """
        held = np.asarray(values, dtype=np.float64)
        if held.ndim != 1 or not held.size or np.isnan(held).any():
            raise InvalidInput(f"values have shape {held.shape}; one number a run, at least one and none NaN is needed")
        n = len(held)
        if np.isinf(held).any():
            return cls(math.inf, least, math.inf, n)
        value = float(held.mean())
        half = _student(n) * float(held.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
        return cls(value, max(least, value - half), value + half, n)

    @classmethod
    def geometric(cls, values: np.ndarray | Sequence[float]) -> Mean:
        """The geometric mean, with Student's interval of the logarithms: for errors, positive and widely spread.

        Values below 1e-40 count as 1e-40.

        >>> print(Mean.geometric([1e-4, 1e-3, 1e-2]))
        0.001 [3.28e-06, 0.3049], n = 3
        """
        held = np.asarray(values, dtype=np.float64)
        if (held < 0).any():
            raise InvalidInput("values: one is negative; a geometric mean is of values above zero")
        of_logs = cls.of(np.log(np.maximum(held, 1e-40)))
        value, low, high = (
            math.exp(end) if end < 700 else math.inf for end in (of_logs.value, of_logs.low, of_logs.high)
        )
        return cls(value, low, high, of_logs.n)

    @classmethod
    def of_share(cls, count: int, n: int) -> Mean:
        """Wilson's interval (1927) of `count` of `n`."""
        if not 0 <= count <= n or n == 0:
            raise InvalidInput(f"share: {count} of {n}; a count of 0 to n, and n of at least 1 are needed")
        found = stats.binomtest(count, n).proportion_ci(LEVEL, method="wilson")
        return cls(count / n, float(found.low), float(found.high), n)

    @classmethod
    def ratio(cls, above: np.ndarray, below: np.ndarray) -> Mean:
        """The ratio of two means over the same runs: Student's interval of its logarithm, linearized (paired).

        Infinite, without width, where the mean below is 0; 0 likewise where it is infinite.
        """
        above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
        if above.shape != below.shape or above.ndim != 1 or not above.size:
            raise InvalidInput(f"ratio: shapes {above.shape} and {below.shape}; the same runs in both are needed")
        n, top, bottom = len(above), float(above.mean()), float(below.mean())
        if math.isinf(bottom) or top == 0:
            return cls(0.0, 0.0, 0.0, n)
        if bottom == 0 or math.isinf(top):
            return cls(math.inf, math.inf, math.inf, n)
        value = top / bottom
        if n == 1:
            return cls(value, 0.0, math.inf, 1)
        spread = float((above / top - below / bottom).std(ddof=1))
        half = _student(n) * spread / math.sqrt(n)
        return cls(value, value * math.exp(-half), value * math.exp(half) if half < 700 else math.inf, n)

    def to_json(self) -> dict[str, Any]:
        """Unbounded numbers are null."""
        named = {"value": self.value, "low": self.low, "high": self.high}
        return {name: each if math.isfinite(each) else None for name, each in named.items()} | {"n": self.n}

    @property
    def brief(self) -> str:
        """The value and its interval, for a table that says n once."""
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"

    def __str__(self) -> str:
        return f"{self.brief}, n = {self.n}"


def _student(n: int) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
