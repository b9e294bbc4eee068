"""How far a network's floating-point output can lie from its exact one: an error bound carried through the layers.

Every layer maps (values, radii) to (values, radii). Values are the exact ones up to float64 rounding; a radius bounds
the error of an evaluation in the network's own precision, whatever the order of its sums: a sum of n products has
error at most γ(n) Σ|terms|, γ(n) = n u / (1 − n u) (Higham 2002, chapter 3). Elementary functions are taken to err by
at most `ULPS` units in the last place, as PyTorch's do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast, final

import torch
from torch import nn
from torch.nn import functional

from grokkit.scheme import InvalidInput
from grokkit.transfer.embed._blocks import AddPositions, DecoderBlock, LastToken, Residual
from grokkit.transfer.embed._structure import CONVOLUTIONS, ELEMENTWISE, PER_CHANNEL, PER_SAMPLE, POOLS

ULPS: Final = 8
CARRIED: Final = 4
"""Roundings of a parameter on its way to the large model: a mean, a factor and its product."""

Apply = Callable[..., torch.Tensor]

_SLOPES: Final = {nn.GELU: 1.13, nn.SiLU: 1.1, nn.Sigmoid: 0.25}


@final
@dataclass(frozen=True)
class Enclosed:
    """Values in float64 and, of the same shape, how far an evaluation can lie from them."""

    values: torch.Tensor
    radii: torch.Tensor

    def __add__(self, other: Enclosed) -> Enclosed:
        return Enclosed(self.values + other.values, self.radii + other.radii)

    @property
    def largest(self) -> torch.Tensor:
        """Bounds of the magnitudes."""
        return self.values.abs() + self.radii


def enclose(module: nn.Module, inputs: torch.Tensor) -> Enclosed:
    """The output of `module`, in evaluation mode, on exact inputs; a radius is infinite where no bound is found.

    Raises `InvalidInput` for a layer it does not know.
    """
    dtype = next(module.parameters()).dtype
    bounds = _Bounds(torch.finfo(dtype).eps / 2)
    values = inputs.double() if inputs.is_floating_point() else inputs
    with torch.no_grad():
        found = bounds.module(module, Enclosed(values, torch.zeros(inputs.shape, dtype=torch.float64)))
    return Enclosed(found.values, found.radii.nan_to_num(nan=math.inf, posinf=math.inf))


class _Bounds:
    def __init__(self, unit: float) -> None:
        self.unit = unit

    def gamma(self, n: int) -> float:
        if n * self.unit >= 0.5:
            return math.inf
        return n * self.unit / (1 - n * self.unit)

    def module(self, module: nn.Module, x: Enclosed) -> Enclosed:
        kind = type(module)
        if kind is nn.Sequential:
            for child in module.children():
                x = self.module(child, x)
            return x
        if kind in (nn.Identity, nn.Dropout):
            return x
        if kind is nn.Flatten or kind is LastToken:
            return Enclosed(module(x.values), module(x.radii))
        if kind is nn.Embedding:
            values = cast(torch.Tensor, module.weight).double()[x.values]
            return Enclosed(values, CARRIED * self.unit * values.abs())
        if kind is AddPositions:
            added = cast(torch.Tensor, module.weight).double()[: x.values.shape[-2]].expand_as(x.values)
            return self.rounded(x + Enclosed(added, CARRIED * self.unit * added.abs()))
        if isinstance(module, nn.Linear):
            return self.affine(x, module.weight, module.bias, functional.linear)
        if kind in CONVOLUTIONS:
            return self.convolution(module, x)
        if kind in ELEMENTWISE:
            return self.elementwise(module, x)
        if kind in POOLS:
            count = math.prod(x.values.shape[2:]) if "Max" not in kind.__name__ else 0
            values = module(x.values)
            spread = _pooled_up(module, x.radii)
            return Enclosed(values, spread + self.gamma(count + 2) * _pooled_up(module, x.largest) * bool(count))
        if kind in PER_CHANNEL:
            return self.channel_norm(module, x)
        if kind in PER_SAMPLE:
            return self.norm(cast(nn.LayerNorm | nn.RMSNorm, module), x)
        if kind is Residual:
            return self.rounded(x + self.module(cast(nn.Module, module.body), x))
        if isinstance(module, DecoderBlock):
            return self.decoder(module, x)
        if isinstance(module, nn.TransformerEncoderLayer):
            return self.encoder(module, x)
        raise InvalidInput(f"layer {kind.__name__}: no error bound is known for it")

    def rounded(self, x: Enclosed) -> Enclosed:
        return Enclosed(x.values, x.radii + self.unit * x.largest)

    def affine(
        self, x: Enclosed, weight: torch.Tensor, bias: torch.Tensor | None, apply: Callable[..., torch.Tensor]
    ) -> Enclosed:
        w = weight.double()
        b = None if bias is None else bias.double()
        magnitude = apply(x.largest, w.abs(), None if b is None else b.abs())
        terms = math.prod(weight.shape[1:]) + 1 + CARRIED
        return Enclosed(apply(x.values, w, b), apply(x.radii, w.abs(), None) + self.gamma(terms) * magnitude)

    def convolution(self, layer: nn.Module, x: Enclosed) -> Enclosed:
        conv = cast(nn.Conv2d, layer)

        def apply(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
            return conv._conv_forward(values, weight, bias)

        return self.affine(x, conv.weight, conv.bias, apply)

    def elementwise(self, layer: nn.Module, x: Enclosed) -> Enclosed:
        values = layer(x.values)
        if type(layer) is nn.ReLU:
            return Enclosed(values, x.radii)
        slope = _SLOPES.get(type(layer), 1.0)
        if isinstance(layer, nn.LeakyReLU | nn.ELU):
            slope = max(1.0, abs(layer.negative_slope if isinstance(layer, nn.LeakyReLU) else layer.alpha))
        gated = isinstance(layer, nn.GELU | nn.SiLU)
        size = x.largest if gated else torch.maximum(values.abs(), torch.ones_like(values))
        return Enclosed(values, slope * x.radii + ULPS * self.unit * size)

    def channel_norm(self, layer: nn.Module, x: Enclosed) -> Enclosed:
        norm = cast(nn.BatchNorm2d, layer)
        if norm.running_mean is None or norm.running_var is None:
            raise InvalidInput("layer BatchNorm without running statistics: no error bound is known for it")
        shape = (1, -1, *[1] * (x.values.ndim - 2))
        scale = 1 / (norm.running_var.double() + norm.eps).sqrt()
        gain = scale if norm.weight is None else scale * norm.weight.double()
        shift = torch.zeros_like(scale) if norm.bias is None else norm.bias.double()
        mean = norm.running_mean.double().reshape(shape)
        gain, shift = gain.reshape(shape), shift.reshape(shape)
        size = gain.abs() * (x.largest + mean.abs()) + shift.abs()
        return Enclosed((x.values - mean) * gain + shift, gain.abs() * x.radii + ULPS * self.unit * size)

    def norm(self, layer: nn.LayerNorm | nn.RMSNorm, x: Enclosed) -> Enclosed:
        n = x.values.shape[-1]
        squares = x.largest.square().mean(-1, keepdim=True)
        if isinstance(layer, nn.LayerNorm):
            middle = x.values.mean(-1, keepdim=True)
            off = x.radii.mean(-1, keepdim=True) + self.gamma(n) * x.largest.mean(-1, keepdim=True)
            centred = x.values - middle
            error = x.radii + off + self.unit * (x.largest + middle.abs() + off)
        else:
            centred, error = x.values, x.radii
        variance = centred.square().mean(-1, keepdim=True)
        wrong = (error * (2 * centred.abs() + error)).mean(-1, keepdim=True) + self.gamma(2 * n + 4) * squares
        eps = torch.finfo(layer.weight.dtype).eps if layer.eps is None else layer.eps
        scale = 1 / (variance + eps).sqrt()
        # The largest that the computed scale can be; the smallest differs from the exact one by less.
        most = 1 / ((variance - wrong).clamp(min=0) + eps * (1 - CARRIED * self.unit)).sqrt()
        gain = layer.weight.double()
        values = centred * scale * gain
        radii = gain.abs() * (error * most + centred.abs() * (most - scale))
        radii = radii + (ULPS + CARRIED) * self.unit * gain.abs() * (centred.abs() + error) * most
        bias = getattr(layer, "bias", None)
        if bias is None:
            return Enclosed(values, radii)
        shifted = values + bias.double()
        return Enclosed(shifted, radii + self.unit * (values.abs() + radii + bias.double().abs()))

    def attention(self, query: Enclosed, key: Enclosed, value: Enclosed, causal: bool) -> Enclosed:
        """Of (batch, heads, tokens, head width)."""
        width = query.values.shape[-1]
        keys = Enclosed(key.values.mT, key.radii.mT)
        factor = width**-0.5
        scores = query.values @ keys.values * factor
        error = query.radii @ keys.largest + query.values.abs() @ keys.radii
        error = factor * (error + self.gamma(width + 4) * (query.largest @ keys.largest))
        if causal:
            hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
            scores, error = scores.masked_fill(hidden, -math.inf), error.masked_fill(hidden, 0.0)
        shares = scores.softmax(-1)
        tokens = scores.shape[-1]
        finite = scores.masked_fill(scores.isinf(), 0.0)
        # A score is rounded once more when the largest is taken from it; exp, sum and quotient follow.
        spread = error + 2 * self.unit * (finite.abs().amax(-1, keepdim=True) + error)
        relative = torch.expm1(2 * spread.amax(-1, keepdim=True)) + self.gamma(tokens + 2 * ULPS + 2)
        wrong = shares * relative
        values = shares @ value.values
        radii = (shares + wrong) @ value.radii + wrong @ value.values.abs()
        return Enclosed(values, radii + self.gamma(tokens) * ((shares + wrong) @ value.largest))

    def decoder(self, block: DecoderBlock, x: Enclosed) -> Enclosed:
        normed = self.module(block.norm1, x)
        parts = [self.module(part, normed) for part in (block.query, block.key, block.value)]
        query, key, value = (Enclosed(block.heads(p.values), block.heads(p.radii)) for p in parts)
        mixed = self.attention(query, key, value, block.causal)
        x = self.rounded(x + self.module(block.out, _joined(mixed)))
        hidden = self.module(block.activation, self.module(block.up, self.module(block.norm2, x)))
        return self.rounded(x + self.module(block.down, hidden))

    def encoder(self, block: nn.TransformerEncoderLayer, x: Enclosed) -> Enclosed:
        if not block.self_attn.batch_first:
            raise InvalidInput("layer TransformerEncoderLayer: the error bound is for batch_first=True only")
        activation = {functional.relu: nn.ReLU(), functional.gelu: nn.GELU()}.get(block.activation, block.activation)
        if not isinstance(activation, nn.Module):
            raise InvalidInput(f"layer TransformerEncoderLayer: no error bound is known for activation {activation}")

        def attend(y: Enclosed) -> Enclosed:
            layer = block.self_attn
            biases = [None] * 3 if layer.in_proj_bias is None else layer.in_proj_bias.chunk(3)
            parts = [
                self.affine(y, weight, bias, functional.linear)
                for weight, bias in zip(layer.in_proj_weight.chunk(3), biases, strict=True)
            ]
            heads = [Enclosed(*(_heads(t, layer.num_heads) for t in (p.values, p.radii))) for p in parts]
            return self.module(layer.out_proj, _joined(self.attention(heads[0], heads[1], heads[2], causal=False)))

        def feed(y: Enclosed) -> Enclosed:
            return self.module(block.linear2, self.module(activation, self.module(block.linear1, y)))

        if block.norm_first:
            x = self.rounded(x + attend(self.module(block.norm1, x)))
            return self.rounded(x + feed(self.module(block.norm2, x)))
        x = self.module(block.norm1, self.rounded(x + attend(x)))
        return self.module(block.norm2, self.rounded(x + feed(x)))


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)


def _joined(x: Enclosed) -> Enclosed:
    return Enclosed(x.values.transpose(-2, -3).flatten(-2), x.radii.transpose(-2, -3).flatten(-2))


def _pooled_up(pool: nn.Module, radii: torch.Tensor) -> torch.Tensor:
    """The largest radius of each channel, where the pool's outputs stand: a bound for averages and maxima alike."""
    most = radii.flatten(2).amax(2).reshape(*radii.shape[:2], *[1] * (radii.ndim - 2))
    return most.expand(*radii.shape[:2], *pool(radii).shape[2:])
