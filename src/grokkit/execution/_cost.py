"""What a product costs: a linear model of the work, whose prices a machine profile holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from grokkit.execution._kernel import coefficients, tile
from grokkit.scheme import Scheme

WORK: Final = ("flops", "packed_a", "packed_b", "updates", "added")
"""What our own product is priced by: multiplications and additions of the kernel; entries read to pack A and B;
entries of C updated; entries moved by the additions of explicit levels."""
VENDOR_WORK: Final = ("flops", "entries", "calls")
"""What the vendor's product is priced by: 2NMP; entries of the operands and the result; calls."""

Layout = tuple[str, ...]
"""Of A, B and C: ``row`` or ``column`` for which entries are contiguous, ``strided`` for neither."""
ROWS: Final[Layout] = ("row", "row", "row")
ALONG: Final = 2.0
"""Entries of A stored by its columns are read a few from each, in all of them: packing one costs as much as so many
of A by rows. (Measured: 1.9 in float32, 2.3 in float64; B costs the same either way.)"""
STRIDED: Final = 7.0
"""The same of an entry of A or B that is gathered on its own. (Measured: 4 to 7 for A, 7 to 11 for B.)"""


@final
@dataclass(frozen=True)
class Split:
    """How a product is cut: explicit levels of Winograd's algorithm over a fused scheme."""

    scheme: Scheme
    """fused; the standard algorithm <1,1,1> for none"""
    explicit_levels: int


def leaf_shape(shape: tuple[int, int, int], explicit_levels: int) -> tuple[int, int, int]:
    """N, M, P of the products below the explicit levels (the largest of them)."""
    n, m, p = shape
    for _ in range(explicit_levels):
        n, m, p = n // 2, -(-m // 2), p // 2
    return n, m, p


def block_shape(shape: tuple[int, int, int], split: Split) -> tuple[int, int, int]:
    """N, M, P of the smallest products: blocks of the leaves."""
    factors = coefficients(split.scheme)
    n, m, p = leaf_shape(shape, split.explicit_levels)
    return -(-n // factors.n), -(-m // factors.m), -(-p // factors.p)


def work(shape: tuple[int, int, int], dtype: Any, split: Split, layout: Layout = ROWS) -> np.ndarray:
    """Amounts of `WORK` of a product of N x M by M x P."""
    sizes, factors = tile(np.dtype(dtype)), coefficients(split.scheme)
    n, m, p = block_shape(shape, split)
    u, v = float(np.count_nonzero(factors.u)), float(np.count_nonzero(factors.v))
    left, right = layout[0], layout[1]
    if layout[2] == "column":  # the kernel then computes Cᵀ = Bᵀ Aᵀ
        n, p, u, v = p, n, v, u
        left, right = (_TRANSPOSED[name] for name in (right, left))
    leaves = 7**split.explicit_levels
    rows, columns = -(-n // sizes.rows) * sizes.rows, -(-p // sizes.columns) * sizes.columns
    pieces = inner_pieces(m, sizes.inner)
    amounts = np.array([
        2.0 * len(factors.u) * rows * m * columns,
        u * n * m * {"row": 1.0, "column": ALONG, "strided": STRIDED}[left],
        v * m * p * {"row": 1.0, "column": 1.0, "strided": STRIDED}[right],
        float(np.count_nonzero(factors.w)) * n * p * pieces,
        0.0,
    ])  # fmt: skip
    if split.explicit_levels:  # two of seven products have operands that are sums of two
        amounts[1:3] *= 9 / 7
    amounts *= leaves
    amounts[4] = _explicit_entries(shape, split.explicit_levels)
    return amounts


_TRANSPOSED: Final = {"row": "column", "column": "row", "strided": "strided"}


def inner_pieces(inner: int, usual: int) -> int:
    """Pieces in which the kernel takes an inner dimension: each as near as can be to the usual length."""
    return max((inner + usual // 2 - 1) // usual, 1)


def _explicit_entries(shape: tuple[int, int, int], levels: int) -> float:
    """Entries that the additions of Winograd's schedule read and write, and the odd last rows and columns."""
    total, products = 0.0, 1
    n, m, p = shape
    for level in range(levels):
        odd = n % 2 * m * p + p % 2 * n * m
        n, m, p = n // 2, -(-m // 2), p // 2
        if level == levels - 1:  # where the kernel forms and adds what it can
            total += products * (7.0 * n * m + 7.0 * m * p + 7.0 * n * p + odd)
        else:
            total += products * (12.0 * n * m + 12.0 * m * p + 14.0 * n * p + odd)
        products *= 7
    return total


def vendor_work(shape: tuple[int, int, int]) -> np.ndarray:
    """Amounts of `VENDOR_WORK` of a product of N x M by M x P."""
    n, m, p = shape
    return np.array([2.0 * n * m * p, float(n * m + m * p + n * p), 1.0])
