"""Weights that mix two frozen predictors: the closed form, and the published criterion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float

from grokkit.scheme import InvalidInput

CRITERIA = ("cross-covariance", "difference")
"""What stands for I in `published_weight`."""


@final
@dataclass(frozen=True)
class Moments:
    """Second moments of the errors e = y − f of two predictors f₁ and f₈ over the same samples."""

    first: Float[np.ndarray, "entries entries"]
    """T1 = mean of e₁ e₁ᵀ."""
    second: Float[np.ndarray, "entries entries"]
    """T8 = mean of e₈ e₈ᵀ."""
    cross: Float[np.ndarray, "entries entries"]
    """I = mean of e₁ e₈ᵀ."""
    n: int

    @classmethod
    def of(
        cls,
        truth: Float[np.ndarray, "samples entries"],
        first: Float[np.ndarray, "samples entries"],
        second: Float[np.ndarray, "samples entries"],
    ) -> Moments:
        if not len(truth):
            raise InvalidInput("samples: there are none; at least one is needed")
        for what, values in (("truth", truth), ("first", first), ("second", second)):
            if not np.isfinite(values).all():
                raise InvalidInput(f"{what}: {int((~np.isfinite(values)).sum())} values are not finite")
        e, d, n = truth - first, truth - second, len(truth)
        return cls(e.T @ e / n, d.T @ d / n, e.T @ d / n, n)

    @property
    def difference(self) -> Float[np.ndarray, "entries entries"]:
        """Mean of (f₁ − f₈)(f₁ − f₈)ᵀ."""
        return self.first + self.second - self.cross - self.cross.T

    def error(self, weight: float) -> float:
        """Mean squared error, summed over entries, of weight · f₁ + (1 − weight) · f₈."""
        rest = 1 - weight
        return float(np.trace(weight**2 * self.first + rest**2 * self.second + 2 * weight * rest * self.cross))

    def to_json(self) -> dict[str, Any]:
        return {
            "first": self.first.tolist(),
            "second": self.second.tolist(),
            "cross": self.cross.tolist(),
            "n": self.n,
        }


def optimal_weight(moments: Moments) -> float:
    """The weight of f₁ with the least mean squared error: ⟨y − f₈, f₁ − f₈⟩ / |f₁ − f₈|².

    It may lie outside 0..1. Raises `InvalidInput` where the predictors agree on every sample: all weights are then
    equally good.
    """
    apart = float(np.trace(moments.difference))
    size = float(np.trace(moments.first) + np.trace(moments.second))
    if not apart > 1e-14 * size:
        raise InvalidInput("predictors: they agree on every sample, so every weight is optimal; give two that differ")
    return float(np.trace(moments.second) - np.trace(moments.cross)) / apart


def fused_matrix(moments: Moments, weight: float, criterion: str) -> Float[np.ndarray, "entries entries"]:
    """T_fuse = a T1 + (1 − a) T8 − a (1 − a) I, the published matrix at weight a.

    With "difference" for I, the second moment of f₁ − f₈, this is exactly the second moment of the fused error. With
    "cross-covariance", as published, it is not.
    """
    if criterion not in CRITERIA:
        raise InvalidInput(f"criterion: {criterion!r}; one of {', '.join(CRITERIA)}")
    middle = moments.difference if criterion == "difference" else moments.cross
    return weight * moments.first + (1 - weight) * moments.second - weight * (1 - weight) * middle


def published_weight(moments: Moments, criterion: str = "cross-covariance", norm: str = "frobenius") -> float:
    """The weight in 0..1 that minimizes the norm of `fused_matrix`, exactly: the minimum of a polynomial.

    The source names no norm; "frobenius" is the usual one. "trace" stands for the sum of the diagonal, which for second
    moments of errors is the mean squared error: with "difference" its minimizer is `optimal_weight`, where that lies in
    0..1. Of equal minima the smallest weight is returned.
    """
    constant = fused_matrix(moments, 0.0, criterion)
    middle = moments.difference if criterion == "difference" else moments.cross
    parts = (constant, moments.first - moments.second - middle, middle)  # powers 0, 1 and 2 of the weight
    if norm == "trace":
        polynomial = np.polynomial.Polynomial([float(np.trace(part)) for part in parts])
    elif norm == "frobenius":
        coefficients = np.zeros(5)
        for i, one in enumerate(parts):
            for j, other in enumerate(parts):
                coefficients[i + j] += float((one * other).sum())
        polynomial = np.polynomial.Polynomial(coefficients)
    else:
        raise InvalidInput(f"norm: {norm!r}; 'frobenius' and 'trace' are known")
    roots = polynomial.deriv().trim(1e-300).roots()
    inside = [float(root.real) for root in roots if abs(root.imag) < 1e-9 and 0 < root.real < 1]
    candidates = np.array(sorted([0.0, 1.0, *inside]))
    return float(candidates[np.argmin(polynomial(candidates))])
