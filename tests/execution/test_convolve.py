"""`convolve` against numpy.convolve and against the schoolbook over Python's integers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilinear import CYCLIC_3, GAUSS, KARATSUBA, TOEPLITZ_2, TOOM_3
from grokkit.execution import _convolve as room
from grokkit.execution import convolve
from grokkit.scheme import (
    InvalidInput,
    PolynomialProduct,
    Refuted,
    Ring,
    Scheme,
    compose,
    expand,
    growth_factor,
    standard,
    standard_scheme,
    verify,
)
from grokkit.scheme.catalog import Catalog, catalog

SCHEMES = {
    "karatsuba": KARATSUBA,
    "toom-3": TOOM_3,
    "schoolbook": standard_scheme(PolynomialProduct(3)),
    "karatsuba twice": expand(KARATSUBA, 2),
    "toom-3 of karatsuba": compose(TOOM_3, KARATSUBA),
}
names = st.sampled_from(sorted(SCHEMES))
lengths = st.one_of(st.integers(1, 12), st.integers(1, 400))
depths = st.one_of(st.just("auto"), st.integers(0, 3), st.just(room.MAX_LEVELS))
seeds = st.integers(0, 2**32 - 1)
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]


@pytest.fixture(autouse=True)
def low_crossovers(monkeypatch):
    """So that "auto" takes steps on the short sequences here, and stacks overflow."""
    monkeypatch.setattr(room, "CROSSOVER", dict.fromkeys("Oiufc", 5))
    monkeypatch.setattr(room, "STACK_LIMIT", 3000)


def schoolbook(a, b):
    out = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return out


def integers(rng, size, dtype):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, size, dtype=dtype, endpoint=True)


@settings(max_examples=60)
@given(names, st.integers(1, 40), st.integers(1, 40), depths, st.data())
def test_python_integers_of_any_size(name, n, m, levels, data):
    numbers = st.integers(-(10**30), 10**30) | st.integers(-3, 3)
    a = data.draw(st.lists(numbers, min_size=n, max_size=n))
    b = data.draw(st.lists(numbers, min_size=m, max_size=m))
    found = convolve(np.array(a, dtype=object), np.array(b, dtype=object), scheme=SCHEMES[name], levels=levels)
    assert found.dtype == object
    assert found.tolist() == schoolbook(a, b)
    assert all(type(x) is int for x in found)


@settings(max_examples=40)
@given(names, lengths, lengths, depths, seeds)
def test_long_sequences_of_python_integers(name, n, m, levels, seed):
    rng = np.random.default_rng(seed)
    a, b = (integers(rng, size, np.int64).astype(object) ** 3 for size in (n, m))
    found = convolve(a, b, scheme=SCHEMES[name], levels=levels)
    assert (found == np.convolve(a, b)).all()


@settings(max_examples=20)
@given(names, st.integers(1, 20), st.integers(1, 20), seeds)
def test_fractions_are_exact(name, n, m, seed):
    rng = np.random.default_rng(seed)
    a, b = ([Fraction(int(x), int(y)) for x, y in rng.integers(1, 50, (size, 2))] for size in (n, m))
    found = convolve(np.array(a), np.array(b), scheme=SCHEMES[name], levels=2)
    assert found.tolist() == schoolbook(a, b)


@settings(max_examples=150)
@given(names, st.sampled_from(INTEGERS), st.sampled_from(INTEGERS), lengths, lengths, depths, seeds)
def test_machine_integers_are_bit_identical_to_numpy(name, first, second, n, m, levels, seed):
    """Where values wrap around too, and where the scheme has denominators."""
    rng = np.random.default_rng(seed)
    a, b = integers(rng, n, first), integers(rng, m, second)
    expected = np.convolve(a, b)
    if expected.dtype.kind == "f":  # uint64 with a signed type
        b = integers(rng, m, first)
        expected = np.convolve(a, b)
    found = convolve(a, b, scheme=SCHEMES[name], levels=levels)
    assert found.dtype == expected.dtype
    assert (found == expected).all()


@settings(max_examples=40)
@given(names, lengths, lengths, depths, seeds)
def test_booleans(name, n, m, levels, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n) < 0.1, rng.random(m) < 0.1
    expected = np.convolve(a, b)
    found = convolve(a, b, scheme=SCHEMES[name], levels=levels)
    assert found.dtype == expected.dtype == bool
    assert (found == expected).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128])
@given(name=names, n=lengths, m=lengths, levels=depths, seed=seeds)
@settings(max_examples=25)
def test_floating_point(dtype, name, n, m, levels, seed):
    """Errors stay below a bound after that of `error_bound`; small whole numbers are exact over Z."""
    rng = np.random.default_rng(seed)
    scheme = SCHEMES[name]
    a, b = rng.standard_normal(n).astype(dtype), rng.standard_normal(m).astype(dtype)
    if np.dtype(dtype).kind == "c":
        a, b = a + 1j * rng.standard_normal(n).astype(dtype), b - 1j * rng.standard_normal(m).astype(dtype)
    found = convolve(a, b, scheme=scheme, levels=min(levels, 2) if levels != "auto" else levels)
    expected = np.convolve(a.astype(np.clongdouble), b.astype(np.clongdouble))
    assert found.dtype == np.convolve(a, b).dtype
    size, used, most = int(1.5 * min(n, m)) + 1, 0, 2 if levels != "auto" else room.MAX_LEVELS
    while size > (5 if levels == "auto" else 1) and used < most:
        size, used = -(-size // scheme.target.n), used + 1
    roundings = 64 * (used + 1) + min(n, m)
    scale = float(abs(a).max()) * float(abs(b).max()) * min(n, m)
    bound = float(np.finfo(dtype).eps) * roundings * float(growth_factor(scheme)) ** used * scale
    assert float(abs(found - expected).max()) <= bound
    if np.finfo(dtype).bits >= 64 and scheme.denominators == (1, 1, 1):
        a, b = np.rint(a.real * 9).astype(dtype), np.rint(b.real * 9).astype(dtype)
        assert (convolve(a, b, scheme=scheme, levels=2) == np.convolve(a, b)).all()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_infinities_and_overflow_come_out_as_in_numpy(bad):
    a, b = np.arange(40.0), np.ones(30)
    a[7] = bad
    assert np.array_equal(convolve(a, b, scheme=TOOM_3), np.convolve(a, b), equal_nan=True)
    a = np.full(40, 3e38, dtype=np.float32)  # sums of two overflow
    b = np.array([1, 0] * 20, dtype=np.float32) / 64
    assert np.array_equal(convolve(a, b, scheme=KARATSUBA), np.convolve(a, b))


def test_what_numpy_takes():
    for a, b in (([1, 2, 3], (0, 1)), (3, [1, 2]), (2.5, 4), ([1, 2], [0.5]), (range(9), np.arange(8, dtype=np.int8))):
        found, expected = convolve(a, b, scheme=KARATSUBA, levels=3), np.convolve(a, b)
        assert found.dtype == expected.dtype
        assert found.tolist() == expected.tolist()
    a, b = np.arange(20)[::-2], np.arange(30)[::3]
    before = a.copy(), b.copy()
    assert (convolve(a, b, scheme=TOOM_3, levels=2) == np.convolve(a, b)).all()
    assert (a == before[0]).all()
    assert (b == before[1]).all()


def test_steps_are_taken():
    """Three products a level, counted on objects."""

    class Counted:
        products = 0

        def __init__(self, value):
            self.value = value

        def __mul__(self, other):
            if isinstance(other, int):
                return Counted(self.value * other)
            Counted.products += 1
            return Counted(self.value * other.value)

        def __add__(self, other):
            return Counted(self.value + (other.value if isinstance(other, Counted) else other))

        __radd__ = __add__

        def __sub__(self, other):
            return Counted(self.value - other.value)

    for levels in range(5):
        Counted.products = 0
        a, b = (np.array([Counted(x) for x in range(1, 17)], dtype=object) for _ in "ab")
        found = convolve(a, b, scheme=KARATSUBA, levels=levels)
        assert [x.value for x in found] == schoolbook(range(1, 17), range(1, 17))
        assert Counted.products == 3**levels * (16 // 2**levels) ** 2


def test_the_cost_is_linear_in_the_longer_sequence(monkeypatch):
    """The pieces are no longer than one and a half times the shorter sequence."""
    sizes = []
    original = room._Recursion.equal

    def watched(self, a, b, levels):
        sizes.append(a.shape[-1])
        return original(self, a, b, levels)

    monkeypatch.setattr(room._Recursion, "equal", watched)
    for n, m in ((400, 20), (300, 200), (299, 200), (50, 399), (100, 100)):
        sizes.clear()
        a, b = np.arange(n), np.arange(m)
        assert (convolve(a, b, scheme=KARATSUBA) == np.convolve(a, b)).all()
        assert min(n, m) <= max(sizes) <= 1.5 * min(n, m) + 1


def test_auto_takes_no_steps_that_do_not_pay(monkeypatch):
    monkeypatch.setattr(room, "_Recursion", None)
    a = np.arange(100)
    assert (convolve(a, a, scheme=SCHEMES["schoolbook"]) == np.convolve(a, a)).all()
    assert (convolve(a, a[:5], scheme=KARATSUBA) == np.convolve(a, a[:5])).all()
    assert (convolve(a, a, scheme=TOOM_3) == np.convolve(a, a)).all()
    for taken in ({"scheme": KARATSUBA}, {"scheme": TOOM_3, "levels": 1}):
        with pytest.raises(TypeError):
            convolve(a, a, **taken)


def test_wrong_schemes_are_refuted():
    w = KARATSUBA.W.copy()
    w[1, 0] = 1
    with pytest.raises(Refuted, match="<poly:2;3> is not exact"):
        convolve([1], [1], scheme=Scheme(KARATSUBA.target, KARATSUBA.U, KARATSUBA.V, w))


def test_the_catalog_serves_by_default_what_it_has(monkeypatch):
    found = catalog.best("poly:2", ring="Z")
    if found.rank < 4:
        assert verify(found)
        assert convolve([1, 2], [3, 4]).tolist() == [3, 10, 8]
    else:
        with pytest.raises(InvalidInput, match="the catalog has no scheme for poly:2; give one as scheme="):
            convolve([1, 2], [3, 4])
    monkeypatch.setattr(Catalog, "best", lambda self, target, ring: KARATSUBA)
    assert convolve(np.arange(50), np.arange(50)).tolist() == schoolbook(range(50), range(50))


BINARY = Scheme(KARATSUBA.target, abs(KARATSUBA.U), abs(KARATSUBA.V), abs(KARATSUBA.W), ring=Ring.parse("GF(2)"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheme": GAUSS}, "<complex;3> does not convolve; a scheme for polynomials"),
        ({"scheme": CYCLIC_3}, "<cyclic:3;4> does not convolve"),
        ({"scheme": TOEPLITZ_2}, "<toeplitz:2;3> does not convolve"),
        ({"scheme": standard(1, 1, 1)}, "<1,1,1;1> does not convolve"),
        ({"scheme": standard_scheme(PolynomialProduct(2, 3))}, "<poly:2x3;6> does not convolve"),
        ({"scheme": standard_scheme(PolynomialProduct(1))}, "<poly:1;1> splits nothing"),
        ({"scheme": BINARY}, r"<poly:2;3> holds only over GF\(2\)"),
        ({"a": []}, "a is empty"),
        ({"b": [[1, 2]]}, r"b has shape \(1, 2\); a sequence, with one axis, is needed"),
        ({"a": ["x"]}, "numbers are needed"),
        ({"levels": -1}, "levels is -1; auto or a whole number from 0 to 64"),
        ({"levels": 65}, "levels is 65"),
        ({"levels": True}, "levels is True"),
        ({"levels": "all"}, "levels is 'all'"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        convolve(**{"a": [1, 2], "b": [1], "scheme": KARATSUBA} | arguments)
    assert "\n" not in str(caught.value)
