"""Convolution of sequences of any lengths by a proven scheme for polynomials, applied recursively."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from grokkit.execution._recursion import _coefficient, _combine, _divided
from grokkit.scheme import Certificate, InvalidInput, PolynomialProduct, Scheme, verify
from grokkit.scheme.catalog import catalog

MAX_LEVELS: Final = 64
CROSSOVER: Final = {"O": 64, "i": 512, "u": 512, "f": 2048, "c": 2048}
"""By kind of dtype, the longest sequences that ``levels="auto"`` leaves to numpy.convolve.

Measured with a scheme of three products for two terms, by one thread with AVX2; objects were integers of 28 bits.
"""
STACK_LIMIT: Final = 2**18
"""Elements up to which all products of a level are computed as one stack rather than one by one."""
DEFAULT: Final = "poly:2"
"""The target whose scheme in the catalog is used where none is given."""


def convolve(a: Any, b: Any, *, scheme: Scheme | None = None, levels: int | str = "auto") -> np.ndarray:
    """The full linear convolution of two sequences, ``numpy.convolve(a, b)``, by a scheme for polynomials.

    Parameters
    ----------
    a, b:
        Sequences of any lengths of at least 1, as `numpy.convolve` takes them: of booleans, integers, floating-point or
        complex numbers, or arrays of objects, of Python integers or `Fraction`s for instance.
    scheme:
        A scheme for polynomials of n and n terms, n at least 2, over Z or Q, which is proven before it is used. By
        default that of the catalog over Z for two terms, if it takes less than four products.
    levels:
        Recursive steps at most; they end at single entries. ``"auto"`` goes on while sequences are longer than the
        length from which a step pays (`CROSSOVER`). It takes none with a scheme of n² products or more, nor for machine
        integers with one that has denominators: what Python integers cost there is more than any step saves.

    Returns an array of len(a) + len(b) − 1 entries of the dtype that `numpy.convolve` gives. Law: for booleans, for
    integers and for objects that add and multiply exactly it equals the schoolbook convolution, entry for entry.
    Machine integers wrap around as in NumPy: with a scheme without denominators the recursion runs in their own type,
    as wrapping around is a homomorphism of rings; with denominators it runs on Python integers, in which every
    division by the common denominator comes out even, and the result is wrapped. The same division makes objects
    exact. Floats differ from NumPy's by rounding, more with each level, as the scheme's `growth_factor` tells; where
    an infinity or a NaN comes out, numpy.convolve computes the answer.

    A sequence much longer than the other is cut into pieces, so that the cost is linear in its length. In both
    the last block of a step is filled up with zeros.

    Raises `Refuted` for a scheme that is not exact, and `InvalidInput` for one of another target or ring, for empty
    sequences and for arrays of more than one axis.

    >>> from grokkit.scheme import standard_scheme
    >>> convolve([1, 2], [3, 4, 5], scheme=standard_scheme(PolynomialProduct(2)), levels=1)
    array([ 3, 10, 13, 10])
    """
    chosen = _default() if scheme is None else scheme
    n = _size(chosen)
    _proven(chosen)
    left, right = _sequence(a, "a"), _sequence(b, "b")
    dtype = np.result_type(left, right)
    if dtype.kind not in "biufcO":
        raise InvalidInput(f"sequences of {dtype} are not convolved; numbers are needed")
    depth = _depth(levels)
    kind = np.dtype(np.int64) if dtype.kind == "b" else dtype
    divided = kind.kind in "iu" and chosen.denominators != (1, 1, 1)
    if depth is None and (divided or chosen.rank >= n * n):
        depth = 0
    if divided:
        kind = np.dtype(object)
    limit = CROSSOVER[kind.kind] if depth is None else 1
    if depth == 0 or min(len(left), len(right)) <= limit:
        return np.convolve(left, right)
    recursion = _Recursion(chosen, kind, limit)
    with np.errstate(over="ignore", invalid="ignore"):
        result = recursion.unequal(left.astype(kind), right.astype(kind), MAX_LEVELS if depth is None else depth)
    if kind.kind in "fc" and not np.isfinite(result).all():
        return np.convolve(left, right)
    if dtype.kind == "b":
        return result != 0
    return _wrapped(result, dtype) if kind != dtype else result


def _default() -> Scheme:
    found = catalog.best(DEFAULT, ring="Z")
    if found.rank >= found.target.nonzeros:
        raise InvalidInput(
            f"the catalog has no scheme for {DEFAULT}; give one as scheme=, such as one of three products"
        )
    return found


def _size(scheme: Scheme) -> int:
    """n of a scheme for polynomials of n and n terms."""
    target = scheme.target
    if not isinstance(target, PolynomialProduct) or target.n != target.m:
        raise InvalidInput(
            f"{scheme.name} does not convolve; a scheme for polynomials of equally many terms is needed, as <poly:2;3>"
        )
    if target.n < 2:
        raise InvalidInput(f"{scheme.name} splits nothing; a scheme for polynomials of at least 2 terms is needed")
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name} holds only over {scheme.ring}, not for ordinary numbers")
    return target.n


@lru_cache(maxsize=64)
def _proven(scheme: Scheme) -> Certificate:
    return verify(scheme)


def _sequence(values: Any, name: str) -> np.ndarray:
    array = np.atleast_1d(np.asarray(values))
    if array.ndim != 1:
        raise InvalidInput(f"{name} has shape {array.shape}; a sequence, with one axis, is needed")
    if not array.size:
        raise InvalidInput(f"{name} is empty; a sequence of at least one entry is needed")
    return array


def _depth(levels: int | str) -> int | None:
    if isinstance(levels, str) and levels == "auto":
        return None
    if isinstance(levels, bool) or not isinstance(levels, int | np.integer) or not 0 <= levels <= MAX_LEVELS:
        raise InvalidInput(f"levels is {levels!r}; auto or a whole number from 0 to {MAX_LEVELS} is needed")
    return int(levels)


def _wrapped(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Python integers modulo 2 to the bits of a type, in its range."""
    mask = 2 ** (8 * dtype.itemsize) - 1
    unsigned = np.array([int(value) & mask for value in values], dtype=f"u{dtype.itemsize}")
    return unsigned.astype(dtype)


@lru_cache(maxsize=64)
def _combinations(scheme: Scheme, dtype: np.dtype[Any]) -> list[list[list[tuple[int, Any]]]]:
    """The rows of U, V and W as lists of (index, coefficient); numerators alone for objects."""
    return [
        [
            [
                (int(i), _coefficient(int(row[i]), 1 if dtype.kind == "O" else denominator, dtype))
                for i in np.flatnonzero(row)
            ]
            for row in matrix
        ]
        for matrix, denominator in zip((scheme.U, scheme.V, scheme.W), scheme.denominators, strict=True)
    ]


class _Recursion:
    """One scheme's coefficients in one dtype, and the recursion over them, down to sequences of `limit` entries."""

    def __init__(self, scheme: Scheme, dtype: np.dtype[Any], limit: int):
        self.n, self.rank, self.limit = _size(scheme), scheme.rank, limit
        self.divisor = math.prod(scheme.denominators) if dtype.kind == "O" else 1
        self.combinations = _combinations(scheme, dtype)

    def unequal(self, a: np.ndarray, b: np.ndarray, levels: int) -> np.ndarray:
        """The convolution of sequences of any two lengths, the longer one in pieces about as long as the shorter."""
        if len(a) < len(b):
            a, b = b, a
        total = len(a) + len(b) - 1
        pieces = max(1, round(len(a) / len(b)))
        step = -(-len(a) // pieces)
        size = max(step, len(b))
        cut = [_filled(a[at : at + step], size) for at in range(0, len(a), step)]
        b = _filled(b, size)
        if len(cut) * size <= STACK_LIMIT:
            stack = np.stack(cut)
            done: Sequence[np.ndarray] = list(self.equal(stack, np.broadcast_to(b, stack.shape), levels))
        else:
            done = [self.equal(piece, b, levels) for piece in cut]
        out = np.zeros(step * (len(cut) - 1) + 2 * size - 1, dtype=a.dtype)
        for at, piece in enumerate(done):
            out[at * step : at * step + 2 * size - 1] += piece
        return out[:total]

    def equal(self, a: np.ndarray, b: np.ndarray, levels: int) -> np.ndarray:
        """Convolutions along the last axis, (..., s) by (..., s) to (..., 2 s − 1), s any length."""
        size = a.shape[-1]
        if levels == 0 or size <= self.limit:
            return _schoolbook(a, b)
        n, step = self.n, -(-size // self.n)
        blocks = [[_filled(x[..., i * step : (i + 1) * step], step) for i in range(n)] for x in (a, b)]
        of_a, of_b, of_c = self.combinations
        if a.size * self.rank <= STACK_LIMIT:
            left = np.stack([_combine(row, blocks[0]) for row in of_a])
            right = np.stack([_combine(row, blocks[1]) for row in of_b])
            products: Sequence[np.ndarray] = list(self.equal(left, right, levels - 1))
        else:
            products = [
                self.equal(_combine(x, blocks[0]), _combine(y, blocks[1]), levels - 1)
                for x, y in zip(of_a, of_b, strict=True)
            ]
        out = np.zeros((*a.shape[:-1], 2 * n * step - 1), dtype=a.dtype)
        for k, row in enumerate(of_c):
            block = _combine(row, products)
            if self.divisor != 1:
                block = _divided(block, self.divisor)
            out[..., k * step : (k + 2) * step - 1] += block
        return out[..., : 2 * size - 1]


def _filled(x: np.ndarray, size: int) -> np.ndarray:
    """A sequence, or each of a stack, with zeros after it up to a length."""
    if x.shape[-1] == size:
        return x
    filled = np.zeros((*x.shape[:-1], size), dtype=x.dtype)
    filled[..., : x.shape[-1]] = x
    return filled


def _schoolbook(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The convolutions of a stack: by numpy.convolve, or, of many short sequences, term by term in all at once."""
    size = a.shape[-1]
    left, right = a.reshape(-1, size), b.reshape(-1, size)
    if len(left) <= size:
        out = np.stack([np.convolve(x, y) for x, y in zip(left, right, strict=True)])
    else:
        out = np.zeros((len(left), 2 * size - 1), dtype=a.dtype)
        for i in range(size):
            out[:, i : i + size] += left[:, i, None] * right
    return out.reshape(*a.shape[:-1], 2 * size - 1)
