"""How fast the loss rises around a point: largest curvature, and the worst rise within a ball."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final, overload

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from grokkit.dynamics._batch import count
from grokkit.dynamics._curvature import hessian
from grokkit.dynamics._gradients import mean_gradient
from grokkit.dynamics._loss import Loss, Losses
from grokkit.dynamics._spectrum import Extremes, extreme_eigenvalues
from grokkit.dynamics._values import Undefined
from grokkit.scheme import InvalidInput


@overload
def sharpness(loss: Loss, batch: Any, *, chunk: int | None = None, tolerance: float = 1e-4) -> float | Undefined: ...
@overload
def sharpness(
    loss: Losses, batch: Any, *, chunk: int | None = None, tolerance: float = 1e-4
) -> tuple[float | Undefined, ...]: ...
def sharpness(
    loss: Loss | Losses, batch: Any, *, chunk: int | None = None, tolerance: float = 1e-4
) -> float | Undefined | tuple[float | Undefined, ...]:
    """The largest eigenvalue of the Hessian of the mean loss (Cohen et al. 2021). Gradient descent with a step η is
    stable on the quadratic model only while it is below 2/η. Costs as `extreme_eigenvalues`."""

    def largest(ends: Extremes | Undefined) -> float | Undefined:
        return ends if isinstance(ends, Undefined) else float(ends.largest[0])

    if isinstance(loss, Losses):
        return tuple(map(largest, extreme_eigenvalues(hessian(loss, batch, chunk=chunk), tolerance=tolerance)))
    return largest(extreme_eigenvalues(hessian(loss, batch, chunk=chunk), tolerance=tolerance))


def sam_rise(loss: Loss, batch: Any, radius: float) -> float | Undefined:
    """L(θ + ρ g/|g|) − L(θ), g the gradient at θ: the step of sharpness-aware minimization (Foret et al. 2021).

    A lower bound of the worst rise. Undefined at a zero gradient, where there is no direction.
    """
    _check_radius(radius)
    gradient = mean_gradient(loss, batch)
    size = float(gradient.norm())
    if size == 0:
        return Undefined("the gradient is zero and points nowhere; worst_case_rise does not need one")
    point = loss.vector()
    with torch.no_grad():
        return float(loss.mean(point + radius / size * gradient, batch) - loss.mean(point, batch))


@final
@dataclass(frozen=True)
class Rise:
    """max L(θ + ε) − L(θ) over |ε|₂ ≤ ρ, as far as ascent found it: a lower bound of the maximum, never negative."""

    value: float
    radius: float
    step: torch.Tensor = field(repr=False)
    """The ε that attains the value; of shape (parameters,)."""
    starts: int
    agreeing: int
    """Starts that ended within 1 % of the value. Few of many say that the bound may be loose."""


def worst_case_rise(
    loss: Loss,
    batch: Any,
    radius: float,
    *,
    starts: int = 8,
    steps: int = 100,
    generator: torch.Generator | None = None,
) -> Rise:
    """The largest rise of the loss of a batch in the Euclidean ball of a radius, by ascent from several starts.

    Starts lie on the sphere: along the gradient, along ± the eigenvector of the largest Hessian eigenvalue, and at
    random. Each step follows the gradient and is projected to the ball; its length doubles after a rise and is
    quartered otherwise, when the point stays. The value is a lower bound of the maximum, and no less than `sam_rise`.
    Costs starts × steps gradients of the whole batch. Without a `generator`, one of seed 0.
    """
    _check_radius(radius)
    if starts < 4 or steps < 1:
        raise InvalidInput(f"starts is {starts}, steps {steps}; at least 4 starts and 1 step are needed")
    count(batch)
    point = loss.vector()
    generator = generator or torch.Generator().manual_seed(0)
    directions = [mean_gradient(loss, batch)]
    ends = extreme_eigenvalues(hessian(loss, batch), tolerance=1e-2)
    if not isinstance(ends, Undefined):
        top = torch.as_tensor(ends.largest_vectors[0].copy()).to(point)
        directions += [top, -top]
    directions += [torch.randn(len(point), generator=generator).to(point) for _ in range(starts - len(directions))]
    offsets = radius * torch.stack([_unit(direction) for direction in directions])
    base = float(loss.value(batch))
    evaluate = vmap(grad_and_value(lambda offset: loss.mean(point + offset, batch)))
    gradients, values = evaluate(offsets)
    pace = radius / gradients.norm(dim=1, keepdim=True).clamp_min(torch.finfo(point.dtype).tiny)
    for _ in range(steps):
        trial = offsets + pace * gradients
        trial = trial * (radius / trial.norm(dim=1, keepdim=True).clamp_min(radius))
        new_gradients, new_values = evaluate(trial)
        better = (new_values > values)[:, None]
        offsets, gradients = torch.where(better, trial, offsets), torch.where(better, new_gradients, gradients)
        values = torch.where(better[:, 0], new_values, values)
        pace = torch.where(better, 2 * pace, pace / 4)
    rises = values.double() - base
    best = int(rises.nan_to_num(nan=-torch.inf).argmax())
    value = float(rises[best])
    if not value > 0:  # a maximum, or a flat ball: staying is best
        return Rise(0.0, radius, torch.zeros_like(point), len(offsets), int((rises > -1e-12).sum()))
    return Rise(value, radius, offsets[best].detach(), len(offsets), int((rises >= 0.99 * value).sum()))


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)


def _check_radius(radius: float) -> None:
    if not 0 < radius < float("inf"):
        raise InvalidInput(f"radius is {radius}; a positive number, in units of the parameters, is needed")
