"""Small exact linear algebra over Q, on tuples of tuples of `Fraction`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypeAlias

Vector: TypeAlias = tuple[Fraction, ...]
Matrix: TypeAlias = tuple[tuple[Fraction, ...], ...]


def matrix(rows: Iterable[Iterable[Fraction | int]]) -> Matrix:
    """Rows of exact numbers as a `Matrix`. Floats are refused: they are not what they look like."""
    result = []
    for row in rows:
        row = tuple(row)
        for value in row:
            if isinstance(value, float):
                raise TypeError(f"{value!r} is a float; give an exact integer or Fraction")
        result.append(tuple(Fraction(value) for value in row))
    return tuple(result)


def identity(size: int) -> Matrix:
    return tuple(tuple(Fraction(int(i == j)) for j in range(size)) for i in range(size))


def transpose(a: Matrix) -> Matrix:
    return tuple(zip(*a, strict=True))


def multiply(a: Matrix, b: Matrix) -> Matrix:
    columns = transpose(b)
    return tuple(
        tuple(sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0)) for column in columns) for row in a
    )


def apply(a: Matrix, x: Sequence[Fraction]) -> Vector:
    return tuple(sum((p * q for p, q in zip(row, x, strict=True)), Fraction(0)) for row in a)


def reduced(a: Matrix) -> tuple[list[list[Fraction]], list[int]]:
    """Reduced row echelon form and the pivot columns."""
    rows = [list(row) for row in a]
    pivots: list[int] = []
    width = len(rows[0]) if rows else 0
    for column in range(width):
        at = len(pivots)
        pivot = next((r for r in range(at, len(rows)) if rows[r][column]), None)
        if pivot is None:
            continue
        rows[at], rows[pivot] = rows[pivot], rows[at]
        lead = rows[at][column]
        rows[at] = [value / lead for value in rows[at]]
        for r, row in enumerate(rows):
            if r != at and row[column]:
                factor = row[column]
                rows[r] = [x - factor * y for x, y in zip(row, rows[at], strict=True)]
        pivots.append(column)
        if len(pivots) == len(rows):
            break
    return rows, pivots


def rank(a: Matrix) -> int:
    return len(reduced(a)[1])


def inverse(a: Matrix) -> Matrix | None:
    """The inverse, or None if the matrix is singular."""
    size = len(a)
    rows, pivots = reduced(tuple(x + y for x, y in zip(a, identity(size), strict=True)))
    if pivots != list(range(size)):
        return None
    return tuple(tuple(row[size:]) for row in rows)


def primitive(x: Iterable[Fraction]) -> tuple[int, ...]:
    """The point of projective space: coprime integers, first nonzero one positive; zeros stay zero.

    >>> primitive([Fraction(0), Fraction(-1, 2), Fraction(3)])
    (0, 1, -6)
    """
    x = tuple(x)
    common = math.lcm(*(value.denominator for value in x))
    integers = [int(value * common) for value in x]
    divisor = math.gcd(*integers)
    if divisor == 0:
        return tuple(integers)
    if next(value for value in integers if value) < 0:
        divisor = -divisor
    return tuple(value // divisor for value in integers)


def primitive_matrix(a: Matrix) -> Matrix:
    """The matrix scaled to coprime integers, first nonzero entry positive."""
    width = len(a[0])
    flat = primitive(value for row in a for value in row)
    return matrix(flat[start : start + width] for start in range(0, len(flat), width))
