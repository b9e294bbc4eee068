from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from grokkit.execution import _integers as internals
from grokkit.execution import recursive_product
from grokkit.execution._integers import integer_product, limb, routes, split
from grokkit.execution._wrapping import wrapping_cost
from grokkit.scheme import InvalidInput
from grokkit.scheme.catalog import catalog

TYPES = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
types = st.sampled_from(TYPES)
sides = st.integers(0, 9)
seeds = st.integers(0, 2**32 - 1)


def integers(rng, shape, dtype, extreme=False):
    """Any values of the type, or only the most troublesome ones."""
    info = np.iinfo(dtype)
    if not extreme:
        return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    values = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, info.max // 2 + 1, max(-1, info.min)]
    return rng.choice(np.array(values, dtype=dtype), shape)


def by_floats(a, b, **options):
    """The product without a way out: float64 at every size."""
    return integer_product(a, b, product=np.matmul, **options)


def floats_only(patch):
    """No other route than floats is taken."""
    patch.setattr(internals, "NUMPY", (1e18, 1e18))
    patch.setattr(internals, "wrapping_cost", lambda sizes, bits: float("inf"))


@pytest.fixture
def narrow_floats(monkeypatch) -> Iterator[None]:
    """Floats at every size, float32 where it is cheaper."""
    floats_only(monkeypatch)
    monkeypatch.setattr(internals, "CALL", 0.0)
    monkeypatch.setattr(internals, "SHORTEST_CHUNK", 1)
    split.cache_clear()
    yield
    split.cache_clear()


def agrees(found, a, b):
    with np.errstate(over="ignore"):
        expected = np.matmul(a, b)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert (found == expected).all()
    return True


@settings(max_examples=150)
@given(types, types, sides, sides, sides, st.booleans(), seeds)
def test_every_pair_of_types_is_bit_identical_to_numpy(left, right, n, k, p, extreme, seed):
    rng = np.random.default_rng(seed)
    a, b = integers(rng, (n, k), left, extreme), integers(rng, (k, p), right, extreme)
    if np.result_type(left, right).kind == "f":
        with pytest.raises(TypeError, match="no integer type in common"):
            integer_product(a, b)
        return
    assert agrees(integer_product(a, b), a, b)
    assert agrees(by_floats(a, b), a, b)


@pytest.mark.usefixtures("narrow_floats")
@settings(max_examples=100)
@given(types, types, sides, st.integers(0, 70), sides, st.booleans(), seeds)
def test_float32_products_are_exact_too(left, right, n, k, p, extreme, seed):
    if np.result_type(left, right).kind == "f":
        return
    rng = np.random.default_rng(seed)
    a, b = integers(rng, (n, k), left, extreme), integers(rng, (k, p), right, extreme)
    assert agrees(integer_product(a, b), a, b)


@settings(max_examples=100)
@given(types, st.integers(1, 64), st.integers(1, 64), sides, st.integers(1, 40), sides, st.floats(1, 2.0**48), seeds)
def test_any_magnitudes_and_any_growth(dtype, w, v, n, k, p, growth, seed):
    """Growth narrows the limbs, down to a few bits."""
    rng = np.random.default_rng(seed)
    a, b = (
        integers(rng, shape, dtype) // dtype.type(2 ** max(0, 8 * dtype.itemsize - bits - 1))
        for shape, bits in (((n, k), w), ((k, p), v))
    )
    assert agrees(by_floats(a, b, growth=growth), a, b)


@pytest.mark.usefixtures("tiny_tiles")
@given(
    st.sampled_from([((13, 11), (11, 12)), ((3, 6, 4), (3, 4, 7)), ((2, 1, 6, 9), (3, 9, 6)), ((4, 1, 3), (1, 3, 8))]),
    types,
    st.sampled_from([None, 1, 3]),
    seeds,
)
def test_tiles_strips_and_threads_change_nothing(shapes, dtype, threads, seed):
    rng = np.random.default_rng(seed)
    a, b = (integers(rng, shape, dtype, extreme=True) for shape in shapes)
    assert agrees(by_floats(a, b), a, b)
    with pytest.MonkeyPatch.context() as patch:
        floats_only(patch)
        assert agrees(integer_product(a, b, threads=threads), a, b)


shapes = st.sampled_from(
    [
        ((2, 3, 4), (4, 5)),
        ((3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (7, 4, 5)),
        ((2, 3, 4), (1, 4, 5)),
        ((6, 0, 3, 4), (4, 5)),
        ((6, 2, 3, 0), (0, 5)),
        ((6, 2, 0, 3), (3, 5)),
        ((5, 2, 3, 4), (1, 1, 4, 1)),
        ((1, 9), (9, 1)),
        ((9, 1), (1, 9)),
    ]
)


@given(shapes, types, seeds)
def test_leading_axes_broadcast(shapes, dtype, seed):
    rng = np.random.default_rng(seed)
    a, b = (integers(rng, shape, dtype) for shape in shapes)
    assert agrees(integer_product(a, b), a, b)
    assert agrees(by_floats(a, b), a, b)


@given(types, seeds)
def test_strides_and_byte_orders_do_not_matter(dtype, seed):
    rng = np.random.default_rng(seed)
    x, y = integers(rng, (14, 10), dtype), integers(rng, (12, 14), dtype)
    stack = integers(rng, (3, 4, 14), dtype)
    for a, b in (
        (x.T, y.T),
        (x.T[::2], y.T[:, ::3]),
        (x.T[::-1, ::-1], y.T[::-1, ::-1]),
        (np.asfortranarray(x.T), y.T[:, ::-1]),
        (np.broadcast_to(x[:, :1], (14, 9)), np.broadcast_to(y[0, :1], (9, 4))),
        (np.broadcast_to(y[:5], (3, 5, 14)), np.broadcast_to(x, (3, 14, 10))),
        (stack[::-1, ::2], x[::-1]),
        (stack.swapaxes(0, 1), x),
        (x.T.astype(dtype.newbyteorder(">")), y.T.astype(dtype.newbyteorder(">"))),
    ):
        assert agrees(by_floats(a, b), a, b)
        assert agrees(integer_product(a, b), a, b)


@given(types, seeds, st.integers(0, 3))
def test_out(dtype, seed, which):
    rng = np.random.default_rng(seed)
    a, b = integers(rng, (7, 5), dtype), integers(rng, (5, 6), dtype)
    room = np.zeros((12, 14), dtype)
    out = (room[:7, :6], room[::-1][:7, ::2][:, :6], room.T[:7, :6], np.zeros((7, 6), dtype))[which]
    assert by_floats(a, b, out=out) is out
    assert agrees(out, a, b)
    assert integer_product(a, b, out) is out
    assert agrees(out, a, b)


def test_out_may_overlap_the_operands():
    rng = np.random.default_rng(0)
    for which in (0, 1):
        a, b = integers(rng, (8, 8), np.int64), integers(rng, (8, 8), np.int64)
        expected = a @ b
        assert (by_floats(a, b, out=(a, b)[which]) == expected).all()
        assert ((a, b)[which] == expected).all()


def test_operands_are_left_alone():
    a, b = np.full((4, 4), -(2**63)), np.full((4, 4), 2**63 - 1)
    a.setflags(write=False)
    by_floats(a, b)
    assert (a == -(2**63)).all()
    assert (b == 2**63 - 1).all()


@settings(max_examples=100)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.integers(0, 63), st.integers(1, 64))
def test_limbs_are_what_they_are_defined_as(values, start, size):
    stop = start + size

    def low(x, e):
        return (x + 2**e // 2) % 2**e - 2**e // 2

    x = np.array([values], dtype=np.int64)
    found = limb(x, (start, stop), 64, np.empty_like(x))
    for value, part in zip(values, found[0].tolist(), strict=True):
        exact = value if stop >= 64 else low(value, stop)
        expected = (exact - low(value, start)) // 2**start
        assert abs(expected) <= 2 ** (size - 1) or stop > 64
        assert part == expected or (stop >= 64 and (part - expected) % 2 ** (64 - start) == 0)


def widest(limbs):
    """The largest magnitude of a limb, or of a difference of limbs."""
    return sum(2 ** (stop - start - 1) for start, stop in limbs)


@settings(max_examples=100)
@given(st.integers(1, 64), st.integers(1, 64), st.sampled_from([8, 16, 31, 32, 63, 64, internals.UNBOUNDED]), st.data())
def test_terms_add_up_to_the_product_and_fit_the_room(w, v, bits, data):
    """Σ coefficient · left · right = x · y modulo 2^bits in Python's integers, no factors beyond 2^(room - 2)."""
    w, v = min(w, bits), min(v, bits)
    room = data.draw(st.integers(2, 56))
    extremes = [st.sampled_from([-(2 ** (n - 1)), 2 ** (n - 1), 2 ** (n - 1) - 1, 0]) for n in (w, v)]
    x, y = (
        data.draw(st.one_of(st.integers(-(2 ** (n - 1)), 2 ** (n - 1)), extreme))
        for n, extreme in zip((w, v), extremes, strict=True)
    )

    def value(number, limbs, size):
        first, *rest = (piece(number, bounds, size) for bounds in limbs)
        return first - sum(rest)

    def piece(number, bounds, size):
        start, stop = bounds
        low = number if stop >= size else (number + 2**stop // 2) % 2**stop - 2**stop // 2
        return (low + 2**start // 2) // 2**start

    total = 0
    for term in internals._cover(w, v, bits, room):
        left, right = value(x, term.left, w), value(y, term.right, v)
        assert widest(term.left) * widest(term.right) <= 2 ** (room - 2)
        assert abs(left) <= widest(term.left)
        assert abs(right) <= widest(term.right)
        total += sum(sign << exponent for exponent, sign in term.weights) * left * right
    if bits == internals.UNBOUNDED:
        assert total == x * y
    else:
        assert (total - x * y) % 2**bits == 0


@settings(max_examples=150)
@given(
    st.tuples(*[st.integers(1, 2**22)] * 3),
    st.sampled_from([8, 16, 32, 64, internals.UNBOUNDED]),
    st.integers(1, 2**63),
    st.integers(1, 2**63),
    st.floats(1, 1000),
)
def test_no_sum_can_exceed_the_significand(sizes, bits, left, right, growth):
    if bits <= 64:
        left, right = min(left, 2 ** (bits - 1)), min(right, 2 ** (bits - 1))
    plan = split(sizes, bits, left, right, growth=growth)
    significand = {np.dtype(np.float32): 24, np.dtype(np.float64): 53}[plan.dtype]
    single = len(plan.terms) == 1 and plan.terms[0].left[0][1] >= plan.widths[0]
    for term in plan.terms:
        factors = left * right if single else widest(term.left) * widest(term.right)
        assert Fraction(growth) * plan.chunk * factors <= 2**significand
    assert min(sizes[0], internals.TILE_SIDE) * plan.chunk <= internals.TILE_ELEMENTS
    assert min(sizes[2], internals.TILE_SIDE) * plan.chunk <= internals.TILE_ELEMENTS


def watched(growth, seen):
    """NumPy's product, which checks that its operands keep the promise."""

    def product(a, b):
        assert a.dtype == b.dtype == np.float64
        for x in (a, b):
            assert (x == np.rint(x)).all()
        largest = int(abs(a).max()) * int(abs(b).max()) * a.shape[-1]
        assert Fraction(growth) * largest <= 2**53
        seen.append(largest)
        return a @ b

    return product


@pytest.mark.parametrize("growth", [1.0, 6.5, 2.0**20])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("dtype", "k"),
    [
        *((np.int64, k) for k in (128, 129, 2048, 2049)),
        *((np.int32, k) for k in (4096, 4097)),
        *((dtype, 2049) for dtype in (np.int8, np.uint16, np.uint32, np.uint64)),
    ],
)
def test_worst_entries_at_the_edge_of_the_bound(dtype, k, sign, growth):
    """All entries as large as they get, K where one more would need another split."""
    info = np.iinfo(dtype)
    for worst in (info.min, info.max, info.max // 2 + 1, -(-info.max // 3)):
        a = np.full((2, k), worst, dtype)
        b = np.full((k, 3), worst if sign > 0 else info.min + info.max - worst, dtype)
        seen = []
        found = integer_product(a, b, product=watched(growth, seen), growth=growth)
        assert agrees(found, a, b)
    assert seen


def test_one_product_up_to_exactly_two_to_the_53():
    a, b = np.full((3, 2**13), 2**20), np.full((2**13, 2), -(2**20))
    seen = []
    assert agrees(integer_product(a, b, product=watched(1.0, seen)), a, b)
    assert seen == [2**53]
    a, b = np.full((3, 2**13 + 1), 2**20), np.full((2**13 + 1, 2), -(2**20))
    a[0, 0] += 1
    seen = []
    assert agrees(integer_product(a, b, product=watched(1.0, seen)), a, b)
    assert len(seen) == 2


@pytest.mark.usefixtures("narrow_floats")
def test_one_float32_product_up_to_exactly_two_to_the_24():
    assert split((4, 1024, 4), 8, 128, 128).chunk == 1024
    assert split((4, 1024, 4), 8, 128, 128).dtype == np.float32
    for k in (1023, 1024, 1025, 2049):
        a, b = np.full((4, k), -128, np.int8), np.full((k, 4), -128, np.int8)
        assert agrees(integer_product(a, b), a, b)


@pytest.mark.parametrize(
    ("bits", "k", "terms"), [(8, 2**20, 1), (16, 1024, 1), (32, 1024, 2), (32, 4096, 2), (64, 1024, 5), (64, 2**15, 5)]
)
def test_how_many_products_full_range_takes(bits, k, terms):
    assert len(split((1024, k, 1024), bits, 2 ** (bits - 1), 2 ** (bits - 1)).terms) == terms


def test_a_scheme_may_compute_the_products():
    """Strassen over floats is exact on whole numbers while its growth leaves room."""
    rng = np.random.default_rng(0)
    a, b = integers(rng, (33, 45), np.int64), integers(rng, (45, 21), np.int64)
    found = integer_product(a, b, product=lambda x, y: recursive_product(catalog["strassen"], x, y, 2), growth=144.0)
    assert agrees(found, a, b)


def test_a_product_may_multiply_integers_itself():
    """The workspace of a call is not that of a call within it."""
    rng = np.random.default_rng(0)
    a, b = integers(rng, (12, 12), np.int64, True), integers(rng, (12, 12), np.int64, True)

    def product(x, y):
        by_floats(np.ones((20, 20), np.int32), np.ones((20, 20), np.int32))
        return x @ y

    assert agrees(integer_product(a, b, product=product), a, b)


def test_threads_are_given_back(monkeypatch):
    floats_only(monkeypatch)
    before = [library["num_threads"] for library in threadpool_info()]
    a = np.random.default_rng(0).integers(-(2**31), 2**31, (150, 150))
    assert agrees(integer_product(a, a, threads=2), a, a)
    assert [library["num_threads"] for library in threadpool_info()] == before


def test_an_error_in_a_thread_is_raised(monkeypatch):
    floats_only(monkeypatch)
    a = np.ones((150, 150), np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(internals, "limb", None)
        with pytest.raises(TypeError):
            integer_product(a, a, threads=2)
    assert agrees(integer_product(a, a, threads=2), a, a)


@pytest.mark.parametrize("cheapest", ["numpy", "native", "floats"])
@pytest.mark.parametrize("left", TYPES)
@pytest.mark.parametrize("right", TYPES)
def test_every_route_gives_the_same_bits(monkeypatch, cheapest, left, right):
    dtype = np.result_type(left, right)
    if dtype.kind == "f" or (cheapest == "native" and wrapping_cost((9, 9, 9), 8 * dtype.itemsize) == float("inf")):
        return
    costs = {way: float(way != cheapest) for way in ("numpy", "native", "floats")}
    monkeypatch.setattr(internals, "routes", lambda *args, **options: costs)
    rng = np.random.default_rng(0)
    a, b = integers(rng, (2, 70, 90), left, True), integers(rng, (2, 90, 130), right, True)
    assert agrees(integer_product(a, b), a, b)
    assert agrees(integer_product(a, b, out=np.empty((2, 130, 70), dtype).swapaxes(1, 2)), a, b)


def test_small_products_go_to_numpy():
    assert routes((8, 8, 8), 64, 2**63, 2**63)["numpy"] < routes((8, 8, 8), 64, 2**63, 2**63)["floats"]
    costs = routes((512, 512, 512), 64, 2**63, 2**63)
    assert 5 * 512**3 < costs["floats"] < costs["numpy"]


def test_refusals():
    whole = np.ones((2, 2), np.int64)
    for wrong in (np.ones((2, 2)), np.ones((2, 2), bool), np.ones((2, 2), object)):
        with pytest.raises(TypeError, match="an integer type is needed"):
            integer_product(wrong, whole)
    with pytest.raises(TypeError, match="uint64 and int64 have no integer type in common"):
        integer_product(whole.astype(np.uint64), whole)
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(4, 2\) do not fit: 3 != 4"):
        integer_product(np.ones((2, 3), int), np.ones((4, 2), int))
    with pytest.raises(ValueError, match="matrices, or stacks of them"):
        integer_product(np.ones(3, int), np.ones((3, 2), int))
    with pytest.raises(ValueError, match="broadcast"):
        integer_product(np.ones((2, 3, 3), int), np.ones((3, 3, 3), int))
    for out in (np.ones((2, 2), np.int32), np.ones((2, 3), np.int64)):
        with pytest.raises(InvalidInput, match=r"int64 of shape \(2, 2\) is needed"):
            integer_product(whole, whole, out)
    for threads in (0, True):
        with pytest.raises(InvalidInput, match="threads is"):
            integer_product(whole, whole, threads=threads)
    for growth in (0.5, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="growth is"):
            integer_product(whole, whole, growth=growth)
    with pytest.raises(InvalidInput, match="leaves no room"):
        integer_product(whole, whole, product=np.matmul, growth=2.0**54)
