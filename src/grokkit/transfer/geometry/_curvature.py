"""Curvature of a metric by automatic differentiation, and why a singular Fisher metric has none."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev

from grokkit.dynamics import Undefined
from grokkit.scheme import InvalidInput

Metric = Callable[[Float[Tensor, " n"]], Float[Tensor, "n n"]]


def scalar_curvature(metric: Metric, point: Float[Tensor, " n"]) -> float | Undefined:
    """R of a Riemannian metric at a point; undefined where the metric is singular.

    Γᵏᵢⱼ = ½ gᵏˡ (∂ᵢ gⱼₗ + ∂ⱼ gᵢₗ − ∂ₗ gᵢⱼ), Rᵢⱼ = ∂ₖ Γᵏᵢⱼ − ∂ⱼ Γᵏᵢₖ + Γᵏₖₗ Γˡᵢⱼ − Γᵏⱼₗ Γˡᵢₖ, R = gⁱʲ Rᵢⱼ: 2/r² on a
    sphere of radius r, −2 on the hyperbolic plane. n⁴ memory: for a few parameters.

    >>> round(scalar_curvature(lambda x: torch.eye(2, dtype=x.dtype) / x[1] ** 2, torch.tensor([0.0, 2.0])), 4)
    -2.0
    """
    if point.ndim != 1 or len(point) < 2:
        raise InvalidInput(f"the point has shape {tuple(point.shape)}; a vector of at least 2 coordinates is needed")
    point = point.to(torch.float64)
    at = metric(point)
    if at.shape != (len(point), len(point)) or not bool(torch.isfinite(at).all()):
        raise InvalidInput(f"the metric has shape {tuple(at.shape)} at a point of {len(point)}, or is not finite there")
    values = torch.linalg.eigvalsh(at)
    limit = len(point) * torch.finfo(torch.float64).eps * float(values.abs().max())
    rank = int((values.abs() > limit).sum())
    if rank < len(point):
        return Undefined(
            f"the metric has rank {rank} of {len(point)} here, so gⁱʲ, Γᵏᵢⱼ and the Ricci tensor do not exist"
        )

    def christoffel(x: Tensor) -> Tensor:
        inverse = torch.linalg.inv(metric(x))
        d = jacrev(metric)(x)  # d[i, j, k] = ∂ₖ gᵢⱼ
        lowered = d.permute(2, 0, 1) + d.permute(0, 2, 1) - d  # [i, j, l]: ∂ᵢ gⱼₗ + ∂ⱼ gᵢₗ − ∂ₗ gᵢⱼ
        return 0.5 * torch.einsum("kl,ijl->kij", inverse, lowered)

    gamma, slope = christoffel(point), jacrev(christoffel)(point)  # slope[k, i, j, m] = ∂ₘ Γᵏᵢⱼ
    ricci = (
        torch.einsum("kijk->ij", slope)
        - torch.einsum("kikj->ij", slope)
        + torch.einsum("kkl,lij->ij", gamma, gamma)
        - torch.einsum("kjl,lik->ij", gamma, gamma)
    )
    return float((torch.linalg.inv(at) * ricci).sum())


def product_metric(epsilon: float = 0.0, stretch: float = 1.0) -> Metric:
    """The Fisher metric of the model f = u v with unit Gaussian noise, plus ε diag(1, `stretch`).

    g = ∇f ∇fᵀ has rank 1 everywhere but at the origin, where it is zero: the smallest bilinear slot. With ε > 0 it is
    the metric of a graph, of scalar curvature −2 s / (s ε + u² + s v²)², s the stretch (Gauss's formula).
    """
    if not (epsilon >= 0 and stretch > 0):
        raise InvalidInput(f"epsilon is {epsilon} and stretch {stretch}; epsilon >= 0 and stretch > 0 are needed")

    def metric(x: Tensor) -> Tensor:
        slope = torch.stack([x[1], x[0]])
        ridge = torch.stack([torch.ones_like(x[0]), stretch * torch.ones_like(x[0])])
        return torch.outer(slope, slope) + epsilon * torch.diag(ridge)

    return metric
