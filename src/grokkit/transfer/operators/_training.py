"""Training of neural operators: the same seed, the same weights."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float

from grokkit.scheme import InvalidInput
from grokkit.transfer.operators._fno import NeuralOperator, OperatorConfig, check_nodes


@final
@dataclass(frozen=True)
class TrainingSettings:
    """Adam on the mean squared error; the rate falls to zero over the steps along a cosine."""

    steps: int = 1000
    batch: int = 64
    rate: float = 4e-3

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise InvalidInput(f"training: {self.steps} steps of batches of {self.batch}; both must be at least 1")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise InvalidInput(f"training: the rate is {self.rate}; it must be positive and finite")


@final
@dataclass(frozen=True)
class TrainedOperator:
    """A neural operator after training, and how it got there. A function of NumPy arrays on any grid it can hold."""

    config: OperatorConfig
    settings: TrainingSettings
    seed: int
    nodes: int
    """Of each axis of the grid of training."""
    losses: Float[np.ndarray, " steps"]
    module: NeuralOperator

    @property
    def parameters(self) -> int:
        """Real numbers that were trained."""
        counts = (each.numel() * (2 if each.is_complex() else 1) for each in self.module.parameters())
        return sum(counts)

    def __call__(self, fields: Float[np.ndarray, "fields inputs *nodes"], hop: int = 1) -> Float[np.ndarray, "..."]:
        """The next fields, (fields, outputs, *nodes), float64."""
        given = _tensor(fields, "fields", self.config.dtype)
        with torch.no_grad():
            return self.module(given, hop).double().numpy()

    def to_json(self) -> dict[str, Any]:
        return {
            "config": self.config.to_json(),
            "settings": asdict(self.settings),
            "seed": self.seed,
            "nodes": self.nodes,
            "parameters": self.parameters,
            "losses": self.losses.tolist(),
        }


def train_operator(
    config: OperatorConfig,
    inputs: Float[np.ndarray, "pairs inputs *nodes"],
    outputs: Float[np.ndarray, "pairs outputs *nodes"],
    seed: int,
    settings: TrainingSettings | None = None,
) -> TrainedOperator:
    """Train a new operator on pairs of fields on one grid. Weights and batches are drawn from `seed` alone.

    Raises `InvalidInput` for NaN, shapes that do not fit the configuration, and a grid too small for its modes.
    """
    settings = settings or TrainingSettings()
    x, y = (_tensor(each, what, config.dtype) for each, what in ((inputs, "inputs"), (outputs, "outputs")))
    wanted = (len(x), config.outputs, *x.shape[2:])
    if x.ndim != 2 + config.axes or x.shape[1] != config.inputs or tuple(y.shape) != wanted:
        raise InvalidInput(
            f"pairs: inputs {tuple(x.shape)} and outputs {tuple(y.shape)}; (pairs, {config.inputs}, nodes) and "
            f"(pairs, {config.outputs}, nodes) on {config.axes} axes are needed"
        )
    if len(set(x.shape[2:])) != 1:
        raise InvalidInput(f"inputs: nodes {tuple(x.shape[2:])}; every axis needs the same number")
    check_nodes(x.shape[2:], config.modes, config.axes)
    module = NeuralOperator(config, seed)
    order = torch.Generator().manual_seed(seed + 1_000_003)
    optimizer = torch.optim.Adam(module.parameters(), lr=settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    losses = np.empty(settings.steps)
    for step in range(settings.steps):
        rows = torch.randint(len(x), (min(settings.batch, len(x)),), generator=order)
        optimizer.zero_grad()
        loss = ((module(x[rows]) - y[rows]) ** 2).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses[step] = float(loss.detach())
    return TrainedOperator(config, settings, seed, int(x.shape[2]), losses, module)


def _tensor(fields: np.ndarray, what: str, dtype: torch.dtype) -> torch.Tensor:
    if not np.isfinite(fields).all():
        raise InvalidInput(f"{what}: {int((~np.isfinite(fields)).sum())} values are not finite; remove those fields")
    if not len(fields):
        raise InvalidInput(f"{what}: there are none")
    return torch.tensor(fields, dtype=dtype)
