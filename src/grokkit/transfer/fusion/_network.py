"""A small network of one hidden layer, trained by PyTorch and then frozen into NumPy arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grokkit.scheme import InvalidInput


@final
@dataclass(frozen=True)
class Network:
    """outputs = W₂ tanh(W₁ inputs + b₁) + b₂, float64."""

    w1: Float[np.ndarray, "width inputs"]
    b1: Float[np.ndarray, " width"]
    w2: Float[np.ndarray, "outputs width"]
    b2: Float[np.ndarray, " outputs"]

    @property
    def parameters(self) -> int:
        return sum(each.size for each in (self.w1, self.b1, self.w2, self.b2))

    def __call__(self, inputs: Float[np.ndarray, "samples inputs"]) -> Float[np.ndarray, "samples outputs"]:
        return np.tanh(inputs @ self.w1.T + self.b1) @ self.w2.T + self.b2

    def to_json(self) -> dict[str, Any]:
        return {key: value.tolist() for key, value in vars(self).items()}


def drawn(inputs: int, width: int, outputs: int, seed: int) -> list[Tensor]:
    """Weights before training, from the generator of `seed` alone; biases are zero."""
    if min(inputs, width, outputs) < 1:
        raise InvalidInput(f"network: {inputs} inputs, {width} hidden units, {outputs} outputs; at least 1 of each")
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, dtype=torch.float64, generator=generator) / math.sqrt(columns)

    first, second = normal(width, inputs), normal(outputs, width)
    weights = [first, first.new_zeros(width), second, first.new_zeros(outputs)]
    return [weight.requires_grad_() for weight in weights]


def forward(weights: list[Tensor], inputs: Tensor) -> Tensor:
    """The same function on tensors that carry gradients."""
    w1, b1, w2, b2 = weights
    return torch.tanh(inputs @ w1.T + b1) @ w2.T + b2


def frozen(*weights: np.ndarray) -> Network:
    """A network of copies of the trained weights, which nothing changes again."""
    arrays = [weight.copy() for weight in weights]
    for array in arrays:
        array.setflags(write=False)
    return Network(*arrays)


def descend(weights: list[Tensor], loss: Callable[[], Tensor], steps: int, rate: float) -> float:
    """Full-batch Adam with a rate that falls to zero along a cosine; the last loss."""
    optimizer = torch.optim.Adam(weights, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    value = math.nan
    for _ in range(steps):
        optimizer.zero_grad()
        found = loss()
        found.backward()
        optimizer.step()
        schedule.step()
        value = float(found.detach())
    return value
