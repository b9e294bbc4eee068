"""Intervals for the figures that the studies report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, final


@final
@dataclass(frozen=True)
class Proportion:
    """`count` successes of `n` independent runs, with the 95 % Wilson interval.

    >>> p = Proportion(256, 256)
    >>> round(p.low, 3), p.high
    (0.985, 1.0)
    """

    count: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.n:
            raise ValueError(f"{self.count} of {self.n} is no proportion")

    @property
    def share(self) -> float:
        return self.count / self.n if self.n else math.nan

    @property
    def low(self) -> float:
        return self._wilson()[0]

    @property
    def high(self) -> float:
        return self._wilson()[1]

    def _wilson(self) -> tuple[float, float]:
        """Wilson (1927), "Probable inference, the law of succession, and statistical inference"."""
        if self.n == 0:
            return 0.0, 1.0
        z = NormalDist().inv_cdf(0.975)
        p, n = self.count / self.n, self.n
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        low = 0.0 if self.count == 0 else max(0.0, middle - half)
        return low, 1.0 if self.count == self.n else min(1.0, middle + half)

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "n": self.n, "share": self.share, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{self.count}/{self.n} ({100 * self.low:.1f}-{100 * self.high:.1f} %)"


@final
@dataclass(frozen=True)
class Median:
    """The median of n independent values, with a distribution-free 95 % interval.

    The interval runs between two order statistics; its coverage is at least 95 % for n ≥ 6, and it is the
    whole range below that. Values that hold a NaN have a NaN for a median.
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Median:
        n = len(values)
        if n == 0 or any(math.isnan(value) for value in values):
            return cls(math.nan, math.nan, math.nan, n)
        ordered = sorted(values)
        middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
        k, ways = 0, 1  # the order statistic, and how many of the 2^n outcomes put fewer than k below the median
        total = ways
        while 40 * total <= 2**n:
            k += 1
            ways = ways * (n - k + 1) // k
            total += ways
        at = max(k - 1, 0)
        return cls(middle, ordered[at], ordered[n - 1 - at], n)

    def to_json(self) -> dict[str, Any]:
        return {"median": self.value, "low": self.low, "high": self.high, "n": self.n}
