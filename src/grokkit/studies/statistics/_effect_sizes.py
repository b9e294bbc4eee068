"""Shares of variance with intervals, by inversion of the noncentral F distribution."""

from __future__ import annotations

import math

from scipy.special import ncfdtr

from grokkit.studies.statistics._root import root
from grokkit.studies.statistics._values import TAIL, Estimate, NotEstimable

METHOD = "noncentral F"


def noncentrality(f: float, df1: float, df2: float) -> tuple[float, float] | NotEstimable:
    """95 % interval of the noncentrality λ of an F statistic: the λ under which F is at the 97.5 % or 2.5 % point.

    Source: Steiger (2004), "Beyond the F test", Psychological Methods 9.

    >>> low, high = noncentrality(4.846, 2, 27)
    >>> round(low, 3), round(high, 2)
    (0.3, 25.96)
    """
    low, high = _solve(f, df1, df2, 1 - TAIL), _solve(f, df1, df2, TAIL)
    if math.isnan(low) or math.isnan(high):
        return NotEstimable(f"the noncentral F distribution cannot be inverted at F = {f:.4g}")
    return low, high


def _solve(f: float, df1: float, df2: float, at: float) -> float:
    def excess(lam: float) -> float:
        return float(ncfdtr(df1, df2, lam, f)) - at

    if excess(0.0) <= 0:
        return 0.0
    upper = max(1.0, df1 * f)
    for _ in range(60):
        value = excess(upper)
        if math.isnan(value):
            return math.nan
        if value < 0:
            return root(excess, 0.0, upper)
        upper *= 2
    return math.nan


def share_of_variance(value: float, f: float, df1: float, df2: float, n: int) -> Estimate | NotEstimable:
    """An estimate of the population's share of variance λ / (λ + n), with the interval that λ gives it.

    The interval is that of the population's share, whichever estimator (η², ω²) gives the value; the biased
    estimate may lie beside it when F is small.
    """
    if math.isinf(f):
        return NotEstimable("no variance is left within the groups")
    bounds = noncentrality(f, df1, df2)
    if isinstance(bounds, NotEstimable):
        return bounds
    low, high = bounds
    return Estimate(value, low / (low + n), high / (high + n), n, METHOD)
