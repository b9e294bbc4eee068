"""Verdicts, and the parts that rules are made of. A verdict follows from a measurement and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from grokkit.studies.ledger._measurement import UNMEASURED, Figure, Measurement

SHOWN: Final = 3
"""Parts of a claim whose reasons are given; of others the number."""


class Verdict(StrEnum):
    """What a measurement says of a claim."""

    REPRODUCED = "reproduced"
    REFUTED = "refuted"
    TAUTOLOGICAL = "tautological"
    """It holds by construction, whatever is measured."""
    UNDEFINED = "undefined"
    """What is claimed has no meaning until something is defined."""
    OPEN = "open"
    """Not measured, or too little to tell."""


@final
@dataclass(frozen=True)
class Ruling:
    """A verdict and its reason, in one sentence."""

    verdict: Verdict
    reason: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


@final
@dataclass(frozen=True)
class Rule:
    """Decides a claim from a measurement, by the figures and facts that it names.

    Laws: it answers every well-formed measurement and raises on none; a figure or fact that is not there leaves the
    claim open; the same measurement gets the same ruling.
    """

    decide: Callable[[Measurement], Ruling]
    figures: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    def __call__(self, measurement: Measurement) -> Ruling:
        return self.decide(measurement)


def rule(
    figures: Sequence[str] = (), facts: Sequence[str] = (), *, none_is_open: bool = False
) -> Callable[[Callable[[Measurement], Ruling]], Rule]:
    """Make a function a rule. It is asked only when all named figures have values and all named facts are there.

    A figure without a value makes the claim undefined (open with `none_is_open`), with the figure's reason.
    """

    def wrap(decide: Callable[[Measurement], Ruling]) -> Rule:
        def checked(measurement: Measurement) -> Ruling:
            reason = measurement.facts.get(UNMEASURED)
            if reason is not None:
                return Ruling(Verdict.OPEN, f"not measured: {reason}")
            for name in figures:
                if name not in measurement.figures:
                    return Ruling(Verdict.OPEN, f"the {measurement.scale} measurement has no figure {name!r}")
            for name in facts:
                if name not in measurement.facts:
                    return Ruling(Verdict.OPEN, f"the {measurement.scale} measurement does not say {name!r}")
            for name in figures:
                figure = measurement.figures[name]
                if figure.value is None:
                    kind = Verdict.OPEN if none_is_open else Verdict.UNDEFINED
                    return Ruling(kind, f"{figure.what or name} has no value: {figure.reason}")
            return decide(measurement)

        return Rule(checked, tuple(figures), tuple(facts))

    return wrap


def named(measurement: Measurement, name: str) -> str:
    """A figure as a reason shows it: ``share of exact runs: 0.01 [0, 0.02], n = 195``."""
    figure = measurement.figures[name]
    return f"{figure.what or name}: {figure}"


def share_agrees(name: str, stated: float, *, widest: float = 0.2) -> Rule:
    """A stated share or mean against a measured interval: outside it is refuted; inside, reproduced.

    An interval wider than `widest` that holds the stated value tells nothing: open, with the n that would tell.
    """

    @rule(figures=(name,))
    def decide(m: Measurement) -> Ruling:
        low, high = m.figures[name].interval
        if not low <= stated <= high:
            return Ruling(Verdict.REFUTED, f"{named(m, name)}, which excludes the stated {stated:g}")
        if high - low > widest:
            return Ruling(
                Verdict.OPEN, f"{named(m, name)}: too wide to tell{_enough(m.figures[name], (high - low) / widest)}"
            )
        return Ruling(Verdict.REPRODUCED, f"{named(m, name)}, which holds the stated {stated:g}")

    return decide


def within(name: str, least: float, most: float, described: str = "") -> Rule:
    """The figure lies in [least, most]: reproduced if its interval is inside, refuted if outside, else open."""

    @rule(figures=(name,))
    def decide(m: Measurement) -> Ruling:
        low, high = m.figures[name].interval
        bounds = described or _bounds(least, most)
        if least <= low and high <= most:
            return Ruling(Verdict.REPRODUCED, f"{named(m, name)}, {bounds}")
        if high < least or low > most:
            return Ruling(Verdict.REFUTED, f"{named(m, name)}, not {bounds}")
        ends = [end for end in (least, most) if low <= end <= high]
        middle = (low + high) / 2
        distance = min((abs(middle - end) for end in ends), default=0.0)
        ratio = (high - low) / 2 / distance if distance else math.inf
        return Ruling(
            Verdict.OPEN,
            f"{named(m, name)}: the interval reaches across {_ends(ends)}{_enough(m.figures[name], ratio)}",
        )

    return decide


def at_most(name: str, limit: float) -> Rule:
    """The figure is `limit` or less."""
    return within(name, -math.inf, limit)


def at_least(name: str, limit: float) -> Rule:
    """The figure is `limit` or more."""
    return within(name, limit, math.inf)


def close_to(name: str, stated: float, *, tolerance: float) -> Rule:
    """The figure is `stated` within a share `tolerance` of it (within `tolerance` itself, for a stated 0)."""
    margin = tolerance * (abs(stated) or 1.0)
    share = f"within {100 * tolerance:g} % of the stated {stated:g}"
    described = share if stated else f"within {tolerance:g} of the stated 0"
    return within(name, stated - margin, stated + margin, described)


def interval_excludes(name: str, value: float, *, negligible: float = 0.0) -> Rule:
    """The figure differs from `value`: reproduced if its interval excludes it by more than `negligible`.

    Refuted if the whole interval is within `negligible` of the value; otherwise open: that a difference is not
    significant does not show that there is none.
    """

    @rule(figures=(name,))
    def decide(m: Measurement) -> Ruling:
        low, high = m.figures[name].interval
        if low > value + negligible or high < value - negligible:
            return Ruling(Verdict.REPRODUCED, f"{named(m, name)}, which excludes {value:g}")
        if value - negligible <= low and high <= value + negligible:
            return Ruling(Verdict.REFUTED, f"{named(m, name)}, within {negligible:g} of {value:g}")
        return Ruling(Verdict.OPEN, f"{named(m, name)}, which does not exclude {value:g}")

    return decide


def greater(name: str, other: str) -> Rule:
    """One figure lies above another: decided where their intervals do not overlap."""

    @rule(figures=(name, other))
    def decide(m: Measurement) -> Ruling:
        (low, high), (other_low, other_high) = m.figures[name].interval, m.figures[other].interval
        both = f"{named(m, name)}; {named(m, other)}"
        if low > other_high:
            return Ruling(Verdict.REPRODUCED, f"{both}: the first is larger")
        if high < other_low or low == high == other_low == other_high:
            return Ruling(Verdict.REFUTED, f"{both}: the first is not larger")
        return Ruling(Verdict.OPEN, f"{both}: the intervals overlap{_enough(m.figures[name], 2.0)}")

    return decide


def beats_baselines(name: str, *, lower_is_better: bool = True) -> Rule:
    """A model against every trivial baseline of the measurement: its interval must lie on the better side of all."""

    @rule(figures=(name,))
    def decide(m: Measurement) -> Ruling:
        low, high = m.figures[name].interval
        if not m.baselines:
            return Ruling(Verdict.OPEN, f"{named(m, name)}, but there is no baseline to compare it with")
        unsure = ""
        for baseline, figure in m.baselines.items():
            if figure.value is None:
                unsure = unsure or f"baseline {baseline} has no value: {figure.reason}"
                continue
            base_low, base_high = figure.interval
            text = f"{named(m, name)}; baseline {baseline} {figure}"
            better = high < base_low if lower_is_better else low > base_high
            worse = low >= base_high if lower_is_better else high <= base_low
            if worse:
                return Ruling(Verdict.REFUTED, f"{text}: no better")
            if not better:
                unsure = unsure or f"{text}: the intervals overlap"
        if unsure:
            return Ruling(Verdict.OPEN, unsure)
        return Ruling(Verdict.REPRODUCED, f"{named(m, name)}, better than {', '.join(m.baselines)}")

    return decide


def factor_has_effect(p: str, effect: str, *, negligible: float, alpha: float = 0.05) -> Rule:
    """A factor matters: reproduced if its test rejects and the effect size exceeds `negligible`.

    Refuted if the effect's whole interval is at most `negligible`; otherwise open.
    """

    @rule(figures=(p, effect))
    def decide(m: Measurement) -> Ruling:
        low, high = m.figures[effect].interval
        value = m.figures[p].value
        text = f"{named(m, effect)}, {named(m, p)}"
        if high <= negligible:
            return Ruling(Verdict.REFUTED, f"{text}: at most {negligible:g}, which is negligible")
        if value is not None and value < alpha and low > negligible:
            return Ruling(Verdict.REPRODUCED, f"{text}: an effect above {negligible:g}")
        ratio = (high - low) / max(abs(m.figures[effect].value or 0.0) - negligible, negligible, 1e-9) / 2
        return Ruling(Verdict.OPEN, f"{text}: too wide to tell{_enough(m.figures[effect], ratio)}")

    return decide


def exact_fact(name: str, yes: str = "", no: str = "") -> Rule:
    """A finding that is true or false: reproduced or refuted, in the words given for each."""

    @rule(facts=(name,))
    def decide(m: Measurement) -> Ruling:
        fact = m.facts[name]
        if not isinstance(fact, bool):
            return Ruling(Verdict.OPEN, f"{name}: {fact}")
        if fact:
            return Ruling(Verdict.REPRODUCED, yes or f"{name}: yes")
        return Ruling(Verdict.REFUTED, no or f"{name}: no")

    return decide


def defined(name: str, missing: str, then: Rule) -> Rule:
    """Where the fact `name` is false, the claim is undefined, for what is missing; otherwise `then` decides."""

    @rule(facts=(name,))
    def decide(m: Measurement) -> Ruling:
        fact = m.facts[name]
        if not isinstance(fact, bool):
            return Ruling(Verdict.OPEN, f"{name}: {fact}")
        return then(m) if fact else Ruling(Verdict.UNDEFINED, missing)

    return Rule(decide.decide, then.figures, (name, *then.facts))


def by_construction(holds: Rule, why: str) -> Rule:
    """Where `holds` finds that the claim holds by construction, it is tautological; every other answer stays."""

    def decide(m: Measurement) -> Ruling:
        ruling = holds(m)
        if ruling.verdict == Verdict.REPRODUCED:
            return Ruling(Verdict.TAUTOLOGICAL, f"{why} ({ruling.reason})")
        return ruling

    return Rule(decide, holds.figures, holds.facts)


def negated(what: Rule) -> Rule:
    """Reproduced where `what` is refuted, and the other way round."""
    swap = {Verdict.REPRODUCED: Verdict.REFUTED, Verdict.REFUTED: Verdict.REPRODUCED}

    def decide(m: Measurement) -> Ruling:
        ruling = what(m)
        return Ruling(swap.get(ruling.verdict, ruling.verdict), ruling.reason)

    return Rule(decide, what.figures, what.facts)


def prefixed(text: str, what: Rule, verdict: Verdict) -> Rule:
    """The same answer; where it is `verdict`, its reason begins with a text."""

    def decide(m: Measurement) -> Ruling:
        ruling = what(m)
        return Ruling(verdict, f"{text}: {ruling.reason}") if ruling.verdict == verdict else ruling

    return Rule(decide, what.figures, what.facts)


def all_of(*rules: Rule) -> Rule:
    """A claim of several parts: the worst answer counts (refuted, undefined, open, reproduced, tautological)."""
    order = (Verdict.REFUTED, Verdict.UNDEFINED, Verdict.OPEN, Verdict.REPRODUCED, Verdict.TAUTOLOGICAL)
    return _joined(rules, order)


def any_of(*rules: Rule) -> Rule:
    """A claim that holds if any part does (reproduced, tautological, open, undefined, refuted)."""
    order = (Verdict.REPRODUCED, Verdict.TAUTOLOGICAL, Verdict.OPEN, Verdict.UNDEFINED, Verdict.REFUTED)
    return _joined(rules, order)


def _joined(rules: Sequence[Rule], order: Sequence[Verdict]) -> Rule:
    def decide(m: Measurement) -> Ruling:
        rulings = [each(m) for each in rules]
        verdict = min((each.verdict for each in rulings), key=order.index)
        reasons = list(dict.fromkeys(each.reason for each in rulings if each.verdict == verdict))
        more = [f"and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
        return Ruling(verdict, "; ".join(reasons[:SHOWN] + more))

    figures = dict.fromkeys(name for each in rules for name in each.figures)
    facts = dict.fromkeys(name for each in rules for name in each.facts)
    return Rule(decide, tuple(figures), tuple(facts))


def _bounds(least: float, most: float) -> str:
    if least == most:
        return f"exactly {least:g}"
    if math.isinf(least):
        return f"at most {most:g}"
    return f"at least {least:g}" if math.isinf(most) else f"between {least:g} and {most:g}"


def _ends(ends: Sequence[float]) -> str:
    return " and ".join(f"{end:g}" for end in ends)


def _enough(figure: Figure, ratio: float) -> str:
    """The n that would narrow an interval by `ratio`: widths fall with the root of n."""
    if not figure.n or not 1 < ratio < 1000:
        return ""
    return f"; about n = {math.ceil(figure.n * ratio**2)} would tell"
