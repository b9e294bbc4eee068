import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput, MatrixProduct, Ring, Scheme, compose, expand, verify
from grokkit.scheme import _kronecker as internals
from grokkit.scheme.catalog import catalog, standard
from strategies import exact_schemes, tiny_formats


@settings(max_examples=25)
@given(exact_schemes(tiny_formats), exact_schemes(tiny_formats))
def test_a_product_of_exact_schemes_is_exact(a, b):
    c = compose(a, b)
    assert verify(c).rank == a.rank * b.rank
    assert c.target.format == tuple(x * y for x, y in zip(a.target.format, b.target.format, strict=True))


def test_standard_times_standard_is_standard_up_to_slot_order():
    both = compose(standard(2, 1, 3), standard(1, 2, 2))
    whole = standard(2, 2, 6)
    slots = {tuple(map(tuple, x)) for x in zip(both.U.tolist(), both.V.tolist(), both.W.T.tolist(), strict=True)}
    assert slots == {
        tuple(map(tuple, x)) for x in zip(whole.U.tolist(), whole.V.tolist(), whole.W.T.tolist(), strict=True)
    }


@given(st.integers(0, 2), st.integers(0, 1))
def test_powers_add_up(i, j):
    strassen = catalog["strassen"]
    assert compose(expand(strassen, i), expand(strassen, j)) == expand(strassen, i + j)


def test_expand_of_one_level_is_the_scheme_itself():
    assert expand(catalog["winograd"], 1) is catalog["winograd"]
    assert expand(catalog["winograd"], 0) == standard(1, 1, 1)


def test_it_means_blocks():
    """Slot (s, t) combines blocks by s and entries within blocks by t."""
    outer, inner = catalog["strassen"], catalog["winograd"]
    both = compose(outer, inner)
    u = both.U[3 * 7 + 5].reshape(2, 2, 2, 2)  # block row, row, block column, column
    expected = np.einsum("ij,kl->ikjl", outer.U[3].reshape(2, 2), inner.U[5].reshape(2, 2))
    assert (u == expected).all()


def test_rings_combine():
    half = Scheme(MatrixProduct(1, 1, 1), [[1]], [[2]], [[1]], (2, 1, 1))
    assert str(compose(catalog["strassen"], half).ring) == "Q"
    two = Ring.parse("GF(2)")
    s = catalog["strassen"]
    modular = Scheme(s.target, abs(s.U), abs(s.V), abs(s.W), ring=two)
    assert verify(compose(modular, modular)).ring == "GF(2)"
    assert verify(expand(modular, 0)).ring == "GF(2)"
    with pytest.raises(InvalidInput, match="do not compose"):
        compose(modular, s)


def test_big_coefficients_do_not_overflow():
    big = 2**40
    scheme = Scheme(MatrixProduct(1, 1, 1), [[big]], [[1]], [[1]])
    assert expand(scheme, 3).U[0, 0] == big**3


@given(st.integers(0, 60))
def test_powers_of_a_single_product(levels):
    one = standard(1, 1, 1)
    assert expand(one, levels) == one
    two = Scheme(one.target, [[2]], [[1]], [[1]])
    assert expand(two, levels).U[0, 0] == 2**levels


def test_too_many_levels_are_refused():
    with pytest.raises(InvalidInput, match="at most 1024"):
        expand(standard(1, 1, 1), 10**5000)


@pytest.mark.parametrize("levels", [-1, 1.5, True, "2"])
def test_impossible_levels_are_refused(levels):
    with pytest.raises(Exception, match="levels"):
        expand(catalog["strassen"], levels)


def test_what_does_not_fit_memory_is_refused(monkeypatch):
    with pytest.raises(InvalidInput, match="too many"):
        expand(catalog["strassen"], 20)
    monkeypatch.setattr(internals, "MAX_FACTOR_ENTRIES", 100)
    with pytest.raises(InvalidInput, match="use fewer levels"):
        expand(catalog["strassen"], 2)
