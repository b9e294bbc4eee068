"""Canonical forms, symmetries and invariants."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.scheme import (
    Equivalence,
    Inequivalent,
    InvalidInput,
    MatrixProduct,
    Ring,
    Scheme,
    Undecided,
    canonical,
    equivalent,
    invariants,
    jacobian_rank,
    load,
    rescaled,
    rotated,
    sandwiched,
    symmetric_forms,
    transposed,
    verify,
    with_format,
)
from grokkit.scheme.catalog import catalog, standard
from strategies import exact_schemes, gauges, tiny_formats

STRASSEN, WINOGRAD = catalog["strassen"], catalog["winograd"]
BINARY = Ring(2, False)


def over(scheme: Scheme, ring: Ring) -> Scheme:
    return Scheme(scheme.target, scheme.U, scheme.V, scheme.W, ring=ring)


@given(exact_schemes(tiny_formats))
def test_transposition_and_rotation_keep_schemes_exact_and_close(scheme):
    assert isinstance(scheme.target, MatrixProduct)
    n, m, p = scheme.target.format
    assert transposed(scheme).target == MatrixProduct(p, m, n)
    assert rotated(scheme).target == MatrixProduct(m, p, n)
    verify(transposed(scheme))
    verify(rotated(scheme))
    assert transposed(transposed(scheme)) == scheme
    assert rotated(rotated(rotated(scheme))) == scheme
    assert transposed(rotated(transposed(rotated(scheme)))) == scheme


def test_six_forms_and_any_order_of_letters():
    forms = symmetric_forms(standard(2, 3, 4))
    assert len({form.target for _, form in forms}) == 6
    assert len({name for name, _ in forms}) == 6
    for _, form in forms:
        assert isinstance(form.target, MatrixProduct)
        found = with_format(standard(2, 3, 4), form.target.format)
        assert found.target == form.target
        verify(found)
    with pytest.raises(InvalidInput, match="no order of its letters is <2,2,4>"):
        with_format(standard(2, 3, 4), (2, 2, 4))


@given(exact_schemes(tiny_formats), st.randoms(use_true_random=False))
def test_slot_order_and_scales_do_not_change_the_canonical_form(scheme, random):
    choices = [(1, 1, 1), (-1, 1, -1), (2, -3, Fraction(-1, 6)), (1, Fraction(1, 2), 2)]
    order = list(range(scheme.rank))
    random.shuffle(order)
    other = rescaled(scheme.permuted(order), [random.choice(choices) for _ in order])
    form = canonical(scheme)
    assert isinstance(form, Scheme)
    assert canonical(other) == form
    assert canonical(form) == form
    verify(form)


def test_canonical_forms_over_finite_fields_and_with_empty_slots():
    ring = Ring(5, False)
    base = over(STRASSEN, ring)
    scaled = Scheme(base.target, 2 * base.U, 4 * base.V, 2 * base.W, ring=ring)
    assert canonical(scaled) == canonical(base)
    assert canonical(over(WINOGRAD, ring)) != canonical(base)
    u = [*STRASSEN.U.tolist(), [0, 0, 0, 0]]
    v = [*STRASSEN.V.tolist(), [1, 2, 3, 4]]
    w = [[*row, 5] for row in STRASSEN.W.tolist()]
    assert canonical(Scheme(STRASSEN.target, u, v, w)) == canonical(STRASSEN)
    assert isinstance(canonical(base, "bases"), Undecided)


@given(st.data())
@settings(max_examples=8)
def test_bases_do_not_change_the_canonical_form_of_the_orbit(data):
    base = data.draw(st.sampled_from([STRASSEN, WINOGRAD]))
    moved = sandwiched(base, *data.draw(gauges((2, 2, 2))))
    assert canonical(moved, "bases") == canonical(STRASSEN, "bases")


def test_rotation_and_transposition_do_not_change_the_form_of_the_whole_group():
    form = canonical(STRASSEN, "all")
    assert isinstance(form, Scheme)
    verify(form)
    for _, other in symmetric_forms(sandwiched(STRASSEN, [[1, 2], [0, 1]], [[1, 0], [3, 1]], [[0, 1], [1, 0]])):
        assert canonical(other, "all") == form


def test_what_cannot_be_compared_is_undecided():
    found = canonical(standard(2, 2, 2), "bases")
    assert isinstance(found, Undecided)
    assert "general position" in found.reason
    with pytest.raises(InvalidInput, match="group 'x' is not known"):
        canonical(STRASSEN, "x")


def test_different_schemes_have_different_forms(test_data):
    one = load(test_data / "schemes/fast-matmul/grey333-23-142")
    two = load(test_data / "schemes/fast-matmul/smirnov333-23-139")
    assert canonical(one) != canonical(two)


def test_scales_must_multiply_to_one():
    with pytest.raises(InvalidInput, match="6 triples of scales for 7 slots"):
        rescaled(STRASSEN, [(1, 1, 1)] * 6)
    with pytest.raises(InvalidInput, match=r"slot 3: the scales \(2, 1, 1\)"):
        rescaled(STRASSEN, [(1, 1, 1)] * 2 + [(2, 1, 1)] + [(1, 1, 1)] * 4)
    assert rescaled(over(STRASSEN, Ring(5, False)), [(2, 3, 1)] * 7).ring == Ring(5, False)


def test_strassen_is_isolated_up_to_gauge():
    for scheme in (STRASSEN, WINOGRAD, sandwiched(STRASSEN, [[2, 1], [1, 1]], [[1, 0], [5, 1]], [[3, 0], [0, 1]])):
        found = invariants(scheme)
        assert (found.parameters, found.jacobian_rank, found.tangent_dimension) == (84, 61, 23)
        assert (found.gauge, found.excess, found.stabilizer) == (23, 0, 6)
        assert found.ranks == (((1, 1, 1), 6), ((2, 2, 2), 1))


def test_the_jacobian_agrees_with_floating_point():
    for scheme in (STRASSEN, standard(2, 1, 2), standard(2, 2, 2)):
        u, v, w = scheme.floats()
        factors = [u, v, w.T]
        rows = []
        for r in range(scheme.rank):
            for side in range(3):
                for unit in np.eye(factors[side].shape[1]):
                    x, y, z = (unit if at == side else factors[at][r] for at in range(3))
                    rows.append(np.einsum("i,j,k->ijk", x, y, z).ravel())
        assert jacobian_rank(scheme) == np.linalg.matrix_rank(np.array(rows))


def test_invariants_modulo_two(test_data):
    found = invariants(over(STRASSEN, BINARY))
    assert found.ranks == (((1, 1, 1), 6), ((2, 2, 2), 1))
    assert found.stabilizer is None
    large = load(test_data / "schemes/alphatensor/factorizations_r.npz", "9,11,11")
    with pytest.raises(InvalidInput, match="Jacobian has more entries"):
        invariants(large)


def test_equivalence_under_rotation_and_transposition(test_data):
    base = load(test_data / "schemes/fast-matmul/smirnov333-23-139")
    for name, form in symmetric_forms(base):
        moved = sandwiched(
            form, [[1, 1, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 0, 1], [0, 2, 0]], np.eye(3, dtype=int).tolist()
        )
        found = equivalent(base, moved, symmetric=True)
        assert isinstance(found, Equivalence)
        assert found.apply(base) == moved
        assert (found.form == name) or bool(equivalent(base, moved))
    other = load(test_data / "schemes/fast-matmul/grey333-23-142")
    assert isinstance(equivalent(base, other, symmetric=True), Inequivalent)
    assert isinstance(equivalent(standard(1, 2, 3), standard(2, 2, 3), symmetric=True), Inequivalent)
    assert equivalent(standard(1, 1, 1), standard(1, 1, 1), symmetric=True)


def test_sandwiching_over_finite_fields():
    for prime in (2, 5):
        base = over(STRASSEN, Ring(prime, False))
        moved = sandwiched(base, [[1, 1], [0, 1]], [[0, 1], [1, 1]], [[1, 0], [1, 1]])
        assert moved.ring == base.ring
        verify(moved)
        assert sandwiched(moved, [[1, -1], [0, 1]], [[-1, 1], [1, 0]], [[1, 0], [-1, 1]]) == base
    with pytest.raises(InvalidInput, match=r"P is singular over GF\(2\)"):
        sandwiched(over(STRASSEN, BINARY), [[2, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 0], [0, 1]])
    with pytest.raises(InvalidInput, match=r"Q is singular over GF\(5\)"):
        sandwiched(over(STRASSEN, Ring(5, False)), [[1, 0], [0, 1]], [[Fraction(1, 5), 0], [0, 1]], [[1, 0], [0, 1]])
