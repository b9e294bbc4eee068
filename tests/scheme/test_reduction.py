"""Fewer additions: shared subexpressions, alternative bases, other bases of the orbit."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import (
    InvalidInput,
    LinearProgram,
    Ring,
    Scheme,
    additions,
    alternative_basis,
    equivalent,
    frobenius_growth,
    growth_factor,
    improve,
    load,
    reduce_additions,
    save_program,
    verify,
)
from grokkit.scheme import _rational as exact
from grokkit.scheme._reduction import reduce_map, transposed_program
from grokkit.scheme.catalog import catalog, standard
from grokkit.scheme.formats import SchemeFile
from strategies import exact_schemes, rationals, tiny_formats

STRASSEN, WINOGRAD = catalog["strassen"], catalog["winograd"]
matrices = st.tuples(st.integers(1, 6), st.integers(1, 5)).flatmap(
    lambda size: st.lists(
        st.lists(st.one_of(st.integers(-1, 1).map(Fraction), rationals), min_size=size[1], max_size=size[1]),
        min_size=size[0],
        max_size=size[0],
    )
)


@given(matrices, st.integers(0, 5))
def test_a_reduced_map_is_the_map_and_costs_no_more(rows, seed):
    program = reduce_map(rows, random.Random(seed), 6)
    assert program.rows() == rows
    assert program.additions <= sum(max(sum(map(bool, row)) - 1, 0) for row in rows)


@given(matrices)
def test_a_program_read_backwards_is_the_transposed_map(rows):
    program = reduce_map(rows, random.Random(0), 2)
    back = transposed_program(program)
    assert back.rows() == [list(column) for column in zip(*rows, strict=True)]
    if all(map(any, rows)) and all(map(any, zip(*rows, strict=True))):
        assert back.additions == program.additions + len(rows) - len(rows[0])


@given(exact_schemes(tiny_formats))
def test_a_reduced_scheme_expands_to_the_scheme(scheme):
    program = reduce_additions(scheme, tries=4)
    assert [program.a.rows(), program.b.rows(), program.c.rows()] == list(scheme.fractions())
    assert program.additions <= additions(scheme).total


def test_known_marks(test_data):
    assert reduce_additions(WINOGRAD).additions == 15
    assert reduce_additions(STRASSEN).additions == 18
    folder = test_data / "schemes/perminov"
    assert reduce_additions(load(folder / "3x3x3_m23_cr58_cn119_ZT_reduced.json")).additions <= 58
    assert reduce_additions(load(folder / "3x3x3_m23_additions60_ZT.json")).additions <= 60


def test_same_seed_same_program():
    assert reduce_additions(WINOGRAD, 3, 40) == reduce_additions(WINOGRAD, 3, 40)


def test_programs_are_written_and_read(tmp_path):
    program = reduce_additions(WINOGRAD)
    save_program(WINOGRAD, program, tmp_path / "w.json")
    reading = SchemeFile(tmp_path / "w.json").read()
    assert (reading.scheme, reading.program) == (WINOGRAD, program)
    with pytest.raises(InvalidInput, match="other linear combinations"):
        save_program(STRASSEN, program, tmp_path / "s.json")


@pytest.mark.parametrize(
    ("steps", "outputs", "words"),
    [
        ([[(2, 1)]], [[(0, 1)]], "step 1 of a program uses value 2; 2 are defined"),
        ([[(0, 1), (0, 1)]], [[(0, 1)]], "step 1 of a program names a value twice"),
        ([], [[(0, 0)]], "output 1 of a program has a coefficient 0"),
        ([[]], [[(0, 1)]], "step 1 of a program is an empty sum"),
    ],
)
def test_malformed_programs(steps, outputs, words):
    def sums(rows):
        return tuple(tuple((i, Fraction(x)) for i, x in row) for row in rows)

    with pytest.raises(InvalidInput, match=words):
        LinearProgram(2, sums(steps), sums(outputs))


def test_twelve_additions_in_an_alternative_basis():
    for scheme in (STRASSEN, WINOGRAD):
        found = alternative_basis(scheme)
        assert found.additions == 12
        assert found.nonzeros == (10, 10, 10)
        u, v, w = map(exact.matrix, scheme.fractions())
        assert exact.multiply(found.u, found.phi) == u
        assert exact.multiply(found.v, found.psi) == v
        assert exact.multiply(found.nu, found.w) == w


@given(exact_schemes(tiny_formats))
def test_an_alternative_basis_multiplies_back(scheme):
    found = alternative_basis(scheme)
    for sparse, basis, full in zip((found.u, found.v), (found.phi, found.psi), scheme.fractions(), strict=False):
        assert exact.multiply(sparse, basis) == exact.matrix(full)
        assert exact.inverse(basis) is not None
    assert exact.multiply(found.nu, found.w) == exact.matrix(scheme.fractions()[2])
    for rows, matrix in zip((scheme.U, scheme.V, scheme.W), (found.u, found.v, found.w), strict=True):
        assert sum(bool(x) for row in matrix for x in row) <= int((rows != 0).sum())


def test_alternative_bases_out_of_reach_say_so(test_data):
    with pytest.raises(InvalidInput, match="sets of 8 rows to try"):
        alternative_basis(load(test_data / "schemes/perminov/3x3x6_tensor.mpl"))
    with pytest.raises(InvalidInput, match=r"not over GF\(2\)"):
        alternative_basis(Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, STRASSEN.W, ring=Ring(2, False)))


@pytest.mark.parametrize("objective", ["additions", "nonzeros", "growth"])
def test_the_orbit_of_winograd_holds_strassen_s_counts(objective):
    found = improve(WINOGRAD, objective, seed=1, steps=4000)
    verify(found)
    assert equivalent(WINOGRAD, found)
    assert additions(found).total == 18
    assert growth_factor(found) <= growth_factor(WINOGRAD)
    assert improve(WINOGRAD, objective, seed=1, steps=4000) == found


def test_the_orbit_of_strassen_holds_winograd_s_program():
    found = improve(STRASSEN, "reduced", seed=0, steps=300)
    assert reduce_additions(found).additions == 15


def test_accuracy_over_dyadic_numbers():
    found = improve(STRASSEN, "frobenius", lattice="dyadic", steps=8_000)
    assert frobenius_growth(found) < 12.2035
    assert equivalent(STRASSEN, found)
    for denominator in found.denominators:
        assert denominator & (denominator - 1) == 0


def test_improvement_refuses_what_it_does_not_know():
    for arguments, words in (
        ({"objective": "speed"}, "objective 'speed'"),
        ({"lattice": "real"}, "lattice 'real'"),
        ({"bits": 21}, "bits is 21"),
    ):
        with pytest.raises(InvalidInput, match=words):
            improve(STRASSEN, **arguments)
    with pytest.raises(InvalidInput, match="GF"):
        improve(Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, STRASSEN.W, ring=Ring(2, False)))
    assert improve(standard(1, 1, 1), steps=10) == standard(1, 1, 1)
