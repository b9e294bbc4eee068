"""Depth: layers that compute the identity, inserted into Sequential modules, and taken out again."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

import torch
from torch import nn

from grokkit.scheme import InvalidInput
from grokkit.transfer.embed._blocks import DecoderBlock, Residual


def deepened(module: nn.Module, deeper: Mapping[str, int], noise: float, generator: torch.Generator) -> nn.Module:
    """`module`, changed in place: behind each named child of a Sequential, so many layers that compute the identity.

    A residual block (DecoderBlock, Residual ending in a Linear, TransformerEncoderLayer with norm_first) is followed by
    copies of itself whose output projections are zero; a ReLU by Sequential(identity, ReLU), with an identity Linear or
    convolution, since ReLU(I ReLU(x)) = ReLU(x) (Net2DeeperNet). Both are exact to the last bit. `noise` moves the
    weights of a copied block that do not reach the output. Raises `InvalidInput` for a layer behind which no identity
    is known.
    """
    for parent, names in _by_parent(deeper).items():
        sequence = _sequence(module, parent)
        children: list[tuple[str, nn.Module]] = []
        width: nn.Module | None = None
        for name, child in sequence.named_children():
            children.append((name, child))
            if isinstance(child, nn.Linear | nn.Conv1d | nn.Conv2d):
                width = child
            path = f"{parent}.{name}" if parent else name
            children.extend(
                (f"{name}_{i + 1}", _identity(child, width, path, noise, generator)) for i in range(names.get(name, 0))
            )
        _refill(sequence, children, numbered=_numbered(sequence))
        _named(sequence, parent, names)
    return module


def shallower(module: nn.Module, deeper: Mapping[str, int]) -> nn.Module:
    """`module`, changed in place, without the layers that `deepened` inserts at the same places."""
    for parent, names in reversed(_by_parent(deeper).items()):
        sequence = _sequence(module, parent)
        numbered = _numbered(sequence)
        old: list[tuple[str, nn.Module]] = []
        skip = 0
        for name, child in sequence.named_children():
            if skip:
                skip -= 1
                continue
            small = str(len(old)) if numbered else name
            old.append((small, child))
            skip = names.get(small, 0)
        absent = set(names) - {name for name, _ in old}
        if absent or skip:
            raise InvalidInput(
                f"depth: layer {min(absent, default=parent)} with its inserted layers is not in this module"
            )
        _refill(sequence, old, numbered)
    return module


def _by_parent(deeper: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Grouped by the path of the Sequential, deepest first, so that outer numbers hold while inner ones change."""
    parents: dict[str, dict[str, int]] = {}
    for path, count in deeper.items():
        parent, _, name = path.rpartition(".")
        parents.setdefault(parent, {})[name] = count
    return dict(sorted(parents.items(), key=lambda item: -len(item[0].split(".")) if item[0] else 1))


def _sequence(module: nn.Module, path: str) -> nn.Sequential:
    try:
        found = module.get_submodule(path)
    except AttributeError:
        raise InvalidInput(f"depth: there is no layer {path}") from None
    if type(found) is not nn.Sequential:
        raise InvalidInput(
            f"depth: {path or 'the whole module'} is a {type(found).__name__}; only Sequential gets deeper"
        )
    return found


def _numbered(sequence: nn.Sequential) -> bool:
    return [name for name, _ in sequence.named_children()] == [str(i) for i in range(len(sequence))]


def _named(sequence: nn.Sequential, parent: str, names: Mapping[str, int]) -> None:
    missing = [name for name in names if name not in dict(sequence.named_children())]
    if missing:
        raise InvalidInput(f"depth: {parent or 'the module'} has no layer {missing[0]}")


def _refill(sequence: nn.Sequential, children: list[tuple[str, nn.Module]], numbered: bool) -> None:
    sequence._modules.clear()
    for i, (name, child) in enumerate(children):
        sequence.add_module(str(i) if numbered else name, child)


def _identity(
    layer: nn.Module, width: nn.Module | None, path: str, noise: float, generator: torch.Generator
) -> nn.Module:
    if type(layer) is nn.ReLU:
        return nn.Sequential(_identity_map(width, path), nn.ReLU())
    block = copy.deepcopy(layer)
    outputs: list[nn.Linear]
    if type(block) is DecoderBlock:
        outputs = [block.out, block.down]
    elif type(block) is nn.TransformerEncoderLayer and block.norm_first:
        outputs = [block.self_attn.out_proj, block.linear2]
    elif type(block) is Residual and (last := _last(block.body)) is not None:
        outputs = [last]
    else:
        raise InvalidInput(
            f"depth: no identity is known behind layer {path} ({type(layer).__name__}); behind ReLU, DecoderBlock, "
            "Residual that ends in Linear, or TransformerEncoderLayer with norm_first, one is"
        )
    with torch.no_grad():
        for parameter in block.parameters():
            if noise and parameter.ndim > 1:
                scale = noise * parameter.double().square().mean().sqrt().item()
                parameter += scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        for output in outputs:
            for parameter in output.parameters():
                parameter.zero_()
    return block


def _last(body: nn.Module) -> nn.Linear | None:
    while type(body) is nn.Sequential and len(body):
        body = body[-1]
    return body if type(body) is nn.Linear else None


def _identity_map(before: nn.Module | None, path: str) -> nn.Module:
    """A Linear layer or a convolution of size 1 with as many units as `before` has outputs."""
    if isinstance(before, nn.Linear):
        layer = nn.Linear(before.out_features, before.out_features, dtype=before.weight.dtype)
    elif isinstance(before, nn.Conv1d | nn.Conv2d):
        units = before.out_channels
        layer = type(before)(units, units, kernel_size=1, dtype=before.weight.dtype)
    else:
        raise InvalidInput(f"depth: no layer with units stands before {path} (ReLU) in its Sequential")
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight.diagonal().fill_(1.0)
        cast(torch.Tensor, layer.bias).zero_()
    return layer
