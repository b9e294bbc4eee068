"""A sparse autoencoder on a drifting stream, with its sparsity weight fixed or steered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grokkit.scheme import InvalidInput
from grokkit.transfer.control._autoencoder import SparseAutoencoder
from grokkit.transfer.control._controller import SparsityCallback, SparsityController, psi_or_zero


@final
@dataclass(frozen=True)
class DriftingSources:
    """x = A(t) D(t) s + noise: `sources` sparse nonnegative s, a dictionary that turns, an amplitude that falls.

    The amplitude is 1 up to `onset` of the steps and falls linearly to `floor` at `settled`; the dictionary turns at a
    constant rate by `turn` radians in all, in planes drawn from the seed.
    """

    inputs: int = 16
    sources: int = 16
    probability: float = 0.2
    """That a source is active."""
    noise: float = 0.02
    onset: float = 0.4
    settled: float = 0.6
    floor: float = 0.2
    turn: float = 0.5

    def __post_init__(self) -> None:
        if not (0 < self.onset < self.settled < 1 and 0 < self.floor <= 1 and 0 < self.probability <= 1):
            raise InvalidInput(
                f"onset {self.onset}, settled {self.settled}, floor {self.floor}, probability {self.probability}: "
                "0 < onset < settled < 1, 0 < floor <= 1 and 0 < probability <= 1 are needed"
            )
        if min(self.inputs, self.sources) < 2:
            raise InvalidInput(f"{self.inputs} inputs and {self.sources} sources; at least 2 of each are needed")

    def amplitude(self, time: float) -> float:
        """At a time between 0 and 1."""
        share = min(max((time - self.onset) / (self.settled - self.onset), 0.0), 1.0)
        return 1 + share * (self.floor - 1)

    def dictionary(self, time: float, seed: int) -> Float[Tensor, "inputs sources"]:
        """Unit columns; the same seed gives the same path."""
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(self.inputs, self.sources, generator=generator)
        spin = torch.randn(self.inputs, self.inputs, generator=generator)
        spin = (spin - spin.T) / (2 * math.sqrt(self.inputs))
        turned = torch.linalg.matrix_exp(self.turn * time * spin) @ start
        return turned / turned.norm(dim=0)

    def batch(
        self, time: float, dictionary: Float[Tensor, "inputs sources"], samples: int, generator: torch.Generator
    ) -> Float[Tensor, "samples inputs"]:
        active = torch.rand(samples, self.sources, generator=generator) < self.probability
        sizes = 0.5 + torch.rand(samples, self.sources, generator=generator)
        clean = self.amplitude(time) * (active * sizes) @ dictionary.T
        return clean + self.noise * torch.randn(samples, self.inputs, generator=generator)


@final
@dataclass(frozen=True)
class DriftTrace:
    """One run: a row a record."""

    policy: str
    seed: int
    width: int
    """Hidden units of the autoencoder."""
    steps: Float[np.ndarray, " records"]
    psi: Float[np.ndarray, " records"]
    """Of a batch of its own; 0 where no unit is active."""
    strength: Float[np.ndarray, " records"]
    explained: Float[np.ndarray, " records"]
    """1 − residual / variance of the batch."""
    onset: float
    """In steps."""

    @property
    def before(self) -> float:
        """Mean Ψ over the fifth of the run that ends at the onset."""
        span = self.steps[-1] / 5
        return float(self.psi[(self.steps <= self.onset) & (self.steps > self.onset - span)].mean())

    @property
    def after(self) -> float:
        """Mean Ψ over the last fifth."""
        return float(self.psi[self.steps > 0.8 * self.steps[-1]].mean())

    @property
    def explained_after(self) -> float:
        """Mean share of variance explained over the last fifth."""
        return float(self.explained[self.steps > 0.8 * self.steps[-1]].mean())

    @property
    def collapsed(self) -> bool:
        """Ψ after the drift is under half of what it was."""
        return self.after < 0.5 * self.before


def run_drift(
    controller: SparsityController,
    seed: int,
    *,
    sources: DriftingSources | None = None,
    width: int = 32,
    steps: int = 3000,
    samples: int = 64,
    learning_rate: float = 3e-3,
    every: int = 50,
) -> DriftTrace:
    """Trains a sparse autoencoder of `width` on the stream by Adam, from the seed alone; the same seed, the same
    stream.

    The objective is ‖x − x̂‖² / 2 a sample plus width times the callback's penalty, so that λ weighs the L1 norm of a
    code.
    """
    stream = sources or DriftingSources()
    if steps < 10 * every:
        raise InvalidInput(f"{steps} steps with a record every {every}; at least ten records are needed")
    generator = torch.Generator().manual_seed(seed)
    model = SparseAutoencoder(stream.inputs, width, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    rows = []
    dictionary = stream.dictionary(0, seed)
    with SparsityCallback(model, "code", controller) as callback:
        for step in range(steps + 1):
            time = step / steps
            if step % every == 0:
                dictionary = stream.dictionary(time, seed)
            x = stream.batch(time, dictionary, samples, generator)
            residual = (model(x) - x).square().sum(dim=1).mean() / 2
            objective = residual + width * callback.penalty()
            optimizer.zero_grad()
            objective.backward()
            if step % every == 0:
                rows.append(_record(model, stream, time, dictionary, seed + 10**6 + step, callback, step))
            optimizer.step()
    steps_, psi, strength, explained = np.array(rows).T
    return DriftTrace(controller.policy, seed, width, steps_, psi, strength, explained, stream.onset * steps)


def _record(
    model: SparseAutoencoder,
    stream: DriftingSources,
    time: float,
    dictionary: Tensor,
    seed: int,
    callback: SparsityCallback,
    step: int,
) -> tuple[float, float, float, float]:
    x = stream.batch(time, dictionary, 512, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        code = model.code(model.encoder(x))
        residual = (model(x) - x).square().sum()
    explained = 1 - float(residual / (x - x.mean(dim=0)).square().sum())
    return float(step), psi_or_zero(code), callback.trace[-1]["strength"], explained
