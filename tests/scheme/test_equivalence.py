import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.scheme import (
    Equivalence,
    Inequivalent,
    Ring,
    Scheme,
    Undecided,
    compose,
    equivalent,
    expand,
    sandwiched,
    stabilizer,
    verify,
)
from grokkit.scheme import _equivalence as internals
from grokkit.scheme.catalog import catalog, standard
from strategies import gauges

STRASSEN = catalog["strassen"]


def rescaled(scheme, scales):
    """Scale the slots by (λ, μ, 1/(λμ))."""
    u, v, w = scheme.fractions()
    columns = list(zip(*w, strict=True))
    return Scheme.from_rationals(
        scheme.target,
        [[x * s for x in row] for row, (s, _) in zip(u, scales, strict=True)],
        [[x * t for x in row] for row, (_, t) in zip(v, scales, strict=True)],
        list(
            zip(
                *([x / (s * t) for x in col] for col, (s, t) in zip(columns, scales, strict=True)),
                strict=True,
            )
        ),
    )


nonzero = st.fractions(min_value=-3, max_value=3, max_denominator=3).filter(bool)


@settings(max_examples=30)
@given(
    gauges((2, 2, 2)),
    gauges((2, 2, 2)),
    st.permutations(range(7)),
    st.lists(st.tuples(nonzero, nonzero), min_size=7, max_size=7),
)
def test_de_groote(first, second, order, scales):
    """Any two <2,2,2;7> schemes are one algorithm, and the basis change found carries one to the other."""
    a = sandwiched(STRASSEN, *first)
    b = rescaled(sandwiched(catalog["winograd"], *second).permuted(order), scales)
    verify(b)
    answer = equivalent(a, b)
    assert isinstance(answer, Equivalence)
    assert answer.apply(a) == b
    for scale in answer.scales:
        assert scale[0] * scale[1] * scale[2] == 1
    assert sorted(answer.permutation) == list(range(7))


def test_it_says_more_than_yes():
    answer = equivalent(STRASSEN, catalog["winograd"])
    assert str(answer).startswith("equivalent: P = [")
    assert "slots -> " in str(answer)


def test_other_ranks_and_formats_differ():
    assert not equivalent(STRASSEN, standard(2, 2, 2))
    assert equivalent(STRASSEN, standard(2, 2, 2)).invariant == "ranks 7 and 8"
    assert isinstance(equivalent(STRASSEN, standard(2, 2, 3)), Inequivalent)


def direct_sum(pieces):
    """Schemes of one format added along the inner axis: C = Σ A_i B_i."""
    n, _, p = pieces[0].target.format
    total = sum(piece.target.format[1] for piece in pieces)
    target = standard(n, total, p).target
    u, v, w, start = [], [], [], 0
    for piece in pieces:
        m = piece.target.format[1]
        for r in range(piece.rank):
            a = np.zeros((n, total), dtype=int)
            a[:, start : start + m] = piece.U[r].reshape(n, m)
            b = np.zeros((total, p), dtype=int)
            b[start : start + m] = piece.V[r].reshape(m, p)
            u.append(a.ravel().tolist())
            v.append(b.ravel().tolist())
        w.append(piece.W)
        start += m
    return Scheme(target, u, v, np.concatenate(w, axis=1))


def test_sums_along_the_inner_axis():
    a = direct_sum([STRASSEN, standard(2, 1, 2)])
    # the same count of products from a sum in the other order is the same algorithm
    b = direct_sum([standard(2, 1, 2), STRASSEN])
    verify(a), verify(b)
    assert not isinstance(equivalent(a, b), Inequivalent)
    # two <2,4,2;15>: the ranks of the factor matrices agree, their incidence does not
    left = direct_sum([STRASSEN, standard(2, 2, 2)])
    right = compose(standard(1, 2, 1), STRASSEN)
    assert isinstance(equivalent(left, right), Inequivalent)
    same_rank = direct_sum([STRASSEN, STRASSEN])
    assert not isinstance(equivalent(same_rank, right), Inequivalent)


def test_a_broken_scheme_is_not_equivalent():
    wrong = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, -STRASSEN.W)
    assert isinstance(equivalent(STRASSEN, wrong), Inequivalent)
    w = np.array(STRASSEN.W)
    w[0, 0] = 0
    assert isinstance(equivalent(STRASSEN, Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, w)), Inequivalent)


def test_what_frames_do_not_fix_is_undecided_never_guessed():
    plain = standard(2, 2, 2)
    moved = sandwiched(plain, [[1, 2], [3, 4]], [[1, 1], [0, 1]], [[2, 1], [1, 1]])
    answer = equivalent(plain, moved)
    assert isinstance(answer, Undecided)
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(answer)
    # within reach even so: a permutation of the basis
    assert equivalent(plain, plain.permuted([3, 1, 0, 2, 7, 6, 5, 4]))


def test_other_rings_are_undecided():
    modular = Scheme(STRASSEN.target, abs(STRASSEN.U), abs(STRASSEN.V), abs(STRASSEN.W), ring=Ring.parse("GF(2)"))
    assert isinstance(equivalent(modular, modular), Undecided)
    assert isinstance(stabilizer(modular), Undecided)


def test_slots_that_coincide_are_undecided():
    doubled = Scheme(
        STRASSEN.target,
        np.concatenate([STRASSEN.U, STRASSEN.U[:1]]),
        np.concatenate([STRASSEN.V, STRASSEN.V[:1]]),
        np.concatenate([STRASSEN.W, 0 * STRASSEN.W[:, :1]], axis=1),
    )
    assert not isinstance(equivalent(doubled, doubled), Inequivalent)


def test_budgets_end_in_undecided(monkeypatch):
    monkeypatch.setattr(internals, "FRAME_BUDGET", 1)
    monkeypatch.setattr(internals, "TRIPLE_BUDGET", 1)
    answer = equivalent(STRASSEN, catalog["winograd"])
    assert isinstance(answer, Undecided | Equivalence)
    assert isinstance(stabilizer(STRASSEN), Undecided)


def test_the_stabilizer_is_a_group_of_order_six():
    group = stabilizer(STRASSEN)
    assert len(group) == 6
    for element in group:
        assert element.apply(STRASSEN) == STRASSEN
    permutations = {element.permutation for element in group}
    assert len(permutations) == 6
    for x, y in itertools.product(permutations, repeat=2):
        assert tuple(x[y[s]] for s in range(7)) in permutations
    assert len(stabilizer(sandwiched(STRASSEN, [[1, 2], [3, 4]], [[1, 1], [0, 1]], [[2, 1], [1, 1]]))) == 6


def test_larger_formats():
    a = compose(STRASSEN, standard(1, 1, 2))
    b = compose(catalog["winograd"], standard(1, 1, 2))
    assert isinstance(equivalent(a, b), Equivalence | Undecided)
    assert isinstance(equivalent(expand(STRASSEN, 2), standard(4, 4, 4)), Inequivalent)
