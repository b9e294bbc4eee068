"""Composition of schemes for targets other than matrix products."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bilinear import CYCLIC_3, GAUSS, KARATSUBA, KNOWN, TOEPLITZ_2, TOOM_3, scaled
from grokkit.scheme import (
    CyclicConvolution,
    InvalidInput,
    PolynomialProduct,
    Scheme,
    ToeplitzProduct,
    compose,
    expand,
    growth_factor,
    standard,
    standard_scheme,
    verify,
)
from grokkit.scheme import _kronecker as internals
from grokkit.scheme.catalog import catalog
from independent import independent_check

small = st.integers(1, 3)


@st.composite
def pairs(draw):
    """Two exact schemes that compose, and the target of the composition."""
    kind = draw(st.sampled_from([PolynomialProduct, ToeplitzProduct, CyclicConvolution]))
    n, m, k = draw(small), draw(small), draw(small)
    if kind is CyclicConvolution:
        m = draw(st.integers(1, 5).filter(lambda m: math.gcd(n, m) == 1))
        outer, inner, target = kind(n), kind(m), kind(n * m)
    else:
        outer, inner, target = kind(n, m), kind(k), kind(n * k, m * k)
    schemes = [draw(scaled(standard_scheme(x))) for x in (outer, inner)]
    schemes = [next((s for s in KNOWN.values() if s.target == x.target and draw(st.booleans())), x) for x in schemes]
    return *schemes, target


@settings(max_examples=60)
@given(pairs())
def test_a_composition_of_exact_schemes_is_exact(drawn):
    outer, inner, target = drawn
    both = compose(outer, inner)
    assert both.target == target
    assert verify(both).rank == outer.rank * inner.rank
    assert both.denominators == Scheme(both.target, both.U, both.V, both.W, both.denominators).denominators


@pytest.mark.parametrize("levels", range(6))
def test_karatsuba_expanded(levels):
    """2^levels terms in 3^levels products, with coefficients -1, 0 and 1 and no more growth than level by level."""
    scheme = expand(KARATSUBA, levels)
    certificate = verify(scheme)
    assert scheme.target == PolynomialProduct(2**levels)
    assert (certificate.rank, certificate.ring, certificate.ternary) == (3**levels, "Z", True)
    assert growth_factor(scheme) <= growth_factor(KARATSUBA) ** levels
    if levels < 4:
        assert independent_check(scheme)


def test_powers_of_other_known_schemes():
    assert verify(expand(TOOM_3, 2)).rank == 25
    assert verify(expand(TOEPLITZ_2, 3)).target == ToeplitzProduct(8)
    assert verify(compose(TOOM_3, KARATSUBA)).target == PolynomialProduct(6)
    assert verify(compose(CYCLIC_3, standard_scheme(CyclicConvolution(4)))).rank == 16 * 4
    assert independent_check(compose(CYCLIC_3, standard_scheme(CyclicConvolution(2))))


@pytest.mark.parametrize("scheme", [KARATSUBA, TOEPLITZ_2, CYCLIC_3], ids=["poly", "toeplitz", "cyclic"])
def test_powers_add_up(scheme):
    unit = expand(scheme, 0)
    assert verify(unit).rank == 1
    assert compose(scheme, unit) == compose(unit, scheme) == expand(scheme, 1) == scheme
    if scheme is not CYCLIC_3:
        assert compose(expand(scheme, 2), scheme) == compose(scheme, expand(scheme, 2)) == expand(scheme, 3)


@given(pairs(), pairs())
def test_it_means_blocks(first, second):
    """Slot (s, t) of U is slot s of the outer one on blocks and slot t of the inner one inside them."""
    for outer, inner, _ in (first, second):
        both = compose(outer, inner)
        rng = np.random.default_rng(0)
        b = rng.integers(-9, 9, both.target.shape[1])
        m = inner.target.shape[1]
        if isinstance(both.target, CyclicConvolution):
            blocks = np.empty((outer.target.n, m), dtype=int)
            for i, value in enumerate(b):
                blocks[i % outer.target.n, i % m] = value
        else:
            blocks = b.reshape(-1, m)
        du, dv = outer.denominators[1], inner.denominators[1]
        expected = np.einsum("sk,tl,kl->st", outer.V.astype(object), inner.V.astype(object), blocks.astype(object))
        found = (both.V.astype(object) @ b.astype(object)).reshape(outer.rank, inner.rank)
        assert (found * (du * dv) == expected * both.denominators[1]).all()


def test_overlapping_blocks_are_added_without_overflow():
    big = 2**31
    scheme = Scheme(PolynomialProduct(2), [[big, 0]], [[1, 1]], [[big], [big], [big]])
    both = compose(scheme, scheme)
    assert both.W[2].tolist() == [2 * big * big] == [2**63]


def test_schemes_over_finite_fields_compose():
    from grokkit.scheme import Ring

    two = Scheme(KARATSUBA.target, abs(KARATSUBA.U), abs(KARATSUBA.V), abs(KARATSUBA.W), ring=Ring.parse("GF(2)"))
    assert verify(expand(two, 3)).ring == "GF(2)"
    with pytest.raises(InvalidInput, match="do not compose"):
        compose(two, KARATSUBA)


@pytest.mark.parametrize(
    ("outer", "inner", "message"),
    [
        (KARATSUBA, TOEPLITZ_2, "<poly:2> and <toeplitz:2> do not compose: two matrix products do"),
        (KARATSUBA, standard(2, 2, 2), "<poly:2> and <2,2,2> do not compose"),
        (GAUSS, GAUSS, "<complex> and <complex> do not compose"),
        (CYCLIC_3, CYCLIC_3, "for coprime lengths, and 3 and 3 share the factor 3"),
        (KARATSUBA, standard_scheme(PolynomialProduct(2, 3)), "sizes 2 and 3 must agree; <poly:2x3> on blocks and "),
        (standard_scheme(ToeplitzProduct(1, 2)), standard_scheme(ToeplitzProduct(3, 2)), "sizes 3 and 2 must agree$"),
    ],
)
def test_other_mixes_are_refused(outer, inner, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        compose(outer, inner)
    assert "\n" not in str(caught.value)


def test_powers_that_are_none(monkeypatch):
    assert expand(GAUSS, 1) is GAUSS
    for levels in (0, 2):
        with pytest.raises(
            InvalidInput, match="schemes for the product of complex numbers have no powers but the first"
        ):
            expand(GAUSS, levels)
    with pytest.raises(InvalidInput, match="share the factor 3"):
        expand(CYCLIC_3, 2)
    with pytest.raises(InvalidInput, match="must agree"):
        expand(standard_scheme(PolynomialProduct(1, 2)), 2)
    with pytest.raises(InvalidInput, match="too many"):
        expand(KARATSUBA, 30)
    monkeypatch.setattr(internals, "MAX_FACTOR_ENTRIES", 100)
    with pytest.raises(InvalidInput, match="27 x 8 entries, more than are stored; use fewer levels"):
        expand(KARATSUBA, 3)


def test_matrix_products_compose_to_what_they_did():
    """Digests of powers, which files and records hold."""
    digest = "9816c6cda367fb037d279af89f3e3a9e85139a610738e38f13ec88a09deb84ce"
    assert expand(catalog["strassen"], 3).digest == digest
