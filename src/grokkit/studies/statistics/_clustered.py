"""Successes of runs that share a seed or a configuration: population-averaged odds ratios."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int
from scipy import stats
from statsmodels.genmod.cov_struct import Exchangeable
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_estimating_equations import GEE

from grokkit.studies._statistics import Proportion
from grokkit.studies.statistics._columns import Data, as_frame, levels, names_of, outcomes
from grokkit.studies.statistics._design import dependent, design
from grokkit.studies.statistics._separation import find_separation
from grokkit.studies.statistics._values import TAIL, Estimate, NotEstimable, as_json, table

METHOD = "GEE, exchangeable correlation, bias-reduced sandwich"


@final
@dataclass(frozen=True)
class ClusteredTerm:
    """One term of a clustered logistic model."""

    name: str
    coefficient: Estimate | NotEstimable
    standard_error: float | NotEstimable
    odds_ratio: Estimate | NotEstimable
    p: float | NotEstimable

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class ClusteredLogistic:
    """A logistic model of runs in groups, by generalized estimating equations."""

    outcome: str
    group: str
    method: str
    n: int
    groups: int
    successes: Proportion
    """Its Wilson interval takes runs for independent: it is too narrow where the correlation is above 0."""
    terms: tuple[ClusteredTerm, ...]
    correlation: Estimate | NotEstimable
    """Of two runs of one group, given the predictors; jackknife over groups."""
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> ClusteredTerm:
        return next(term for term in self.terms if term.name == name or term.name.startswith(f"{name} (against"))

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        title = f"logistic model of {self.outcome}, {self.groups} groups by {self.group}, n = {self.n}, {self.method}"
        rows = [(t.name, t.coefficient, t.odds_ratio, t.p) for t in self.terms]
        header = ("term", "coefficient [95 %]", "odds ratio [95 %]", "p")
        return table(title, header, rows, [f"correlation within groups {self.correlation}", *self.notes])


def clustered_logistic(
    data: Data, outcome: str, predictors: str | Sequence[str], group: str, *, categorical: Sequence[str] = ()
) -> ClusteredLogistic:
    """Success on predictors where runs of one group may resemble each other.

    Generalized estimating equations with an exchangeable working correlation (Liang and Zeger 1986): odds ratios are
    averages over the population of groups, not of one group. Standard errors are Mancl and DeRouen's (2001),
    with Student's quantiles on groups − terms degrees of freedom. Separated data are not estimable here: use
    `logistic`, which takes runs for independent.
    """
    names = names_of(predictors)
    frame = as_frame(data, outcome, *names, group)
    success, (distinct, codes) = outcomes(frame, outcome), levels(frame, group)
    made = design(frame, names, categorical)
    counted = Proportion(int(success.sum()), len(success))
    shown = (outcome, group, METHOD, len(success), len(distinct), counted)
    df = len(distinct) - len(made.names)
    reason = None
    if dependent(made.matrix).any():
        reason = NotEstimable("the predictors are confounded: one is a combination of the others in these runs")
    elif df < 1:
        reason = NotEstimable(f"{len(distinct)} groups are too few for {len(made.names)} terms")
    elif separation := find_separation(made.matrix, success, made.names):
        reason = NotEstimable(f"{separation}: the likelihood has no maximum")
    if reason is not None:
        terms = tuple(ClusteredTerm(name, reason, reason, reason, reason) for name in made.names)
        return ClusteredLogistic(*shown, terms, reason, ())
    scale = np.sqrt((made.matrix**2).mean(axis=0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = GEE(success, made.matrix / scale, groups=codes, family=Binomial(), cov_struct=Exchangeable())
        fit: Any = model.fit(maxiter=200, cov_type="bias_reduced")
    notes = list(dict.fromkeys(f"statsmodels: {' '.join(str(each.message).split())}" for each in caught))
    if not fit.converged:
        notes.append("the iteration did not converge: do not read the coefficients")
    if len(distinct) < 20:
        notes.append(f"{len(distinct)} groups are few for a sandwich variance")
    values, errors = np.asarray(fit.params) / scale, np.asarray(fit.bse) / scale
    terms = tuple(
        _term(name, float(value), float(error), df, len(success))
        for name, value, error in zip(made.names, values, errors, strict=True)
    )
    correlation = _correlation(success, np.asarray(fit.fittedvalues), codes, len(made.names))
    return ClusteredLogistic(*shown, terms, correlation, tuple(notes))


def _term(name: str, value: float, error: float, df: int, n: int) -> ClusteredTerm:
    if not math.isfinite(error) or error <= 0:
        no = NotEstimable("the sandwich variance is not positive")
        return ClusteredTerm(name, no, no, no, no)
    half = float(stats.t.isf(TAIL, df)) * error
    method = f"sandwich, Student on {df} df"
    ratio = [math.exp(min(each, 709.0)) for each in (value, value - half, value + half)]
    return ClusteredTerm(
        name,
        Estimate(value, value - half, value + half, n, method),
        error,
        Estimate(ratio[0], ratio[1], ratio[2], n, method),
        float(2 * stats.t.sf(abs(value) / error, df)),
    )


def _correlation(
    success: Int[np.ndarray, " runs"], chance: Float[np.ndarray, " runs"], codes: Int[np.ndarray, " runs"], terms: int
) -> Estimate | NotEstimable:
    """Moment estimate of the correlation of Pearson residuals within groups; jackknife over groups, means kept."""
    residual = (success - chance) / np.sqrt(chance * (1 - chance))
    sizes = np.bincount(codes).astype(np.float64)
    sums = np.bincount(codes, weights=residual)
    squares = np.bincount(codes, weights=residual**2)
    products, pairs, groups = (sums**2 - squares) / 2, sizes * (sizes - 1) / 2, len(sizes)
    if pairs.sum() <= terms or (pairs > 0).sum() < 2:
        return NotEstimable("fewer than two groups have two runs")

    def moment(product: Any, pair: Any, square: Any, size: Any) -> Any:
        return product / (pair - terms) / (square / (size - terms))

    value = float(moment(products.sum(), pairs.sum(), squares.sum(), sizes.sum()))
    left_pairs = pairs.sum() - pairs
    if left_pairs.min() <= terms:
        return NotEstimable("one group holds nearly all pairs of runs")
    left = moment(products.sum() - products, left_pairs, squares.sum() - squares, sizes.sum() - sizes)
    error = math.sqrt((groups - 1) / groups * float(((left - left.mean()) ** 2).sum()))
    half = float(stats.t.isf(TAIL, groups - 1)) * error
    return Estimate(
        value, max(-1.0, value - half), min(1.0, value + half), groups, "jackknife over groups, n in groups"
    )
