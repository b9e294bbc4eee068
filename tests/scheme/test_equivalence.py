import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.scheme import (
    Equivalence,
    Inequivalent,
    Q,
    Ring,
    Scheme,
    Target,
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
from strategies import exact_schemes, gauges, tiny_formats

STRASSEN = catalog["strassen"]
nonzero = st.fractions(min_value=-3, max_value=3, max_denominator=3).filter(bool)


class Product(Target):
    """c = a b for single numbers, as a target of another kind."""

    shape = (1, 1, 1)
    nonzeros = 1
    name = "<product>"
    entries = (np.array([[0, 0, 0]]), np.array([1]))

    def variable(self, side, index, latex=False):
        return "abc"[side]

    def to_json(self):
        return {"kind": "product"}


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


def with_slots(scheme, extra):
    """The scheme with more slots (u, v, w)."""
    return Scheme(
        scheme.target,
        scheme.U.tolist() + [u for u, _, _ in extra],
        scheme.V.tolist() + [v for _, v, _ in extra],
        [row + [w[k] for _, _, w in extra] for k, row in enumerate(scheme.W.tolist())],
    )


vectors = st.one_of(st.just([0, 0, 0, 0]), st.lists(st.integers(-2, 2), min_size=4, max_size=4))


@settings(max_examples=40)
@given(st.data(), st.lists(st.tuples(vectors, vectors, vectors), min_size=1, max_size=2))
def test_zero_and_repeated_slots_are_never_called_inequivalent(data, extra):
    """Where a factor is zero, the scale of its slot is free."""
    extra += data.draw(st.sampled_from([[], extra[:1]]))
    a = with_slots(STRASSEN, extra)
    scales = data.draw(st.lists(st.tuples(nonzero, nonzero), min_size=a.rank, max_size=a.rank))
    b = rescaled(a, scales)
    u, v, w = b.fractions()
    for s in range(7, a.rank):  # the product of the scales of a slot that contributes nothing is free too
        if not any(a.U[s]) or not any(a.V[s]) or not any(a.W[:, s]):
            v[s] = [x * 3 for x in v[s]]
    b = Scheme.from_rationals(a.target, u, v, w).permuted(data.draw(st.permutations(range(a.rank))))
    b = sandwiched(b, *data.draw(gauges((2, 2, 2))))
    answer = equivalent(a, b)
    assert isinstance(answer, Equivalence)
    assert answer.apply(a) == b
    assert all(x * y * z == 1 for x, y, z in answer.scales)


def test_a_zero_factor_leaves_its_scale_free():
    a = with_slots(STRASSEN, [([0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0])])
    b = with_slots(STRASSEN, [([0, 0, 0, 0], [2, 0, 0, 0], [1, 0, 0, 0])])
    assert equivalent(a, b).apply(a) == b
    assert len(stabilizer(with_slots(STRASSEN, [([0, 0, 0, 0],) * 3] * 2))) == 6
    tripled = with_slots(STRASSEN, [([1, 0, 0, 0], [2, 0, 0, 0], [1, 0, 0, 0])])
    plain = with_slots(STRASSEN, [([1, 0, 0, 0], [3, 0, 0, 0], [1, 0, 0, 0])])
    assert isinstance(equivalent(tripled, plain), Inequivalent)


@settings(max_examples=30)
@given(exact_schemes(tiny_formats), st.booleans())
def test_every_scheme_is_itself_in_another_slot_order(scheme, rational):
    """Whatever the frames, the identity is tried; and the ring of the second scheme is kept."""
    b = scheme.permuted(list(reversed(range(scheme.rank))))
    b = Scheme(b.target, b.U, b.V, b.W, b.denominators, Q if rational else None)
    answer = equivalent(scheme, b)
    assert isinstance(answer, Equivalence)
    assert answer.apply(scheme) == b


def test_no_slots_at_all():
    empty = Scheme(STRASSEN.target, [], [], [[], [], [], []])
    assert equivalent(empty, empty).apply(empty) == empty


def test_integer_factors_over_the_rationals():
    over_q = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, STRASSEN.W, ring=Q)
    for a, b in itertools.product((STRASSEN, over_q), (over_q, STRASSEN)):
        assert equivalent(a, b).apply(a) == b
    assert all(element.apply(over_q) == over_q for element in stabilizer(over_q))


def test_other_targets_are_undecided():
    scheme = Scheme(Product(), [[1]], [[1]], [[1]])
    assert isinstance(equivalent(scheme, scheme), Undecided)
    assert isinstance(equivalent(scheme, standard(1, 1, 1)), Undecided)
    assert isinstance(stabilizer(scheme), Undecided)


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
    # within reach even so: another order of the slots
    assert equivalent(plain, plain.permuted([3, 1, 0, 2, 7, 6, 5, 4]))


def test_other_rings_are_undecided():
    modular = Scheme(STRASSEN.target, abs(STRASSEN.U), abs(STRASSEN.V), abs(STRASSEN.W), ring=Ring.parse("GF(2)"))
    assert isinstance(equivalent(modular, modular), Undecided)
    assert isinstance(stabilizer(modular), Undecided)


def test_slots_that_coincide_are_matched():
    doubled = Scheme(
        STRASSEN.target,
        np.concatenate([STRASSEN.U, STRASSEN.U[:1]]),
        np.concatenate([STRASSEN.V, STRASSEN.V[:1]]),
        np.concatenate([STRASSEN.W, 0 * STRASSEN.W[:, :1]], axis=1),
    )
    moved = sandwiched(doubled.permuted([7, *range(7)]), [[1, 2], [3, 4]], [[1, 1], [0, 1]], [[2, 1], [1, 1]])
    assert equivalent(doubled, moved).apply(doubled) == moved


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
