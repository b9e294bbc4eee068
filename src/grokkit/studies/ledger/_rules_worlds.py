"""Rules of the claims on worlds and on continuous symmetries (T01 to T06, X08)."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._verdicts import Rule, Verdict, all_of, at_least, at_most, negated, prefixed

TIMES: Final = 10.0
"""A model counts if its error is this many times smaller than that of every trivial baseline, as `grokkit.tasks` has
it (in worlds that are linear in their state: of persistence)."""
GROWTH: Final = 2.0
"""Most that the error may grow on the finest grid, for an operator to transfer."""
NEAR_ZERO: Final = 1e-3
"""Largest error that counts as near zero, over that of predicting zero."""
COMMUTES: Final = 1e-3
"""Largest squared failure to commute with shifts that are built in, over the squared change in a step."""

counts: Final = at_least("gain", TIMES)

WORLDS: Final[dict[str, Rule]] = {
    "T01": all_of(at_least("gain at 2048", TIMES), at_most("growth at 2048", GROWTH)),
    "T02": all_of(counts, at_least("gain, larger orbits", TIMES), at_least("gain, longer orbits", TIMES)),
    "T03": counts,
    "T04": counts,
    "T05": counts,
    "T06": all_of(counts, at_most("error", NEAR_ZERO)),
    "X08": prefixed(
        "no longer open, measured here",
        negated(
            all_of(
                at_least("orbit, gain", TIMES),
                at_least("orbit, commutes better", TIMES),
                at_least("wave, gain", TIMES),
                at_most("wave, defect", COMMUTES),
                at_least("parity, accuracy", 0.99),
            )
        ),
        Verdict.REFUTED,
    ),
}
