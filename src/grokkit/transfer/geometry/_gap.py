"""The generalization gap against the number of parameters: measured, exact, and against the published bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from scipy import stats

from grokkit.dynamics import Estimate, Undefined
from grokkit.scheme import InvalidInput

PUBLISHED_HBAR = 0.012
"""The source's "uncertainty constant", the limit it states for σ/μ of gradient norms."""


def published_bound(parameters: int, hbar: float = PUBLISHED_HBAR) -> float:
    """ħ / (2 sqrt(p)), which the source states as a lower bound of the generalization gap.

    >>> round(published_bound(1821), 5)
    0.00014
    """
    if parameters < 1:
        raise InvalidInput(f"{parameters} parameters; at least 1 is needed")
    return hbar / (2 * math.sqrt(parameters))


@final
@dataclass(frozen=True)
class LeastSquaresGap:
    """Test minus training error of least squares with p of the true features, n samples, noise variance σ²: both exact.

    Gaussian features, expectation over training sets. Training σ²(1 − p/n), test σ²(1 + p/(n − p − 1)).
    """

    samples: int
    parameters: int
    variance: float = 1.0

    def __post_init__(self) -> None:
        if not (1 <= self.parameters < self.samples - 1 and self.variance >= 0):
            raise InvalidInput(
                f"{self.parameters} parameters, {self.samples} samples, variance {self.variance}: "
                "1 <= p < n - 1 and a variance of at least 0 are needed"
            )

    @property
    def value(self) -> float:
        n, p = self.samples, self.parameters
        return self.variance * (p / (n - p - 1) + p / n)

    def draw(self, generator: np.random.Generator, tests: int = 2000) -> float:
        """The gap of one training set, its test error on `tests` fresh samples."""
        n, p, noise = self.samples, self.parameters, math.sqrt(self.variance)
        truth = generator.standard_normal(p)
        x, fresh = generator.standard_normal((n, p)), generator.standard_normal((tests, p))
        y, target = (
            x @ truth + noise * generator.standard_normal(n),
            fresh @ truth + noise * generator.standard_normal(tests),
        )
        found = np.linalg.lstsq(x, y, rcond=None)[0]
        return float(np.mean((fresh @ found - target) ** 2) - np.mean((x @ found - y) ** 2))


def gap_exponent(parameters: Sequence[int], gaps: np.ndarray) -> Estimate | Undefined:
    """b of mean gap = a pᵇ, by least squares of the logarithms; `gaps` is (sizes, seeds).

    Student's interval of the slope over sizes. Undefined where a mean gap is not positive: an exponent of −1/2 would
    be the published bound's. Raises `InvalidInput` for under three different sizes.
    """
    values = np.asarray(gaps, dtype=np.float64)
    if len(set(parameters)) < 3 or values.ndim != 2 or len(values) != len(parameters) or not np.isfinite(values).all():
        raise InvalidInput(
            f"gaps have shape {values.shape} for {len(parameters)} sizes; at least 3 different sizes, a finite row each"
        )
    means = values.mean(axis=1)
    if (means <= 0).any():
        size = parameters[int(np.argmin(means))]
        return Undefined(
            f"the mean gap at {size} parameters is {means.min():.3g}, not positive, so it has no logarithm"
        )
    line: Any = stats.linregress(np.log(parameters), np.log(means))
    half = float(stats.t.ppf(0.975, len(means) - 2)) * float(line.stderr)
    slope = float(line.slope)
    return Estimate(slope, float(line.stderr), slope - half, slope + half, len(means))
