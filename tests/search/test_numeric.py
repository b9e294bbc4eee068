"""The numerical route, and maps other than matrix products: found from nothing, proven, the same wherever they run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit import _native
from grokkit.scheme import InvalidInput, MatrixProduct, Scheme, parse_target, standard_scheme, verify
from grokkit.search import NumericSearch, NumericSettings, find_scheme, lower_bound, make_engine
from grokkit.search._numeric import Start
from grokkit.search._packed import RINGS, holds, pack, standard_packed, unpack
from grokkit.search._state import STATE
from grokkit.search._work import in_threads
from independent import independent_check

needs_core = pytest.mark.skipif(_native.load() is None, reason="no native core")
QUICK = NumericSettings(starts=2, cycles=6, gauges=1, attempts=4)


def facts(result):
    names = ("found", "goal", "rounds", "starts", "complete")
    return {name: getattr(result, name) for name in names} | {"digests": [each.digest for each in result.schemes]}


@pytest.mark.parametrize(
    ("target", "rank", "ring"),
    [
        ("2x2x2", 7, "ternary"),
        ("2x2x3", 11, "Z"),
        ("2x3x3", 15, "Q"),
        ("complex", 3, "Q"),
        ("poly:2", 3, "Q"),
        ("poly:3", 5, "Q"),
        ("cyclic:3", 4, "Q"),
        ("cyclic:4", 5, "Q"),
        ("toeplitz:2", 3, "Q"),
    ],
)
def test_random_weights_become_schemes(target, rank, ring):
    result = find_scheme(target, rank, ring, route="numeric", budget=600, seed=1)
    assert result.found and result.rank == rank and result.tried == 0
    assert result.scheme.target == parse_target(target)
    assert independent_check(result.scheme)
    assert ring != "ternary" or result.scheme.ternary
    assert ring != "Z" or str(result.scheme.ring) == "Z"
    assert sum(result.starts.values()) == 4 * result.rounds
    assert set(result.starts) <= {"anneal", "sparsify", "thin", "pin", "ternary", "Z", "Q"}
    assert result.scheme.provenance.method == "numerical"


@needs_core
@pytest.mark.parametrize(
    ("target", "rank", "ring"),
    [
        ("complex", None, "ternary"),
        ("complex", 3, "GF(2)"),
        ("poly:2", None, "ternary"),
        ("poly:3", None, "Z"),
        ("poly:3x2", 5, "GF(2)"),
        ("poly:4", None, "GF(2)"),
        ("poly:4", None, "Z"),
        ("toeplitz:3", None, "Z"),
        ("cyclic:3", 4, "Q"),
        ("quaternion", None, "ternary"),
        ("quaternion", 9, "GF(3)"),
    ],
)
def test_walks_take_other_maps(target, rank, ring):
    result = find_scheme(target, rank, ring, route="flip", budget=600, seed=2)
    assert result.found and independent_check(result.scheme)
    assert result.scheme.target == parse_target(target)
    assert ring != "ternary" or result.scheme.ternary


@pytest.mark.parametrize("target", ["quaternion", "complex", "poly:3x2", "cyclic:4", "toeplitz:2x3", "2x2x3"])
@pytest.mark.parametrize("ring", list(RINGS))
def test_the_standard_algorithm_packs_over_every_ring(target, ring):
    map_ = parse_target(target)
    packed = standard_packed(map_, ring)
    assert holds(packed, map_, ring)
    scheme = standard_scheme(map_)
    assert verify(scheme).equations and np.array_equal(pack(scheme, "ternary"), standard_packed(map_))
    if ring == "GF(2)":
        assert all((part >= 0).all() for part in unpack(packed, map_))


def test_a_search_is_the_same_on_every_engine_and_after_an_interruption(tmp_path):
    arguments = {"rank": 11, "ring": "ternary", "route": "numeric", "numeric": QUICK, "seed": 5, "want": 99}
    whole = find_scheme("2x2x3", **arguments, rounds=3, budget=600)
    threaded = find_scheme("2x2x3", **arguments, rounds=3, budget=600, workers=2)
    joblib = pytest.importorskip("joblib")
    assert joblib
    processes = find_scheme("2x2x3", **arguments, rounds=3, budget=600, workers=2, engine=make_engine("joblib", 2))
    for rounds in (1, 3):
        resumed = find_scheme("2x2x3", **arguments, rounds=rounds, budget=600, out=tmp_path)
    assert (tmp_path / STATE).exists()
    assert facts(whole) == facts(threaded) == facts(processes) == facts(resumed)
    with pytest.raises(InvalidInput, match="another search"):
        find_scheme("2x2x3", **(arguments | {"numeric": NumericSettings()}), rounds=3, budget=600, out=tmp_path)


def test_starts_are_counted_by_the_stage_they_reach():
    search = NumericSearch(MatrixProduct(2, 3, 3), 14, "Q", 0, QUICK)  # no rank-14 scheme is near: nothing converges
    assert search.round(in_threads(1)) == []
    assert search.counts.stages == {"anneal": 2} and search.counts.starts == 2
    assert search.counts.cycles == 2 * QUICK.cycles and search.counts.seconds > 0


@settings(max_examples=8)
@given(st.integers(0, 50))
def test_a_start_depends_on_its_seed_and_number_alone(number):
    start = Start(parse_target("complex"), 3, 1, number, "Q", QUICK)
    first, second = start.run(), start.run(threads=2)
    assert (first.stage, first.cycles) == (second.stage, second.cycles)
    assert (first.scheme is None) == (first.stage != "exact")
    if first.scheme is not None:
        assert second.scheme is not None and first.scheme.digest == second.scheme.digest


@needs_core
def test_auto_makes_walks_and_random_starts_in_turn_over_the_rationals():
    result = find_scheme("poly:3", 5, "Q", seed=0, budget=600)
    assert result.found and result.starts and result.tried > 0
    assert not find_scheme("2x2x2", 7, "Z", seed=0, budget=600).starts


@pytest.mark.parametrize(
    ("target", "ring", "rank"),
    [
        ("poly:3", "Q", 5), ("poly:3", "Z", 6), ("poly:4", "ternary", 9), ("poly:4x2", "Q", 5), ("cyclic:6", "Q", 8),
        ("cyclic:5", "Q", 8), ("complex", "Z", 3), ("quaternion", "Q", 8), ("toeplitz:3", "GF(2)", 6),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(target, ring, rank):
    assert lower_bound(parse_target(target), ring)[0] == rank
    with pytest.raises(InvalidInput, match=rf"no scheme of rank {rank - 1} over .* exists, at least {rank} products"):
        find_scheme(target, rank - 1, ring)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "poly:x"}, "target 'poly:x' is not understood"),
        ({"target": "2x2x2", "route": "other"}, "route 'other' is not understood; use auto, flip, numeric"),
        ({"target": "2x2x2", "route": "numeric", "ring": "GF(2)"}, "finds schemes over ternary, Z, Q"),
        ({"target": "7x7x7", "rank": 250, "route": "numeric"}, "has 36750 unknowns; the numerical route takes"),
        ({"target": "2x2x2", "route": "numeric", "symmetric": True}, "starts from random weights"),
        ({"target": "cyclic:5"}, "<cyclic:5>: no rank over Z is on record"),
        ({"target": "poly:2", "symmetric": True, "rank": 3}, "no symmetric start"),
    ],
)
def test_bad_input_is_one_line(options, words):
    with pytest.raises(InvalidInput) as caught:
        find_scheme(**options)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_scheme_for_another_map_is_no_start():
    start: Scheme = standard_scheme(parse_target("poly:2"))
    with pytest.raises(InvalidInput, match="no start"):
        find_scheme("poly:3", 6, "Z", start=[start])


def test_settings_are_checked():
    with pytest.raises(InvalidInput, match="gauges is 0"):
        NumericSettings(gauges=0)
