import functools
import pickle
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grokkit.execution import matmul
from grokkit.execution._dask import dask_product, is_dask
from grokkit.execution._dask_steps import GridPlan
from grokkit.scheme import InvalidInput, MatrixProduct, MissingExtra, Refuted, Ring, Scheme, sandwiched
from grokkit.scheme.catalog import catalog
from strategies import exact_schemes, tiny_formats

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

STRASSEN = catalog["strassen"]
ways = st.sampled_from(
    [("auto", None), ("strassen", None), ("strassen", 2), ("winograd", 2), ("3x2x1:6", 1), ("strassen", 0)]
)
integer_types = st.sampled_from([np.bool_, np.int8, np.uint8, np.int32, np.int64, np.uint64])
float_types = st.sampled_from([np.float32, np.float64, np.complex64, np.complex128])
batches = st.sampled_from([((), ()), ((), ()), ((3,), ()), ((), (3,)), ((2, 1), (4,)), ((4,), (4,)), ((1,), (5,))])


@st.composite
def chunks(draw, shape):
    """Any way to cut a shape."""
    return tuple(draw(cuts(size)) for size in shape)


@st.composite
def cuts(draw, size):
    inside = draw(st.sets(st.integers(1, size - 1))) if size > 1 else ()
    return tuple(np.diff([0, *sorted(inside), size]).tolist())


@st.composite
def shapes(draw):
    """Shapes of two operands that fit: matrices, stacks of them, and vectors."""
    n, m, p = (draw(st.integers(0, 9)) for _ in range(3))
    left, right = draw(batches)
    a = draw(st.sampled_from([(*left, n, m), (*left, n, m), (m,)]))
    b = draw(st.sampled_from([(*right, m, p), (*right, m, p), (m,)]))
    return a, b


def random_values(rng, shape, dtype):
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if kind in "iu":
        return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    imaginary = 1j * rng.standard_normal(shape) if kind == "c" else 0
    return (rng.standard_normal(shape) + imaginary).astype(dtype)


@st.composite
def operands(draw, dtypes):
    """Two operands, and each as a dask array cut in some way; one of them may stay a NumPy array."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    arrays = [random_values(rng, shape, draw(dtypes)) for shape in draw(shapes())]
    lazy = [da.from_array(x, chunks=draw(chunks(x.shape))) for x in arrays]
    kept = draw(st.sampled_from([None, None, 0, 1]))
    return arrays, [x if at == kept else y for at, (x, y) in enumerate(zip(arrays, lazy, strict=True))]


def computed(x):
    return np.asarray(x.compute(scheduler="synchronous"))


class Counted:
    """A product that counts its calls."""

    def __init__(self, product=np.matmul):
        self.calls, self.product = 0, product

    def __call__(self, a, b):
        self.calls += 1
        return self.product(a, b)


def leaves(a, b, **options):
    """Products of chunks, counted while they are computed."""
    product = Counted()
    found = dask_product(a, b, product=product, **options)
    assert product.calls == 0
    assert np.allclose(computed(found), computed(a) @ computed(b))
    return product.calls


# What it computes


@settings(max_examples=100)
@given(operands(integer_types), ways)
def test_integers_are_bit_identical_to_numpy(both, way):
    (a, b), (lazy_a, lazy_b) = both
    assume(np.result_type(a, b).kind in "biu")
    found = dask_product(lazy_a, lazy_b, scheme=way[0], levels=way[1])
    expected = np.matmul(a, b)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    value = computed(found)
    assert value.shape == expected.shape and value.dtype == expected.dtype
    assert (value == expected).all()


@settings(max_examples=40)
@given(operands(float_types), ways)
def test_floating_point(both, way):
    (a, b), (lazy_a, lazy_b) = both
    found = dask_product(lazy_a, lazy_b, scheme=way[0], levels=way[1])
    expected = np.matmul(a, b)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    precision = max(np.finfo(a.dtype).eps, np.finfo(b.dtype).eps)
    scale = 1 + a.shape[-1] * np.abs(a).max(initial=0) * np.abs(b).max(initial=0)
    assert np.abs(computed(found) - expected).max(initial=0) <= 200 * precision * scale


@settings(max_examples=25)
@given(exact_schemes(tiny_formats), st.integers(0, 2), st.data())
def test_any_exact_scheme_over_python_integers(scheme, levels, data):
    """Rational coefficients too: what they divide is divided exactly."""
    n, m, p = (data.draw(st.integers(1, 9)) for _ in range(3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    a = rng.integers(-(10**12), 10**12, (n, m)).astype(object)
    b = rng.integers(-(10**12), 10**12, (m, p)).astype(object)
    lazy_a, lazy_b = (da.from_array(x, chunks=data.draw(chunks(x.shape))) for x in (a, b))
    found = computed(dask_product(lazy_a, lazy_b, scheme=scheme, levels=levels))
    assert found.dtype == object
    assert (found == a.dot(b)).all()


@settings(max_examples=20)
@given(operands(st.just(np.int64)), ways)
def test_every_chunk_has_the_announced_shape(both, way):
    found = dask_product(*both[1], scheme=way[0], levels=way[1])
    if found.ndim:
        for place in np.ndindex(found.numblocks):
            block = found.blocks[place]
            assert block.compute(scheduler="synchronous").shape == block.shape


@given(operands(float_types), ways, st.data())
@settings(max_examples=60)
def test_infinities_and_nan_stay_in_their_rows_and_columns(both, way, data):
    (a, b), _ = both
    for x in (a, b):
        for _ in range(data.draw(st.integers(0, 2)) if x.size else 0):
            place = tuple(data.draw(st.integers(0, size - 1)) for size in x.shape)
            x[place] = data.draw(st.sampled_from([np.inf, -np.inf, np.nan]))
    lazy = [da.from_array(x, chunks=data.draw(chunks(x.shape))) for x in (a, b)]
    with np.errstate(all="ignore"):
        expected = np.matmul(a, b)
        found = computed(dask_product(*lazy, scheme=way[0], levels=way[1]))
    finite = np.isfinite(expected)
    assert (np.isfinite(found) == finite).all()
    assert np.allclose(found[finite], expected[finite], rtol=1e-3, atol=1e-3)


def test_the_chunk_product_is_the_one_given():
    a = da.from_array(np.arange(96.0).reshape(8, 12), chunks=(2, 3))
    product = functools.partial(matmul, scheme="strassen", levels=1)
    counted = Counted(product)
    found = dask_product(a, a.T, product=counted)
    assert np.allclose(computed(found), computed(a) @ computed(a).T)
    assert counted.calls == 4 * 4 * 4


def test_operands_are_left_alone():
    a, b = np.arange(64.0).reshape(8, 8), np.ones((8, 8))
    for array in (a, b):
        array.setflags(write=False)
    lazy = [da.from_array(x, chunks=2).persist(scheduler="synchronous") for x in (a, b)]
    dask_product(*lazy, scheme="winograd", levels=2).compute(scheduler="synchronous")
    assert (computed(lazy[0]) == a).all() and (computed(lazy[1]) == b).all()


# How much it computes


@pytest.mark.parametrize(("levels", "share"), [(0, 1), (1, Fraction(7, 8)), (2, Fraction(49, 64))])
def test_a_level_saves_one_product_in_eight(levels, share):
    a = da.ones((16, 16), chunks=2)
    assert leaves(a, a, scheme="strassen", levels=levels) == leaves(a, a, levels=levels) == 8**3 * share


def test_odd_grids_save_on_what_is_even():
    """5×5×5 chunks: 4×4×4 of them by 49 or 56 products, the remaining 61 directly."""
    a = da.ones((10, 10), chunks=2)
    assert leaves(a, a, scheme="strassen", levels=1) == 7 * 8 + 61
    assert leaves(a, a, scheme="strassen", levels=2) == 49 + 61


def test_two_levels_fall_back_to_one_and_to_none():
    """7×7×7 chunks: 4³ by two levels, what is left by one level where 2×2×2 fit."""
    a = da.ones((14, 14), chunks=2)
    inner, rows, columns = 4 * 4 * 3, 3 * 7 * 7, 4 * 7 * 3
    saved = 4 * 4 * 2 // 8 + 2 * 6 * 6 // 8 + 4 * 6 * 2 // 8
    assert leaves(a, a, scheme="strassen", levels=2) == 49 + inner + rows + columns - saved


def test_short_chunks_at_the_edge_are_multiplied_directly():
    a, short, nearly = (da.ones((n, 32), chunks=8) for n in (32, 25, 31))
    assert leaves(a, a.T, scheme="strassen") == 56
    assert leaves(nearly, a.T, scheme="strassen") == 56
    assert leaves(short, a.T, scheme="strassen") == 28 + 32


def test_never_more_products_than_without_a_scheme():
    a = da.ones((12, 12), chunks=(4, 2))
    assert leaves(a, a.rechunk((2, 3)), scheme="3x2x1:6") == 3 * 6 * 4
    assert leaves(a, a.rechunk((2, 3)), scheme="strassen", levels=0) == 3 * 6 * 4


def test_an_explicit_scheme_cuts_chunks_that_are_too_few():
    a = da.ones((20, 20), chunks=-1)
    assert leaves(a, a, scheme="strassen", levels=2) == 49


def test_uneven_chunks_are_cut_anew():
    uneven = da.ones((40, 40), chunks=((3, 17, 1, 19), (10, 10, 10, 10)))
    assert dask_product(uneven, uneven.T, scheme="strassen").chunks == ((10,) * 4, (10,) * 4)
    assert leaves(uneven, uneven.T, scheme="strassen") == 56
    assert dask_product(uneven, uneven.T).chunks == (uneven.chunks[0], uneven.chunks[0])
    odd = da.ones((40, 40), chunks=((16, 15, 9), -1))
    assert dask_product(odd, odd.T, scheme="strassen", levels=0).chunks == (odd.chunks[0], odd.chunks[0])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 2), st.data())
def test_a_plan_covers_every_product_of_chunks_once(n, m, p, levels, data):
    a, b = (da.empty(shape, chunks=data.draw(chunks(shape))) for shape in ((n, m), (m, p)))
    plan = GridPlan.explicit(a, b, STRASSEN, levels, np.dtype(float))
    assert [sum(sizes) for sizes in plan.grid] == [n, m, p]
    seen = np.zeros([len(sizes) for sizes in plan.grid], dtype=int)
    for region in plan.regions():
        assert all((stop - start) % side == 0 for (start, stop), side in zip(region.box, region.step.form, strict=True))
        seen[tuple(slice(*ends) for ends in region.box)] += 1
    assert (seen == 1).all()


def test_auto_counts_the_cost():
    plan = functools.partial(GridPlan.automatic, dtype=np.dtype(float))

    def levels(side, *counts):
        n, m, p = (side * count for count in counts)
        return len(plan(da.empty((n, m), chunks=side), da.empty((m, p), chunks=side)).steps) - 1

    assert levels(100, 8, 8, 8) == 0
    assert levels(2000, 1, 8, 8) == levels(2000, 8, 1, 8) == levels(2000, 8, 8, 1) == 0
    assert levels(2000, 2, 2, 2) == levels(2000, 3, 2, 5) == 1
    assert levels(500, 20, 20, 20) == 0
    assert levels(4000, 4, 4, 4) == levels(4000, 15, 16, 16) == 1
    assert levels(4000, 16, 16, 16) == levels(4000, 30, 16, 20) == 2


@pytest.mark.parametrize("dtype", [np.bool_, object, np.float16])
def test_auto_leaves_some_types_alone(dtype):
    a = da.empty((8000, 8000), chunks=2000, dtype=dtype)
    assert len(GridPlan.automatic(a, a, np.dtype(dtype)).steps) == 1
    assert len(GridPlan.automatic(a, a, np.dtype(int)).steps) > 1


# What it refuses


def test_only_proven_schemes_are_used():
    a = da.ones((4, 4), chunks=2)
    wrong = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, -STRASSEN.W)
    with pytest.raises(Refuted):
        dask_product(a, a, scheme=wrong)
    modular = Scheme(STRASSEN.target, abs(STRASSEN.U), abs(STRASSEN.V), abs(STRASSEN.W), ring=Ring.parse("GF(2)"))
    with pytest.raises(InvalidInput, match="holds only over"):
        dask_product(a, a, scheme=modular)
    with pytest.raises(KeyError, match="no scheme 'coppersmith'"):
        dask_product(a, a, scheme="coppersmith")


def test_machine_integers_need_a_scheme_without_denominators():
    rational = sandwiched(STRASSEN, [[2, 0], [0, 1]], [[3, 0], [0, 1]], [[5, 0], [0, 1]])
    a = da.ones((4, 4), chunks=2, dtype=int)
    with pytest.raises(InvalidInput, match="denominators"):
        dask_product(a, a, scheme=rational)
    assert (computed(dask_product(a.astype(object), a, scheme=rational)) == 4).all()
    assert np.allclose(computed(dask_product(a.astype(float), a, scheme=rational)), 4)


def test_coefficients_wrap_like_the_integers():
    target = MatrixProduct(1, 1, 2)
    scheme = Scheme(target, [[1], [1], [1]], [[300, 0], [299, 0], [0, 1]], [[1, -1, 0], [0, 0, 1]])
    a = np.arange(6, dtype=np.uint8).reshape(2, 3)
    found = computed(dask_product(da.from_array(a, chunks=1), da.from_array(a.T, chunks=1), scheme=scheme))
    assert (found == a @ a.T).all()


def test_shapes_that_do_not_fit():
    a = da.ones((2, 3), chunks=1)
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(2, 3\) do not fit: 3 != 2"):
        dask_product(a, a)
    with pytest.raises(ValueError, match="scalars"):
        dask_product(a, 3)
    with pytest.raises(ValueError, match="broadcast"):
        dask_product(da.ones((2, 3, 3)), da.ones((4, 3, 3)))
    with pytest.raises(TypeError):
        dask_product(a, np.array([["x"], ["y"], ["z"]]))


def test_chunks_of_unknown_sizes():
    a = da.ones((4, 4), chunks=2)
    unknown = a[a[:, 0] > 0]
    with pytest.raises(InvalidInput, match=r"first operand, of shape \(nan, 4\), .* compute_chunk_sizes"):
        dask_product(unknown, a)
    with pytest.raises(InvalidInput, match="second operand"):
        dask_product(a, unknown)
    assert (computed(dask_product(unknown.compute_chunk_sizes(), a)) == 4).all()


def test_levels_that_make_no_sense():
    a = da.ones((4, 4), chunks=2)
    with pytest.raises(InvalidInput, match="levels is -1"):
        dask_product(a, a, scheme="strassen", levels=-1)
    with pytest.raises(InvalidInput, match=r"levels is 40: 7\^40 products"):
        dask_product(a, a, scheme="strassen", levels=40)


def test_other_chunks_are_dask_s_own_business():
    masked = da.ma.masked_equal(da.from_array(np.arange(16).reshape(4, 4), chunks=2), 5)
    with pytest.raises(InvalidInput, match="plain NumPy"):
        dask_product(masked, masked, scheme="strassen")
    assert dask_product(masked, masked).name == da.matmul(masked, masked).name


# How it fits into dask


def test_nothing_is_computed_early():
    def never(block):
        raise AssertionError("computed")

    a = da.ones((8, 8), chunks=2).map_blocks(never, dtype=float, meta=np.empty((0, 0)))
    for scheme in ("auto", "strassen"):
        found = dask_product(a, a, scheme=scheme)
        assert is_dask(found) and found.shape == (8, 8)


def test_names_are_deterministic():
    a, b = da.ones((8, 8), chunks=2), da.zeros((8, 8), chunks=2)

    def name(*both, **options):
        return dask_product(*both, **options).name

    options = [{}, {"scheme": "strassen"}, {"scheme": "winograd"}, {"scheme": "strassen", "levels": 2}]
    options.append({"scheme": "strassen", "product": matmul})
    names = [name(*both, **chosen) for both in ((a, a), (a, b), (b, a)) for chosen in options]
    assert names == [name(*both, **chosen) for both in ((a, a), (a, b), (b, a)) for chosen in options]
    assert len(set(names)) == len(names)


def test_it_survives_pickling():
    a = da.from_array(np.arange(64).reshape(8, 8), chunks=2)
    found = dask_product(a, a, scheme="strassen", levels=2, product=matmul)
    again = pickle.loads(pickle.dumps(found))  # noqa: S301
    assert again.name == found.name
    assert (computed(again) == computed(a) @ computed(a)).all()


def test_a_numpy_partner_is_cut_to_match():
    a = da.ones((3, 12, 20), chunks=(1, 5, 6))
    assert dask_product(a, np.ones((20, 9))).chunks == ((1, 1, 1), (5, 5, 2), (6, 3))
    assert dask_product(np.ones((3, 4, 12)), a).chunks == ((1, 1, 1), (4,), (6, 6, 6, 2))
    assert dask_product(np.ones(12), a).chunks == ((1, 1, 1), (6, 6, 6, 2))
    assert is_dask(dask_product(np.ones((2, 2)), np.ones((2, 2))))


def test_is_dask_imports_nothing():
    script = (
        "import sys; from grokkit.execution._dask import is_dask; import numpy as np\n"
        "assert not is_dask(np.ones(2)) and not any(name.split('.')[0] == 'dask' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert is_dask(da.ones(2)) and not is_dask(np.ones(2)) and not is_dask([1]) and not is_dask(da)


def test_without_dask(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="product of dask arrays needs dask"):
        dask_product(np.ones((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_schedulers_of_dask_itself(scheduler):
    rng = np.random.default_rng(0)
    a, b = rng.integers(-99, 99, (30, 40)), rng.integers(-99, 99, (40, 35))
    lazy = da.from_array(a, chunks=7), da.from_array(b, chunks=7)
    for levels in (0, 1, 2):
        found = dask_product(*lazy, scheme="strassen", levels=levels)
        with dask.config.set(num_workers=3):
            assert (found.compute(scheduler=scheduler) == a @ b).all()
    found = dask_product(dask_product(*lazy, scheme="strassen"), b.T)
    assert (found.compute(scheduler=scheduler) == a @ b @ b.T).all()


def peak_chunks(x):
    """Most chunks of 16×16 that are alive at once while one thread computes `x`."""
    from dask.callbacks import Callback

    alive = [0]

    def measure(key, result, graph, state, worker):
        alive.append(sum(getattr(value, "nbytes", 0) for value in state["cache"].values()) / (8 * 16 * 16))

    with Callback(posttask=measure):
        x.compute(scheduler="synchronous")
    return max(alive)


def test_little_is_alive_at_once():
    """A long inner dimension streams; a square product never holds as much as its operands, let alone the result."""
    row, column = da.ones((16, 16 * 64), chunks=16), da.ones((16 * 64, 16), chunks=16)
    assert peak_chunks(dask_product(row, column)) <= 12
    a, b = da.ones((16 * 8, 16 * 8), chunks=16), da.zeros((16 * 8, 16 * 8), chunks=16)
    assert peak_chunks(dask_product(a, b).sum()) < 2 * 8 * 8
    assert peak_chunks(dask_product(a, b, scheme="strassen").sum()) < 2 * 8 * 8


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        yield cluster


def test_a_cluster(cluster):
    from distributed import Client

    rng = np.random.default_rng(0)
    a, b = rng.integers(-99, 99, (40, 50)), rng.integers(-99, 99, (50, 30))
    lazy = da.from_array(a, chunks=11), da.from_array(b, chunks=11)
    with Client(cluster) as client:
        for levels in (0, 1, 2):
            found = dask_product(*lazy, scheme="strassen", levels=levels, product=matmul)
            assert (found.compute() == a @ b).all()
        held = client.persist(lazy[0])
        future = client.compute(dask_product(pickle.loads(pickle.dumps(held)), b, scheme="winograd"))  # noqa: S301
        assert (future.result() == a @ b).all()


def most_memory():
    """Bytes that this process held at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_operands_and_result_beyond_the_memory_limit():
    distributed = pytest.importorskip("distributed")
    limit = 192 * 2**20
    rng = da.random.default_rng(0)
    a, b = rng.random((1024, 12800), chunks=512), rng.random((12800, 1024), chunks=512)
    assert a.nbytes + b.nbytes > limit
    found = dask_product(a, b, scheme="strassen")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, memory_limit=limit, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        before = client.run(most_memory)
        assert abs(found.mean().compute() / (12800 / 4) - 1) < 0.01
        peaks = client.run(most_memory)
    assert peaks.keys() == before.keys()  # nothing was restarted
    assert max(peaks.values()) < limit
