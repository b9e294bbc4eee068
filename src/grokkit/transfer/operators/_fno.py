"""Neural operators on periodic grids: a Fourier neural operator, and a message-passing network on the same ring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional

from grokkit.scheme import InvalidInput


class SpectralConvolution(nn.Module):
    """A multiplier with a matrix a mode, learned: modes |k| ≤ K of every axis, centred, in the grid-free scale.

    Fields are real, so the last axis holds k = 0..K alone and the axes before it −K..K. Weights belong to modes of the
    domain: no weight knows the number of nodes. (Li et al. 2021, "Fourier Neural Operator for Parametric Partial
    Differential Equations".)
    """

    def __init__(
        self, inputs: int, outputs: int, modes: int, axes: int, generator: torch.Generator, dtype: torch.dtype
    ):
        super().__init__()
        self.modes, self.axes = modes, axes
        shape = (inputs, outputs, *[2 * modes + 1] * (axes - 1), modes + 1)
        drawn = torch.randn(*shape, 2, dtype=dtype, generator=generator) / math.sqrt(inputs + outputs)
        self.weight = nn.Parameter(torch.view_as_complex(drawn))

    def forward(self, field: Float[Tensor, "batch inputs *nodes"]) -> Float[Tensor, "batch outputs *nodes"]:
        nodes = field.shape[2:]
        check_nodes(nodes, self.modes, self.axes)
        axes = tuple(range(2, 2 + self.axes))
        place = self._place(nodes, field.device)
        low = torch.fft.rfftn(field, dim=axes, norm="forward")[(..., *place)]
        mixed: Complex[Tensor, "batch outputs *modes"] = torch.einsum("bi...,io...->bo...", low, self.weight)
        ordered = mixed.new_zeros(*mixed.shape[:2], *nodes[:-1], nodes[-1] // 2 + 1)
        ordered[(..., *place)] = mixed
        return torch.fft.irfftn(ordered, s=nodes, dim=axes, norm="forward")

    def _place(self, nodes: Sequence[int], device: torch.device) -> tuple[Tensor, ...]:
        centred = torch.arange(-self.modes, self.modes + 1, device=device)
        wavenumbers = [centred % count for count in nodes[:-1]] + [torch.arange(self.modes + 1, device=device)]
        return tuple(
            index.reshape([-1 if other == axis else 1 for other in range(len(nodes))])
            for axis, index in enumerate(wavenumbers)
        )


class RingConvolution(nn.Module):
    """One round of messages: each node adds up weighted states of the nodes up to `reach` hops away, on every axis.

    The weights belong to hops. `hop` is the number of nodes that one hop crosses: 1 on the grid of training; on a grid
    refined r times, 1 keeps the topology in nodes and changes the distances, r keeps the distances.
    """

    def __init__(
        self, inputs: int, outputs: int, reach: int, axes: int, generator: torch.Generator, dtype: torch.dtype
    ):
        super().__init__()
        self.reach, self.axes = reach, axes
        shape = (outputs, inputs, *[2 * reach + 1] * axes)
        drawn = torch.randn(shape, dtype=dtype, generator=generator)
        self.weight = nn.Parameter(drawn / math.sqrt(inputs * (2 * reach + 1) ** axes))

    def forward(
        self, field: Float[Tensor, "batch inputs *nodes"], hop: int = 1
    ) -> Float[Tensor, "batch outputs *nodes"]:
        around = self.reach * hop
        if min(field.shape[2:]) < 2 * around + 1:
            raise InvalidInput(
                f"grid: nodes {tuple(field.shape[2:])} for messages over {around} nodes each way; at least "
                f"{2 * around + 1} nodes an axis are needed"
            )
        padded = functional.pad(field, [around] * (2 * self.axes), mode="circular")
        convolve = functional.conv1d if self.axes == 1 else functional.conv2d
        return convolve(padded, self.weight, dilation=hop)


@final
@dataclass(frozen=True)
class OperatorConfig:
    """The shape of a neural operator.

    `kind` "spectral" is a Fourier neural operator with modes up to `modes`; "ring" passes messages over up to `modes`
    hops a round. Both are translation-equivariant: no position enters.
    """

    inputs: int = 1
    outputs: int = 1
    modes: int = 7
    width: int = 16
    depth: int = 2
    axes: int = 1
    kind: str = "spectral"
    double: bool = False

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "modes", "width", "depth"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name}: {getattr(self, name)}; it must be at least 1")
        if self.axes not in (1, 2):
            raise InvalidInput(f"axes: {self.axes}; fields on 1 or 2 axes are supported")
        if self.kind not in ("spectral", "ring"):
            raise InvalidInput(f"kind: {self.kind!r}; 'spectral' and 'ring' are known")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.double else torch.float32

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class NeuralOperator(nn.Module):
    """Lift to `width` channels; `depth` blocks of a convolution plus a pointwise map, GELU between; project.

    The only nonlinearities are pointwise: the harmonics that they make fold on the grid, which is all that the output
    of a Fourier neural operator has of the grid. Weights are drawn from the generator of `seed` alone.
    """

    def __init__(self, config: OperatorConfig, seed: int):
        super().__init__()
        self.config = config
        generator = torch.Generator().manual_seed(seed)
        width = config.width
        convolution = SpectralConvolution if config.kind == "spectral" else RingConvolution
        self.lift = _Pointwise(config.inputs, width, generator, config.dtype)
        self.convolutions = nn.ModuleList(
            convolution(width, width, config.modes, config.axes, generator, config.dtype) for _ in range(config.depth)
        )
        self.skips = nn.ModuleList(_Pointwise(width, width, generator, config.dtype) for _ in range(config.depth))
        self.hidden = _Pointwise(width, width, generator, config.dtype)
        self.project = _Pointwise(width, config.outputs, generator, config.dtype)

    def forward(
        self, field: Float[Tensor, "batch inputs *nodes"], hop: int = 1
    ) -> Float[Tensor, "batch outputs *nodes"]:
        """`hop` matters to a message-passing network alone."""
        if field.ndim != 2 + self.config.axes or field.shape[1] != self.config.inputs:
            raise InvalidInput(
                f"field: shape {tuple(field.shape)}; (batch, {self.config.inputs}, then {self.config.axes} axes of "
                "nodes) is needed"
            )
        field = self.lift(field)
        for index, (convolution, skip) in enumerate(zip(self.convolutions, self.skips, strict=True)):
            mixed = convolution(field) if self.config.kind == "spectral" else convolution(field, hop)
            field = mixed + skip(field)
            if index + 1 < self.config.depth:
                field = functional.gelu(field)
        return self.project(functional.gelu(self.hidden(field)))


class _Pointwise(nn.Module):
    """The same affine map of the channels at every node."""

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, dtype=dtype, generator=generator) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=dtype))

    def forward(self, field: Float[Tensor, "batch inputs *nodes"]) -> Float[Tensor, "batch outputs *nodes"]:
        mixed = torch.einsum("oi,bi...->bo...", self.weight, field)
        return mixed + self.bias.reshape(-1, *[1] * (field.ndim - 2))


def check_nodes(nodes: Sequence[int], modes: int, axes: int) -> None:
    """Raise `InvalidInput` unless every axis tells the modes up to `modes` apart: at least 2 · modes + 1 nodes."""
    if len(nodes) != axes or min(nodes) < 2 * modes + 1:
        raise InvalidInput(
            f"grid: nodes {tuple(nodes)} for {axes} axes with modes up to {modes}; at least {2 * modes + 1} nodes an "
            "axis are needed"
        )
