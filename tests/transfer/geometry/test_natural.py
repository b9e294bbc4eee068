"""Natural-gradient steps, inverse metrics and curvature against closed forms; what is undefined says so."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import grokkit as gk
from grokkit import dynamics as gd
from grokkit.scheme import InvalidInput
from grokkit.transfer.geometry import (
    READINGS,
    Coupling,
    coupling,
    horizon,
    horizon_readings,
    inverse_metric,
    natural_step,
    parameters_at,
    product_metric,
    scalar_curvature,
)

torch.set_num_threads(1)


def half_square(output, y):
    return 0.5 * ((output - y) ** 2).sum()


def linear(seed=0, mixed=None, at=None):
    """A linear model w ↦ x (M w), and its data."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(30, generator=generator, dtype=torch.float64)
    m = torch.eye(4, dtype=torch.float64) if mixed is None else mixed
    w = torch.ones(m.shape[1], dtype=torch.float64) if at is None else at
    return gd.Loss(lambda p, x: x @ (m @ p["w"]), {"w": w}, half_square), (x, y)


def test_one_step_of_a_linear_gaussian_model_is_least_squares():
    loss, (x, y) = linear()
    step = natural_step(loss, (x, y))
    assert (step.rank, step.nullity) == (4, 0)
    assert torch.allclose(loss.vector() + step.direction, torch.linalg.lstsq(x, y[:, None]).solution[:, 0])
    assert step.outside < 1e-10
    gradient = gd.mean_gradient(loss, (x, y))
    assert step.decrease == pytest.approx(-float(gradient @ step.direction))


@given(st.integers(0, 50))
def test_the_step_of_the_function_does_not_depend_on_parameters(seed):
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(4, 6, generator=generator, dtype=torch.float64)  # six parameters, a two-dimensional kernel
    w = torch.randn(6, generator=generator, dtype=torch.float64)
    plain, batch = linear(seed, at=mixed @ w)
    other, _ = linear(seed, mixed=mixed, at=w)
    step = natural_step(other, batch)
    assert (step.rank, step.nullity) == (4, 2)
    assert torch.allclose(mixed @ step.direction, natural_step(plain, batch).direction, atol=1e-6)


def test_the_direction_is_the_pseudo_inverse_of_numpy():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    loss = gd.from_module(model, torch.nn.functional.cross_entropy)
    batch = (torch.randn(5, 3).double(), torch.randint(0, 2, (5,)))
    step = natural_step(loss, batch, likelihood="categorical", relative=1e-9)
    dense = gd.fisher(loss, batch, likelihood="categorical").dense().numpy()
    expected = -np.linalg.pinv(dense, rcond=1e-9, hermitian=True) @ gd.mean_gradient(loss, batch).numpy()
    assert np.allclose(step.direction.numpy(), expected, rtol=1e-5, atol=1e-8)
    assert step.rank == 5  # one logit difference a sample


def test_a_gradient_in_the_kernel_is_reported():
    # The criterion is not the likelihood's: its gradient reaches a direction that the outputs do not.
    loss = gd.Loss(lambda p, x: p["w"].sum() ** 2 * x, {"w": torch.tensor([1.0, -1.0], dtype=torch.float64)})
    step = natural_step(loss, torch.ones(3, dtype=torch.float64), likelihood=None)
    assert step.rank == 0 and isinstance(step.outside, gd.Undefined) and not step.direction.any()
    with pytest.raises(InvalidInput, match="relative"):
        natural_step(loss, torch.ones(3), likelihood=None, relative=2.0)


def strassen():
    scheme = gk.catalog["strassen"]
    factors = {name: torch.tensor(np.array(getattr(scheme, name)), dtype=torch.float64) for name in "UVW"}
    basis = 2 * torch.eye(4, dtype=torch.float64)
    a, b = basis.repeat_interleave(4, dim=0), basis.repeat(4, 1)
    c = (a.reshape(16, 2, 2) @ b.reshape(16, 2, 2)).flatten(1)
    return gd.Loss(lambda p, x: p["W"] @ ((p["U"] @ x[0]) * (p["V"] @ x[1])), factors, half_square), ((a, b), c)


def test_at_strassens_scheme_there_is_no_inverse_metric():
    loss, batch = strassen()
    found = inverse_metric(gd.fisher(loss, batch, likelihood="gaussian").dense().numpy())
    assert isinstance(found, gd.Undefined)
    assert "rank 61 of 84" in found.reason and "1e+03, 1e+06, 1e+09" in found.reason
    step = natural_step(loss, batch)
    assert (step.rank, step.nullity) == (61, 23) and not step.direction.any()


@given(st.integers(0, 50), st.integers(1, 5))
def test_an_inverse_metric_is_one_where_it_exists(seed, n):
    root = np.random.default_rng(seed).standard_normal((n, n))
    metric = root @ root.T + np.eye(n)
    assert np.allclose(inverse_metric(metric) @ metric, np.eye(n))


@pytest.mark.parametrize(
    "bad", [np.ones((2, 3)), np.array([[1.0, 2.0], [0.0, 1.0]]), np.full((2, 2), np.nan), np.ones(3)]
)
def test_matrices_that_are_no_metric(bad):
    with pytest.raises(InvalidInput):
        inverse_metric(bad)
    assert isinstance(inverse_metric(np.zeros((2, 2))), gd.Undefined)


@settings(max_examples=8)
@given(st.floats(0.3, 2.8), st.floats(0.5, 3))
def test_curvature_of_a_sphere(theta, radius):
    def metric(x):
        return radius**2 * torch.diag(torch.stack([torch.ones_like(x[0]), torch.sin(x[0]) ** 2]))

    assert scalar_curvature(metric, torch.tensor([theta, 0.3])) == pytest.approx(2 / radius**2, rel=1e-6)


def test_curvature_of_the_three_sphere_and_of_flat_space():
    def metric(x):
        return torch.diag(
            torch.stack([torch.ones_like(x[0]), torch.sin(x[0]) ** 2, (torch.sin(x[0]) * torch.sin(x[1])) ** 2])
        )

    assert scalar_curvature(metric, torch.tensor([1.0, 0.8, 0.2])) == pytest.approx(6)
    polar = lambda x: torch.diag(torch.stack([torch.ones_like(x[0]), x[0] ** 2]))  # noqa: E731
    assert scalar_curvature(polar, torch.tensor([1.3, 0.2])) == pytest.approx(0, abs=1e-9)


@settings(max_examples=12)
@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(1e-2, 1), st.floats(0.2, 5))
def test_regularized_curvature_is_gauss_formula(u, v, epsilon, stretch):
    found = scalar_curvature(product_metric(epsilon, stretch), torch.tensor([u, v], dtype=torch.float64))
    assert found == pytest.approx(-2 * stretch / (stretch * epsilon + u * u + stretch * v * v) ** 2, rel=1e-5)


def test_the_singular_metric_has_no_curvature_and_no_limit_gives_one():
    here, origin = torch.tensor([1.0, 1.0]), torch.zeros(2)
    assert isinstance(scalar_curvature(product_metric(), here), gd.Undefined)
    # Away from the origin the limit is what the regularizer makes it; at the origin there is none.
    limits = [scalar_curvature(product_metric(1e-4, s), here) for s in (0.1, 1.0, 10.0)]
    assert limits == pytest.approx([-0.1653, -0.5, -0.1653], rel=1e-3)
    assert scalar_curvature(product_metric(1e-3), origin) == pytest.approx(-2e6, rel=1e-3)
    assert scalar_curvature(product_metric(1e-4), origin) == pytest.approx(-2e8, rel=1e-3)


def test_points_and_metrics_that_are_none():
    with pytest.raises(InvalidInput, match="vector"):
        scalar_curvature(product_metric(1.0), torch.ones(1))
    with pytest.raises(InvalidInput, match="metric has shape"):
        scalar_curvature(lambda x: torch.eye(3), torch.ones(2))
    with pytest.raises(InvalidInput, match="epsilon"):
        product_metric(-1.0)


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(1, 100), st.floats(0.1, 10))
def test_the_coupling_follows_the_unit_of_the_loss_and_the_fourth_power_of_c(curvature, square, c, unit):
    base = coupling(curvature, square, c)
    assert coupling(curvature, square, c, loss_unit=unit).value == pytest.approx(base.value * unit**2)
    assert coupling(curvature, square, 2 * c).value == pytest.approx(16 * base.value)


def test_couplings_spread_over_the_readings_of_c():
    found = [coupling(1.0, 1.0, c) for c in READINGS.values()]
    assert all(isinstance(each, Coupling) for each in found)
    assert math.log10(max(each.value for each in found) / min(each.value for each in found)) > 20
    assert isinstance(coupling(scalar_curvature(product_metric(), torch.ones(2)), 1.0, 2.0), gd.Undefined)
    assert isinstance(coupling(1.0, 0.0, 2.0), gd.Undefined)
    with pytest.raises(InvalidInput):
        coupling(1.0, 1.0, 0.0)


def test_the_horizon_is_not_what_is_published():
    assert horizon(1.44e-4, 1821, 4096) == pytest.approx(3.126e-8, rel=1e-3)
    assert parameters_at(5.7e7, 1.44e-4, 4096) == pytest.approx(3.32e18, rel=1e-2)
    found = horizon_readings(1.44e-4, 1821, published=5.7e7)
    assert isinstance(found, gd.Undefined) and "3.1e-08 for a batch size" in found.reason and "5.7e+07" in found.reason
    with pytest.raises(InvalidInput):
        horizon(0.0, 1, 1)
    with pytest.raises(InvalidInput):
        parameters_at(-1.0, 1.0, 1.0)
