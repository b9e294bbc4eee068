"""Which operands schemes are for, and how batches of matrices become operands of one product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from grokkit.torch._policy import Sizes

Product: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(..., n, m) by (..., m, p), of equal batch shapes."""


def broadcast(a: Tensor, b: Tensor, product: Product) -> Tensor:
    """The product of operands (..., n, m) and (..., m, p) whose batch shapes broadcast.

    Matrices that all meet the same right factor become one tall matrix; otherwise operands are expanded. Both are
    views, except that rows that lie apart, such as those of every second matrix, are copied to be one matrix.
    """
    if b.ndim == 2 and a.ndim > 2:
        return product(a.flatten(0, -2), b).unflatten(0, a.shape[:-1])
    batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return product(a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:]))


def sizes_of(a: Tensor, b: Tensor) -> Sizes:
    """(n, m, p) of each of the products that `broadcast` makes."""
    rows = a.shape[:-1].numel() if b.ndim == 2 else a.shape[-2]
    return rows, a.shape[-1], b.shape[-1]


def regular(a: Any, b: Any) -> bool:
    """Whether schemes are for such operands: dense matrices or batches of them, in one place, that have a product."""
    return (
        all(isinstance(x, Tensor) and x.ndim >= 2 and x.layout == torch.strided and not x.is_nested for x in (a, b))
        and not any(is_traceable_wrapper_subclass(x) for x in (a, b))
        and a.device == b.device
        and a.shape[-1] == b.shape[-2]
        and _broadcastable(a.shape[:-2], b.shape[:-2])
    )


def _broadcastable(first: torch.Size, second: torch.Size) -> bool:
    pairs = ((first[-i], second[-i]) for i in range(1, min(len(first), len(second)) + 1))
    return all(x == y or x == 1 or y == 1 for x, y in pairs)
