import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.execution import _modular
from grokkit.execution._integers import Split, Term, Workspace
from grokkit.execution._modular import modular_product
from grokkit.scheme import InvalidInput, MatrixProduct, Ring, Scheme, Target, sandwiched
from grokkit.scheme.catalog import catalog, standard
from strategies import exact_schemes, tiny_formats

STRASSEN = catalog["strassen"]
sides = st.integers(0, 9)
seeds = st.integers(0, 2**32 - 1)
types = st.sampled_from([np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)] + [np.dtype(object)])
moduli = st.one_of(
    st.integers(2, 2**63),
    st.integers(2, 2**16),
    st.integers(1, 63).map(lambda bits: 2**bits),
    st.sampled_from(
        [2**13 - 1, 65521, 2**31 - 1, 2**32 - 5, 2**52 + 21, 2**53 - 111, 2**61 - 1, 2**63 - 25, 2**63 - 1]
    ),
)


def integers(rng, shape, dtype, extreme=False):
    """Any values of the type, or only the most troublesome ones; objects are beyond 64 bits."""
    if dtype.kind == "O":
        return (integers(rng, shape, np.dtype(np.int64), extreme).astype(object) * 2**70) // 3
    info = np.iinfo(dtype)
    if not extreme:
        return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    values = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, info.max // 2 + 1, max(-1, info.min)]
    return rng.choice(np.array(values, dtype=dtype), shape)


def exact(a, b, modulus):
    product = np.matmul(a.astype(object), b.astype(object))
    return np.zeros(product.shape, object) if a.shape[-1] == 0 else product % modulus


def agrees(found, a, b, modulus):
    expected = exact(a, b, modulus)
    assert found.dtype == np.result_type(a, b)
    assert found.shape == expected.shape
    assert (found == expected).all()
    return True


@settings(max_examples=200)
@given(moduli, types, types, sides, st.integers(0, 40), sides, st.booleans(), seeds)
def test_any_modulus_over_any_types(modulus, left, right, n, k, p, extreme, seed):
    rng = np.random.default_rng(seed)
    a, b = integers(rng, (n, k), left, extreme), integers(rng, (k, p), right, extreme)
    dtype = np.result_type(a, b)
    if dtype.kind == "f":
        with pytest.raises(TypeError, match="no integer type in common"):
            modular_product(a, b, modulus)
    elif dtype.kind != "O" and modulus - 1 > np.iinfo(dtype).max:
        with pytest.raises(InvalidInput, match=f"{dtype} holds no more than"):
            modular_product(a, b, modulus)
    else:
        assert agrees(modular_product(a, b, modulus), a, b, modulus)


@pytest.mark.usefixtures("tiny_tiles")
@given(moduli, st.sampled_from([None, 2]), st.booleans(), seeds)
def test_tiles_strips_and_threads_change_nothing(modulus, threads, extreme, seed):
    rng = np.random.default_rng(seed)
    a, b = (integers(rng, shape, np.dtype(np.int64), extreme) for shape in ((3, 6, 9), (9, 7)))
    assert agrees(modular_product(a.astype(object), b, modulus, threads=threads), a.astype(object), b, modulus)


@given(moduli, st.floats(1, 2.0**48), seeds)
def test_any_growth(modulus, growth, seed):
    """Growth narrows the limbs to a few bits: many products, and reductions between them."""
    rng = np.random.default_rng(seed)
    a, b = (integers(rng, shape, np.dtype(np.uint64), True) for shape in ((4, 30), (30, 5)))
    assert agrees(modular_product(a, b, modulus, product=np.matmul, growth=growth), a, b, modulus)


@pytest.mark.parametrize("modulus", [2**26 - 5, 2**31 - 1, 2**44 + 7, 2**61 - 1, 2**62, 2**63 - 25, 2**63 - 1, 2**63])
@pytest.mark.parametrize("k", [1, 255, 256, 257, 2048, 2049])
def test_largest_residues(modulus, k):
    """All entries half the modulus, the largest that a balanced residue gets."""
    for x in (modulus // 2, modulus - modulus // 2, modulus - 1):
        for y in (modulus // 2, modulus // 2 + 1):
            a, b = np.full((2, k), x, np.uint64), np.full((k, 2), y, np.uint64)
            found = modular_product(a, b, modulus)
            assert found.dtype == np.uint64
            assert (found == x * y * k % modulus).all()


@settings(max_examples=100)
@given(moduli, st.lists(st.tuples(st.integers(-(2**20), 2**20), st.integers(-(2**62), 2**62)), min_size=1, max_size=40))
def test_reduction_is_congruent_and_small(modulus, terms):
    """V = Σ coefficient · x modulo p in one step or a few, for sums beyond 64 bits."""
    half = modulus // 2
    terms = [(coefficient, x % modulus - half) for coefficient, x in terms]
    size = sum(abs(coefficient) for coefficient, _ in terms) * half
    ring = _modular._Modulus(modulus, None, None, 1.0)
    arrays = [(coefficient, np.array([x], dtype=np.int64)) for coefficient, x in terms]
    found = int(ring.reduced(arrays, size, Workspace())[0])
    assert abs(found) < modulus
    assert (found - sum(coefficient * x for coefficient, x in terms)) % modulus == 0


@given(moduli, st.integers(-(2**63), 2**63 - 1))
def test_residues_of_full_words(modulus, value):
    ring = _modular._Modulus(modulus, None, None, 1.0)
    found = int(ring.residues(np.array([[value]]))[0, 0])
    assert abs(found) <= modulus // 2
    assert (found - value) % modulus == 0


@pytest.mark.parametrize("modulus", [3, 4, 5, 7, 97, 1021, 4093, 65521, 2**31 - 1, 2**61 - 1, 2**62, 2**63 - 1, 2**63])
def test_residues_of_the_hardest_words(modulus):
    """Close to the ends of the type, where the estimate of the quotient is worst, and halfway between multiples."""
    half = modulus // 2
    values = {sign * (2**63 - 1 - i) for i in range(500) for sign in (1, -1)} | {-(2**63)}
    for multiple in (0, 1, -1, 2**62 // modulus):
        values |= {multiple * modulus + half + i for i in range(-2, 3)}
    values = sorted(value for value in values if -(2**63) <= value < 2**63)
    ring = _modular._Modulus(modulus, None, None, 1.0)
    for value, found in zip(values, ring.residues(np.array([values]))[0].tolist(), strict=True):
        assert abs(found) <= half
        assert (found - value) % modulus == 0


def test_sums_are_reduced_before_they_overflow(monkeypatch):
    """4096 products of 2^52 add up to 2^64."""
    plan = Split((Term(((0, 27),), ((0, 27),), ((0, 1),)),), (27, 27), 1, np.dtype(np.float64), 0.0)
    monkeypatch.setattr(_modular, "split", lambda *args, **options: plan)
    a = np.full((1, 4096), 2**26)
    for modulus in (2**27 + 1, 2**40 + 1, 2**63 - 1):
        assert agrees(modular_product(a, a.T, modulus), a, a.T, modulus)


@settings(max_examples=40)
@given(exact_schemes(tiny_formats), moduli, sides, sides, sides, st.integers(0, 2), seeds)
def test_schemes_over_the_integers_and_the_rationals(scheme, modulus, n, k, p, levels, seed):
    """Denominators are divided by where they have inverses, and refused where not."""
    rng = np.random.default_rng(seed)
    a, b = (integers(rng, shape, np.dtype(object)) for shape in ((n, k), (k, p)))
    if math.gcd(math.lcm(*scheme.denominators), modulus) != 1:
        with pytest.raises(InvalidInput, match="no inverses modulo"):
            modular_product(a, b, modulus, scheme=scheme, levels=levels)
    else:
        assert agrees(modular_product(a, b, modulus, scheme=scheme, levels=levels), a, b, modulus)


@pytest.mark.parametrize("modulus", [2, 3, 2**31 - 1])
@settings(max_examples=10)
@given(st.integers(0, 2), seeds)
def test_schemes_over_a_field(modulus, levels, seed):
    """Moved by a matrix that is invertible over GF(p) alone, where p is not 2 or 3: coefficients fill 0..p-1."""
    rng = np.random.default_rng(seed)
    scheme = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, STRASSEN.W, ring=Ring.parse(f"GF({modulus})"))
    factor = int(rng.integers(1, modulus))
    scaled = Scheme(
        scheme.target,
        scheme.U.astype(object) * factor,
        scheme.V,
        scheme.W.astype(object) * pow(factor, -1, modulus),
        ring=scheme.ring,
    )
    a, b = rng.integers(-(2**63), 2**63 - 1, (5, 7)), rng.integers(-(2**63), 2**63 - 1, (7, 6))
    assert agrees(modular_product(a, b, modulus, scheme=scaled, levels=levels), a, b, modulus)


@pytest.mark.parametrize("modulus", [2**61 - 1, 2**63 - 25, 2**63, 10**18])
def test_huge_coefficients(modulus):
    huge = 3**70
    target = standard(1, 1, 1).target
    scheme = Scheme(target, [[huge], [-huge]], [[1], [1]], [[huge, 5]])
    a, b = np.array([[2**61 - 7]]), np.array([[-(2**60) + 1]])
    expected = (huge * huge - 5 * huge) * int(a[0, 0]) * int(b[0, 0]) % modulus
    assert modular_product(a.astype(object), b, modulus, scheme=scheme)[0, 0] == expected


def test_a_scheme_computes_what_it_says_even_if_that_is_wrong():
    wrong = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, -STRASSEN.W)
    a, b = np.arange(16).reshape(4, 4), np.eye(4, dtype=int)
    assert (modular_product(a, b, 97, scheme=wrong) == -a % 97).all()
    empty = np.empty((0, 4), dtype=np.int64)
    nothing = Scheme(STRASSEN.target, empty, empty, empty.T)
    assert (modular_product(a, b, 97, scheme=nothing, levels=2) == 0).all()


@settings(max_examples=10)
@given(seeds)
def test_batches_and_strides(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-99, 99, (2, 1, 6, 4)), rng.integers(-99, 99, (3, 4, 5))
    for x, y in ((a, b), (a[..., ::-1, :], b[:, :, ::2]), (b.swapaxes(-1, -2)[:, ::-1], a.swapaxes(-1, -2))):
        assert agrees(modular_product(x, y, 101), x, y, 101)
        assert agrees(modular_product(x, y, 101, scheme=STRASSEN), x, y, 101)


def test_operands_are_left_alone():
    a, b = np.full((4, 4), -(2**63)), np.full((4, 4), 2**63 - 1)
    a.setflags(write=False)
    for scheme in (None, STRASSEN):
        modular_product(a, b, 2**61 - 1, scheme=scheme)
        assert (a == -(2**63)).all()
        assert (b == 2**63 - 1).all()
    small = np.array([[1, -1], [0, 1]])
    modular_product(small, small, 5, scheme=standard(1, 1, 1))
    assert small.tolist() == [[1, -1], [0, 1]]


class Other(Target):
    """A target that is no matrix product."""

    name = "<other>"
    nonzeros = 1
    shape = (1, 1, 1)
    entries = (np.zeros((1, 3), np.int64), np.ones(1, np.int64))

    def variable(self, side, index, latex=False):
        return "x"

    def to_json(self):
        return {"other": 1}


def test_refusals():
    whole = np.ones((2, 2), np.int64)
    for modulus in (1, 0, -7, 2**63 + 1, True):
        with pytest.raises(InvalidInput, match="a whole number from 2 to 2\\^63"):
            modular_product(whole, whole, modulus)
    with pytest.raises(InvalidInput, match="modulus is 129; int8 holds no more than 127"):
        modular_product(whole.astype(np.int8), whole.astype(np.int8), 129)
    for wrong in (np.ones((2, 2)), np.ones((2, 2), bool)):
        with pytest.raises(TypeError, match="integers are needed"):
            modular_product(wrong, whole, 5)
    for wrong in (0.5, True, None):
        with pytest.raises(TypeError, match=f"holds a {type(wrong).__name__}"):
            modular_product(np.array([[wrong]], dtype=object), whole[:1], 5)
    with pytest.raises(ValueError, match="do not fit"):
        modular_product(whole, whole[:1], 5)
    with pytest.raises(InvalidInput, match="threads is"):
        modular_product(whole, whole, 5, threads=0)


def test_schemes_that_do_not_fit_are_refused():
    whole = np.ones((2, 2), np.int64)
    binary = Scheme(STRASSEN.target, abs(STRASSEN.U), abs(STRASSEN.V), abs(STRASSEN.W), ring=Ring.parse("GF(2)"))
    assert (modular_product(whole, whole, 2, scheme=binary) == 0).all()
    with pytest.raises(InvalidInput, match=r"holds over GF\(2\), not modulo 4"):
        modular_product(whole, whole, 4, scheme=binary)
    halves = sandwiched(STRASSEN, [[2, 0], [0, 1]], [[3, 0], [0, 1]], [[1, 0], [0, 1]])
    assert (modular_product(whole, whole, 5, scheme=halves) == 2).all()
    with pytest.raises(InvalidInput, match="no inverses modulo 6"):
        modular_product(whole, whole, 6, scheme=halves)
    with pytest.raises(InvalidInput, match="not a scheme for a matrix product"):
        modular_product(whole, whole, 5, scheme=Scheme(Other(), [[1]], [[1]], [[1]]))
    for levels in (-1, 65, True):
        with pytest.raises(InvalidInput, match="a whole number from 0 to 64"):
            modular_product(whole, whole, 5, scheme=STRASSEN, levels=levels)
    with pytest.raises(InvalidInput, match="would grow to 262144x262144"):
        modular_product(whole, whole, 5, scheme=STRASSEN, levels=18)
    assert isinstance(STRASSEN.target, MatrixProduct)
