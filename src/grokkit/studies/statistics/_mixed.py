"""Runs that share a seed or a configuration: a random intercept for each group of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int
from scipy import stats
from scipy.optimize import minimize_scalar

from grokkit.studies.statistics._columns import Data, as_frame, levels, names_of, numbers
from grokkit.studies.statistics._design import Design, dependent, design
from grokkit.studies.statistics._root import root
from grokkit.studies.statistics._values import LEVEL, TAIL, Estimate, NotEstimable, as_json, table


@final
@dataclass(frozen=True)
class FixedEffect:
    """One coefficient of a mixed model, with Student's interval."""

    name: str
    estimate: Estimate | NotEstimable
    standard_error: float | NotEstimable
    df: float
    """Between groups for terms that are constant within them, else within groups."""
    p: float | NotEstimable

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class RandomIntercept:
    """A linear mixed model with one random intercept a group, by restricted maximum likelihood."""

    response: str
    group: str
    n: int
    groups: int
    smallest_group: int
    largest_group: int
    fixed: tuple[FixedEffect, ...]
    variance_between: float | NotEstimable
    variance_within: float | NotEstimable
    intraclass_correlation: Estimate | NotEstimable
    """Between / (between + within), with the profile restricted likelihood interval."""
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> FixedEffect:
        return next(term for term in self.fixed if term.name == name or term.name.startswith(f"{name} (against"))

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        title = f"mixed model of {self.response}, {self.groups} groups by {self.group}, n = {self.n}, REML"
        rows = [(t.name, t.estimate, t.standard_error, t.df, t.p) for t in self.fixed]
        below = [
            f"variance between groups {_text(self.variance_between)}, within {_text(self.variance_within)}",
            f"intraclass correlation {self.intraclass_correlation}",
            *self.notes,
        ]
        return table(title, ("term", "estimate [95 %]", "standard error", "df", "p"), rows, below)


def _text(value: float | NotEstimable) -> str:
    return str(value) if isinstance(value, NotEstimable) else f"{value:.4g}"


def random_intercept(
    data: Data, response: str, predictors: str | Sequence[str], group: str, *, categorical: Sequence[str] = ()
) -> RandomIntercept:
    """A numeric response on predictors, with a random intercept for each group of runs, by restricted likelihood.

    `predictors` may be empty: the model then only splits the variance. The likelihood is a function of the intraclass
    correlation alone and is maximized over it directly, which has no starting point and always ends (the
    general optimizer of statsmodels' `MixedLM` agrees where it ends). Degrees of freedom are split between and
    within groups. The interval of the correlation is that of its profile, conservative at the boundary 0.
    """
    names = names_of(predictors)
    frame = as_frame(data, response, *names, group)
    y, (distinct, codes) = numbers(frame, response), levels(frame, group)
    made = design(frame, names, categorical)
    sizes = np.bincount(codes)
    shown = (response, group, len(y), len(distinct), int(sizes.min()), int(sizes.max()))
    reason = _unfit(y, made, codes, sizes)
    if reason is not None:
        fixed = tuple(FixedEffect(name, reason, reason, 0.0, reason) for name in made.names)
        return RandomIntercept(*shown, fixed, reason, reason, reason, ())
    widths = np.sqrt((made.matrix**2).mean(axis=0))
    z, matrix = y - y.mean(), made.matrix / widths
    fit = _restricted(z, matrix, codes)
    notes = []
    if fit.correlation == 0:
        notes.append("the variance between groups is at its boundary 0: groups differ no more than runs do")
    if len(distinct) < 10:
        notes.append(f"{len(distinct)} groups say little about the variance between groups")
    beta = fit.coefficients / widths
    beta[0] += y.mean()
    fixed = tuple(
        _effect(name, float(value), float(error), df, len(y))
        for name, value, error, df in zip(made.names, beta, fit.errors / widths, _split_df(made, codes), strict=True)
    )
    between = fit.within * fit.correlation / (1 - fit.correlation)
    correlation = _interval(z, matrix, codes, fit.correlation)
    return RandomIntercept(*shown, fixed, between, fit.within, correlation, tuple(notes))


def _unfit(
    y: Float[np.ndarray, " runs"], made: Design, codes: Int[np.ndarray, " runs"], sizes: Int[np.ndarray, " groups"]
) -> NotEstimable | None:
    if np.ptp(y) == 0:
        return NotEstimable(f"all runs gave {y[0]:g}")
    if len(sizes) < 2:
        return NotEstimable("one group has no variance between groups")
    if sizes.max() < 2:
        return NotEstimable("every group has one run, so groups and runs cannot be told apart")
    if dependent(made.matrix).any() or len(y) <= made.matrix.shape[1]:
        return NotEstimable("the predictors are confounded, or as many as runs")
    if not any(np.ptp(y[codes == at]) for at in range(len(sizes))):
        return NotEstimable("runs do not vary within any group")
    if min(_split_df(made, codes)) < 1:
        return NotEstimable("predictors leave no degree of freedom between groups; more groups are needed")
    return None


def _split_df(made: Design, codes: Int[np.ndarray, " runs"]) -> list[float]:
    """Degrees of freedom between groups for columns constant within each, within groups for the others."""
    groups = int(codes.max()) + 1
    first = np.array([np.argmax(codes == at) for at in range(groups)])
    constant = [bool((column == column[first][codes]).all()) for column in made.matrix.T]
    between = float(groups - sum(constant))
    within = float(len(codes) - groups - (len(constant) - sum(constant)))
    return [between if each else within for each in constant]


def _effect(name: str, value: float, error: float, df: float, n: int) -> FixedEffect:
    half = float(stats.t.isf(TAIL, df)) * error
    estimate = Estimate(value, value - half, value + half, n, "Student, between-within degrees of freedom")
    return FixedEffect(name, estimate, error, df, float(2 * stats.t.sf(abs(value) / error, df)))


@final
@dataclass(frozen=True)
class _Restricted:
    """Restricted likelihood at one intraclass correlation, and the generalized least squares there."""

    correlation: float
    log_likelihood: float
    coefficients: Float[np.ndarray, " terms"]
    errors: Float[np.ndarray, " terms"]
    within: float


def _restricted(
    y: Float[np.ndarray, " runs"], matrix: Float[np.ndarray, "runs terms"], codes: Int[np.ndarray, " runs"]
) -> _Restricted:
    """The maximum over the correlation: the best of a grid, refined between its neighbors."""
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 0.5, 40), 1 - np.geomspace(0.4, 1e-9, 60)])
    values = [restricted_likelihood(each, y, matrix, codes).log_likelihood for each in grid.tolist()]
    at = int(np.argmax(values))
    bounds = (float(grid[max(at - 1, 0)]), float(grid[min(at + 1, len(grid) - 1)]))
    found = minimize_scalar(
        lambda each: -restricted_likelihood(each, y, matrix, codes).log_likelihood,
        bounds=bounds,
        method="bounded",
        options={"xatol": 1e-10 * (1 - bounds[0])},
    )
    best = float(grid[at]) if -float(found.fun) <= values[at] else float(found.x)
    return restricted_likelihood(best, y, matrix, codes)


def _interval(
    y: Float[np.ndarray, " runs"],
    matrix: Float[np.ndarray, "runs terms"],
    codes: Int[np.ndarray, " runs"],
    found: float,
) -> Estimate:
    drop = float(stats.chi2.isf(1 - LEVEL, 1)) / 2
    highest = restricted_likelihood(found, y, matrix, codes).log_likelihood

    def excess(correlation: float) -> float:
        return highest - restricted_likelihood(correlation, y, matrix, codes).log_likelihood - drop

    top = 1 - 1e-12
    low = 0.0 if excess(0.0) <= 0 else root(excess, 0.0, found)
    high = 1.0 if excess(top) <= 0 else root(excess, found, top)
    return Estimate(found, low, high, int(codes.max()) + 1, "profile restricted likelihood, n in groups")


def restricted_likelihood(
    correlation: float,
    y: Float[np.ndarray, " runs"],
    matrix: Float[np.ndarray, "runs terms"],
    codes: Int[np.ndarray, " runs"],
) -> _Restricted:
    """Restricted log likelihood (up to a constant) at one intraclass correlation, other parameters at their best.

    Within a group of m runs the inverse of I + λ J, λ = ρ / (1 − ρ), is I − λ / (1 + λ m) J (Searle, Casella and
    McCulloch 1992), so sums over groups suffice.
    """
    ratio = correlation / (1 - correlation)
    sizes = np.bincount(codes)
    weight = ratio / (1 + ratio * sizes)
    whole = np.column_stack([matrix, y])
    sums = np.zeros((len(sizes), whole.shape[1]))
    np.add.at(sums, codes, whole)
    moments = whole.T @ whole - (sums * weight[:, None]).T @ sums
    xx, xy = moments[:-1, :-1], moments[:-1, -1]
    inverse = np.linalg.inv(xx)
    beta = inverse @ xy
    residual = y - matrix @ beta
    of_groups = np.bincount(codes, weights=residual)
    squares = float(residual @ residual) - float(weight @ of_groups**2)
    df = len(y) - matrix.shape[1]
    value = -0.5 * (df * math.log(squares) + float(np.log1p(ratio * sizes).sum()) + float(np.linalg.slogdet(xx)[1]))
    return _Restricted(correlation, value, beta, np.sqrt(np.diag(inverse) * squares / df), squares / df)
