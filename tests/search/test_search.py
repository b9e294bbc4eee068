"""Searches: found and proven, the same for a seed whatever the workers, engine or interruption, or refused."""

from __future__ import annotations

import io
import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from grokkit import _native
from grokkit.scheme import InvalidInput, MatrixProduct, load
from grokkit.scheme.catalog import catalog
from grokkit.search import FlipSettings, find_scheme, lower_bound, make_engine
from grokkit.search._flips import FlipSearch, Slice, ladder
from grokkit.search._packed import holds, standard_packed
from grokkit.search._pool import INTERVALS, Pool
from grokkit.search._state import STATE
from grokkit.search._work import in_threads
from independent import independent_check

pytestmark = pytest.mark.skipif(_native.load() is None, reason="no native core")

SMALL = FlipSettings(walkers=4, steps=5_000, breadth=5, patience=10)


def facts(result):
    """All of a result that does not depend on time."""
    names = ("found", "goal", "seed", "rounds", "ladders", "tried", "flipped", "liftings", "history")
    return {name: getattr(result, name) for name in names} | {"digests": [each.digest for each in result.schemes]}


@pytest.mark.parametrize(
    ("form", "rank", "ring"),
    [
        ("2x2x2", 7, "ternary"),
        ("2x2x2", 7, "GF(2)"),
        ("2x2x2", 7, "GF(3)"),
        ("3x2x2", 11, "Z"),
        ("2x3x3", 15, "ternary"),
        ("3x3x3", 23, "Z"),
        ("3x2x3", 15, "Q"),
        ("1x2x3", 6, "Z"),
        ("4x4x4", 49, "ternary"),
    ],
)
def test_schemes_are_found_from_nothing(form, rank, ring):
    result = find_scheme(form, rank, ring, budget=600, seed=3)
    assert result.found
    assert result.rank == result.scheme.rank == rank
    assert result.scheme.target == MatrixProduct.parse(form)
    assert str(result.scheme.ring) == ("Z" if ring == "ternary" else ring) or ring == "Q"
    assert ring != "ternary" or result.scheme.ternary
    assert independent_check(result.scheme)
    assert result.certificate.digest == result.scheme.digest


def test_several_schemes_are_different_ones():
    result = find_scheme("2x2x3", 11, "Z", budget=600, want=4)
    assert result.found
    assert len({scheme.digest for scheme in result.schemes}) == 4
    assert all(scheme.rank == 11 and independent_check(scheme) for scheme in result.schemes)


def test_a_seed_gives_the_same_search_with_any_workers_and_engine():
    options = {"seed": 5, "rounds": 12, "settings": SMALL, "budget": 600}
    one = find_scheme("3x3x3", 22, "Z", **options)
    assert not one.found
    assert facts(find_scheme("3x3x3", 22, "Z", workers=3, **options)) == facts(one)
    pytest.importorskip("joblib")
    engine = make_engine("joblib", 2)
    assert facts(find_scheme("3x3x3", 22, "Z", workers=2, engine=engine, **options)) == facts(one)
    assert facts(find_scheme("3x3x3", 22, "Z", **options | {"seed": 6})) != facts(one)


def test_a_search_goes_on_where_it_ended(tmp_path):
    options = {"seed": 5, "settings": SMALL, "budget": 600}
    whole = find_scheme("3x3x4", 25, "Z", rounds=60, **options)
    for rounds in (7, 31, 60):
        parts = find_scheme("3x3x4", 25, "Z", rounds=rounds, out=tmp_path / "s", **options)
    assert facts(parts) == facts(whole)
    best = load(tmp_path / "s" / f"3x3x4-{whole.rank}.json")
    assert best == whole.scheme
    assert best.provenance.seed == 5


def test_what_a_dying_worker_took_is_done_again(tmp_path):
    """A worker that is killed once: its slice is given out again, and the search is the same."""
    pytest.importorskip("joblib")
    options = {"seed": 2, "rounds": 3, "settings": SMALL, "budget": 600}
    expected = find_scheme("3x3x3", 20, "GF(2)", **options)
    mark = tmp_path / "died"
    inner = make_engine("joblib", 2)

    def engine(slices):
        from grokkit.search import _engines

        return _lossy(inner, slices, mark, _engines)

    assert facts(find_scheme("3x3x3", 20, "GF(2)", workers=2, engine=engine, **options)) == facts(expected)
    assert mark.exists()


def _lossy(inner, slices, mark, engines):
    original = engines._numbered
    engines._numbered = _Dying(str(mark))
    try:
        return inner(slices)
    finally:
        engines._numbered = original


class _Dying:
    """Does a slice, but the first time kills the process that it is in."""

    def __init__(self, mark: str):
        self.mark = mark

    def __call__(self, piece: tuple[int, Slice]):
        path = Path(self.mark)
        if not path.exists():
            path.write_text("")
            os._exit(1)
        number, work = piece
        return number, work.run()


def test_an_interrupted_search_keeps_what_it_has(tmp_path):
    calls = 0

    def engine(slices):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return in_threads(1)(slices)

    result = find_scheme("3x3x3", 20, "Z", budget=600, settings=SMALL, engine=engine, out=tmp_path / "s")
    assert not result.complete
    assert not result.found
    assert result.rounds == 3
    again = find_scheme("3x3x3", 20, "Z", budget=600, settings=SMALL, rounds=10, out=tmp_path / "s")
    assert facts(again) == facts(find_scheme("3x3x3", 20, "Z", budget=600, settings=SMALL, rounds=10))


def test_a_start_is_extended_or_restricted():
    result = find_scheme("2x2x3", 11, "ternary", start=[catalog["strassen"]], budget=600, settings=SMALL, seed=1)
    assert result.found
    assert result.scheme.provenance.configuration["start"] == [catalog["strassen"].digest]
    smaller = find_scheme("2x2x1", 4, "GF(2)", start=[catalog["strassen"]], budget=600, settings=SMALL)
    assert smaller.found


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("2x2x2", 6), {}, "no scheme of rank 6 over Z exists, at least 7 products are needed"),
        (("2x2x5", 17, "GF(2)"), {}, "at least 18 products are needed .Hopcroft and Kerr 1971."),
        (("3x3x3", 18), {}, "at least 19 products"),
        (("2x2", 7), {}, "target '2x2' is not understood"),
        (("2x2x2", 7, "R"), {}, "ring 'R' is not understood"),
        (("9x9x9", 700), {}, "a factor has 81 entries; flip graphs take 64"),
        (("7x7x7",), {}, "no rank over Z is on record"),
        (("2x2x2", 7), {"budget": 0}, "budget is 0 s"),
        (("2x2x2", 7), {"workers": 0}, "must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, options, message):
    with pytest.raises(InvalidInput, match=message):
        find_scheme(*arguments, **options)


def test_starts_that_do_not_fit_and_settings_that_cannot_be_are_refused():
    from grokkit.scheme import Scheme

    halves = Scheme(MatrixProduct(1, 1, 1), [[1]], [[2]], [[1]], (1, 1, 2))
    with pytest.raises(InvalidInput, match="no start for walks over GF"):
        find_scheme("2x2x2", 7, "Z", start=[halves])
    with pytest.raises(InvalidInput, match="walkers is 0"):
        FlipSettings(walkers=0)
    with pytest.raises(InvalidInput, match="fresh is 2"):
        FlipSettings(fresh=2)
    with pytest.raises(InvalidInput, match="engine 'cluster' is not understood; use one of joblib, threads, ray, dask"):
        make_engine("cluster")


def test_a_damaged_or_foreign_directory_is_refused(tmp_path):
    options = {"budget": 600, "rounds": 2, "settings": SMALL}
    folder = tmp_path / "s"
    find_scheme("3x3x3", 20, **options, out=folder)
    with pytest.raises(InvalidInput, match=r"search.npz: another search \(ring differ\); give another --out"):
        find_scheme("3x3x3", 20, "GF(2)", **options, out=folder)
    with pytest.raises(InvalidInput, match=r"another search \(seed differ"):
        find_scheme("3x3x3", 20, seed=9, **options, out=folder)
    path = folder / STATE
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(30):
        damaged = bytearray(whole)
        damaged[int(generator.integers(len(whole)))] ^= int(generator.integers(1, 256))
        path.write_bytes(bytes(damaged) if generator.random() < 0.7 else whole[: int(generator.integers(len(whole)))])
        try:
            find_scheme("3x3x3", 20, **options, out=folder)
        except InvalidInput as error:
            assert str(path) in str(error)
    # a pool with a wrong scheme in it is found out
    with np.load(io.BytesIO(whole), allow_pickle=False) as archive:
        arrays = dict(archive)
    name = next(key for key in arrays if key != "state")
    arrays[name][0, 0, 0, 0] ^= np.uint64(1)
    np.savez(path, **arrays)
    with pytest.raises(InvalidInput, match=r"damaged .*remove it to begin again"):
        find_scheme("3x3x3", 20, **options, out=folder)


def test_nothing_is_left_of_a_refused_search(tmp_path):
    with pytest.raises(InvalidInput):
        find_scheme("2x2x2", 6, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_symmetric_searches_find_square_formats():
    search = FlipSearch(MatrixProduct(3, 3, 3), "GF(2)", 1, SMALL, goal=23, symmetric=True)
    for _ in range(400):
        found = search.round(in_threads(1))
        if search.best == 23:
            break
    assert search.best == 23
    assert search.cubes == 2
    assert all(holds(packed, search.target, "GF(2)") and packed.shape[1] == 23 for packed in found)
    with pytest.raises(InvalidInput, match="<2,2,3> of rank 11 over Z: no symmetric start"):
        find_scheme("2x2x3", 11, symmetric=True)
    result = find_scheme("2x2x2", 7, symmetric=True, budget=600, settings=SMALL)
    assert result.found
    assert list(result.history) == ["GF(2), symmetric"]
    assert list(find_scheme("2x2x2", 7, symmetric=False, rounds=1).history) == ["GF(2)", "ternary"]
    with pytest.raises(InvalidInput, match="<2,2,3> of rank 11: no symmetric start"):
        FlipSearch(MatrixProduct(2, 2, 3), "GF(2)", 1, SMALL, goal=11, symmetric=True)


def test_ladders_rise_by_one_letter():
    generator = np.random.default_rng(0)
    for form in ((2, 2, 2), (3, 4, 5), (5, 2, 5), (8, 8, 8)):
        steps = ladder(form, generator)
        assert steps[-1] == form
        assert np.prod(steps[0]) <= 27
        assert all(
            sum(b) == sum(a) + 1 and all(x <= y for x, y in zip(a, b, strict=True))
            for a, b in itertools.pairwise(steps)
        )


def test_pools_hold_different_schemes_and_learn():
    target = MatrixProduct(2, 2, 2)
    pool = Pool(target, "GF(2)", capacity=3, fresh=0.5)
    generator = np.random.default_rng(0)
    pool.start()
    assert pool.best == 8
    assert not pool.add(standard_packed(target)[:, ::-1], generator)  # the same, its products in another order
    walks = FlipSearch(target, "GF(2)", 0, SMALL)
    for _ in range(20):
        walks.round(in_threads(1))
    for schemes in walks.pool.ranks.values():
        assert all(holds(packed, target, "GF(2)") for packed in schemes)
    for packed in walks.pool.leaders:
        pool.add(packed, generator)
    assert pool.best == 7
    assert len(pool.leaders) <= 3
    for _ in range(50):
        pool.learn(2, True)
        pool.learn(0, False)
    _, numbers = pool.draw(400, generator)
    counts = np.bincount(numbers, minlength=len(INTERVALS))
    assert counts[2] > counts[0]


@pytest.mark.parametrize(
    ("form", "ring", "bound"),
    [
        ((1, 5, 7), "Z", 35),
        ((2, 2, 2), "Q", 7),
        ((3, 2, 2), "Z", 11),
        ((2, 4, 2), "Z", 14),
        ((2, 2, 6), "GF(2)", 21),
        ((3, 3, 3), "Z", 19),
        ((2, 3, 3), "GF(2)", 15),
        ((4, 4, 4), "Z", 28),
    ],
)
def test_lower_bounds(form, ring, bound):
    assert lower_bound(MatrixProduct(*form), ring)[0] == bound
