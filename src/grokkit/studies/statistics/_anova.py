"""Analysis of variance by one factor or several, with effect sizes and checked assumptions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, TypeAlias, final

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.oneway import anova_oneway
from statsmodels.tools.sm_exceptions import ValueWarning

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics._assumptions import Assumptions, check_assumptions
from grokkit.studies.statistics._columns import Data, as_frame, cells_of, levels, names_of, numbers, text
from grokkit.studies.statistics._effect_sizes import share_of_variance
from grokkit.studies.statistics._values import Estimate, NotEstimable, Test, as_json, table

Sums: TypeAlias = Literal["I", "II", "III"]

_TYPES = {"I": 1, "II": 2, "III": 3}


@final
@dataclass(frozen=True)
class Term:
    """One line of the table: a factor or an interaction."""

    name: str
    sum_of_squares: float
    df: int
    mean_square: float
    f: float | NotEstimable
    p: float | NotEstimable
    eta_squared: Estimate | NotEstimable
    """Share of the total sum of squares."""
    partial_eta_squared: Estimate | NotEstimable
    """SS / (SS + residual SS)."""
    omega_squared: Estimate | NotEstimable
    """(SS − df · MSE) / (total SS + MSE): less biased than η², and below zero where F < 1."""

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class Anova:
    """An analysis of variance over n runs."""

    response: str
    factors: tuple[str, ...]
    sums: Sums
    """Type of the sums of squares."""
    n: int
    cells: int
    terms: tuple[Term, ...] | NotEstimable
    residual_sum_of_squares: float | NotEstimable
    residual_df: int
    total_sum_of_squares: float
    assumptions: Assumptions
    welch: Test | NotEstimable | None
    """Welch's test, which needs no equal variances; None with more than one factor."""
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> Term:
        if isinstance(self.terms, NotEstimable):
            raise InvalidInput(f"the table has no terms: {self.terms.reason}")
        return next(term for term in self.terms if term.name == name)

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        title = f"ANOVA of {self.response} by {', '.join(self.factors)}, type {self.sums}, n = {self.n}"
        if isinstance(self.terms, NotEstimable):
            return f"{title}\n{self.terms}"
        header = ("term", "SS", "df", "MS", "F", "p", "eta2", "partial eta2", "omega2")
        rows: list[tuple[Any, ...]] = [
            (
                t.name,
                t.sum_of_squares,
                t.df,
                t.mean_square,
                t.f,
                t.p,
                t.eta_squared,
                t.partial_eta_squared,
                t.omega_squared,
            )
            for t in self.terms
        ]
        rows.append(("residual", self.residual_sum_of_squares, self.residual_df, *[None] * 6))
        welch = [] if self.welch is None else [str(self.welch)]
        return "\n".join([table(title, header, rows, [*welch, *self.notes]), str(self.assumptions)])


def anova(
    data: Data, response: str, factors: str | Sequence[str], *, sums: Sums = "II", interactions: bool = True
) -> Anova:
    """Analysis of variance of a numeric response by categorical factors, all pairwise interactions included.

    Type I adds the terms in the order given; type II tests a main effect beside all terms that do not contain it;
    type III beside all others, under sum-to-zero contrasts. They agree when every cell has as many runs. The
    intervals of η² and ω² invert the noncentral F distribution (Steiger 2004): exactly for one factor and for partial
    η²; with several factors that of η² and ω² counts the other terms to the error, and is approximate. The
    interval is that of the population's share: where F is small it may lie beside the estimate.

    Data in which a cell of an interaction is empty, every cell has one run or no variance is left give
    `NotEstimable` with the reason. Missing values raise `InvalidInput`.
    """
    names = names_of(factors)
    if sums not in _TYPES:
        raise InvalidInput(f"sums {sums!r} is unknown; choose the type I, II or III")
    if not names:
        raise InvalidInput("factors is empty; name the columns to compare by")
    frame = as_frame(data, response, *names)
    y = numbers(frame, response)
    coded = [levels(frame, name) for name in names]
    for name, (distinct, _) in zip(names, coded, strict=True):
        if len(distinct) < 2:
            raise InvalidInput(f"factor {name!r} has the one value {distinct[0]!r}; leave it out")
    groups = cells_of(names, coded)
    cells = [y[rows] for rows in groups.values()]
    total = float(((y - y.mean()) ** 2).sum())
    blocked = _empty_cell(names, coded) if interactions else None
    model = _fit(y, coded, sums, interactions) if blocked is None else blocked
    if isinstance(model, NotEstimable):
        terms: tuple[Term, ...] | NotEstimable = model
        error: float | NotEstimable = model
        residuals, df = np.concatenate([cell - cell.mean() for cell in cells]), len(y) - len(cells)
    else:
        terms, error = _terms(names, interactions, model, total, y), model.error
        residuals, df = model.residuals, model.df
    assumptions = check_assumptions(cells, list(groups), residuals)
    welch = welch_test(cells) if len(names) == 1 else None
    notes = _notes(assumptions, sums, len(names), terms)
    return Anova(response, tuple(names), sums, len(y), len(cells), terms, error, df, total, assumptions, welch, notes)


def welch_anova(data: Data, response: str, factor: str) -> Test | NotEstimable:
    """Welch's (1951) analysis of variance by one factor, for groups of unequal variance."""
    frame = as_frame(data, response, factor)
    y, (distinct, codes) = numbers(frame, response), levels(frame, factor)
    return welch_test([y[codes == at] for at in range(len(distinct))])


def welch_test(groups: Sequence[Float[np.ndarray, "_"]]) -> Test | NotEstimable:
    """The same over arrays, one a group."""
    if len(groups) < 2:
        return NotEstimable("one group has nothing to be compared with")
    if min(map(len, groups)) < 2:
        return NotEstimable("a group of one run has no variance; Welch's test weighs groups by theirs")
    still = sum(np.ptp(group) == 0 for group in groups)
    if still:
        return NotEstimable(
            f"{still} of {len(groups)} groups have zero variance; Welch's test weighs groups by its inverse"
        )
    found = anova_oneway(groups, use_var="unequal", welch_correction=True)
    df = tuple(float(each) for each in found.df)
    return Test("Welch's ANOVA", float(found.statistic), df, float(found.pvalue), sum(map(len, groups)))


def _empty_cell(names: list[str], coded: list[tuple[list[Any], Any]]) -> NotEstimable | None:
    for (a, (levels_a, codes_a)), (b, (levels_b, codes_b)) in combinations(zip(names, coded, strict=True), 2):
        counts = np.zeros((len(levels_a), len(levels_b)), dtype=int)
        np.add.at(counts, (codes_a, codes_b), 1)
        if not counts.all():
            i, j = np.argwhere(counts == 0)[0]
            return NotEstimable(
                f"there is no run at {a}={text(levels_a[i])}, {b}={text(levels_b[j])}, so their interaction cannot be "
                "told; run it, or ask for interactions=False"
            )
    return None


@final
@dataclass(frozen=True)
class _Model:
    """The table of statsmodels, the residuals and their degrees of freedom."""

    found: pd.DataFrame
    residuals: Float[np.ndarray, " runs"]
    df: int

    @property
    def error(self) -> float:
        return float((self.residuals**2).sum())


def _fit(
    y: Float[np.ndarray, " runs"], coded: list[tuple[list[Any], Any]], sums: Sums, interactions: bool
) -> _Model | NotEstimable:
    frame = pd.DataFrame({"y": y, **{f"f{at}": codes for at, (_, codes) in enumerate(coded)}})
    main = " + ".join(f"C(f{at}, Sum)" for at in range(len(coded)))
    model = ols(f"y ~ ({main})**2" if interactions and len(coded) > 1 else f"y ~ {main}", frame)
    matrix = np.asarray(model.exog)
    rank, columns = np.linalg.matrix_rank(matrix), matrix.shape[1]
    if rank < columns:
        return NotEstimable("the factors are confounded: one is a combination of the others in these runs")
    if len(y) <= columns:
        return NotEstimable(f"{len(y)} runs leave no freedom for an error beside {columns} coefficients; repeat runs")
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ValueWarning)  # of runs that are all equal; the terms say so
        fit = model.fit()
        found = anova_lm(fit, typ=_TYPES[sums])
    residuals = np.asarray(fit.resid)
    if float((residuals**2).sum()) <= _rounding(y):
        residuals = np.zeros_like(y)
    return _Model(found, residuals, len(y) - columns)


def _rounding(y: Float[np.ndarray, " runs"]) -> float:
    """A sum of squares that rounding alone can leave."""
    return len(y) * (16 * np.finfo(float).eps * float(np.abs(y).max())) ** 2


def _terms(
    names: list[str], interactions: bool, model: _Model, total: float, y: Float[np.ndarray, " runs"]
) -> tuple[Term, ...]:
    error, df = model.error, model.df
    places: list[tuple[int, ...]] = [(at,) for at in range(len(names))]
    if interactions:
        places += list(combinations(range(len(names)), 2))
    noise = _rounding(y)
    terms = []
    for place in places:
        row = model.found.loc[":".join(f"C(f{at}, Sum)" for at in place)]
        squares, freedom = float(row["sum_sq"]), round(float(row["df"]))
        squares = squares if squares > noise else 0.0
        name = " × ".join(names[at] for at in place)
        if error == 0:
            why = "runs do not vary within the cells, so there is no error to compare with"
            no = NotEstimable("all runs are equal" if total <= noise else why)
            terms.append(Term(name, squares, freedom, squares / freedom, no, no, no, no, no))
            continue
        variance = error / df
        f = squares / freedom / variance
        rest, rest_df = total - squares, len(y) - 1 - freedom
        alone = rest / rest_df if rest > noise else 0.0
        beside = f if len(names) == 1 else (squares / freedom / alone if alone else float("inf"))
        partial = share_of_variance(squares / (squares + error), f, freedom, df, len(y))
        eta = share_of_variance(squares / total, beside, freedom, rest_df, len(y))
        omega = share_of_variance((squares - freedom * variance) / (total + variance), beside, freedom, rest_df, len(y))
        p = float(stats.f.sf(f, freedom, df))
        terms.append(Term(name, squares, freedom, squares / freedom, f, p, eta, partial, omega))
    return tuple(terms)


def _notes(
    assumptions: Assumptions, sums: Sums, factors: int, terms: tuple[Term, ...] | NotEstimable
) -> tuple[str, ...]:
    notes = []
    unequal = isinstance(assumptions.equal_variances, Test) and assumptions.equal_variances.p < 0.05
    if unequal or assumptions.without_variance:
        better = "read Welch's test and Games-Howell" if factors == 1 else "compare cells with Games-Howell"
        notes.append(f"variances differ between cells, which F takes for equal: {better}")
    if isinstance(assumptions.normal_residuals, Test) and assumptions.normal_residuals.p < 0.05:
        notes.append("residuals are not normal: a permutation test needs no such assumption")
    if not assumptions.balanced and factors > 1 and not isinstance(terms, NotEstimable):
        notes.append(f"cells differ in size, so types I, II and III differ; this is type {sums}")
    return tuple(notes)
