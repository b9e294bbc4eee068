"""Which groups differ: all pairs of one factor's levels, with simultaneous intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, TypeAlias, final

import numpy as np
from jaxtyping import Float
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics._columns import Data, as_frame, levels, numbers, text
from grokkit.studies.statistics._multiplicity import adjusted_some
from grokkit.studies.statistics._values import LEVEL, Estimate, NotEstimable, as_json, table

Method: TypeAlias = Literal["tukey", "games-howell", "holm"]

_METHODS = {
    "tukey": "Tukey-Kramer, equal variances",
    "games-howell": "Games-Howell, unequal variances",
    "holm": "Welch's t, p by Holm, intervals by Bonferroni",
}


@final
@dataclass(frozen=True)
class Pair:
    """Mean of `second` less mean of `first`, with an interval that holds for all pairs at once."""

    first: str
    second: str
    difference: Estimate | NotEstimable
    statistic: float | NotEstimable
    """Studentized range q for Tukey and Games-Howell, t for Holm."""
    df: float | NotEstimable
    p: float | NotEstimable
    """Of this pair alone for Holm; already adjusted for the others."""
    adjusted_p: float | NotEstimable
    runs: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class Pairs:
    """All pairs of groups."""

    response: str
    factor: str
    method: str
    n: int
    rows: tuple[Pair, ...]

    def __getitem__(self, pair: tuple[str, str]) -> Pair:
        return next(row for row in self.rows if (row.first, row.second) == pair)

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        title = f"pairs of {self.factor} by {self.response} ({self.method}), n = {self.n}"
        header = ("pair", "difference [95 %]", "statistic", "df", "adjusted p", "runs")
        rows = [
            (
                f"{row.second} - {row.first}",
                row.difference,
                row.statistic,
                row.df,
                row.adjusted_p,
                "{} + {}".format(*row.runs),
            )
            for row in self.rows
        ]
        return table(title, header, rows)


def compare_pairs(data: Data, response: str, factor: str, method: Method = "games-howell") -> Pairs:
    """Compare all pairs of one factor's levels; p-values and intervals hold for all pairs at once.

    ``tukey`` takes variances for equal (Tukey 1949, Kramer 1956); ``games-howell`` does not (Games and Howell
    1976); ``holm`` adjusts Welch's t tests by Holm and widens their intervals by Bonferroni.
    """
    if method not in _METHODS:
        raise InvalidInput(f"method {method!r} is unknown; choose {', '.join(_METHODS)}")
    frame = as_frame(data, response, factor)
    y, (distinct, codes) = numbers(frame, response), levels(frame, factor)
    if len(distinct) < 2:
        raise InvalidInput(f"factor {factor!r} has the one value {distinct[0]!r}; there is no pair")
    groups = [y[codes == at] for at in range(len(distinct))]
    contrast = _tukey(groups) if method == "tukey" else _welch
    pairs = list(combinations(range(len(groups)), 2))
    rows = []
    for first, second in pairs:
        a, b = groups[first], groups[second]
        error = contrast(a, b)
        names, runs = (text(distinct[first]), text(distinct[second])), (len(a), len(b))
        if isinstance(error, NotEstimable):
            rows.append(Pair(*names, error, error, error, error, error, runs))
            continue
        standard_error, df = error
        difference = float(b.mean() - a.mean())
        t = difference / standard_error
        if method == "holm":
            statistic, p = t, float(2 * stats.t.sf(abs(t), df))
            half = float(stats.t.isf((1 - LEVEL) / 2 / len(pairs), df)) * standard_error
        else:
            statistic = math.sqrt(2) * abs(t)
            p = float(np.clip(stats.studentized_range.sf(statistic, len(groups), df), 0, 1))
            half = float(stats.studentized_range.ppf(LEVEL, len(groups), df)) / math.sqrt(2) * standard_error
        estimate = Estimate(difference, difference - half, difference + half, sum(runs), _METHODS[method])
        rows.append(Pair(*names, estimate, statistic, df, p, p, runs))
    if method == "holm":
        adjusted = adjusted_some([row.p for row in rows])
        rows = [
            Pair(row.first, row.second, row.difference, row.statistic, row.df, row.p, p, row.runs)
            for row, p in zip(rows, adjusted, strict=True)
        ]
    return Pairs(response, factor, _METHODS[method], len(y), tuple(rows))


Contrast: TypeAlias = Callable[[np.ndarray, np.ndarray], tuple[float, float] | NotEstimable]


def _tukey(groups: Sequence[Float[np.ndarray, "_"]]) -> Contrast:
    """Standard error of a difference from the variance pooled over all groups."""
    df = sum(map(len, groups)) - len(groups)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)

    def contrast(a: np.ndarray, b: np.ndarray) -> tuple[float, float] | NotEstimable:
        if df == 0:
            return NotEstimable("every group has one run")
        if not any(np.ptp(group) for group in groups):
            return NotEstimable("runs do not vary within any group")
        return math.sqrt(squares / df * (1 / len(a) + 1 / len(b))), float(df)

    return contrast


def _welch(a: np.ndarray, b: np.ndarray) -> tuple[float, float] | NotEstimable:
    """Standard error and Welch-Satterthwaite degrees of freedom of a difference."""
    if min(len(a), len(b)) < 2:
        return NotEstimable("a group of one run has no variance")
    if not np.ptp(a) and not np.ptp(b):
        return NotEstimable("neither group varies")
    va, vb = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return math.sqrt(va + vb), df
