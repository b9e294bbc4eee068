"""Products with curvature against dense matrices by plain autograd, and the spectrum at Strassen's scheme."""

import numpy as np
import pytest
import torch
from torch.autograd.functional import hessian as dense_hessian
from torch.autograd.functional import jacobian as dense_jacobian
from torch.nn import functional

from grokkit.dynamics import (
    Curvature,
    Loss,
    fisher,
    from_module,
    gauss_newton,
    hessian,
    jacobian_rank,
    mean_gradient,
    per_sample_gradients,
    sharpness,
    spectrum,
)
from grokkit.scheme import InvalidInput


def sampled(loss, batch):
    """The samples of a batch of pairs, one at a time."""
    return zip(*batch, strict=True)


def slow_gauss_newton(loss, batch):
    """Σ Jᵀ H J, sample by sample, with dense J and H."""
    total, point = 0, loss.vector()
    for x, y in sampled(loss, batch):
        out = loss.function(loss.unflatten(point), x).detach()
        jacobian = dense_jacobian(lambda at, x=x: loss.function(loss.unflatten(at), x), point)
        total = total + jacobian.T @ dense_hessian(lambda out, y=y: loss.criterion(out, y), out) @ jacobian
    return total / len(batch[1])


def slow_hessian(loss, batch):
    def mean(at):
        return sum(loss.criterion(loss.function(loss.unflatten(at), x), y) for x, y in sampled(loss, batch)) / len(
            batch[1]
        )

    return dense_hessian(mean, loss.vector())


@pytest.fixture
def network(classifier):
    return from_module(classifier.module, functional.cross_entropy), classifier.batch


def test_hessian_is_the_dense_one(network):
    loss, batch = network
    expected = slow_hessian(loss, batch)
    assert torch.allclose(hessian(loss, batch).dense(), expected)
    assert torch.allclose(hessian(loss, batch, chunk=5).dense(columns=7), expected)


def test_gauss_newton_is_the_dense_one(network):
    loss, batch = network
    expected = slow_gauss_newton(loss, batch)
    assert torch.allclose(gauss_newton(loss, batch).dense(), expected)
    assert torch.allclose(gauss_newton(loss, batch, chunk=5).dense(), expected)


def test_empirical_fisher_is_the_second_moment_of_gradients(network):
    loss, batch = network
    gradients = per_sample_gradients(loss, batch)
    assert torch.allclose(fisher(loss, batch).dense(), gradients.T @ gradients / 12)


def test_the_categorical_fisher_is_the_expectation_over_classes(network):
    loss, batch = network
    inputs = batch[0]
    probabilities = loss.outputs(loss.vector(), inputs).softmax(dim=-1)
    expected = 0
    for label in range(3):
        gradients = per_sample_gradients(loss, (inputs, torch.full((12,), label)))
        expected = expected + gradients.T @ (probabilities[:, label, None] * gradients) / 12
    found = fisher(loss, batch, likelihood="categorical").dense()
    assert torch.allclose(found, expected)
    assert torch.allclose(found, gauss_newton(loss, batch).dense())  # logits are natural parameters


def test_the_bernoulli_fisher_is_the_expectation_over_outcomes(classifier):
    def loss_fn(out, y):
        return functional.binary_cross_entropy_with_logits(out, y, reduction="sum")

    loss, inputs = from_module(classifier.module, loss_fn), classifier.batch[0]
    probabilities = loss.outputs(loss.vector(), inputs).sigmoid()
    expected = 0
    for outcome in range(8):
        y = torch.tensor([outcome >> bit & 1 for bit in range(3)], dtype=torch.float64).expand(12, 3)
        weight = torch.where(y == 1, probabilities, 1 - probabilities).prod(dim=1, keepdim=True)
        gradients = per_sample_gradients(loss, (inputs, y))
        expected = expected + gradients.T @ (weight * gradients) / 12
    assert torch.allclose(fisher(loss, (inputs, probabilities), likelihood="bernoulli").dense(), expected)


def test_the_gaussian_fisher_is_the_mean_of_squared_jacobians(network):
    loss, batch = network
    jacobian = dense_jacobian(lambda at: loss.outputs(at, batch[0]), loss.vector()).reshape(36, -1)
    found = fisher(loss, batch, likelihood="gaussian", variance=0.25).dense()
    assert torch.allclose(found, jacobian.T @ jacobian / 12 * 4)


@pytest.mark.parametrize("measure", [
    hessian, gauss_newton, fisher, lambda loss, batch: fisher(loss, batch, likelihood="gaussian"),
])  # fmt: skip
def test_a_population_is_a_loop_over_its_runs(population, measure):
    losses, batch = population.losses, population.batch
    together = measure(losses, batch)
    matrices, spectra = together.dense(columns=5), spectrum(together)
    assert len(together) == 4
    for run, loss in enumerate(losses):
        alone = measure(loss, losses.batch_of(batch, run))
        assert torch.allclose(matrices[run], alone.dense(), rtol=1e-12, atol=1e-13)
        assert torch.allclose(together[run].dense(), alone.dense())
        assert np.allclose(spectra[run].eigenvalues, spectrum(alone).eigenvalues)
    with pytest.raises(IndexError):
        together[4]


@pytest.mark.parametrize("measure", [
    gauss_newton, hessian, lambda loss, batch: fisher(loss, batch, likelihood="gaussian"),
])  # fmt: skip
def test_strassens_scheme(strassen, measure):
    """The tensor residual is zero and its Jacobian has a kernel of 14 slot scalings and 9 sandwichings."""
    found = spectrum(measure(strassen.loss, strassen.batch))
    assert (found.rank, found.nullity, found.negative) == (61, 14 + 9, 0)
    assert found.trace == pytest.approx(240)
    assert found.nonzero[0] == pytest.approx(0.0693, abs=5e-5)
    assert found.nonzero[-1] == pytest.approx(16.665, abs=5e-4)
    assert found.condition == pytest.approx(found.nonzero[-1] / found.nonzero[0])


def test_the_batch_of_strassens_scheme_is_the_gaussian_expectation(strassen):
    """Against JᵀJ of the tensor Σ_r U_ra V_rb W_cr, which is what E over Gaussian matrices comes to; and a sample."""
    loss = strassen.loss

    def tensor(at):
        p = loss.unflatten(at)
        return torch.einsum("ra,rb,cr->abc", p["U"], p["V"], p["W"]).reshape(-1)

    jacobian = dense_jacobian(tensor, loss.vector())
    exact = gauss_newton(loss, strassen.batch).dense()
    assert torch.allclose(exact, jacobian.T @ jacobian)
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 4000, 4, dtype=torch.float64, generator=generator)
    sample = gauss_newton(loss, ((a, b), torch.zeros(4000, 4, dtype=torch.float64))).dense()
    assert float((sample - exact).norm() / exact.norm()) < 0.1


def test_sharpness_and_rank_at_strassens_scheme(strassen):
    assert sharpness(strassen.loss, strassen.batch) == pytest.approx(16.665, abs=5e-4)
    rank = jacobian_rank(strassen.loss, strassen.batch)
    assert (rank.rank, rank.nullity, rank.columns) == (61, 23, 84)
    assert rank.gap > 1e10
    assert jacobian_rank(strassen.loss, strassen.batch, chunk=3).rank == 61
    assert jacobian_rank(strassen.loss, strassen.batch, relative=0.5).rank < 61


def test_the_jacobian_rank_of_a_population(population):
    losses, batch = population.losses, population.batch
    for run, (loss, found) in enumerate(zip(losses, jacobian_rank(losses, batch), strict=True)):
        inputs = losses.batch_of(batch, run)[0]
        dense = dense_jacobian(lambda at, loss=loss, inputs=inputs: loss.outputs(at, inputs), loss.vector())
        assert found.rank == torch.linalg.matrix_rank(dense.reshape(18, -1))


def test_linear_regression(regression):
    """H = E x xᵀ = I, and the minimum is at w − g."""
    assert torch.allclose(
        hessian(regression.loss, regression.batch).dense(), torch.eye(regression.d, dtype=torch.float64)
    )
    gradient = mean_gradient(regression.loss, regression.batch)
    assert float(gradient @ gradient) == pytest.approx(regression.square)


def test_the_scipy_operator(network):
    loss, batch = network
    curvature = hessian(loss, batch)
    operator, dense = curvature.as_scipy(), curvature.dense().numpy()
    rng = np.random.default_rng(0)
    vector, matrix = rng.standard_normal(loss.dimension), rng.standard_normal((loss.dimension, 3))
    assert np.allclose(operator @ vector, dense @ vector) and np.allclose(operator @ matrix, dense @ matrix)
    assert np.allclose(operator.T @ vector, dense @ vector) and np.allclose(operator.H @ matrix, dense @ matrix)


def test_the_point_is_fixed_when_curvature_is_taken(classifier):
    loss = from_module(classifier.module, functional.cross_entropy)
    curvature = hessian(loss, classifier.batch)
    before = curvature.dense()
    with torch.no_grad():
        classifier.module[0].weight.zero_()
    assert torch.equal(curvature.dense(), before)
    assert not torch.allclose(hessian(loss, classifier.batch).dense(), before)


def test_a_map_of_ones_own():
    matrix = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    assert np.allclose(spectrum(Curvature("mine", 2, lambda rows: rows @ matrix, torch.float32)).eigenvalues, [1, 3])


def test_batches_and_outputs_of_other_kinds_are_refused(network):
    loss, batch = network
    with pytest.raises(InvalidInput, match="no such pair"):
        gauss_newton(loss, batch[0])
    two = Loss(lambda p, x: (p["w"], x), {"w": torch.ones(1)}, lambda out, y: out[0].sum())
    with pytest.raises(InvalidInput, match="is a tuple where one tensor is needed"):
        jacobian_rank(two, (torch.ones(2), torch.ones(2)))
