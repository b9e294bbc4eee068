"""Rules of the claims on noise, memory and speed (N01, M01, B01 to B04)."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._verdicts import Rule, Verdict, all_of, at_most, close_to, prefixed, within

SPEED_TOLERANCE: Final = 0.1
"""Share of a stated speedup within which a measured one agrees."""


def speedup(size: int, threads: str, stated: float) -> Rule:
    """The measured speedup agrees with the stated one; without that size the claim stays open."""
    agrees = close_to(f"speedup at {size}, {threads}", stated, tolerance=SPEED_TOLERANCE)
    return prefixed("with this package's product on the machine named", agrees, Verdict.REFUTED)


NUMERICS: Final[dict[str, Rule]] = {
    "N01": all_of(*(at_most(f"exact weights, {sigma}", 0.05) for sigma in (0.001, 0.005, 0.01, 0.05, 0.1))),
    "M01": all_of(
        within("parameters", 384.0, 384.0),
        within("optimizer", 768.0, 768.0),
        close_to("per sample", 320.0, tolerance=0.25),
        close_to("counted at 128", 41.1, tolerance=0.005),
        close_to("counted at 1024", 321.1, tolerance=0.005),
        at_most("share of L3", 1.0),
    ),
    "B01": speedup(8192, "one thread", 1.95),
    "B02": speedup(8192, "all threads", 0.52),
    "B03": all_of(
        speedup(2048, "one thread", 0.98), speedup(4096, "one thread", 1.13), speedup(8192, "one thread", 1.95)
    ),
    "B04": all_of(
        speedup(2048, "one thread", 1.01), speedup(4096, "one thread", 0.99), speedup(8192, "one thread", 1.06)
    ),
}
