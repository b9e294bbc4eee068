"""Order parameters of weights whose distance to the lattice is known."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokkit.dynamics import Undefined, order_of_runs, order_parameters, success_probability
from grokkit.scheme import InvalidInput, MatrixProduct, Refuted, Scheme, lattice_distance, verify


def is_scheme(weights):
    try:
        return bool(verify(Scheme(MatrixProduct(2, 2, 2), *(weights[name].astype(int) for name in "UVW"))))
    except (Refuted, InvalidInput):
        return False


@given(st.integers(1, 5), st.integers(1, 6), st.floats(0, 0.5), st.integers(0, 10**6))
def test_definitions(rows, width, noise, seed):
    rng = np.random.default_rng(seed)
    exact = rng.integers(-1, 2, (rows, width)).astype(float)
    moved = exact + rng.uniform(-noise, noise, exact.shape)
    found = order_parameters({"w": moved}, tolerance=0.1)
    distances = np.minimum.reduce([np.abs(moved - value) for value in (-1, 0, 1)])
    assert found.delta == distances.max() == lattice_distance(moved.ravel())
    assert found.share == (distances <= 0.1).mean() and found.entries == rows * width
    assert found.discretizable == (found.delta <= 0.1)
    slow = [np.mean([np.cos(2 * np.pi * min(d, 0.5)) for d in row]) for row in distances]
    assert np.allclose(found.local["w"], slow) and found.mean_local == pytest.approx(np.mean(slow))


def test_local_order_is_one_on_the_lattice_and_zero_for_even_phases():
    even = np.linspace(-1, 1, 2001)[:-1].reshape(1, -1)
    assert order_parameters({"w": even}).local["w"] == pytest.approx(0, abs=1e-12)
    assert order_parameters({"w": np.eye(3)}).local["w"].tolist() == [1, 1, 1]
    assert order_parameters({"w": np.full((1, 2), 5.0)}).local["w"].tolist() == [-1]
    halves = order_parameters({"w": np.array([[0.5, 1.0]])}, lattice=(0, 0.5, 1))
    assert halves.delta == 0 and halves.local["w"].tolist() == [1]


def test_exactness_is_that_of_the_callable(strassen):
    generator = torch.Generator().manual_seed(0)
    near = {
        name: value + 0.05 * torch.randn(value.shape, generator=generator) for name, value in strassen.factors.items()
    }
    assert order_parameters(near, exact=is_scheme).exact is True
    near["U"] = -near["V"]
    assert order_parameters(near, exact=is_scheme).exact is False
    unknown = order_parameters(near).exact
    assert isinstance(unknown, Undefined) and "no callable" in unknown.reason


def test_runs_of_a_population():
    rng = np.random.default_rng(0)
    weights = {"a": rng.standard_normal((5, 3, 4)), "b": torch.tensor([[0.9], [0.8], [-1.0], [1.3], [0.1]])}
    orders = order_of_runs(weights, exact=lambda rounded: bool(rounded["b"][0] > 0))
    for run, order in enumerate(orders):
        alone = order_parameters({name: value[run] for name, value in weights.items()})
        assert order.delta == alone.delta and order.share == alone.share
    found = success_probability(orders)
    successes = sum(order.exact for order in orders)
    assert found.value == successes / 5 and found.low < found.value < found.high and found.n == 5


def test_wilsons_interval():
    """19 of 20: 76.4 % to 99.1 % (Newcombe 1998, method 3)."""
    orders = order_of_runs({"w": np.array([[1.0]] * 19 + [[0.0]])}, exact=lambda rounded: bool(rounded["w"][0] == 1))
    found = success_probability(orders)
    assert (round(found.low, 3), round(found.high, 3)) == (0.764, 0.991)
    assert isinstance(success_probability(order_of_runs({"w": np.ones((3, 1))})), Undefined)


@pytest.mark.parametrize("call", [
    lambda: order_parameters({}),
    lambda: order_parameters({"w": np.array([[np.nan]])}),
    lambda: order_parameters({"w": np.zeros((0, 2))}),
    lambda: order_parameters({"w": np.ones((1, 1))}, lattice=(1.0,)),
    lambda: order_of_runs({"a": np.ones((2, 1)), "b": np.ones((3, 1))}),
])  # fmt: skip
def test_bad_input(call):
    with pytest.raises(InvalidInput):
        call()
