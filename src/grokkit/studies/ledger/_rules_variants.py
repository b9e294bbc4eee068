"""Rules of the claims on grokking, minima, noise, caches, and comparisons that the source had not made."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._measurement import Measurement
from grokkit.studies.ledger._verdicts import (
    Rule,
    Ruling,
    Verdict,
    all_of,
    at_least,
    at_most,
    close_to,
    exact_fact,
    greater,
    negated,
    prefixed,
    rule,
    within,
)

LITTLE: Final = 0.05
"""A share that counts as none."""
ABOVE_CHANCE: Final = 0.55
"""An area under the ROC curve below this counts as chance."""


def controlled(fact: str, missing: str, then: Rule) -> Rule:
    """Where the positive control failed, nothing is decided."""

    @rule(facts=(fact,))
    def decide(m: Measurement) -> Ruling:
        return then(m) if m.facts[fact] is True else Ruling(Verdict.OPEN, missing)

    return Rule(decide.decide, then.figures, (fact, *then.facts))


def made_here(fact: str) -> Rule:
    """A claim that something is not done yet: refuted once it is."""
    return negated(exact_fact(fact, "no longer open: measured here", "not measured"))


def published_too(fact: str, refuted: str, then: Rule) -> Rule:
    """`then` decides, unless a published file was at hand and contradicts."""

    @rule(facts=(fact,))
    def decide(m: Measurement) -> Ruling:
        trained = then(m)
        if m.facts[fact] is False:
            return Ruling(Verdict.REFUTED, f"{refuted}; of networks trained here: {trained.reason} ({trained.verdict})")
        return trained

    return Rule(decide.decide, then.figures, (fact, *then.facts))


VARIANTS: Final[dict[str, Rule]] = {
    "S10": controlled(
        "the detector sees grokking where there is some",
        "the positive control, modular addition, did not grok, so that the absence of grokking elsewhere says nothing",
        all_of(
            at_least("grokked, B = 32", 0.5),
            close_to("epoch, B = 32", 450.0, tolerance=0.5),
            at_most("grokked, B = 512", LITTLE),
        ),
    ),
    "S13": all_of(at_least("low loss, as published", 0.5), at_most("the algorithm, 7 slots", 0.5)),
    "S14": all_of(at_least("auc, distance", ABOVE_CHANCE), at_most("distance, exact less others", 0.0)),
    "S15": prefixed(
        "where success asks for every output",
        all_of(
            at_least("success without noise, equal outputs", 0.5),
            at_most("success with most noise, equal outputs", 0.2),
            greater("threshold, equal outputs", "threshold, one weak output"),
            within("threshold, one weak output over all weak", 0.5, 2.0),
        ),
        Verdict.REPRODUCED,
    ),
    "S16": published_too(
        "published robust weights compute the product",
        "the published weights of the robust training explain next to nothing of the product",
        at_least("keeps rank 7, noise 0.01", 0.5),
    ),
    "M02": all_of(
        within("B that fills 32 KiB", 32.0, 64.0),
        within("B that fills 256 KiB", 64.0, 128.0),
        at_least("time at 1024 over 128", 1.0),
        at_least("learned at best inside less outside", 0.0),
    ),
    "X02": made_here("compared with fine-tuning"),
    "X03": made_here("measured on a GPU"),
    "X04": made_here("compared with meta-learning"),
}
