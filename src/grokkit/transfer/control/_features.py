"""How many features of a representation carry its activity: F_eff = exp(H(p)), Ψ = F_eff / d, effective rank."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from grokkit.scheme import InvalidInput


@final
@dataclass(frozen=True)
class EffectiveFeatures:
    """The spread of activity over d features, with the autoencoder that made them if there was one."""

    entropy: float
    """H(p) in nats, p the shares of the features in the mean magnitude."""
    dimension: int
    width: int | None = None
    """Hidden units of the sparse autoencoder whose code was measured."""
    strength: float | None = None
    """Its sparsity weight λ. Ψ means little without both: it can be had at any value by choosing λ."""

    @property
    def count(self) -> float:
        """F_eff = exp(H(p)), between 1 and d."""
        return math.exp(self.entropy)

    @property
    def psi(self) -> float:
        """Ψ = F_eff / d."""
        return self.count / self.dimension


def effective_features(
    activations: Any, *, width: int | None = None, strength: float | None = None
) -> EffectiveFeatures:
    """F_eff of activations (samples, features), an array or tensor; leading axes beyond one count as samples.

    p_i = Σ|a_i| / Σ|a| over the samples. Invariant under permutations of features and a common scale; not under scales
    of single features, which p is meant to see. Raises `InvalidInput` for activations that are not finite, all zero or
    without a feature axis.

    >>> round(effective_features(np.eye(4)[:, :3]).count, 12)
    3.0
    """
    matrix = np.abs(as_matrix(activations))
    # By the largest first: neither subnormal nor huge activations lose the invariance under scale.
    largest = matrix.max()
    if largest == 0:
        raise InvalidInput("every activation is zero, so they have no shares: measure before the features have died")
    totals = (matrix / largest).sum(axis=0)
    return EffectiveFeatures(_entropy(totals / totals.sum()), matrix.shape[1], width, strength)


def activation_entropy(activations: Any) -> float:
    """S = −Σ λ log λ over the eigenvalues of H Hᵀ / tr(H Hᵀ), in nats: von Neumann's entropy of the reduced state.

    H is (samples, features), not centered; H Hᵀ and Hᵀ H have the same nonzero spectrum, so the smaller is meant.
    exp(S) is the effective rank (Roy and Vetterli 2007, of squared singular values): k for a projector of rank k.
    Raises `InvalidInput` as `effective_features` does.

    >>> round(math.exp(activation_entropy(np.diag([1.0, 1.0, 0.0]))), 12)
    2.0
    """
    matrix = as_matrix(activations)
    largest = np.abs(matrix).max()
    if largest == 0:
        raise InvalidInput("every activation is zero, so H Hᵀ has no trace to divide by: measure a live layer")
    weights = np.linalg.svd(matrix / largest, compute_uv=False) ** 2
    return _entropy(weights / weights.sum())


def as_matrix(activations: Any, what: str = "the activations") -> np.ndarray:
    """Activations as float64 (samples, features), checked."""
    if isinstance(activations, torch.Tensor):
        activations = activations.detach().to("cpu", torch.float64).numpy()
    try:
        array = np.asarray(activations, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"{what} cannot be read as one array of numbers ({error}); give samples × features"
        ) from None
    if array.ndim < 2 or not array.size:
        raise InvalidInput(f"{what} have shape {array.shape}; samples × features are needed, at least one of each")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise InvalidInput(f"{what} hold NaN or infinity in {bad} of {array.size} places; stop at the step before")
    return array.reshape(-1, array.shape[-1])


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return max(0.0, float(-(positive * np.log(positive)).sum()))
