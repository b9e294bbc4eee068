"""Means over independent repetitions, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float
from scipy import stats

from grokkit.scheme import InvalidInput

LEVEL = 0.95


@final
@dataclass(frozen=True)
class Mean:
    """A mean over `n` independent repetitions with Student's 95 % interval; unbounded for one repetition.

    >>> print(Mean.of([1.0, 2.0, 3.0]))
    2 [-0.4841, 4.484]
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Float[np.ndarray, " n"] | Sequence[float]) -> Mean:
        held = np.asarray(values, dtype=np.float64)
        if not held.size or not np.isfinite(held).all():
            raise InvalidInput(f"values: {held.size} of them, all finite and at least one are needed for a mean")
        value, n = float(held.mean()), len(held)
        if n == 1:
            return cls(value, -math.inf, math.inf, 1)
        half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * held.std(ddof=1) / math.sqrt(n))
        return cls(value, value - half, value + half, n)

    @classmethod
    def geometric(cls, values: Float[np.ndarray, " n"] | Sequence[float]) -> Mean:
        """The geometric mean, with Student's interval of the logarithms: for errors, positive and widely spread.

        Values below 1e-40 count as 1e-40.

        >>> print(Mean.geometric([1e-4, 1e-3, 1e-2]))
        0.001 [3.28e-06, 0.3049]
        """
        held = np.asarray(values, dtype=np.float64)
        if (held < 0).any():
            raise InvalidInput("values: one is negative; a geometric mean is of values above zero")
        of_logs = cls.of(np.log(np.maximum(held, 1e-40)))
        low, high = (math.exp(end) if end < 700 else math.inf for end in (of_logs.low, of_logs.high))
        return cls(math.exp(of_logs.value), low, high, of_logs.n)

    def to_json(self) -> dict[str, Any]:
        """Unbounded ends are null."""
        low, high = (end if math.isfinite(end) else None for end in (self.low, self.high))
        return {"value": self.value, "low": low, "high": high, "n": self.n}

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"
