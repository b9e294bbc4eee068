"""Prospective prediction: do early features tell which runs will succeed, better than trivial baselines?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.studies._statistics import Proportion
from grokkit.studies.statistics._auc import Outcome, better_auc, concordance, group_weights, over_groups
from grokkit.studies.statistics._columns import as_frame, levels, numbers, outcomes
from grokkit.studies.statistics._folds import FLOOR, inner_splits, out_of_fold, outer_folds
from grokkit.studies.statistics._likelihood import Likelihood, NoMaximum
from grokkit.studies.statistics._multiplicity import adjusted
from grokkit.studies.statistics._tables import Randomization
from grokkit.studies.statistics._values import TAIL, Estimate, NotEstimable, as_json, table


@final
@dataclass(frozen=True)
class Predictor:
    """How well one set of features predicts, out of fold."""

    name: str
    features: tuple[str, ...]
    auc: Estimate | NotEstimable
    brier: Estimate | NotEstimable
    """Mean squared error of the probability: 0 is perfect."""
    calibration_slope: Estimate | NotEstimable
    """Of the outcome on the logit of the probability: 1 is calibrated, below 1 overconfident."""
    auc_gain: Estimate | NotEstimable | None
    """AUC less that of the baseline; None for the baselines themselves."""
    better: Randomization | NotEstimable | None
    """One-sided permutation test of that gain."""
    adjusted_p: float | NotEstimable | None
    """By Holm over the models compared with the baseline."""

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class Prediction:
    """Models and baselines side by side, over the same folds."""

    n: int
    groups: int
    folds: int
    successes: Proportion
    baseline: str
    rows: tuple[Predictor, ...] | NotEstimable
    resamples: int
    seed: int

    def __getitem__(self, name: str) -> Predictor:
        if isinstance(self.rows, NotEstimable):
            raise InvalidInput(f"there are no models: {self.rows.reason}")
        return next(row for row in self.rows if row.name == name)

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        title = (
            f"prediction of success, {self.successes.count} of {self.n} runs, {self.groups} groups, seed {self.seed}"
        )
        if isinstance(self.rows, NotEstimable):
            return f"{title}\n{self.rows}"
        header = ("model", "AUC [95 %]", "Brier [95 %]", "slope [95 %]", "AUC gain [95 %]", "p", "adjusted p")
        rows = [
            (
                row.name,
                row.auc,
                row.brier,
                row.calibration_slope,
                row.auc_gain,
                row.better.p if isinstance(row.better, Randomization) else row.better,
                row.adjusted_p,
            )
            for row in self.rows
        ]
        notes = [f"out of {self.folds} grouped folds; gain and p against {self.baseline}, by swaps of whole groups"]
        return table(title, header, rows, notes)


def predict_success(
    features: pd.DataFrame | Mapping[str, Any],
    success: Any,
    groups: Any,
    *,
    loss: str = "loss",
    subsets: Mapping[str, Sequence[str]] | None = None,
    folds: int = 5,
    resamples: int = 2000,
    seed: int = 0,
) -> Prediction:
    """Predict the success of runs from features measured early, by logistic regression, tested on unseen groups.

    `success` and `groups` (the configuration of each run) have one value a run. Runs of a group never stand on both
    sides of a split: neither of the outer folds, which test, nor of the inner ones, which choose the penalty. The
    rows are the base rate, the column `loss` alone, each named subset, and all features. AUC counts
    pairs within a fold. Intervals draw groups with replacement and keep the models; the calibration slope's is a
    sandwich over groups. p asks whether a model's AUC beats that of the loss alone.

    One class only, fewer than three groups, or a training part without both classes are not estimable.
    """
    names = [str(name) for name in features]
    if loss not in names:
        raise InvalidInput(f"features has no column {loss!r} for the baseline; name it by loss=")
    sets = _sets(names, loss, subsets or {})
    if folds < 2 or resamples < 100:
        raise InvalidInput(f"folds is {folds} and resamples {resamples}; at least 2 and 100 are needed")
    frame = as_frame(features, *names)
    y = outcomes(as_frame({"success": success}, "success"), "success")
    distinct, codes = levels(as_frame({"groups": groups}, "groups"), "groups")
    if not len(frame) == len(y) == len(codes):
        raise InvalidInput(f"{len(frame)} rows of features, {len(y)} outcomes, {len(codes)} groups; each run needs all")
    count = min(folds, len(distinct))
    counted = Proportion(int(y.sum()), len(y))
    shown = (len(y), len(distinct), count, counted, loss + " only")
    reason = _unfit(y, codes, count)
    if reason is not None:
        return Prediction(*shown, reason, resamples, seed)
    columns = {name: numbers(frame, name) for name in names}
    fold = outer_folds(codes, count)
    outcome = Outcome(y, fold, codes)
    chances = {
        name: out_of_fold(
            np.stack([columns[each] for each in used], axis=1) if used else np.zeros((len(y), 0)), y, codes, fold
        )
        for name, used in sets.items()
    }
    rows = _rows(outcome, sets, chances, loss + " only", resamples, seed)
    return Prediction(*shown, rows, resamples, seed)


def _sets(names: list[str], loss: str, subsets: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    sets: dict[str, tuple[str, ...]] = {"base rate": (), f"{loss} only": (loss,)}
    for name, used in subsets.items():
        unknown = [each for each in used if each not in names]
        if unknown or not used or name in (*sets, "all features"):
            problem = f"names {unknown[0]!r}, which is no feature" if unknown else "is empty or its name is taken"
            raise InvalidInput(f"subset {name!r} {problem}; features are {', '.join(names[:12])}")
        sets[name] = tuple(used)
    if len(names) > 1:
        sets["all features"] = tuple(names)
    return sets


def _unfit(y: Int[np.ndarray, " runs"], codes: Int[np.ndarray, " runs"], folds: int) -> NotEstimable | None:
    if y.min() == y.max():
        return NotEstimable("every run succeeded" if y[0] else "no run succeeded")
    if folds < 2 or len(np.unique(codes)) < 3:
        return NotEstimable("fewer than three groups cannot be nested into outer and inner folds")
    fold = outer_folds(codes, folds)
    for at in range(folds):
        train = fold != at
        if y[train].min() == y[train].max():
            return NotEstimable("one class is confined to a single fold: some training part holds one class only")
        if not inner_splits(y[train], codes[train]):
            return NotEstimable("one class is confined to so few groups that no inner split holds both classes")
    if not any(0 < y[fold == at].sum() < (fold == at).sum() for at in range(folds)):
        return NotEstimable("no fold holds both a success and a failure, so no pair can be ordered")
    return None


def _rows(
    outcome: Outcome,
    sets: dict[str, tuple[str, ...]],
    chances: dict[str, Float[np.ndarray, " runs"]],
    baseline: str,
    resamples: int,
    seed: int,
) -> tuple[Predictor, ...]:
    groups = int(outcome.groups.max()) + 1
    weights = group_weights(groups, resamples, seed)
    ones = np.ones(groups)
    pairs = {name: concordance(outcome, chance) for name, chance in chances.items()}
    aucs = {name: float(each.auc(ones)) for name, each in pairs.items()}
    drawn = {name: np.array([each.auc(row) for row in weights]) for name, each in pairs.items()}
    sizes = np.bincount(outcome.groups)
    compared = [name for name in sets if name not in ("base rate", baseline)]
    tests = {
        name: better_auc(outcome, chances[name], chances[baseline], permutations=resamples, seed=seed)
        for name in compared
    }
    p_values = dict(zip(compared, adjusted([tests[name].p for name in compared]), strict=True))
    rows = []
    for name, used in sets.items():
        squares = np.bincount(outcome.groups, weights=(outcome.success - chances[name]) ** 2)
        brier = over_groups(float(squares.sum() / sizes.sum()), (weights @ squares) / (weights @ sizes), groups, "run")
        slope = (
            calibration_slope(outcome, chances[name])
            if used
            else NotEstimable("the base rate gives all runs of a fold one probability")
        )
        gain = None
        if name in compared:
            gain = over_groups(aucs[name] - aucs[baseline], drawn[name] - drawn[baseline], groups, "pair")
        auc = over_groups(aucs[name], drawn[name], groups, "pair of a success and a failure")
        rows.append(Predictor(name, used, auc, brier, slope, gain, tests.get(name), p_values.get(name)))
    return tuple(rows)


def calibration_slope(outcome: Outcome, chance: Float[np.ndarray, " runs"]) -> Estimate | NotEstimable:
    """Slope of the outcome on the logit of its probability (Cox 1958), with a sandwich interval over groups."""
    clipped = np.clip(chance, FLOOR, 1 - FLOOR)
    logit = np.log(clipped / (1 - clipped))
    if np.ptp(logit) < 1e-9:
        return NotEstimable("all runs have one probability")
    matrix = np.stack([np.ones_like(logit), logit], axis=1)
    try:
        fit = Likelihood(matrix, outcome.success, False).maximize()
    except NoMaximum:
        return NotEstimable("the probabilities separate successes from failures: the slope is unbounded")
    groups = int(outcome.groups.max()) + 1
    residual = outcome.success - 1 / (1 + np.exp(-(matrix @ fit.coefficients)))
    scores = np.zeros((groups, 2))
    np.add.at(scores, outcome.groups, matrix * residual[:, None])
    covariance = fit.covariance @ (scores.T @ scores) @ fit.covariance * groups / (groups - 1)
    slope, half = float(fit.coefficients[1]), float(stats.t.isf(TAIL, groups - 1)) * math.sqrt(covariance[1, 1])
    return Estimate(slope, slope - half, slope + half, groups, "sandwich over groups, n in groups")
