from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput, Refuted, Ring, Scheme, sandwiched, verify
from grokkit.scheme import _rational as exact
from grokkit.scheme.catalog import catalog
from strategies import any_schemes, exact_schemes, gauges, invertible


@given(exact_schemes(), st.data())
def test_sandwiching_keeps_exactness(scheme, data):
    verify(sandwiched(scheme, *data.draw(gauges(scheme.target.format))))


@given(any_schemes(size=9), st.data())
def test_sandwiching_keeps_the_map_in_the_new_bases(scheme, data):
    p, q, r = data.draw(gauges(scheme.target.format))
    moved = sandwiched(scheme, p, q, r)
    n, m, k = scheme.target.format
    rng = np.random.default_rng(0)
    a = np.array([[Fraction(int(x)) for x in row] for row in rng.integers(-5, 5, (n, m))])
    b = np.array([[Fraction(int(x)) for x in row] for row in rng.integers(-5, 5, (m, k))])

    def apply(s, x, y):
        u, v, w = (np.array(f, dtype=object).reshape(np.shape(f)) for f in s.fractions())
        return (w.dot(u.dot(x.ravel()) * v.dot(y.ravel()))).reshape(n, k)

    p, q, r = (np.array(g, dtype=object) for g in (p, q, r))
    q_inv, r_inv = (np.array(exact.inverse(exact.matrix(g.tolist())), dtype=object) for g in (q, r))
    if scheme.rank:
        left = apply(moved, p.dot(a).dot(q_inv), q.dot(b).dot(r_inv))
        assert (left == p.dot(apply(scheme, a, b)).dot(r_inv)).all()


@given(exact_schemes(), st.data())
def test_sandwiching_is_a_group_action(scheme, data):
    first = data.draw(gauges(scheme.target.format))
    second = data.draw(gauges(scheme.target.format))
    product = [exact.multiply(y, x) for x, y in zip(first, second, strict=True)]
    assert sandwiched(sandwiched(scheme, *first), *second) == sandwiched(scheme, *product)


def test_the_identity_changes_nothing():
    strassen = catalog["strassen"]
    assert sandwiched(strassen, *[exact.identity(2)] * 3) == strassen


def test_a_wrong_scheme_stays_wrong():
    strassen = catalog["strassen"]
    wrong = Scheme(strassen.target, strassen.U, strassen.V, -strassen.W)
    with pytest.raises(Refuted):
        verify(sandwiched(wrong, [[1, 1], [0, 1]], [[2, 0], [0, 1]], [[0, 1], [1, 0]]))


@pytest.mark.parametrize(
    ("gauge", "message"),
    [
        (([[1, 0], [0, 0]], [[1, 0], [0, 1]], [[1, 0], [0, 1]]), "P is singular"),
        (([[1, 0], [0, 1]], [[1]], [[1, 0], [0, 1]]), "Q must be 2 x 2"),
        (([[1, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 0, 0], [0, 1, 0]]), "R must be 2 x 2"),
    ],
)
def test_impossible_gauges_are_refused(gauge, message):
    with pytest.raises(InvalidInput, match=message):
        sandwiched(catalog["strassen"], *gauge)


def test_floats_are_refused():
    with pytest.raises(InvalidInput, match=r"1\.0 is not exact"):
        sandwiched(catalog["strassen"], [[1.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 1]], [[1, 0], [0, 1]])


def test_finite_fields_keep_their_ring():
    s = catalog["strassen"]
    modular = Scheme(s.target, abs(s.U), abs(s.V), abs(s.W), ring=Ring.parse("GF(2)"))
    assert sandwiched(modular, *[exact.identity(2)] * 3) == modular


@given(st.integers(1, 4).flatmap(invertible))
def test_inverses(a):
    inverse = exact.inverse(a)
    assert exact.multiply(a, inverse) == exact.identity(len(a))
    assert exact.rank(a) == len(a)


@given(st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=1, max_size=4))
def test_rank_against_floating_point(rows):
    assert exact.rank(exact.matrix(rows)) == np.linalg.matrix_rank(np.array(rows, dtype=float))
