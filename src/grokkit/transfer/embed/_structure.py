"""What a module is made of: its axes of units, which layers read and write them, and what growth has to respect."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, final

from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

from grokkit.scheme import InvalidInput
from grokkit.transfer.embed._blocks import AddPositions, DecoderBlock, LastToken, Residual

ELEMENTWISE: Final = (
    nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.Softplus,
)  # fmt: skip
POOLS: Final = (
    nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
)  # fmt: skip
CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d)
PER_CHANNEL: Final = (nn.BatchNorm1d, nn.BatchNorm2d)
PER_SAMPLE: Final = (nn.LayerNorm, nn.RMSNorm)

SUPPORTED: Final = (
    "Sequential, Linear, Conv1d, Conv2d, Embedding, BatchNorm1d, BatchNorm2d, LayerNorm, RMSNorm, "
    "ReLU and other elementwise activations, pools, Flatten, Dropout, Identity, TransformerEncoderLayer, "
    "Residual, DecoderBlock, AddPositions, LastToken"
)


@final
@dataclass
class Axis:
    """Units that grow together."""

    name: str
    size: int
    norms: set[str] = field(default_factory=set)
    """"layer" and "rms", where a norm over the axis sees it."""
    only_copies: str | None = None
    """Why nothing new may stand here, only equally many copies."""
    fixed: str | None = None
    """Why the axis cannot grow at all."""


@final
@dataclass(frozen=True)
class Leaf:
    """A layer with parameters on axes. A unit of an axis is `read_block` or `write_block` successive entries here."""

    path: str
    kind: Literal["linear", "attention", "embedding", "positions", "channel norm", "norm"]
    reads: Axis | None = None
    writes: Axis | None = None
    read_block: int = 1
    write_block: int = 1
    heads: Axis | None = None
    silent: bool = False
    """Whether new entries of what is read are zero in exact arithmetic, so that any weight may read them."""


@final
@dataclass(frozen=True)
class Structure:
    """All axes by name, and all layers with parameters on them."""

    axes: dict[str, Axis]
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True)
class _Value:
    """What flows between layers: entries of `axis` (None: raw input), and what has been done to them since written."""

    axis: Axis | None
    channels: bool = False
    flattened: bool = False
    elementwise: bool = False
    normed: bool = False


def structure(module: nn.Module) -> Structure:
    """Walk the module. Raises `InvalidInput` naming the first layer that growth does not understand."""
    seen: dict[int, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if id(parameter) in seen:
            raise InvalidInput(f"layer {name}: it shares its parameter with {seen[id(parameter)]}; untie them to grow")
        seen[id(parameter)] = name
    walk = _Walk()
    value = walk.walk(module, "", _Value(None))
    if value.axis is None or not walk.leaves:
        raise InvalidInput("the module has no layer with parameters that growth understands")
    value.axis.fixed = value.axis.fixed or "is the output, which growth preserves"
    return Structure({axis.name: axis for axis in walk.axes}, tuple(walk.leaves))


def axes(module: nn.Module) -> dict[str, int]:
    """The axes that can grow, and their sizes: "input", a layer's path (its output units), "path.heads", ...

    >>> axes(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)))
    {'input': 4, '0': 8}
    """
    return {name: axis.size for name, axis in structure(module).axes.items() if axis.fixed is None}


class _Walk:
    def __init__(self) -> None:
        self.axes: list[Axis] = []
        self.leaves: list[Leaf] = []

    def axis(self, name: str, size: int) -> Axis:
        self.axes.append(Axis(name, size))
        return self.axes[-1]

    def walk(self, module: Any, path: str, value: _Value) -> _Value:
        _plain(module, path)
        if type(module) is nn.Sequential:
            for name, child in module.named_children():
                value = self.walk(child, f"{path}.{name}" if path else name, value)
            return value
        if type(module) is nn.Linear or type(module) in CONVOLUTIONS:
            return self.dense(module, path, value)
        if type(module) is nn.Embedding:
            return self.embedding(module, path, value)
        if type(module) in PER_SAMPLE:
            return self.norm(module, path, value)
        if type(module) in POOLS and value.axis is not None and not value.channels:
            raise InvalidInput(f"layer {path} ({type(module).__name__}): it would pool over units, not over places")
        if type(module) in PER_CHANNEL:
            axis = self.held(module, path, value, module.num_features)
            self.leaves.append(Leaf(path, "channel norm", writes=axis))
            return replace(value, axis=axis, elementwise=True)
        if type(module) in ELEMENTWISE or type(module) in POOLS:
            return replace(value, elementwise=True)
        if type(module) in (nn.Dropout, nn.Identity, LastToken):
            return value
        if type(module) is nn.Flatten:
            if (module.start_dim, module.end_dim) != (1, -1):
                raise InvalidInput(f"layer {path} (Flatten): only start_dim=1, end_dim=-1 is understood")
            if value.axis is not None and not value.channels:
                raise InvalidInput(f"layer {path} (Flatten): only channels, or raw inputs, can be flattened")
            return replace(value, flattened=True, channels=False)
        if type(module) is AddPositions:
            axis = self.held(module, path, value, module.weight.shape[1])
            self.leaves.append(Leaf(path, "positions", writes=axis))
            return value
        if type(module) is Residual:
            return self.residual(module, path, value)
        if type(module) is DecoderBlock:
            return self.decoder(module, path, value)
        if type(module) is nn.TransformerEncoderLayer:
            return self.encoder(module, path, value)
        raise InvalidInput(
            f"layer {path or '(the whole module)'} ({type(module).__name__}): not understood; supported: {SUPPORTED}"
        )

    def held(self, module: nn.Module, path: str, value: _Value, size: int) -> Axis:
        """The axis of a value that a layer changes in place; raw inputs become an axis that cannot grow."""
        if value.flattened:
            raise InvalidInput(f"layer {path} ({type(module).__name__}): not understood between Flatten and Linear")
        axis = value.axis or self.axis("input", size)
        if value.axis is None:
            axis.fixed = f"is changed by layer {path} ({type(module).__name__}) before any layer reads it"
        if axis.size != size:
            raise InvalidInput(f"layer {path} ({type(module).__name__}): {size} units meet {axis.size}")
        return axis

    def dense(self, module: Any, path: str, value: _Value) -> _Value:
        inputs, outputs = module.weight.shape[1], module.weight.shape[0]
        if isinstance(module, CONVOLUTIONS) and (module.groups != 1 or value.flattened):
            raise InvalidInput(f"layer {path} ({type(module).__name__}): groups or flattened inputs are not supported")
        if value.axis is not None and not value.flattened and value.channels != isinstance(module, CONVOLUTIONS):
            raise InvalidInput(
                f"layer {path} ({type(module).__name__}): Linear reads channels only behind Flatten, "
                "and convolutions read only channels"
            )
        axis = value.axis or self.axis("input", inputs)
        if value.axis is None and value.flattened:
            axis.fixed = "is flattened, so that positions of its features are not defined"
        block = inputs // axis.size if value.flattened else 1
        if block * axis.size != inputs:
            raise InvalidInput(
                f"layer {path} ({type(module).__name__}): it reads {inputs} entries of {axis.size} units"
            )
        target = self.axis(path or "output", outputs)
        self.leaves.append(
            Leaf(path, "linear", axis, target, read_block=block, silent=value.normed and not value.elementwise)
        )
        return _Value(target, channels=isinstance(module, CONVOLUTIONS))

    def embedding(self, module: nn.Embedding, path: str, value: _Value) -> _Value:
        if value.axis is not None:
            raise InvalidInput(f"layer {path} (Embedding): it reads tokens and must come first")
        if module.max_norm is not None or module.scale_grad_by_freq:
            raise InvalidInput(f"layer {path} (Embedding): max_norm and scale_grad_by_freq are not supported")
        axis = self.axis(path or "output", module.embedding_dim)
        self.leaves.append(Leaf(path, "embedding", writes=axis))
        return _Value(axis)

    def norm(self, module: Any, path: str, value: _Value) -> _Value:
        if len(module.normalized_shape) != 1:
            raise InvalidInput(f"layer {path} ({type(module).__name__}): only norms over the last axis are supported")
        if value.channels:
            raise InvalidInput(f"layer {path} ({type(module).__name__}): it would norm over places, not over channels")
        axis = self.held(module, path, value, module.normalized_shape[0])
        axis.norms.add("layer" if isinstance(module, nn.LayerNorm) else "rms")
        if len(axis.norms) > 1:
            axis.only_copies = f"layer {path}: LayerNorm and RMSNorm on one axis"
        if value.elementwise or value.normed:
            after = "an activation" if value.elementwise else "another norm"
            axis.only_copies = f"layer {path} ({type(module).__name__}) comes after {after}"
        if module.weight is None:
            axis.only_copies = f"layer {path} ({type(module).__name__}) has no gain"
        self.leaves.append(Leaf(path, "norm", writes=axis))
        return _Value(axis, normed=True)

    def residual(self, module: Residual, path: str, value: _Value) -> _Value:
        if value.axis is None:
            raise InvalidInput(f"layer {path} (Residual): raw inputs cannot go around a body; put a Linear before it")
        out = self.walk(module.body, f"{path}.body", value)
        if out.axis is None or out.flattened or value.flattened or out.axis.size != value.axis.size:
            raise InvalidInput(f"layer {path} (Residual): the body does not give what it is added to")
        if out.axis is not value.axis:
            self.merge(out.axis, value.axis)
        normed = value.normed or out.normed
        return replace(value, elementwise=value.elementwise or out.elementwise or normed, normed=normed)

    def merge(self, axis: Axis, into: Axis) -> None:
        into.norms |= axis.norms
        into.only_copies = into.only_copies or axis.only_copies
        self.axes.remove(axis)
        self.leaves = [
            replace(
                leaf,
                reads=into if leaf.reads is axis else leaf.reads,
                writes=into if leaf.writes is axis else leaf.writes,
            )
            for leaf in self.leaves
        ]

    def decoder(self, module: DecoderBlock, path: str, value: _Value) -> _Value:
        self.stream(module, path, value)
        for name, child in module.named_children():
            _plain(child, f"{path}.{name}")
        if type(module.activation) not in ELEMENTWISE:
            raise InvalidInput(f"layer {path}.activation ({type(module.activation).__name__}): not understood")
        normed = self.norm(module.norm1, f"{path}.norm1", value)
        heads = self.axis(f"{path}.heads", module.query.out_features // module.head_width)
        width = module.head_width
        for name in ("query", "key", "value"):
            self.leaves.append(Leaf(f"{path}.{name}", "linear", normed.axis, heads, write_block=width, silent=True))
        self.leaves.append(Leaf(f"{path}.out", "linear", heads, value.axis, read_block=width))
        return self.feedforward(path, ("norm2", "up", "down"), module, value)

    def feedforward(self, path: str, names: tuple[str, str, str], module: Any, value: _Value) -> _Value:
        norm, up, down = names
        normed = self.norm(getattr(module, norm), f"{path}.{norm}", value)
        hidden = self.axis(f"{path}.feedforward", getattr(module, up).out_features)
        self.leaves.append(Leaf(f"{path}.{up}", "linear", normed.axis, hidden, silent=True))
        self.leaves.append(Leaf(f"{path}.{down}", "linear", hidden, value.axis))
        return value

    def encoder(self, module: nn.TransformerEncoderLayer, path: str, value: _Value) -> _Value:
        self.stream(module, path, value)
        attention = module.self_attn
        for child in (attention, module.linear1, module.linear2, module.norm1, module.norm2):
            _plain(child, path)
        if attention.in_proj_weight is None or attention.bias_k is not None or attention.add_zero_attn:
            raise InvalidInput(
                f"layer {path}.self_attn (MultiheadAttention): unequal widths or extra keys, not supported"
            )
        if module.activation not in (functional.relu, functional.gelu) and type(module.activation) not in ELEMENTWISE:
            raise InvalidInput(
                f"layer {path} (TransformerEncoderLayer): activation {module.activation} is not understood"
            )
        heads = self.axis(f"{path}.heads", attention.num_heads)
        if module.norm_first:
            self.norm(module.norm1, f"{path}.norm1", value)
        self.leaves.append(
            Leaf(f"{path}.self_attn", "attention", value.axis, value.axis, heads=heads, silent=module.norm_first)
        )
        if module.norm_first:
            return self.feedforward(path, ("norm2", "linear1", "linear2"), module, value)
        middle = self.norm(module.norm1, f"{path}.norm1", value)
        hidden = self.axis(f"{path}.feedforward", module.linear1.out_features)
        self.leaves.append(Leaf(f"{path}.linear1", "linear", middle.axis, hidden))
        self.leaves.append(Leaf(f"{path}.linear2", "linear", hidden, middle.axis))
        return self.norm(module.norm2, f"{path}.norm2", middle)

    def stream(self, module: nn.Module, path: str, value: _Value) -> None:
        if value.axis is None or value.flattened:
            raise InvalidInput(
                f"layer {path or '(the whole module)'} ({type(module).__name__}): its residual stream must be written "
                "by a layer before it (Embedding or Linear)"
            )


def _plain(module: nn.Module, path: str) -> None:
    hooked = module._forward_hooks or module._forward_pre_hooks or parametrize.is_parametrized(module)
    if hooked:
        raise InvalidInput(
            f"layer {path or '(the whole module)'} ({type(module).__name__}): it has hooks or parametrizations; "
            "remove them"
        )
