"""A closed loop from Ψ to the weight of the sparsity penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from grokkit.scheme import InvalidInput
from grokkit.transfer.control._features import EffectiveFeatures, as_matrix, effective_features
from grokkit.transfer.control._watch import LayerWatch

Policy = Literal["relax", "source", "fixed"]


@final
@dataclass(frozen=True)
class SparsityController:
    """The strength λ as a function of Ψ.

    "relax": λ0 (1 + tanh((Ψ − Ψ0)/τ)), which goes to 0 when features collapse (Ψ ≪ Ψ0) and to 2 λ0 when they are dense.
    "source": λ0 (1 + tanh((Ψ0 − Ψ)/τ)), as its source prints it; it doubles the pressure when features collapse, the
    opposite of what that source says it does. "fixed": λ0. Raises `InvalidInput` for λ0 < 0, τ ≤ 0 or Ψ0 outside (0,
    1).

    >>> SparsityController(0.1, 0.5, 0.1).strength(0.1) < 1e-3
    True
    """

    base: float
    """λ0."""
    threshold: float
    """Ψ0."""
    width: float
    """τ, in units of Ψ."""
    policy: Policy = "relax"

    def __post_init__(self) -> None:
        if not (self.base >= 0 and math.isfinite(self.base)):
            raise InvalidInput(f"base is {self.base}; a finite sparsity weight of at least 0 is needed")
        if not 0 < self.threshold < 1:
            raise InvalidInput(f"threshold is {self.threshold}; Ψ0 lies between 0 and 1")
        if not (self.width > 0 and math.isfinite(self.width)):
            raise InvalidInput(f"width is {self.width}; a positive τ is needed")
        if self.policy not in ("relax", "source", "fixed"):
            raise InvalidInput(f"policy is {self.policy!r}; 'relax', 'source' or 'fixed' is needed")

    def strength(self, psi: float) -> float:
        """λ at Ψ, between 0 and 2 λ0."""
        if not 0 <= psi <= 1 + 1e-9:
            raise InvalidInput(f"Ψ is {psi}; a number between 0 and 1 is needed")
        if self.policy == "fixed":
            return self.base
        sign = 1 if self.policy == "relax" else -1
        return self.base * (1 + math.tanh(sign * (psi - self.threshold) / self.width))


@final
@dataclass(eq=False)
class SparsityCallback:
    """Watches a layer of any module and gives the penalty to add to its loss: λ times the mean magnitude.

    Each `penalty()` measures Ψ of the layer's latest activations, smooths it (`memory`, the weight of the past), and
    weighs those activations with the controller's λ. Activations that are all zero count as Ψ = 0. `trace` keeps a row
    a call. Use as a context, or `close()` at the end. Raises `InvalidInput` before the first forward pass.
    """

    module: nn.Module
    layer: str
    controller: SparsityController
    memory: float = 0.9
    trace: list[dict[str, float]] = field(default_factory=list)
    psi: float | None = None
    """Smoothed."""

    def __post_init__(self) -> None:
        if not 0 <= self.memory < 1:
            raise InvalidInput(f"memory is {self.memory}; a number from 0 to below 1 is needed")
        self._watch = LayerWatch(self.module, self.layer)

    def penalty(self) -> Tensor:
        """λ · mean |a|, differentiable."""
        activations = self._watch.latest()
        now = psi_or_zero(activations)
        self.psi = now if self.psi is None else self.memory * self.psi + (1 - self.memory) * now
        strength = self.controller.strength(self.psi)
        self.trace.append({"psi": now, "smoothed": self.psi, "strength": strength})
        return strength * activations.abs().mean()

    def features(self) -> EffectiveFeatures:
        """Of the latest activations, with the width of the layer and the strength in force."""
        activations = self._watch.latest()
        strength = self.trace[-1]["strength"] if self.trace else self.controller.base
        return effective_features(activations, width=activations.shape[-1], strength=strength)

    def close(self) -> None:
        self._watch.close()

    def __enter__(self) -> SparsityCallback:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def psi_or_zero(activations: Any) -> float:
    """Ψ, with dead activations read as 0: the controller has to act on them, and no share exists."""
    if isinstance(activations, torch.Tensor):
        activations = activations.detach()
    if not as_matrix(activations).any():
        return 0.0
    return effective_features(activations).psi
