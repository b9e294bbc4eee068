"""Walks: the native core against plain Python, and the laws that every step keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit import _native
from grokkit.scheme import InvalidInput, MatrixProduct, Ring, Scheme, canonical, rotated, verify
from grokkit.scheme.catalog import catalog, standard
from grokkit.search._packed import (
    MAX_ENTRIES,
    RINGS,
    check_packable,
    holds,
    pack,
    projected,
    standard_packed,
    to_scheme,
    unpack,
)
from grokkit.search._symmetric import cube_counts, is_symmetric, joined, symmetric_start
from grokkit.search._walk import Walked, walk

FORMATS = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)).map(lambda form: MatrixProduct(*form))
ring_names = st.sampled_from(sorted(RINGS))

needs_native = pytest.mark.skipif(_native.load() is None, reason="no native core")


def go(form: MatrixProduct, ring: str, *, walkers: int = 3, seed: int = 1, **options) -> Walked:
    random = np.random.default_rng(seed).integers(0, 2**64, walkers, dtype=np.uint64)
    options = {"steps": 400, "entries": max(form.shape)} | options
    intervals = options.pop("intervals", np.array([5, 40, 300])[:walkers])
    return walk([standard_packed(form)] * walkers, random, intervals, ring=ring, **options)


def same(a: Walked, b: Walked) -> bool:
    return (
        all(np.array_equal(x, y) for x, y in zip(a.schemes, b.schemes, strict=True))
        and np.array_equal(a.tried, b.tried)
        and np.array_equal(a.flipped, b.flipped)
        and np.array_equal(a.reached, b.reached)
    )


@needs_native
@settings(deadline=None, max_examples=60)
@given(
    target=FORMATS,
    ring=ring_names,
    seed=st.integers(0, 2**32),
    temperature=st.sampled_from([None, 0.0, 0.7, 4.0]),
    goal=st.integers(0, 20),
    headroom=st.integers(0, 3),
)
def test_the_native_walk_is_the_reference_step_for_step(target, ring, seed, temperature, goal, headroom):
    options = {"seed": seed, "temperature": temperature, "target": goal, "headroom": headroom, "steps": 300}
    assert same(go(target, ring, **options), go(target, ring, native=False, **options))


@needs_native
@pytest.mark.parametrize("ring", sorted(RINGS))
@pytest.mark.parametrize("form", [(6, 6, 6), (8, 8, 8), (1, 8, 8), (5, 7, 6)])
def test_long_factors_and_high_ranks_too(ring, form):
    """More than 64 products, and factors of more than 32 entries, whose keys are hashed."""
    options = {"steps": 60, "walkers": 2, "intervals": np.array([25, 100])}
    found = go(MatrixProduct(*form), ring, **options)
    assert same(found, go(MatrixProduct(*form), ring, native=False, **options))
    assert all(holds(packed, MatrixProduct(*form), ring) for packed in found.schemes)


@given(target=FORMATS, ring=ring_names, seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=15)
def test_every_step_keeps_the_scheme_exact(target, ring, seed):
    """Flips, reductions and plus transitions: the scheme after each of 25 short steps computes the target."""
    packed = standard_packed(target)
    generator = np.random.default_rng(seed)
    for _ in range(25):
        state = generator.integers(0, 2**64, 1, dtype=np.uint64)
        # an interval of 1 is a plus transition after every step
        interval = np.array([int(generator.integers(1, 3))])
        found = walk([packed], state, interval, ring=ring, entries=max(target.shape), steps=2, native=False)
        assert found.schemes[0].shape[1] <= packed.shape[1]
        packed = found.schemes[0]
        assert holds(packed, target, ring)


@needs_native
@pytest.mark.parametrize(
    ("form", "rank", "steps"), [((2, 2, 2), 7, 100_000), ((2, 2, 3), 11, 300_000), ((3, 3, 3), 23, 2_000_000)]
)
def test_known_ranks_are_found_from_the_standard_algorithm(form, rank, steps):
    target = MatrixProduct(*form)
    found = go(target, "GF(2)", walkers=8, steps=steps, target=rank, intervals=np.full(8, 3000))
    best = min(found.schemes, key=lambda packed: packed.shape[1])
    assert best.shape[1] == rank
    assert verify(to_scheme(best, target, "GF(2)")).rank == rank
    at = [packed.shape[1] for packed in found.schemes].index(rank)
    assert found.reached[at, rank] == found.tried[at] <= steps
    assert (np.diff(found.reached[at, rank : target.nonzeros]) <= 0).all()


@needs_native
def test_results_do_not_depend_on_threads_or_on_other_walks():
    target = MatrixProduct(3, 3, 3)
    options = {"steps": 50_000, "walkers": 6, "intervals": np.full(6, 1000)}
    one, four = go(target, "ternary", **options), go(target, "ternary", threads=4, **options)
    assert same(one, four)
    random = np.random.default_rng(1).integers(0, 2**64, 6, dtype=np.uint64)
    alone = walk([standard_packed(target)], random[3:4], np.array([1000]), ring="ternary", entries=9, steps=50_000)
    assert np.array_equal(alone.schemes[0], one.schemes[3])


@needs_native
def test_a_temperature_keeps_the_sparsest_scheme():
    start = pack(catalog["strassen"], "ternary")
    assert start is not None
    dense = walk([start], np.array([5], dtype=np.uint64), np.array([10**9]), ring="ternary", entries=4, steps=5000)
    cold = walk(
        dense.schemes,
        np.array([6], dtype=np.uint64),
        np.array([10**9]),
        ring="ternary",
        entries=4,
        steps=20_000,
        temperature=1.0,
    )

    def nonzeros(packed):
        return int(np.bitwise_count(packed).sum())

    assert nonzeros(cold.schemes[0]) <= nonzeros(dense.schemes[0])
    assert cold.schemes[0].shape[1] == 7
    assert holds(cold.schemes[0], MatrixProduct(2, 2, 2), "ternary")


@given(target=FORMATS)
def test_packing_is_undone_by_unpacking(target):
    scheme = standard(*target.format)
    for ring in RINGS:
        packed = pack(scheme, ring)
        assert packed is not None
        assert np.array_equal(packed, standard_packed(target))
        assert all(
            np.array_equal(x, y) for x, y in zip(unpack(packed, target), (scheme.U, scheme.V, scheme.W), strict=True)
        )


def test_what_does_not_fit_is_not_packed():
    halves = Scheme(MatrixProduct(1, 1, 1), [[1]], [[2]], [[1]], (1, 1, 2))
    assert pack(halves, "GF(2)") is None
    assert pack(halves, "ternary") is None
    packed = pack(halves, "GF(3)")
    assert packed is not None
    assert holds(packed, MatrixProduct(1, 1, 1), "GF(3)")
    modulo = Scheme(MatrixProduct(1, 1, 1), [[1]], [[1]], [[1]], ring=Ring.parse("GF(2)"))
    assert pack(modulo, "GF(3)") is None
    assert pack(modulo, "ternary") is None
    with pytest.raises(InvalidInput, match="<8,9,1>: a factor has 72 entries"):
        check_packable(MatrixProduct(8, 9, 1))
    assert MAX_ENTRIES == 64


def test_a_wrong_packed_scheme_does_not_hold():
    target = MatrixProduct(2, 2, 2)
    for ring in RINGS:
        packed = standard_packed(target)
        packed[0, 3, 0] ^= np.uint64(1)
        assert not holds(packed, target, ring)


@given(source=FORMATS, target=FORMATS, ring=ring_names, seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_projections_compute_the_other_format(source, target, ring, seed):
    moved = projected(standard_packed(source), source, target, ring, np.random.default_rng(seed))
    assert holds(moved, target, ring)


def test_a_projection_extends_and_restricts():
    packed = pack(catalog["strassen"], "GF(2)")
    assert packed is not None
    generator = np.random.default_rng(0)
    larger = projected(packed, MatrixProduct(2, 2, 2), MatrixProduct(2, 2, 3), "GF(2)", generator)
    assert larger.shape[1] == 7 + 4
    smaller = projected(packed, MatrixProduct(2, 2, 2), MatrixProduct(2, 2, 1), "GF(2)", generator)
    found = walk([smaller], np.zeros(1, dtype=np.uint64), np.array([100]), ring="GF(2)", entries=4, steps=0)
    assert found.schemes[0].shape[1] == 4


@needs_native
@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(2, 4),
    ring=ring_names,
    data=st.data(),
    seed=st.integers(0, 2**32),
    temperature=st.sampled_from([None, 1.0]),
)
def test_symmetric_walks_stay_symmetric_and_exact_and_are_the_reference(n, ring, data, seed, temperature):
    target = MatrixProduct(n, n, n)
    generator = np.random.default_rng(seed)
    cubes, orbits = symmetric_start(n, ring, data.draw(st.integers(1, n)), generator)
    assert is_symmetric(orbits)
    assert holds(joined(cubes, orbits, n), target, ring)
    random = generator.integers(0, 2**64, 2, dtype=np.uint64)
    one, two = (
        walk(
            [orbits] * 2,
            random,
            np.array([10, 100]),
            ring=ring,
            entries=n * n,
            steps=300,
            symmetric=True,
            headroom=4,
            temperature=temperature,
            native=native,
        )
        for native in (True, False)
    )
    assert same(one, two)
    for packed in one.schemes:
        assert is_symmetric(packed)
        whole = joined(cubes, packed, n)
        assert holds(whole, target, ring)
        scheme = to_scheme(whole, target, ring)
        # what symmetry means, told by the room that knows: rotating the factors permutes the products
        turned = rotated(scheme)
        assert turned.target == target
        assert canonical(turned) == canonical(scheme)


def test_what_cannot_be_a_symmetric_start_is_refused():
    generator = np.random.default_rng(0)
    with pytest.raises(InvalidInput, match="4 cubes: 1 to 3 are possible for <3,3,3>"):
        symmetric_start(3, "GF(2)", 4, generator)
    with pytest.raises(InvalidInput, match="flip graphs take formats to 8x8x8"):
        symmetric_start(9, "GF(2)", 1, generator)
    assert cube_counts(MatrixProduct(2, 3, 3)) == []
    assert cube_counts(MatrixProduct(4, 4, 4), 49) == [1, 4]
    assert cube_counts(MatrixProduct(2, 2, 2), 6) == []
    assert not is_symmetric(standard_packed(MatrixProduct(2, 2, 2)))
