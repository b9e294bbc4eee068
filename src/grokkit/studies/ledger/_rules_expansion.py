"""Rules of the claims on expansion (E01 to E05, E08)."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._measurement import Measurement
from grokkit.studies.ledger._verdicts import (
    Rule,
    Ruling,
    Verdict,
    all_of,
    any_of,
    at_most,
    by_construction,
    close_to,
    exact_fact,
    negated,
    within,
)

SIZES: Final = (2, 4, 8, 16, 32, 64)
LAWS: Final = ("Gaussian", "uniform [0, 1]", "uniform [-1, 1]")


def by_law(rules: dict[str, Rule]) -> Rule:
    """The documents do not name the law of the matrices: the claim holds if it does for one; the reason names all."""

    def decide(m: Measurement) -> Ruling:
        verdict = any_of(*rules.values())(m).verdict
        groups: dict[Verdict, list[str]] = {}
        for law, each in rules.items():
            groups.setdefault(each(m).verdict, []).append(law)
        first = next(each(m).reason for each in rules.values() if each(m).verdict == verdict)
        if verdict == Verdict.OPEN and len(groups) == 1:
            return Ruling(verdict, first)
        shown = "; ".join(f"{name} for matrices {', '.join(laws)}" for name, laws in groups.items())
        return Ruling(verdict, f"{shown}. {first}")

    return Rule(decide, tuple(dict.fromkeys(name for each in rules.values() for name in each.figures)))


EXPANSION: Final[dict[str, Rule]] = {
    "E01": by_law(
        {
            law: all_of(
                *(at_most(f"{name}, {law}, {size}", 2e-6) for name in ("Strassen", "learned") for size in SIZES)
            )
            for law in LAWS
        }
    ),
    "E02": by_law(
        {
            law: any_of(
                *(
                    all_of(*(within(f"stated / {kind}, {law}, {size}", 1 / 3, 3.0) for size in SIZES))
                    for kind in ("typical", "worst")
                )
            )
            for law in LAWS
        }
    ),
    "E03": by_construction(
        all_of(
            exact_fact("commutes exactly over the integers", no="it does not commute over the integers"),
            exact_fact("random coefficients do, too", no="it does not commute for random coefficients"),
        ),
        "the recursion applies one bilinear map at every level, so it commutes for any coefficients, right or wrong",
    ),
    "E04": any_of(
        all_of(
            exact_fact("only the identity is exact (coherent)", no="every coherent permutation is exact"),
            close_to("error, coherent", 0.74, tolerance=0.1),
        ),
        all_of(
            exact_fact("only the identity is exact (one factor)"),
            any_of(*(close_to(f"error, {side} alone", 0.74, tolerance=0.1) for side in "UVW")),
        ),
    ),
    "E05": all_of(
        at_most("spectrum_in_order", 1e-6),
        at_most("isometry", 1e-9),
        at_most("normalized norm", 1e-9),
    ),
    "E08": negated(
        exact_fact(
            "a bound is known and holds",
            "a proven bound for every scheme, size and type, which every measured error respects",
            "an error above the bound",
        )
    ),
}
