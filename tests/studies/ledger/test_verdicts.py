"""The parts that rules are made of, on simulated measurements of every kind."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.studies import Proportion
from grokkit.studies.ledger import Figure, Measurement, Verdict
from grokkit.studies.ledger._verdicts import (
    Rule,
    Ruling,
    all_of,
    any_of,
    at_least,
    at_most,
    beats_baselines,
    by_construction,
    close_to,
    defined,
    exact_fact,
    factor_has_effect,
    greater,
    interval_excludes,
    negated,
    prefixed,
    rule,
    share_agrees,
    within,
)

REPRODUCED, REFUTED, TAUTOLOGICAL, UNDEFINED, OPEN = (
    Verdict.REPRODUCED,
    Verdict.REFUTED,
    Verdict.TAUTOLOGICAL,
    Verdict.UNDEFINED,
    Verdict.OPEN,
)


def measured(facts=None, baselines=None, **figures):
    made = {
        name: value
        if isinstance(value, Figure)
        else Figure(*value)
        if isinstance(value, tuple)
        else Figure(float(value))
        for name, value in figures.items()
    }
    return Measurement("E01", made, facts or {}, baselines or {}, scale="full")


UNDEFINED_FIGURE = Figure(None, what="ratio", reason="0/0")


@pytest.mark.parametrize(
    ("decide", "measurement", "verdict"),
    [
        (share_agrees("a", 0.68), measured(a=(0.66, 0.6, 0.72, 195)), REPRODUCED),
        (share_agrees("a", 0.68), measured(a=(0.01, 0.0, 0.03, 195)), REFUTED),
        (share_agrees("a", 0.68), measured(a=(0.6, 0.2, 0.9, 10)), OPEN),
        (share_agrees("a", 0.68), measured(a=0.68), REPRODUCED),
        (within("a", 1, 2), measured(a=(1.5, 1.2, 1.8)), REPRODUCED),
        (within("a", 1, 2), measured(a=(1.5, 0.8, 1.8)), OPEN),
        (within("a", 1, 2), measured(a=(0.5, 0.2, 0.8)), REFUTED),
        (within("a", 1, 2), measured(a=(0.5, -math.inf, math.inf)), OPEN),
        (at_most("a", 2e-6), measured(a=(1e-6, 0.9e-6, 1.1e-6)), REPRODUCED),
        (at_most("a", 2e-6), measured(a=(3e-6, 2.5e-6, 4e-6)), REFUTED),
        (at_most("a", 2e-6), measured(a=(2e-6, 1e-6, 3e-6, 25)), OPEN),
        (at_least("a", 0.9), measured(a=(0.95, 0.91, 1.0)), REPRODUCED),
        (at_least("a", 0.9), measured(a=(0.5, 0.4, 0.6)), REFUTED),
        (close_to("a", 2.0, tolerance=0.1), measured(a=(2.0, 1.9, 2.1)), REPRODUCED),
        (close_to("a", 2.0, tolerance=0.1), measured(a=(3.0, 2.9, 3.1)), REFUTED),
        (close_to("a", 0.0, tolerance=0.1), measured(a=0.05), REPRODUCED),
        (close_to("a", -2.0, tolerance=0.1), measured(a=-2.1), REPRODUCED),
        (interval_excludes("a", 1.0), measured(a=(2.0, 1.5, 2.5)), REPRODUCED),
        (interval_excludes("a", 1.0), measured(a=(1.1, 0.5, 2.5)), OPEN),
        (interval_excludes("a", 1.0, negligible=0.1), measured(a=(1.0, 0.95, 1.05)), REFUTED),
        (greater("a", "b"), measured(a=(2.0, 1.5, 2.5), b=(1.0, 0.5, 1.2)), REPRODUCED),
        (greater("a", "b"), measured(a=(1.0, 0.5, 1.2), b=(2.0, 1.5, 2.5)), REFUTED),
        (greater("a", "b"), measured(a=(1.0, 0.5, 2.2), b=(2.0, 1.5, 2.5)), OPEN),
        (greater("a", "b"), measured(a=1, b=1), REFUTED),
        (factor_has_effect("p", "e", negligible=0.02), measured(p=0.001, e=(0.3, 0.2, 0.4)), REPRODUCED),
        (factor_has_effect("p", "e", negligible=0.02), measured(p=0.7, e=(0.01, 0.0, 0.015)), REFUTED),
        (factor_has_effect("p", "e", negligible=0.02), measured(p=0.7, e=(0.1, 0.0, 0.3, 30)), OPEN),
        (factor_has_effect("p", "e", negligible=0.02), measured(p=0.001, e=(0.1, 0.01, 0.3, 30)), OPEN),
        (exact_fact("x"), measured({"x": True}), REPRODUCED),
        (exact_fact("x"), measured({"x": False}), REFUTED),
        (exact_fact("x"), measured({"x": "perhaps"}), OPEN),
        (defined("x", "no metric", at_most("a", 1)), measured({"x": False}, a=0), UNDEFINED),
        (defined("x", "no metric", at_most("a", 1)), measured({"x": True}, a=0), REPRODUCED),
        (defined("x", "no metric", at_most("a", 1)), measured({"x": "text"}, a=0), OPEN),
        (by_construction(exact_fact("x"), "algebra"), measured({"x": True}), TAUTOLOGICAL),
        (by_construction(exact_fact("x"), "algebra"), measured({"x": False}), REFUTED),
        (negated(exact_fact("x")), measured({"x": True}), REFUTED),
        (negated(exact_fact("x")), measured({"x": False}), REPRODUCED),
        (negated(exact_fact("x")), measured({"x": "text"}), OPEN),
        (prefixed("so", exact_fact("x"), REFUTED), measured({"x": False}), REFUTED),
    ],
)
def test_outcomes(decide, measurement, verdict):
    ruling = decide(measurement)
    assert ruling.verdict == verdict, str(ruling)
    assert ruling.reason


@pytest.mark.parametrize(
    "decide",
    [
        share_agrees("a", 0.5),
        within("a", 0, 1),
        at_most("a", 1),
        at_least("a", 1),
        close_to("a", 1, tolerance=0.1),
        interval_excludes("a", 1),
        greater("a", "a"),
        beats_baselines("a"),
        factor_has_effect("a", "a", negligible=0.1),
    ],
)
def test_what_has_no_value_is_undefined_and_what_is_missing_is_open(decide):
    ruling = decide(measured(a=UNDEFINED_FIGURE))
    assert ruling.verdict == UNDEFINED and "0/0" in ruling.reason
    missing = decide(measured())
    assert missing.verdict == OPEN and "'a'" in missing.reason
    unmeasured = decide(Measurement.unmeasured("E01", "no files", "full"))
    assert unmeasured.verdict == OPEN and "no files" in unmeasured.reason


def test_no_value_can_be_open_instead():
    @rule(figures=("a",), none_is_open=True)
    def decide(m):
        raise AssertionError

    assert decide(measured(a=UNDEFINED_FIGURE)).verdict == OPEN


def baseline(value, low, high):
    return {"persistence": Figure(value, low, high)}


def test_a_model_must_beat_every_baseline():
    decide = beats_baselines("mse")
    good = (1.0, 0.9, 1.1)
    assert decide(measured(mse=good)).verdict == OPEN  # nothing to compare with
    assert decide(measured(baselines=baseline(2.0, 1.9, 2.1), mse=good)).verdict == REPRODUCED
    assert decide(measured(baselines=baseline(0.5, 0.4, 0.6), mse=good)).verdict == REFUTED
    assert decide(measured(baselines=baseline(1.05, 1.0, 1.2), mse=good)).verdict == OPEN
    assert decide(measured(baselines={"zero": UNDEFINED_FIGURE}, mse=good)).verdict == OPEN
    mixed = baseline(0.5, 0.4, 0.6) | {"zero": Figure(9.0)}
    assert decide(measured(baselines=mixed, mse=good)).verdict == REFUTED
    higher = beats_baselines("auc", lower_is_better=False)
    assert higher(measured(baselines={"chance": Figure(0.5)}, auc=(0.7, 0.6, 0.8))).verdict == REPRODUCED
    assert higher(measured(baselines={"chance": Figure(0.5)}, auc=(0.4, 0.3, 0.45))).verdict == REFUTED


def fixed(verdict):
    return Rule(lambda m: Ruling(verdict, str(verdict)))


verdicts = st.lists(st.sampled_from(list(Verdict)), min_size=1, max_size=5)


@given(verdicts)
def test_all_of_takes_the_worst_and_any_of_the_best(parts):
    worst = all_of(*map(fixed, parts))(measured()).verdict
    best = any_of(*map(fixed, parts))(measured()).verdict
    assert (worst == REFUTED) == (REFUTED in parts)
    assert (best == REPRODUCED) == (REPRODUCED in parts)
    assert (worst in (REPRODUCED, TAUTOLOGICAL)) == (set(parts) <= {REPRODUCED, TAUTOLOGICAL})
    assert (best == REFUTED) == (set(parts) == {REFUTED})
    assert worst in parts and best in parts


def test_joined_rules_name_all_they_read_and_shorten_long_reasons():
    joined = all_of(at_most("a", 1), defined("x", "?", at_most("b", 1)), negated(exact_fact("y")))
    assert joined.figures == ("a", "b") and joined.facts == ("x", "y")
    many = all_of(*(at_most(name, 1) for name in "abcdef"))
    reason = many(measured(**dict.fromkeys("abcdef", 0))).reason
    assert reason.endswith("and 3 more")


@given(st.integers(0, 400), st.integers(1, 400))
def test_the_n_that_would_tell_is_more_than_there_is(count, n):
    count = min(count, n)
    ruling = share_agrees("a", 0.5, widest=0.05)(measured(a=Figure.of(Proportion(count, n), "share")))
    if ruling.verdict == OPEN and "about n = " in ruling.reason:
        assert int(ruling.reason.split("about n = ")[1].split()[0]) > n


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_wider_intervals_never_settle_what_narrower_ones_leave_open(value, low, high):
    low, value, high = sorted((low, value, high))
    narrow = at_most("a", 0.5)(measured(a=Figure(value, low, high))).verdict
    wide = at_most("a", 0.5)(measured(a=Figure(value, low - 0.1, high + 0.1))).verdict
    assert wide in (narrow, OPEN)
