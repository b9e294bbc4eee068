"""Logistic, clustered and mixed models: R's answers, closed forms, and statsmodels as an oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics import NotEstimable, clustered_logistic, logistic, random_intercept


def numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


# R's mtcars (Henderson and Velleman 1981): weight (1000 lb) and manual transmission
CARS = {
    "wt": numbers(
        "2.62 2.875 2.32 3.215 3.44 3.46 3.57 3.19 3.15 3.44 3.44 4.07 3.73 3.78 5.25 5.424 5.345 2.2 1.615 "
        "1.835 2.465 3.52 3.435 3.84 3.845 1.935 2.14 1.513 3.17 2.77 3.57 2.78"
    ),
    "am": [1, 1, 1, *[0] * 14, 1, 1, 1, *[0] * 5, *[1] * 7],
}
# R's lme4::Dyestuff (Davies and Goldsmith 1972): yield of six batches
DYES = {
    "yield": numbers(
        "1545 1440 1440 1520 1580 1540 1555 1490 1560 1495 1595 1550 1605 1510 1560 1445 1440 1595 1465 1545 "
        "1595 1630 1515 1635 1625 1520 1455 1450 1480 1445"
    ),
    "batch": [letter for letter in "ABCDEF" for _ in range(5)],
}


def table_of(a: int, b: int, c: int, d: int) -> dict[str, list[int]]:
    """Runs of a 2 x 2 table: a of a + b succeed with the factor, c of c + d without."""
    return {"x": [1] * (a + b) + [0] * (c + d), "y": [1] * a + [0] * b + [1] * c + [0] * d}


def test_logistic_regression_as_r_answers():
    """glm(am ~ wt, binomial, mtcars)"""
    found = logistic(CARS, "am", "wt")
    term, constant = found["wt"], found.terms[0]
    assert not isinstance(term.coefficient, NotEstimable) and not isinstance(constant.coefficient, NotEstimable)
    assert (constant.coefficient.value, constant.standard_error) == pytest.approx((12.040, 4.510), abs=6e-4)
    assert (term.coefficient.value, term.standard_error) == pytest.approx((-4.024, 1.436), abs=6e-4)
    assert term.p_wald == pytest.approx(0.00509, abs=6e-6)
    assert -2 * float(found.log_likelihood) == pytest.approx(19.176, abs=6e-4)
    assert found.method == "maximum likelihood" and found.n == 32


def test_profile_intervals_drop_the_likelihood_by_the_chi_square():
    found = logistic(CARS, "am", "wt")["wt"].coefficient
    assert not isinstance(found, NotEstimable)
    y, x = np.array(CARS["am"]), np.array(CARS["wt"])
    best = sm.GLM(y, sm.add_constant(x), sm.families.Binomial()).fit().llf
    for bound in (found.low, found.high):
        held = sm.GLM(y, np.ones((len(y), 1)), sm.families.Binomial(), offset=bound * x).fit().llf
        assert 2 * (best - held) == pytest.approx(stats.chi2.isf(0.05, 1), abs=1e-5)


@pytest.mark.parametrize("cells", [(12, 5, 3, 9), (1, 30, 8, 20)])
def test_one_factor_is_its_table(cells):
    a, b, c, d = cells
    term = logistic(table_of(*cells), "y", "x")["x"]
    assert not isinstance(term.odds_ratio_wald, NotEstimable)
    assert term.odds_ratio_wald.value == pytest.approx(a * d / (b * c))
    error = math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    half = stats.norm.isf(0.025) * error
    expected = (a * d / (b * c) * math.exp(-half), a * d / (b * c) * math.exp(half))
    assert (term.odds_ratio_wald.low, term.odds_ratio_wald.high) == pytest.approx(expected)


@pytest.mark.parametrize("cells", [(7, 0, 0, 5), (6, 0, 3, 4), (4, 3, 2, 6)])
def test_firth_on_a_table_adds_one_half_to_every_cell(cells):
    """The penalized estimate of a saturated model (Firth 1993; Heinze and Schemper 2002)."""
    a, b, c, d = (count + 0.5 for count in cells)
    found = logistic(table_of(*cells), "y", "x", firth=True)
    term = found["x"].coefficient
    assert not isinstance(term, NotEstimable)
    assert term.value == pytest.approx(math.log(a * d / (b * c)), abs=1e-6)
    assert term.low < term.value < term.high and math.isfinite(term.value)


def test_separation_is_found_and_said():
    separated = table_of(7, 0, 0, 5)
    found = logistic(separated, "y", "x")
    assert found.method == "Firth's penalized likelihood" and "separation" in " ".join(found.notes)
    refused = logistic(separated, "y", "x", firth=False)
    assert isinstance(refused["x"].coefficient, NotEstimable) and "no maximum" in str(refused["x"].coefficient)
    one_class = logistic({"x": [0, 1, 2, 3], "y": [0, 0, 0, 0]}, "y", "x", firth=False)
    assert "one class" in str(one_class["x"].odds_ratio)
    twice = logistic({"x": [0, 1, 0, 1], "z": [0, 2, 0, 2], "y": [0, 1, 1, 0]}, "y", ["x", "z"])
    assert "combination of the others" in str(twice["x"].p)


def test_several_predictors_against_statsmodels():
    rng = np.random.default_rng(3)
    x, kind = rng.standard_normal(120), rng.integers(0, 3, 120)
    y = rng.random(120) < 1 / (1 + np.exp(-(0.4 * x + 0.8 * (kind == 2) - 0.2)))
    found = logistic({"x": x, "kind": kind, "y": y}, "y", ["x", "kind"], categorical=["kind"])
    matrix = np.column_stack([np.ones(120), x, kind == 1, kind == 2]).astype(float)
    oracle = sm.Logit(y.astype(float), matrix).fit(disp=0)
    values = [float(term.coefficient) for term in found.terms]
    errors = [float(term.standard_error) for term in found.terms]
    assert values == pytest.approx(oracle.params, abs=1e-6)
    assert errors == pytest.approx(oracle.bse, abs=1e-6)


def test_a_random_intercept_as_r_answers():
    """lmer(Yield ~ 1 + (1 | Batch), Dyestuff): 1527.5 (19.38), variances 1764.05 and 2451.25"""
    found = random_intercept(DYES, "yield", (), "batch")
    constant = found.fixed[0]
    assert float(constant.estimate) == pytest.approx(1527.5)
    assert constant.standard_error == pytest.approx(19.3834, abs=1e-3)
    assert found.variance_between == pytest.approx(1764.05, abs=0.05)
    assert found.variance_within == pytest.approx(2451.25, abs=0.05)
    correlation = found.intraclass_correlation
    assert not isinstance(correlation, NotEstimable)
    assert correlation.value == pytest.approx(1764.05 / (1764.05 + 2451.25), abs=1e-4)
    assert correlation.low < correlation.value < correlation.high
    assert any("6 groups" in note for note in found.notes)


def test_mixed_models_against_statsmodels():
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(14), rng.integers(2, 9, 14))
    x = rng.standard_normal(len(group))
    y = 1 + 0.7 * x + rng.standard_normal(14)[group] + 0.6 * rng.standard_normal(len(group))
    found = random_intercept({"y": y, "x": x, "g": group}, "y", "x", "g")
    oracle = sm.MixedLM(y, sm.add_constant(x), group).fit(reml=True)
    assert [float(term.estimate) for term in found.fixed] == pytest.approx(oracle.fe_params, abs=1e-4)
    assert [float(term.standard_error) for term in found.fixed] == pytest.approx(oracle.bse_fe, abs=1e-4)
    assert found.variance_between == pytest.approx(float(oracle.cov_re[0, 0]), rel=1e-3)
    assert found.variance_within == pytest.approx(oracle.scale, rel=1e-3)


def test_groups_that_differ_no_more_than_runs_do():
    rng = np.random.default_rng(0)
    y = np.tile([-1.0, 1.0], 20) + 1e-3 * rng.standard_normal(40)
    found = random_intercept({"y": y, "g": np.repeat(np.arange(20), 2)}, "y", (), "g")
    assert found.variance_between == 0
    assert any("boundary 0" in note for note in found.notes)
    still = random_intercept({"y": [2.0] * 6, "g": [0, 0, 1, 1, 2, 2]}, "y", (), "g")
    assert "all runs gave 2" in str(still.variance_between)


def test_clustered_logistic_against_statsmodels():
    rng = np.random.default_rng(11)
    group = np.repeat(np.arange(25), 6)
    x = rng.standard_normal(150)
    y = (rng.random(150) < 1 / (1 + np.exp(-(0.8 * x + 1.2 * rng.standard_normal(25)[group])))).astype(int)
    found = clustered_logistic({"y": y, "x": x, "g": group}, "y", "x", "g")
    matrix = sm.add_constant(x)
    oracle = sm.GEE(y, matrix, group, family=sm.families.Binomial(), cov_struct=sm.cov_struct.Exchangeable())
    fitted = oracle.fit(cov_type="bias_reduced")
    assert [float(term.coefficient) for term in found.terms] == pytest.approx(fitted.params, abs=1e-3)
    assert [float(term.standard_error) for term in found.terms] == pytest.approx(fitted.bse, rel=0.02)
    assert float(found.correlation) > 0.05
    alone = clustered_logistic({"y": y, "x": x, "g": np.arange(150)}, "y", "x", "g")
    assert float(alone["x"].coefficient) == pytest.approx(
        float(logistic({"y": y, "x": x}, "y", "x")["x"].coefficient), abs=1e-4
    )


def test_missing_values_are_refused():
    with pytest.raises(InvalidInput, match="x"):
        logistic({"x": [0.0, math.nan, 1.0], "y": [0, 1, 0]}, "y", "x")
