"""Hypothesis strategies for formats, basis changes and schemes."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from grokkit.scheme import MatrixProduct, Scheme, sandwiched
from grokkit.scheme import _rational as exact
from grokkit.scheme.catalog import catalog, standard

small = st.integers(-3, 3)
rationals = st.fractions(min_value=-3, max_value=3, max_denominator=4)
formats = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
tiny_formats = st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 3))


@st.composite
def invertible(draw: st.DrawFn, size: int, entries: st.SearchStrategy = rationals) -> exact.Matrix:
    """An invertible rational matrix: unit lower times unit upper times a nonzero diagonal."""
    lower = [[draw(entries) if j < i else Fraction(int(i == j)) for j in range(size)] for i in range(size)]
    upper = [[draw(entries) if j > i else Fraction(int(i == j)) for j in range(size)] for i in range(size)]
    diagonal = [draw(entries.filter(bool)) for _ in range(size)]
    scaled = [[x * d for x, d in zip(row, diagonal, strict=True)] for row in lower]
    return exact.multiply(exact.matrix(scaled), exact.matrix(upper))


@st.composite
def gauges(draw: st.DrawFn, form: tuple[int, int, int]) -> tuple[exact.Matrix, exact.Matrix, exact.Matrix]:
    """(P, Q, R) for a format."""
    n, m, p = form
    return draw(invertible(n)), draw(invertible(m)), draw(invertible(p))


@st.composite
def exact_schemes(draw: st.DrawFn, sizes: st.SearchStrategy = formats) -> Scheme:
    """Schemes that are exact: standard, Strassen, Winograd, in random slot order and random bases."""
    base = draw(
        st.one_of(
            sizes.map(lambda f: standard(*f)),
            st.sampled_from(["strassen", "winograd"]).map(lambda name: catalog[name]),
        )
    )
    base = base.permuted(draw(st.permutations(range(base.rank))))
    if draw(st.booleans()):
        assert isinstance(base.target, MatrixProduct)
        base = sandwiched(base, *draw(gauges(base.target.format)))
    return base


@st.composite
def any_schemes(draw: st.DrawFn, size: int = 2**70) -> Scheme:
    """Schemes with arbitrary coefficients, large and fractional ones too; almost never exact."""
    n, m, p = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)))
    rank = draw(st.integers(0, 4))
    entries = st.one_of(small, st.integers(-size, size))

    def matrix(rows: int, columns: int) -> list[list[int]]:
        return [[draw(entries) for _ in range(columns)] for _ in range(rows)]

    denominators = tuple(draw(st.integers(1, 6)) for _ in range(3))
    return Scheme(
        MatrixProduct(n, m, p),
        matrix(rank, n * m),
        matrix(rank, m * p),
        matrix(n * p, rank),
        denominators,
    )
