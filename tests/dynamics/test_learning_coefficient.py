"""The learning coefficient where it is known, and the exact expectation of the estimator by quadrature elsewhere."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate

from grokkit.dynamics import Estimate, Loss, Undefined, local_learning_coefficient
from grokkit.scheme import InvalidInput

ONE = torch.zeros(1, dtype=torch.float64)


def measure(function, start, *, samples=10**4, draws=400, warm_up=250, **options):
    loss = Loss(function, {"w": torch.tensor(start, dtype=torch.float64)})
    return local_learning_coefficient(loss, ONE, samples=samples, draws=draws, warm_up=warm_up, **options)


def near(found, truth, errors=4):
    """Within some standard errors, which are themselves small enough to say something."""
    assert isinstance(found.value, Estimate)
    assert found.value.standard_error < 0.1 * truth
    return abs(found.value.value - truth) < errors * found.value.standard_error


@pytest.mark.parametrize("power", [1, 2, 3])
def test_the_minimum_of_a_power(power):
    """λ = 1/(2k) for w^(2k)."""
    found = measure(lambda p, x: p["w"] ** (2 * power), 0.0)
    assert near(found, 1 / (2 * power)) and found.r_hat < 1.05


def test_a_regular_minimum():
    """λ = d/2, whatever the curvatures."""
    curvature = torch.logspace(0, 1, 6, dtype=torch.float64)
    found = measure(lambda p, x: 0.5 * (curvature * p["w"] ** 2).sum(), [0.0] * 6)
    assert near(found, 3.0) and found.below == 0 and found.heat == 0
    assert found.beta == pytest.approx(1 / math.log(10**4)) and found.chains.shape == (8,)
    assert found.losses.shape == (8, 400)


def test_the_pull_of_the_localization():
    """Regular: the factor n β h / (n β h + γ), exactly."""
    weight = 10**4 / math.log(10**4)
    found = measure(lambda p, x: 0.5 * (p["w"] ** 2).sum(), [0.0] * 4, localization=weight)
    assert near(found, 2.0 / 2)


def test_a_curve_of_minima():
    """y = w₁ w₂ x at w₁ w₂ = 1: two parameters and one direction, λ = 1/2."""
    found = measure(lambda p, x: 0.5 * (p["w"].prod() - 1) ** 2, [1.0, 1.0], samples=10**5, localization=10.0)
    assert near(found, 0.5)


def test_a_crossing_of_curves():
    """y = w₁ w₂ x at the origin: λ = 1/2 with multiplicity 2, which is approached as 1/log n. The expectation of the
    estimator at this n is a quotient of integrals."""
    n = 10**4
    weight = n / math.log(n)

    def integral(power):
        # over w₂: ∫ (w₁² w₂² / 2)^power exp(−(weight w₁² + γ) w₂² / 2) dw₂, γ = 1
        def inner(w):
            stiffness = weight * w * w + 1
            gaussian = math.sqrt(2 * math.pi / stiffness) * math.exp(-w * w / 2)
            return gaussian * (w * w / (2 * stiffness)) ** power

        return 2 * integrate.quad(inner, 0, 12, points=[0.01, 0.1, 1], limit=400)[0]

    exact = weight * integral(1) / integral(0)
    assert 0.3 < exact < 0.5
    found = measure(lambda p, x: 0.5 * p["w"].prod() ** 2, [0.0, 0.0], samples=n, draws=1500)
    assert near(found, exact)


def test_minibatches(regression):
    """Least squares has λ = d/2, with full gradients and with minibatches whose heat is small."""
    x, y = regression.batch
    minimum = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    loss = regression.loss.at(minimum)
    batch = (x.repeat(10, 1), y.repeat(10))
    full = local_learning_coefficient(loss, batch, draws=400, warm_up=200)
    assert near(full, 1.5) and full.samples == 120
    found = local_learning_coefficient(loss, batch, batch_size=64, draws=600, warm_up=200, chains_at_once=4)
    assert near(found, 1.5)
    assert 0 < found.heat < 0.1 and found.acceptance > 0.9


def test_the_heat_of_minibatches_is_measured(regression):
    """ε/4 (n β)² tr Cov(g_B) / d at a known covariance, drawn with replacement."""
    x, y = regression.batch
    minimum = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    loss = regression.loss.at(minimum)
    found = local_learning_coefficient(loss, regression.batch, batch_size=4, step=1e-7, warm_up=10, draws=500)
    gradients = (x @ minimum - y)[:, None] * x
    variance = float(gradients.var(dim=0, correction=0).sum()) / 4
    expected = 1e-7 / 4 * (12 / math.log(12)) ** 2 * variance / 3
    assert found.heat == pytest.approx(expected, rel=0.2)


def test_a_slope_shows_in_the_draws_below():
    found = measure(lambda p, x: p["w"] + 0.5 * p["w"] ** 2, 0.0)
    assert float(found.value) < 0 and found.below > 0.9


def test_chains_that_run_off_are_undefined():
    found = local_learning_coefficient(
        Loss(lambda p, x: -(p["w"] ** 4) + x, {"w": torch.tensor(0.0)}),
        torch.zeros(10),
        batch_size=2,
        step=0.1,
        warm_up=10,
        draws=50,
    )
    assert isinstance(found.value, Undefined) and "ran off" in found.value.reason


def test_the_same_generator_gives_the_same_figure():
    def again(seed):
        generator = torch.Generator().manual_seed(seed)
        return measure(lambda p, x: p["w"] ** 2, 0.0, draws=20, warm_up=20, generator=generator).losses

    assert np.array_equal(again(1), again(1)) and not np.array_equal(again(1), again(2))


@pytest.mark.parametrize("options", [
    {"samples": 1}, {"beta": -1.0}, {"step": 0.0}, {"chains": 1}, {"draws": 2}, {"warm_up": 0}, {"localization": 0.0},
    {"batch_size": 0},
])  # fmt: skip
def test_bad_arguments(options):
    with pytest.raises(InvalidInput):
        measure(lambda p, x: p["w"] ** 2, 0.0, **options)
