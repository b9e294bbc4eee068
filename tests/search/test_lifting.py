"""Linear systems modulo 2 and 3, and lifting to Z and Q."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit import _native
from grokkit.scheme import InvalidInput, MatrixProduct, Ring, Scheme
from grokkit.scheme.catalog import catalog, standard
from grokkit.search._elimination import Eliminated
from grokkit.search._lifting import lift, reconstructed
from grokkit.search._packed import standard_packed, to_scheme
from grokkit.search._walk import walk
from independent import independent_check


def modulo(scheme: Scheme, p: int) -> Scheme:
    return Scheme(scheme.target, scheme.U, scheme.V, scheme.W, ring=Ring.parse(f"GF({p})"))


@given(seed=st.integers(0, 2**32), p=st.sampled_from([2, 3]))
@settings(deadline=None)
def test_systems_are_solved_or_have_no_solution(seed, p):
    generator = np.random.default_rng(seed)
    equations, unknowns, inner = (int(x) for x in generator.integers(1, 150, 3))
    matrix = generator.integers(0, p, (equations, inner)) @ generator.integers(0, p, (inner, unknowns)) % p
    order = generator.permutation(unknowns)
    eliminated = Eliminated(matrix, order, p)
    right = matrix @ generator.integers(0, p, unknowns) % p
    solution = eliminated.solve(right)
    assert solution is not None
    assert not ((matrix @ solution - right) % p).any()
    assert not solution[eliminated.free()].any()
    # pivots are the first columns, in the order given, that are independent of those before
    assert Eliminated(matrix[:, eliminated.pivots], np.arange(eliminated.rank), p).rank == eliminated.rank
    other = generator.integers(0, p, equations)
    solution = eliminated.solve(other)
    bordered = np.column_stack([matrix, other])
    solvable = Eliminated(bordered, np.arange(unknowns + 1), p).rank == eliminated.rank
    assert (solution is not None) == solvable
    if solution is not None:
        assert not ((matrix @ solution - other) % p).any()


@given(st.fractions(min_value=-500, max_value=500, max_denominator=500), st.sampled_from([2, 3]))
def test_fractions_are_reconstructed(fraction, p):
    if fraction.denominator % p == 0:
        return
    modulus = p**40
    residue = fraction.numerator * pow(fraction.denominator, -1, modulus) % modulus
    assert reconstructed(residue, modulus) == fraction


def test_no_fraction_is_made_up():
    assert reconstructed(3, 8) is None
    assert reconstructed(0, 8) == Fraction(0)


@pytest.mark.parametrize("p", [2, 3])
@pytest.mark.parametrize("name", ["strassen", "winograd"])
def test_known_schemes_lift(name, p):
    start = modulo(catalog[name], p)
    lifted = lift(start, prefer="Q")
    assert lifted.scheme is not None
    assert independent_check(lifted.scheme)
    again = Scheme(
        start.target,
        *(
            (x.astype(object) * pow(d, -1, p)) % p
            for x, d in zip(
                (lifted.scheme.U, lifted.scheme.V, lifted.scheme.W), lifted.scheme.denominators, strict=True
            )
        ),
        ring=start.ring,
    )
    assert again == start  # it reduces to what it came from


@pytest.mark.skipif(_native.load() is None, reason="no native core")
def test_found_schemes_lift():
    target = MatrixProduct(2, 3, 3)
    found = walk(
        [standard_packed(target)] * 8,
        np.arange(8, dtype=np.uint64),
        np.full(8, 3000),
        ring="GF(2)",
        entries=9,
        steps=10**6,
        target=15,
    )
    outcomes = []
    for packed in found.schemes:
        if packed.shape[1] == 15:
            lifted = lift(to_scheme(packed, target, "GF(2)"), tries=3, prefer="Z")
            outcomes.append(lifted.outcome)
            if lifted.scheme is not None:
                assert independent_check(lifted.scheme)
                assert lifted.scheme.rank == 15
    assert set(outcomes) & {"ternary", "Z"}


def test_a_scheme_that_holds_modulo_2_only_is_obstructed():
    """A product of a single entry by itself, taken three times: 3 = 1 modulo 2; and one that cannot be mended modulo
    4.
    """
    target = MatrixProduct(1, 1, 1)
    thrice = Scheme(target, [[1], [1], [1]], [[1], [1], [1]], [[1, 1, 1]], ring=Ring.parse("GF(2)"))
    lifted = lift(thrice)
    assert lifted.scheme is not None
    assert independent_check(lifted.scheme)


def test_what_cannot_be_lifted_is_refused():
    with pytest.raises(InvalidInput, match=r"lifting starts over GF\(2\) or GF\(3\), not over Z"):
        lift(standard(2, 2, 2))
    wrong = standard(2, 2, 2)
    u = wrong.U.copy()
    u[0, 0] = 0
    with pytest.raises(InvalidInput, match=r"not lifted, it does not hold over GF\(2\)"):
        lift(Scheme(wrong.target, u, wrong.V, wrong.W, ring=Ring.parse("GF(2)")))
    with pytest.raises(InvalidInput, match="tries is 0"):
        lift(modulo(wrong, 2), tries=0)
    with pytest.raises(InvalidInput, match="prefer 'R'"):
        lift(modulo(wrong, 2), prefer="R")
