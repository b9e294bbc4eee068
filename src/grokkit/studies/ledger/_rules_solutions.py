"""Rules of the claims on what training ends in (S04, S17, A09)."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._verdicts import (
    Rule,
    Verdict,
    all_of,
    at_least,
    at_most,
    by_construction,
    exact_fact,
    factor_has_effect,
    negated,
    prefixed,
)


def in_the_gauge(response: str) -> Rule:
    """What depends on the basis of a solution must not depend on the batch size."""
    return prefixed(
        "as algorithms the solutions are the same, but their weights are not",
        negated(factor_has_effect(f"p, {response}", f"effect, {response}", negligible=0.02)),
        Verdict.REFUTED,
    )


SOLUTIONS: Final[dict[str, Rule]] = {
    "S04": all_of(
        at_most("converged, 6", 0.05),
        at_most("exact, 6", 0.05),
        exact_fact("6 products cannot be exact", "7 products are needed, as is proven"),
    ),
    "S17": all_of(at_least("exact, AdamW", 0.95), at_least("exact, SGD", 0.95)),
    "A09": all_of(
        by_construction(
            exact_fact("one class at every batch size", "found at every batch size"),
            "all exact solutions of 7 products are one orbit (de Groote 1978), so what no gauge changes cannot differ",
        ),
        in_the_gauge("norm"),
        in_the_gauge("lattice_distance"),
    ),
}
