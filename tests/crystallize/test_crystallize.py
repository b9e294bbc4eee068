import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.crystallize import crystallize
from grokkit.scheme import Equivalence, InvalidInput, MatrixProduct, equivalent, sandwiched, verify
from grokkit.scheme.catalog import catalog, standard

STRASSEN = catalog["strassen"]


def random_factors(runs, form=(2, 2, 2), slots=7, seed=0, scale=0.5):
    n, m, p = form
    rng = np.random.default_rng(seed)
    return (
        scale * rng.standard_normal((runs, slots, n * m)),
        scale * rng.standard_normal((runs, slots, m * p)),
        scale * rng.standard_normal((runs, n * p, slots)),
    )


def noisy(scheme, runs, sigma, seed, gauge=True):
    """Copies of a scheme, each in a random basis of its own, with Gaussian noise on every coefficient."""
    rng = np.random.default_rng(seed)
    n, m, p = scheme.target.format
    u, v, w = scheme.floats()
    copies = []
    for _ in range(runs):
        a, b, c = u.reshape(-1, n, m), v.reshape(-1, m, p), w.T.reshape(-1, n, p)
        if gauge:
            g = [
                np.linalg.qr(rng.standard_normal((k, k)))[0] @ np.diag(np.exp(rng.uniform(-0.7, 0.7, k)))
                for k in (n, m, p)
            ]
            inverse = [np.linalg.inv(x) for x in g]
            a, b, c = inverse[0].T @ a @ g[1].T, inverse[1].T @ b @ g[2].T, g[0] @ c @ inverse[2]
        parts = [x.reshape(len(u), -1) + sigma * rng.standard_normal((len(u), x[0].size)) for x in (a, b, c)]
        copies.append((parts[0], parts[1], parts[2].T))
    return tuple(np.stack(x) for x in zip(*copies, strict=True))


def test_from_random_factors_every_run_becomes_strassen():
    result = crystallize(random_factors(48))
    assert result.exact == len(result) == 48
    assert result.converged_before_polish == 0
    for run in result:
        assert run.reason == ""
        assert run.certificate.digest == run.scheme.digest
        assert verify(run.scheme).ternary
        assert isinstance(equivalent(run.scheme, STRASSEN), Equivalence)
        assert run.path.mse_after_polish < 1e-18
        assert run.path.mse_before > 1e-3
        assert run.path.tries >= 1


@pytest.mark.parametrize("sigma", [0.001, 0.05, 0.2, 0.5])
def test_noise_in_a_random_basis(sigma):
    result = crystallize(noisy(STRASSEN, 24, sigma, seed=5))
    assert result.exact == 24


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from(["strassen", "winograd"]))
def test_a_scheme_in_its_own_basis_comes_back_as_it_is(seed, name):
    """Crystallizing is idempotent: what is already exact keeps its coefficients."""
    order = np.random.default_rng(seed).permutation(7).tolist()
    scheme = catalog[name].permuted(order)
    for method in ("plain", "full"):
        run = crystallize(scheme.floats(), method=method)[0]
        # slot signs may move between u, v and w; the products are the same
        assert run.exact
        assert run.scheme.rank == 7
        for s in range(7):
            for found, given_ in ((run.scheme.U[s], scheme.U[s]), (run.scheme.V[s], scheme.V[s])):
                assert abs(int(found @ given_)) == int(given_ @ given_)
    assert crystallize(scheme.floats(), method="plain")[0].scheme == scheme


@pytest.mark.parametrize("method", ["plain", "scaled"])
def test_the_simpler_methods(method):
    result = crystallize(noisy(STRASSEN, 16, 0.01, seed=1, gauge=False), method=method)
    assert result.exact == 16
    scales = crystallize(
        tuple(
            factor * scale
            for factor, scale in zip(noisy(STRASSEN, 16, 0.001, 2, gauge=False), (3.0, 0.2, 1 / 0.6), strict=True)
        ),
        method=method,
    )
    assert scales.exact == (16 if method == "scaled" else 0)
    result = crystallize(noisy(STRASSEN, 16, 0.0, seed=1), method=method)
    assert result.exact == 0
    assert all("rounding: lattice distance" in run.reason and "of 64 equations fail" in run.reason for run in result)


def test_an_impossible_rank_is_reported_not_raised():
    result = crystallize(random_factors(4, slots=6))
    assert result.exact == 0
    assert result.schemes == []
    for run in result:
        assert run.scheme is None
        assert run.reason.startswith("polish: not converged, mean squared error ")
        assert run.path.mse_after_polish > 1e-3
        assert run.path.polish_cycles == 12


@pytest.mark.parametrize(
    ("form", "slots", "least"), [((2, 2, 3), 11, 6), ((2, 2, 2), 8, 6), ((1, 2, 2), 4, 6), ((2, 1, 3), 6, 6)]
)
def test_other_formats_and_ranks(form, slots, least):
    result = crystallize(random_factors(6, form, slots, seed=3))
    assert result.exact >= least - 1
    for scheme in result.schemes:
        assert scheme.target.format == form
        assert scheme.rank == slots


def test_runs_depend_on_nothing_but_their_seed_and_number():
    factors = random_factors(12, (2, 2, 3), 11, seed=8)
    together = crystallize(factors, seed=4)
    again = crystallize(factors, seed=4)
    fewer = crystallize(tuple(f[:5] for f in factors), seed=4)
    digests = [run.scheme.digest if run.scheme else run.reason for run in together]
    assert digests == [run.scheme.digest if run.scheme else run.reason for run in again]
    assert digests[:5] == [run.scheme.digest if run.scheme else run.reason for run in fewer]
    assert [run.path for run in together][:5] == [run.path for run in fewer]


def test_chunks_do_not_change_results(monkeypatch):
    from grokkit.crystallize import _crystallize as internals

    factors = random_factors(9)
    before = crystallize(factors)
    monkeypatch.setattr(internals, "CHUNK", 4)
    seen = []
    after = crystallize(factors, progress=seen.append)
    assert [run.scheme for run in before] == [run.scheme for run in after]
    assert [run.run for run in after] == list(range(9))
    assert seen == [4, 4, 1]


def test_one_run_may_come_without_the_run_axis():
    u, v, w = STRASSEN.floats()
    assert crystallize((u, v, w))[0].exact
    assert crystallize((u.tolist(), v.tolist(), w.tolist()), "2x2x2")[0].exact
    assert crystallize((u.astype(np.float32), v.astype(int), w))[0].exact


def test_the_path_is_plain_data():
    path = crystallize(random_factors(1))[0].path
    assert json.loads(json.dumps(asdict(path)))["gauge"] == "frame"
    p, q, r = (np.array(g) for g in path.sandwich)
    for g in (p, q, r):
        assert abs(abs(np.linalg.det(g)) - 1) < 1e-9
    assert path.gauge_condition == pytest.approx(max(np.linalg.cond(g) for g in (p, q, r)))


def test_the_recorded_sandwiching_is_the_one_applied():
    """Moving the noisy factors by the recorded (P, Q, R) brings them near the scheme, slot scales aside."""
    factors = noisy(STRASSEN, 1, 1e-9, seed=3)
    run = crystallize(factors)[0]
    p, q, _ = (np.array(g) for g in run.path.sandwich)
    u = np.linalg.inv(p).T @ factors[0][0].reshape(7, 2, 2) @ q.T
    u /= np.abs(u).max(axis=(1, 2), keepdims=True)
    assert np.allclose(np.abs(u.reshape(7, 4)), np.abs(run.scheme.U), atol=1e-6)


@pytest.mark.parametrize("run", [{"lattice": (0.0, 0.3)}, {"lattice": (1.0, 2.0)}, {"lattice": (0.0,)}])
def test_bad_lattices(run):
    with pytest.raises(InvalidInput, match="lattice"):
        crystallize(random_factors(1), **run)


def spoiled(side, where, value, runs=1):
    factors = [np.array(f) for f in random_factors(runs)]
    factors[side][where] = value
    return tuple(factors)


@pytest.mark.parametrize(
    ("factors", "options", "message"),
    [
        (spoiled(1, (0, 2, 3), np.nan), {}, r"V\[2, 3\] is nan; finite"),
        (spoiled(2, (0, 1, 4), -np.inf), {}, r"W\[1, 4\] is -inf"),
        (random_factors(2)[:2], {}, "2 arrays; U, V and W"),
        ((np.ones((2, 7, 4)), np.ones((3, 7, 4)), np.ones((2, 4, 7))), {}, "disagree"),
        ((np.ones((2, 7, 4)), np.ones((2, 7, 4)), np.ones((2, 7, 4))), {}, "disagree"),
        ((np.ones((7, 4, 1, 1)),) * 3, {}, "shape"),
        ((np.ones((7, 4)) * 1j, np.ones((7, 4)), np.ones((4, 7))), {}, "real numbers"),
        ((np.array([["a"]]),) * 3, {}, "real numbers"),
        (random_factors(1), {"target": "2x2x3"}, "do not fit <2,2,3>"),
        ((np.ones((1, 7, 5)), np.ones((1, 7, 4)), np.ones((1, 4, 7))), {}, "fit no matrix format"),
        ((np.ones((1, 0, 4)), np.ones((1, 0, 4)), np.ones((1, 4, 0))), {}, "0 slots"),
        (random_factors(1), {"method": "magic"}, "method 'magic'; use one of plain, scaled, full"),
        (random_factors(1), {"tries": 0}, "tries is 0"),
    ],
)
def test_bad_input_is_refused_in_one_line(factors, options, message):
    with pytest.raises(Exception, match=message) as caught:
        crystallize(factors, **options)
    if isinstance(caught.value, InvalidInput):
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["plain", "scaled", "full"])
def test_a_run_that_diverged_fails_alone(method):
    good = crystallize(random_factors(3), method=method)
    some = crystallize(spoiled(1, (1, 2, 3), np.nan, runs=3), method=method)
    assert not some[1].exact and some[1].reason == "input: weights are not finite (the run diverged)"
    for i in (0, 2):
        assert (some[i].scheme, some[i].path, some[i].reason) == (good[i].scheme, good[i].path, good[i].reason)


@pytest.mark.parametrize("method", ["plain", "scaled", "full"])
def test_slots_that_compute_nothing_are_left_out(method):
    u, v, w = STRASSEN.floats()
    empty = np.insert(u, 3, 0, axis=0), np.insert(v, 3, 0, axis=0), np.insert(w, 3, 0, axis=1)
    found = crystallize(empty, method=method)[0]
    assert found.exact and found.scheme.rank == 7 and equivalent(found.scheme, STRASSEN)
    nothing = crystallize((np.zeros((2, 7, 4)), np.zeros((2, 7, 4)), np.zeros((2, 4, 7))), method="plain")
    assert nothing.exact == 0 and "8 of 64 equations fail" in nothing[0].reason


@pytest.mark.parametrize("value", [0.0, 1e300, 1e-300, 1e30])
def test_absurd_but_finite_factors_do_not_crash(value):
    factors = tuple(np.full(f.shape, value) for f in random_factors(2))
    for method in ("plain", "scaled", "full"):
        result = crystallize(factors, method=method)
        assert len(result) == 2
        for run in result:
            assert run.exact or run.reason


def test_targets_may_be_named():
    assert crystallize(random_factors(1), MatrixProduct(2, 2, 2))[0].exact


def test_a_scheme_in_a_rational_basis_is_recognized():
    moved = sandwiched(STRASSEN, [[3, 1], [1, 2]], [[1, 4], [0, 1]], [[2, 0], [1, 1]])
    run = crystallize(moved.floats())[0]
    assert run.scheme.ternary
    assert equivalent(run.scheme, moved)


def test_the_standard_algorithm_is_kept():
    scheme = standard(2, 3, 2)
    assert crystallize(scheme.floats())[0].scheme == scheme


SEES_NOTHING = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("grokkit.scheme.catalog"):
            raise AssertionError("crystallization asked for the catalog")

sys.meta_path.insert(0, Refuse())
import numpy as np
from grokkit.crystallize import crystallize

rng = np.random.default_rng(0)
u, v, w = (rng.standard_normal(shape) for shape in ((4, 7, 4), (4, 7, 4), (4, 4, 7)))
result = crystallize((u, v, w))
assert result.exact == 4
loaded = [name for name in sys.modules if "catalog" in name and name.startswith("grokkit")]
assert not loaded, loaded
assert "torch" not in sys.modules
"""


def test_it_never_sees_the_catalog():
    """With the catalog made unimportable, random factors still become proven schemes."""
    done = subprocess.run([sys.executable, "-c", SEES_NOTHING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_textbook_coefficients_in_its_source():
    """No integer table in the package is long enough to hold an algorithm."""
    import ast
    from pathlib import Path

    import grokkit.crystallize._crystallize as module

    for path in Path(module.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.List | ast.Tuple):
                numbers = [x for x in ast.walk(node) if isinstance(x, ast.Constant) and isinstance(x.value, int)]
                assert len(numbers) <= 12, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("size", [1e4, 1e150])
def test_neighbours_change_nothing(size):
    """Not even those whose equations are singular or overflow."""
    alone = random_factors(2, scale=0.7, seed=1)
    together = tuple(np.concatenate([x, np.full_like(x, size)]) for x in alone)
    few, many = crystallize(alone), crystallize(together)
    assert few.exact == 2
    for i in range(2):
        assert few[i].scheme == many[i].scheme and few[i].path == many[i].path


def test_runs_too_large_for_memory_are_refused():
    factors = (np.zeros((8, 1024)), np.zeros((8, 1024)), np.zeros((1024, 8)))
    with pytest.raises(InvalidInput, match=r"factors of <32,32,32;8>: a run needs \d+\.\d GiB; 1 GiB is admitted"):
        crystallize(factors)


def test_the_solver_alone_succeeds_from_nothing():
    """What `full` finds is not evidence of training: the control is a network of zeros."""
    zeros = tuple(np.zeros(shape) for shape in ((4, 7, 4), (4, 7, 4), (4, 4, 7)))
    found = crystallize(zeros)
    assert found.exact == 4 and found.converged_before_polish == 0
    assert all(run.path.polish_cycles > 0 for run in found)
