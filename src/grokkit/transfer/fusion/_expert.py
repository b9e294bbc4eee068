"""Experts: networks that predict the next state, of different size, frozen before they are fused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float

from grokkit.scheme import InvalidInput
from grokkit.transfer.fusion._network import Network, descend, drawn, forward, frozen


@final
@dataclass(frozen=True)
class Expert:
    """A frozen predictor of the next state. One that does not see the frequency has to average over it."""

    network: Network
    sees_frequency: bool
    seed: int
    loss: float
    """Mean squared error in training, at the end."""

    @property
    def width(self) -> int:
        return len(self.network.b1)

    def __call__(
        self, states: Float[np.ndarray, "samples entries"], frequencies: Float[np.ndarray, " samples"]
    ) -> Float[np.ndarray, "samples entries"]:
        return self.network(_inputs(states, frequencies, self.sees_frequency))

    def to_json(self) -> dict[str, Any]:
        return {
            "width": self.width,
            "parameters": self.network.parameters,
            "sees_frequency": self.sees_frequency,
            "seed": self.seed,
            "loss": self.loss,
        }


def train_expert(
    width: int,
    states: Float[np.ndarray, "samples entries"],
    frequencies: Float[np.ndarray, " samples"],
    following: Float[np.ndarray, "samples entries"],
    seed: int,
    *,
    sees_frequency: bool = False,
    steps: int = 1500,
    rate: float = 1e-2,
) -> Expert:
    """Full-batch Adam on the mean squared error. Weights are drawn from `seed` alone."""
    for what, values in (("states", states), ("frequencies", frequencies), ("following", following)):
        if not np.isfinite(values).all():
            raise InvalidInput(f"{what}: {int((~np.isfinite(values)).sum())} values are not finite")
    if not len(states) or steps < 1:
        raise InvalidInput(f"training: {len(states)} samples and {steps} steps; at least one of each is needed")
    inputs = torch.tensor(_inputs(states, frequencies, sees_frequency))
    wanted = torch.tensor(following)
    weights = drawn(inputs.shape[1], width, wanted.shape[1], seed)
    loss = descend(weights, lambda: ((forward(weights, inputs) - wanted) ** 2).mean(), steps, rate)
    return Expert(frozen(*(weight.detach().numpy() for weight in weights)), sees_frequency, seed, loss)


def _inputs(states: np.ndarray, frequencies: np.ndarray, sees_frequency: bool) -> np.ndarray:
    return np.concatenate([states, frequencies[:, None]], axis=1) if sees_frequency else states
