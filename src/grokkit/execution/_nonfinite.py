"""Infinities and NaN, which a scheme spreads to other entries: brought back to where NumPy has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol, runtime_checkable

import numpy as np

WHOLE: Final = 3
"""The whole product is computed again when one part in so many of it is spoiled."""
STRIP: Final = 2**16
"""Entries that are looked at in one go."""
REDONE: Final = 2**22
"""Entries of rows that are gathered to be computed again in one go."""


@runtime_checkable
class Spread(Protocol):
    """How a product carries rows of A and columns of B into its result; `Plan` does."""

    def affected_rows(self, rows: np.ndarray) -> np.ndarray: ...

    def affected_columns(self, columns: np.ndarray) -> np.ndarray: ...


def mend(spread: Spread, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Make `out`, a (N, M) times b (M, P) with entries that are not finite, what `numpy.matmul` gives.

    Rows and columns that `spread` traces back to an infinity or NaN of the operands are computed again by NumPy. Where
    there are none, where they are much of the result, or where other entries are not finite either, sums have
    overflowed, or might have: then everything is computed again. NumPy warns of what it computes as it does anyway.
    """
    rows = spread.affected_rows(nonfinite_rows(a))
    columns = spread.affected_columns(nonfinite_rows(b.T))
    n, p = out.shape
    spoiled = len(rows) * p + len(columns) * n
    if not spoiled or WHOLE * spoiled > n * p or not _finite_elsewhere(out, rows, columns):
        np.matmul(a, b, out=out)
        return
    _redo_rows(a, b, out, rows)
    _redo_rows(b.T, a.T, out.T, columns)


def nonfinite_rows(x: np.ndarray) -> np.ndarray:
    """Indices of the rows of a matrix that hold an infinity or NaN, ascending."""
    found = np.zeros(len(x), np.bool_)
    for rows, columns in strips(x):
        found[rows] |= ~np.isfinite(x[rows, columns]).all(axis=1)
    return np.flatnonzero(found)


def _finite_elsewhere(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> bool:
    """Whether the entries of a matrix outside some rows and columns are finite."""
    known_rows, known_columns = np.zeros((len(x), 1), np.bool_), np.zeros((1, x.shape[1]), np.bool_)
    known_rows[rows], known_columns[:, columns] = True, True
    return all(bool((np.isfinite(x[i, j]) | known_rows[i] | known_columns[:, j]).all()) for i, j in strips(x))


def _redo_rows(a: np.ndarray, b: np.ndarray, out: np.ndarray, rows: np.ndarray) -> None:
    """Some rows of a b, by NumPy."""
    step = max(1, REDONE // max(a.shape[1], b.shape[1], 1))
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        out[some] = np.matmul(a[some], b)


def strips(x: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Pieces of a matrix as slices of rows and columns, along its memory, of about `STRIP` entries each."""
    rows, columns = x.shape
    if abs(x.strides[0]) < abs(x.strides[1]):
        for j, i in strips(x.T):
            yield i, j
        return
    wide = max(1, min(columns, STRIP))
    high = max(1, STRIP // wide)
    for i in range(0, rows, high):
        for j in range(0, columns, wide):
            yield slice(i, i + high), slice(j, j + wide)
