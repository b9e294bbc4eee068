"""Logistic regression: odds ratios with Wald and profile intervals, separation found and handled openly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Int
from scipy import stats

from grokkit.studies._statistics import Proportion
from grokkit.studies.statistics._columns import Data, as_frame, names_of, outcomes
from grokkit.studies.statistics._design import Design, dependent, design
from grokkit.studies.statistics._likelihood import Fit, Likelihood, NoMaximum
from grokkit.studies.statistics._separation import Separation, find_separation
from grokkit.studies.statistics._values import TAIL, Estimate, NotEstimable, as_json, table


@final
@dataclass(frozen=True)
class Coefficient:
    """One term of a logistic model. Odds ratios are exponentials of the coefficients."""

    name: str
    coefficient: Estimate | NotEstimable
    """Log odds ratio for one unit, with the profile likelihood interval."""
    standard_error: float | NotEstimable
    odds_ratio: Estimate | NotEstimable
    """With the profile likelihood interval."""
    odds_ratio_wald: Estimate | NotEstimable
    """The same with the Wald interval, symmetric in the logarithm."""
    p: float | NotEstimable
    """By the likelihood ratio."""
    p_wald: float | NotEstimable

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class Logistic:
    """A logistic regression over n runs."""

    outcome: str
    n: int
    successes: Proportion
    method: str
    separation: Separation | NotEstimable
    log_likelihood: float | NotEstimable
    terms: tuple[Coefficient, ...]
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> Coefficient:
        return next(term for term in self.terms if term.name == name or term.name.startswith(f"{name} (against"))

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        title = f"logistic regression of {self.outcome}, {self.successes.count} of {self.n} runs, {self.method}"
        header = ("term", "coefficient [profile]", "odds ratio [profile]", "odds ratio [Wald]", "p", "p Wald")
        rows = [(t.name, t.coefficient, t.odds_ratio, t.odds_ratio_wald, t.p, t.p_wald) for t in self.terms]
        return table(title, header, rows, [f"separation: {self.separation}", *self.notes])


def logistic(
    data: Data,
    outcome: str,
    predictors: str | Sequence[str],
    *,
    categorical: Sequence[str] = (),
    firth: bool | None = None,
) -> Logistic:
    """Logistic regression of a success on predictors: numbers as they are, categories against their first level.

    Separation is looked for by linear programming before anything is fitted. `firth=None` fits by maximum
    likelihood, and by Firth's penalized likelihood exactly if the data are separated, which `method` and a note
    say. `firth=False` then answers `NotEstimable` for every term, also if runs are of one class only. `firth=True`
    always penalizes. Intervals and p come from the profile (penalized) likelihood, with Wald's beside them.
    """
    names = names_of(predictors)
    frame = as_frame(data, outcome, *names)
    success = outcomes(frame, outcome)
    made = design(frame, names, categorical)
    counted = Proportion(int(success.sum()), len(success))
    confounded = dependent(made.matrix)
    if confounded.any():
        those = ", ".join(name for name, bad in zip(made.names, confounded, strict=True) if bad)
        no = NotEstimable(f"each of {those} is a combination of the others in these runs")
        return _nothing(outcome, counted, made, no, no)
    separation = find_separation(made.matrix, success, made.names)
    penalize = bool(separation) if firth is None else firth
    if separation and not penalize:
        what = "all runs are of one class" if separation.kind == "one class only" else f"{separation}"
        no = NotEstimable(f"{what}: the likelihood has no maximum; ask for firth=True")
        return _nothing(outcome, counted, made, separation, no)
    notes = []
    if separation and firth is None:
        notes.append(f"fitted by Firth's penalized likelihood because of separation ({separation})")
    try:
        fitted = _fit(made, success, penalize)
    except NoMaximum as found:
        return _nothing(outcome, counted, made, separation, NotEstimable(f"the fit failed: {found}"))
    log_likelihood, terms = fitted
    method = "Firth's penalized likelihood" if penalize else "maximum likelihood"
    return Logistic(outcome, len(success), counted, method, separation, log_likelihood, terms, tuple(notes))


def _nothing(
    outcome: str, counted: Proportion, made: Design, separation: Separation | NotEstimable, no: NotEstimable
) -> Logistic:
    terms = tuple(Coefficient(name, no, no, no, no, no, no) for name in made.names)
    return Logistic(outcome, counted.n, counted, "nothing fitted", separation, no, terms, ())


def _fit(made: Design, success: Int[np.ndarray, " runs"], firth: bool) -> tuple[float, tuple[Coefficient, ...]]:
    """Fit with columns scaled to unit root mean square, and scale back."""
    scale = np.sqrt((made.matrix**2).mean(axis=0))
    likelihood = Likelihood(made.matrix / scale, success, firth)
    fit, drops = likelihood.maximize_with_nulls()
    terms = tuple(
        _coefficient(name, likelihood, fit, at, float(scale[at]), drops[at]) for at, name in enumerate(made.names)
    )
    value = fit.log_likelihood + (float(np.log(scale).sum()) if firth else 0.0)
    return value, terms


def _coefficient(name: str, likelihood: Likelihood, fit: Fit, at: int, scale: float, drop: float) -> Coefficient:
    n = len(likelihood.success)
    value, error = float(fit.coefficients[at]) / scale, math.sqrt(fit.covariance[at, at]) / scale
    low, high = (bound / scale for bound in likelihood.profile_bounds(fit, at))
    half = float(stats.norm.isf(TAIL)) * error
    p = float(stats.chi2.sf(drop, 1))
    profile = "profile penalized likelihood" if likelihood.firth else "profile likelihood"
    return Coefficient(
        name,
        Estimate(value, low, high, n, profile),
        error,
        Estimate(_exp(value), _exp(low), _exp(high), n, profile),
        Estimate(_exp(value), _exp(value - half), _exp(value + half), n, "Wald"),
        p,
        float(2 * stats.norm.sf(abs(value) / error)),
    )


def _exp(value: float) -> float:
    return math.inf if value > 709 else math.exp(value)
