"""Rules of the claims on batch size and on the signs of discretization (A04 to A08, A10, X05, X06)."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._verdicts import (
    Rule,
    Verdict,
    all_of,
    at_least,
    at_most,
    exact_fact,
    greater,
    negated,
    prefixed,
)

BATCH: Final[dict[str, Rule]] = {
    "A04": at_least("best cell", 0.25),
    "A05": all_of(at_least("near 1", 0.5), at_most("auc", 0.65)),
    "A06": all_of(at_least("auc", 0.6), at_least("gain", 0.0)),
    "A07": all_of(at_most("inside less outside", -0.1), at_least("auc", 0.6)),
    "A08": all_of(at_most("spread inside", 0.33), exact_fact("the largest step lies inside")),
    "A10": all_of(at_least("auc", 0.6), at_least("gain", 0.0)),
    "X05": prefixed(
        "no longer open, measured here",
        negated(
            all_of(
                exact_fact("batch size is separated from steps, samples and rate"),
                greater("eta squared, equal samples", "eta squared, rate linear in B"),
            )
        ),
        Verdict.REFUTED,
    ),
    "X06": prefixed(
        "no longer open, measured here",
        negated(all_of(at_least("full, converged", 0.8), at_most("plain, converged", 0.3))),
        Verdict.REFUTED,
    ),
}
