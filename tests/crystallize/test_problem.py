"""The hand-written derivatives and solvers against slow, obvious ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.crystallize._levenberg_marquardt import (
    _step_in_equations,
    _step_in_unknowns,
    levenberg_marquardt,
)
from grokkit.crystallize._problem import Problem
from grokkit.scheme import MatrixProduct

cases = st.tuples(
    st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2)),
    st.integers(1, 5),
    st.integers(0, 10**6),
)


def setup(case, runs=3):
    form, slots, seed = case
    problem = Problem(MatrixProduct(*form), slots)
    rng = np.random.default_rng(seed)
    return problem, rng.standard_normal((runs, slots, problem.width)), rng


def dense_jacobian(problem, x):
    """Central differences, which are exact up to rounding for a cubic's mixed terms at this step size."""
    runs, slots, width = x.shape
    jacobian = np.empty((runs, problem.equations, slots * width))
    for i in range(slots * width):
        step = np.zeros(slots * width)
        step[i] = 1.0
        step = step.reshape(slots, width)
        # the residual is linear in each single entry, so any step gives the exact derivative
        difference = (problem.residual(x + step) - problem.residual(x - step)) / 2
        jacobian[:, :, i] = difference.reshape(runs, -1)
    return jacobian


@given(cases)
def test_residual_is_the_tensor_equation(case):
    problem, x, _ = setup(case)
    u, v, w = problem.split(x)
    tensor = np.einsum("pra,prb,prc->pabc", u, v, w) - problem.target.tensor()
    assert np.allclose(problem.residual(x), tensor)
    assert np.allclose(problem.loss(x), (tensor**2).sum((1, 2, 3)))


@given(cases)
def test_jacobian_products(case):
    problem, x, rng = setup(case)
    jacobian, at = dense_jacobian(problem, x), problem.linearize(x)
    step = rng.standard_normal(x.shape)
    assert np.allclose(at.forward(step).reshape(3, -1), np.einsum("pij,pj->pi", jacobian, step.reshape(3, -1)))
    residual = rng.standard_normal((3, problem.a, problem.b, problem.c))
    assert np.allclose(at.adjoint(residual).reshape(3, -1), np.einsum("pij,pi->pj", jacobian, residual.reshape(3, -1)))
    assert np.allclose(at.gram_of_unknowns(), jacobian.swapaxes(1, 2) @ jacobian)
    assert np.allclose(at.gram_of_equations(None), jacobian @ jacobian.swapaxes(1, 2))
    weights = rng.random(x.shape)
    weighted = jacobian * weights.reshape(3, 1, -1)
    assert np.allclose(at.gram_of_equations(weights), weighted @ jacobian.swapaxes(1, 2))


@pytest.mark.parametrize("kind", ["plain", "ridge", "weights", "masked", "weights and masked"])
@given(case=cases)
def test_both_systems_give_the_step_of_the_normal_equations(kind, case):
    problem, x, rng = setup(case)
    weight = np.asarray(0.0)
    if kind == "ridge":
        weight = np.asarray(0.3)
    elif "weights" in kind:
        weight = rng.random(x.shape)
    free = rng.random(x.shape) < 0.7 if "masked" in kind else None
    damping = rng.random(3) + 0.1
    residual = problem.residual(x)
    jacobian = dense_jacobian(problem, x)
    expected = np.zeros((3, x[0].size))
    diagonal = np.broadcast_to(weight + damping[:, None, None], x.shape).reshape(3, -1)
    gradient = np.einsum("pij,pi->pj", jacobian, residual.reshape(3, -1)) + (weight * x).reshape(3, -1)
    for run in range(3):
        index = np.arange(x[0].size) if free is None else np.flatnonzero(free[run].ravel())
        part = jacobian[run][:, index]
        matrix = part.T @ part + np.diag(diagonal[run, index])
        expected[run, index] = -np.linalg.solve(matrix, gradient[run, index])
    for solve in (_step_in_equations, _step_in_unknowns):
        at = problem.linearize(x)
        step = solve(problem, at, x, residual, weight, weight + damping[:, None, None], free)
        assert np.allclose(step.reshape(3, -1), expected, rtol=1e-8, atol=1e-8)


@given(cases, st.floats(0, 1))
def test_the_objective_never_rises_and_fixed_entries_stay(case, ridge):
    problem, x, rng = setup(case)
    free = rng.random(x.shape) < 0.6
    values = []
    for iterations in range(6):
        fit = levenberg_marquardt(problem, x, iterations, penalty=ridge, free=free)
        assert (fit.x[~free] == x[~free]).all()
        assert np.allclose(fit.loss, problem.loss(fit.x))
        values.append(fit.loss + ridge * (fit.x**2).sum((1, 2)))
    assert (np.diff(values, axis=0) <= 1e-12).all()


def test_runs_do_not_depend_on_their_neighbours():
    problem = Problem(MatrixProduct(2, 2, 2), 7)
    x = 0.5 * np.random.default_rng(0).standard_normal((9, 7, 12))
    together = levenberg_marquardt(problem, x, 30)
    for run in range(9):
        alone = levenberg_marquardt(problem, x[run : run + 1], 30)
        assert (alone.x[0] == together.x[run]).all()


def test_memory_limits_do_not_change_the_result(monkeypatch):
    from grokkit.crystallize import _levenberg_marquardt as internals

    problem = Problem(MatrixProduct(2, 2, 2), 7)
    x = 0.5 * np.random.default_rng(0).standard_normal((5, 7, 12))
    before = levenberg_marquardt(problem, x, 10, penalty=np.random.default_rng(1).random(x.shape))
    monkeypatch.setattr(internals, "MATRIX_BYTES", 1)
    after = levenberg_marquardt(problem, x, 10, penalty=np.random.default_rng(1).random(x.shape))
    assert (before.x == after.x).all()


def test_hopeless_numbers_do_not_crash():
    problem = Problem(MatrixProduct(2, 2, 2), 7)
    x = np.full((2, 7, 12), 1e200)
    x[1] = 0.0
    fit = levenberg_marquardt(problem, x, 5)
    assert fit.loss[1] <= 8
