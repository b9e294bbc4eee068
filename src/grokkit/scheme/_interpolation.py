"""Schemes of fewest products over Q by interpolation: of polynomials, Toeplitz matrices and cyclic convolutions.

A polynomial of N terms is known by its values at N points (Toom 1963, Cook 1966); the point ∞ gives the leading
coefficient. Modulo xⁿ − 1, which over Q is the product of the cyclotomic polynomials Φ_d for d | n, a product is
known by its remainders (Winograd 1978, "On computing the discrete Fourier transform"). Both reach the lowest ranks that
are possible over Q: n + m − 1, and 2n less the number of divisors of n (Winograd 1977, "Some bilinear forms whose
multiplicative complexity depends on the field of constants").
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Final, TypeAlias

import numpy as np

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._rational import Matrix, identity, inverse, multiply, transpose
from grokkit.scheme._scheme import Provenance, Scheme
from grokkit.scheme._target import Target
from grokkit.scheme._targets import CyclicConvolution, PolynomialProduct, ToeplitzProduct

LARGEST: Final = 64
"""Entries of a side beyond which interpolation is refused: its numbers outgrow every use."""

Point: TypeAlias = tuple[int, int]
"""p/q in lowest terms; (1, 0) is infinity."""


def interpolated(target: Target) -> Scheme:
    """A scheme over Q with the fewest products possible, by evaluation at small points and interpolation.

    Parameters
    ----------
    target:
        A `PolynomialProduct` or `ToeplitzProduct` of n and m entries: n + m − 1 products; or a `CyclicConvolution` of
        n: 2n − d(n) products, d the number of divisors.

    Raises `InvalidInput` for other targets, and beyond `LARGEST` entries.

    >>> from grokkit.scheme import CyclicConvolution, verify
    >>> scheme = interpolated(CyclicConvolution(5))
    >>> scheme.rank, verify(scheme).ring
    (8, 'Q')
    """
    if not isinstance(target, PolynomialProduct | ToeplitzProduct | CyclicConvolution):
        raise InvalidInput(
            f"{target.name}: only polynomials, Toeplitz matrices and cyclic convolutions are known by their values"
        )
    if max(target.sizes) > LARGEST:
        raise InvalidInput(f"{target.name}: a side has {max(target.sizes)} entries, at most {LARGEST} are interpolated")
    if isinstance(target, PolynomialProduct):
        u, v, w = _toom_cook(target.n, target.m)
        method = "interpolation"
    elif isinstance(target, ToeplitzProduct):
        # transposition (Fiduccia 1972): what takes n + m − 1 sums to a product takes the matrix to its vector
        values, v, out = _toom_cook(target.n, target.m)
        u, v, w = transpose(out), tuple(row[::-1] for row in v), transpose(values)
        method = "transposed interpolation"
    else:
        u, v, w = _by_remainders(target.n)
        method = "remainders"
    sides, denominator = _whole_slots(u, v, w)
    a, b, c = (np.array(side, dtype=object) for side in sides)
    return Scheme(target, a, b, c, (1, 1, denominator), provenance=Provenance(method))


def points(count: int) -> list[Point]:
    """The first `count` points: 0, ∞, 1, −1, then by growing height.

    >>> points(7)
    [(0, 1), (1, 0), (1, 1), (-1, 1), (2, 1), (-2, 1), (1, 2)]
    """
    return list(itertools.islice(_all_points(), count))


def _all_points() -> Iterator[Point]:
    yield from ((0, 1), (1, 0), (1, 1), (-1, 1))
    for height in itertools.count(2):
        for small in range(1, height):
            if gcd(small, height) == 1:
                for p, q in ((height, small), (small, height)):
                    yield from ((p, q), (-p, q))


def _values(terms: int, at: Sequence[Point]) -> Matrix:
    """Rows that evaluate a polynomial at points, homogeneously, so that they are whole numbers."""
    top = terms - 1
    return tuple(tuple(Fraction(p**i * q ** (top - i)) for i in range(terms)) for p, q in at)


def _inverse(a: Matrix) -> Matrix:
    found = inverse(a)
    assert found is not None, "different points determine a polynomial, and remainders modulo coprime factors do"
    return found


def _toom_cook(n: int, m: int) -> tuple[Matrix, Matrix, Matrix]:
    at = points(n + m - 1)
    return _values(n, at), _values(m, at), _inverse(_values(n + m - 1, at))


def _by_remainders(n: int) -> tuple[Matrix, Matrix, Matrix]:
    remainders, u, blocks = [], [], []
    for divisor in (d for d in range(1, n + 1) if n % d == 0):
        modulus = _cyclotomic(divisor)
        degree = len(modulus) - 1
        reduce = _remainder(n, modulus)
        values, _, interpolate = _toom_cook(degree, degree)
        remainders += reduce
        u += multiply(values, reduce)
        blocks.append(multiply(_remainder(2 * degree - 1, modulus), interpolate))
    w = multiply(_inverse(tuple(remainders)), _diagonal(blocks))
    return tuple(u), tuple(u), w


def _cyclotomic(n: int) -> list[int]:
    """Coefficients of Φ_n, lowest first: xⁿ − 1 divided by the Φ_d of its proper divisors."""
    quotient = [-1, *[0] * (n - 1), 1]
    for divisor in (d for d in range(1, n) if n % d == 0):
        factor = _cyclotomic(divisor)
        whole = []
        while len(quotient) >= len(factor):
            lead = quotient[-1]
            whole.append(lead)
            for i, value in enumerate(factor, len(quotient) - len(factor)):
                quotient[i] -= lead * value
            quotient.pop()
        quotient = whole[::-1]
    return quotient


def _remainder(terms: int, modulus: Sequence[int]) -> Matrix:
    """The matrix (degree × terms) that takes a polynomial to its remainder; `modulus` has leading coefficient 1."""
    degree = len(modulus) - 1
    columns = [list(column) for column in identity(degree)[:terms]]
    while len(columns) < terms:
        before = columns[-1]
        carried = before[-1]
        columns.append([low - carried * c for low, c in zip([Fraction(0), *before[:-1]], modulus[:-1], strict=True)])
    return transpose(tuple(tuple(column) for column in columns))


def _diagonal(blocks: Sequence[Matrix]) -> Matrix:
    width = sum(len(block[0]) for block in blocks)
    rows, at = [], 0
    for block in blocks:
        left, right = (Fraction(0),) * at, (Fraction(0),) * (width - at - len(block[0]))
        rows += [left + row + right for row in block]
        at += len(block[0])
    return tuple(rows)


def _whole_slots(u: Matrix, v: Matrix, w: Matrix) -> tuple[list[list[list[int]]], int]:
    """The same products as integers: U and V without common factors in a slot, W over the denominator."""
    scales = [Fraction(1)] * len(u)
    sides = []
    for side in (u, v):
        rows = []
        for slot, row in enumerate(side):
            scale = Fraction(lcm(*(x.denominator for x in row)), gcd(*(x.numerator for x in row)))
            rows.append([int(x * scale) for x in row])
            scales[slot] /= scale
        sides.append(rows)
    scaled = [[x * scale for x, scale in zip(row, scales, strict=True)] for row in w]
    common = lcm(*(x.denominator for row in scaled for x in row))
    return [*sides, [[int(x * common) for x in row] for row in scaled]], common
