"""Parity: a small network that learns it or does not, judged against chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import torch
from scipy.stats import binomtest
from torch import nn
from torch.nn import functional

from grokkit.scheme import InvalidInput

CHANCE: Final = 0.5


@final
@dataclass(frozen=True)
class Accuracy:
    """Share of samples answered rightly, with its 95 % Wilson interval, against the chance of 1/2."""

    right: int
    n: int

    @property
    def value(self) -> float:
        return self.right / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, Wilson 1927."""
        found = binomtest(self.right, self.n).proportion_ci(0.95, method="wilson")
        return float(found.low), float(found.high)

    @property
    def verdict(self) -> str:
        """One of three: "learned" (everything right), "partly learned" (above chance) or "not learned" (chance is in
        the interval, or above it)."""
        if self.right == self.n:
            return "learned"
        return "partly learned" if self.interval[0] > CHANCE else "not learned"

    def to_json(self) -> dict[str, Any]:
        low, high = self.interval
        return {"value": self.value, "low": low, "high": high, "n": self.n, "right": self.right}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.verdict}: accuracy {self.value:.3f} [{low:.3f}, {high:.3f}], n = {self.n}, chance {CHANCE}"


@final
@dataclass(frozen=True)
class TrainedParity:
    """A network for the parity of the bits at `relevant` of `bits`, in training mode off."""

    model: nn.Sequential
    bits: int
    relevant: tuple[int, ...]
    training: Accuracy
    test: Accuracy
    steps: int


def parity_network(bits: int, hidden: int, generator: torch.Generator) -> nn.Sequential:
    """Linear, ReLU, Linear to two classes, with weights uniform in ± 1/sqrt(inputs) (torch's law) from `generator`."""
    layers = nn.Linear(bits, hidden), nn.Linear(hidden, 2)
    with torch.no_grad():
        for layer in layers:
            bound = layer.in_features**-0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1])


def random_bits(n: int, bits: int, generator: torch.Generator) -> torch.Tensor:
    """n rows of independent fair signs ± 1, float32."""
    return torch.randint(2, (n, bits), generator=generator, dtype=torch.int8).float().mul_(2).sub_(1)


def parity_labels(signs: torch.Tensor, relevant: tuple[int, ...]) -> torch.Tensor:
    """1 where an odd number of the relevant signs is −1, else 0."""
    return (signs[:, list(relevant)] < 0).sum(1) % 2


def parity_accuracy(model: nn.Module, signs: torch.Tensor, relevant: tuple[int, ...]) -> Accuracy:
    """How often the model's larger output is the parity."""
    with torch.no_grad():
        right = model(signs).argmax(1) == parity_labels(signs, relevant)
    return Accuracy(int(right.sum()), len(signs))


def train_parity(
    bits: int,
    relevant: tuple[int, ...] | None = None,
    *,
    hidden: int = 64,
    samples: int = 8192,
    batch: int = 256,
    tests: int = 2000,
    steps: int = 3000,
    rate: float = 3e-3,
    seed: int = 0,
) -> TrainedParity:
    """Train on a fixed set of `samples` random rows with AdamW, `batch` of them a step, and judge on `tests` fresh
    ones.

    `relevant`: the bits whose parity is asked; None: all of them. Training stops early at a batch loss below 1e-3.
    Raises `InvalidInput` for bits that do not exist.
    """
    relevant = tuple(range(bits)) if relevant is None else relevant
    if not relevant or len(set(relevant)) != len(relevant) or not all(0 <= i < bits for i in relevant):
        raise InvalidInput(f"parity: relevant bits {relevant} are not different ones of 0..{bits - 1}")
    generator = torch.Generator().manual_seed(seed)
    model = parity_network(bits, hidden, generator)
    seen, fresh = random_bits(samples, bits, generator), random_bits(tests, bits, generator)
    labels = parity_labels(seen, relevant)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-2)
    taken = 0
    for step in range(steps):
        drawn = torch.randint(samples, (batch,), generator=generator)
        loss = functional.cross_entropy(model(seen[drawn]), labels[drawn])
        if loss.item() < 1e-3:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        taken = step + 1
    model.eval().requires_grad_(False)
    return TrainedParity(
        model,
        bits,
        relevant,
        parity_accuracy(model, seen, relevant),
        parity_accuracy(model, fresh, relevant),
        taken,
    )
