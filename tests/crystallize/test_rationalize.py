"""From numerical solutions to exact rational schemes: every stage against a slow or exact reference."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.crystallize import Problem, anneal, crystallize, rationalize
from grokkit.crystallize._descent import descend
from grokkit.crystallize._gauge import another_gauge
from grokkit.crystallize._levenberg_marquardt import levenberg_marquardt
from grokkit.crystallize._outputs import LARGEST, solve_outputs
from grokkit.crystallize._pinning import simplest
from grokkit.crystallize._thinning import thin
from grokkit.crystallize._torus import directions, even_out, independent, set_to_one
from grokkit.scheme import MatrixProduct, Scheme, verify
from grokkit.scheme.catalog import catalog
from independent import independent_check


def factors(scheme: Scheme) -> np.ndarray:
    """A scheme's factors as one array (slots × width)."""
    u, v, w = scheme.floats()
    return np.concatenate([u, v, w.T], axis=1)


def problem_of(scheme: Scheme) -> Problem:
    return Problem(scheme.target, scheme.rank)


NAMES = ["strassen", "winograd", "2x2x3:11", "2x3x3:15"]


@pytest.mark.parametrize("penalty", [0.0, 1e-2])
@pytest.mark.parametrize("masked", [False, True])
def test_descent_is_levenberg_marquardt_of_one_run(masked, penalty):
    problem = Problem(MatrixProduct(2, 2, 2), 8)
    rng = np.random.default_rng(4)
    x = 0.5 * rng.standard_normal((8, 12))
    free = rng.random((8, 12)) < 0.8 if masked else None
    one = descend(problem, x, 12, penalty=penalty, free=free, damping=1e-2)
    many = levenberg_marquardt(
        problem, x[None], 12, penalty=penalty, free=None if free is None else free[None], damping=1e-2
    )
    assert np.allclose(one.x, many.x[0], atol=1e-6)
    assert one.loss == pytest.approx(many.loss[0], rel=1e-6)
    assert one.loss < float(problem.loss(x[None])[0])
    if free is not None:
        assert np.array_equal(one.x[~free], x[~free])


def test_a_descent_may_be_given_up_or_has_nothing_to_do():
    problem = Problem(MatrixProduct(2, 2, 2), 3)  # no solutions
    x = np.random.default_rng(0).standard_normal((3, 12))
    short = descend(problem, x, 100, may_give_up=True)
    assert short.loss > 1e-2
    assert descend(problem, x, 100).loss < short.loss
    still = descend(problem, x, 10, free=np.zeros((3, 12), dtype=bool))
    assert np.array_equal(still.x, x)


@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_the_torus_keeps_the_map(name, seed):
    scheme = catalog[name]
    problem, x = problem_of(scheme), factors(scheme)
    moves = directions(problem)
    shift = 0.3 * np.random.default_rng(seed).standard_normal(moves.shape[1])
    moved = x * np.exp((moves @ shift).reshape(x.shape))
    assert float(problem.loss(moved[None])[0]) < 1e-16


@pytest.mark.parametrize("name", NAMES)
def test_the_torus_is_the_whole_of_it(name):
    """n + m + p - 1 diagonal matrices up to common scale, counted with the three scales of u, v and w."""
    scheme = catalog[name]
    n, m, p = scheme.target.format
    entries = directions(problem_of(scheme))
    assert np.linalg.matrix_rank(entries) == n + m + p - 3 + 2 * scheme.rank


@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_ones_are_found_again_along_the_torus(name, seed):
    scheme = catalog[name]
    problem, x = problem_of(scheme), factors(scheme)
    moves = directions(problem)
    shift = np.random.default_rng(seed).standard_normal(moves.shape[1])
    moved = x * np.exp((moves @ shift).reshape(x.shape))
    free = x != 0
    even = even_out(problem, moved, free)
    assert np.abs(np.log(np.abs(even[free]))).sum() < 0.05
    assert np.array_equal(even[~free], x[~free])
    chosen = independent(problem, np.random.default_rng(seed).permutation(np.flatnonzero(free)))
    assert np.linalg.matrix_rank(moves[chosen]) == len(chosen) == np.linalg.matrix_rank(moves[np.flatnonzero(free)])
    pinned = set_to_one(problem, moved, chosen)
    assert np.allclose(np.abs(pinned), np.abs(x), atol=1e-8)
    assert np.array_equal(np.abs(pinned.reshape(-1)[chosen]), np.ones(len(chosen)))


@given(st.integers(-500, 500), st.integers(1, 200))
def test_simple_fractions_are_recognized(numerator, denominator):
    value = Fraction(numerator, denominator)
    assert simplest(float(value)) == value
    assert simplest(float(value) + 3e-9) == value or abs(numerator) > 200


@pytest.mark.parametrize("value", [math.sqrt(2), math.pi, -math.e / 3, math.inf, math.nan])
def test_other_numbers_are_no_simple_fractions(value):
    assert simplest(value) is None


@pytest.mark.parametrize("name", NAMES)
def test_outputs_follow_from_the_products(name):
    scheme = catalog[name]
    u, v, w = ([[Fraction(int(x)) for x in row] for row in part] for part in (scheme.U, scheme.V, scheme.W.T))
    u[0] = [x * Fraction(3, 7) for x in u[0]]
    v[1] = [x * Fraction(-5, 11) for x in v[1]]
    w[0] = [x * Fraction(7, 3) for x in w[0]]
    w[1] = [x * Fraction(-11, 5) for x in w[1]]
    assert solve_outputs(scheme.target, u, v) == w
    u[2] = [Fraction(0)] * len(u[2])
    assert solve_outputs(scheme.target, u, v) is None


def test_outputs_with_large_denominators_are_exact():
    scheme = catalog["strassen"]
    scale = Fraction(LARGEST // 3, LARGEST // 5)
    u, v, w = ([[Fraction(int(x)) for x in row] for row in part] for part in (scheme.U, scheme.V, scheme.W.T))
    solved = solve_outputs(scheme.target, [[x / scale for x in row] for row in u], v)
    assert solved == [[x * scale for x in row] for row in w]


@pytest.mark.parametrize("name", NAMES)
def test_thinning_makes_zeros_and_keeps_the_equations(name):
    scheme = catalog[name]
    problem = problem_of(scheme)
    moved = another_gauge(problem, factors(scheme)[None], np.random.default_rng(1))[0]
    assert (moved != 0).all()
    thinned = thin(problem, moved)
    assert thinned.loss < 1e-18
    assert float(problem.loss(thinned.x[None])[0]) == thinned.loss
    assert np.array_equal(thinned.x != 0, thinned.free)
    assert thinned.free.sum() < 0.75 * thinned.free.size


@pytest.mark.parametrize(("form", "rank"), [("2x2x2", 7), ("2x2x3", 11), ("2x3x3", 15)])
def test_random_weights_become_schemes(form, rank):
    problem = Problem(MatrixProduct.parse(form), rank)
    found = 0
    for seed in range(4):
        generator = np.random.default_rng(seed)
        annealed = anneal(problem, 0.5 * generator.standard_normal((rank, problem.width)), generator)
        assert annealed.solved == (annealed.loss < 1e-18)
        if not annealed.solved:
            continue
        result = rationalize(problem, annealed.x, generator)
        assert (result.scheme is None) == (result.stage != "exact")
        if result.scheme is not None:
            found += 1
            assert result.scheme.target == problem.target and result.scheme.rank <= rank
            assert verify(result.scheme) and independent_check(result.scheme)
    assert found >= 2


def test_what_is_wanted_ends_the_attempts():
    problem = Problem(MatrixProduct(2, 2, 2), 7)
    generator = np.random.default_rng(0)
    annealed = anneal(problem, 0.5 * generator.standard_normal((7, 12)), generator)
    result = rationalize(problem, annealed.x, generator, prefer="ternary")
    assert result.scheme is not None and result.scheme.ternary and result.stage == "exact"


def test_the_same_generator_gives_the_same_scheme():
    problem = Problem(MatrixProduct(2, 2, 3), 11)
    digests = set()
    for _ in range(2):
        generator = np.random.default_rng(5)
        annealed = anneal(problem, 0.5 * generator.standard_normal((11, problem.width)), generator)
        result = rationalize(problem, annealed.x, generator)
        assert result.scheme is not None
        digests.add(result.scheme.digest)
    assert len(digests) == 1


def test_what_has_no_solution_is_said_to_have_none():
    problem = Problem(MatrixProduct(2, 2, 2), 6)
    generator = np.random.default_rng(0)
    annealed = anneal(problem, 0.5 * generator.standard_normal((6, 12)), generator, cycles=3)
    assert not annealed.solved and annealed.cycles == 3 and annealed.loss > 1e-6
    result = rationalize(problem, annealed.x, generator)
    assert result.scheme is None and result.stage == "sparsify" and result.pins == 0


def test_no_step_is_taken_from_overflow():
    problem = Problem(MatrixProduct(2, 2, 2), 7)
    fit = descend(problem, np.full((7, 12), 1e200), 5)
    assert np.array_equal(fit.x, np.full((7, 12), 1e200))


@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_an_irrational_family_ends_in_rationals_or_nothing(seed):
    """Whatever comes back is proven, from any basis."""
    scheme = catalog["2x2x3:11"]
    problem = problem_of(scheme)
    generator = np.random.default_rng(seed)
    moved = another_gauge(problem, factors(scheme)[None], generator)[0]
    result = rationalize(problem, moved, generator, gauges=1, attempts=2)
    assert result.scheme is None or independent_check(result.scheme)


def test_the_rational_method_makes_trained_and_random_factors_exact():
    rng = np.random.default_rng(2)
    u, v, w = catalog["strassen"].floats()
    given = tuple(part + 0.1 * rng.standard_normal((6, *part.shape)) for part in (u, v, w))
    result = crystallize(given, method="rational", seed=1)
    assert result.method == "rational" and result.exact >= 5
    for run in result:
        assert run.exact == (run.scheme is not None) == (not run.reason)
        if run.scheme is not None:
            assert independent_check(run.scheme) and run.scheme.provenance.configuration["method"] == "rational"
            assert run.path.gauge == "thinned" and run.path.rounds >= 1
    hopeless = crystallize(
        tuple(part[:6] if at < 2 else part[:, :6] for at, part in enumerate((u, v, w))), "2x2x2", method="rational"
    )
    assert not hopeless[0].exact and hopeless[0].reason.startswith("polish: not converged")
