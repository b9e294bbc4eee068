"""Nested cross-validation by groups: out-of-fold probabilities of a logistic model."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PENALTIES: Final = tuple(float(c) for c in np.logspace(-3, 3, 7))
"""Inverse strengths of the ridge penalty that the inner folds choose from."""

FLOOR: Final = 1e-6
"""Probabilities are kept this far from 0 and 1 where their logarithm is taken."""


def outer_folds(groups: Int[np.ndarray, " runs"], folds: int) -> Int[np.ndarray, " runs"]:
    """The fold of each run; runs of a group share one."""
    found = np.zeros(len(groups), dtype=np.int64)
    for at, (_, test) in enumerate(GroupKFold(n_splits=folds).split(groups, groups=groups)):
        found[test] = at
    return found


def out_of_fold(
    features: Float[np.ndarray, "runs features"],
    success: Int[np.ndarray, " runs"],
    groups: Int[np.ndarray, " runs"],
    folds: Int[np.ndarray, " runs"],
) -> Float[np.ndarray, " runs"]:
    """Probability of success of each run, from a model that saw no run of its fold.

    Features are scaled and the penalty chosen, by the log loss over inner groups, within the training runs only.
    No features give the base rate of the training runs. Every training part must hold both classes.
    """
    found = np.zeros(len(success))
    for fold in range(int(folds.max()) + 1):
        test = folds == fold
        train = ~test
        if not features.shape[1]:
            found[test] = success[train].mean()
            continue
        model = _model(_penalty(features[train], success[train], groups[train]))
        found[test] = model.fit(features[train], success[train]).predict_proba(features[test])[:, 1]
    return found


def inner_splits(
    success: Int[np.ndarray, " runs"], groups: Int[np.ndarray, " runs"]
) -> list[tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"]]]:
    """Grouped splits whose training part holds both classes."""
    count = min(5, len(np.unique(groups)))
    if count < 2:
        return []
    splits = GroupKFold(n_splits=count).split(groups, groups=groups)
    return [(train, test) for train, test in splits if 0 < success[train].sum() < len(train)]


def _penalty(
    features: Float[np.ndarray, "runs features"], success: Int[np.ndarray, " runs"], groups: Int[np.ndarray, " runs"]
) -> float:
    splits = inner_splits(success, groups)
    losses = []
    for c in PENALTIES:
        loss = 0.0
        for train, test in splits:
            chance = _model(c).fit(features[train], success[train]).predict_proba(features[test])[:, 1]
            loss += log_loss(success[test], chance)
        losses.append(loss)
    return PENALTIES[int(np.argmin(losses))]


def log_loss(success: Int[np.ndarray, " runs"], chance: Float[np.ndarray, " runs"]) -> float:
    """Sum of −log of the probability given to what happened."""
    chance = np.clip(chance, FLOOR, 1 - FLOOR)
    return -float(np.log(np.where(success == 1, chance, 1 - chance)).sum())


def _model(c: float):
    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000))
