"""Rules of the claims on operators, fusion, growth and control (K08 to K11, C01 to C08)."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._verdicts import (
    Rule,
    all_of,
    at_least,
    at_most,
    by_construction,
    close_to,
    defined,
    exact_fact,
    greater,
    within,
)

CARRIES: Final = 2.0
"""Most that an error may grow on the finest grid, for an operator to transfer."""
FAILS: Final = 10.0
"""Growth of an error from which on a transfer fails."""
FUSED: Final = ("shared", "blind", "split")
SLACK: Final = 1.02
"""Error over the least possible at which a weight counts as optimal."""

TRANSFER: Final[dict[str, Rule]] = {
    "K08": all_of(
        *(at_most(f"{world}, growth, hops", CARRIES) for world in ("wave", "cyclotron")),
        *(at_least(f"{world}, growth, distances", FAILS) for world in ("wave", "cyclotron")),
        at_most("bound broken, compressed kernel", 0.0),
    ),
    "K09": close_to("ratio", 86.0, tolerance=0.5),
    "K10": all_of(
        *(at_most(f"over better, {name}", 1.0) for name in FUSED),
        *(at_most(f"over constant one half, {name}", 1.0) for name in FUSED),
        *(at_most(f"over persistence, {name}", 1.0) for name in FUSED),
    ),
    "K11": all_of(*(at_most(f"published over optimal, {name}", SLACK) for name in FUSED)),
    "C01": by_construction(
        all_of(
            at_least("right at every size", 0.3),
            exact_fact("random networks keep their outputs, too"),
            within("random", 0.45, 0.55),
            within("random core", 0.45, 0.55),
        ),
        "zeros in new places leave any function as it is, learned or not, and of all bits the parity is not learned",
    ),
    "C02": defined(
        "T applies to its own result",
        "T changes the dimension, so that T applied twice does not exist; crop(embed(f)) = f holds exactly",
        at_most("crop after embed", 0.0),
    ),
    "C03": all_of(at_most("published strength", 1.0), at_most("collapsed, source", 0.5)),
    "C04": defined(
        "choices of S_top freeze the same steps",
        "S_top(b1) is not defined, and choices of it freeze different steps; with one chosen, updates stop exactly",
        at_most("moved while frozen", 0.0),
    ),
    "C05": all_of(at_most("violation after", 0.01), exact_fact("PT symmetry keeps the spectrum real")),
    "C06": all_of(within("psi kept", 0.9, 1.1), at_least("connected", 0.9), at_most("moved while frozen", 0.0)),
    "C07": defined(
        "readings of I agree",
        "neither I nor C is defined, and whether dI/dt is about 0 depends on what is taken for I",
        at_most("change, loss", 0.01),
    ),
    "C08": defined(
        "one factor leads in every range",
        "'mainly' depends on the ranges of compute and data: what is carried decides while they are scarce, and "
        "nothing is left to decide where they are ample",
        all_of(greater("representation, short", "compute, short"), greater("representation, long", "compute, long")),
    ),
}
