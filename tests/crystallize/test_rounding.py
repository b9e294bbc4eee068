import numpy as np

from grokkit.crystallize._gauge import sandwich_factors
from grokkit.crystallize._polish import polish
from grokkit.crystallize._problem import Problem
from grokkit.crystallize._rounding import _nearest_few, round_progressively
from grokkit.scheme import TERNARY, MatrixProduct
from grokkit.scheme.catalog import catalog, standard

PROBLEM = Problem(MatrixProduct(2, 2, 2), 7)


def strassen(runs):
    u, v, w = catalog["strassen"].floats()
    return np.tile(np.concatenate([u, v, w.T], axis=1), (runs, 1, 1))


def generators(runs):
    return [np.random.default_rng([0, i]) for i in range(runs)]


def test_lattice_points_need_no_round():
    result = round_progressively(PROBLEM, strassen(3), TERNARY, generators(3))
    assert result.done.all()
    assert (result.rounds == 0).all()
    assert (PROBLEM.loss(result.x) == 0).all()


def test_it_finds_the_way_from_a_slightly_skewed_basis():
    rng = np.random.default_rng(0)
    skew = [np.eye(2) + 0.2 * rng.standard_normal((20, 2, 2)) for _ in range(3)]
    x = sandwich_factors(PROBLEM, strassen(20), *skew)
    assert (PROBLEM.loss(np.rint(x)) > 0).any()
    result = round_progressively(PROBLEM, x, TERNARY, generators(20), tries=4)
    assert result.done.sum() >= 10
    assert (PROBLEM.loss(result.x[result.done]) == 0).all()
    assert set(np.unique(result.x[result.done])) <= {-1.0, 0.0, 1.0}
    assert (result.unfixed[result.done] == 0).all()


def test_other_lattices():
    target = standard(2, 1, 2).target
    problem = Problem(target, 4)
    u, v, w = standard(2, 1, 2).floats()
    x = np.concatenate([u, v, w.T], axis=1)[None]
    x[0, 0, 0] = 0.5
    x[0, 0, -4:] *= 2
    result = round_progressively(problem, x, (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0), generators(1))
    assert result.done[0]


def test_what_cannot_be_rounded_says_how_far_it_came():
    # a solution over a lattice that does not contain it: no 1 to pin the outputs to
    result = round_progressively(PROBLEM, strassen(2), (0.0, 3.0), generators(2), tries=1, patience=2)
    assert not result.done.any()
    assert (result.unfixed > 0).all()


def test_choosing_the_nearest():
    key = np.array([[[0.3, 0.1], [np.inf, 0.2]]])
    free = np.zeros((1, 2, 2), dtype=bool)
    chosen = _nearest_few(key, free, np.array([2.0]))
    assert chosen.tolist() == [[[False, True], [False, True]]]
    assert _nearest_few(key, free, np.array([9.0])).sum() == 3


def test_polish_solves_from_anywhere_and_reports_what_it_did():
    rng = np.random.default_rng(0)
    exact, near, far = (
        strassen(4),
        strassen(4) + 0.01 * rng.standard_normal((4, 7, 12)),
        rng.standard_normal((4, 7, 12)),
    )
    result = polish(PROBLEM, np.concatenate([exact, near, far]), generators(12))
    assert result.solved.all()
    assert (result.loss < 1e-18).all()
    assert (result.cycles[:8] == 0).all()
    assert (result.moved[:4] < 1e-12).all()
    assert (result.moved[4:8] < 0.05).all()
    assert (result.moved[8:] > 0.05).all()


def test_polish_of_an_impossible_rank_ends():
    problem = Problem(MatrixProduct(2, 2, 2), 6)
    result = polish(problem, np.random.default_rng(0).standard_normal((3, 6, 12)), generators(3), most_cycles=3)
    assert not result.solved.any()
    assert (result.cycles == 3).all()
    assert (result.loss > 0.1).all()
