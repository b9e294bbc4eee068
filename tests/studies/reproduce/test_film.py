"""The film: from random weights to a proven scheme, the gauge fix on the way, and its file."""

from __future__ import annotations

import shutil
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
pytest.importorskip("statsmodels")

from grokkit.crystallize import Problem
from grokkit.crystallize._gauge import sandwich_factors
from grokkit.scheme import MatrixProduct, Scheme, UnreadableFile, verify
from grokkit.studies.reproduce._film import ACTS, FILE, _gauge_path, load_film, make_film, same_map
from grokkit.training import TrainConfig, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("film")
    make_film(place)
    return place


@pytest.fixture
def made(folder):
    found = load_film(folder)
    assert found is not None
    return found


def test_the_acts_follow_one_another(made):
    assert (np.diff(made.act) >= 0).all() and set(made.act) == set(range(len(ACTS)))
    assert (np.diff(made.step) >= 0).all()
    assert (made.act == 0).sum() >= 20 and len(made.act) >= 100
    alive = ~np.isnan(made.weights[:, :, 0])
    assert (alive.sum(axis=1) == np.where(made.act < ACTS.index("pruning"), 8, 7)).all()
    assert (np.isnan(made.weights).any(axis=2) == ~alive).all()


def test_the_first_frames_are_the_training(made):
    """The recorded run is the one that `train` trains."""
    about = made.about
    population = train(TrainConfig.from_mapping(about["configuration"]).replace(runs=about["run"] + 1))
    u, v, w = (x[about["run"]] for x in population.factors)
    last = made.weights[made.act == ACTS.index("pruning")][-1]
    assert np.array_equal(last[~np.isnan(last[:, 0])], np.concatenate([u, v, w.T], axis=1))
    assert made.mse[0] > 0.1 and made.mse[made.act == ACTS.index("pruning")][-1] < 1e-6


def test_the_gauge_fix_leaves_the_map_alone(made):
    assert made.map_moved[same_map(made)].max() < 1e-12
    assert np.isnan(made.map_moved[made.act <= ACTS.index("polish")]).all()
    polished = np.flatnonzero(made.act == ACTS.index("polish"))[-1]
    assert made.distance[polished] > 0.05  # solved, and far from the integers
    assert made.distance[made.act == ACTS.index("scaling")][-1] < 1e-6
    steps = np.abs(np.diff(made.weights[made.act == ACTS.index("gauge fix")], axis=0))
    assert np.nanmax(steps) < 0.5  # a path, no jump


def test_the_recorded_gauge_gives_the_scheme(made):
    polished = made.weights[np.flatnonzero(made.act == ACTS.index("polish"))[-1]]
    x = polished[~np.isnan(polished[:, 0])][None]
    target = MatrixProduct(2, 2, 2)
    turned = sandwich_factors(Problem(target, 7), x, *made.sandwich)[0]
    last = made.weights[-1][~np.isnan(made.weights[-1][:, 0])]
    for mine, exact in zip(np.split(turned, 3, axis=1), np.split(last, 3, axis=1), strict=True):
        for one, other in zip(mine, exact, strict=True):  # equal directions, whatever the scale
            assert abs(one @ other) == pytest.approx(np.linalg.norm(one) * np.linalg.norm(other))
    u, v, w = np.split(last.astype(np.int64), 3, axis=1)
    scheme = Scheme(target, u, v, w.T)
    assert verify(scheme).equations == made.about["equations"] == 64
    assert scheme.digest == made.about["digest"]
    assert made.residual[-1] == made.mse[-1] == made.distance[-1] == 0


@given(st.integers(0, 2**32 - 1))
def test_a_path_of_gauges(seed):
    """From a reflection or the identity to ± the gauge; never singular, in small steps."""
    rng = np.random.default_rng(seed)
    gauge = rng.standard_normal((3, 2, 2))
    gauge /= np.sqrt(np.abs(np.linalg.det(gauge)))[:, None, None]
    first, path = _gauge_path(gauge, 200)
    for at in range(3):
        assert np.array_equal(np.abs(first[at]), np.eye(2)) and np.allclose(path[0][at], first[at])
        end, wanted = path[-1][at], gauge[at]
        assert np.allclose(end, wanted) or np.allclose(end, -wanted)
        determinants = [np.linalg.det(each[at]) for each in path]
        assert np.allclose(determinants, np.linalg.det(wanted), rtol=1e-6, atol=1e-6 * np.abs(wanted).max() ** 2)
        longest = max(np.linalg.norm(two[at] - one[at]) for one, two in pairwise(path))
        assert longest < 0.2 * (1 + np.linalg.norm(wanted))


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    make_film(tmp_path)
    assert (tmp_path / FILE).read_bytes() == (folder / FILE).read_bytes()


def test_another_seed_gives_another_film(made, folder, tmp_path):
    shutil.copy(folder / FILE, tmp_path / FILE)
    make_film(tmp_path, seed=1)
    again = load_film(tmp_path)
    assert again is not None and again.about["seed"] == 1
    assert not np.array_equal(again.weights[0], made.weights[0])


def test_a_film_that_is_there_is_kept(folder, monkeypatch):
    monkeypatch.setattr("grokkit.studies.reproduce._film.film", None)
    make_film(folder)


def test_files_that_are_no_film(made, tmp_path):
    assert load_film(tmp_path) is None
    (tmp_path / FILE).write_bytes(b"no film")
    with pytest.raises(UnreadableFile, match="delete it"):
        load_film(tmp_path)
    np.savez(tmp_path / FILE, about=np.array("{}"))
    with pytest.raises(UnreadableFile, match="delete it"):
        load_film(tmp_path)
    arrays = {name: getattr(made, name) for name in ("weights", "act", "step", "mse", "distance", "residual")}
    np.savez(tmp_path / FILE, about=np.array('{"film": 1}'), **arrays)
    with pytest.raises(UnreadableFile, match="do not fit"):
        load_film(tmp_path)


def test_the_map_tells_a_wrong_gauge(made):
    """What the page shows as unchanged would show a change: a P that Q does not undo moves the map."""
    polished = made.weights[np.flatnonzero(made.act == ACTS.index("polish"))[-1]]
    x = polished[~np.isnan(polished[:, 0])][None]
    problem = Problem(MatrixProduct(2, 2, 2), 7)
    u, v, w = problem.split(x)
    stretched = np.concatenate([2 * u, v, w], axis=2)
    assert problem.loss(stretched)[0] > 0.1 > problem.loss(x)[0]
