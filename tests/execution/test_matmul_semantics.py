"""`grokkit.matmul` against `numpy.matmul`: as shipped, and where every product that has a fast way takes it."""

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import grokkit as gk
from grokkit.execution import _complex, _matmul, _routes

NUMBERS = "?bBhHiIlLqQefdgFDG"
PLANNED = "fdFD"


@pytest.fixture(scope="module", autouse=True, params=["shipped", "winograd", "3x2x1:6", "<2,2,2;7> twice"])
def ways(request):
    """Every test runs as shipped, and with float and complex products by a scheme, however small they are."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "shipped":
            eager(patch, *{"<2,2,2;7> twice": ("strassen", 2)}.get(request.param, (request.param, 1)))
        yield


def eager(patch, scheme, levels):
    planned = gk.plan

    def forced(*args, **options):
        wish = {"scheme": scheme, "levels": levels} if options.get("scheme", "auto") == "auto" else {}
        return planned(*args, **{**options, **wish})

    patch.setattr(_matmul, "SMALL", 0)
    patch.setattr(_matmul, "SMALL_COMPLEX", 0)
    patch.setattr(_complex, "SMALLEST", 0)
    patch.setattr(_complex, "CLEAR", -np.inf)
    for module in (_matmul, _routes):
        patch.setattr(module, "quick_vendor", lambda *sizes: False)
    for module in (_complex, _routes):
        patch.setattr(module, "plan", forced)
    patch.setattr(_complex.ThreeProducts, "speedup", 2.0)


# What is drawn: whole numbers, on which schemes over the integers are exact in every type


sides = st.integers(0, 7)
batches = st.lists(st.integers(0, 3), max_size=2).map(tuple)


@st.composite
def shapes(draw):
    """Shapes of two operands that fit; vectors and stacks that broadcast among them."""
    n, m, p = draw(sides), draw(sides), draw(sides)
    full = draw(batches)

    def batch():
        kept = full[draw(st.integers(0, len(full))) :]
        return tuple(1 if draw(st.booleans()) else size for size in kept)

    left, right = (*batch(), n, m), (*batch(), m, p)
    return (m,) if draw(st.integers(0, 4)) == 0 else left, (m,) if draw(st.integers(0, 4)) == 0 else right


def whole_numbers(rng, shape, dtype):
    if np.dtype(dtype).kind == "c":
        return (rng.integers(-4, 5, shape) + 1j * rng.integers(-4, 5, shape)).astype(dtype)
    return rng.integers(0 if np.dtype(dtype).kind in "ub" else -4, 5, shape).astype(dtype)


DRESSES = ["C", "F", "steps", "backwards", "field", "swapped", "repeated rows", "repeated columns", "readonly"]


def dressed(x, dress):
    """The same values (but for those that are repeated) in another place in memory."""
    if dress == "F":
        return x.T.copy().T
    if dress == "steps":
        room = np.zeros([2 * size + 1 for size in x.shape], x.dtype)[(..., *(slice(1, None, 2) for _ in x.shape))]
        room[...] = x
        return room
    if dress == "backwards":
        backwards = (..., *(slice(None, None, -1) for _ in x.shape))
        return x[backwards].copy()[backwards]
    if dress == "field":
        room = np.zeros(x.shape, [("pad", "i1"), ("x", x.dtype)])
        room["x"] = x
        return room["x"]
    if dress == "swapped":
        return x.astype(x.dtype.newbyteorder())
    if dress.startswith("repeated") and x.size and x.ndim:
        axis = -1 if dress == "repeated columns" or x.ndim == 1 else -2
        return np.broadcast_to(x.take([0], axis=axis), x.shape)
    if dress == "readonly":
        x = x.copy()
        x.flags.writeable = False
    return x


def outcome(call):
    """What a call gave or raised, in a form to compare."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = call()
        except Exception as error:
            return "raised", type(error), str(error)
    return "gave", type(found), found, sorted({str(warning.message) for warning in caught})


def assert_same(ours, numpys):
    assert ours[:2] == numpys[:2]
    if not isinstance(ours[2], np.ndarray | np.generic):
        assert ours[2] == numpys[2]
    else:
        assert getattr(ours[2], "dtype", None) == getattr(numpys[2], "dtype", None)
        assert np.shape(ours[2]) == np.shape(numpys[2])
        assert np.array_equal(ours[2], numpys[2])


@given(shapes(), st.sampled_from(NUMBERS + "O"), st.sampled_from(NUMBERS), st.data())
def test_any_shapes_and_types(shapes, left, right, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    a, b = whole_numbers(rng, shapes[0], left), whole_numbers(rng, shapes[1], right)
    assert_same(outcome(lambda: gk.matmul(a, b)), outcome(lambda: np.matmul(a, b)))


@given(shapes(), st.sampled_from("fdFDlB"), st.sampled_from(DRESSES), st.sampled_from(DRESSES), st.data())
def test_any_strides(shapes, dtype, left, right, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    a = dressed(whole_numbers(rng, shapes[0], dtype), left)
    b = dressed(whole_numbers(rng, shapes[1], dtype), right)
    before = a.copy(), b.copy()
    assert_same(outcome(lambda: gk.matmul(a, b)), outcome(lambda: np.matmul(a, b)))
    assert (a == before[0]).all() and (b == before[1]).all()


@given(
    shapes(),
    st.sampled_from("fdFDlB?"),
    st.sampled_from(NUMBERS + "O"),
    st.sampled_from(DRESSES),
    st.booleans(),
    st.data(),
)
def test_any_result_array(shapes, dtype, result, dress, tuple_of_one, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    a, b = whole_numbers(rng, shapes[0], dtype), whole_numbers(rng, shapes[1], dtype)
    outs = [dressed(np.zeros(np.matmul(a, b).shape, result), dress) for _ in range(2)]

    def into(product, out):
        found = product(a, b, out=(out,) if tuple_of_one else out)
        assert found is out
        return found

    assert_same(outcome(lambda: into(gk.matmul, outs[0])), outcome(lambda: into(np.matmul, outs[1])))


@given(st.sampled_from("fdFDl"), st.integers(1, 9), st.sampled_from([0, 1, 2, 5]), st.data())
def test_results_that_overlap_operands(dtype, size, shift, data):
    """All three in one stretch of memory, some on top of each other."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    memory = whole_numbers(rng, size * size + 4 * shift, dtype)
    places = data.draw(st.tuples(*[st.sampled_from([0, shift, 3 * shift])] * 3))
    turned = data.draw(st.tuples(*[st.booleans()] * 3))

    def run(product):
        own = memory.copy()
        a, b, out = (own[at : at + size * size].reshape(size, size) for at in places)
        a, b, out = (x.T if turn else x for x, turn in zip((a, b, out), turned, strict=True))
        assert product(a, b, out=out) is out
        return own

    assert (run(gk.matmul) == run(np.matmul)).all()


def test_the_result_array_may_be_mapped_from_a_file(tmp_path):
    a = np.memmap(tmp_path / "a", np.float64, "w+", shape=(6, 6))
    a[...] = np.arange(36).reshape(6, 6)
    expected = np.matmul(np.array(a), np.array(a))
    assert_same(outcome(lambda: gk.matmul(a, a)), outcome(lambda: np.matmul(a, a)))
    assert gk.matmul(a, a, out=a) is a
    assert type(a) is np.memmap and (a == expected).all()


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from("fdFD"), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_matrix_by_its_own_transpose_is_numpy_s(n, m, dtype, turned, seed):
    """NumPy computes one half of it: nothing is faster, and the result is exactly symmetric."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((n, m)).astype(dtype)
    a = a.T if turned else a
    assert (gk.matmul(a, a.T) == np.matmul(a, a.T)).all()
    assert (gk.matmul(a.T, a) == np.matmul(a.T, a)).all()


def test_operands_reach_numpy_as_they_are(monkeypatch):
    received = []
    numpy = np.matmul

    def spy(*args, **options):
        received.append(args)
        return numpy(*args, **options)

    for module in (_matmul, _routes):
        monkeypatch.setattr(module, "quick_vendor", lambda *sizes: False)
    monkeypatch.setattr(np, "matmul", spy)
    monkeypatch.setattr(_matmul, "_numpy", spy)
    a = np.ones((500, 400))
    transposed = a.T
    gk.matmul(a, transposed)
    assert len(received) == 1 and received[0][0] is a and received[0][1] is transposed


# Exceptions


def readonly(*shape):
    out = np.empty(shape)
    out.flags.writeable = False
    return out


class NoUfuncs:
    __array_ufunc__ = None


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array today")


ones = np.ones
MISTAKES = {
    "inner dimensions": lambda f: f(ones((2, 3)), ones((2, 3))),
    "inner dimensions of vectors": lambda f: f(ones(3), ones(4)),
    "a vector and a matrix": lambda f: f(ones(3), ones((4, 3))),
    "a matrix and a vector": lambda f: f(ones((3, 4)), ones(3)),
    "stacks": lambda f: f(ones((2, 2, 3)), ones((3, 3, 4))),
    "a scalar on the left": lambda f: f(2.0, ones((2, 2))),
    "a scalar on the right": lambda f: f(ones((2, 2)), 2),
    "an array of no dimensions": lambda f: f(ones(()), ones((2, 2))),
    "a NumPy scalar": lambda f: f(np.float32(2), ones((2, 2))),
    "None": lambda f: f(None, ones((2, 2))),
    "text": lambda f: f([["a"]], [["b"]]),
    "times": lambda f: f(np.zeros((2, 2), "m8[s]"), ones((2, 2))),
    "dates": lambda f: f(np.zeros((2, 2), "M8[s]"), np.zeros((2, 2), "M8[s]")),
    "records": lambda f: f(np.zeros((2, 2), "i4,f4"), np.zeros((2, 2), "i4,f4")),
    "objects": lambda f: f(np.array([[None]]), np.array([[3]])),
    "a ragged list": lambda f: f([[1, 2], [3]], [[1], [2]]),
    "an operand without ufuncs": lambda f: f(NoUfuncs(), ones((2, 2))),
    "an operand that fails": lambda f: f(ones((2, 2)), Broken()),
    "a result of another shape": lambda f: f(ones((2, 3)), ones((3, 4)), out=ones((2, 5))),
    "a result turned": lambda f: f(ones((2, 3)), ones((3, 4)), out=ones((4, 2))),
    "a result of too few dimensions": lambda f: f(ones((2, 3)), ones((3, 4)), out=ones(4)),
    "a result for another stack": lambda f: f(ones((5, 2, 3)), ones((3, 4)), out=ones((2, 2, 4))),
    "a result of integers": lambda f: f(ones((2, 3)), ones((3, 4)), out=ones((2, 4), int)),
    "a result that loses the imaginary part": lambda f: f(1j * ones((2, 3)), ones((3, 4)), out=ones((2, 4))),
    "a result that is not to be written": lambda f: f(ones((2, 3)), ones((3, 4)), out=readonly(2, 4)),
    "a result that is a list": lambda f: f(ones((2, 3)), ones((3, 4)), out=[[0.0] * 4] * 2),
    "a result that is a number": lambda f: f(ones((2, 3)), ones((3, 4)), out=3),
    "two results": lambda f: f(ones((2, 3)), ones((3, 4)), out=(ones((2, 4)), ones((2, 4)))),
    "no results": lambda f: f(ones((2, 3)), ones((3, 4)), out=()),
    "a result without ufuncs": lambda f: f(ones((2, 3)), ones((3, 4)), out=NoUfuncs()),
    "integers, inner dimensions": lambda f: f(ones((2, 3), int), ones((2, 3), int)),
    "complex, inner dimensions": lambda f: f(ones((2, 3), complex), ones((2, 3), complex)),
    "integers into unsigned": lambda f: f(ones((2, 2), int), ones((2, 2), int), out=ones((2, 2), np.uint8)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_raise_what_numpy_raises(name):
    expected = outcome(lambda: MISTAKES[name](np.matmul))
    assert expected[0] == "raised"
    assert outcome(lambda: MISTAKES[name](gk.matmul)) == expected


@pytest.mark.parametrize("name", [x for x in MISTAKES if "ufuncs" not in x and "NumPy scalar" not in x])
def test_mistakes_under_an_explicit_scheme_raise_what_numpy_raises(name):
    def strassen(a, b, **options):
        return gk.matmul(a, b, scheme="strassen", **options)

    expected = outcome(lambda: MISTAKES[name](np.matmul))
    found = outcome(lambda: MISTAKES[name](strassen))
    if name == "objects":  # the recursion subtracts before it multiplies
        assert found[:2] == expected[:2]
    else:
        assert found == expected


def test_results_of_more_dimensions_are_filled_as_by_numpy():
    outs = [np.zeros((5, 2, 4)) for _ in range(2)]
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    assert_same(outcome(lambda: gk.matmul(a, b, out=outs[0])), outcome(lambda: np.matmul(a, b, out=outs[1])))


# Objects that have a say


class Loud(np.ndarray):
    """A subclass that says what it was asked."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        return "asked", ufunc.__name__, len(inputs), len(out)


class Quiet(np.ndarray):
    pass


class Duck:
    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return "quack", ufunc.__name__, sorted(options)


class Lazy:
    """Something that NumPy makes an array of."""

    def __array__(self, dtype=None, copy=None):
        return np.arange(4.0).reshape(2, 2)


class Wrapped(Lazy):
    def __array_wrap__(self, array, context=None, return_scalar=False):
        return "wrapped", array.tolist()


class Urgent(Lazy):
    __array_priority__ = 1000.0


class Everywhere(Lazy):
    def __array_function__(self, function, types, args, options):
        return "function"


class Interface:
    def __init__(self):
        self.kept = np.arange(4.0).reshape(2, 2)
        self.__array_interface__ = self.kept.__array_interface__


square = np.arange(4.0).reshape(2, 2)
square.flags.writeable = False
OTHERS = {
    "subclass with an opinion": lambda: square.copy().view(Loud),
    "subclass": lambda: square.copy().view(Quiet),
    "matrix": lambda: square.copy().view(np.matrix),
    "masked": lambda: np.ma.array(square.copy(), mask=[[0, 1], [0, 0]]),
    "record array": lambda: square.copy().view(np.recarray),
    "duck": Duck,
    "made an array": Lazy,
    "wraps": Wrapped,
    "urgent": Urgent,
    "array function": Everywhere,
    "array interface": Interface,
    "list": lambda: [[0.0, 1.0], [2.0, 3.0]],
    "tuple of arrays": lambda: (square[0], square[1]),
    "list of integers": lambda: [[1, 2], [3, 4]],
    "buffer": lambda: memoryview(square.copy()),
    "range": lambda: range(2),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_objects_decide_as_they_do_for_numpy(name):
    made = OTHERS[name]
    for left, right in ((made, square.copy), (square.copy, made), (made, made)):
        ours, numpys = (outcome(lambda f=f, left=left, right=right: f(left(), right())) for f in (gk.matmul, np.matmul))
        assert_same(ours, numpys)
    if isinstance(made(), np.ndarray):
        ours, numpys = (outcome(lambda f=f: f(square, square, out=made())) for f in (gk.matmul, np.matmul))
        assert_same(ours, numpys)


@pytest.mark.parametrize("name", ["matrix", "masked", "subclass", "duck", "wraps"])
@pytest.mark.parametrize("demand", [{"scheme": "strassen"}, {"levels": 1}, {"mod": 7}, {"scaling": True}])
def test_demands_that_other_objects_might_not_meet_are_refused(name, demand):
    with pytest.raises(gk.InvalidInput, match=f"^({next(iter(demand))}|scheme) is for plain arrays, not .*asarray"):
        gk.matmul(OTHERS[name](), square, **demand)


def test_pandas_keeps_its_labels():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1.0, 2.0], [3.0, 4.0]], index=["x", "y"])
    found, expected = gk.matmul(frame, square), np.matmul(frame, square)
    assert type(found) is type(expected) and (np.asarray(found) == np.asarray(expected)).all()


# Infinities and NaN


def spoiled(rng, shape, dtype, count):
    """Normal numbers with some infinities and NaN among them."""
    x = rng.standard_normal(shape).astype(dtype)
    for _ in range(count if x.size else 0):
        place = tuple(rng.integers(0, size) for size in shape)
        x[place] = rng.choice([np.nan, np.inf, -np.inf, 0.0])
    return x


def assert_alike(found, expected, a, b):
    """Infinities and NaN in the same places, finite entries as close as a product is."""
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    infinite = np.isinf(expected)
    assert np.array_equal(infinite, np.isinf(found)) and np.array_equal(found[infinite], expected[infinite])
    finite = np.isfinite(expected)
    size = max(np.abs(x[np.isfinite(x)]).max(initial=0) for x in (a, b))
    tolerance = 500 * np.finfo(found.dtype).eps * max(1, a.shape[-1]) * size**2
    assert (np.abs(found[finite] - expected[finite]) <= tolerance).all()


@settings(max_examples=150)
@given(st.sampled_from("fd"), st.tuples(*[st.integers(1, 24)] * 3), st.tuples(*[st.integers(0, 3)] * 2), st.data())
@example("d", (24, 24, 24), (1, 0), None)
@example("d", (24, 24, 24), (1, 1), None)
def test_infinities_and_nan_are_where_numpy_has_them(dtype, sizes, counts, data):
    n, m, p = sizes
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)) if data else 0)
    a, b = spoiled(rng, (n, m), dtype, counts[0]), spoiled(rng, (m, p), dtype, counts[1])
    b = b.T.copy().T if rng.random() < 0.5 else b
    out = np.empty((p, n), dtype).T if rng.random() < 0.5 else None
    ours = outcome(lambda: gk.matmul(a, b, out=out))
    numpys = outcome(lambda: np.matmul(a, b))
    assert_alike(ours[2], numpys[2], a, b)
    assert_warned(ours[3], a, b, numpys[2])


def assert_warned(messages, a, b, product):
    """Of every NaN that is new; perhaps of others, as in NumPy, whose BLAS multiplies infinities by padding."""
    assert set(messages) <= {"invalid value encountered in matmul"}
    new = np.isnan(product) & ~np.isnan(a).any(axis=1)[:, None] & ~np.isnan(b).any(axis=0)
    assert messages or not new.any()
    assert not messages or np.isinf(a).any() or np.isinf(b).any()


@given(st.sampled_from("FD"), st.tuples(*[st.integers(1, 12)] * 3), st.integers(0, 2**32 - 1))
def test_complex_infinities_and_nan_are_where_numpy_has_them(dtype, sizes, seed):
    n, m, p = sizes
    rng = np.random.default_rng(seed)
    a = spoiled(rng, (n, m), dtype, 1) + 1j * spoiled(rng, (n, m), dtype, 0)
    b = spoiled(rng, (m, p), dtype, 0)
    ours, numpys = outcome(lambda: gk.matmul(a, b)), outcome(lambda: np.matmul(a, b))
    for part in (np.real, np.imag):
        found, expected = part(ours[2]), part(numpys[2])
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        assert np.array_equal(np.isinf(found), np.isinf(expected))


@pytest.mark.parametrize("dtype", "fdFD")
def test_sums_that_overflow_only_in_a_scheme(dtype):
    huge = np.finfo(dtype).max
    a, b = np.full((6, 6), 0.9 * huge, dtype), np.full((6, 6), 100 / huge, dtype)
    assert np.allclose(gk.matmul(a, b), np.matmul(a, b), rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", "fdFD")
def test_products_that_overflow(dtype):
    a = np.full((6, 6), np.sqrt(np.finfo(dtype).max), dtype)
    a[2:, 1:] = 1
    ours, numpys = outcome(lambda: gk.matmul(a, a)), outcome(lambda: np.matmul(a, a))
    assert np.isinf(numpys[2]).any() and np.array_equal(ours[2], numpys[2], equal_nan=True)
    assert ours[3] == numpys[3]


@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_one_nan_among_many_spoils_what_it_spoils_under_numpy(side):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((90, 80)), rng.standard_normal((80, 70))
    if side != "right":
        a[17, 3] = np.nan
    if side != "left":
        b[60, 33] = np.inf
    assert_alike(gk.matmul(a, b), np.matmul(a, b), a, b)


def test_floating_point_errors_are_raised_where_numpy_raises_them():
    a, b = np.ones((40, 40)), np.ones((40, 40))
    a[3, 4], b[4, 5] = np.inf, 0
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError, match="invalid value encountered in matmul"):
        gk.matmul(a, b)
