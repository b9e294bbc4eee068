"""Small exact linear algebra over Q, on tuples of tuples of `Fraction`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from numbers import Rational
from typing import Any, TypeAlias

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short

Vector: TypeAlias = tuple[Fraction, ...]
Matrix: TypeAlias = tuple[tuple[Fraction, ...], ...]


def rational(value: Any) -> Fraction:
    """An exact number as a `Fraction` of Python integers. Floats are refused: they are not what they look like."""
    if type(value) is Fraction and type(value.numerator) is type(value.denominator) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, Rational):
        raise InvalidInput(f"{short(value)} is not exact; give an integer or a Fraction")
    return Fraction(int(value.numerator), int(value.denominator))


def matrix(rows: Iterable[Iterable[Any]]) -> Matrix:
    """Rows of exact numbers (see `rational`) as a `Matrix`."""
    return tuple(tuple(rational(value) for value in row) for row in rows)


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


def determinant(a: Matrix) -> Fraction:
    """The determinant, by elimination."""
    rows, result = [list(row) for row in a], Fraction(1)
    for column in range(len(rows)):
        pivot = next((r for r in range(column, len(rows)) if rows[r][column]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != column:
            rows[column], rows[pivot], result = rows[pivot], rows[column], -result
        lead = rows[column]
        result *= lead[column]
        for row in rows[column + 1 :]:
            factor = row[column] / lead[column]
            if factor:
                for at in range(column, len(rows)):
                    row[at] -= factor * lead[at]
    return result


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
