"""A program applied recursively to two matrices: sums of blocks, and torch's own product at the leaves.

Blocks are views, whatever the strides. Rows and columns that the blocks do not divide are peeled off at every level.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import final

import torch
from jaxtyping import Shaped
from torch import Tensor

from grokkit.torch import _winograd
from grokkit.torch._program import Program, Step, Terms


@final
class Recursion:
    """C = A B by a program, for operands of given sizes (n, m, p); may be called many times.

    The temporaries of a level are allocated once and used by all its products. With blocks of n×m, m×p and n×p at a
    level, Winograd's schedule has max(nm, np) + mp entries there and any other program nm + mp + np.
    """

    def __init__(self, program: Program, levels: int, sizes: tuple[int, int, int], like: Tensor):
        self._program = program
        self._spaces: list[list[Tensor]] = []
        """Temporaries of each level, the lowest first."""
        for _ in range(levels):
            n, m, p = sizes = self._block(sizes)
            if not min(sizes) or max(program.form) == 1:
                break
            lengths = (max(n * m, n * p), m * p) if program.winograd else (n * m, m * p, n * p)
            self._spaces.insert(0, [like.new_empty(length) for length in lengths])

    def __call__(self, a: Shaped[Tensor, "n m"], b: Shaped[Tensor, "m p"], c: Shaped[Tensor, "n p"]) -> None:
        """Write the product of `a` and `b` to `c`, which shares no memory with them."""
        self._product(len(self._spaces), a, b, c)

    def _block(self, sizes: tuple[int, int, int]) -> tuple[int, int, int]:
        (rows, inner, columns), (n, m, p) = self._program.form, sizes
        return n // rows, m // inner, p // columns

    def _product(self, level: int, a: Tensor, b: Tensor, c: Tensor) -> None:
        if level == 0:
            torch.mm(a, b, out=c)
            return
        rows, inner, columns = self._program.form
        n, m, p = self._block((a.shape[0], a.shape[1], b.shape[1]))
        n, m, p = n * rows, m * inner, p * columns
        left, right = _blocks(a[:n, :m], rows, inner), _blocks(b[:m, :p], inner, columns)
        one_level = self._scheduled if self._program.winograd else self._stepped
        one_level(level, left, right, _blocks(c[:n, :p], rows, columns))
        if m < a.shape[1]:
            c[:n, :p].addmm_(a[:n, m:], b[m:, :p])
        if p < b.shape[1]:
            torch.mm(a, b[:, p:], out=c[:, p:])
        if n < a.shape[0]:
            torch.mm(a[n:], b[:, :p], out=c[n:, :p])

    def _scheduled(self, level: int, a: Sequence[Tensor], b: Sequence[Tensor], c: Sequence[Tensor]) -> None:
        flat_x, flat_y = self._spaces[level - 1]
        x, y = _laid_out(flat_x, a[0]), _laid_out(flat_y, b[0])
        if level == 1:
            _winograd.over_leaves(a, b, c, x, y)
        else:
            _winograd.above_leaves(a, b, c, x, y, _laid_out(flat_x, c[0]), partial(self._product, level - 1))

    def _stepped(self, level: int, a: Sequence[Tensor], b: Sequence[Tensor], c: Sequence[Tensor]) -> None:
        x, y, z = self._spaces[level - 1]
        for step in self._program.steps:
            left, right = _sum(step.left, a, x), _sum(step.right, b, y)
            if level == 1 and step.home is None and len(step.more) == 1:
                k, coefficient = step.more[0]
                c[k].addmm_(left, right, alpha=coefficient)
                continue
            product = _laid_out(z, c[0]) if step.home is None else c[step.home]
            self._product(level - 1, left, right, product)
            _spread(step, product, c)


def _sum(terms: Terms, blocks: Sequence[Tensor], space: Tensor) -> Tensor:
    """Σ coefficient · block, in `space`; a block that stands alone, as it is."""
    (first, _), *rest = terms
    if not rest:
        return blocks[first]
    (second, coefficient), *rest = rest
    total = torch.add(blocks[first], blocks[second], alpha=coefficient, out=_laid_out(space, blocks[first]))
    for index, coefficient in rest:
        total.add_(blocks[index], alpha=coefficient)
    return total


def _spread(step: Step, product: Tensor, blocks: Sequence[Tensor]) -> None:
    """Add a product to the blocks of C that it enters."""
    for k, coefficient in step.more:
        blocks[k].add_(product, alpha=coefficient)
    for k, coefficient in step.fresh:
        torch.mul(product, coefficient, out=blocks[k])
    if step.scale != 1:
        product.mul_(step.scale)


def _blocks(x: Tensor, rows: int, columns: int) -> list[Tensor]:
    """The rows·columns equal blocks of a matrix, row by row: views."""
    height, width = x.shape[0] // rows, x.shape[1] // columns
    return [x[i * height : (i + 1) * height, j * width : (j + 1) * width] for i in range(rows) for j in range(columns)]


def _laid_out(space: Tensor, block: Tensor) -> Tensor:
    """Room for a matrix of the block's shape, with rows or columns contiguous as they are there."""
    rows, columns = block.shape
    room = space[: rows * columns]
    return room.view(columns, rows).T if block.stride(0) < block.stride(1) else room.view(rows, columns)
