"""The expected error of many bilinear networks at once, for protocols that need a loop of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from grokkit.scheme import Target


def target_matrix(target: Target) -> np.ndarray:
    """The bilinear map as a matrix: a row for each pair of operand entries, a column for each output."""
    tensor = target.tensor()
    return tensor.reshape(-1, tensor.shape[2]).astype(np.float64)


def error(weights: Any, target: Any, sides: tuple[int, int]) -> Any:
    """The network's map less the target, (..., pairs, outputs), of weights (..., slots, u, v and w side by side)."""
    u, v, w = split(weights, sides)
    return (u[..., :, None] * v[..., None, :]).flatten(-2).mT @ w - target


def loss(weights: Any, target: Any, sides: tuple[int, int]) -> Any:
    """Mean squared error per output for operands with unit Gaussian entries, of each network."""
    return error(weights, target, sides).square().sum((-2, -1)) / target.shape[-1]


def gradient(weights: Any, target: Any, sides: tuple[int, int]) -> Any:
    """Of `loss`, by hand."""
    import torch

    u, v, w = split(weights, sides)
    products = (u[..., :, None] * v[..., None, :]).flatten(-2)
    wrong = (products.mT @ w - target) * (2 / target.shape[-1])
    by_product = (w @ wrong.mT).unflatten(-1, sides)
    for_u, for_v = (by_product * v[..., None, :]).sum(-1), (by_product * u[..., :, None]).sum(-2)
    return torch.cat([for_u, for_v, products @ wrong], -1)


def split(weights: Any, sides: tuple[int, int]) -> tuple[Any, Any, Any]:
    """u, v and w of every slot."""
    a, b = sides
    return weights[..., :a], weights[..., a : a + b], weights[..., a + b :]


def start(networks: int, slots: int, width: int, seed: int, scale: float = 0.5) -> Any:
    """Gaussian weights, (networks, slots, width), in float32."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(networks, slots, width, generator=generator)
