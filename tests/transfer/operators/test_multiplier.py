"""Multipliers: their laws, zero-shot transfer to 1e-12, and the embeddings that fail."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.transfer.operators import Grid, Multiplier, OnNodes, embed, random_coefficients, restrict

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, modes, real=True, channels=()):
    return Multiplier(random_coefficients(channels, modes, np.random.default_rng(seed), real=real))


@given(SEEDS, st.integers(0, 6), st.integers(0, 9), st.booleans())
def test_it_is_its_dense_matrix(seed, modes, more, real):
    operator, nodes = drawn(seed, modes, real), 2 * modes + 1 + more
    field = np.random.default_rng(seed).standard_normal((3, nodes))
    result = operator(field, Grid(nodes))
    assert np.iscomplexobj(result) is not operator.real
    np.testing.assert_allclose(result, field @ operator.matrix(nodes).T, atol=1e-11)
    dense = operator.matrix(nodes)
    np.testing.assert_allclose(np.linalg.norm(dense), operator.hilbert_schmidt, rtol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(dense, 2), operator.norm, rtol=1e-10)


@given(SEEDS, st.integers(0, 6), st.integers(0, 9), st.integers(0, 60))
def test_it_commutes_with_resampling(seed, modes, more, finer):
    """With embedding for every field, band-limited or not; with restricting likewise: modes above K go to zero."""
    operator, coarse = drawn(seed, modes), Grid(2 * modes + 1 + more)
    fine = coarse.refined(coarse.nodes + finer)
    generator = np.random.default_rng(seed)
    field, fine_field = generator.standard_normal(coarse.nodes), generator.standard_normal(fine.nodes)
    carried = embed(operator(field, coarse), coarse, fine)
    np.testing.assert_allclose(operator(embed(field, coarse, fine), fine), carried, atol=1e-11)
    kept = restrict(operator(fine_field, fine), fine, coarse)
    np.testing.assert_allclose(operator(restrict(fine_field, fine, coarse), coarse), kept, atol=1e-11)


@given(SEEDS, st.integers(0, 5), st.integers(0, 5), st.integers(0, 20))
def test_it_is_linear_and_commutes_with_translation(seed, modes, more, shift):
    operator, grid = drawn(seed, modes, real=False), Grid(2 * modes + 1 + more)
    f, g = np.random.default_rng(seed).standard_normal((2, grid.nodes))
    np.testing.assert_allclose(
        operator(2 * f - 3j * g, grid), 2 * operator(f, grid) - 3j * operator(g, grid), atol=1e-11
    )
    np.testing.assert_allclose(operator(np.roll(f, shift), grid), np.roll(operator(f, grid), shift), atol=1e-11)


@given(SEEDS, st.integers(0, 6), st.integers(0, 6))
def test_truncating_what_was_embedded_is_the_identity(seed, modes, more):
    operator = drawn(seed, modes)
    larger = operator.embed(modes + more)
    np.testing.assert_array_equal(larger.truncate(modes).symbol, operator.symbol)
    assert larger.hilbert_schmidt == pytest.approx(operator.hilbert_schmidt)
    field = np.random.default_rng(seed).standard_normal(40)
    np.testing.assert_allclose(larger(field, Grid(40)), operator(field, Grid(40)), atol=1e-12)


@pytest.mark.parametrize("nodes", [16, 32, 64, 256])
@pytest.mark.parametrize("name", ["heat", "transport", "derivative", "random"])
def test_zero_shot_from_16_nodes_to_1e_12(nodes, name, evaluate):
    """Fitted from fields on 16 nodes; the truth on finer grids is a sum of waves, without FFT."""
    generator = np.random.default_rng(3)
    k = np.arange(-7, 8)
    symbol = {
        "heat": np.exp(-0.05 * k**2) + 0j,
        "transport": np.exp(-0.3j * k),
        "derivative": 1j * k,
        "random": random_coefficients((), 7, generator),
    }[name]
    coefficients = random_coefficients((40,), 7, generator)
    fitted = Multiplier.fit(
        evaluate(coefficients, 16).real, evaluate(coefficients * symbol, 16).real, Grid(16), modes=7
    )
    fresh = random_coefficients((20,), 7, generator)
    truth = evaluate(fresh * symbol, nodes).real
    error = np.abs(fitted(evaluate(fresh, nodes).real, Grid(nodes)) - truth).max()
    assert error <= 1e-12 * np.abs(truth).max()
    np.testing.assert_allclose(fitted.symbol, symbol, atol=1e-12 * np.abs(symbol).max())


def test_a_matrix_a_mode_is_fitted_and_applied(evaluate):
    generator = np.random.default_rng(4)
    symbol = random_coefficients((3, 2), 4, generator)
    coefficients = random_coefficients((10, 2), 4, generator)
    outputs = np.einsum("oik,fik->fok", symbol, coefficients)
    fitted = Multiplier.fit(evaluate(coefficients, 9).real, evaluate(outputs, 9).real, Grid(9), modes=4)
    np.testing.assert_allclose(fitted.symbol, symbol, atol=1e-12)
    result = fitted(evaluate(coefficients, 50).real, Grid(50))
    np.testing.assert_allclose(result, evaluate(outputs, 50).real, atol=1e-11)
    assert fitted.norm <= fitted.hilbert_schmidt


@pytest.mark.parametrize("kind", ["tail padding", "kept taps"])
def test_weights_of_a_grid_are_right_there_and_fail_elsewhere(kind, evaluate):
    generator = np.random.default_rng(5)
    operator = Multiplier.of(lambda k: np.exp(-0.7j * k), modes=7)
    wrong = OnNodes(operator, Grid(16), kind)
    coefficients = random_coefficients((100,), 7, generator)
    truth = coefficients * operator.symbol
    np.testing.assert_allclose(wrong(evaluate(coefficients, 16).real, Grid(16)), evaluate(truth, 16).real, atol=1e-12)
    for nodes in (32, 64, 256):
        field, exact = evaluate(coefficients, nodes).real, evaluate(truth, nodes).real
        assert np.mean((wrong(field, Grid(nodes)) - exact) ** 2) > 0.05 * np.mean(exact**2)
        assert np.abs(operator(field, Grid(nodes)) - exact).max() < 1e-12 * np.abs(exact).max()


def test_tail_padded_weights_halve_real_fields(evaluate):
    """What is left of a real field is half its waves: the relative error of the identity is one quarter."""
    identity = Multiplier(np.ones(15, dtype=complex))
    coefficients = random_coefficients((50,), 7, np.random.default_rng(6))
    coefficients[:, 7] = 0  # without the mean
    field = evaluate(coefficients, 64).real
    padded = OnNodes(identity, Grid(16), "tail padding")(field, Grid(64))
    np.testing.assert_allclose(padded, field / 2, atol=1e-12)


def test_kept_taps_are_right_if_the_domain_grows_with_the_nodes(evaluate):
    """A shift by one node on 15 nodes is a shift by one node on 45: right for a domain three times as long."""
    taps = Multiplier.of(lambda k: np.exp(-2j * np.pi / 15 * k), modes=7)
    field = np.random.default_rng(7).standard_normal((4, 45))
    moved = OnNodes(taps, Grid(15), "kept taps")(field, Grid(45))
    np.testing.assert_allclose(moved, np.roll(field, 1, axis=-1), atol=1e-12)


def test_json_holds_the_symbol():
    operator = drawn(0, 2)
    held = json.loads(json.dumps(operator.to_json()))["symbol"]
    np.testing.assert_array_equal(np.array(held["real"]) + 1j * np.array(held["imaginary"]), operator.symbol)
    with pytest.raises(ValueError, match="read-only"):
        operator.symbol[0] = 1


ONES = np.ones(5, dtype=complex)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Multiplier(np.ones(4, dtype=complex)), "odd number"),
        (lambda: Multiplier(ONES * np.nan), "not finite"),
        (lambda: Multiplier(ONES)(np.ones(4), Grid(4)), "truncate"),
        (lambda: Multiplier(ONES)(np.ones(8), Grid(8, 1.0)), "domain"),
        (lambda: Multiplier(ONES)(np.full(8, np.nan), Grid(8)), "not finite"),
        (lambda: Multiplier(ONES)(np.ones(9), Grid(8)), "9 values"),
        (lambda: Multiplier(ONES.reshape(1, 1, 5))(np.ones((2, 8)), Grid(8)), "1 channels"),
        (lambda: Multiplier(ONES.reshape(1, 1, 5)).matrix(8), "mixes channels"),
        (lambda: Multiplier(ONES).truncate(3), "0 to 2"),
        (lambda: Multiplier(ONES).embed(1), "fewer"),
        (lambda: Multiplier.fit(np.ones((3, 8)), np.ones((3, 8)), Grid(8), 2), "do not determine mode -2"),
        (lambda: Multiplier.fit(np.ones((3, 8)), np.ones((2, 8)), Grid(8), 2), "shapes"),
        (lambda: Multiplier.fit(np.ones((3, 8)), np.ones((3, 8)), Grid(8), 4), "fit fewer modes"),
        (lambda: OnNodes(Multiplier(ONES), Grid(8), "other"), "known"),
        (lambda: OnNodes(Multiplier(ONES), Grid(8), "kept taps")(np.ones(7), Grid(7)), "fewer"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
