from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.studies import Proportion
from grokkit.studies.statistics import (
    Estimate,
    NotEstimable,
    Randomization,
    Test,
    association,
    compare_rates,
    compare_two_rates,
    success_rates,
    trend,
)
from grokkit.studies.statistics._rates import newcombe

# Fleiss (1981), as in R's help of prop.test: smokers among patients of four hospitals
SMOKERS, PATIENTS = (83, 90, 129, 70), (86, 93, 136, 82)


def runs_of(successes, runs):
    outcome = [int(at < count) for count, n in zip(successes, runs, strict=True) for at in range(n)]
    return {"success": outcome, "dose": np.repeat(np.arange(1, len(runs) + 1), runs)}


# Newcombe (1998), "Interval estimation for the difference between independent proportions", table II, method 10
@pytest.mark.parametrize(
    ("a", "m", "b", "n", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0000),
        (10, 10, 0, 10, 0.6075, 1.0000),
    ],
)
def test_differences_as_newcombe_printed_them(a, m, b, n, low, high):
    found = compare_two_rates(Proportion(b, n), Proportion(a, m)).difference
    assert isinstance(found, Estimate)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def test_the_lady_tasting_tea():
    # R: fisher.test(rbind(c(3, 1), c(1, 3))): p = 0.4857, odds ratio 6.408309
    found = compare_two_rates(Proportion(1, 4), Proportion(3, 4))
    assert found.fisher_p == pytest.approx(0.4857, abs=5e-5)
    assert float(found.odds_ratio) == pytest.approx(6.408309, abs=2e-5)
    assert isinstance(found.boschloo_p, float) and found.boschloo_p < found.fisher_p


@given(st.integers(1, 25), st.integers(1, 25), st.data())
def test_exact_bounds_of_the_odds_ratio_have_the_conditional_tails(m, n, data):
    a, b = data.draw(st.integers(0, m)), data.draw(st.integers(0, n))
    found = compare_two_rates(Proportion(b, n), Proportion(a, m)).odds_ratio
    if a + b in (0, m + n):
        assert isinstance(found, NotEstimable)
        return
    assert isinstance(found, Estimate)
    assert found.low <= found.value <= found.high
    law = stats.nchypergeom_fisher
    if found.low > 0:
        assert law.sf(a - 1, m + n, a + b, m, found.low) == pytest.approx(0.025, abs=1e-4)
    if np.isfinite(found.high):
        assert law.cdf(a, m + n, a + b, m, found.high) == pytest.approx(0.025, abs=1e-4)


@pytest.mark.parametrize(("p", "q"), [(0.9, 0.7), (1.0, 0.9), (0.3, 0.3)])
def test_newcombe_covers(p, q):
    n = m = 15
    chance = 0.0
    for a in range(m + 1):
        for b in range(n + 1):
            found = newcombe(Proportion(b, n), Proportion(a, m))
            if found.low <= p - q <= found.high:
                chance += stats.binom.pmf(a, m, p) * stats.binom.pmf(b, n, q)
    assert chance > 0.92  # exactly computed, not simulated; the method is not conservative everywhere


def test_cells():
    data = {"exact": [1, 0, 1, 1, 0, 0], "slots": [7, 7, 8, 8, 8, 10], "wd": [0.1, 0.1, 0.1, 0.1, 0.5, 0.1]}
    found = success_rates(data, "exact", ["slots", "wd"])
    assert [row.cell for row in found.rows] == [
        "slots=7, wd=0.1",
        "slots=8, wd=0.1",
        "slots=8, wd=0.5",
        "slots=10, wd=0.1",
    ]
    assert found["slots=8, wd=0.1"] == Proportion(2, 2) and found.n == 6


def test_pairs_are_one_family():
    found = compare_rates(runs_of(SMOKERS, PATIENTS), "success", "dose")
    assert len(found.rows) == 6
    p = sorted(row.fisher_p for row in found.rows)
    assert min(row.adjusted_p for row in found.rows) == pytest.approx(6 * p[0])
    assert found["1", "4"].rates == (Proportion(83, 86), Proportion(70, 82))


def test_smokers_as_r_prints_them():
    data = runs_of(SMOKERS, PATIENTS)
    found = association(data, "dose", "success")  # prop.test(smokers, patients)
    assert found.chi_square.statistic == pytest.approx(12.6004, abs=5e-5)
    assert found.chi_square.df == (3.0,)
    assert found.p == pytest.approx(0.005585, abs=5e-7) and found.p_from == "chi-square"
    assert found.permutation.exact
    rising = trend(data, "success", "dose")  # prop.trend.test(smokers, patients)
    assert isinstance(rising.test, Test)
    assert rising.test.statistic == pytest.approx(8.2249, abs=5e-5)
    assert rising.test.p == pytest.approx(0.004132, abs=5e-7)
    assert isinstance(rising.slope, Estimate) and rising.slope.high < 0


def test_exact_tests_enumerate_all_arrangements():
    first, second, success = [0, 0, 0, 1, 1, 2, 2], [0, 0, 1, 2, 2, 1, 2], [0, 0, 0, 1, 0, 1, 1]

    def chi_square(a, b):
        counts = np.zeros((3, 3))
        np.add.at(counts, (list(a), list(b)), 1)
        expected = np.outer(counts.sum(1), counts.sum(0)) / 7
        return ((counts - expected) ** 2 / expected).sum()

    def slope(outcome):
        return abs(np.dot(np.array(first) - np.mean(first), outcome))

    every = list(permutations(range(7)))
    found = association({"a": first, "b": second}, "a", "b")
    hits = sum(chi_square(first, [second[at] for at in order]) >= chi_square(first, second) - 1e-9 for order in every)
    assert found.permutation.exact and found.p == pytest.approx(hits / len(every)) and found.p_from == "permutation"
    rising = trend({"y": success, "x": first}, "y", "x").permutation
    hits = sum(slope([success[at] for at in order]) >= slope(success) - 1e-9 for order in every)
    assert isinstance(rising, Randomization) and rising.p == pytest.approx(hits / len(every))


def test_drawn_tables_agree_with_chi_square():
    rng = np.random.default_rng(2)
    data = {"a": rng.integers(4, size=400), "b": rng.integers(5, size=400)}
    found = association(data, "a", "b", seed=5)
    assert not found.permutation.exact and found.permutation.seed == 5
    assert found.permutation.p == pytest.approx(found.chi_square.p, abs=4 * np.sqrt(0.25 / 9999) + 0.01)
    assert found == association(data, "a", "b", seed=5)
    assert found.cramers_v.value == pytest.approx(
        stats.contingency.association(stats.contingency.crosstab(data["a"], data["b"]).count, method="cramer")
    )


def test_cramers_v_covers():
    rng = np.random.default_rng(4)
    chances, inside, trials = np.array([0.3, 0.5, 0.7]), 0, 300
    rows = np.repeat(range(3), 60)
    share = chances.mean()
    true = np.sqrt(((chances - share) ** 2).mean() / (share * (1 - share)))
    for _ in range(trials):
        found = association({"a": rows, "b": rng.random(180) < chances[rows]}, "a", "b", resamples=1).cramers_v
        inside += found.low <= true <= found.high
    assert inside / trials > 0.95 - 4 * np.sqrt(0.95 * 0.05 / trials)


def test_slope_covers():
    rng = np.random.default_rng(5)
    dose, inside, trials = np.repeat([1.0, 2.0, 4.0], 40), 0, 400
    for _ in range(trials):
        found = trend({"y": rng.random(120) < 0.2 + 0.1 * dose, "x": dose}, "y", "x").slope
        inside += isinstance(found, Estimate) and found.low <= 0.1 <= found.high
    assert abs(inside / trials - 0.95) < 4 * np.sqrt(0.95 * 0.05 / trials)


def test_what_cannot_be_estimated_says_so():
    every = trend({"y": [1] * 6, "x": [1, 2, 3] * 2}, "y", "x")
    assert isinstance(every.test, NotEstimable) and "every run succeeded" in str(every)
    sharp = trend({"y": [0, 0, 1, 1], "x": [1, 1, 2, 2]}, "y", "x")
    assert isinstance(sharp.slope, NotEstimable) and isinstance(sharp.test, Test)
    assert isinstance(compare_two_rates(Proportion(0, 5), Proportion(0, 7)).odds_ratio, NotEstimable)
    assert isinstance(compare_two_rates(Proportion(5, 500), Proportion(9, 500)).boschloo_p, NotEstimable)
    for question in (
        lambda d: association(d, "x", "y"),
        lambda d: trend(d, "y", "x"),
        lambda d: compare_rates(d, "y", "x"),
    ):
        with pytest.raises(InvalidInput, match="one value"):
            question({"y": [0, 1], "x": [3, 3]})
    with pytest.raises(InvalidInput, match="both need some"):
        compare_two_rates(Proportion(0, 0), Proportion(1, 2))
