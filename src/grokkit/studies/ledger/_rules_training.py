"""Rules of the claims on how often training succeeds, and on what that depends."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._verdicts import (
    Rule,
    Verdict,
    all_of,
    any_of,
    at_least,
    at_most,
    close_to,
    exact_fact,
    factor_has_effect,
    interval_excludes,
    negated,
    prefixed,
    share_agrees,
)

STATED: Final = 133 / 195
LITTLE: Final = 0.05
"""A share that counts as none, and a difference of shares that counts as none."""

TRAINING: Final[dict[str, Rule]] = {
    "S01": share_agrees("exact", STATED),
    "S02": all_of(at_least("exact, inside", STATED / 2), at_most("exact, outside", LITTLE)),
    "S03": at_most("rank 7, no pruning", LITTLE),
    "S05": all_of(at_least("learned, 9 slots, no pruning", 0.5), at_most("exact, 9 slots, no pruning", LITTLE)),
    "S06": prefixed(
        "there is no success that length could bring",
        any_of(at_least("exact, as published", STATED / 2), at_least("exact, 2000 epochs", STATED / 2)),
        Verdict.REFUTED,
    ),
    "S07": interval_excludes("exact gained by decay", 0.0, negligible=LITTLE),
    "S08": interval_excludes("exact gained by start", 0.0, negligible=LITTLE),
    "S09": at_least("within 0.1", 0.95),
    "S11": close_to("variation", 0.012, tolerance=0.5),
    "S12": at_least("exact", 0.5),
    "A01": share_agrees("eta squared", 0.244, widest=0.3),
    "A02": share_agrees("eta squared", 0.044, widest=0.1),
    "A03": negated(factor_has_effect("p", "eta squared", negligible=0.06)),
    "A11": any_of(at_least("flips, native, float64", 0.01), at_least("flips, torch, float32", 0.01)),
    "L01": at_most("exact, 23", LITTLE),
    "X01": negated(exact_fact("odds ratios are measured", "no longer open: measured here", "not measured")),
}
