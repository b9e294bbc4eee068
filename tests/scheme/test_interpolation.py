"""Schemes by evaluation and interpolation: proven, and of the lowest ranks that are possible over Q."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.scheme import (
    CyclicConvolution,
    InvalidInput,
    MatrixProduct,
    PolynomialProduct,
    QuaternionProduct,
    ToeplitzProduct,
    interpolated,
    verify,
)
from grokkit.scheme._interpolation import LARGEST, _cyclotomic, points


def divisors(n: int) -> int:
    return sum(n % d == 0 for d in range(1, n + 1))


@pytest.mark.parametrize("n", [*range(1, 17), 24])
def test_cyclic_convolutions_in_two_n_less_the_divisors(n):
    scheme = interpolated(CyclicConvolution(n))
    assert scheme.rank == 2 * n - divisors(n)
    assert verify(scheme).equations == n**3


@settings(max_examples=25)
@given(st.integers(1, 7), st.integers(1, 7))
def test_polynomials_and_toeplitz_matrices_in_a_product_a_term(n, m):
    for target in (PolynomialProduct(n, m), ToeplitzProduct(n, m)):
        scheme = interpolated(target)
        assert scheme.rank == n + m - 1
        verify(scheme)
        assert scheme.denominators[:2] == (1, 1)


def test_points_are_different_and_small():
    many = points(40)
    assert len(set(many)) == 40
    assert max(max(abs(p), q) for p, q in many) == 5


@pytest.mark.parametrize(
    ("n", "coefficients"), [(1, [-1, 1]), (2, [1, 1]), (6, [1, -1, 1]), (12, [1, 0, -1, 0, 1]), (5, [1] * 5)]
)
def test_cyclotomic_polynomials(n, coefficients):
    assert _cyclotomic(n) == coefficients


def test_the_first_cyclotomic_polynomial_with_a_two():
    assert min(_cyclotomic(105)) == -2  # and none before it has a coefficient beyond 1
    assert all(max(map(abs, _cyclotomic(n))) == 1 for n in range(1, 105))


@pytest.mark.parametrize("target", [MatrixProduct(2, 2, 2), QuaternionProduct(), PolynomialProduct(LARGEST + 1)])
def test_other_targets_are_refused(target):
    with pytest.raises(InvalidInput, match=re.escape(target.name)):
        interpolated(target)
