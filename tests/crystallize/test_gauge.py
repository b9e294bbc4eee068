import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.crystallize._gauge import (
    Sparsification,
    _frame_orders,
    balance,
    frame_gauge,
    minimum_norm,
    pivot_scales,
    sandwich_factors,
    sparsify,
)
from grokkit.crystallize._problem import Problem
from grokkit.scheme import MatrixProduct, sandwiched
from grokkit.scheme.catalog import catalog, standard

seeds = st.integers(0, 2**32 - 1)


def factors(scheme):
    u, v, w = scheme.floats()
    return Problem(scheme.target, scheme.rank), np.concatenate([u, v, w.T], axis=1)[None]


def random_gauge(rng, form, spread=1.0):
    gauge = []
    for size in form:
        left, values, right = np.linalg.svd(rng.standard_normal((size, size)))
        gauge.append(left * np.exp(spread * (rng.random(size) - 0.5) * 2) @ right)
        del values
    return gauge


@given(seeds)
def test_scaling_and_balancing_leave_the_map_unchanged(seed):
    problem = Problem(MatrixProduct(2, 2, 3), 5)
    x = np.random.default_rng(seed).standard_normal((4, 5, problem.width))
    for moved in (balance(problem, x), pivot_scales(problem, x)[0]):
        assert np.allclose(problem.residual(moved), problem.residual(x))
    norms = [np.linalg.norm(part, axis=2) for part in problem.split(balance(problem, x))]
    assert np.allclose(norms[0], norms[1])
    assert np.allclose(norms[0], norms[2])
    scaled, pivots = pivot_scales(problem, x)
    assert (scaled[pivots] == 1).all()
    assert (pivots.sum((1, 2)) == 10).all()
    assert (np.abs(np.concatenate(problem.split(scaled)[:2], axis=2)) <= 1).all()


def test_scaling_survives_zero_slots():
    problem = Problem(MatrixProduct(2, 2, 2), 2)
    x = np.zeros((1, 2, 12))
    x[0, 0] = 1.0
    scaled, _ = pivot_scales(problem, x)
    assert np.isfinite(scaled).all()
    assert np.isfinite(balance(problem, x)).all()


@given(seeds)
def test_float_sandwiching_agrees_with_the_exact_one(seed):
    rng = np.random.default_rng(seed)
    problem, x = factors(catalog["strassen"])
    gauge = [
        np.array([[1, 0], [int(rng.integers(-3, 4)), 1]]) @ np.array([[1, int(rng.integers(-3, 4))], [0, 1]])
        for _ in range(3)
    ]
    moved = sandwich_factors(problem, x, *(g.astype(float) for g in gauge))
    exact = sandwiched(catalog["strassen"], *(g.tolist() for g in gauge))
    assert np.allclose(moved, factors(exact)[1])


@pytest.mark.parametrize("name", ["strassen", "winograd"])
@given(seed=seeds)
def test_a_frame_undoes_any_basis(name, seed):
    """One linear step brings a scheme from an arbitrary basis to coefficients -1, 0, 1, the sparsest ones."""
    rng = np.random.default_rng(seed)
    problem, x = factors(catalog[name])
    moved = sandwich_factors(problem, x, *random_gauge(rng, (2, 2, 2)))
    gauge = frame_gauge(problem, balance(problem, moved))
    assert gauge.found[0]
    scaled, _ = pivot_scales(problem, gauge.x)
    assert np.abs(scaled - np.rint(scaled)).max() < 1e-6
    assert problem.loss(np.rint(scaled))[0] == 0
    assert (np.rint(scaled) != 0).sum() == 36


def test_frames_need_enough_rank_one_factors():
    problem, x = factors(standard(2, 2, 2))  # its directions are only e1 and e2
    gauge = frame_gauge(problem, x)
    assert not gauge.found[0]
    assert (gauge.x == x).all()
    assert gauge.condition[0] == np.inf
    rng = np.random.default_rng(0)
    generic = frame_gauge(Problem(MatrixProduct(2, 2, 2), 7), rng.standard_normal((3, 7, 12)))
    assert not generic.found.any()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_frame_orders_permute_the_frame(size):
    points = [np.eye(size)[i] for i in range(size)] + [np.ones(size)]
    orders = _frame_orders(size)
    assert len(orders) == len(np.unique(orders.reshape(len(orders), -1), axis=0))
    assert len(orders) == (1 if size == 1 else np.prod(range(1, size + 2)))
    for g in orders:
        assert abs(abs(np.linalg.det(g)) - 1) < 1e-9
        for x in points:
            image = g @ x
            assert any(np.linalg.matrix_rank(np.stack([image, y])) == 1 for y in points)


def test_larger_spaces_keep_one_order():
    assert _frame_orders(5).shape == (1, 5, 5)


def test_sliding_stays_on_the_solutions_and_gets_where_it_should():
    rng = np.random.default_rng(0)
    problem, x = factors(catalog["strassen"])
    starts = np.concatenate([sandwich_factors(problem, x, *random_gauge(rng, (2, 2, 2))) for _ in range(6)])
    small = minimum_norm(problem, starts, 1e-18)
    assert (problem.loss(small) < 1e-18).all()
    assert (np.linalg.norm(small, axis=(1, 2)) <= np.linalg.norm(balance(problem, starts), axis=(1, 2)) + 1e-9).all()
    # Strassen's algorithm has minimal Frobenius growth in a basis where all 7 slots are alike in size
    norms = np.linalg.norm(small, axis=(1, 2))
    assert np.ptp(norms) < 1e-2 * norms.mean()
    sparse, loss = sparsify(problem, small, Sparsification())
    assert (loss < 1e-18).all()
    zeros = (np.abs(sparse) < 0.05).mean(axis=(1, 2))
    assert np.median(zeros) > 0.4  # 48 of 84 in the sparsest basis
    assert np.median(zeros) > np.median((np.abs(starts) < 0.05).mean(axis=(1, 2))) + 0.2


def test_minimum_norm_gives_up_gracefully():
    problem = Problem(MatrixProduct(2, 2, 2), 6)
    x = np.random.default_rng(0).standard_normal((2, 6, 12))
    assert (minimum_norm(problem, x, 1e-18) == x).all()
