"""Textbook schemes for targets other than matrix products, and strategies for such targets and schemes."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from grokkit.scheme import (
    ComplexProduct,
    CyclicConvolution,
    MatrixProduct,
    PolynomialProduct,
    QuaternionProduct,
    Scheme,
    Target,
    ToeplitzProduct,
    standard_scheme,
)

HALF, THIRD, SIXTH = Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)
_ENDS = [[1, 0], [0, 1], [1, 1]]
_FIVE = [[1, 0, 0], [1, 1, 1], [1, -1, 1], [1, 2, 4], [0, 0, 1]]
_FOUR = [[1, 1, 1], [1, 0, -1], [0, 1, -1], [1, 1, -2]]

KARATSUBA = Scheme(PolynomialProduct(2), _ENDS, _ENDS, [[1, 0, 0], [-1, -1, 1], [0, 1, 0]])
"""Karatsuba and Ofman 1962."""
TOOM_3 = Scheme.from_rationals(
    PolynomialProduct(3),
    _FIVE,
    _FIVE,
    [
        [1, 0, 0, 0, 0],
        [-HALF, 1, -THIRD, -SIXTH, 2],
        [-1, HALF, HALF, 0, -1],
        [HALF, -HALF, -SIXTH, SIXTH, -2],
        [0, 0, 0, 0, 1],
    ],
)
"""Toom 1963, with the values at 0, 1, -1, 2 and infinity."""
GAUSS = Scheme(ComplexProduct(), [[1, 1], [1, 0], [0, 1]], [[1, 0], [-1, 1], [1, 1]], [[1, 0, -1], [1, 1, 0]])
CYCLIC_3 = Scheme.from_rationals(
    CyclicConvolution(3),
    _FOUR,
    _FOUR,
    [[THIRD, 1, 0, -THIRD], [THIRD, -1, -1, 2 * THIRD], [THIRD, 0, 1, -THIRD]],
)
"""2 n - d(n) = 4 products (Winograd 1977): modulo x - 1, and Karatsuba's modulo x^2 + x + 1."""
TOEPLITZ_2 = Scheme(
    ToeplitzProduct(2), [[0, 1, 0], [1, -1, 0], [0, -1, 1]], [[1, 1], [0, 1], [1, 0]], [[1, 1, 0], [1, 0, 1]]
)
QUATERNION = standard_scheme(QuaternionProduct())

KNOWN = {
    "karatsuba": KARATSUBA,
    "toom-3": TOOM_3,
    "gauss": GAUSS,
    "cyclic-3": CYCLIC_3,
    "toeplitz-2": TOEPLITZ_2,
    "quaternion": QUATERNION,
}

_lengths = st.integers(1, 4)
other_targets = st.one_of(
    st.builds(PolynomialProduct, _lengths, _lengths),
    st.builds(CyclicConvolution, _lengths),
    st.builds(ToeplitzProduct, _lengths, _lengths),
    st.just(ComplexProduct()),
    st.just(QuaternionProduct()),
)
all_targets = st.one_of(other_targets, st.builds(MatrixProduct, _lengths, _lengths, _lengths))


@st.composite
def scaled(draw: st.DrawFn, scheme: Scheme) -> Scheme:
    """An exact scheme with its slots in another order and its factors scaled, by rationals."""
    scheme = scheme.permuted(draw(st.permutations(range(scheme.rank))))
    numbers = st.fractions(min_value=-3, max_value=3, max_denominator=4).filter(bool)
    x = [draw(numbers) for _ in range(scheme.rank)]
    y = [draw(numbers) for _ in range(scheme.rank)]
    u, v, w = scheme.fractions()
    return Scheme.from_rationals(
        scheme.target,
        [[s * value for value in row] for s, row in zip(x, u, strict=True)],
        [[s * value for value in row] for s, row in zip(y, v, strict=True)],
        [[value / (s * t) for s, t, value in zip(x, y, row, strict=True)] for row in w],
    )


@st.composite
def any_schemes_of(draw: st.DrawFn, targets: st.SearchStrategy[Target] = other_targets) -> Scheme:
    """Schemes with random coefficients, or exact ones with one of them changed or not."""
    target = draw(targets)
    a, b, c = target.shape
    if draw(st.booleans()):
        rank = draw(st.integers(0, 4))
        entries = st.integers(-3, 3) | st.integers(-(2**70), 2**70)

        def matrix(rows: int, columns: int) -> list[list[int]]:
            return [[draw(entries) for _ in range(columns)] for _ in range(rows)]

        denominators = tuple(draw(st.integers(1, 6)) for _ in range(3))
        return Scheme(target, matrix(rank, a), matrix(rank, b), matrix(c, rank), denominators)
    scheme = draw(scaled(standard_scheme(target)))
    u, v, w = scheme.fractions()
    w[draw(st.integers(0, c - 1))][draw(st.integers(0, scheme.rank - 1))] += draw(st.integers(-1, 1))
    return Scheme.from_rationals(target, u, v, w)
