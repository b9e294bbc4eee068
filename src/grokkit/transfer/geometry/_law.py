"""The law of σ/μ of gradient norms against the batch size: what it follows from, and what is measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float

from grokkit.dynamics import Estimate, GradientVariation, Loss, Undefined, gradient_variation, per_sample_gradients
from grokkit.scheme import InvalidInput


@final
@dataclass(frozen=True)
class VariationLaw:
    """Two limits and the measured coefficients between them.

    Per-sample gradients have mean ḡ and covariance Σ. Where ḡ dominates, σ/μ = sqrt(ḡᵀ Σ ḡ) / |ḡ|² · B^(−1/2). Where
    noise does, |G_B|² is a sum of squares with weights of the eigenvalues of Σ, and σ/μ is about 1/sqrt(2 m), m = (tr
    Σ)² / tr Σ², at any B; for an isotropic Σ, m is the number of parameters. Neither limit is a constant of nature.
    """

    measured: GradientVariation
    signal: float | Undefined
    """sqrt(ḡᵀ Σ ḡ) / |ḡ|²: σ/μ · sqrt(B) where the mean dominates."""
    floor: float | Undefined
    """1/sqrt(2 m): σ/μ where noise dominates."""
    crossover: float | Undefined
    """tr Σ / |ḡ|²: the batch size at which noise and mean are equal."""

    def predicted(self, batch_size: int) -> float | Undefined:
        """The limit that holds at this size: the floor below the crossover, B^(−1/2) above."""
        if isinstance(self.signal, Undefined) or isinstance(self.crossover, Undefined):
            return self.floor
        return self.floor if batch_size < self.crossover else self.signal / math.sqrt(batch_size)

    def beyond(self, factor: float = 4.0) -> Estimate | Undefined:
        """The exponent of the sizes of at least `factor` times the crossover alone, by least squares of the logarithms.

        The standard error is of the coefficients (delta method); normal 95 % interval. Undefined with fewer than two
        sizes.
        """
        if isinstance(self.crossover, Undefined):
            return Undefined("there is no mean gradient, so no size at which it dominates")
        points = [
            (math.log(size), math.log(found.value), found.standard_error / found.value)
            for size, found in zip(self.measured.batch_sizes, self.measured.coefficients, strict=True)
            if isinstance(found, Estimate) and found.value > 0 and size >= factor * self.crossover
        ]
        if len(points) < 2:
            return Undefined(
                f"fewer than two batch sizes are at least {factor:g} times the crossover {self.crossover:.3g}"
            )
        x, y, errors = np.array(points).T
        weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        value, error = float(weights @ y), float(np.sqrt((weights**2) @ (errors**2)))
        return Estimate(value, error, value - 1.959964 * error, value + 1.959964 * error, len(points))


def variation_law(
    loss: Loss,
    batch: Any,
    batch_sizes: Sequence[int],
    *,
    draws: int = 400,
    generator: np.random.Generator | None = None,
) -> VariationLaw:
    """Measures σ/μ at every size (`dynamics.gradient_variation`) and computes both limits from the same samples."""
    measured = gradient_variation(loss, batch, batch_sizes, draws=draws, generator=generator)
    gradients = per_sample_gradients(loss, batch).to("cpu", torch.float64).numpy()
    return VariationLaw(measured, *_limits(gradients))


def _limits(
    gradients: Float[np.ndarray, "samples parameters"],
) -> tuple[float | Undefined, float | Undefined, float | Undefined]:
    if len(gradients) < 2:
        raise InvalidInput(f"a covariance needs at least 2 samples; there is {len(gradients)}")
    mean = gradients.mean(axis=0)
    centered = gradients - mean
    largest = float(np.abs(gradients).max())
    square = float(mean @ mean)
    gram = (
        centered @ centered.T / len(gradients) if len(gradients) < mean.size else centered.T @ centered / len(gradients)
    )
    total, second = float(np.trace(gram)), float((gram * gram).sum())
    floor: float | Undefined = Undefined("gradients do not vary from sample to sample")
    if second > 0:
        floor = math.sqrt(second / (2 * total**2))
    if largest == 0 or square <= (len(mean) * np.finfo(np.float64).eps * largest) ** 2:
        nothing = Undefined("the mean gradient is zero")
        return nothing, floor, nothing
    signal = math.sqrt(float(((centered @ mean) ** 2).mean())) / square
    return signal, floor, total / square
