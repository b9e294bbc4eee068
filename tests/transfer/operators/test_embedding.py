"""Fields on grids: what survives the way to a finer grid and back, and what tail padding does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.transfer.operators import (
    Grid,
    embed,
    random_coefficients,
    restrict,
    spectrum,
    synthesize,
    tail_padded,
)

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(1, 33), st.booleans())
def test_spectrum_and_synthesis_are_inverse(seed, nodes, real):
    generator = np.random.default_rng(seed)
    field = generator.standard_normal((2, nodes)) + (0 if real else 1j) * generator.standard_normal((2, nodes))
    coefficients = spectrum(field)
    assert coefficients.shape[-1] == 2 * (nodes // 2) + 1
    np.testing.assert_allclose(synthesize(coefficients, nodes), field, atol=1e-12)
    if real:
        np.testing.assert_allclose(coefficients[..., ::-1].conj(), coefficients, atol=1e-12)


@given(SEEDS, st.integers(0, 9), st.integers(1, 30))
def test_synthesis_is_the_sum_of_waves_on_any_grid_even_a_coarse_one(seed, modes, nodes):
    coefficients = random_coefficients((3,), modes, np.random.default_rng(seed), real=False)
    waves = np.exp(2j * np.pi / nodes * np.outer(np.arange(-modes, modes + 1), np.arange(nodes)))
    np.testing.assert_allclose(synthesize(coefficients, nodes), coefficients @ waves, atol=1e-11)


@given(SEEDS, st.integers(1, 20), st.integers(0, 45), st.booleans(), st.sampled_from([-1, 0]))
def test_restricting_what_was_embedded_is_the_identity(seed, nodes, more, real, axis):
    generator = np.random.default_rng(seed)
    field = generator.standard_normal((nodes, nodes)) + (0 if real else 1j) * generator.standard_normal((nodes, nodes))
    grid, target = Grid(nodes), Grid(nodes + more)
    embedded = embed(field, grid, target, axis)
    assert embedded.shape[axis] == target.nodes and np.iscomplexobj(embedded) is not real
    np.testing.assert_allclose(restrict(embedded, target, grid, axis), field, atol=1e-12)


@given(SEEDS, st.integers(1, 20), st.integers(1, 5))
def test_the_embedded_field_agrees_with_the_field_at_common_nodes(seed, nodes, factor):
    field = np.random.default_rng(seed).standard_normal(nodes)
    fine = embed(field, Grid(nodes), Grid(nodes * factor))
    np.testing.assert_allclose(fine[::factor], field, atol=1e-12)


@given(SEEDS, st.integers(1, 20), st.integers(1, 20))
def test_embedding_after_restricting_is_a_projection(seed, few, more):
    fine, coarse = Grid(few + more), Grid(few)
    field = np.random.default_rng(seed).standard_normal(fine.nodes)

    def project(values):
        return embed(restrict(values, fine, coarse), coarse, fine)

    once = project(field)
    np.testing.assert_allclose(project(once), once, atol=1e-12)


@pytest.mark.parametrize("target", [17, 32, 64, 255, 256])
def test_band_limited_fields_are_carried_exactly(target, evaluate):
    coefficients = random_coefficients((5,), 7, np.random.default_rng(0))
    field = evaluate(coefficients, 16).real
    np.testing.assert_allclose(
        embed(field, Grid(16), Grid(target)), evaluate(coefficients, target).real, rtol=0, atol=1e-12
    )


def test_tail_padding_loses_every_negative_wavenumber(evaluate):
    """Its error is the one that theory gives: for c_k, -7 <= k < 0, both what is missing and what stands elsewhere."""
    coefficients = random_coefficients((200,), 7, np.random.default_rng(1), real=False)
    truth = evaluate(coefficients, 64)
    wrong = tail_padded(evaluate(coefficients, 16), Grid(16), Grid(64))
    lost = 2 * (np.abs(coefficients[:, :7]) ** 2).sum(axis=-1)
    np.testing.assert_allclose((np.abs(wrong - truth) ** 2).mean(axis=-1), lost, rtol=1e-10)
    mean = evaluate(coefficients[:, 7:8], 64)
    np.testing.assert_allclose(tail_padded(evaluate(coefficients[:, 7:8], 16), Grid(16), Grid(64)), mean, atol=1e-12)


def test_tail_padding_is_right_on_the_same_grid():
    field = np.random.default_rng(2).standard_normal((3, 16))
    np.testing.assert_allclose(tail_padded(field, Grid(16), Grid(16)), field, atol=1e-13)


def test_grid_of_positions():
    positions = np.arange(8) * 0.25
    assert Grid.of(positions, 2.0) == Grid(8, 2.0)
    assert Grid(8, 2.0).positions.tolist() == positions.tolist() and Grid(8, 2.0).refined(9) == Grid(9, 2.0)
    assert Grid(8).to_json()["nodes"] == 8


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: embed(np.ones(8), Grid(8), Grid(7)), "restrict"),
        (lambda: restrict(np.ones(8), Grid(8), Grid(9)), "embed"),
        (lambda: tail_padded(np.ones(8), Grid(8), Grid(7)), "fewer"),
        (lambda: embed(np.ones(8), Grid(8), Grid(16, 1.0)), "one physical domain"),
        (lambda: embed(np.ones(8), Grid(9), Grid(16)), "8 values for a grid of 9"),
        (lambda: embed(np.array([1.0, np.nan]), Grid(2), Grid(4)), "not finite"),
        (lambda: embed(np.ones(8), Grid(8), Grid(16), axis=1), "none is number 1"),
        (lambda: Grid(0), "at least 1"),
        (lambda: Grid(4, -1.0), "positive"),
        (lambda: Grid.of(np.array([0.0, 1.0, 2.1, 3.0]), 4.0), "number 2 is 2.1"),
        (lambda: Grid.of(np.linspace(0, 1, 5), 1.0), "uniform"),
        (lambda: Grid.of(np.array([0.0, np.inf]), 1.0), "not finite"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
