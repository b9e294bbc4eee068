"""Area under the ROC curve of out-of-fold scores, with intervals over groups and a test between two models."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from grokkit.studies.statistics._tables import Randomization
from grokkit.studies.statistics._values import TAIL, Estimate, NotEstimable

FAILED_UP_TO = 0.05
"""Share of resamples that may hold no pair."""

ENUMERATED_GROUPS = 12


@final
@dataclass(frozen=True)
class Outcome:
    """Successes with the fold and the group of each run; a group lies in one fold."""

    success: Int[np.ndarray, " runs"]
    folds: Int[np.ndarray, " runs"]
    groups: Int[np.ndarray, " runs"]


@final
@dataclass(frozen=True)
class Concordance:
    """Pairs of a success and a failure of one fold, counted by their groups.

    `won[g, h]` counts those with the success in group g and the failure in h that the scores order rightly, a tie as
    a half; `pairs[g, h]` counts all. Scores of different folds come from different models and are not compared:
    pooled, even a constant score would look worse than chance.
    """

    won: Float[np.ndarray, "groups groups"]
    pairs: Float[np.ndarray, "groups groups"]

    def auc(self, weights: Float[np.ndarray, " groups"]) -> float:
        """With each group counted `weights` times; NaN if no pair is left."""
        pairs = float(weights @ self.pairs @ weights)
        return float(weights @ self.won @ weights) / pairs if pairs else float("nan")


def concordance(
    outcome: Outcome, scores: Float[np.ndarray, " runs"], of_failures: Float[np.ndarray, " runs"] | None = None
) -> Concordance:
    """Count the pairs; `of_failures` scores the failures where another model does."""
    other = scores if of_failures is None else of_failures
    groups = int(outcome.groups.max()) + 1
    won, pairs = np.zeros((groups, groups)), np.zeros((groups, groups))
    for fold in np.unique(outcome.folds):
        here = outcome.folds == fold
        lost = np.flatnonzero(here & (outcome.success == 0))
        for run in np.flatnonzero(here & (outcome.success == 1)):
            order = np.sign(scores[run] - other[lost])
            at = int(outcome.groups[run])
            won[at] += np.bincount(outcome.groups[lost], weights=(order + 1) / 2, minlength=groups)
            pairs[at] += np.bincount(outcome.groups[lost], minlength=groups)
    return Concordance(won, pairs)


def group_weights(groups: int, resamples: int, seed: int) -> Float[np.ndarray, "resamples groups"]:
    """How often each group is drawn in each bootstrap sample.

    Groups are drawn from all folds together. Within folds, of few groups each, the intervals would be too narrow;
    so they are a little too wide.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64)


def over_groups(
    value: float, drawn: Float[np.ndarray, " resamples"], groups: int, what: str
) -> Estimate | NotEstimable:
    """Percentile interval of a grouped bootstrap."""
    good = drawn[np.isfinite(drawn)]
    if len(good) < (1 - FAILED_UP_TO) * len(drawn):
        return NotEstimable(f"{len(drawn) - len(good)} of {len(drawn)} resamples of groups have no {what}")
    low, high = np.quantile(good, [TAIL, 1 - TAIL])
    return Estimate(value, float(low), float(high), groups, "grouped percentile bootstrap, n in groups")


def better_auc(
    outcome: Outcome,
    ours: Float[np.ndarray, " runs"],
    baseline: Float[np.ndarray, " runs"],
    *,
    permutations: int,
    seed: int,
) -> Randomization:
    """One-sided p that one model's scores order runs better than another's.

    Within each fold scores become ranks. If the models are equally good, the two may be swapped for every run of a
    group at once (Bandos, Rockette and Gur 2005, here by groups). With 12 groups or fewer all swaps are enumerated.
    """
    a, b = _ranks(outcome, ours), _ranks(outcome, baseline)
    same = concordance(outcome, a).won - concordance(outcome, b).won
    crossed = concordance(outcome, a, b).won - concordance(outcome, b, a).won
    # a pair contributes `same` where its groups are both swapped or both not, else `crossed`: linear in the signs
    gain = (same + crossed).sum(axis=1) / 2 + (same - crossed).sum(axis=0) / 2
    exact = len(gain) <= ENUMERATED_GROUPS
    if exact:
        signs = np.array(list(product((1.0, -1.0), repeat=len(gain))))
    else:
        signs = np.random.default_rng(seed).choice([1.0, -1.0], size=(permutations, len(gain)))
    total = float(gain.sum())
    hits = int((signs @ gain >= total - 1e-9 * float(np.abs(gain).sum())).sum())
    if exact:
        return Randomization(hits / len(signs), True, len(signs), None)
    return Randomization((hits + 1) / (permutations + 1), False, permutations, seed)


def _ranks(outcome: Outcome, scores: Float[np.ndarray, " runs"]) -> Float[np.ndarray, " runs"]:
    found = np.zeros(len(scores))
    for fold in np.unique(outcome.folds):
        here = outcome.folds == fold
        found[here] = rankdata(scores[here])
    return found
