"""Power of the exact tests of proportions: the probability of every outcome that they reject."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats
from scipy.special import gammaln


def power_of_binomial(constant: float, true: float, n: int, alpha: float, alternative: str) -> float:
    """Chance that the exact binomial test of `constant` rejects when the share is `true`."""
    counts = np.arange(n + 1)
    tail = alpha / 2 if alternative == "two-sided" else alpha
    rejected = np.zeros(n + 1, dtype=bool)
    if alternative != "smaller":
        rejected |= stats.binom.sf(counts - 1, n, constant) <= tail
    if alternative != "larger":
        rejected |= stats.binom.cdf(counts, n, constant) <= tail
    return float(min(1.0, stats.binom.pmf(counts, n, true)[rejected].sum()))


def power_of_fisher(first: float, second: float, n: int, alpha: float) -> float:
    """Chance that Fisher's exact test of two groups of n runs rejects at the given shares."""
    counts = np.arange(n + 1)
    a, b = stats.binom.pmf(counts, n, first), stats.binom.pmf(counts, n, second)
    return float(min(1.0, a @ (fisher_rejects(n, alpha) @ b)))


@lru_cache(maxsize=512)
def fisher_rejects(n: int, alpha: float) -> Bool[np.ndarray, "successes others"]:
    """Whether the two-sided test rejects, for all successes of two groups of n runs.

    As R and SciPy have it, p sums the tables of the same margins that are at most as probable as the one found.
    """
    logarithm = gammaln(n + 1) - gammaln(np.arange(n + 1) + 1) - gammaln(n - np.arange(n + 1) + 1)
    rejects = np.zeros((n + 1, n + 1), dtype=bool)
    for total in range(2 * n + 1):
        first = np.arange(max(0, total - n), min(n, total) + 1)
        weights: Float[np.ndarray, " tables"] = logarithm[first] + logarithm[total - first]
        weights = np.exp(weights - weights.max())
        order = np.argsort(weights, kind="stable")
        ordered = weights[order]
        below = np.cumsum(ordered)
        reached = np.searchsorted(ordered, ordered * (1 + 1e-7), side="right") - 1
        p = below[reached] / below[-1]
        rejects[first[order], total - first[order]] = p <= alpha
    return rejects
