"""Scaling by powers of two before a product, so that badly scaled matrices keep their accuracy under a scheme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

ROUNDS: Final = 2
"""How often rows of A and columns of B are scaled, and the inner dimension after them."""
ZERO: Final = -(2**20)
"""Exponent of a row of zeros: below any other, and sums of a few do not overflow."""


@final
@dataclass(frozen=True)
class Scaled:
    """A = D a E and B = E⁻¹ b F with diagonal matrices D, E, F of powers of two, so that A B = D (a b) F."""

    a: np.ndarray
    b: np.ndarray
    rows: np.ndarray
    """Exponents of D, (N,)."""
    columns: np.ndarray
    """Exponents of F, (P,)."""

    def restore(self, c: np.ndarray) -> None:
        """Turn c = a b (N, P) into A B in its place. What is beyond the range of the type becomes infinite."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            _multiply_rows(c, self.rows)
            _multiply_rows(c.T, self.columns)


def scaled(a: np.ndarray, b: np.ndarray) -> Scaled:
    """Scale matrices (N, M) and (M, P) of one floating-point type, outside and inside, twice.

    Outside: the largest magnitude of each row of A and each column of B is brought to [1/2, 1). Inside: those of column
    k of A and row k of B are brought to their geometric mean, within a factor of two. Each undoes some of the other,
    hence twice: "repeated outside-inside scaling" of Ballard, Benson, Druinsky, Lipshitz and Schwartz (2016, "Improving
    the numerical stability of fast matrix multiplication"), after Dumitrescu (1998, "Improving and estimating the
    accuracy of Strassen's algorithm").

    All factors are powers of two, no further from 1 than about half the exponents of the type. So nothing overflows,
    and only entries too small to matter beside the largest of their row or column are rounded. Rows and columns
    with an infinity or NaN are scaled by anything, and so are zeros. Copies both operands.
    """
    a, b = a.copy(order="K"), b.copy(order="K")
    limit = np.finfo(a.dtype).maxexp // 2 - 1
    rows, inner, columns = (np.zeros(size, np.int32) for size in (len(a), len(b), b.shape[1]))
    with np.errstate(under="ignore", invalid="ignore"):
        for _ in range(ROUNDS):
            rows = _divided(a, rows, _exponents(a), limit)
            columns = _divided(b.T, columns, _exponents(b.T), limit)
            excess = (_exponents(a.T) - _exponents(b)) // 2
            _divided(b, -inner, -excess, limit)
            inner = _divided(a.T, inner, excess, limit)
    return Scaled(a, b, rows, columns)


def _exponents(x: np.ndarray) -> np.ndarray:
    """Least e with |x| < 2^e along each row: `ZERO` for zeros, 0 where the largest magnitude is not finite."""
    largest = np.maximum(x.max(axis=1, initial=0), -x.min(axis=1, initial=0))
    exponents = np.frexp(largest)[1]
    return np.where(largest == 0, ZERO, np.where(np.isfinite(largest), exponents, 0)).astype(np.int32)


def _divided(x: np.ndarray, before: np.ndarray, exponents: np.ndarray, limit: int) -> np.ndarray:
    """Divide rows by 2^exponents, which have been divided by 2^before already, together by 2^±limit at most.

    Returns what they have been divided by altogether.
    """
    total = np.clip(before + exponents, -limit, limit).astype(np.int32)
    _multiply_rows(x, before - total)
    return total


def _multiply_rows(x: np.ndarray, exponents: np.ndarray) -> None:
    np.multiply(x, np.ldexp(x.dtype.type(1), exponents)[:, None], out=x)
