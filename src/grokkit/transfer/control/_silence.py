"""A freeze: no update of the parameters while the entropy gap is small."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import nn

from grokkit.scheme import InvalidInput
from grokkit.transfer.control._features import activation_entropy
from grokkit.transfer.control._graph import connectivity, correlation_graph
from grokkit.transfer.control._watch import LayerWatch

TOPOLOGY: Final = "S_top(b1) = log(1 + b1)"
"""A choice: the source names a topological entropy of b1 and does not define it. This one is 0 without cycles, grows
with their number, and is the entropy of an even choice among b1 cycles and none."""


def topological_entropy(cycles: int) -> float:
    """log(1 + b1), in nats; see `TOPOLOGY`."""
    if cycles < 0:
        raise InvalidInput(f"b1 is {cycles}; the number of independent cycles is at least 0")
    return math.log1p(cycles)


@final
@dataclass(frozen=True)
class EntropyGap:
    """ΔS = S_vN − S_top, in nats; it may be negative."""

    activation: float
    """S_vN, of H Hᵀ / tr."""
    cycles: int

    @property
    def topological(self) -> float:
        return topological_entropy(self.cycles)

    @property
    def value(self) -> float:
        return self.activation - self.topological


def entropy_gap(activations: Any, *, graph: Any | None = None, correlation: float = 0.5) -> EntropyGap:
    """The gap of activations (samples, features); b1 of `graph`, or of their correlation graph at `correlation`."""
    joined = correlation_graph(activations, correlation) if graph is None else graph
    return EntropyGap(activation_entropy(activations), connectivity(joined).cycles)


@final
class Hysteresis:
    """Frozen from the first gap below `below` until one is at or above `resume` (at least `below`).

    With `resume` = `below` it is frozen exactly while the gap is below the threshold.

    >>> gate = Hysteresis(1.0, 2.0)
    >>> [gate.update(gap) for gap in (1.5, 0.9, 1.5, 2.0, 1.5)]
    [False, True, True, False, False]
    """

    def __init__(self, below: float, resume: float | None = None) -> None:
        resume = below if resume is None else resume
        if not (math.isfinite(below) and math.isfinite(resume) and below <= resume):
            raise InvalidInput(f"below is {below} and resume {resume}; finite numbers with below <= resume are needed")
        self.below, self.resume, self.frozen = below, resume, False

    def update(self, gap: float) -> bool:
        """Whether frozen after this gap. Raises `InvalidInput` for a gap that is not finite."""
        if not math.isfinite(gap):
            raise InvalidInput(f"the entropy gap is {gap}; a finite number is needed")
        self.frozen = gap < (self.resume if self.frozen else self.below)
        return self.frozen


@final
class SilenceCallback:
    """Steps an optimizer except while the entropy gap of a layer is small.

    `step()` stands in for `optimizer.step()`: it measures the gap of the layer's latest activations and, if frozen,
    does not call the optimizer, so that parameters and the optimizer's state stay bit-identical (weight decay and
    momentum included). Running statistics of normalization belong to the forward pass and go on. `rows` keeps a row a
    call.
    """

    def __init__(
        self,
        module: nn.Module,
        layer: str,
        optimizer: torch.optim.Optimizer,
        *,
        below: float,
        resume: float | None = None,
        correlation: float = 0.5,
    ) -> None:
        self.gate = Hysteresis(below, resume)
        self.rows: list[dict[str, float]] = []
        self._optimizer, self._correlation = optimizer, correlation
        self._watch = LayerWatch(module, layer)

    def step(self, closure: Callable[[], Any] | None = None) -> bool:
        """Whether the optimizer stepped."""
        gap = entropy_gap(self._watch.latest(), correlation=self._correlation)
        frozen = self.gate.update(gap.value)
        self.rows.append(
            {"gap": gap.value, "entropy": gap.activation, "cycles": float(gap.cycles), "frozen": float(frozen)}
        )
        if frozen:
            return False
        if closure is None:
            self._optimizer.step()
        else:
            self._optimizer.step(closure)
        return True

    def close(self) -> None:
        self._watch.close()

    def __enter__(self) -> SilenceCallback:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
