"""The worst rise in a ball against the exact solution for quadratics."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from grokkit.dynamics import Loss, Undefined, sam_rise, sharpness, worst_case_rise
from grokkit.scheme import InvalidInput

ONE = torch.zeros(1, dtype=torch.float64)


def quadratic(matrix, slope):
    matrix, slope = torch.as_tensor(matrix), torch.as_tensor(slope)
    start = torch.zeros(len(slope), dtype=torch.float64)
    return Loss(lambda p, x: 0.5 * p["w"] @ matrix @ p["w"] + slope @ p["w"] + x, {"w": start})


def worst_of_quadratic(matrix, slope, radius):
    """max gᵀe + eᵀHe/2 over |e| ≤ r: e = (μ − H)⁻¹ g with μ ≥ λ_max and μ ≥ 0 (Moré and Sorensen 1983)."""
    values, vectors = np.linalg.eigh(matrix)
    along = vectors.T @ slope

    def step(mu):
        return along / (mu - values)

    def rise(e):
        return along @ e + 0.5 * (values * e) @ e

    if values[-1] < 0 and np.linalg.norm(step(0.0)) <= radius:
        return rise(step(0.0))
    low = max(values[-1], 0.0)
    mu = brentq(
        lambda mu: np.linalg.norm(step(mu)) - radius, low + 1e-9, low + np.linalg.norm(slope) / radius + 1e3, xtol=1e-13
    )
    return rise(step(mu))


@settings(max_examples=10)
@given(st.integers(2, 6), st.floats(-3, 3), st.floats(0.1, 2), st.integers(0, 10**6))
def test_the_worst_rise_of_quadratics(d, shift, radius, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((d, d))
    matrix, slope = matrix + matrix.T + shift * np.eye(d), rng.standard_normal(d)
    found = worst_case_rise(quadratic(matrix, slope), ONE, radius)
    exact = worst_of_quadratic(matrix, slope, radius)
    assert found.value <= exact * (1 + 1e-6) + 1e-9
    assert found.value >= 0.99 * exact
    assert float(found.step.norm()) <= radius * (1 + 1e-9)


def test_at_a_minimum_it_is_half_the_sharpness_times_the_radius_squared():
    loss = quadratic(np.diag([1.0, 2.0, 9.0]), np.zeros(3))
    assert sharpness(loss, ONE) == pytest.approx(9)
    assert worst_case_rise(loss, ONE, 0.5).value == pytest.approx(0.5 * 9 * 0.25)
    nowhere = sam_rise(loss, ONE, 0.5)
    assert isinstance(nowhere, Undefined) and "points nowhere" in nowhere.reason


def test_a_population_is_a_loop_over_its_runs(population):
    found = sharpness(population.losses, population.batch)
    for run, loss in enumerate(population.losses):
        assert found[run] == pytest.approx(sharpness(loss, population.losses.batch_of(population.batch, run)))


def test_at_a_maximum_there_is_no_rise():
    found = worst_case_rise(quadratic(-np.eye(3), np.zeros(3)), ONE, 0.5)
    assert found.value == 0 and not found.step.any()


def test_the_step_of_sam():
    slope = np.array([3.0, 4.0])
    loss = quadratic(np.diag([1.0, 2.0]), slope)
    step = 0.5 * slope / 5
    assert sam_rise(loss, ONE, 0.5) == pytest.approx(slope @ step + 0.5 * step @ np.diag([1.0, 2.0]) @ step)
    assert worst_case_rise(loss, ONE, 0.5).value >= sam_rise(loss, ONE, 0.5)


def test_the_rise_of_the_step_is_the_value(strassen):
    found = worst_case_rise(strassen.loss, strassen.batch, 0.1)
    moved = strassen.loss.at(strassen.loss.vector() + found.step)
    assert moved.value(strassen.batch) == pytest.approx(found.value)
    assert found.value == pytest.approx(0.5 * 16.665 * 0.01, rel=0.1)


@pytest.mark.parametrize("call", [
    lambda loss: sam_rise(loss, ONE, 0.0),
    lambda loss: worst_case_rise(loss, ONE, -1.0),
    lambda loss: worst_case_rise(loss, ONE, 1.0, starts=2),
])  # fmt: skip
def test_bad_arguments(call):
    with pytest.raises(InvalidInput):
        call(quadratic(np.eye(2), np.ones(2)))
