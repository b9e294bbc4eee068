"""Rules of the claims on structure (E06, E07, E09, G01, P01 to P04, X07)."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._verdicts import (
    Rule,
    all_of,
    at_least,
    at_most,
    by_construction,
    defined,
    exact_fact,
    greater,
    negated,
    within,
)

STRUCTURE: Final[dict[str, Rule]] = {
    "E06": all_of(
        exact_fact(
            "base scheme unique up to slots", no="exact schemes differ by more than slot order (by changes of basis)"
        ),
        exact_fact(
            "embedding unique up to slots",
            no="another embedding is as linear, exact and has the same singular values, but is no permutation of T",
        ),
    ),
    "E07": all_of(
        exact_fact("every file is exact", "every file rounds to an exact algorithm", "not every file rounds to one"),
        at_most("largest lattice distance", 1e-6),
        at_most("largest error", 1.43e-6),
    ),
    "E09": all_of(
        at_least("rank 7 and ternary, trained", 0.85),
        greater("confidence, trained", "confidence, untrained"),
    ),
    "G01": all_of(
        by_construction(
            exact_fact("scaling and slot order leave the map unchanged", "proven on every copy"),
            "scales of product 1 and a reordered sum leave any sum of products unchanged",
        ),
        at_most("dimension left", 1.0),
    ),
    "P01": negated(
        exact_fact(
            "the solutions found are one smooth orbit",
            "no open problem: the solutions are one orbit (de Groote 1978) of dimension 23, as found at every solution",
            "solutions outside Strassen's orbit, or with deformations beyond it",
        )
    ),
    "P02": negated(
        exact_fact(
            "the quotient of the solutions found is one point",
            "no open problem: sandwiching, scaling and slot order act, and the quotient is one point (de Groote 1978)",
            "more than one class of solutions",
        )
    ),
    "P03": defined(
        "T maps a space to itself",
        "T maps solutions of one size to solutions of a larger one; a fixed set needs an identification of the two, "
        "which is not given",
        within("equivariant", 1.0, 1.0),
    ),
    "P04": negated(
        exact_fact(
            "rounding is right up to 1/2 and wrong from there",
            "no open problem: the neighborhood is the max-norm ball of radius 1/2, larger where clamping helps",
            "rounding fails within 1/2 of the solution, or works beyond",
        )
    ),
    "X07": within("carried over", 1.0, 1.0),
}
