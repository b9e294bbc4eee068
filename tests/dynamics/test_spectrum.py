"""Traces in expectation and extreme eigenvalues against dense ones."""

import itertools

import numpy as np
import pytest
import torch

from grokkit.dynamics import Curvature, Undefined, extreme_eigenvalues, hessian, spectrum, trace
from grokkit.scheme import InvalidInput


def of_matrix(matrix):
    return Curvature("matrix", len(matrix), lambda rows: rows @ matrix, matrix.dtype)


def symmetric(d, seed=0):
    matrix = torch.randn(d, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return matrix + matrix.T


def test_hutchinsons_estimate_has_the_mean_and_variance_it_should():
    """Over all sign vectors exactly, and over seeds."""
    matrix = symmetric(6)
    every = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=6)), dtype=torch.float64)
    forms = ((every @ matrix) * every).sum(dim=1)
    assert float(forms.mean()) == pytest.approx(float(matrix.trace()))
    variance = 2 * float((matrix**2).sum() - (matrix.diagonal() ** 2).sum())
    assert float(forms.var(correction=0)) == pytest.approx(variance)
    found = [trace(of_matrix(matrix), probes=10, generator=torch.Generator().manual_seed(s)) for s in range(400)]
    values = np.array([one.value for one in found])
    assert abs(values.mean() - float(matrix.trace())) < 4 * values.std() / 20
    assert values.var() == pytest.approx(variance / 10, rel=0.25)
    assert np.mean([one.standard_error**2 for one in found]) == pytest.approx(variance / 10, rel=0.1)
    covered = sum(one.low <= float(matrix.trace()) <= one.high for one in found)
    assert covered / 400 > 0.9


def test_hutch_is_unbiased_and_exact_at_low_rank():
    matrix = symmetric(20)
    found = [
        trace(of_matrix(matrix), probes=15, method="hutch++", generator=torch.Generator().manual_seed(seed)).value
        for seed in range(400)
    ]
    assert abs(np.mean(found) - float(matrix.trace())) < 4 * np.std(found) / 20
    vector = torch.arange(20.0, dtype=torch.float64)[:, None]
    low = vector @ vector.T
    exact = trace(of_matrix(low), probes=9, method="hutch++")
    assert exact.value == pytest.approx(float(low.trace())) and exact.standard_error < 1e-8 * exact.value
    assert trace(of_matrix(low), probes=9).standard_error > 0.1 * exact.value


@pytest.mark.parametrize("method", ["hutchinson", "hutch++"])
def test_traces_of_a_population(population, method):
    losses, batch = population.losses, population.batch
    together = trace(hessian(losses, batch), probes=12, method=method, block=5)
    for run, loss in enumerate(losses):
        alone = trace(hessian(loss, losses.batch_of(batch, run)), probes=12, method=method)
        assert together[run].value == pytest.approx(alone.value)
        assert together[run].standard_error == pytest.approx(alone.standard_error)


@pytest.mark.parametrize("d", [5, 400])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extremes_are_those_of_the_dense_matrix(d, dtype):
    matrix = symmetric(d).to(dtype)
    found = extreme_eigenvalues(of_matrix(matrix), 3)
    every = np.linalg.eigvalsh(matrix.double().numpy())
    assert np.allclose(found.smallest, every[:3], rtol=1e-4) and np.allclose(found.largest, every[::-1][:3], rtol=1e-4)
    for values, vectors in ((found.smallest, found.smallest_vectors), (found.largest, found.largest_vectors)):
        assert np.allclose(vectors @ matrix.double().numpy(), values[:, None] * vectors, atol=1e-2)
        assert np.allclose(vectors @ vectors.T, np.eye(3), atol=1e-4)


def test_extremes_of_a_population(population, monkeypatch):
    from grokkit.dynamics import _spectrum

    losses, batch = population.losses, population.batch
    curvatures = hessian(losses, batch)
    dense = extreme_eigenvalues(curvatures, 2)
    monkeypatch.setattr(_spectrum, "DENSE", 1)
    for run, found in enumerate(extreme_eigenvalues(curvatures, 2)):
        expected = spectrum(curvatures)[run].eigenvalues
        for one in (found, dense[run]):
            assert np.allclose(one.smallest, expected[:2]) and np.allclose(one.largest, expected[::-1][:2])


def test_the_zero_matrix(strassen):
    zero = of_matrix(torch.zeros(300, 300, dtype=torch.float64))
    assert extreme_eigenvalues(zero, 2).largest.tolist() == [0, 0]
    found = spectrum(zero)
    assert (found.rank, found.nullity) == (0, 300) and isinstance(found.condition, Undefined)


def test_what_does_not_converge_is_undefined():
    found = extreme_eigenvalues(of_matrix(symmetric(400)), 5, tolerance=1e-14, iterations=1)
    assert isinstance(found, Undefined) and "did not converge" in found.reason


def test_a_large_model_is_never_made_dense():
    """A matrix of half a million rows would hold a terabyte."""
    d = 500_000
    diagonal = torch.linspace(0, 1, d, dtype=torch.float32) ** 8
    diagonal[-1], diagonal[7] = 5.0, -3.0
    large = Curvature("diagonal", d, lambda rows: rows * diagonal, torch.float32)
    found = extreme_eigenvalues(large, tolerance=1e-3)
    assert found.largest[0] == pytest.approx(5, rel=1e-3) and found.smallest[0] == pytest.approx(-3, rel=1e-3)
    assert trace(large, probes=4).value == pytest.approx(float(diagonal.double().sum()), rel=1e-3)


@pytest.mark.parametrize("call", [
    lambda one: trace(one, probes=1),
    lambda one: trace(one, probes=5, method="hutch++"),
    lambda one: trace(one, block=0),
    lambda one: extreme_eigenvalues(one, 0),
    lambda one: extreme_eigenvalues(one, 7),
])  # fmt: skip
def test_bad_arguments(call):
    with pytest.raises(InvalidInput):
        call(of_matrix(symmetric(6)))
