"""Products of machine integers by the native kernel, modulo 2^32 or 2^64 as the processor computes them.

Sums and products of unsigned integers wrap around, which is arithmetic modulo a power of two: a ring, in which a scheme
over the integers holds exactly, however large the entries. Signed integers have the same bits.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from grokkit.execution import _kernel
from grokkit.execution._threads import threads_for
from grokkit.scheme import Scheme
from grokkit.scheme.catalog import catalog, standard

UNSIGNED: Final = {32: np.dtype(np.uint32), 64: np.dtype(np.uint64)}
PRICE: Final = {32: 1.0, 64: 5.2}
"""A multiply-add of the kernel, in multiply-adds of a float64 product (AVX2: 64-bit products are made of three)."""
SMALLEST_LEAF: Final = {32: 1536, 64: 512}
"""Shortest side of the products below another level of Winograd's algorithm."""


def wrapping_cost(sizes: tuple[int, int, int], bits: int) -> float:
    """Estimate of a product's cost, in multiply-adds of a float64 product; infinite without a native core."""
    if bits not in UNSIGNED or _kernel.library() is None:
        return float("inf")
    n, k, p = sizes
    return PRICE[bits] * n * k * p * (7 / 8) ** _levels(sizes, bits) + 4.0 * (n * k + k * p + n * p)


def _levels(sizes: tuple[int, int, int], bits: int) -> int:
    levels, side = 0, min(sizes)
    while side >= 2 * SMALLEST_LEAF[bits]:
        levels, side = levels + 1, side // 2
    return levels


@cache
def _classical() -> Scheme:
    return standard(1, 1, 1)


def wrapping_product(a: np.ndarray, b: np.ndarray, out: np.ndarray, threads: int | None = None) -> None:
    """out = a b, wrapping: (..., N, K) by (..., K, P) of one type of 32 or 64 bits, leading axes broadcast.

    The same bits as `numpy.matmul`. out does not overlap the operands; a copy is made where its matrices have neither
    contiguous rows nor contiguous columns.
    """
    bits = 8 * out.dtype.itemsize
    unsigned = UNSIGNED[bits]
    batch = out.shape[:-2]
    left = np.broadcast_to(a, batch + a.shape[-2:])
    right = np.broadcast_to(b, batch + b.shape[-2:])
    count = threads_for(threads)
    sizes = (a.shape[-2], a.shape[-1], b.shape[-1])
    levels = _levels(sizes, bits)
    scheme = catalog["strassen"] if levels else _classical()
    for index in np.ndindex(*batch):
        x, y, z = (m[index].view(unsigned) for m in (left, right, out))
        contiguous = out.itemsize in z.strides or 1 in z.shape
        target = z if contiguous else np.empty(z.shape, unsigned)
        _kernel.multiply(x, y, target, scheme, explicit_levels=max(levels - 1, 0), threads=count)
        if not contiguous:
            z[...] = target
