"""Natural gradient where the Fisher information is singular: a pseudo-inverse, with what it leaves out reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grokkit.dynamics import Loss, Undefined, fisher, mean_gradient
from grokkit.scheme import InvalidInput


@final
@dataclass(frozen=True)
class NaturalStep:
    """−F⁺ ∇L, of which a multiple is added to the parameters."""

    direction: Float[Tensor, " parameters"]
    rank: int
    """Of the Fisher information F."""
    dimension: int
    outside: float | Undefined
    """‖component of ∇L in the kernel of F‖ / ‖∇L‖: what the step cannot lower; undefined at zero gradient."""
    decrease: float
    """∇Lᵀ F⁺ ∇L: the rate at which L falls along the direction."""

    @property
    def nullity(self) -> int:
        """The directions in which no inverse metric exists."""
        return self.dimension - self.rank


def natural_step(
    loss: Loss,
    batch: Any,
    *,
    likelihood: Literal["categorical", "bernoulli", "gaussian"] | None = "gaussian",
    relative: float | None = None,
) -> NaturalStep:
    """The natural-gradient step (Amari 1998) by the Moore-Penrose inverse of the dense Fisher information.

    Eigenvalues up to `relative` times the largest count as zero; None: d · ε of the model's float type. `likelihood`
    as in `dynamics.fisher`; None is the empirical Fisher. The function change of the step does not depend on how the
    model is parameterized, as long as its tangent space is the same. d² memory, d³ time.
    """
    if relative is not None and not 0 < relative < 1:
        raise InvalidInput(f"relative is {relative}; a number between 0 and 1 is needed, or None")
    gradient = mean_gradient(loss, batch).to("cpu", torch.float64)
    matrix = fisher(loss, batch, likelihood=likelihood).dense()
    limit = loss.dimension * torch.finfo(matrix.dtype).eps if relative is None else relative
    values, vectors = torch.linalg.eigh(matrix.to("cpu", torch.float64))
    kept = values > limit * values.max().clamp(min=0)
    along = vectors[:, kept].T @ gradient
    direction = -(vectors[:, kept] @ (along / values[kept]))
    norm = float(gradient.norm())
    outside: float | Undefined = Undefined("the gradient is zero, so it has no shares")
    if norm > 0:
        outside = float((gradient - vectors[:, kept] @ along).norm()) / norm
    decrease = float((along.square() / values[kept]).sum())
    return NaturalStep(direction, int(kept.sum()), loss.dimension, outside, decrease)


def inverse_metric(metric: np.ndarray, *, relative: float | None = None) -> Float[np.ndarray, "n n"] | Undefined:
    """g⁻¹ of a Fisher metric, or `Undefined` with its rank and the computation that shows it.

    >>> print(inverse_metric(np.diag([1.0, 0.0])))
    undefined (the metric has rank 1 of 2: ‖(g + ε)⁻¹‖ is 1e+03, 1e+06, 1e+09 at ε = 1e-3, 1e-6, 1e-9 of its norm)
    """
    g = np.asarray(metric, dtype=np.float64)
    if g.ndim != 2 or g.shape[0] != g.shape[1] or not g.size or not np.isfinite(g).all():
        raise InvalidInput(f"the metric has shape {g.shape}; a square, finite matrix is needed")
    if not np.allclose(g, g.T, rtol=1e-9, atol=1e-12 * float(np.abs(g).max())):
        raise InvalidInput("the metric is not symmetric; give (g + gᵀ)/2 if only rounding is at fault")
    values = np.linalg.eigvalsh((g + g.T) / 2)
    largest = float(np.abs(values).max())
    if largest == 0:
        return Undefined(f"the metric is zero: rank 0 of {len(g)}")
    limit = (len(g) * np.finfo(np.float64).eps if relative is None else relative) * largest
    rank = int((np.abs(values) > limit).sum())
    if rank == len(g):
        return np.linalg.inv((g + g.T) / 2)
    clean = np.where(np.abs(values) > limit, values / largest, 0)
    sizes = ", ".join(f"{1 / np.abs(clean + epsilon).min():.0e}" for epsilon in (1e-3, 1e-6, 1e-9))
    return Undefined(
        f"the metric has rank {rank} of {len(g)}: ‖(g + ε)⁻¹‖ is {sizes} at ε = 1e-3, 1e-6, 1e-9 of its norm"
    )
