"""Gradients of samples and their covariance, against loops and dense matrices."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from grokkit.dynamics import (
    Loss,
    Undefined,
    covariance_of,
    from_module,
    gradient_covariance,
    per_sample_gradients,
)


def test_gradients_are_those_of_a_loop(classifier):
    x, y = classifier.batch
    rows = []
    for i in range(len(x)):
        loss = functional.cross_entropy(classifier.module(x[i : i + 1]), y[i : i + 1])
        rows.append(torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(classifier.module.parameters()))]))
    loss = from_module(classifier.module, functional.cross_entropy)
    assert torch.allclose(per_sample_gradients(loss, classifier.batch), torch.stack(rows))
    assert torch.allclose(per_sample_gradients(loss, classifier.batch, chunk=5), torch.stack(rows))


@given(st.integers(2, 9), st.integers(1, 6), st.integers(0, 5), st.integers(0, 10**6))
def test_covariance_is_that_of_the_dense_matrix(samples, parameters, inner, seed):
    rng = np.random.default_rng(seed)
    gradients = rng.standard_normal((samples, inner)) @ rng.standard_normal((inner, parameters)) + 3
    found = covariance_of(torch.as_tensor(gradients))
    dense = np.atleast_2d(np.cov(gradients, rowvar=False))
    assert found.trace == pytest.approx(np.trace(dense), abs=1e-12)
    assert found.rank == np.linalg.matrix_rank(gradients - gradients.mean(axis=0), tol=1e-9)
    expected = np.linalg.eigvalsh(dense)[::-1][: found.rank]
    assert np.allclose(found.eigenvalues, expected, rtol=1e-8, atol=1e-11)
    assert found.per_parameter == pytest.approx(found.trace / parameters)
    if found.rank:
        assert found.condition == pytest.approx(expected[0] / expected[-1], rel=1e-6)


def test_rank_survives_rounding_in_float32():
    rng = np.random.default_rng(0)
    gradients = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 30)) + 100
    assert covariance_of(torch.as_tensor(gradients, dtype=torch.float32)).rank == 3


def test_linear_regression_in_closed_form(regression):
    found = gradient_covariance(regression.loss, regression.batch)
    assert found.trace * (regression.n - 1) / regression.n == pytest.approx(regression.trace)
    assert found.rank == regression.d


def test_a_zero_gradient_has_no_condition(strassen):
    found = gradient_covariance(strassen.loss, strassen.batch)
    assert found.rank == 0 and found.trace == 0
    assert isinstance(found.condition, Undefined) and "every gradient is zero" in found.condition.reason
    assert not found.condition
    with pytest.raises(ValueError, match="there is no value: every gradient is zero"):
        float(found.condition)


def test_equal_gradients_have_no_condition():
    loss = Loss(lambda p, x: (p["w"] * torch.tensor([0.1, 0.7])).sum() + 0 * x, {"w": torch.ones(2)})
    found = gradient_covariance(loss, torch.ones(7))
    assert found.rank == 0 and isinstance(found.condition, Undefined) and "equal to rounding" in found.condition.reason


def test_a_population_is_a_loop_over_its_runs(population):
    losses, batch = population.losses, population.batch
    together = per_sample_gradients(losses, batch)
    covariances = gradient_covariance(losses, batch)
    assert together.shape == (4, 9, losses[0].dimension)
    assert torch.allclose(per_sample_gradients(losses, batch, chunk=4), together)
    for run, loss in enumerate(losses):
        own = losses.batch_of(batch, run)
        assert torch.allclose(together[run], per_sample_gradients(loss, own), rtol=1e-12, atol=1e-14)
        alone = gradient_covariance(loss, own)
        assert np.allclose(covariances[run].eigenvalues, alone.eigenvalues) and covariances[run].rank == alone.rank
