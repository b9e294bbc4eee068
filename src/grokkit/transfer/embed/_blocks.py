"""Modules of our own that growth understands: what a small decoder is made of, as parts of an `nn.Sequential`."""

from __future__ import annotations

from typing import final

import torch
from torch import nn
from torch.nn import functional

from grokkit.scheme import InvalidInput


@final
class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


@final
class AddPositions(nn.Module):
    """A learned vector for every position, added: (batch, tokens, width) with at most `length` tokens."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(length, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight[: x.shape[-2]]


@final
class LastToken(nn.Module):
    """(batch, tokens, width) to (batch, width): the last token's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[..., -1, :]


@final
class DecoderBlock(nn.Module):
    """Causal self-attention and a feed-forward layer, each behind a norm and around a residual (pre-norm).

    `norm`: "layer" (LayerNorm) or "rms" (RMSNorm). The width of a head is width / heads; growth
    keeps it and adds heads.
    """

    def __init__(self, width: int, heads: int, feedforward: int, norm: str = "layer", causal: bool = True) -> None:
        super().__init__()
        if width % heads:
            raise InvalidInput(f"DecoderBlock: width {width} is no multiple of {heads} heads")
        if norm not in ("layer", "rms"):
            raise InvalidInput(f'DecoderBlock: norm is {norm!r}; "layer" or "rms" is needed')
        kind = nn.LayerNorm if norm == "layer" else nn.RMSNorm
        self.head_width = width // heads
        self.causal = causal
        self.norm1, self.norm2 = kind(width), kind(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attend(self.norm1(x))
        return x + self.down(self.activation(self.up(self.norm2(x))))

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Self-attention of (batch, tokens, width)."""
        query, key, value = (self.heads(part(x)) for part in (self.query, self.key, self.value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out(mixed.transpose(-2, -3).flatten(-2))

    def heads(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, tokens, width) to (batch, heads, tokens, head width)."""
        return x.unflatten(-1, (-1, self.head_width)).transpose(-2, -3)
