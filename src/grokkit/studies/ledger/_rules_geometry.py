"""Rules of the claims on noise of gradients, metrics and couplings (K01 to K07, K12 to K15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grokkit.studies.ledger._measurement import Measurement
from grokkit.studies.ledger._rules_variants import LITTLE, controlled
from grokkit.studies.ledger._verdicts import (
    Rule,
    Ruling,
    Verdict,
    all_of,
    any_of,
    at_least,
    at_most,
    close_to,
    named,
    rule,
    within,
)

CONSTANT: Final = 1.44e-4
RADIUS: Final = 5.7e7
UNCERTAINTY: Final = 0.006
READINGS: Final = ("batch size", "matrix size", "speed of light, m/s")
"""What c is taken for."""
STRETCHES: Final = ("0.1", "1", "10")
GROKS: Final = "some network groks and is seen to"


def full_rank(rank: str, of: str, then: Rule) -> Rule:
    """A metric below full rank has no inverse: undefined. Otherwise `then` decides."""

    @rule(figures=(rank, of))
    def decide(m: Measurement) -> Ruling:
        if m.figures[rank].interval[1] < m.figures[of].interval[0]:
            found = f"{named(m, rank)}, {named(m, of)}"
            return Ruling(Verdict.UNDEFINED, f"{found}: there is no inverse metric, and nothing that is made with it")
        return then(m)

    return Rule(decide.decide, (*dict.fromkeys((rank, of, *then.figures)),), then.facts)


def of_one_value(names: Sequence[str], why: str, then: Rule, *, tolerance: float = 0.01) -> Rule:
    """A quantity that is another one under every reading does not exist: undefined. Otherwise `then` decides."""

    @rule(figures=names)
    def decide(m: Measurement) -> Ruling:
        low = [m.figures[name].interval[0] for name in names]
        high = [m.figures[name].interval[1] for name in names]
        apart = max(low) - min(high)
        if apart > tolerance * max(abs(value) for value in (*low, *high)):
            return Ruling(Verdict.UNDEFINED, f"{'; '.join(named(m, name) for name in names)}: {why}")
        return then(m)

    return Rule(decide.decide, (*dict.fromkeys((*names, *then.figures)),), then.facts)


def agreed(ratio: str, why: str, then: Rule, *, most: float = 1.01) -> Rule:
    """A quantity whose readings are further apart than a factor `most` does not exist: undefined, where that is sure.

    Where the readings are surely closer, `then` decides.
    """

    @rule(figures=(ratio,))
    def decide(m: Measurement) -> Ruling:
        low, high = m.figures[ratio].interval
        if low > most:
            return Ruling(Verdict.UNDEFINED, f"{named(m, ratio)}: {why}")
        return then(m) if high <= most else Ruling(Verdict.OPEN, f"{named(m, ratio)}: too wide to tell")

    return Rule(decide.decide, (*dict.fromkeys((ratio, *then.figures)),), then.facts)


GEOMETRY: Final[dict[str, Rule]] = {
    "K01": all_of(
        at_least("inside at 4096", 0.95),
        within("at 16384 over at 4096", 0.9, 1.1),
        at_most("largest over smallest", 0.013 / 0.011),
    ),
    "K02": all_of(
        *(
            close_to(f"sigma/mu at {size}", stated, tolerance=0.25)
            for size, stated in ((1024, 0.089), (2048, 0.034), (4096, 0.012), (8192, 0.011))
        ),
        controlled(
            GROKS,
            "the positive control, modular addition, did not grok, so that the absence of grokking says nothing",
            all_of(
                at_most("grokked at 1024", LITTLE), at_least("grokked at 4096", 0.5), at_least("grokked at 8192", 0.5)
            ),
        ),
    ),
    "K03": all_of(at_least("bend", 0.5), within("B that fills 32 MiB", 2048, 8192)),
    "K04": all_of(at_least("spreads, exact weights", UNCERTAINTY), at_least("spreads, learned weights", UNCERTAINTY)),
    "K05": full_rank(
        "rank at the solution",
        "parameters",
        of_one_value(
            [f"curvature, ridge stretched by {stretch}" for stretch in STRETCHES],
            "the curvature that is left depends on how the metric is made invertible",
            close_to("coupling", CONSTANT, tolerance=0.01),
        ),
    ),
    "K06": all_of(
        at_least("gap over the bound, exact scheme", 1.0),
        at_least("gap over the bound, cyclotron", 1.0),
        close_to("bound at 1821", 0.00014, tolerance=0.05),
    ),
    "K07": any_of(*(close_to(f"radius, c a {reading}", RADIUS, tolerance=0.05) for reading in READINGS)),
    "K12": all_of(
        at_most("distance, same start and velocity", LITTLE),
        at_most("loss of the motion over that of the flow", 1.5),
    ),
    "K13": controlled(
        GROKS,
        "no network grokked, so that nothing is known of when one does",
        all_of(at_most("drift, drop over plateau", 1.0), at_most("crossover, drop over plateau", 1.0)),
    ),
    "K14": agreed(
        "readings of c, largest over smallest G",
        "c has no one meaning, and G goes with its fourth power",
        agreed(
            "cutoffs, largest over smallest G",
            "G depends on the cutoff of the pseudo-inverse",
            all_of(
                within("coupling at the end over halfway", 0.99, 1.01),
                close_to(f"coupling, c a {READINGS[0]}", CONSTANT, tolerance=0.01),
            ),
        ),
    ),
    "K15": controlled(
        "bilinear networks find schemes",
        "the positive control, bilinear networks, found no scheme either",
        at_least("exact scheme, message passing", 0.5),
    ),
}
