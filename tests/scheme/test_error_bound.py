import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.execution import recursive_product
from grokkit.scheme import InvalidInput, Ring, Scheme, error_bound, expand, sandwiched, unit_roundoff
from grokkit.scheme.catalog import catalog, standard
from strategies import exact_schemes


def largest_error(scheme, levels, a, b):
    wide = np.clongdouble if a.dtype.kind == "c" else np.longdouble
    exact = a.astype(wide) @ b.astype(wide)
    return float(np.abs(recursive_product(scheme, a, b, levels) - exact).max())


DATA = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.random(shape),
    "graded": lambda rng, shape: rng.standard_normal(shape) * np.logspace(-8, 0, shape[1]),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], shape) * (1 + rng.random(shape) * 2**-20),
}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("name", ["strassen", "winograd"])
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(0, 4))
def test_errors_stay_below_the_bound(kind, dtype, name, seed, levels):
    rng = np.random.default_rng(seed)
    a, b = DATA[kind](rng, (16, 24)).astype(dtype), DATA[kind](rng, (24, 16)).astype(dtype)
    bound = error_bound(catalog[name], levels, 24, dtype)
    allowed = bound.factor * float(np.abs(a).max()) * float(np.abs(b).max())
    assert largest_error(catalog[name], levels, a, b) <= allowed


@given(scheme=exact_schemes(), seed=st.integers(0, 2**32 - 1))
def test_the_bound_holds_for_any_exact_scheme(scheme, seed):
    n, m, p = scheme.target.format
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n * n, m * m)), rng.standard_normal((m * m, p * p))
    a, b = a.astype(np.float32), b.astype(np.float32)
    bound = error_bound(scheme, 2, m * m, np.float32)
    assert largest_error(scheme, 2, a, b) <= bound.factor * np.abs(a).max() * np.abs(b).max()


def test_the_classical_bound():
    bound = error_bound(standard(1, 1, 1), 0, 100, np.float64)
    u = 2.0**-53
    assert bound.factor == pytest.approx(100 * (100 * u) / (1 - 100 * u))
    assert bound.unit_roundoff == u


def test_more_levels_cost_accuracy():
    factors = [error_bound(catalog["strassen"], levels, 1024).factor for levels in range(5)]
    # a level halves the inner dimension, multiplies by the growth factor 12, and adds a few roundings
    ratios = [later / earlier for earlier, later in itertools.pairwise(factors)]
    assert all(3 < ratio < 7 for ratio in ratios)
    assert error_bound(catalog["winograd"], 3, 64).factor > error_bound(catalog["strassen"], 3, 64).factor


def test_one_level_of_a_power_grows_like_two_levels():
    two = error_bound(catalog["strassen"], 2, 4)
    once = error_bound(expand(catalog["strassen"], 2), 1, 4)
    assert once.leaf_inner == two.leaf_inner == 1
    assert 0.5 < once.factor / two.factor < 3


def test_integers_have_no_rounding():
    with pytest.raises(InvalidInput, match="integer products are exact"):
        unit_roundoff(np.int32)


def test_no_bound_where_no_digit_survives():
    with pytest.raises(InvalidInput, match="no bound"):
        error_bound(standard(1, 1, 1), 0, 10**6, np.float16)


def test_inexact_coefficients_count():
    third = Scheme(standard(1, 1, 1).target, [[1]], [[3]], [[1]], (3, 1, 1))
    half = Scheme(standard(1, 1, 1).target, [[1]], [[2]], [[1]], (2, 1, 1))
    plain = error_bound(standard(1, 1, 1), 1, 1).depth
    assert error_bound(half, 1, 1).depth == plain + 2
    assert error_bound(third, 1, 1).depth == plain + 3
    assert str(third.ring) == "Q"
    assert Ring.parse("Q") == third.ring


def test_the_bound_holds_in_extended_precision():
    scheme = sandwiched(catalog["strassen"], [[3, 0], [0, 1]], [[7, 0], [0, 1]], [[11, 1], [0, 1]])
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((4, 4)).astype(np.longdouble) for _ in range(2))
    found = recursive_product(scheme, a, b, 2)

    def exact(x):
        high = x.astype(np.float64)
        low = (x - high).astype(np.float64)
        return np.array(
            [[Fraction(h) + Fraction(v) for h, v in zip(*rows, strict=True)] for rows in zip(high, low, strict=True)]
        )

    error = max(abs(value) for value in (exact(found) - exact(a).dot(exact(b))).ravel())
    bound = error_bound(scheme, 2, 4, np.longdouble)
    assert error <= Fraction(bound.factor) * Fraction(float(abs(a).max())) * Fraction(float(abs(b).max()))


@pytest.mark.parametrize(("levels", "inner"), [(-1, 4), (True, 4), (1, -4)])
def test_numbers_that_make_no_sense(levels, inner):
    with pytest.raises(InvalidInput, match="a whole number of at least 0"):
        error_bound(catalog["strassen"], levels, inner)


def test_a_bound_past_all_numbers_is_infinite():
    assert error_bound(catalog["strassen"], 400, 2, np.float64).factor == np.inf
