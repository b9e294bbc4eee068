"""The gradient of every sample, and the spread of gradients over samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, final, overload

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import grad, vmap

from grokkit.dynamics._batch import count, part, slices
from grokkit.dynamics._loss import Loss, Losses
from grokkit.dynamics._values import Undefined
from grokkit.scheme import InvalidInput

Result = TypeVar("Result")


def per_sample_gradients(
    loss: Loss | Losses, batch: Any, *, chunk: int | None = None
) -> Float[Tensor, "*runs samples parameters"]:
    """The gradient of the loss of each sample, in the order of the flattened parameters.

    Costs one forward and one backward pass, and holds samples × parameters numbers; `chunk` bounds the samples that are
    differentiated at once. A population's result has a leading run axis. Raises `NotFinite`, naming the parameter,
    for a gradient that is not finite.

    >>> line = Loss(lambda p, x: 0.5 * (p["w"] - x) ** 2, {"w": torch.tensor(1.0)})
    >>> per_sample_gradients(line, torch.tensor([0.0, 3.0]))
    tensor([[ 1.],
            [-2.]])
    """
    if isinstance(loss, Losses):
        samples, axis = loss.samples(batch), 1 if loss.own_batches else 0
        one = loss[0]
        each = vmap(vmap(grad(one.one), in_dims=(None, 0)), in_dims=(0, 0 if loss.own_batches else None))
        point = loss.vectors()
    else:
        samples, axis, one, point = count(batch), 0, loss, loss.vector()
        each = vmap(grad(one.one), in_dims=(None, 0))
    pieces = [each(point, part(batch, rows, axis)) for rows in slices(samples, chunk)]
    gradients = torch.cat(pieces, dim=-2).detach()
    check_finite(one, gradients, "the gradient")
    return gradients


def mean_gradient(loss: Loss, batch: Any, *, chunk: int | None = None) -> Float[Tensor, " parameters"]:
    """The gradient of the mean loss over a batch, without holding a gradient for each sample."""
    samples, point = count(batch), loss.vector()
    total = torch.zeros_like(point)
    for rows in slices(samples, chunk):
        share = (rows.stop - rows.start) / samples
        total += share * grad(loss.mean)(point, part(batch, rows)).detach()
    check_finite(loss, total, "the gradient")
    return total


@final
class NotFinite(InvalidInput):
    """A derivative is NaN or infinite. The message names the parameter."""


def check_finite(loss: Loss, tensor: Float[Tensor, "*any parameters"], what: str) -> None:
    """Raise `NotFinite`, naming the parameter, if an entry is NaN or infinite."""
    bad = ~torch.isfinite(tensor)
    if bad.any():
        index = int(bad.reshape(-1, tensor.shape[-1]).any(dim=0).nonzero()[0])
        raise NotFinite(
            f"{what} is not finite in parameter {loss.place(index)!r}: the loss overflows or is not differentiable "
            "there; check the parameters and the batch for NaN, or use a wider float type"
        )


def by_run(loss: Loss | Losses, tensor: Tensor, answer: Callable[[Tensor], Result]) -> Result | tuple[Result, ...]:
    """The answer for a loss, or one for each run of a population along the leading axis."""
    return tuple(answer(one) for one in tensor) if isinstance(loss, Losses) else answer(tensor)


@final
@dataclass(frozen=True)
class GradientCovariance:
    """The covariance Σ of single-sample gradients, unbiased (divisor n − 1), and its spectrum.

    At most n − 1 of its eigenvalues can differ from zero, so a condition number says little without the rank.
    """

    eigenvalues: Float[np.ndarray, " rank"]
    """Those above the tolerance, descending. Units: squared loss over squared parameter."""
    trace: float
    rank: int
    tolerance: float
    """Eigenvalues up to this count as zero: ((largest singular value of the gradients) · max(n, d) · ε)² / (n − 1),
    with ε the spacing of the gradients' float type at 1."""
    condition: float | Undefined
    """Largest over smallest of the `rank` eigenvalues."""
    samples: int
    parameters: int

    @property
    def per_parameter(self) -> float:
        """tr Σ / d."""
        return self.trace / self.parameters


@overload
def gradient_covariance(loss: Loss, batch: Any, *, chunk: int | None = None) -> GradientCovariance: ...
@overload
def gradient_covariance(loss: Losses, batch: Any, *, chunk: int | None = None) -> tuple[GradientCovariance, ...]: ...
def gradient_covariance(
    loss: Loss | Losses, batch: Any, *, chunk: int | None = None
) -> GradientCovariance | tuple[GradientCovariance, ...]:
    """The covariance of the gradients of single samples. That of the mean over B of them, drawn apart, is Σ / B.

    Computed from the singular values of the centered n × d matrix of gradients, in float64; the d × d matrix is never
    formed. Costs O(n d min(n, d)). Raises `InvalidInput` for fewer than two samples.
    """
    return by_run(loss, per_sample_gradients(loss, batch, chunk=chunk), covariance_of)


def covariance_of(gradients: Float[Tensor, "samples parameters"]) -> GradientCovariance:
    """`gradient_covariance` of gradients that are at hand.

    >>> covariance_of(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]], dtype=torch.float64)).condition
    4.0
    """
    samples, parameters = need_samples(gradients, 2, "a covariance")
    exact = gradients.to("cpu", torch.float64)
    if parameters > samples:  # the rows in an orthonormal basis of their span
        exact = torch.linalg.qr(exact.T, mode="r").R.T
    size = float(torch.linalg.matrix_norm(exact, ord=2))
    singular = torch.linalg.svdvals(exact - exact.mean(dim=0)).numpy()
    tolerance = (size * max(samples, parameters) * torch.finfo(gradients.dtype).eps) ** 2 / (samples - 1)
    every = singular**2 / (samples - 1)
    eigenvalues = every[every > tolerance]
    rank = len(eigenvalues)
    condition: float | Undefined
    if size == 0:
        condition = Undefined("every gradient is zero, so the covariance is zero and has no condition")
    elif rank == 0:
        condition = Undefined(f"the {samples} gradients are equal to rounding, so the covariance is zero")
    else:
        condition = float(eigenvalues[0] / eigenvalues[-1])
    return GradientCovariance(eigenvalues, float(every.sum()), rank, tolerance, condition, samples, parameters)


def need_samples(gradients: Float[Tensor, "samples parameters"], least: int, what: str) -> tuple[int, int]:
    """The shape, checked. Raises `InvalidInput` for fewer samples than `least`."""
    samples, parameters = gradients.shape
    if samples < least:
        raise InvalidInput(f"{what} needs at least {least} samples; the batch has {samples}")
    return samples, parameters
