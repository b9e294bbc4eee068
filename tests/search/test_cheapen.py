"""Walks towards fewer additions: the native count and walk against Python's, and schemes that really become cheaper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit import _native
from grokkit.scheme import InvalidInput, MatrixProduct, Ring, Scheme, reduce_additions, standard
from grokkit.scheme.catalog import catalog
from grokkit.search import cheapen, find_scheme
from grokkit.search._cheapen import cheapen_packed
from grokkit.search._packed import pack, to_scheme
from independent import independent_check

needs_native = pytest.mark.skipif(_native.load() is None, reason="no native core")
STARTS = [standard(2, 2, 2), standard(3, 1, 2), standard(2, 3, 2), catalog["strassen"], catalog["winograd"]]


@needs_native
@settings(deadline=None, max_examples=40)
@given(
    start=st.sampled_from([*STARTS, catalog["2x2x4-14"]]),
    seed=st.integers(0, 2**32),
    temperature=st.sampled_from([0.0, 0.5, 3.0]),
    flips=st.integers(1, 4),
)
def test_the_native_walk_is_the_reference_number_for_number(start, seed, temperature, flips):
    packed = pack(start, "ternary")
    random = np.random.default_rng(seed).integers(0, 2**64, 2, dtype=np.uint64)
    options = {"steps": 25, "temperature": temperature, "flips": flips}
    shape = start.target.shape
    (one, counted), (two, counted_too) = (
        cheapen_packed([packed] * 2, random, shape, native=native, **options) for native in (True, False)
    )
    assert counted.tolist() == counted_too.tolist()
    for x, y in zip(one, two, strict=True):
        assert np.array_equal(x, y)
        scheme = to_scheme(x, start.target, "ternary")
        assert independent_check(scheme)


@pytest.mark.parametrize("start", STARTS, ids=lambda scheme: scheme.name)
def test_what_is_counted_can_be_done(start):
    """The program that is proven takes no more additions than the walk has counted, here where both are least."""
    packed = pack(start, "ternary")
    found, counted = cheapen_packed(
        [packed], np.zeros(1, dtype=np.uint64), start.target.shape, steps=5, temperature=1.0
    )
    scheme = to_scheme(found[0], start.target, "ternary")
    assert reduce_additions(scheme).additions == counted[0]


@needs_native
def test_schemes_become_cheaper():
    found = find_scheme("3x3x3", 23, "ternary", seed=1, want=8, budget=600, symmetric=False).schemes
    before = min(reduce_additions(scheme).additions for scheme in found)
    cheap = cheapen(found, seed=1, rounds=4, tries=10)
    after = reduce_additions(cheap).additions
    assert cheap.rank == 23
    assert independent_check(cheap)
    assert after < before
    assert cheapen(found, seed=1, rounds=4, tries=10, threads=3) == cheap
    assert cheap.provenance.method == "walk towards fewer additions"


@needs_native
def test_the_cheapest_is_kept():
    assert reduce_additions(cheapen([catalog["winograd"], catalog["strassen"]], rounds=2)).additions == 15


def test_what_cannot_be_made_cheaper_is_refused():
    strassen = catalog["strassen"]
    modulo = Scheme(strassen.target, strassen.U, strassen.V, strassen.W, ring=Ring.parse("GF(2)"))
    with pytest.raises(InvalidInput, match=r"<2,2,2;7> over GF\(2\): only ternary schemes over Z"):
        cheapen([modulo])
    with pytest.raises(InvalidInput, match="no schemes were given"):
        cheapen([])
    with pytest.raises(InvalidInput, match="<2,2,1;4>: the others compute <2,2,2>"):
        cheapen([_padded(), standard(2, 2, 1)])
    with pytest.raises(InvalidInput, match="more than 128 products"):
        cheapen([standard(6, 6, 6)])


def _padded() -> Scheme:
    """<2,2,2> in four products of which none is right: only its rank matters."""
    target = MatrixProduct(2, 2, 2)
    return Scheme(target, np.ones((4, 4), int), np.ones((4, 4), int), np.ones((4, 4), int))
