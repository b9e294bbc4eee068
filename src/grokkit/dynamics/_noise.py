"""How much gradients scatter against how large they are: noise scale, normalized diffusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final, overload

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grokkit.dynamics._batch import count, part
from grokkit.dynamics._gradients import by_run, mean_gradient, need_samples, per_sample_gradients
from grokkit.dynamics._loss import Loss, Losses
from grokkit.dynamics._values import Estimate, Undefined, around, jackknife, ratio
from grokkit.scheme import InvalidInput


@final
@dataclass(frozen=True)
class NoiseScale:
    """The simple noise scale tr Σ / |G|² of McCandlish, Kaplan and Amodei (2018), with what it is made of."""

    value: Estimate | Undefined
    """In samples: the batch size at which the noise of a step is as large as its signal."""
    trace: Estimate
    """tr Σ, the total variance of the gradient of one sample. Unbiased."""
    squared_gradient: Estimate
    """|G|², the squared norm of the mean gradient. Unbiased, so it can be negative."""


@overload
def gradient_noise_scale(loss: Loss, batch: Any, *, chunk: int | None = None) -> NoiseScale: ...
@overload
def gradient_noise_scale(loss: Losses, batch: Any, *, chunk: int | None = None) -> tuple[NoiseScale, ...]: ...
def gradient_noise_scale(
    loss: Loss | Losses, batch: Any, *, chunk: int | None = None
) -> NoiseScale | tuple[NoiseScale, ...]:
    """tr Σ / |G|² from the gradients of single samples.

    With n samples, tr Σ = Σᵢ |gᵢ − ḡ|² / (n − 1) and |G|² = |ḡ|² − tr Σ / n, both unbiased. Their covariance is the
    jackknife's, the interval of the ratio Fieller's. Undefined where |G|² is estimated at zero or less, as at a
    stationary point. Raises `InvalidInput` for fewer than three samples.
    """
    return by_run(loss, per_sample_gradients(loss, batch, chunk=chunk), noise_scale_of)


def noise_scale_of(gradients: Float[Tensor, "samples parameters"]) -> NoiseScale:
    """`gradient_noise_scale` of gradients that are at hand."""
    n, _ = need_samples(gradients, 3, "a noise scale with its interval")
    traces, squares = _leave_one_out(gradients)
    covariance = jackknife(np.stack([traces[1:], squares[1:]], axis=1))
    return _noise_scale(traces[0], squares[0], covariance, n)


def noise_scale_of_two_sizes(
    small: Float[np.ndarray, " steps"] | Sequence[float],
    big: Float[np.ndarray, " steps"] | Sequence[float],
    small_size: int,
    big_size: int,
) -> NoiseScale:
    """The noise scale from squared gradient norms at two batch sizes (McCandlish et al. 2018, appendix A.1).

    `small` and `big` hold |G_B|² of batches of `small_size` and `big_size` samples, a pair for each step; a small entry
    may be the mean over several small batches. Each pair gives unbiased |G|² = (B |G_B|² − b |G_b|²) / (B − b) and
    tr Σ = (|G_b|² − |G_B|²) / (1/b − 1/B). Steps count as independent. Raises `InvalidInput` for fewer than two.

    >>> scale = noise_scale_of_two_sizes([3.1, 2.9, 3.0], [1.5, 1.6, 1.4], small_size=1, big_size=4)
    >>> scale.trace.value, scale.squared_gradient.value, scale.value.value
    (2.0, 1.0, 2.0)
    """
    first, second = np.asarray(small, dtype=np.float64), np.asarray(big, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise InvalidInput(
            f"two sizes need as many small as big squared norms, at least two; these are {first.shape}, {second.shape}"
        )
    if not 1 <= small_size < big_size:
        raise InvalidInput(f"the sizes are {small_size} and {big_size}; the small one has to be at least 1 and smaller")
    squares = (big_size * second - small_size * first) / (big_size - small_size)
    traces = (first - second) / (1 / small_size - 1 / big_size)
    covariance = np.cov(traces, squares) / len(traces)
    return _noise_scale(float(traces.mean()), float(squares.mean()), covariance, len(traces))


def noise_scale_by_two_sizes(
    loss: Loss, batches: Sequence[Any], small_size: int, *, chunk: int | None = None
) -> NoiseScale:
    """`noise_scale_of_two_sizes` of a loss: a step for each batch, whose size is the big one.

    Holds one gradient for each small batch at a time, never one for each sample, so it serves models for which
    `gradient_noise_scale` is too large. Raises `InvalidInput` unless all batches have the same size, a multiple of the
    small one.
    """
    sizes = {count(batch) for batch in batches}
    if len(sizes) != 1 or len(batches) < 2:
        raise InvalidInput(
            f"two or more batches of one size are needed; there are {len(batches)} of sizes {sorted(sizes)}"
        )
    big_size = sizes.pop()
    if small_size < 1 or big_size % small_size or small_size == big_size:
        raise InvalidInput(f"the small size {small_size} has to divide the batch size {big_size} and be smaller")
    small, big = [], []
    for batch in batches:
        total, squares = torch.zeros(loss.dimension, dtype=torch.float64), []
        for first in range(0, big_size, small_size):
            rows = slice(first, first + small_size)
            gradient = mean_gradient(loss, part(batch, rows), chunk=chunk).to("cpu", torch.float64)
            squares.append(float(gradient @ gradient))
            total += gradient * (small_size / big_size)
        small.append(float(np.mean(squares)))
        big.append(float(total @ total))
    return noise_scale_of_two_sizes(small, big, small_size, big_size)


@final
@dataclass(frozen=True)
class Diffusion:
    """γ = (η / B) tr(Σ_B) / d, with Σ_B the covariance of the mean gradient of a batch of B samples."""

    gamma: Estimate
    """The normalized diffusion, as the source of this project writes it."""
    per_sample: Estimate
    """(η / B) tr(Σ₁) / d, with the covariance of single samples: B γ where batches are drawn with replacement. In
    stochastic gradient descent this is the variance injected per parameter and unit of time η."""
    sigma_squared: Estimate
    """σ² = tr(Σ_B) / d."""
    learning_rate: float
    batch_size: int


@overload
def normalized_diffusion(
    loss: Loss,
    batch: Any,
    *,
    learning_rate: float,
    batch_size: int,
    dataset: int | None = None,
    chunk: int | None = None,
) -> Diffusion: ...
@overload
def normalized_diffusion(
    loss: Losses,
    batch: Any,
    *,
    learning_rate: float,
    batch_size: int,
    dataset: int | None = None,
    chunk: int | None = None,
) -> tuple[Diffusion, ...]: ...
def normalized_diffusion(
    loss: Loss | Losses,
    batch: Any,
    *,
    learning_rate: float,
    batch_size: int,
    dataset: int | None = None,
    chunk: int | None = None,
) -> Diffusion | tuple[Diffusion, ...]:
    """γ = (η / B) tr(Σ_B) / d of training at a learning rate η with batches of B samples.

    `batch` holds any number of samples n ≥ 3 of the data; tr Σ₁ is estimated from them without bias, and Σ_B = Σ₁ / B
    for batches of independent samples. With `dataset`, batches of B different samples out of that many, and
    Σ_B = Σ₁ / B · (1 − B / dataset): zero for full batches. The standard error is the jackknife's. A zero gradient
    gives γ = 0, which is its value.
    """
    if not 0 < learning_rate < np.inf:
        raise InvalidInput(f"learning_rate is {learning_rate}; a positive number is needed")
    if batch_size < 1 or (dataset is not None and batch_size > dataset):
        raise InvalidInput(f"batch_size is {batch_size}; at least 1 and at most the size of the data set is needed")
    share = 1.0 if dataset is None else 1 - batch_size / dataset

    def answer(gradients: Tensor) -> Diffusion:
        n, parameters = need_samples(gradients, 3, "normalized diffusion with its interval")
        traces, _ = _leave_one_out(gradients)
        error = float(np.sqrt(jackknife(traces[1:, None])[0, 0]))
        step = learning_rate / batch_size

        def scaled(factor: float) -> Estimate:
            return around(factor * traces[0], factor * error, n, n - 1)

        sigma = share / (batch_size * parameters)
        return Diffusion(scaled(step * sigma), scaled(step / parameters), scaled(sigma), learning_rate, batch_size)

    return by_run(loss, per_sample_gradients(loss, batch, chunk=chunk), answer)


def _leave_one_out(
    gradients: Float[Tensor, "samples parameters"],
) -> tuple[Float[np.ndarray, " values"], Float[np.ndarray, " values"]]:
    """Unbiased tr Σ and |G|² = |ḡ|² − tr Σ / n, of all samples first, then with each sample left out; in closed form.

    With cᵢ = gᵢ − ḡ, leaving out sample i moves the mean by −cᵢ / (n − 1) and takes n / (n − 1) |cᵢ|² from Σ |cⱼ|².
    """
    exact = gradients.to(torch.float64)
    mean = exact.mean(dim=0)
    centered = exact - mean
    own = (centered * centered).sum(dim=1).cpu().numpy()
    along = (centered @ mean).cpu().numpy()
    n, all_own, all_mean = len(own), own.sum(), float(mean @ mean)
    trace = all_own / (n - 1)
    traces = np.maximum(all_own - n / (n - 1) * own, 0.0) / (n - 2)
    squares = all_mean - 2 * along / (n - 1) + own / (n - 1) ** 2 - traces / (n - 1)
    return np.append(trace, traces), np.append(all_mean - trace / n, squares)


def _noise_scale(trace: float, square: float, covariance: Float[np.ndarray, "2 2"], n: int) -> NoiseScale:
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return NoiseScale(
        ratio(trace, square, covariance, n, "the squared norm of the mean gradient"),
        around(trace, float(errors[0]), n, n - 1),
        around(square, float(errors[1]), n, n - 1),
    )
