import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput, MatrixProduct, Provenance, Q, Ring, Scheme, Z
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
    ],
)
def test_what_is_not_an_integer_matrix_is_refused(u, message):
    with pytest.raises(InvalidInput, match=message):
        Scheme(TARGET, u, [[1]], [[1]])


@pytest.mark.parametrize("denominators", [(0, 1, 1), (1, 1)])
def test_bad_denominators_are_refused(denominators):
    with pytest.raises(InvalidInput, match="denominators"):
        one(denominators=denominators)


def test_denominators_need_the_rationals():
    for ring in (Z, Ring.parse("GF(5)")):
        with pytest.raises(InvalidInput, match="ring Q"):
            one(denominators=(2, 1, 1), ring=ring)


@pytest.mark.parametrize("text", ["R", "GF(4)", "GF(1)", "GF()", "gf(2)", "GF(99999999999)", ""])
def test_unknown_rings_are_refused(text):
    with pytest.raises(InvalidInput, match="ring"):
        Ring.parse(text)


def test_primality_against_a_sieve():
    from grokkit.scheme._ring import is_prime

    sieve = np.ones(5000, dtype=bool)
    sieve[:2] = False
    for i in range(2, 71):
        sieve[i * i :: i] &= not sieve[i]
    assert [is_prime(i) for i in range(5000)] == sieve.tolist()
    assert is_prime(2**61 - 1)
    assert not is_prime(3215031751)  # a strong pseudoprime to the bases 2, 3, 5 and 7
