"""What a search leaves in its directory, and what is read of it."""

from __future__ import annotations

import numpy as np
import pytest

from grokkit.scheme import InvalidInput, verify
from grokkit.search import FlipSettings, find_scheme, open_search
from grokkit.search._flips import TRACE, Counts
from grokkit.search._packed import standard_packed, to_scheme
from grokkit.search._record import _additions

SMALL = FlipSettings(walkers=3, steps=2_000, patience=5)


def test_a_record_says_what_the_search_said(tmp_path):
    result = find_scheme("2x3x3", 14, "ternary", budget=600, rounds=40, settings=SMALL, out=tmp_path, seed=3)
    record = open_search(tmp_path)
    assert (record.target, record.ring, record.seed, record.goal) == (result.scheme.target, "ternary", 3, 14)
    assert not record.found
    assert (record.rank, record.rounds, record.cpu_seconds) == (result.rank, 40, result.cpu_seconds)
    assert record.liftings == result.liftings
    assert {walks.name: list(walks.history) for walks in record.walks} == result.history
    assert sum(walks.tried for walks in record.walks) == result.tried
    verify(record.schemes[0])
    for walks in record.walks:
        assert all(len(ranks) == SMALL.walkers for _, ranks in walks.trace)
        assert [tried for tried, _ in walks.trace] == sorted(tried for tried, _ in walks.trace)
        lowest = min((rank for _, ranks in walks.trace for rank in ranks), default=None)
        assert lowest is None or lowest == walks.history[-1][1]
        assert (walks.pool[:, 1] >= 0).all()
    assert not record.same_question(open_search(_another(tmp_path / "other")))


def _another(folder):
    find_scheme("2x2x2", 7, "ternary", budget=600, settings=SMALL, out=folder)
    return folder


def test_a_search_that_goes_on_keeps_its_trace(tmp_path):
    whole = find_scheme("2x3x3", 14, "ternary", budget=600, rounds=30, settings=SMALL, out=tmp_path / "a")
    find_scheme("2x3x3", 14, "ternary", budget=600, rounds=11, settings=SMALL, out=tmp_path / "b")
    find_scheme("2x3x3", 14, "ternary", budget=600, rounds=30, settings=SMALL, out=tmp_path / "b")
    assert whole.rounds == 30
    for one, other in zip(open_search(tmp_path / "a").walks, open_search(tmp_path / "b").walks, strict=True):
        assert one.trace == other.trace
        assert np.array_equal(one.pool, other.pool)


def test_a_long_trace_is_thinned_evenly():
    counts = Counts()
    for number in range(5 * TRACE):
        counts.tried = number
        counts.note([number])
    kept = [tried for tried, _ in counts.trace]
    assert len(kept) <= TRACE
    assert set(np.diff(kept)) == {counts.stride}
    assert kept[0] == 0
    assert kept[-1] > 4 * TRACE


def test_additions_of_a_packed_scheme_are_those_of_the_scheme():
    from grokkit.scheme import MatrixProduct, PolynomialProduct, additions

    for target in (MatrixProduct(2, 3, 2), PolynomialProduct(4)):
        packed = standard_packed(target)
        scheme = to_scheme(packed, target, "ternary")
        assert _additions(packed[None]) == [additions(scheme).total]


def test_what_is_no_search_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"no search\.npz in it; give a directory"):
        open_search(tmp_path)
    folder = _another(tmp_path / "s")
    path = folder / "search.npz"
    content = path.read_bytes()
    for broken in (content[:100], b"", content[:-30] + b"x" * 30):
        path.write_bytes(broken)
        with pytest.raises(InvalidInput, match=r"search\.npz: damaged"):
            open_search(folder)
