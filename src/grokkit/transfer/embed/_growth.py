"""Growth of a network as a value, and the two maps that it defines: `embed` and its left inverse `crop`."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar, cast, final

import torch
from torch import nn

from grokkit.scheme import InvalidInput
from grokkit.transfer.embed._blocks import AddPositions
from grokkit.transfer.embed._deepening import deepened, shallower
from grokkit.transfer.embed._placement import Placement, read, unread, unwrite, write
from grokkit.transfer.embed._structure import Axis, Leaf, Structure, structure

M = TypeVar("M", bound=nn.Module)


@final
@dataclass(frozen=True)
class Growth:
    """What grows: `axes` (a name of `axes(module)` to its `Placement`) and depth (a layer's path to inserted layers).

    `noise` breaks the symmetry of what is added without changing the function: it moves the shares of copies, and gives
    new units random weights on the one side (N(0, (noise · rms of the tensor)²)) whose other side is zero. 0: none.
    Equal growths with equal seeds give equal models. Raises `InvalidInput` for a negative depth or noise.
    """

    axes: Mapping[str, Placement] = field(default_factory=dict)
    deeper: Mapping[str, int] = field(default_factory=dict)
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", MappingProxyType(dict(self.axes)))
        object.__setattr__(self, "deeper", MappingProxyType(dict(self.deeper)))
        if not (math.isfinite(self.noise) and self.noise >= 0):
            raise InvalidInput(f"growth: noise is {self.noise}; it must be finite and not negative")
        for path, count in self.deeper.items():
            if count < 0:
                raise InvalidInput(f"growth: {count} layers after {path}; depth must not be negative")

    def __reduce__(self) -> tuple[type[Growth], tuple[dict[str, Placement], dict[str, int], float, int]]:
        return Growth, (dict(self.axes), dict(self.deeper), self.noise, self.seed)

    def __hash__(self) -> int:
        return hash((frozenset(self.axes.items()), frozenset(self.deeper.items()), self.noise, self.seed))

    def placement(self, axis: Axis) -> Placement:
        """Where the units of an axis of the small model stand."""
        return self.axes.get(axis.name) or _still(axis.size)


def embed(module: M, growth: Growth) -> M:
    """The larger model with the same function; `module` stays as it is.

    In exact arithmetic, f_large(x) = f_small(crop of x to the old inputs) for every x. New inputs are read with weight
    zero; new units are written or read with weight zero; copies share what reads them (Net2Net); a residual stream
    behind LayerNorm gets the mean in new positions, behind RMSNorm zero, and the norm's gain and eps the factors
    sqrt(n/n') and n/n' (after LEMON, Wang et al. 2024). Law: `crop(embed(module, g), g)` is `module`.
    Raises `InvalidInput` where the growth does not fit, or a parameter is not finite.
    """
    _finite(module)
    plan = structure(module)
    _fits(plan, growth, small=True)
    large = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(growth.seed)
    with torch.no_grad():
        for leaf in plan.leaves:
            _Embedding(growth, generator).carry(large.get_submodule(leaf.path), leaf)
        return cast(M, deepened(large, growth.deeper, growth.noise, generator))


def crop(module: M, growth: Growth) -> M:
    """The small model inside a larger one: the left inverse of `embed`, and a projection of any model of that shape.

    Old units are read off, the shares of copies added up, new units dropped. Exact to the last bit after `embed`, but
    for gains of norms whose factor sqrt(n/n') is no power of two: these come back within an ulp. Raises
    `InvalidInput` for a model that has not the shape which the growth makes.
    """
    _finite(module)
    small = shallower(copy.deepcopy(module), growth.deeper)
    plan = structure(small)
    _fits(plan, growth, small=False)
    with torch.no_grad():
        for leaf in plan.leaves:
            _Cropping(growth).carry(small.get_submodule(leaf.path), leaf)
    return cast(M, small)


def embed_inputs(inputs: torch.Tensor, growth: Growth, dim: int = -1, fill: float | torch.Tensor = 0.0) -> torch.Tensor:
    """Inputs of the small model as inputs of the large one, `fill` (the same for all) in the new positions."""
    placement = growth.axes.get("input")
    return inputs if placement is None else write(inputs, dim, placement, fill)


def crop_inputs(inputs: torch.Tensor, growth: Growth, dim: int = -1) -> torch.Tensor:
    """Inputs of the large model at the old positions: the left inverse of `embed_inputs`."""
    placement = growth.axes.get("input")
    return inputs if placement is None else unwrite(inputs, dim, placement)


def _still(size: int) -> Placement:
    return Placement(size, tuple(range(size)))


def _finite(module: nn.Module) -> None:
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InvalidInput(f"parameter {name} has entries that are not finite; nothing exact can be said of it")


def _fits(plan: Structure, growth: Growth, small: bool) -> None:
    for name, placement in growth.axes.items():
        axis = plan.axes.get(name)
        if axis is None:
            known = ", ".join(axis.name for axis in plan.axes.values() if axis.fixed is None)
            raise InvalidInput(f"growth: there is no axis {name!r}; this module has {known or 'none that can grow'}")
        size = placement.size if small else placement.target
        if axis.size != size:
            of = "size" if small else "target"
            raise InvalidInput(f"axis {name}: it has {axis.size} units, the placement's {of} is {size}")
        if placement.same:
            continue
        if axis.fixed is not None:
            raise InvalidInput(f"axis {name} cannot grow: it {axis.fixed}")
        if name == "input" and not placement.single:
            raise InvalidInput("axis input: inputs are placed once each; copies of inputs have no meaning")
        if axis.only_copies is not None and not placement.uniform:
            raise InvalidInput(f"axis {name}: {axis.only_copies}, so only equally many copies of every unit are exact")
        if axis.norms and not (placement.uniform or placement.single):
            raise InvalidInput(
                f"axis {name}: a norm sees it; either equally many copies of every unit, or every unit once, are exact"
            )


class _Embedding:
    """Carries the parameters of one layer to the large axes."""

    def __init__(self, growth: Growth, generator: torch.Generator) -> None:
        self.growth = growth
        self.generator = generator

    def carry(self, layer: nn.Module, leaf: Leaf) -> None:
        _CARRIED[leaf.kind](self, layer, leaf)

    def write(self, tensor: torch.Tensor, leaf: Leaf, dim: int = 0) -> torch.Tensor:
        axis = cast(Axis, leaf.writes)
        placement = self.growth.placement(axis).expanded(leaf.write_block)
        if "layer" in axis.norms:
            return write(tensor, dim, placement, "mean")
        if axis.norms or tensor.ndim < 2 or axis.name == "input":
            return write(tensor, dim, placement)
        return write(tensor, dim, placement, self.drawn(tensor, dim, placement))

    def read(self, tensor: torch.Tensor, leaf: Leaf, dim: int = 1) -> torch.Tensor:
        placement = self.growth.placement(cast(Axis, leaf.reads)).expanded(leaf.read_block)
        fill = self.drawn(tensor, dim, placement) if leaf.silent else 0.0
        return read(tensor, dim, placement, fill, self.growth.noise, self.generator)

    def drawn(self, tensor: torch.Tensor, dim: int, placement: Placement) -> float | torch.Tensor:
        """Random weights for the new entries along `dim`."""
        if not self.growth.noise or not len(placement.new):
            return 0.0
        shape = (len(placement.new), *tensor.movedim(dim, 0).shape[1:])
        scale = self.growth.noise * tensor.double().square().mean().sqrt().item()
        return scale * torch.randn(shape, generator=self.generator, dtype=tensor.dtype)

    def gain(self, tensor: torch.Tensor, placement: Placement) -> torch.Tensor:
        factor = 1.0 if placement.uniform else math.sqrt(placement.size / placement.target)
        return write((tensor.double() * factor).to(tensor.dtype), 0, placement, "mean")

    def shift(self, tensor: torch.Tensor, placement: Placement) -> torch.Tensor:
        return write(tensor, 0, placement)

    def epsilon(self, eps: float | None, dtype: torch.dtype, placement: Placement) -> float | None:
        if placement.uniform:
            return eps
        return (torch.finfo(dtype).eps if eps is None else eps) * (placement.size / placement.target)

    def statistics(self, tensor: torch.Tensor, fill: float, placement: Placement) -> torch.Tensor:
        return write(tensor, 0, placement, fill)

    def size(self, placement: Placement) -> int:
        return placement.target


class _Cropping(_Embedding):
    """Carries the parameters of one layer back; the axes of its leaves are those of the large model."""

    def __init__(self, growth: Growth) -> None:
        super().__init__(growth, torch.Generator())

    def write(self, tensor: torch.Tensor, leaf: Leaf, dim: int = 0) -> torch.Tensor:
        return unwrite(tensor, dim, self.growth.placement(cast(Axis, leaf.writes)).expanded(leaf.write_block))

    def read(self, tensor: torch.Tensor, leaf: Leaf, dim: int = 1) -> torch.Tensor:
        return unread(tensor, dim, self.growth.placement(cast(Axis, leaf.reads)).expanded(leaf.read_block))

    def gain(self, tensor: torch.Tensor, placement: Placement) -> torch.Tensor:
        factor = 1.0 if placement.uniform else math.sqrt(placement.size / placement.target)
        return unwrite((tensor.double() / factor).to(tensor.dtype), 0, placement)

    def shift(self, tensor: torch.Tensor, placement: Placement) -> torch.Tensor:
        return unwrite(tensor, 0, placement)

    def epsilon(self, eps: float | None, dtype: torch.dtype, placement: Placement) -> float | None:
        if eps is None or placement.uniform:
            return eps
        # Decimal constants and the default of the dtype come back exactly, not within a rounding.
        factor = placement.size / placement.target
        if eps == torch.finfo(dtype).eps * factor:
            return None
        rounded = float(f"{eps / factor:.14g}")
        return rounded if rounded * factor == eps else eps / factor

    def statistics(self, tensor: torch.Tensor, fill: float, placement: Placement) -> torch.Tensor:
        return unwrite(tensor, 0, placement)

    def size(self, placement: Placement) -> int:
        return placement.size


def _linear(carrier: _Embedding, layer: nn.Linear | nn.Conv1d | nn.Conv2d, leaf: Leaf) -> None:
    _replace(layer, "weight", carrier.read(carrier.write(layer.weight, leaf), leaf))
    if layer.bias is not None:
        _replace(layer, "bias", carrier.write(layer.bias, leaf))
    outputs, inputs = layer.weight.shape[:2]
    if isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = inputs, outputs
    else:
        layer.in_channels, layer.out_channels = inputs, outputs


def _attention(carrier: _Embedding, layer: nn.MultiheadAttention, leaf: Leaf) -> None:
    heads, stream = cast(Axis, leaf.heads), cast(Axis, leaf.writes)
    width = layer.head_dim
    target = carrier.size(carrier.growth.placement(heads)) * width
    if target != carrier.size(carrier.growth.placement(stream)):
        raise InvalidInput(
            f"layer {leaf.path} (MultiheadAttention): its heads keep their width {width}, so axes {stream.name} and "
            f"{heads.name} have to grow by the same factor"
        )
    inward = Leaf(leaf.path, "linear", stream, heads, write_block=width, silent=leaf.silent)
    outward = Leaf(leaf.path, "linear", heads, stream, read_block=width)
    parts = [carrier.read(carrier.write(part, inward), inward) for part in layer.in_proj_weight.chunk(3)]
    _replace(layer, "in_proj_weight", torch.cat(parts))
    if layer.in_proj_bias is not None:
        _replace(
            layer, "in_proj_bias", torch.cat([carrier.write(part, inward) for part in layer.in_proj_bias.chunk(3)])
        )
    _linear(carrier, layer.out_proj, outward)
    layer.embed_dim = layer.kdim = layer.vdim = target
    layer.num_heads = target // width


def _embedding(carrier: _Embedding, layer: nn.Embedding, leaf: Leaf) -> None:
    _replace(layer, "weight", carrier.write(layer.weight, leaf, dim=1))
    layer.embedding_dim = layer.weight.shape[1]


def _positions(carrier: _Embedding, layer: AddPositions, leaf: Leaf) -> None:
    _replace(layer, "weight", carrier.write(layer.weight, leaf, dim=1))


def _norm(carrier: _Embedding, layer: nn.LayerNorm | nn.RMSNorm, leaf: Leaf) -> None:
    placement = carrier.growth.placement(cast(Axis, leaf.writes))
    layer.normalized_shape = (carrier.size(placement),)
    if layer.weight is None:
        return
    layer.eps = cast(float, carrier.epsilon(layer.eps, layer.weight.dtype, placement))
    _replace(layer, "weight", carrier.gain(layer.weight, placement))
    if isinstance(layer, nn.LayerNorm) and layer.bias is not None:
        _replace(layer, "bias", carrier.shift(layer.bias, placement))


def _channel_norm(carrier: _Embedding, layer: nn.BatchNorm1d | nn.BatchNorm2d, leaf: Leaf) -> None:
    placement = carrier.growth.placement(cast(Axis, leaf.writes))
    layer.num_features = carrier.size(placement)
    for name, fill in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        tensor = getattr(layer, name)
        if tensor is not None:
            _replace(layer, name, carrier.statistics(tensor, fill, placement))


def _replace(layer: nn.Module, name: str, tensor: torch.Tensor) -> None:
    old = getattr(layer, name)
    if isinstance(old, nn.Parameter):
        setattr(layer, name, nn.Parameter(tensor.detach(), requires_grad=old.requires_grad))
    else:
        setattr(layer, name, tensor.detach())


_CARRIED = {
    "linear": _linear,
    "attention": _attention,
    "embedding": _embedding,
    "positions": _positions,
    "norm": _norm,
    "channel norm": _channel_norm,
}
