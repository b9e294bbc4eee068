"""Survival and power: published tables, closed forms, brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics import (
    NotEstimable,
    kaplan_meier,
    log_rank,
    power_anova,
    power_correlation,
    power_odds_ratio,
    power_one_proportion,
    power_two_proportions,
)

# Freireich et al. (1963): weeks of remission under 6-MP and placebo; a minus is a patient who was still in remission
TREATED = [6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
WEEKS = {
    "weeks": [abs(t) for t in TREATED + PLACEBO],
    "relapse": [int(t > 0) for t in TREATED + PLACEBO],
    "arm": ["6-MP"] * 21 + ["placebo"] * 21,
}


def test_kaplan_meier_of_the_remission_data():
    """The curve in Kalbfleisch and Prentice (1980), table 1.1 and figure 1.2; survfit() prints the same."""
    curve = kaplan_meier(WEEKS, "weeks", "relapse", "arm")["arm=6-MP"]
    assert [step.time for step in curve.steps] == [6, 7, 10, 13, 16, 22, 23]
    assert [step.at_risk for step in curve.steps] == [21, 17, 15, 12, 11, 7, 6]
    expected = (0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448)
    assert [step.survival.value for step in curve.steps] == pytest.approx(expected, abs=6e-4)
    errors = (0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346)
    assert [step.standard_error for step in curve.steps] == pytest.approx(errors, abs=6e-5)
    assert curve.n == 21 and curve.events == 9
    assert float(curve.median) == 23
    placebo = kaplan_meier(WEEKS, "weeks", "relapse", "arm")["arm=placebo"]
    median = placebo.median
    assert not isinstance(median, NotEstimable)
    assert (median.value, median.low, median.high) == (8, 4, 11)


def test_without_censoring_the_curve_is_the_share_left():
    times = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
    curve = kaplan_meier({"t": times, "e": [1] * 8}, "t", "e").rows[0]
    for step in curve.steps:
        assert step.survival.value == pytest.approx(sum(t > step.time for t in times) / 8)
    assert float(curve.restricted_mean) == pytest.approx(np.mean(times))


def test_nothing_happened():
    curve = kaplan_meier({"t": [5.0, 7.0], "e": [0, 0]}, "t", "e").rows[0]
    assert isinstance(curve.median, NotEstimable) and isinstance(curve.restricted_mean, NotEstimable)
    with pytest.raises(InvalidInput, match="times start at 0"):
        kaplan_meier({"t": [-1.0, 2.0], "e": [1, 1]}, "t", "e")


def test_log_rank_of_the_remission_data():
    """survdiff(): observed 9 and 21, expected 19.3 and 10.7, chi-square 16.8 on 1 degree, p = 4e-05"""
    found = log_rank(WEEKS, "weeks", "relapse", "arm")
    assert [row.observed for row in found.rows] == [9, 21]
    assert [row.expected for row in found.rows] == pytest.approx((19.25, 10.75), abs=0.01)
    assert not isinstance(found.test, NotEstimable)
    assert found.test.statistic == pytest.approx(16.79, abs=0.01)
    assert found.test.p == pytest.approx(4.17e-5, rel=0.01)
    with pytest.raises(InvalidInput, match="a comparison needs two"):
        log_rank(WEEKS, "weeks", "relapse", ())


def test_power_of_analysis_of_variance():
    """Cohen (1988), table 8.4.4: u = 3, f = .25, power .80 at alpha .05 takes 45 a group; G*Power says 180 in all."""
    found = power_anova(4, 0.25, power=0.8)
    assert (found.n, found.n_total) == (45, 180)
    assert found.power == pytest.approx(0.804, abs=1e-3)
    assert power_anova(4, n=45, power=found.power).effect == pytest.approx(0.25, abs=1e-6)


def test_power_of_a_correlation():
    found = power_correlation(0.3, power=0.8)
    needed = ((stats.norm.isf(0.025) + stats.norm.isf(0.2)) / math.atanh(0.3)) ** 2 + 3
    assert found.n == math.ceil(needed) == 85
    assert power_correlation(-0.3, n=85).power == found.power


def test_arcsine_power_of_two_shares():
    """Cohen (1988): h = 2 asin sqrt(.65) - 2 asin sqrt(.45)"""
    h = 2 * math.asin(math.sqrt(0.65)) - 2 * math.asin(math.sqrt(0.45))
    needed = 2 * ((stats.norm.isf(0.025) + stats.norm.isf(0.2)) / h) ** 2
    assert power_two_proportions(0.45, 0.65, power=0.8, test="arcsine").n == math.ceil(needed)


@pytest.mark.parametrize(("base", "other", "n"), [(0.1, 0.6, 8), (0.5, 0.9, 12), (0.0, 0.4, 10)])
def test_fishers_power_by_brute_force(base, other, n):
    total = 0.0
    for a, b in itertools.product(range(n + 1), repeat=2):
        if stats.fisher_exact([[a, n - a], [b, n - b]])[1] <= 0.05:
            total += stats.binom.pmf(a, n, base) * stats.binom.pmf(b, n, other)
    assert power_two_proportions(base, other, n=n).power == pytest.approx(total, abs=1e-9)


def test_exact_power_of_one_share_by_brute_force():
    n, constant, share = 40, 0.68, 0.4
    rejects = [
        k
        for k in range(n + 1)
        if stats.binom.cdf(k, n, constant) <= 0.025 or stats.binom.sf(k - 1, n, constant) <= 0.025
    ]
    expected = sum(stats.binom.pmf(k, n, share) for k in rejects)
    assert power_one_proportion(constant, share, n=n).power == pytest.approx(expected, abs=1e-9)
    wanted = power_one_proportion(constant, 0.005, power=0.95)
    assert wanted.n < 10  # a share of 68 % against half a per cent is told apart by a handful of runs


def test_power_of_an_odds_ratio():
    found = power_odds_ratio(0.2, 3.0, n=200)
    odds = 3 * 0.25
    other = odds / (1 + odds)
    variance = sum(1 / (100 * share) for share in (0.2, 0.8, other, 1 - other))
    shift = math.log(3) / math.sqrt(variance)
    expected = stats.norm.sf(stats.norm.isf(0.025) - shift) + stats.norm.cdf(-stats.norm.isf(0.025) - shift)
    assert found.power == pytest.approx(expected, abs=1e-9)
    assert power_odds_ratio(0.2, 3.0, power=found.power).n == 200


@pytest.mark.parametrize(
    "ask",
    [
        lambda: power_anova(1, 0.3, n=10),
        lambda: power_correlation(0.0, n=10),
        lambda: power_two_proportions(1.5, 0.5, n=10),
        lambda: power_odds_ratio(0.0, 2.0, n=10),
        lambda: power_anova(3, 0.3),
        lambda: power_anova(3, 0.3, n=10, power=0.8),
    ],
)
def test_what_cannot_be_asked(ask):
    with pytest.raises(InvalidInput):
        ask()
