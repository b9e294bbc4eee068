import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

import grokkit as gk
from grokkit.execution import _complex, _matmul, _nonfinite, _routes, _scaling, _vendor
from grokkit.execution._complex import ThreeProducts, three_products
from grokkit.execution._nonfinite import mend, nonfinite_rows, strips
from grokkit.execution._operands import is_gram
from grokkit.execution._routes import Wish, wished
from grokkit.execution._scaling import scaled
from grokkit.scheme import InvalidInput, MatrixProduct, Refuted, Ring, Scheme, error_bound, sandwiched
from grokkit.scheme.catalog import catalog
from strategies import exact_schemes

STRASSEN = catalog["strassen"]
sides = st.integers(1, 30)
seeds = st.integers(0, 2**32 - 1)
HALVES = sandwiched(STRASSEN, [[2, 0], [0, 1]], [[1, 0], [0, 1]], [[3, 0], [0, 1]])
"""Strassen's scheme with denominators."""


def test_auto_leaves_small_products_to_numpy():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((33, 20)), rng.standard_normal((20, 17))
    assert (gk.matmul(a, b) == a @ b).all()
    assert gk.matmul([[1, 2]], [[3], [4]]).tolist() == [[11]]


# Schemes, levels, accuracy


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.float64, np.complex128, np.longdouble, object])
@pytest.mark.parametrize("scheme", ["strassen", "2x2x2:7", "winograd", "3x2x1:6"])
def test_named_schemes(scheme, dtype):
    a, b = np.arange(35).reshape(5, 7).astype(dtype), np.arange(21).reshape(7, 3).astype(dtype)
    for levels in (None, "auto", 0, 1, 3):
        found = gk.matmul(a, b, scheme=scheme, levels=levels)
        assert found.dtype == a.dtype and (found == a @ b).all()


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64, np.complex64])
def test_levels_without_a_scheme(dtype):
    a, b = np.arange(35).reshape(5, 7).astype(dtype), np.arange(21).reshape(7, 3).astype(dtype)
    for levels in (0, 1, 2):
        assert (gk.matmul(a, b, levels=levels) == a @ b).all()


@settings(max_examples=100)
@given(exact_schemes(), st.integers(0, 2), st.sampled_from([np.float32, np.float64]), sides, sides, sides, seeds)
def test_any_scheme_in_floating_point(scheme, levels, dtype, n, m, p, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, m)).astype(dtype), rng.standard_normal((m, p)).astype(dtype)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    out = np.empty((n, p), dtype)
    assert gk.matmul(a, b, scheme=scheme, levels=levels, out=out) is out
    bound = error_bound(scheme, levels, m, dtype).factor
    assert np.abs(out - exact).max() <= bound * np.abs(a).max() * np.abs(b).max()


@given(st.sampled_from([(2, 3, 5, 4), (7, 4), (4,), (3, 1, 6, 4)]), st.sampled_from([(4, 6), (4,), (3, 4, 2)]), seeds)
def test_a_scheme_for_stacks_and_vectors(left, right, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-9, 9, left).astype(float), rng.integers(-9, 9, right).astype(float)
    expected = np.matmul(a, b)
    found = gk.matmul(a, b, scheme="strassen", levels=2)
    assert type(found) is type(expected) and found.shape == expected.shape and (found == expected).all()


def test_only_proven_schemes_are_used():
    wrong = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, -STRASSEN.W)
    for dtype in (float, int, object):
        with pytest.raises(Refuted):
            gk.matmul(np.eye(2, dtype=dtype), np.eye(2, dtype=dtype), scheme=wrong)


def test_schemes_that_the_numbers_do_not_admit():
    modular = Scheme(STRASSEN.target, abs(STRASSEN.U), abs(STRASSEN.V), abs(STRASSEN.W), ring=Ring.parse("GF(2)"))
    for dtype in (float, int):
        with pytest.raises(InvalidInput, match=r"finite field|GF"):
            gk.matmul(np.eye(2, dtype=dtype), np.eye(2, dtype=dtype), scheme=modular)
    with pytest.raises(InvalidInput, match=r"has denominators .*, which int64 arithmetic cannot divide by"):
        gk.matmul(np.eye(2, dtype=int), np.eye(2, dtype=int), scheme=HALVES)
    assert np.allclose(gk.matmul(np.eye(3), np.eye(3), scheme=HALVES), np.eye(3))


def test_bad_arguments():
    eye = np.eye(2)
    with pytest.raises(KeyError, match="no scheme 'coppersmith'"):
        gk.matmul(eye, eye, scheme="coppersmith")
    with pytest.raises(InvalidInput, match="levels is -1; a whole number from 0 to 64 is needed"):
        gk.matmul(eye, eye, scheme="strassen", levels=-1)
    with pytest.raises(InvalidInput, match="levels is 'many'"):
        gk.matmul(eye, eye, levels="many")
    with pytest.raises(InvalidInput, match="threads is 0"):
        gk.matmul(eye, eye, threads=0)
    with pytest.raises(InvalidInput, match="accuracy is -1"):
        gk.matmul(eye, eye, accuracy=-1)
    with pytest.raises(InvalidInput, match="accuracy is nan"):
        gk.matmul(eye, eye, accuracy=float("nan"))
    with pytest.raises(ValueError, match="mismatch"):
        gk.matmul(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(InvalidInput, match="levels is 18: 2x2 by 2x2 would grow"):
        gk.matmul(eye, eye, scheme="strassen", levels=18)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheme": 3}, "scheme is 3; 'auto', a name in the catalog or a Scheme is needed"),
        ({"levels": 1.5}, "levels is 1.5"),
        ({"levels": True}, "levels is True"),
        ({"threads": 1.5}, "threads is 1.5"),
        ({"accuracy": "high"}, "accuracy is 'high'"),
        ({"scaling": 1}, "scaling is 1; True or False is needed"),
    ],
)
def test_arguments_of_the_wrong_type(arguments, message):
    usual = {"scheme": "auto", "levels": "auto", "threads": None, "accuracy": None, "mod": None, "scaling": False}
    with pytest.raises(InvalidInput, match=message):
        wished(**{**usual, **arguments})


def test_what_auto_chooses_follows_the_plan(monkeypatch):
    """Sizes, layouts and wishes reach the plan; what it chooses is used."""
    asked, executed = [], []
    planned = gk.plan

    class Chosen:
        vendor = False

        def execute(self, a, b, out):
            executed.append(out.shape)
            np.matmul(a, b, out=out)
            return True

    def spy(shape_a, shape_b, dtype, **options):
        asked.append((shape_a, shape_b, str(dtype), options))
        planned(shape_a, shape_b, dtype, **options)
        return Chosen()

    for module in (_matmul, _routes):
        monkeypatch.setattr(module, "quick_vendor", lambda *sizes: False)
    monkeypatch.setattr(_matmul, "SMALL", 0)
    monkeypatch.setattr(_routes, "plan", spy)
    a, b = np.ones((60, 50), np.float32), np.ones((40, 50), np.float32).T
    assert (gk.matmul(a[:, ::1], b, threads=1, accuracy=1e-3) == 50).all()
    wishes = {"threads": 1, "accuracy": 1e-3, "scheme": "auto", "levels": None}
    assert asked == [((60, 50), (50, 40), "float32", {"layout": ("row", "column", "row"), **wishes})]
    out = np.empty((40, 60), np.float32).T
    gk.matmul(a[::-1], a[:50, ::-2].repeat(2, axis=1)[:, :40], out=out)
    assert asked[-1][3]["layout"] == ("row", "row", "column") and executed == [(60, 40)] * 2
    assert (gk.matmul(np.ones((3, 4, 50)), np.ones((50, 6))) == 50).all()
    assert asked[-1][:2] == ((12, 50), (50, 6)) and executed[-1] == (12, 6)
    assert (gk.matmul(np.ones((2, 3, 4, 50)), np.ones((3, 50, 6))) == 50).all()
    assert asked[-1][:2] == ((4, 50), (50, 6)) and executed[-6:] == [(4, 6)] * 6


def test_no_memory_for_the_workspace_is_no_obstacle(monkeypatch):
    def full(*args, **options):
        raise MemoryError("no memory for the workspace")

    from grokkit.execution import _kernel

    monkeypatch.setattr(_kernel, "multiply", full)
    a = np.arange(36.0).reshape(6, 6)
    assert (gk.matmul(a, a, scheme="strassen") == a @ a).all()


# Threads


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_numpy_s_products_keep_to_the_threads():
    a = np.ones((70, 70))
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        with _vendor.at_most(1):
            inside = blas_threads()
        assert (gk.matmul(a, a, threads=1) == 70).all()
        assert blas_threads() == before
    assert all(after == min(count, 1) for count, after in zip(before, inside, strict=True))


# Infinities and NaN


class Everything:
    """A spread that is never asked for more than it is told."""

    def __init__(self, rows, columns):
        self.rows, self.columns = np.array(rows, np.intp), np.array(columns, np.intp)

    def affected_rows(self, rows):
        return self.rows

    def affected_columns(self, columns):
        return self.columns


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5), st.sampled_from(["row", "column", "steps"]), seeds)
def test_rows_that_are_not_finite_are_found(n, m, count, memory, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, m))
    x = {"row": x, "column": x.T.copy().T, "steps": np.repeat(x, 2, axis=1)[:, ::2]}[memory]
    for _ in range(count):
        x[rng.integers(n), rng.integers(m)] = rng.choice([np.nan, np.inf, -np.inf])
    expected = np.flatnonzero(~np.isfinite(x).all(axis=1))
    with pytest.MonkeyPatch.context() as patch:
        for strip in (1, 3, 2**16):
            patch.setattr(_nonfinite, "STRIP", strip)
            assert (nonfinite_rows(x) == expected).all()


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 50), st.booleans())
def test_strips_cover_a_matrix_once(rows, columns, strip, turned):
    x = np.zeros((columns, rows)).T if turned else np.zeros((rows, columns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_nonfinite, "STRIP", strip)
        for index in strips(x):
            assert x[index].size <= max(strip, 1)
            x[index] += 1
    assert (x == 1).all()


def test_only_what_is_spoiled_is_computed_again(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((40, 30)), rng.standard_normal((30, 50))
    a[3, 4] = np.nan
    out = a @ b
    expected = out.copy()
    out[[3, 23]], out[:, 7] = np.nan, np.inf
    out[0, 0] = 5  # wrong, but finite: nobody looks
    monkeypatch.setattr(_nonfinite, "REDONE", 50)
    mend(Everything([3, 23], [7]), a, b, out)
    assert out[0, 0] == 5
    out[0, 0] = expected[0, 0]
    assert np.allclose(out, expected, equal_nan=True)


@pytest.mark.parametrize(
    ("rows", "columns", "elsewhere"), [([3], [], np.inf), ([], [], 5.0), (range(10), range(10), 5.0)]
)
def test_everything_is_computed_again_where_that_is_safer_or_no_dearer(rows, columns, elsewhere):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((40, 30)), rng.standard_normal((30, 50))
    a[3, 4] = np.nan
    out = np.full((40, 50), elsewhere)
    mend(Everything(rows, columns), a, b, out)
    assert np.array_equal(out, a @ b, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, np.complex64, np.complex128])
def test_the_recursion_gives_numpy_s_infinities_too(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 9, 9)).astype(dtype)
    a[2, 3] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, expected = gk.matmul(a, b, scheme="strassen", levels=2), np.matmul(a, b)
    assert np.array_equal(found, expected, equal_nan=True) and np.isfinite(expected).any()


# Complex numbers


@settings(max_examples=100)
@given(
    st.sampled_from([np.complex64, np.complex128]), sides, sides, sides, st.sampled_from(["auto", "strassen"]), seeds
)
def test_three_real_products_keep_higham_s_bound(dtype, n, m, p, scheme, seed):
    rng = np.random.default_rng(seed)
    a, b = ((rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype) for shape in ((n, m), (m, p)))
    a, b = a[::-1], b.T.copy().T
    kind = np.empty(0, dtype).real.dtype
    way = ThreeProducts(gk.plan((n, m), (m, p), kind, scheme=scheme))
    out = np.empty((p, n), dtype).T
    assert way.execute(a, b, out)
    error = np.abs(out - a.astype(np.clongdouble) @ b.astype(np.clongdouble))
    largest = [(np.abs(x.real) + np.abs(x.imag)).max() for x in (a, b)]
    bound = error_bound(STRASSEN, 1, m, kind).factor
    assert error.max() <= (3 * bound + 20 * m * np.finfo(kind).eps) * np.prod(largest)


def test_three_real_products_lose_small_imaginary_parts():
    """The reservation of the docstring is real, and it is no larger than it says."""
    rng = np.random.default_rng(0)
    small = 1e-12
    a, b = (rng.standard_normal((60, 60)) + 1j * small * rng.standard_normal((60, 60)) for _ in range(2))
    out = np.empty((60, 60), complex)
    assert ThreeProducts(gk.plan((60, 60), (60, 60))).execute(a, b, out)
    exact = a.astype(np.clongdouble) @ b.astype(np.clongdouble)
    ours, numpys = (np.abs(x.imag - exact.imag).max() / np.abs(exact.imag).max() for x in (out, a @ b))
    assert numpys < 1e-14 < 1e-6 < ours < 1e-2


def test_three_products_are_used_where_a_gain_is_predicted_and_the_accuracy_is_kept():
    square = np.dtype(np.complex128)
    assert three_products((100, 100, 100), square, 1, None) is None
    way = three_products((2000, 2000, 2000), square, 1, None)
    assert way is not None and 1.2 < way.speedup < 2
    finer = three_products((2000, 2000, 2000), square, 1, way.error_estimate / 2)
    assert finer is None or finer.error_estimate <= way.error_estimate / 2
    assert three_products((2000, 2000, 2000), square, 1, 1e-17) is None
    assert three_products((2000, 2000, 2000), square, 1, way.error_estimate * 2) is not None
    assert three_products((20000, 2000, 8), square, 1, None) is None


def test_complex_products_take_that_way(monkeypatch):
    executed = []
    execute = ThreeProducts.execute

    def spy(self, a, b, out):
        executed.append(self.real.shape)
        return execute(self, a, b, out)

    monkeypatch.setattr(ThreeProducts, "execute", spy)
    monkeypatch.setattr(_complex, "CLEAR", 1.0)
    rng = np.random.default_rng(0)
    a = rng.standard_normal((400, 390)) + 1j * rng.standard_normal((400, 390))
    b = rng.standard_normal((390, 410)) + 1j * rng.standard_normal((390, 410))
    found = gk.matmul(a, b)
    assert executed == [(400, 390, 410)]
    assert np.abs(found - a @ b).max() < 1e-11
    gk.matmul(a, a.T)
    assert len(executed) == 1


# Scaling


def badly_scaled(rng, n, m, p, dtype, spread):
    """Matrices whose rows, columns and inner dimension range over 2^±spread, and |A| |B|."""
    a, b = rng.standard_normal((n, m)), rng.standard_normal((m, p))
    rows, inner, columns = (2.0 ** rng.integers(-spread, spread + 1, size) for size in (n, m, p))
    a, b = (a * rows[:, None] * inner).astype(dtype), (b / inner[:, None] * columns).astype(dtype)
    return a, b, np.abs(a).astype(np.longdouble) @ np.abs(b).astype(np.longdouble)


@pytest.mark.parametrize(("dtype", "spread"), [(np.float32, 12), (np.float64, 40), (np.longdouble, 40)])
def test_scaling_saves_the_digits_of_badly_scaled_matrices(dtype, spread):
    rng = np.random.default_rng(0)
    a, b, size = badly_scaled(rng, 60, 70, 50, dtype, spread)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)

    def error(**options):
        found = gk.matmul(a, b, scheme="strassen", levels=2, **options)
        return float((np.abs(found - exact) / size).max() / np.finfo(dtype).eps)

    assert error() > 1e5
    assert error(scaling=True) < 100


@given(st.sampled_from([np.float32, np.float64]), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), seeds)
def test_scaling_is_undone_exactly(dtype, n, m, p, seed):
    rng = np.random.default_rng(seed)
    # no zeros: what faces nothing but zeros is scaled out of sight, and leaves a trace below the last digit
    a, b = rng.integers(1, 10, (n, m)).astype(dtype), rng.integers(-9, 0, (m, p)).astype(dtype)
    before = a.copy(), b.copy()
    expected = np.matmul(a, b)
    assert (gk.matmul(a, b, scheme="strassen", levels=2, scaling=True) == expected).all()
    assert (gk.matmul(a, b, scaling=True) == expected).all()
    assert (a == before[0]).all() and (b == before[1]).all()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000), seeds)
@example(3, 3, 3, 1000, 0)
def test_scaled_matrices_are_of_magnitude_one(n, m, p, spread, seed):
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore", under="ignore"):
        a, b, _ = badly_scaled(rng, n, m, p, np.float64, min(spread, 120))
    factors = scaled(a, b)
    for x, exponents in ((factors.a, factors.rows), (factors.b.T, factors.columns)):
        assert x.shape[0] == len(exponents)
        assert (np.abs(x).max(axis=1) <= 4).all()
    restored = factors.a @ factors.b
    factors.restore(restored)
    assert np.allclose(restored, a @ b, rtol=1e-6, atol=1e-12 * np.abs(a @ b).max())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_scaling_takes_any_range(dtype):
    """Largest and smallest numbers, zeros, infinities and NaN: as by NumPy, but for rounding."""
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        numbers = [0, info.max / 8, -info.max / 8, info.tiny, info.smallest_subnormal, 1, -1]
        for extra in ([], [np.inf], [np.nan], [-np.inf, np.nan]):
            for seed in range(20):
                rng = np.random.default_rng(seed)
                a, b = (rng.choice(numbers, (6, 6)).astype(dtype) for _ in range(2))
                a[seed % 6, : len(extra)] = extra
                b[:, 1] *= seed % 2
                found, expected = gk.matmul(a, b, scheme="strassen", scaling=True), np.matmul(a, b)
                assert np.array_equal(np.isnan(found), np.isnan(expected))
                assert np.array_equal(np.isinf(found), np.isinf(expected))


def test_scaling_in_stacks_and_where_a_row_holds_infinity():
    rng = np.random.default_rng(0)
    stacks = [badly_scaled(rng, 20, 30, 10, np.float64, 30)[:2] for _ in range(3)]
    a, b = (np.stack([pair[i] for pair in stacks]) for i in range(2))
    a[1, 2, 3] = np.inf
    found = gk.matmul(a, b, scheme="strassen", scaling=True)
    finite = np.isfinite(a @ b)
    assert np.array_equal(np.isfinite(found), finite) and not finite[1, 2].any()
    size = np.abs(np.nan_to_num(a, posinf=0)) @ np.abs(b)
    assert (np.abs(found[finite] - (a @ b)[finite]) <= 1e-12 * size[finite]).all()


def test_scaling_is_for_floating_point():
    for dtype in (int, complex, object):
        with pytest.raises(InvalidInput, match=r"scaling is for real floating-point matrices, not (int|compl|obj)"):
            gk.matmul(np.eye(2, dtype=dtype), np.eye(2, dtype=dtype), scaling=True)


def test_exponents():
    x = np.array([[0.0, 0.0], [1.0, -3.0], [0.5, 0.25], [np.inf, 1.0], [np.nan, 1.0], [5e-324, 0.0]])
    assert _scaling._exponents(x).tolist() == [_scaling.ZERO, 2, 0, 0, 0, -1073]


# Integers


integer_types = st.sampled_from("bBhHiIlLqQ")


@settings(max_examples=30)
@given(integer_types, integer_types, st.booleans(), st.sampled_from([None, 1, 2]), seeds)
def test_integers_are_bit_identical_to_numpy(left, right, large, threads, seed):
    rng = np.random.default_rng(seed)
    n, m, p = (90, 110, 70) if large else (5, 8, 6)

    def numbers(shape, dtype):
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype=np.dtype(dtype), endpoint=True)

    a, b = numbers((n, m), left), numbers((p, m), right).T
    expected = np.matmul(a, b)
    out = np.zeros((n, 2 * p), expected.dtype)[:, ::2]
    assert gk.matmul(a, b, out=out, threads=threads) is out
    if expected.dtype.kind == "f":  # NumPy has no integer type for these two; strides may change its roundings
        assert np.allclose(out, expected, rtol=1e-12, atol=1e-12 * float(np.abs(expected).max()))
        return
    assert (out == expected).all()
    wide = np.empty((n, p), np.float64)
    assert gk.matmul(a, b, out=wide, threads=threads) is wide
    assert (wide == expected).all()
    assert (gk.matmul(a[0], b, threads=threads) == np.matmul(a[0], b)).all()


def test_integers_over_themselves():
    a = np.random.default_rng(0).integers(-(2**60), 2**60, (80, 80))
    expected = a @ a
    assert gk.matmul(a, a, out=a) is a
    assert (a == expected).all()


@given(integer_types, st.integers(2, 2**7 - 1), st.sampled_from([{}, {"scheme": "strassen"}, {"levels": 2}]), seeds)
def test_products_modulo_a_number(dtype, modulus, options, seed):
    rng = np.random.default_rng(seed)
    info = np.iinfo(dtype)
    shapes = [((3, 5, 7), (7, 4)), ((5, 7), (7,)), ((7,), (7, 4)), ((7,), (7,))]
    for left, right in shapes:
        a = rng.integers(info.min, info.max, left, dtype=np.dtype(dtype), endpoint=True)
        b = rng.integers(info.min, info.max, right, dtype=np.dtype(dtype), endpoint=True)
        expected = np.matmul(a.astype(object), b.astype(object)) % modulus
        found = gk.matmul(a, b, mod=modulus, **options)
        assert np.shape(found) == np.shape(expected) and (found == expected).all() and found.dtype == a.dtype
        out = np.zeros(np.shape(expected))
        assert gk.matmul(a, b, mod=modulus, out=out, **options) is out
        assert (out == expected).all()


def test_a_scheme_over_a_finite_field_serves_that_modulus_only():
    modular = Scheme(STRASSEN.target, abs(STRASSEN.U), abs(STRASSEN.V), abs(STRASSEN.W), ring=Ring.parse("GF(2)"))
    a = np.arange(12).reshape(3, 4)
    assert (gk.matmul(a, a.T, mod=2, scheme=modular) == (a @ a.T) % 2).all()
    with pytest.raises(InvalidInput, match="holds over GF"):
        gk.matmul(a, a.T, mod=3, scheme=modular)


def test_products_modulo_a_number_that_make_no_sense():
    a = np.arange(4).reshape(2, 2)
    with pytest.raises(InvalidInput, match="modulus"):
        gk.matmul(a, a, mod=0)
    with pytest.raises(TypeError, match="float64"):
        gk.matmul(a, a * 0.5, mod=7)
    with pytest.raises(InvalidInput, match=r"out is int64 of shape \(3, 3\), which cannot take the product"):
        gk.matmul(a, a, mod=7, out=np.zeros((3, 3), int))
    with pytest.raises(ValueError, match="mismatch in its core dimension"):
        gk.matmul(a, np.ones((3, 2), int), mod=7)


# Dask


def test_dask_arrays_stay_lazy():
    da = pytest.importorskip("dask.array")
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (40, 30)).astype(float), rng.integers(-9, 9, (30, 20)).astype(float)
    lazy = da.from_array(a, chunks=(10, 15))
    for options in ({}, {"scheme": "strassen"}, {"scheme": "winograd", "levels": 1}, {"threads": 1, "accuracy": 1e-3}):
        for left, right in ((lazy, b), (lazy, da.from_array(b, chunks=10))):
            found = gk.matmul(left, right, **options)
            assert isinstance(found, da.Array)
            assert (found.compute(scheduler="sync") == a @ b).all()
    whole = gk.matmul(lazy.astype(int), b.astype(int))
    assert (whole.compute(scheduler="sync") == (a @ b).astype(int)).all()
    for options in ({"out": np.empty((40, 20))}, {"mod": 7}, {"scaling": True}):
        with pytest.raises(InvalidInput, match=f"{next(iter(options))} is not for dask arrays"):
            gk.matmul(lazy, b, **options)


# Whose transpose


def test_products_with_their_own_transpose_are_recognized():
    a = np.arange(60.0).reshape(5, 12)
    wide = np.arange(120.0).reshape(5, 24)
    for x, y, gram in [
        (a, a.T, True),
        (a.T, a, True),
        (a[1:], a[1:].T, True),
        (a, a[::-1].T, False),
        (a, a.copy().T, False),
        (a[:, :5], a[:, :5], False),
        (wide[:, ::2], wide[:, ::2].T, False),
        (a, a.T[:, :4], False),
        (a.reshape(5, 3, 4), a.reshape(5, 3, 4).swapaxes(1, 2), True),
    ]:
        assert is_gram(x, y) == gram


def test_wishes():
    assert not Wish().explicit and Wish(levels=0).explicit and Wish(scheme=STRASSEN).explicit
    assert Wish().reference == (catalog["winograd"], 1)
    assert Wish(scheme=STRASSEN, levels=0).reference == (STRASSEN, 0)
    target = MatrixProduct(1, 1, 1)
    assert wished(Scheme(target, [[1]], [[1]], [[1]]), None, None, None, None, np.True_).scaling is True
