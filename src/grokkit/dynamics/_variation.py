"""How the norm of a batch's gradient varies from batch to batch, against the batch size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final, overload

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from grokkit.dynamics._gradients import by_run, need_samples, per_sample_gradients
from grokkit.dynamics._loss import Loss, Losses
from grokkit.dynamics._values import Estimate, Undefined, around
from grokkit.scheme import InvalidInput


@final
@dataclass(frozen=True)
class GradientVariation:
    """The coefficient of variation σ / μ of |G_B| over batches, at each batch size, and its power of the size."""

    batch_sizes: tuple[int, ...]
    coefficients: tuple[Estimate | Undefined, ...]
    exponent: Estimate | Undefined
    """b of σ/μ = a Bᵇ, by least squares of the logarithms, with Student's interval of the slope. −1/2 where the mean
    gradient dominates; 0 where noise does, at a stationary point, for then the law of |G_B| keeps its shape."""


@overload
def gradient_variation(
    loss: Loss,
    batch: Any,
    batch_sizes: Sequence[int],
    *,
    draws: int = ...,
    generator: np.random.Generator | None = ...,
    chunk: int | None = ...,
) -> GradientVariation: ...
@overload
def gradient_variation(
    loss: Losses,
    batch: Any,
    batch_sizes: Sequence[int],
    *,
    draws: int = ...,
    generator: np.random.Generator | None = ...,
    chunk: int | None = ...,
) -> tuple[GradientVariation, ...]: ...
def gradient_variation(
    loss: Loss | Losses,
    batch: Any,
    batch_sizes: Sequence[int],
    *,
    draws: int = 400,
    generator: np.random.Generator | None = None,
    chunk: int | None = None,
) -> GradientVariation | tuple[GradientVariation, ...]:
    """σ / μ of the norms |G_B| of `draws` batches of each size, drawn with replacement from the samples of `batch`.

    The samples are the population: with replacement, batches of any size keep their noise. Standard errors are the
    delta method's over draws. Undefined at zero gradients, and without noise. Costs the gradients of all samples, and a
    sum of B of them a draw. Without a `generator`, one of seed 0; runs of a population see the same draws.
    Raises `InvalidInput` for fewer than two samples, draws below ten, or sizes below one.
    """
    sizes = tuple(int(size) for size in batch_sizes)
    if not sizes or min(sizes) < 1 or len(set(sizes)) < len(sizes):
        raise InvalidInput(f"batch_sizes is {sizes}; different sizes of at least 1 are needed")
    if draws < 10:
        raise InvalidInput(f"draws is {draws}; at least 10 are needed")
    generator = generator or np.random.default_rng(0)
    gradients = per_sample_gradients(loss, batch, chunk=chunk)
    samples = gradients.shape[-2]
    even = np.full(samples, 1 / samples)
    weights = [torch.as_tensor(generator.multinomial(size, even, draws) / size) for size in sizes]

    def answer(of_run: Tensor) -> GradientVariation:
        need_samples(of_run, 2, "the variation of gradients")
        exact = of_run.to("cpu", torch.float64)
        if not exact.any():
            nothing = Undefined("every gradient is zero, so their norms have no relative variation")
            return GradientVariation(sizes, (nothing,) * len(sizes), nothing)
        # Norms of rounding are noise of the arithmetic, not of the batches.
        least = torch.finfo(of_run.dtype).eps * float(torch.linalg.vector_norm(exact, dim=1).max())
        coefficients = tuple(
            _coefficient(torch.linalg.vector_norm(share @ exact, dim=1).numpy(), least) for share in weights
        )
        return GradientVariation(sizes, coefficients, _exponent(sizes, coefficients))

    return by_run(loss, gradients, answer)


def _coefficient(norms: Float[np.ndarray, " draws"], least: float) -> Estimate | Undefined:
    n, mean = len(norms), float(norms.mean())
    if mean <= least:
        return Undefined("the gradients of the batches are zero to rounding")
    centered = norms / mean - 1
    variance = float((centered**2).sum() / (n - 1))
    value = float(np.sqrt(variance))
    if value * mean <= least:
        return around(0.0, 0.0, n, n - 1)
    # σ/μ is sqrt(m₂ − μ²) / μ; its derivative along one norm x of mean 1 is ((x − 1)² − σ²) / 2σ − σ (x − 1)
    influence = (centered**2 - variance) / (2 * value) - value * centered
    return around(value, float(influence.std(ddof=1) / np.sqrt(n)), n, n - 1)


def _exponent(sizes: tuple[int, ...], coefficients: tuple[Estimate | Undefined, ...]) -> Estimate | Undefined:
    points = [
        (np.log(size), np.log(found.value))
        for size, found in zip(sizes, coefficients, strict=True)
        if isinstance(found, Estimate) and found.value > 0
    ]
    if len(points) < len(sizes):
        reasons = [found.reason for found in coefficients if isinstance(found, Undefined)]
        return Undefined(reasons[0] if reasons else "gradients do not vary from batch to batch")
    if len(points) < 3:
        return Undefined(f"an exponent with an interval needs three batch sizes; there are {len(points)}")
    x, y = np.array(points).T
    line: Any = stats.linregress(x, y)
    return around(float(line.slope), float(line.stderr), len(points), len(points) - 2)
