"""The local learning coefficient: how fast the volume of almost equally good parameters grows around a minimum."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from grokkit.dynamics._batch import count, part
from grokkit.dynamics._gradients import mean_gradient
from grokkit.dynamics._loss import Loss
from grokkit.dynamics._values import Estimate, Undefined, mean_of
from grokkit.scheme import InvalidInput

CORRECTED: Final = 0.6
"""Acceptance that the step is tuned to with the correction; 0.574 is best in the limit (Roberts and Rosenthal 1998)."""
UNCORRECTED: Final = 0.98
"""Without it, where what would be rejected is bias."""


@final
@dataclass(frozen=True)
class LearningCoefficient:
    """λ̂ = n β (E[L(w)] − L(w*)) over the chains, and the marks of a chain that can be trusted."""

    value: Estimate | Undefined
    """The mean over chains, with the standard error between chains and Student's interval."""
    chains: Float[np.ndarray, " chains"]
    """λ̂ of each chain."""
    losses: Float[np.ndarray, "chains draws"] = field(repr=False)
    """L(w) − L(w*) along each chain; of the minibatch where there is one."""
    r_hat: float
    """Split-chain potential scale reduction (Gelman et al. 2013) of the losses. Above 1.05, draw more."""
    acceptance: float
    """Share of accepted steps; without correction, of those that would have been at the end of the warm-up."""
    heat: float
    """Variance that minibatches add to each step, over that of the injected noise; 0 for full gradients. It
    raises the temperature by about this share: above 0.1, take larger minibatches or a smaller step."""
    below: float
    """Share of draws with a loss below L(w*). Near 1/2 or above, w* is no minimum, and λ̂ may even be negative."""
    step: float
    beta: float
    localization: float
    samples: int


def local_learning_coefficient(
    loss: Loss,
    batch: Any,
    *,
    samples: int | None = None,
    batch_size: int | None = None,
    beta: float | None = None,
    localization: float = 1.0,
    chains: int = 8,
    draws: int = 2000,
    warm_up: int = 500,
    step: float | None = None,
    generator: torch.Generator | None = None,
    chains_at_once: int | None = None,
) -> LearningCoefficient:
    """The local learning coefficient at the loss's parameters w*, by Langevin dynamics (Lau, Murfet and Wei 2023).

    λ̂ = n β (E[L(w)] − L(w*)) with w from the density ∝ exp(−n β L(w) − γ/2 |w − w*|²), n the number of samples of the
    data (of `batch`, unless `samples` says otherwise), β = 1 / log n unless given, γ the `localization`. L has to be
    a negative log-likelihood per sample for λ to be Watanabe's: half the squared error has unit variance. At a regular
    minimum λ = d/2; singular ones have less. γ confines flat directions and draws λ̂ down a little: for a
    regular direction of curvature h by the factor n β h / (n β h + γ). Chains go as far as √(d/γ) in flat directions, d
    the number of parameters: with many, raise γ until that is small beside the norm of w*, and look at R-hat.

    With full gradients (`batch_size=None`) each step is accepted or rejected after Metropolis, so that the step size
    leaves no bias. With minibatches (drawn with replacement, one for each chain) it is plain SGLD (Welling and Teh
    2011): w ← w − (ε/2)(n β ∇L_B(w) + γ (w − w*)) + √ε N(0, I); the loss at w* of the same minibatch is subtracted,
    which leaves the mean and takes most of the variance. `step` is ε; None: tuned over the `warm_up` steps, which run
    on full gradients. All chains run together, so memory is that of `chains` (or `chains_at_once`) gradients.
    Without a `generator`, one of seed 0. Undefined where a chain runs off to losses that are not finite.
    """
    n = count(batch) if samples is None else samples
    _check(n, beta, localization, chains, draws, warm_up, step, batch_size)
    beta = 1 / math.log(n) if beta is None else beta
    generator = generator or torch.Generator().manual_seed(0)
    mean_gradient(loss, batch)  # refuses what is not finite at the start
    center = loss.vector()
    full = vmap(grad_and_value(loss.mean), in_dims=(0, None), chunk_size=chains_at_once)
    walk = _Walk(full, center, batch, n * beta, localization, chains, generator)
    acceptance = walk.warm_up(warm_up, step, CORRECTED if batch_size is None else UNCORRECTED)
    heat = 0.0
    if batch_size is None:
        losses, acceptance = walk.corrected(draws)
    else:
        own = vmap(grad_and_value(loss.mean), in_dims=(0, 0), chunk_size=chains_at_once)
        at_center = vmap(loss.mean, in_dims=(None, 0), chunk_size=chains_at_once)

        def draw() -> Any:
            rows = torch.randint(0, count(batch), (chains * batch_size,), generator=generator)
            return _fold(part(batch, rows), chains)

        losses, heat = walk.plain(draws, draw, own, at_center)
    found = n * beta * losses.mean(axis=1)
    if np.isfinite(found).all():
        value: Estimate | Undefined = mean_of(found)
    else:
        value = Undefined(
            f"{int((~np.isfinite(found)).sum())} of {chains} chains ran off to losses that are not finite: "
            "give a smaller step or a larger localization"
        )
    below = float((losses < 0).mean())
    return LearningCoefficient(
        value, found, losses, _r_hat(losses), acceptance, heat, below, walk.step, beta, localization, n
    )


@final
class _Walk:
    """Langevin chains about a center, stepped together."""

    def __init__(
        self,
        full: Callable[..., Any],
        center: Tensor,
        batch: Any,
        weight: float,
        localization: float,
        chains: int,
        generator: torch.Generator,
    ) -> None:
        self.full, self.center, self.batch = full, center, batch
        self.weight, self.localization, self.generator = weight, localization, generator
        self.at = center.expand(chains, -1).clone()
        self.gradient, self.loss = self._evaluate(self.at)
        self.base = self.loss[0].clone()
        self.step = 1.0

    def _evaluate(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of the potential, and the loss, at each chain."""
        gradient, loss = self.full(at, self.batch)
        return self.weight * gradient.detach() + self.localization * (at - self.center), loss.detach()

    def _noise(self) -> Tensor:
        return torch.randn(self.at.shape, generator=self.generator, dtype=self.at.dtype).to(self.at)

    def _potential(self, at: Tensor, loss: Tensor) -> Tensor:
        spring = self.localization / 2 * ((at - self.center) ** 2).sum(dim=1)
        return self.weight * (loss - self.base) + spring

    def _drift(self, gradient: Tensor) -> Tensor:
        """−ε/2 times the gradient, no longer than the noise is: without the bound, a chain would be stuck where the
        potential rises faster than a parabola (Roberts and Tweedie 1996, MALTA). Acceptance makes up for the bound."""
        drift = -self.step / 2 * gradient
        size = drift.norm(dim=1, keepdim=True)
        longest = math.sqrt(self.step * drift.shape[1])
        return drift * (longest / size.clamp_min(longest))

    def _corrected_step(self) -> float:
        """A Metropolis-adjusted step of every chain; the mean probability of acceptance."""
        noise = self._noise()
        trial = self.at + self._drift(self.gradient) + math.sqrt(self.step) * noise
        gradient, loss = self._evaluate(trial)
        back = self.at - trial - self._drift(gradient)
        log_ratio = self._potential(self.at, self.loss) - self._potential(trial, loss)
        log_ratio = log_ratio - (back**2).sum(dim=1) / (2 * self.step) + (noise**2).sum(dim=1) / 2
        log_ratio = torch.nan_to_num(log_ratio, nan=-torch.inf)
        uniform = torch.rand(len(trial), generator=self.generator, dtype=self.at.dtype).to(self.at)
        taken = uniform.log() < log_ratio
        self.at = torch.where(taken[:, None], trial, self.at)
        self.gradient = torch.where(taken[:, None], gradient, self.gradient)
        self.loss = torch.where(taken, loss, self.loss)
        return float(log_ratio.clamp(max=0.0).exp().mean())

    def warm_up(self, steps: int, step: float | None, goal: float) -> float:
        """Leave the center, and tune the step to an acceptance; the acceptance of the last half."""
        if step is not None:
            self.step = step
            return float(np.mean([self._corrected_step() for _ in range(steps)][steps // 2 :] or [math.nan]))
        self.step = 1.0 / self.localization
        while self.step > 1e-30:  # to the right magnitude, from wherever the curvature puts it
            before = (self.at, self.gradient, self.loss)
            if self._corrected_step() > 0.5:
                break
            self.at, self.gradient, self.loss = before
            self.step /= 4
        average, rates = math.log(self.step), []
        for turn in range(steps):
            rates.append(self._corrected_step())
            self.step *= math.exp((rates[-1] - goal) * 2 / (1 + turn / 10) ** 0.6)
            pace = (1 + turn) ** -0.6  # iterates late in the warm-up count for more
            average += pace * (math.log(self.step) - average)
        self.step = math.exp(average)
        return float(np.mean(rates[steps // 2 :]))

    def corrected(self, draws: int) -> tuple[Float[np.ndarray, "chains draws"], float]:
        losses, rates = [], []
        for _ in range(draws):
            rates.append(self._corrected_step())
            losses.append(self.loss - self.base)
        return torch.stack(losses, dim=1).to("cpu", torch.float64).numpy(), float(np.mean(rates))

    def plain(
        self, draws: int, draw: Callable[[], Any], own: Callable[..., Any], at_center: Callable[..., Tensor]
    ) -> tuple[Float[np.ndarray, "chains draws"], float]:
        """SGLD. The heat is measured on the last tenth of the draws, from a second minibatch at the same point."""
        losses, spreads = [], []
        for turn in range(draws):
            minibatch = draw()
            gradient, loss = own(self.at, minibatch)
            losses.append(loss.detach() - at_center(self.center, minibatch).detach())
            if turn >= draws - max(draws // 10, 1):
                other, _ = own(self.at, draw())
                spreads.append(float(((gradient - other) ** 2).sum(dim=1).mean()) / 2)
            force = self.weight * gradient.detach() + self.localization * (self.at - self.center)
            self.at = self.at - self.step / 2 * force + math.sqrt(self.step) * self._noise()
        heat = self.step / 4 * self.weight**2 * float(np.mean(spreads)) / self.at.shape[1]
        return torch.stack(losses, dim=1).to("cpu", torch.float64).numpy(), heat


def _fold(batch: Any, chains: int) -> Any:
    return tree_map(lambda leaf: leaf.reshape(chains, -1, *leaf.shape[1:]), batch)


def _r_hat(losses: Float[np.ndarray, "chains draws"]) -> float:
    half = losses.shape[1] // 2
    pieces = np.concatenate([losses[:, :half], losses[:, -half:]])
    within = pieces.var(axis=1, ddof=1).mean()
    between = pieces.mean(axis=1).var(ddof=1)
    return float(math.sqrt((half - 1) / half + between / within)) if within > 0 else math.nan


def _check(
    n: int,
    beta: float | None,
    localization: float,
    chains: int,
    draws: int,
    warm_up: int,
    step: float | None,
    batch_size: int | None,
) -> None:
    if n < 2:
        raise InvalidInput(f"the data has {n} samples, for which 1 / log n is not defined: give samples=")
    for name, value in (("beta", beta), ("step", step), ("localization", localization)):
        if value is not None and not 0 < value < math.inf:
            raise InvalidInput(f"{name} is {value}; a positive number is needed")
    least = {"chains": (chains, 2), "draws": (draws, 4), "warm_up": (warm_up, 10), "batch_size": (batch_size, 1)}
    for name, (value, low) in least.items():
        if value is not None and value < low:
            raise InvalidInput(f"{name} is {value}; at least {low} is needed")
