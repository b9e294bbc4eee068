"""The spectral-tail bound: where it holds without exception, and where it does not hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.transfer.operators import (
    KINDS,
    Grid,
    Multiplier,
    bound_violations,
    random_coefficients,
    restrict,
    spectral_tail,
)

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(1, 12), st.data(), st.floats(0, 4), st.floats(0, 4))
def test_no_multiplier_violates_it(seed, modes, data, rough, smooth):
    generator = np.random.default_rng(seed)
    operator = Multiplier(random_coefficients((), modes, generator, decay=rough, real=False))
    fields = random_coefficients((4,), modes, generator, decay=smooth, real=False)
    found = spectral_tail(operator, fields, data.draw(st.integers(0, modes)))
    for error, bound in (
        (found.error, found.bound),
        (found.error, found.operator_bound),
        (found.compressed_error, found.bound),
        (found.sampled_error, found.sampled_bound),
    ):
        assert (error <= bound * (1 + 1e-12) + 1e-15).all()
    assert (found.operator_bound <= found.bound * (1 + 1e-12)).all()


@given(SEEDS, st.integers(1, 8), st.data())
def test_no_operator_violates_it_on_truncated_fields(seed, modes, data):
    generator = np.random.default_rng(seed)
    dense = random_coefficients((2 * modes + 1,), modes, generator, real=False)
    fields = random_coefficients((4,), modes, generator, real=False)
    found = spectral_tail(dense, fields, data.draw(st.integers(0, modes)))
    assert (found.error <= found.operator_bound * (1 + 1e-12)).all()
    assert (found.compressed_error <= found.compressed_bound * (1 + 1e-12)).all()


def test_the_errors_are_those_of_fields_on_grids(evaluate):
    """The oracle acts on values at 101 nodes, with the dense matrix of the operator, and on 11 samples of them."""
    generator = np.random.default_rng(0)
    operator = Multiplier(random_coefficients((), 20, generator))
    coefficients = random_coefficients((6,), 20, generator)
    found = spectral_tail(operator, coefficients, 5)
    fine, field = Grid(101), evaluate(coefficients, 101).real
    dense = operator.matrix(101).real
    low = restrict(field, fine, Grid(11))
    cut = evaluate(np.pad(coefficients[:, 15:26], ((0, 0), (15, 15))), 101).real
    np.testing.assert_allclose(evaluate(coefficients[:, 15:26], 11).real, low, atol=1e-12)
    sampled = evaluate(coefficients, 11).real
    waves = np.exp(2j * np.pi * np.outer(np.arange(-5, 6), np.arange(11)) / 11)
    interpolated = evaluate(sampled @ waves.conj().T / 11, 101).real
    for values, other in ((cut, found.error), (interpolated, found.sampled_error)):
        np.testing.assert_allclose(np.sqrt((((field - values) @ dense.T) ** 2).mean(axis=-1)), other, rtol=1e-10)
    np.testing.assert_allclose(found.tail, np.sqrt(((field - cut) ** 2).mean(axis=-1)), rtol=1e-10)


def test_it_is_reached_by_the_operator_that_sees_one_mode():
    symbol, field = np.zeros(9, dtype=complex), np.zeros((1, 9), dtype=complex)
    symbol[0] = field[0, 0] = 2.0  # k = -4 alone
    found = spectral_tail(Multiplier(symbol), field, 3)
    assert found.error[0] == found.bound[0] == found.operator_bound[0] == 4.0


def test_it_fails_for_the_published_truncation_of_an_operator_that_raises_modes():
    """H sends k = 0 to k = 2, the field is k = 0: no tail at all, and everything is lost."""
    raising = np.zeros((5, 5), dtype=complex)
    raising[4, 2] = 1.0
    field = np.zeros((1, 5), dtype=complex)
    field[0, 2] = 1.0
    found = spectral_tail(raising, field, 1)
    assert found.error[0] == found.bound[0] == 0.0
    assert found.compressed_error[0] == found.compressed_bound[0] == 1.0


def test_it_fails_for_sampled_fields_and_the_factor_is_needed():
    """The mean, of a field with k = ±3 on 3 nodes: both fold onto k = 0, and add up."""
    symbol, field = np.zeros(7, dtype=complex), np.zeros((1, 7), dtype=complex)
    symbol[3] = 1.0
    field[0, [0, 6]] = 1.0
    found = spectral_tail(Multiplier(symbol), field, 1)
    assert found.sampled_error[0] == pytest.approx(2.0) and found.bound[0] == pytest.approx(np.sqrt(2))
    assert found.sampled_error[0] <= found.sampled_bound[0] == pytest.approx(np.sqrt(2) * np.sqrt(3))


@pytest.mark.parametrize("kind", KINDS)
def test_violations_over_random_operators(kind):
    found = bound_violations(kind, 300, seed=1)
    assert found.n == 300 and found.completed == 0
    if kind in ("multiplier", "kernel"):
        assert found.published == 0 and found.largest_ratio <= 1
        assert found.rate_high == pytest.approx(1 - 0.025 ** (1 / 300))
    if kind == "compressed kernel":
        assert found.published > 0 and found.rate_low > 0 and found.largest_ratio > 1
    assert found == bound_violations(kind, 300, seed=1) and found.to_json()["seed"] == 1


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: spectral_tail(np.ones((4, 4), complex), np.ones((1, 4), complex), 1), "odd"),
        (lambda: spectral_tail(np.ones((3, 3), complex), np.ones((1, 5), complex), 1), "5 rows"),
        (lambda: spectral_tail(np.ones((3, 3), complex), np.ones((1, 3), complex), 2), "up to 1"),
        (lambda: spectral_tail(np.ones((3, 3), complex), np.full((1, 3), np.nan + 0j), 1), "not finite"),
        (lambda: spectral_tail(Multiplier(np.ones(5, complex)), np.ones((1, 3), complex), 1), "modes up to 2"),
        (lambda: spectral_tail(Multiplier(np.ones((1, 1, 3), complex)), np.ones((1, 3), complex), 1), "mixes"),
        (lambda: bound_violations("other", 1, 0), "one of"),
        (lambda: bound_violations("kernel", 0, 0), "at least one"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
