"""Direct sums, restriction, extension, and the planner."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.scheme import (
    InvalidInput,
    MatrixProduct,
    Ring,
    Scheme,
    best_known,
    construct,
    direct_sum,
    extended,
    load,
    plans,
    restricted,
    verify,
    with_format,
)
from grokkit.scheme.catalog import catalog, standard
from strategies import exact_schemes, tiny_formats

STRASSEN = catalog["strassen"]


@given(exact_schemes(tiny_formats), st.sampled_from("nmp"), st.integers(1, 3))
def test_a_direct_sum_is_exact(scheme, axis, more):
    assert isinstance(scheme.target, MatrixProduct)
    form = list(scheme.target.format)
    at = "nmp".index(axis)
    form[at] = more
    other = standard(*form)
    for one, two in ((scheme, other), (other, scheme)):
        result = direct_sum(one, two, axis)
        assert result.rank == one.rank + two.rank
        assert isinstance(result.target, MatrixProduct)
        assert result.target.format[at] == scheme.target.format[at] + more
        verify(result)


def test_a_direct_sum_needs_matching_letters():
    with pytest.raises(InvalidInput, match="no direct sum along n; the other two letters must agree"):
        direct_sum(standard(2, 2, 2), standard(2, 2, 3), "n")
    with pytest.raises(InvalidInput, match="axis 'q' is not known"):
        direct_sum(STRASSEN, STRASSEN, "q")
    with pytest.raises(InvalidInput, match=r"over Z and GF\(2\)"):
        direct_sum(STRASSEN, Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, STRASSEN.W, ring=Ring(2, False)), "n")


@given(exact_schemes(tiny_formats), st.data())
def test_a_restriction_is_exact(scheme, data):
    assert isinstance(scheme.target, MatrixProduct)
    kept = [
        data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=size, unique=True))
        for size in scheme.target.format
    ]
    small = restricted(scheme, *kept)
    assert isinstance(small.target, MatrixProduct)
    assert small.target.format == tuple(map(len, kept))
    assert small.rank <= scheme.rank
    verify(small)


def test_restriction_undoes_extension():
    for form in ((3, 2, 2), (2, 3, 2), (2, 2, 3), (3, 4, 5)):
        large = extended(STRASSEN, *form)
        assert large.rank == 7 + form[0] * form[1] * form[2] - 8
        verify(large)
        assert restricted(large, [0, 1], [0, 1], [0, 1]) == STRASSEN
    with pytest.raises(InvalidInput, match="smaller in a side"):
        extended(STRASSEN, 2, 2, 1)
    with pytest.raises(InvalidInput, match=r"m: \[0, 2\] is no choice"):
        restricted(STRASSEN, [0], [0, 2], [0])


KNOWN = {(2, 2, 2): 7, (2, 2, 3): 11, (2, 2, 4): 14, (3, 3, 3): 26, (4, 4, 4): 49, (8, 8, 8): 343, (3, 4, 5): 56}


def test_plans_from_strassen_alone():
    table = plans([STRASSEN], limit=8)
    assert len(table) == 120
    for form, rank in KNOWN.items():
        assert table[form].rank == rank
    for form, plan in table.items():
        assert plan.format == form
        assert plan.rank <= form[0] * form[1] * form[2]
        if form[0] * form[1] * form[2] <= 100:
            built = plan.build()
            assert (built.rank, verify(built).rank) == (plan.rank, plan.rank)


def test_plans_never_rise_with_more_schemes_and_obey_monotonicity(test_data):
    better = load(test_data / "schemes/perminov/3x3x3_m23_Z.json")
    before, after = plans([STRASSEN], limit=6), plans([STRASSEN, better], limit=6)
    assert after[3, 3, 3].rank == 23
    for (n, m, p), plan in after.items():
        assert plan.rank <= before[n, m, p].rank
        for larger in ((n + 1, m, p), (n, m + 1, p), (n, m, p + 1)):
            if max(larger) <= 6:
                assert plan.rank <= after[tuple(sorted(larger))].rank  # type: ignore[index]


@given(st.permutations([2, 3, 4]))
@settings(max_examples=6)
def test_any_order_of_letters_is_built(form):
    plan = construct((form[0], form[1], form[2]), [STRASSEN])
    built = plan.build()
    assert isinstance(built.target, MatrixProduct)
    assert built.target.format == tuple(form)
    verify(built)


def test_lineage_names_what_it_is_built_from():
    lines = construct("4x4x5", [STRASSEN]).lineage()
    assert lines[0].startswith("<4,4,5;")
    assert any(STRASSEN.digest[:12] in line for line in lines)
    assert all(line.strip() for line in lines)
    assert catalog.construct("2x2x5").build().provenance.configuration["lineage"]


def test_rings_narrow_the_choice(test_data):
    members = test_data / "schemes/alphatensor/factorizations_f2.npz"
    binary = load(members, "4,4,4")
    halves = load(test_data / "schemes/perminov/2x4x5_tensor.mpl")
    assert construct("4x4x4", [STRASSEN, binary]).rank == 49
    plan = construct("4x4x4", [STRASSEN, binary], "GF(2)")
    assert plan.rank == 47
    plan = construct("4x4x8", [STRASSEN, binary], "GF(2)")
    assert plan.rank == 94
    assert verify(plan.build()).ring == "GF(2)"
    assert construct("2x4x5", [halves], "Z").rank > 32 == construct("2x4x5", [halves], "Q").rank
    assert construct("2x4x5", [halves], "GF(2)").rank > 32
    assert verify(construct("2x4x5", [halves], "GF(3)").build()).rank == 32


def test_restriction_is_used_where_it_gains(test_data):
    large = load(test_data / "schemes/perminov/3x3x6_tensor.mpl")
    table = plans([large], limit=6)
    assert table[3, 3, 5].rank <= 40
    verify(construct("3x5x3", [large]).build())


def test_bad_formats_and_rings():
    for form, words in (("17x2x2", "sides up to 16"), ("2x2", "write it as"), ((0, 1, 2), "must lie in")):
        with pytest.raises(InvalidInput, match=words):
            construct(form, [])
    with pytest.raises(InvalidInput, match="ring 'R' is not understood"):
        construct("2x2x2", [], "R")


def test_the_table_of_best_ranks(test_data):
    import csv

    with (test_data / "best_ranks.csv").open() as stream:
        for row in csv.DictReader(stream):
            ring = {"Z2": "GF(2)", "Z3": "GF(3)"}.get(row["ring"], row["ring"])
            form = (int(row["p"]), int(row["n"]), int(row["m"]))
            assert best_known(form)[ring] == int(row["rank"])
    assert best_known((7, 7, 7)) == {}
    assert best_known((2, 5, 2)) == best_known("2x2x5")
    assert with_format(standard(2, 2, 5), (5, 2, 2)).rank == 20
