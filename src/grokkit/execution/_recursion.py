"""The reference product: a scheme applied recursively in plain NumPy. Slow, and the oracle of all engines."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from grokkit.scheme import InvalidInput, MatrixProduct, Scheme

MAX_LEVELS: Final = 64
PADDED_LIMIT: Final = 2**24
"""Elements up to which padding may be most of an operand."""
STACK_LIMIT: Final = 2**22
"""Elements up to which all products of a level are computed as one stack rather than one by one."""


def recursive_product(scheme: Scheme, a: Any, b: Any, levels: int | None = None) -> Any:
    """``a @ b`` by `levels` recursive steps of a scheme, for any shapes that `numpy.matmul` takes.

    Parameters
    ----------
    scheme:
        A scheme for a matrix product <n,m,p>. It need not be exact: the result is what it computes.
    a, b:
        Arrays (..., N, M) and (..., M, P), broadcast over leading axes; one-dimensional operands are
        treated as in `numpy.matmul`. Any bool, integer, float, complex or object dtype.
    levels:
        Recursive steps; None goes down until blocks hold single entries. Sizes that n^levels,
        m^levels, p^levels do not divide are padded with zeros.

    Returns the product in the dtype that `numpy.matmul` gives. Machine integers wrap around exactly as
    there (the arithmetic is a ring homomorphism mod 2^k), so they need a scheme without denominators;
    Python integers and `Fraction`s in object arrays are exact at any size, denominators included. Raises `ValueError`
    for shapes that do not fit and `InvalidInput` for a scheme that the dtype does not admit.
    """
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name} is not a scheme for a matrix product")
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name} holds only over {scheme.ring}, not for ordinary numbers")
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError("a matrix product needs operands of at least one dimension, not scalars")
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit: {left.shape[-1]} != {right.shape[-2]}")
    dtype = np.result_type(left, right)
    logical = dtype.kind == "b"
    if logical:
        dtype = np.dtype(np.int64)
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, batch + left.shape[-2:]).astype(dtype)
    right = np.broadcast_to(right, batch + right.shape[-2:]).astype(dtype)
    sizes = left.shape[-2], left.shape[-1], right.shape[-1]
    depth = full_depth(scheme.target.format, sizes) if levels is None else levels
    if isinstance(depth, bool) or not isinstance(depth, int | np.integer) or not 0 <= depth <= MAX_LEVELS:
        raise InvalidInput(f"levels is {levels!r}; a whole number from 0 to {MAX_LEVELS} is needed")
    if scheme.rank == 0:
        product = np.zeros((*batch, sizes[0], sizes[2]), dtype=dtype)
    else:
        product = _Recursion(scheme, dtype).padded(left, right, int(depth))
    if logical:
        product = product != 0
    if a.ndim == 1:
        product = product[..., 0, :]
    return (product[..., 0] if b.ndim == 1 else product)[()]


def full_depth(form: Sequence[int], sizes: Sequence[int]) -> int:
    """Levels until every block side that can shrink is one."""
    depth = 0
    while any(base > 1 and base**depth < size for base, size in zip(form, sizes, strict=True)):
        depth += 1
    return depth


class _Recursion:
    """One scheme's coefficients in one dtype, and the recursion over them."""

    def __init__(self, scheme: Scheme, dtype: np.dtype[Any]):
        self.form = scheme.target.format  # type: ignore[attr-defined]
        self.rank = scheme.rank
        self.exact_divisor = 1
        exact = dtype.kind == "O"
        if scheme.denominators != (1, 1, 1):
            if dtype.kind in "iu":
                raise InvalidInput(
                    f"{scheme.name} has denominators {scheme.denominators}, which {dtype} arithmetic cannot "
                    "divide by; use a scheme over Z, floating point, or object arrays"
                )
            if exact:
                du, dv, dw = scheme.denominators
                self.exact_divisor = du * dv * dw
        self.combinations = [
            [
                [(int(i), _coefficient(int(row[i]), 1 if exact else denominator, dtype)) for i in np.flatnonzero(row)]
                for row in matrix
            ]
            for matrix, denominator in zip((scheme.U, scheme.V, scheme.W), scheme.denominators, strict=True)
        ]

    def padded(self, a: np.ndarray, b: np.ndarray, levels: int) -> np.ndarray:
        """The product of matrices of any size: padded to multiples of form^levels, then cropped."""
        (rows, inner), columns = a.shape[-2:], b.shape[-1]
        n, m, p = (
            -(-size // base**levels) * base**levels
            for size, base in zip((rows, inner, columns), self.form, strict=True)
        )
        if max(n * m, m * p, n * p) > PADDED_LIMIT and n * m * p > 64 * max(rows * inner * columns, 1):
            shapes = f"{rows}x{inner} by {inner}x{columns} would grow to {n}x{m} by {m}x{p}"
            raise InvalidInput(f"levels is {levels}: {shapes}")
        c = self.product(_pad(a, n, m), _pad(b, m, p), levels)
        return c[..., :rows, :columns]

    def product(self, a: np.ndarray, b: np.ndarray, levels: int) -> np.ndarray:
        """The recursion itself: c_k = Σ_r w_kr (Σ_i u_ri a_i) (Σ_j v_rj b_j) over blocks."""
        if levels == 0:
            return np.matmul(a, b)
        n, m, p = self.form
        blocks_a, blocks_b = _blocks(a, n, m), _blocks(b, m, p)
        of_a, of_b, of_c = self.combinations
        if max(a.size, b.size) * self.rank <= STACK_LIMIT:
            left = np.stack([_combine(row, blocks_a) for row in of_a])
            right = np.stack([_combine(row, blocks_b) for row in of_b])
            products = list(self.product(left, right, levels - 1))
        else:
            products = [
                self.product(_combine(ra, blocks_a), _combine(rb, blocks_b), levels - 1)
                for ra, rb in zip(of_a, of_b, strict=True)
            ]
        outputs = [_combine(row, products) for row in of_c]
        if self.exact_divisor != 1:
            outputs = [_divided(block, self.exact_divisor) for block in outputs]
        rows = [np.concatenate(outputs[k : k + p], axis=-1) for k in range(0, n * p, p)]
        return np.concatenate(rows, axis=-2)


def _coefficient(numerator: int, denominator: int, dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "O":
        return numerator
    if dtype.kind in "iu":
        bits = 8 * dtype.itemsize
        value = numerator % 2**bits
        if dtype.kind == "i" and value >= 2 ** (bits - 1):
            value -= 2**bits
        return dtype.type(value)
    return _rounded(Fraction(numerator, denominator), dtype)


def _rounded(value: Fraction, dtype: np.dtype[Any]) -> Any:
    """The floating-point number nearest to a rational, in the real type of the dtype."""
    kind = np.finfo(dtype).dtype.type
    try:
        high = float(value)
    except OverflowError:
        raise InvalidInput(f"a coefficient is beyond the range of {dtype}; use object arrays") from None
    if kind is np.longdouble:  # more digits than one float64 holds, fewer than two
        return kind(high) + kind(float(value - Fraction(high)))
    guess = kind(high)  # rounded twice: a neighbour may be nearer
    near = [guess, np.nextafter(guess, kind(-np.inf)), np.nextafter(guess, kind(np.inf))]
    return min((x for x in near if np.isfinite(x)), key=lambda x: abs(Fraction(float(x)) - value), default=guess)


def _divided(block: np.ndarray, divisor: int) -> np.ndarray:
    """Entries of an object array over a divisor: integers where they divide, fractions where not."""

    def divide(x: Any) -> Any:
        if isinstance(x, int | np.integer):
            return Fraction(int(x), divisor) if int(x) % divisor else int(x) // divisor
        return x / divisor

    return np.frompyfunc(divide, 1, 1)(block)


def _pad(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    if x.shape[-2:] == (rows, columns):
        return x
    padded = np.zeros((*x.shape[:-2], rows, columns), dtype=x.dtype)
    padded[..., : x.shape[-2], : x.shape[-1]] = x
    return padded


def _blocks(x: np.ndarray, rows: int, columns: int) -> list[np.ndarray]:
    """The rows·columns equal blocks of a matrix (of every matrix in a stack), row by row."""
    height, width = x.shape[-2] // rows, x.shape[-1] // columns
    return [
        x[..., i * height : (i + 1) * height, j * width : (j + 1) * width] for i in range(rows) for j in range(columns)
    ]


def _combine(terms: list[tuple[int, Any]], blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Σ coefficient · block, left to right; additions and subtractions where the coefficient is ±1."""
    if not terms:
        return np.zeros_like(blocks[0])
    (first, coefficient), *rest = terms
    total = blocks[first] if coefficient == 1 else blocks[first] * coefficient
    for index, coefficient in rest:
        if coefficient == 1:
            total = total + blocks[index]
        elif coefficient == -1:
            total = total - blocks[index]
        else:
            total = total + blocks[index] * coefficient
    return total
