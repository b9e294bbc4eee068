from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from grokkit.scheme import (
    MatrixProduct,
    Scheme,
    additions,
    compose,
    frobenius_growth,
    growth_factor,
    scalings,
    typical_growth,
)
from grokkit.scheme.catalog import catalog, standard
from strategies import any_schemes, exact_schemes, tiny_formats


def test_published_figures():
    strassen, winograd = catalog["strassen"], catalog["winograd"]
    assert additions(strassen).total == 18
    assert (additions(strassen).a, additions(strassen).b, additions(strassen).c) == (5, 5, 8)
    assert growth_factor(strassen) == 12
    assert growth_factor(winograd) == 18
    assert frobenius_growth(strassen) == pytest.approx(12 + 2 * np.sqrt(2), rel=1e-14)
    assert scalings(strassen) == 0


def test_the_standard_algorithm():
    for n, m, p in ((2, 2, 2), (2, 3, 4), (1, 5, 1)):
        scheme = standard(n, m, p)
        assert additions(scheme).total == n * p * (m - 1)
        assert growth_factor(scheme) == m
        assert frobenius_growth(scheme) == pytest.approx(n * m * p)


@given(any_schemes())
def test_counts_against_a_direct_loop(scheme):
    u, v, w = scheme.fractions()
    expected = sum(max(sum(x != 0 for x in row) - 1, 0) for matrix in (u, v, w) for row in matrix)
    assert additions(scheme).total == expected
    assert scalings(scheme) == sum(abs(x) not in (0, 1) for matrix in (u, v, w) for row in matrix for x in row)
    growth = max(
        (sum(sum(map(abs, u[r])) * sum(map(abs, v[r])) * abs(row[r]) for r in range(scheme.rank)) for row in w),
        default=Fraction(0),
    )
    assert growth_factor(scheme) == growth


@given(exact_schemes())
def test_growth_is_multiplicative_in_the_kronecker_product(scheme):
    strassen = catalog["strassen"]
    both = compose(strassen, scheme)
    assert growth_factor(both) == growth_factor(strassen) * growth_factor(scheme)
    product = frobenius_growth(strassen) * frobenius_growth(scheme)
    assert frobenius_growth(both) == pytest.approx(product, rel=1e-9)


def test_denominators_count():
    half = Scheme(MatrixProduct(1, 1, 1), [[1]], [[2]], [[1]], (2, 1, 1))
    assert growth_factor(half) == 1
    assert frobenius_growth(half) == 1
    assert scalings(half) == 2


@given(tiny_formats)
def test_typical_errors_of_the_standard_algorithm_do_not_grow(form):
    assert typical_growth(standard(*form)) == pytest.approx(1)


def test_typical_errors_grow_as_the_leaves_errors_do():
    """In expectation: against a leaf error of given size, drawn independently for each product."""
    rng = np.random.default_rng(0)
    for name in ("strassen", "winograd"):
        u, v, w = catalog[name].floats()
        a, b = rng.standard_normal((2, 4, 20000, 8))
        # independent errors of the leaves, each as large as the leaf
        s, t = np.einsum("ri,ixy->rxy", u, a), np.einsum("rj,jxy->rxy", v, b)
        errors = (s * t).sum(-1) * rng.choice([-1, 1], (7, 20000))
        spread = (w @ errors).std(1) ** 2
        assert np.sqrt(spread.mean() / (2 * 8)) == pytest.approx(typical_growth(catalog[name]), rel=0.05)
