"""The latest output of a named layer of any module."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from grokkit.scheme import InvalidInput


@final
class LayerWatch:
    """Keeps the latest output of a layer, with its graph; changes nothing.

    `layer` is its name in `named_modules()`, "" the module itself. Raises `InvalidInput` for a name that is not there.
    """

    def __init__(self, module: nn.Module, layer: str) -> None:
        names = dict(module.named_modules())
        if layer not in names:
            known = ", ".join(repr(name) for name in list(names)[:8])
            raise InvalidInput(f"the module has no layer {layer!r}; it has {known}")
        self._layer = layer
        self._output: Tensor | None = None
        self._handle = names[layer].register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: object, output: object) -> None:
        if not isinstance(output, torch.Tensor):
            raise InvalidInput(f"layer {self._layer!r} gives a {type(output).__name__}; watch one that gives a tensor")
        self._output = output

    def latest(self) -> Tensor:
        """The output of the last forward pass. Raises `InvalidInput` before the first."""
        if self._output is None:
            raise InvalidInput(f"layer {self._layer!r} has not run yet; call the module before asking for its features")
        return self._output

    def close(self) -> None:
        """Stops watching."""
        self._handle.remove()
        self._output = None
