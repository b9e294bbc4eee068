"""Permutation tests, bootstrap, association, prediction: exact answers, oracles, and simulations of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics import (
    NotEstimable,
    association,
    bootstrap,
    permutation_of_correlation,
    permutation_of_means,
    predict_success,
    trend,
)
from grokkit.studies.statistics._auc import Outcome, concordance


def test_all_arrangements_of_six_runs():
    found = permutation_of_means({"y": [1.0, 2, 3, 10, 11, 12], "g": list("aaabbb")}, "y", "g")
    assert float(found.estimate) == 9
    assert found.p == pytest.approx(2 / 20)
    assert not isinstance(found.randomization, NotEstimable)
    assert found.randomization.exact and found.randomization.count == 20


def test_a_drawn_permutation_against_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal(30), rng.standard_normal(28) + 0.6
    data = {"y": np.concatenate([a, b]), "g": [0] * 30 + [1] * 28}
    found = permutation_of_means(data, "y", "g", resamples=20_000)
    oracle = stats.permutation_test(
        (b, a), lambda x, y, axis: x.mean(axis) - y.mean(axis), n_resamples=20_000, vectorized=True, rng=2
    )
    spread = math.sqrt(oracle.pvalue * (1 - oracle.pvalue) / 20_000)
    assert abs(float(found.p) - oracle.pvalue) < 6 * spread + 1e-4
    assert found == permutation_of_means(data, "y", "g", resamples=20_000)
    assert found.p != permutation_of_means(data, "y", "g", resamples=20_000, seed=1).p


def test_blocks_take_out_what_differs_between_them():
    y = np.array([0.0, 1.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0])
    data = {"y": y, "g": [0, 1] * 4, "b": np.repeat(np.arange(4), 2)}
    blocked, free = permutation_of_means(data, "y", "g", block="b"), permutation_of_means(data, "y", "g")
    assert blocked.p == pytest.approx(2 / 16) and float(blocked.estimate) == pytest.approx(1)
    assert float(free.p) > 0.5


def test_all_orders_of_five_runs():
    data = {"x": [1.0, 2, 3, 4, 5], "y": [2.0, 3, 5, 8, 9]}
    found = permutation_of_correlation(data, "x", "y", kind="spearman")
    assert float(found.estimate) == pytest.approx(1)
    assert found.p == pytest.approx(2 / 120)
    assert isinstance(permutation_of_correlation({"x": [1.0] * 5, "y": data["y"]}, "x", "y").p, NotEstimable)


def test_association_against_scipy():
    rng = np.random.default_rng(4)
    first, second = rng.integers(0, 3, 200), rng.integers(0, 2, 200)
    found = association({"a": first, "b": second}, "a", "b")
    table = np.zeros((3, 2), dtype=int)
    np.add.at(table, (first, second), 1)
    oracle = stats.chi2_contingency(table, correction=False)
    assert not isinstance(found.chi_square, NotEstimable)
    assert (found.chi_square.statistic, found.chi_square.p) == pytest.approx((oracle.statistic, oracle.pvalue))


def test_a_trend_as_r_answers():
    """prop.trend.test(c(83, 90, 129, 70), c(86, 93, 136, 82)): X-squared = 8.2249, p-value = 0.004132 (Fleiss 1981)"""
    smokers, patients = (83, 90, 129, 70), (86, 93, 136, 82)
    data = {
        "dose": np.repeat([1, 2, 3, 4], patients),
        "smokes": np.concatenate([[1] * s + [0] * (p - s) for s, p in zip(smokers, patients, strict=True)]),
    }
    found = trend(data, "smokes", "dose")
    assert not isinstance(found.test, NotEstimable)
    assert found.test.statistic == pytest.approx(8.2249, abs=5e-5)
    assert found.test.p == pytest.approx(0.004132, abs=5e-7)


def test_the_bootstrap_covers_the_truth():
    """Of 200 means of 40 exponentials with mean 1, some 94 % of intervals hold it; below 85 % would be 5 sigma."""
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        found = bootstrap(
            {"y": rng.exponential(size=40)}, lambda frame: float(frame["y"].mean()), resamples=400, seed=seed
        )
        assert not isinstance(found.estimate, NotEstimable)
        hits += found.estimate.low <= 1 <= found.estimate.high
    assert 170 <= hits <= 200


def test_clusters_widen_the_interval():
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(25), 20)
    data = {"y": rng.standard_normal(25)[group] + 0.1 * rng.standard_normal(500), "g": group}
    alone = bootstrap(data, lambda frame: float(frame["y"].mean()), seed=1).estimate
    whole = bootstrap(data, lambda frame: float(frame["y"].mean()), clusters="g", seed=1).estimate
    assert not isinstance(alone, NotEstimable) and not isinstance(whole, NotEstimable)
    assert whole.high - whole.low > 3 * (alone.high - alone.low)
    with pytest.raises(InvalidInput, match="resamples is 10"):
        bootstrap(data, lambda frame: 0.0, resamples=10)


def test_pairs_within_one_fold_make_the_area_under_the_curve():
    rng = np.random.default_rng(6)
    y, scores = rng.integers(0, 2, 60), np.round(rng.standard_normal(60), 1)  # rounded: with ties
    outcome = Outcome(y, np.zeros(60, dtype=np.int64), np.arange(60))
    assert concordance(outcome, scores).auc(np.ones(60)) == pytest.approx(roc_auc_score(y, scores))


def features(rng: np.random.Generator, runs: int) -> dict[str, np.ndarray]:
    return {"loss": rng.standard_normal(runs), "kappa": rng.standard_normal(runs)}


def test_noise_predicts_nothing():
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(30), 8)
    found = predict_success(features(rng, 240), rng.integers(0, 2, 240), groups, resamples=400)
    assert not isinstance(found.rows, NotEstimable)
    for row in found.rows:
        if not isinstance(row.auc, NotEstimable):
            assert row.auc.low <= 0.55 and row.auc.high >= 0.45
        if row.adjusted_p is not None:
            assert float(row.adjusted_p) > 0.01


def test_a_signal_beyond_the_loss_is_found():
    rng = np.random.default_rng(9)
    groups = np.repeat(np.arange(30), 8)
    given = features(rng, 240)
    success = rng.random(240) < 1 / (1 + np.exp(-3 * given["kappa"]))
    found = predict_success(given, success, groups, subsets={"kappa": ["kappa"]}, resamples=400)
    assert not isinstance(found.rows, NotEstimable)
    rows = {row.name: row for row in found.rows}
    assert float(rows["kappa"].auc) > 0.85
    assert rows["kappa"].adjusted_p is not None and float(rows["kappa"].adjusted_p) < 0.01
    assert float(rows["loss only"].auc) < 0.65


def test_groups_never_stand_on_both_sides():
    """A feature that only names its group, whose runs share their outcome, predicts nothing about other groups."""
    rng = np.random.default_rng(10)
    groups = np.repeat(np.arange(40), 6)
    name = rng.standard_normal(40)[groups]
    success = rng.integers(0, 2, 40)[groups]
    found = predict_success({"loss": rng.standard_normal(240), "name": name}, success, groups, resamples=400)
    assert not isinstance(found.rows, NotEstimable)
    assert float(found.rows[-1].auc) < 0.75
    assert found.groups == 40


def test_what_cannot_be_predicted():
    rng = np.random.default_rng(12)
    given, groups = features(rng, 40), np.repeat(np.arange(10), 4)
    assert isinstance(predict_success(given, np.zeros(40, dtype=int), groups).rows, NotEstimable)
    with pytest.raises(InvalidInput, match="no column 'loss'"):
        predict_success({"kappa": given["kappa"]}, np.zeros(40), groups)
