import copy
import math
import pickle
from fractions import Fraction

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput, MatrixProduct, Provenance, Q, Ring, Scheme, Target, Z
from grokkit.scheme.catalog import catalog
from strategies import any_schemes, exact_schemes

TARGET = MatrixProduct(1, 1, 1)


def one(u=1, v=1, w=1, denominators=(1, 1, 1), ring=None):
    return Scheme(TARGET, [[u]], [[v]], [[w]], denominators, ring)


def test_arrays_are_read_only_and_detached():
    u = np.eye(1, dtype=np.int64)
    scheme = Scheme(TARGET, u, u, u)
    u[0, 0] = 5
    assert scheme.U[0, 0] == 1
    for array in (scheme.U, scheme.V, scheme.W):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 2
    with pytest.raises(AttributeError):
        scheme.U = u


@given(any_schemes())
def test_nothing_makes_the_arrays_writeable(scheme):
    for array in (scheme.U, scheme.V, scheme.W, scheme.U.T, scheme.U[:1]):
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)


records = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(any_schemes(), st.dictionaries(st.text(max_size=3), records, max_size=3), st.integers(-(2**63), 2**64))
def test_pickling_and_copying_are_the_identity(scheme, configuration, seed):
    scheme = scheme.with_provenance(Provenance("test", seed, configuration))
    for same in (pickle.loads(pickle.dumps(scheme)), copy.copy(scheme), copy.deepcopy(scheme)):  # noqa: S301
        assert same == scheme
        assert same.provenance == scheme.provenance
        assert not same.U.flags.writeable


@given(any_schemes())
def test_floats_are_rounded_once(scheme):
    for array, exact in zip(scheme.floats(), scheme.fractions(), strict=True):
        assert array.tolist() == [[float(x) for x in row] for row in exact]
        assert array.flags.writeable


@given(st.integers(-(2**70), 2**70), st.integers(1, 2**70))
def test_floats_of_large_fractions_are_rounded_once(numerator, denominator):
    assert one(numerator, denominators=(denominator, 1, 1)).floats()[0][0, 0] == float(Fraction(numerator, denominator))


def test_floats_past_the_range():
    assert one(10**400 + 1, denominators=(10**400, 1, 1)).floats()[0][0, 0] == 1
    with pytest.raises(InvalidInput, match="U: a coefficient is too large for a float"):
        one(10**400).floats()


@given(any_schemes())
def test_lowest_terms(scheme):
    for array, denominator in zip((scheme.U, scheme.V, scheme.W), scheme.denominators, strict=True):
        common = math.gcd(denominator, *(int(x) for x in array.flat))
        assert denominator == 1 or common == 1


@given(any_schemes())
def test_fractions_rebuild_the_scheme(scheme):
    if scheme.rank:
        assert Scheme.from_rationals(scheme.target, *scheme.fractions(), ring=scheme.ring) == scheme


@given(exact_schemes(), st.randoms(use_true_random=False))
def test_permuting_slots_back_is_the_identity(scheme, random):
    order = list(range(scheme.rank))
    random.shuffle(order)
    back = sorted(range(scheme.rank), key=order.__getitem__)
    assert scheme.permuted(order).permuted(back) == scheme


def test_equality_counts_ring_and_slot_order_but_not_provenance():
    strassen = catalog["strassen"]
    assert strassen.with_provenance(Provenance("elsewhere", seed=3)) == strassen
    assert strassen.permuted([1, 0, 2, 3, 4, 5, 6]) != strassen
    assert one(ring=Q) != one(ring=Z)
    assert one(2, denominators=(2, 1, 1)) == one()
    assert len({strassen, catalog["2x2x2:7"], catalog["winograd"]}) == 2


def test_ring_follows_the_denominators():
    assert one().ring == Z
    assert one(denominators=(2, 1, 1)).ring == Q
    assert one(5, ring=Ring.parse("GF(3)")).U[0, 0] == 2


def test_big_integers_survive():
    big = 10**40
    scheme = one(big, 1, 1, (big, 1, 1))
    assert scheme == one()
    assert one(big).U[0, 0] == big
    assert one(big).fractions()[0][0][0] == Fraction(big)


least = -(2**63)


@given(
    st.sampled_from([least, least + 1, 2**63 - 1, 0, 1, -6, 2**70]),
    st.sampled_from([-1, 1, least, 2**63, 2**70, -6, 3]),
    st.booleans(),
)
def test_the_edges_of_int64(u, denominator, array):
    given_u = np.array([[u]]) if array and -(2**63) <= u < 2**63 else [[u]]
    scheme = Scheme(TARGET, given_u, [[1]], [[1]], (denominator, 1, 1))
    assert scheme.fractions()[0][0][0] == Fraction(u, denominator)
    assert scheme == Scheme.from_rationals(TARGET, [[Fraction(u, denominator)]], [[1]], [[1]])
    assert (scheme.U.dtype == np.int64) == (abs(int(scheme.U[0, 0])) < 2**63)
    if u == 0:
        assert scheme.denominators == (1, 1, 1)


def test_integers_too_long_to_write_are_refused():
    assert one(10**5000, denominators=(10**5000, 1, 1)) == one()
    for arguments in ({"u": 10**4300}, {"denominators": (10**4300, 1, 1)}):
        with pytest.raises(InvalidInput, match="4300 digits"):
            one(**arguments)


class Named(Target):
    """A target whose JSON is given."""

    shape = (1, 1, 1)
    nonzeros = 1
    name = "<named>"
    entries = (np.array([[0, 0, 0]]), np.array([1]))

    def __init__(self, content):
        self.content = content

    def variable(self, side, index, latex=False):
        return "abc"[side]

    def to_json(self):
        return self.content


def test_a_target_cannot_pose_as_another():
    assert Scheme(Named({"format": [1, 1, 1]}), [[1]], [[1]], [[1]]) != one()
    for key in ("ring", "U", "digest"):
        with pytest.raises(InvalidInput, match=f"may not use the key '{key}'"):
            Scheme(Named({key: "Q"}), [[1]], [[1]], [[1]])


def test_digests_have_not_changed():
    assert catalog["strassen"].digest == "b42c2974213456445c8d02bdf33bb45f1877073f10ba9b6b36bf86e3e02822c5"
    assert catalog["winograd"].digest == "51c944f43593d1991ecec212575934245e70910162005374feee294943d5e594"


UNFIT = {
    "method": {"method": 5},
    "version": {"version": None},
    "seed": {"seed": True},
    "seed ": {"seed": 2**70},
    "seed  ": {"seed": 1.0},
    "configuration": {"configuration": []},
    "configuration.x": {"configuration": {"x": float("nan")}},
    "configuration.x ": {"configuration": {"x": np.inf}},
    r"configuration.x\[1\]": {"configuration": {"x": [0, {1}]}},
    "configuration.x.y": {"configuration": {"x": {"y": 10**4300}}},
    "configuration has the key 1": {"configuration": {1: 2, "1": 3}},
    "configuration is nested": {"configuration": {"a": eval("[" * 90 + "]" * 90)}},  # noqa: S307
    "configuration.x  ": {"configuration": {"x": np.zeros(2)}},
}


@pytest.mark.parametrize("field", UNFIT)
def test_provenance_names_the_unfit_field(field, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it would object first
    with pytest.raises(InvalidInput, match=f"provenance: {field.strip()}") as caught:
        Provenance(**UNFIT[field])
    assert "\n" not in str(caught.value)


def test_provenance_is_normalized_and_detached(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    lattice = [np.float64(0.5), np.int64(3), np.bool_(True), (1, 2)]
    record = Provenance("x", np.int64(4), {"a": lattice, "b": {"c": ()}})
    lattice.clear()
    assert record == Provenance("x", 4, {"a": [0.5, 3, True, [1, 2]], "b": {"c": []}})
    record.to_json()["configuration"]["a"].clear()
    assert len(record.configuration["a"]) == 4
    assert type(record.seed) is int


def test_ternary():
    assert one(-1).ternary
    assert not one(2).ternary
    assert not one(1, denominators=(2, 1, 1)).ternary


@pytest.mark.parametrize(
    ("u", "message"),
    [
        ([[0.5]], "must be an integer"),
        (np.array([[0.5]]), "round, or use grokkit.crystallize"),
        ([[True]], "must be an integer"),
        ([["1"]], "must be an integer"),
        ([[1, 1]], "needs"),
        (np.ones((1, 1, 1), dtype=int), "axes"),
        ([[1], [1, 2]], "row 1"),
        (5, "U is 5; rows"),
        (np.array([2**70], dtype=object), "rows of integers"),
    ],
)
def test_what_is_not_an_integer_matrix_is_refused(u, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InvalidInput, match=message):
        Scheme(TARGET, u, [[1]], [[1]])


@pytest.mark.parametrize(
    "denominators", [(0, 1, 1), (1, 1), (1.9, 1, 1), (Fraction(3, 2), 1, 1), (True, 1, 1), (1, 1, "1")]
)
def test_bad_denominators_are_refused(denominators):
    with pytest.raises(InvalidInput, match="denominators"):
        one(denominators=denominators)


def test_denominators_need_the_rationals():
    for ring in (Z, Ring.parse("GF(5)")):
        with pytest.raises(InvalidInput, match="ring Q"):
            one(denominators=(2, 1, 1), ring=ring)


@pytest.mark.parametrize("value", [0.1, 1.0, np.float32(0.5), "1/2", True, None, 1j])
def test_what_is_not_exact_is_refused(value):
    with pytest.raises(InvalidInput, match="not exact"):
        Scheme.from_rationals(TARGET, [[value]], [[1]], [[1]])


def test_numpy_integers_in_rationals_do_not_overflow():
    big = np.int64(2**62)
    scheme = Scheme.from_rationals(TARGET, [[big]], [[Fraction(big, np.int64(3))]], [[1]])
    assert scheme.fractions()[1][0][0] == Fraction(2**62, 3)


@pytest.mark.parametrize(
    ("characteristic", "fractions"),
    [(1, False), (2, True), (4, False), (-2, False), (2**61 - 1, False), (2.0, False), (0, 1)],
)
def test_impossible_rings_are_refused(characteristic, fractions, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InvalidInput, match="ring"):
        Ring(characteristic, fractions)


@given(st.integers(0, 200))
def test_rings_read_back(p):
    text = f"GF({p})"
    if p > 1 and all(p % d for d in range(2, p)):
        assert str(Ring.parse(text)) == text
    else:
        with pytest.raises(InvalidInput):
            Ring.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "GF(02)",
        "GF(٢)",
        "GF(2 )",
        "GF(2)\n",
        "GF(-2)",
        "x" * 10**6,
        "R",
        "GF(4)",
        "GF(1)",
        "GF()",
        "gf(2)",
        "GF(99999999999)",
        "",
    ],
)
def test_unknown_rings_are_refused(text):
    with pytest.raises(InvalidInput, match="ring") as caught:
        Ring.parse(text)
    assert len(str(caught.value)) < 200


def test_primality_against_a_sieve():
    from grokkit.scheme._ring import is_prime

    sieve = np.ones(5000, dtype=bool)
    sieve[:2] = False
    for i in range(2, 71):
        sieve[i * i :: i] &= not sieve[i]
    assert [is_prime(i) for i in range(5000)] == sieve.tolist()
    assert is_prime(2**61 - 1)
    assert not is_prime(3215031751)  # a strong pseudoprime to the bases 2, 3, 5 and 7
