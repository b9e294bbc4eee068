from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.execution import recursive_product
from grokkit.scheme import InvalidInput, MatrixProduct, Ring, Scheme, sandwiched
from grokkit.scheme.catalog import catalog, standard
from strategies import exact_schemes, tiny_formats

STRASSEN = catalog["strassen"]
sides = st.integers(0, 9)
integer_types = st.sampled_from(
    [np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
)


def random_integers(rng, shape, dtype):
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


@settings(max_examples=100)
@given(exact_schemes(tiny_formats), sides, sides, sides, st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_any_shape_any_level_over_python_integers(scheme, n, m, p, levels, seed):
    """Exact at any size, with rational coefficients too."""
    rng = np.random.default_rng(seed)
    a = rng.integers(-(10**12), 10**12, (n, m)).astype(object)
    b = rng.integers(-(10**12), 10**12, (m, p)).astype(object)
    found = recursive_product(scheme, a, b, levels)
    assert found.shape == (n, p)
    assert (found == np.matmul(a, b)).all()


@settings(max_examples=100)
@given(
    st.sampled_from(["strassen", "winograd"]),
    integer_types,
    sides,
    sides,
    sides,
    st.integers(0, 3),
    st.integers(0, 2**32 - 1),
)
def test_machine_integers_are_bit_identical_to_numpy(name, dtype, n, m, p, levels, seed):
    rng = np.random.default_rng(seed)
    a, b = random_integers(rng, (n, m), dtype), random_integers(rng, (m, p), dtype)
    found = recursive_product(catalog[name], a, b, levels)
    expected = np.matmul(a, b)
    assert found.dtype == expected.dtype
    assert (found == expected).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, np.complex128, np.longdouble])
@given(n=sides, m=sides, p=sides, levels=st.one_of(st.none(), st.integers(0, 3)), seed=st.integers(0, 2**32 - 1))
def test_floating_point(dtype, n, m, p, levels, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, m)), rng.standard_normal((m, p))
    if np.dtype(dtype).kind == "c":
        a, b = a + 1j * rng.standard_normal((n, m)), b + 1j * rng.standard_normal((m, p))
    a, b = a.astype(dtype), b.astype(dtype)
    found = recursive_product(STRASSEN, a, b, levels)
    assert found.dtype == np.dtype(dtype)
    wide = np.clongdouble if np.dtype(dtype).kind == "c" else np.longdouble
    exact = a.astype(wide) @ b.astype(wide)
    tolerance = 2000 * np.finfo(dtype).eps * max(1, m)
    assert np.abs(found - exact).max(initial=0) <= tolerance * (1 + np.abs(a).max(initial=0) * np.abs(b).max(initial=0))


batch_shapes = st.sampled_from(
    [
        ((3, 4), (4, 5)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((4,), (4,)),
        ((2, 3, 4), (4, 5)),
        ((3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (7, 4, 5)),
        ((6, 0, 3, 4), (4, 5)),
        ((1, 9), (9, 1)),
        ((9, 1), (1, 9)),
        ((2, 3, 4), (4,)),
        ((4,), (2, 4, 3)),
        ((1, 13), (13, 17)),
    ]
)


@given(batch_shapes, st.integers(0, 2))
def test_batches_and_vectors_follow_numpy(shapes, levels):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 9, shape) for shape in shapes)
    found = recursive_product(catalog["winograd"], a, b, levels)
    assert found.shape == np.matmul(a, b).shape
    assert (found == np.matmul(a, b)).all()


def test_strides_do_not_matter():
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (14, 10)), rng.integers(-9, 9, (12, 14))
    for x, y in ((a.T[::2], b.T[:, ::3]), (a.T[:, ::-1], b.T), (np.asfortranarray(a.T), b.T[::-1])):
        assert (recursive_product(STRASSEN, x, y, 2) == x @ y).all()


def test_inputs_are_left_alone():
    a, b = np.arange(16.0).reshape(4, 4), np.ones((4, 4))
    before = a.copy(), b.copy()
    recursive_product(STRASSEN, a, b, 2)
    assert (a == before[0]).all()
    assert (b == before[1]).all()
    a.setflags(write=False)
    recursive_product(STRASSEN, a, b, 0)


def test_stacked_and_single_recursion_agree(monkeypatch):
    from grokkit.execution import _recursion as internals

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((37, 41)), rng.standard_normal((41, 29))
    stacked = recursive_product(STRASSEN, a, b, 3)
    monkeypatch.setattr(internals, "STACK_LIMIT", 0)
    single = recursive_product(STRASSEN, a, b, 3)
    assert np.allclose(stacked, single, rtol=1e-13, atol=1e-13)


def test_full_depth_goes_down_to_single_entries():
    calls = []
    from grokkit.execution import _recursion as internals

    assert internals.full_depth((2, 2, 2), (64, 64, 64)) == 6
    assert internals.full_depth((2, 2, 2), (65, 1, 1)) == 7
    assert internals.full_depth((1, 3, 1), (50, 9, 50)) == 2
    assert internals.full_depth((1, 1, 1), (50, 9, 50)) == 0
    assert calls == []


def test_rational_coefficients():
    moved = sandwiched(STRASSEN, [[2, 1], [1, 1]], [[1, Fraction(1, 3)], [0, 1]], [[1, 0], [5, 7]])
    a, b = np.arange(25).reshape(5, 5), np.arange(25, 50).reshape(5, 5)
    assert (recursive_product(moved, a.astype(object), b.astype(object), 2) == a @ b).all()
    assert np.allclose(recursive_product(moved, a.astype(float), b.astype(float), 2), a @ b, rtol=1e-12)
    with pytest.raises(InvalidInput, match="denominators"):
        recursive_product(moved, a, b, 1)


def test_coefficients_wrap_like_the_integers():
    target = standard(1, 1, 1).target
    scheme = Scheme(target, [[300]], [[-7]], [[1]])
    for dtype in (np.int8, np.uint8, np.int64, np.uint64):
        found = recursive_product(scheme, np.array([[5]], dtype), np.array([[3]], dtype), 1)
        assert found[0, 0] == np.array(300 * -7 * 15 % 2**64, dtype=np.uint64).astype(dtype)


def test_it_computes_what_the_scheme_says_even_if_that_is_wrong():
    wrong = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, -STRASSEN.W)
    a, b = np.arange(16).reshape(4, 4), np.eye(4, dtype=int)
    assert (recursive_product(wrong, a, b, 1) == -a).all()
    assert (recursive_product(wrong, a, b, 2) == a).all()


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(4, 2\) do not fit: 3 != 4"):
        recursive_product(STRASSEN, np.ones((2, 3)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="scalars"):
        recursive_product(STRASSEN, np.float64(1), np.ones((2, 2)))
    with pytest.raises(ValueError, match="broadcast"):
        recursive_product(STRASSEN, np.ones((2, 3, 3)), np.ones((3, 3, 3)))


def test_levels_that_make_no_sense():
    with pytest.raises(InvalidInput, match="levels"):
        recursive_product(STRASSEN, np.ones((2, 2)), np.ones((2, 2)), -1)


def test_schemes_modulo_p_are_refused():
    modular = Scheme(STRASSEN.target, abs(STRASSEN.U), abs(STRASSEN.V), abs(STRASSEN.W), ring=Ring.parse("GF(2)"))
    with pytest.raises(InvalidInput, match="holds only over"):
        recursive_product(modular, np.ones((2, 2)), np.ones((2, 2)))


RATIONAL = sandwiched(STRASSEN, [[2, 0], [0, 1]], [[3, 0], [0, 1]], [[5, 0], [0, 1]])


@given(st.lists(st.fractions(max_denominator=50), min_size=8, max_size=8), st.integers(0, 2))
def test_fractions_are_exact(values, levels):
    a, b = np.array(values, dtype=object).reshape(2, 2, 2)
    assert (recursive_product(RATIONAL, a, b, levels) == a.dot(b)).all()


def test_objects_that_are_not_whole_are_divided_not_floored():
    a = np.array([[0.5, 1.25], [2.0, -3.5]], dtype=object)
    found = recursive_product(RATIONAL, a, a, 1)
    assert np.allclose(found.astype(float), a.dot(a).astype(float))
    half = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, STRASSEN.W, (2, 1, 1))
    ones = np.array([[1, 0], [0, 1]], dtype=object)
    assert recursive_product(half, ones, ones, 1).tolist() == [[Fraction(1, 2), 0], [0, Fraction(1, 2)]]


@given(st.fractions(-10, 10, max_denominator=10**6))
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_coefficients_are_rounded_once(dtype, value):
    target = MatrixProduct(1, 1, 1)
    scheme = Scheme.from_rationals(target, [[value]], [[1]], [[1]])
    one = np.ones((1, 1), dtype=dtype)
    found = recursive_product(scheme, one, one, 1)[0, 0]
    low, high = np.nextafter(found, dtype(-np.inf)), np.nextafter(found, dtype(np.inf))

    def distance(x):  # exact: a longdouble is the sum of two float64
        high = float(x)
        return abs(Fraction(high) + Fraction(float(x - dtype(high))) - value)

    if dtype is np.longdouble:
        assert distance(found) <= abs(value) * Fraction(1, 2**63)
    else:
        assert distance(found) <= min(distance(low), distance(high))


def test_coefficients_beyond_the_range_are_refused():
    huge = Scheme(MatrixProduct(1, 1, 1), [[10**400], [1]], [[1], [1]], [[0, 1]])
    with pytest.raises(InvalidInput, match="beyond the range of float64"):
        recursive_product(huge, np.ones((1, 1)), np.ones((1, 1)), 1)


def test_no_products_at_all():
    empty = np.empty((0, 4), dtype=np.int64)
    nothing = Scheme(STRASSEN.target, empty, empty, empty.T)
    assert (recursive_product(nothing, np.ones((3, 2, 5)), np.ones((5, 4)), 2) == np.zeros((3, 2, 4))).all()


def test_padding_cannot_exhaust_the_memory():
    with pytest.raises(InvalidInput, match="levels is 18: 2x2 by 2x2 would grow to 262144x262144 by 262144x262144"):
        recursive_product(STRASSEN, np.ones((2, 2)), np.ones((2, 2)), 18)
    with pytest.raises(InvalidInput, match="levels is 5000; a whole number from 0 to 64"):
        recursive_product(standard(1, 1, 1), np.ones((2, 2)), np.ones((2, 2)), 5000)


def test_two_vectors_give_a_scalar():
    found = recursive_product(STRASSEN, np.arange(4), np.arange(4), 2)
    assert found == 14 and type(found) is type(np.arange(4) @ np.arange(4))
