import copy
import inspect
import operator
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from grokkit.execution import _matmul, matmul
from grokkit.execution._array import OPERATORS, FastArray, asfast
from grokkit.scheme import InvalidInput
from grokkit.scheme.catalog import catalog

execution = sys.modules["grokkit.execution"]
numbers = st.sampled_from([np.bool_, np.int8, np.uint16, np.int64, np.float32, np.float64, np.complex128])
sides = st.integers(0, 7)


@st.composite
def matrices(draw, rows, columns, dtypes=numbers):
    """Arrays of small whole numbers, on which every order of arithmetic agrees; rows, columns or strides."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(dtypes))
    x = rng.integers(0 if dtype.kind == "u" else -5, 6, (rows, columns)).astype(dtype)
    turn = draw(st.sampled_from([np.asarray, np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2]]))
    return turn(x)


@st.composite
def pairs(draw, dtypes=numbers):
    n, m, p = draw(sides), draw(sides), draw(sides)
    return draw(matrices(n, m, dtypes)), draw(matrices(m, p, dtypes))


def outcome(function, *arguments):
    """What a function gives, or the type of what it raises."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except Exception as error:
        return type(error)


def assert_same(found, expected):
    """The same values, types and shapes; fast arrays for plain ones."""
    if isinstance(expected, list | tuple):
        assert type(found) is type(expected) and len(found) == len(expected)
        for part, wanted in zip(found, expected, strict=True):
            assert_same(part, wanted)
        return
    assert type(found) is (FastArray if type(expected) is np.ndarray else type(expected))
    if isinstance(expected, np.ndarray):
        assert found.shape == expected.shape and found.dtype == expected.dtype
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    elif not isinstance(expected, type):
        np.testing.assert_equal(found, expected)


@pytest.fixture
def calls(monkeypatch):
    """The options of every call of `matmul`, which still does its work."""
    seen = []

    def noted(a, b, **options):
        assert type(a) is type(b) is np.ndarray
        seen.append(options)
        return matmul(a, b, **options)

    monkeypatch.setattr(execution, "matmul", noted)
    return seen


# Products


@settings(max_examples=100)
@given(pairs(), st.sampled_from([{}, {"scheme": "strassen"}, {"scheme": "winograd", "levels": 2}]))
def test_products_of_matrices(both, options):
    a, b = both
    x, y = asfast(a, **options), asfast(b)
    expected = a @ b
    for found in (x @ y, x @ b, np.matmul(x, b), np.dot(x, b), x.dot(y), np.tensordot(x, b, 1)):
        assert_same(found, expected)
    assert_same(a @ y, expected)
    assert_same(np.inner(x, b.T), expected)
    assert_same(np.einsum("ij,jk->ik", x, b), expected)
    assert_same(np.linalg.multi_dot([x, b, b.T]), np.linalg.multi_dot([a, b, b.T]))
    assert (x @ b).options == options


@given(array_shapes(min_dims=1, max_dims=4, max_side=4), array_shapes(min_dims=1, max_dims=4, max_side=4), st.data())
def test_any_shapes_under_every_function(left, right, data):
    """Shapes that fit and shapes that do not: the same result or the same kind of error."""
    fit = data.draw(st.sampled_from(["none", "matmul", "inner"]))
    right = list(right)
    if fit == "matmul":
        right[-2 if len(right) > 1 else -1] = left[-1]
    elif fit == "inner":
        right[-1] = left[-1]
    a, b = np.arange(np.prod(left)).reshape(left), np.arange(np.prod(right)).reshape(right)
    for function in (np.matmul, np.dot, np.inner, np.tensordot, operator.matmul, np.vdot, np.outer, np.kron):
        assert_same(outcome(function, asfast(a), b), outcome(function, a, b))
    for axes in (
        0,
        1,
        (-1, 0),
        ([0], [0]),
        ([0, 1], [1, 0]),
        ((-1, 0), (-2, -1)),
        9,
        "x",
        ([0], [7]),
        ([0, 0], [0, 0]),
    ):
        assert_same(outcome(np.tensordot, a, asfast(b), axes), outcome(np.tensordot, a, b, axes))


@st.composite
def contractions(draw):
    """Subscripts of two operands, most of them sensible, and the operands."""
    letters = draw(st.permutations("abcdef"))
    sizes = {letter: draw(st.integers(1, 3)) for letter in letters}
    left = draw(st.lists(st.sampled_from(letters[:4]), min_size=1, max_size=4, unique=draw(st.booleans())))
    right = draw(st.lists(st.sampled_from(letters[2:]), min_size=1, max_size=4, unique=True))
    all_letters = sorted({*left, *right})
    result = draw(st.one_of(st.none(), st.lists(st.sampled_from(all_letters), unique=True)))
    subscripts = f"{''.join(left)},{''.join(right)}" + ("" if result is None else "->" + "".join(result))
    operands = [
        np.arange(1, 1 + np.prod(shape)).reshape(shape)
        for shape in ([sizes[x] for x in word] for word in (left, right))
    ]
    return draw(st.sampled_from([subscripts, subscripts.replace(",", " , ")])), *operands


@settings(max_examples=300)
@given(contractions(), st.booleans())
def test_einsum_of_two_operands(drawn, optimize):
    subscripts, a, b = drawn
    expected = outcome(lambda: np.einsum(subscripts, a, b, optimize=optimize))
    found = outcome(lambda: np.einsum(subscripts, asfast(a), b, optimize=optimize))
    assert_same(found, expected)


def test_other_forms_of_einsum():
    a, b = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)
    x = asfast(a)
    for arguments in (
        ("ij->ji", x),
        ("i...,...j", x, b),
        ("ij,jk,kl", x, b, b.T),
        ("ij,jk", x[:, :1], b),
        ("ij,jk,", x, b),
    ):
        plain = [np.asarray(argument) if isinstance(argument, np.ndarray) else argument for argument in arguments]
        assert_same(outcome(np.einsum, *arguments), outcome(np.einsum, *plain))
    assert_same(np.einsum(x, [0, 1], b, [1, 2], [2, 0]), np.einsum(a, [0, 1], b, [1, 2], [2, 0]))
    out = np.empty((2, 4), dtype=int)
    assert np.einsum("ij,jk", x, b, out=out) is out and (out == a @ b).all()
    assert_same(np.einsum("ij,jk", x, b, dtype=float), np.einsum("ij,jk", a, b, dtype=float))


def test_which_functions_multiply_by_matmul(calls):
    a, b = np.arange(16.0).reshape(4, 4), np.ones((3, 4, 4))
    x = asfast(a, scheme="strassen")

    def made(function):
        calls.clear()
        function()
        assert all(options["scheme"] == "strassen" for options in calls)
        return len(calls)

    assert made(lambda: x @ a) == made(lambda: a @ x) == made(lambda: x @ x) == made(lambda: x.T @ a[0]) == 1
    assert made(lambda: np.matmul(b, x)) == made(lambda: x.dot(a)) == made(lambda: np.dot(b, x)) == 1
    assert made(lambda: np.inner(x, a)) == made(lambda: np.tensordot(x, b, (0, 1))) == 1
    assert made(lambda: np.einsum("ij,jk", x, a)) == made(lambda: np.einsum("bij,kj->bik", b, x)) == 1
    assert made(lambda: np.linalg.multi_dot([a, a, x])) == 2
    assert made(lambda: np.linalg.matrix_power(x, 8)) == 3
    assert made(lambda: x @ [[1.0], [2], [3], [4]]) == 1
    for nothing in (lambda: x * a, lambda: np.dot(x, 2), lambda: np.einsum("ij,ij", x, a), lambda: np.vdot(x, a)):
        assert made(nothing) == 0
    if hasattr(np.linalg, "matmul"):
        assert made(lambda: np.linalg.matmul(x, a)) == made(lambda: np.linalg.tensordot(x, a, axes=1)) == 1


def test_options_of_the_first_operand_count(calls):
    a = np.ones((4, 4))
    x, y = asfast(a, scheme="strassen", levels=1), asfast(a, scheme="winograd")
    found = x @ y
    assert calls == [{"out": None, "scheme": "strassen", "levels": 1}]
    assert found.options == x.options
    assert (y.T[1:] @ x).options == y.options
    assert np.add(y, x).options == y.options


def test_out(calls):
    a = np.arange(16.0).reshape(4, 4)
    x = asfast(a, scheme="strassen")
    for out in (np.empty((4, 4)), asfast(np.empty((4, 4))), np.empty((4, 4), np.complex64), np.empty((4, 8))[:, ::2]):
        assert np.matmul(x, a, out=out) is out
        np.testing.assert_array_equal(np.asarray(out), a @ a)
    assert len(calls) == 4
    for out in (np.empty((4, 4)), asfast(np.empty((4, 4)))):
        assert np.dot(x, a, out=out) is out and x.dot(a, out) is out
        np.testing.assert_array_equal(np.asarray(out), a @ a)
    assert len(calls) == 8
    assert np.linalg.multi_dot([x, a, a], out=out) is out
    for wrong in (np.empty((4, 4), int), np.empty((3, 4))):
        assert issubclass(outcome(lambda out: np.matmul(x, a, out=out), wrong), TypeError | ValueError)
        assert outcome(np.dot, x, a, wrong) is ValueError
    assert outcome(np.dot, x, a, np.empty((4, 8))[:, ::2]) is ValueError
    high = np.empty((2, 4, 4))
    assert np.matmul(x, a, out=high) is high and (high == a @ a).all()


def test_in_place():
    a, b = np.arange(16).reshape(4, 4), np.arange(16)[::-1].reshape(4, 4)
    x = asfast(a.copy(), scheme="strassen")
    same, memory = x, np.asarray(x)
    x @= b
    assert x is same and (memory == a @ b).all()
    x += 1
    x *= asfast(b)
    assert x is same and (memory == (a @ b + 1) * b).all()
    plain = a.copy()
    plain @= asfast(b)
    assert type(plain) is np.ndarray and (plain == a @ b).all()
    narrow = asfast(np.ones((4, 4), np.int8))
    for other in (np.ones((4, 4)), np.ones((4, 3), np.int8), np.ones(4, np.int8)):
        assert outcome(operator.imatmul, narrow, other) is outcome(operator.imatmul, np.asarray(narrow), other)


def test_matmul_with_its_own_keywords_is_numpy_s(calls):
    a = np.arange(24.0).reshape(2, 3, 4)
    axes = [(0, 1), (1, 0), (0, 1)]
    assert_same(np.matmul(asfast(a), a, axes=axes), np.matmul(a, a, axes=axes))
    assert_same(np.matmul(asfast(a[0]), a[0].T, dtype=np.float32), np.matmul(a[0], a[0].T, dtype=np.float32))
    assert type(np.matmul(asfast(a[0]), a[0].T, subok=False)) is np.ndarray
    assert calls == []


def test_objects_and_what_has_no_product(calls):
    a = np.array([[1, 10**30], [3, 4]], dtype=object)
    assert_same(asfast(a) @ a, a @ a)
    words = np.array([["a", "b"]])
    assert outcome(operator.matmul, asfast(words), words) is outcome(operator.matmul, words, words)
    assert outcome(operator.matmul, asfast(np.float64(3)), a) is ValueError
    assert calls == []


# Everything else

UNARY = [
    *(np.negative, np.abs, np.sqrt, np.exp, np.isfinite, np.modf, np.sign, np.conj, np.angle, np.real, np.around),
    *(np.sum, np.prod, np.mean, np.std, np.var, np.min, np.max, np.median, np.ptp, np.any, np.all, np.argmax),
    *(np.cumsum, np.diff, np.sort, np.argsort, np.unique, np.nonzero, np.flatnonzero, np.argwhere, np.count_nonzero),
    *(np.ravel, np.transpose, np.squeeze, np.atleast_3d, np.fliplr, np.rot90, np.copy, np.diag, np.trace, np.triu),
    *(np.zeros_like, np.ones_like, np.shape, np.ndim, np.size, np.cov, np.gradient, np.histogram, np.nan_to_num),
    *(
        np.linalg.norm,
        np.linalg.inv,
        np.linalg.det,
        np.linalg.matrix_rank,
        np.fft.fft,
        np.array2string,
        np.iscomplexobj,
    ),
    *(np.average, np.nansum, np.nanmean, np.percentile, np.broadcast_arrays, np.array_str, np.result_type, np.vander),
    lambda x: np.sum(x, axis=0),
    lambda x: np.mean(x, axis=1, keepdims=True),
    lambda x: np.concatenate([x, x]),
    lambda x: np.vstack((x, [x[0]])),
    lambda x: np.stack([x, np.asarray(x)], axis=-1),
    lambda x: np.block([[x, x], [x, x]]),
    lambda x: np.split(x, 2),
    lambda x: np.where(x > 0, x, -1),
    lambda x: np.clip(x, -1, 1),
    lambda x: np.take(x, [0, 1], axis=1),
    lambda x: np.pad(x, 1),
    lambda x: np.linalg.solve(x + 20 * np.eye(4), x),
    lambda x: tuple(np.linalg.qr(x)),
    lambda x: np.linalg.svd(x, full_matrices=False),
    lambda x: np.linalg.eigh(x + x.T),
    lambda x: np.linalg.lstsq(x, x[:, 0], rcond=None)[2],
    lambda x: np.add.reduce(x),
    lambda x: np.add.accumulate(x, axis=1),
    lambda x: np.add.outer(x[0], x[1]),
    lambda x: np.add.reduceat(x, [0, 2]),
    lambda x: np.multiply(x, x, where=x > 0, out=np.zeros_like(x)),
    lambda x: np.searchsorted(x[0], x[1]),
    lambda x: np.interp(x, [0, 1], [2, 3]),
    lambda x: np.apply_along_axis(sum, 0, x),
    lambda x: np.select([x > 0, x < 0], [x, -x]),
    lambda x: np.array_equal(x, x) and np.allclose(x, x) and np.shares_memory(x, x[1:]),
    lambda x: np.allclose(np.linalg.pinv(x), np.linalg.pinv(np.asarray(x))),
    lambda x: x[1],
    lambda x: x[1, 2],
    lambda x: x[x > 0],
    lambda x: x[[0, 2]][:, ::-2],
    lambda x: x.T.reshape(2, 8).swapaxes(0, 1).astype(np.float32),
    lambda x: (x.sum(), x.mean(), x.mean(0), x.std(1), x.max(), x.argmin(), x.any(), x.trace(), x.cumsum(), x.round(1)),
    lambda x: (x.tolist(), x.item(3), x.tobytes(), x.nbytes, x.strides, x.dtype, x.size),
    lambda x: (
        x[0].searchsorted([2, 3]),
        x[0].searchsorted(x[1], side="right"),
        x.compress([True, False], axis=0),
        x.nonzero(),
        x.argsort(1),
    ),
    lambda x: (x.astype(int) % 3).choose([x, -x, x * x]),
    lambda x: (x.sum(1), x.prod(0), x.min(0), x.argmax(1), x.all(0), x.cumprod(1), x.trace(1), x.var(0, keepdims=True)),
    lambda x: (x.argpartition(1), x.byteswap(), x.conj(), x.imag, x.flat[3], x.round(-1), x.swapaxes(0, 1), x.T),
    lambda x: (x.clip(0, 1), x.ravel(), x.flatten(), x.copy(), x.repeat(2), x.take([1]), x.diagonal(), x.squeeze()),
    lambda x: x + 1 - 2.5 * x / 3 + x**2 - x % 3 - (x // 2) + divmod(x, 2)[0],
    lambda x: (-x, +x, abs(x), x < 1, x == x, x != 0, 1 - x, 2 / (x + 100), np.float64(3) * x, x * np.int8(2)),
    lambda x: [row.sum() for row in x],
    lambda x: (len(x), 3.0 in x, bool(x.any()), float(x[0, 0]), f"{x[0, 0]:.3f}", str(x)),
]


@pytest.mark.parametrize("function", UNARY)
@given(arrays(np.float64, (4, 4), elements=st.integers(-9, 9).map(float)))
@settings(max_examples=8)
def test_everything_else_is_as_with_plain_arrays(function, a):
    assert_same(outcome(function, asfast(a, scheme="strassen")), outcome(function, a))


@given(matrices(3, 4), st.sampled_from(OPERATORS), st.data())
@settings(max_examples=200)
def test_operators(a, name, data):
    b = data.draw(st.one_of(matrices(3, 4), matrices(4, 3), st.integers(-3, 3), st.just([1, 2, 3, 4]), st.just(None)))
    operate = getattr(operator, name, divmod)
    expected = outcome(operate, a, b)
    assert_same(outcome(operate, asfast(a), b), expected)
    if isinstance(b, np.ndarray):
        assert_same(outcome(operate, a, asfast(b)), expected)
    reflected = outcome(operate, b, a)
    assert_same(outcome(operate, b, asfast(a)), reflected)


def test_functions_that_write():
    for write in (
        lambda x: np.copyto(x, 7),
        lambda x: np.fill_diagonal(x, 1),
        lambda x: np.put(x, [0, 1], 5),
        lambda x: np.add.at(x, [0, 0], 1),
        lambda x: x.sort(axis=0),
        lambda x: x.__setitem__((slice(None), 1), 3),
        lambda x: np.putmask(x, x > 3, 0),
    ):
        a = np.arange(16.0)[::-1].reshape(4, 4)
        x = asfast(a.copy())
        assert write(x) is None and write(a) is None
        np.testing.assert_array_equal(np.asarray(x), a)


# Other kinds of arrays


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", OPERATORS)
def test_masked_arrays_and_matrices_have_their_way(name):
    a = np.arange(16).reshape(4, 4)
    masked, matrix = np.ma.masked_greater(a, 9), np.matrix(a)
    operate = getattr(operator, name, divmod)
    for other in (masked, matrix):
        for apply in (lambda x, y: operate(x, y), lambda x, y: operate(y, x)):
            expected, found = outcome(apply, a, other), outcome(apply, asfast(a), other)
            assert type(found) is type(expected)
            if isinstance(expected, np.ndarray):
                assert (np.ma.getmaskarray(found) == np.ma.getmaskarray(expected)).all()
                np.testing.assert_array_equal(np.ma.filled(found, 0), np.ma.filled(expected, 0))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_functions_of_mixed_kinds():
    a = np.arange(16).reshape(4, 4)
    for other in (np.ma.masked_greater(a, 9), np.matrix(a)):
        for function in (np.matmul, np.dot, np.add, np.where, np.inner, np.tensordot, np.hypot):
            arguments = (other > 3, other) if function is np.where else (other,)
            for order in (lambda *x: x, lambda *x: x[::-1]):
                expected = outcome(function, *order(*arguments, a))
                assert type(outcome(function, *order(*arguments, asfast(a)))) in {type(expected), FastArray}


class Answers:
    """Answers for every operator by its higher priority, the way of old."""

    __array_priority__ = 1000.0

    def __rmatmul__(self, other):
        return "answered", type(other)

    __radd__ = __rmatmul__


class Overrides:
    """Answers for every function."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return ufunc.__name__

    def __array_function__(self, func, types, args, kwargs):
        return func.__name__


class Declines:
    __array_ufunc__ = None

    def __rmatmul__(self, other):
        return "declined"


def test_objects_that_answer_themselves():
    x = asfast(np.eye(2))
    assert x @ Answers() == ("answered", FastArray) == x + Answers()
    assert x @ Overrides() == "matmul" and np.add(x, Overrides()) == "add" and Overrides.__name__ == "Overrides"
    assert np.dot(x, Overrides()) == "dot" and np.concatenate([x, Overrides()]) == "concatenate"
    assert x @ Declines() == "declined"
    assert outcome(np.matmul, x, Declines()) is TypeError
    assert outcome(operator.matmul, x, object()) is outcome(operator.matmul, np.eye(2), object())


class Wraps:
    """Is converted, and wraps the result."""

    __array_priority__ = 1000.0

    def __array__(self, dtype=None, copy=None):
        return np.eye(2)

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return "wrapped", type(array)


def test_objects_that_wrap_results():
    for x in (np.eye(2), asfast(np.eye(2)), asfast(np.eye(2), scheme="strassen")):
        assert np.matmul(x, Wraps()) == ("wrapped", np.ndarray) == np.matmul(Wraps(), x)


def test_dask_arrays_stay_lazy():
    da = pytest.importorskip("dask.array")
    x, lazy = asfast(np.arange(4.0).reshape(2, 2)), da.ones((2, 2), chunks=1)
    for found in (x @ lazy, np.matmul(x, lazy), lazy @ x):
        assert isinstance(found, da.Array)
        assert np.asarray(found.compute(scheduler="synchronous")).shape == (2, 2)
    with pytest.raises(InvalidInput, match="dask"):
        asfast(lazy)


# The array itself


def test_no_copy_is_made():
    a = np.arange(24.0).reshape(4, 6)
    for source in (a, a.T, a[::2, ::-3], np.broadcast_to(a[0], (3, 6))):
        x = asfast(source)
        assert isinstance(x, np.ndarray) and x.strides == source.strides
        plain = np.asarray(x)
        assert type(plain) is np.ndarray and plain.strides == source.strides
        assert plain.__array_interface__ == source.__array_interface__
        assert x.flags.writeable == source.flags.writeable
    assert asfast(x) is x
    assert dict(asfast(x, levels=2).options) == {"levels": 2} and not x.options


@given(matrices(3, 5), st.integers(0, 5), st.sampled_from([{}, {"scheme": "strassen", "levels": 2}]))
def test_pickling_and_copying(a, protocol, options):
    x = asfast(a, **options)
    for again in (pickle.loads(pickle.dumps(x, protocol)), copy.copy(x), copy.deepcopy(x), x.copy()):  # noqa: S301
        assert_same(again, a)
        assert again.options == x.options
        assert not np.shares_memory(again, x) or not a.size
    assert pickle.loads(pickle.dumps(x, protocol)).strides == pickle.loads(pickle.dumps(a, protocol)).strides  # noqa: S301


def test_large_arrays_are_pickled_out_of_band():
    buffers = []
    x = asfast(np.arange(1000.0))
    text = pickle.dumps(x, 5, buffer_callback=buffers.append)
    assert len(buffers) == 1 and len(text) < 1000
    assert_same(pickle.loads(text, buffers=buffers), np.asarray(x))  # noqa: S301


def test_options_are_checked_and_kept(tmp_path):
    with pytest.raises(InvalidInput, match=r"option 'speed' is not known; use one of .*levels, .*scheme"):
        asfast([[1]], speed=11)
    for name in ("out", "mod"):
        with pytest.raises(InvalidInput, match=f"option '{name}'"):
            asfast([[1]], **{name: 7})
    known = {name for name, x in inspect.signature(matmul).parameters.items() if x.kind is x.KEYWORD_ONLY}
    assert {"scheme", "levels"} <= known
    x = asfast([[1, 2], [3, 4]], scheme="strassen")
    for derived in (x.T, x[0], x + 1, x.astype(float), np.vstack([x, x]), np.linalg.inv(x), x @ x, x.view()):
        assert derived.options == {"scheme": "strassen"}
    with pytest.raises(TypeError):
        x.options["scheme"] = "winograd"
    with pytest.raises(KeyError, match="no scheme 'coppersmith'"):
        asfast(np.eye(2), scheme="coppersmith") @ np.eye(2)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_what_is_more_than_its_entries_is_refused(tmp_path):
    for x in (np.ma.masked_array([1]), np.matrix([1]), np.rec.array([(1,)], dtype=[("a", int)]), Overrides()):
        with pytest.raises(InvalidInput, match=r"more than its entries; convert it with numpy\.asarray"):
            asfast(x)
    on_disk = np.memmap(tmp_path / "x", dtype=float, mode="w+", shape=(3, 3))
    on_disk[:] = np.eye(3)
    assert_same(asfast(on_disk) @ on_disk, np.eye(3))
    assert_same(asfast([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]]))


def test_what_is_asked_of_matmul_itself_holds_for_fast_arrays_too():
    rng = np.random.default_rng(0)
    a = rng.integers(-9, 9, (40, 30)).astype(float)
    b = asfast(rng.integers(-9, 9, (30, 20)).astype(float), threads=1)
    product = matmul(a, b, scheme="strassen", levels=2)
    assert type(product) is FastArray and product.options == {"threads": 1}
    assert (np.asarray(product) == a @ np.asarray(b)).all()
    out = asfast(np.empty((40, 20)))
    assert matmul(a, b, out=out, levels=1) is out and (np.asarray(out) == np.asarray(product)).all()
    whole = asfast(np.arange(6).reshape(2, 3))
    assert (np.asarray(matmul(whole, whole.T, mod=7)) == np.asarray(whole) @ np.asarray(whole).T % 7).all()
    with pytest.raises(InvalidInput, match="plain arrays"):
        matmul(np.ma.masked_array(a), b, levels=1)


def test_options_of_a_fast_array_hold_unless_others_are_asked_for(monkeypatch):
    seen = []
    monkeypatch.setattr(_matmul, "computed", lambda operands, wish: seen.append(wish))
    a = asfast(np.ones((40, 40)), threads=2, scheme="strassen")
    matmul(a, a, threads=1)
    matmul(a, a, accuracy=1e-3)
    matmul(a, a, scheme="winograd")
    assert [(wish.threads, wish.accuracy) for wish in seen] == [(1, None), (2, 1e-3), (2, None)]
    assert [wish.scheme == catalog[name] for wish, name in zip(seen, ("strassen", "strassen", "winograd"), strict=True)]
