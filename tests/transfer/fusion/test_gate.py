"""Experts and gates: training that is really done, on problems of which the answer is known."""

import json

import numpy as np
import pytest

from grokkit.scheme import InvalidInput
from grokkit.transfer.fusion import train_expert, train_gate


def known_gate(seed, noise, curve, samples=200):
    """Samples at 12 frequencies for which α*(ω) is a given curve, but for noise: y = f₈ + curve(ω) d + noise."""
    generator = np.random.default_rng(seed)
    frequencies = np.repeat(np.linspace(1.0, 2.0, 12), samples)
    second = generator.standard_normal((len(frequencies), 2))
    apart = generator.standard_normal((len(frequencies), 2))
    truth = second + curve(frequencies)[:, None] * apart + noise * generator.standard_normal(apart.shape)
    return frequencies, truth, second + apart, second


@pytest.mark.parametrize("curve", [lambda w: 2 * w - 2.5, lambda w: 0.5 + 0.3 * np.sin(5 * w), lambda w: 0.3 + 0 * w])
def test_a_gate_finds_a_known_curve_between_its_frequencies(curve):
    gate = train_gate(*known_gate(0, 0.3, curve), seed=0)
    between = np.linspace(1.0, 2.0, 12)[:-1] + 1 / 22
    np.testing.assert_allclose(gate(between), curve(between), atol=0.06)


def test_where_experts_hardly_differ_the_penalty_keeps_the_gate_tame():
    """With noise 20 times the difference, α* of single frequencies is off by more than 1; the chosen gate is not."""
    frequencies, truth, first, second = known_gate(1, 20.0, lambda w: 0.3 + 0 * w)
    gate = train_gate(frequencies, truth, first, second, seed=0)
    between = np.linspace(1.0, 2.0, 101)
    single = [
        ((truth - second) * (first - second))[frequencies == w].sum() / ((first - second)[frequencies == w] ** 2).sum()
        for w in np.unique(frequencies)
    ]
    assert np.abs(gate(between) - 0.3).max() < 0.5 * np.abs(np.array(single) - 0.3).max()


def test_gate_and_expert_repeat_with_their_seed():
    samples = known_gate(2, 0.1, lambda w: w)
    first, again = (train_gate(*samples, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.network.w1, again.network.w1)
    assert json.loads(json.dumps(first.to_json()))["ridge"] == first.ridge
    states = np.random.default_rng(0).standard_normal((50, 4))
    one, same, other = (train_expert(3, states, np.ones(50), 2 * states, seed, steps=20) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one(states, np.ones(50)), same(states, np.ones(50)))
    assert np.abs(one(states, np.ones(50)) - other(states, np.ones(50))).max() > 1e-3
    assert one.width == 3 and one.to_json()["parameters"] == 3 * 4 + 3 + 4 * 3 + 4
    with pytest.raises(ValueError, match="read-only"):
        one.network.w1[0, 0] = 1.0


def test_an_expert_learns_and_only_one_that_sees_the_frequency_can_use_it():
    generator = np.random.default_rng(1)
    states, frequencies = generator.standard_normal((400, 2)), generator.uniform(1, 2, 400)
    following = states * np.sin(2 * frequencies)[:, None]
    errors = {}
    for sees in (False, True):
        expert = train_expert(12, states, frequencies, following, 0, sees_frequency=sees, steps=800)
        errors[sees] = ((expert(states, frequencies) - following) ** 2).mean()
        assert expert.loss == pytest.approx(errors[sees], rel=0.01)
    assert errors[True] < 0.2 * errors[False] and errors[False] < (following**2).mean()


X, W = np.ones((6, 2)), np.array([1.0, 1, 2, 2, 3, 3])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: train_gate(W * np.nan, X, X, 2 * X, 0), "frequencies: 6 values"),
        (lambda: train_gate(0 * W + 1, X, X, 2 * X, 0), "at least 3"),
        (lambda: train_gate(W, X, X, X, 0), "agree"),
        (lambda: train_gate(W, X, X, 2 * X, 0, width=0), "0 hidden units"),
        (lambda: train_expert(0, X, W, X, 0), "hidden units"),
        (lambda: train_expert(2, X, W, X * np.inf, 0), "following: 12 values"),
        (lambda: train_expert(2, X, W, X, 0, steps=0), "0 steps"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
