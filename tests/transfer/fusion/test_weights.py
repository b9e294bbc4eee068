"""The weight of two predictors: the closed form against a search, and what the published criterion really minimizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.transfer.fusion import CRITERIA, Moments, fused_matrix, optimal_weight, published_weight

SEEDS = st.integers(0, 2**32 - 1)


def predictions(seed, samples=30, entries=3):
    """A truth, and two predictors whose errors have a part in common and sizes of their own."""
    generator = np.random.default_rng(seed)
    truth, common, one, other = generator.standard_normal((4, samples, entries))
    sizes = generator.uniform(0.1, 2, 2)
    mixing = generator.standard_normal((entries, entries))
    return truth, truth + common + sizes[0] * one, truth + common @ mixing + sizes[1] * other


@given(SEEDS, st.floats(-2, 3))
def test_moments_give_the_error_of_every_mixture(seed, weight):
    truth, first, second = predictions(seed)
    moments = Moments.of(truth, first, second)
    fused = weight * first + (1 - weight) * second
    assert moments.error(weight) == pytest.approx(((truth - fused) ** 2).sum(axis=1).mean())
    assert moments.n == 30 and len(moments.to_json()["cross"]) == 3


@given(SEEDS)
def test_the_closed_form_is_the_minimum(seed):
    truth, first, second = predictions(seed)
    moments = Moments.of(truth, first, second)
    weight = optimal_weight(moments)
    direct = ((truth - second) * (first - second)).sum() / ((first - second) ** 2).sum()
    assert weight == pytest.approx(direct, rel=1e-9, abs=1e-9)
    least = moments.error(weight)
    for other in (*np.linspace(-3, 3, 61), weight - 1e-3, weight + 1e-3):
        assert least <= moments.error(float(other)) * (1 + 1e-12)
    assert least <= min(moments.error(0.0), moments.error(1.0)) * (1 + 1e-12)


@given(SEEDS, st.floats(0, 1))
def test_with_the_difference_the_published_matrix_is_the_error_of_the_mixture(seed, weight):
    truth, first, second = predictions(seed)
    moments = Moments.of(truth, first, second)
    error = truth - weight * first - (1 - weight) * second
    np.testing.assert_allclose(fused_matrix(moments, weight, "difference"), error.T @ error / len(error), atol=1e-12)


@given(SEEDS)
def test_its_trace_is_then_minimal_at_the_closed_form_clipped(seed):
    moments = Moments.of(*predictions(seed))
    found = published_weight(moments, "difference", "trace")
    assert found == pytest.approx(np.clip(optimal_weight(moments), 0, 1), abs=1e-9)


@given(SEEDS, st.sampled_from(CRITERIA), st.sampled_from(["frobenius", "trace"]))
def test_the_published_weight_minimizes_its_norm_against_a_search(seed, criterion, norm):
    moments = Moments.of(*predictions(seed))

    def size(weight):
        matrix = fused_matrix(moments, weight, criterion)
        return np.trace(matrix) if norm == "trace" else np.linalg.norm(matrix)

    found = published_weight(moments, criterion, norm)
    assert 0 <= found <= 1
    best = min(size(float(weight)) for weight in np.linspace(0, 1, 201))
    assert size(found) <= best + 1e-9 * abs(best)


def test_the_published_criterion_is_not_optimal():
    """Errors that cancel: e₈ = −e₁ / 2. The best mixture, one third of f₁, has no error; the criterion takes f₈."""
    error = np.random.default_rng(0).standard_normal((50, 2))
    truth = np.zeros((50, 2))
    moments = Moments.of(truth, error, -error / 2)
    assert optimal_weight(moments) == pytest.approx(1 / 3)
    assert moments.error(1 / 3) == pytest.approx(0, abs=1e-12)
    found = published_weight(moments)
    assert found == 0.0 and moments.error(found) > 0.2


ONES = np.ones((3, 2))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Moments.of(ONES, ONES * np.nan, ONES), "first: 6 values"),
        (lambda: Moments.of(ONES[:0], ONES[:0], ONES[:0]), "none"),
        (lambda: optimal_weight(Moments.of(ONES, 2 * ONES, 2 * ONES)), "agree"),
        (lambda: published_weight(Moments.of(ONES, ONES, 0 * ONES), "other"), "one of"),
        (lambda: published_weight(Moments.of(ONES, ONES, 0 * ONES), norm="other"), "known"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
