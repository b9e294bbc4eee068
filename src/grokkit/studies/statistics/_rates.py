"""Shares of successful runs: by cell, and compared two by two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, final

from scipy.stats import boschloo_exact, contingency, fisher_exact

from grokkit.scheme import InvalidInput
from grokkit.studies._statistics import Proportion
from grokkit.studies.statistics._columns import Data, as_frame, cells_of, levels, names_of, outcomes, text
from grokkit.studies.statistics._multiplicity import adjusted
from grokkit.studies.statistics._values import LEVEL, Estimate, NotEstimable, as_json, table

BOSCHLOO_UP_TO = 40_000
"""Product of the two numbers of runs up to which Boschloo's test is computed."""


@final
@dataclass(frozen=True)
class Rate:
    """Successes of one cell, with the Wilson interval."""

    cell: str
    proportion: Proportion

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class Rates:
    """Share of successful runs in every cell that has runs."""

    outcome: str
    by: tuple[str, ...]
    n: int
    rows: tuple[Rate, ...]

    def __getitem__(self, cell: str) -> Proportion:
        return next(row.proportion for row in self.rows if row.cell == cell)

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        rows = [(row.cell, str(row.proportion), row.proportion.share) for row in self.rows]
        return table(f"{self.outcome}, n = {self.n}", ("cell", "successes (95 % Wilson)", "share"), rows)


@final
@dataclass(frozen=True)
class RateDifference:
    """Two shares of successes compared: `second` less `first`."""

    first: str
    second: str
    rates: tuple[Proportion, Proportion]
    difference: Estimate | NotEstimable
    """Of the shares, with Newcombe's interval."""
    odds_ratio: Estimate | NotEstimable
    """Conditional maximum likelihood with the exact conditional interval."""
    fisher_p: float
    boschloo_p: float | NotEstimable
    adjusted_p: float
    """Fisher's p by Holm over the family; the same as `fisher_p` for one pair."""

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        return _pairs_table(f"{self.second} against {self.first}", [self])


@final
@dataclass(frozen=True)
class RateDifferences:
    """All pairs of a factor's levels, as one family."""

    outcome: str
    factor: str
    n: int
    rows: tuple[RateDifference, ...]

    def __getitem__(self, pair: tuple[str, str]) -> RateDifference:
        return next(row for row in self.rows if (row.first, row.second) == pair)

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        return _pairs_table(f"{self.outcome} by {self.factor}, n = {self.n}, adjusted by Holm", self.rows)


def _pairs_table(title: str, rows: Sequence[RateDifference]) -> str:
    header = ("pair", "successes", "difference [95 %]", "odds ratio [95 %]", "Fisher p", "adjusted p", "Boschloo p")
    lines = [
        (
            f"{row.second} - {row.first}",
            f"{row.rates[1].count}/{row.rates[1].n} - {row.rates[0].count}/{row.rates[0].n}",
            row.difference,
            row.odds_ratio,
            row.fisher_p,
            row.adjusted_p,
            row.boschloo_p,
        )
        for row in rows
    ]
    return table(title, header, lines)


def success_rates(data: Data, outcome: str, by: str | Sequence[str]) -> Rates:
    """Successes, runs and Wilson intervals for every combination of the factors' values that has runs.

    >>> print(success_rates({"exact": [1, 0, 1, 1], "slots": [7, 7, 8, 8]}, "exact", "slots")["slots=8"])
    2/2 (34.2-100.0 %)
    """
    names = names_of(by)
    if not names:
        raise InvalidInput("by is empty; name the columns that make the cells")
    frame = as_frame(data, outcome, *names)
    success = outcomes(frame, outcome)
    coded = [levels(frame, name) for name in names]
    rows = tuple(Rate(cell, Proportion(int(success[of].sum()), len(of))) for cell, of in cells_of(names, coded).items())
    return Rates(outcome, tuple(names), len(success), rows)


def compare_two_rates(
    first: Proportion, second: Proportion, names: tuple[str, str] = ("first", "second")
) -> RateDifference:
    """Compare two shares of successes over independent runs.

    The difference has Newcombe's (1998, method 10) interval from the Wilson bounds; the odds ratio is the conditional
    maximum likelihood estimate with exact conditional bounds; Fisher's test is exact and conservative, Boschloo's
    (1970) exact and more powerful.

    >>> print(compare_two_rates(Proportion(48, 80), Proportion(56, 70)).difference)
    0.2 [0.05243, 0.3339]
    """
    if not first.n or not second.n:
        raise InvalidInput(f"{names[0]} has {first.n} runs and {names[1]} {second.n}; both need some")
    counts = [[second.count, second.n - second.count], [first.count, first.n - first.count]]
    n = first.n + second.n
    difference = newcombe(first, second)
    tested: Any = fisher_exact(counts)
    fisher = min(1.0, float(tested.pvalue))
    if first.count + second.count in (0, n):
        every = "every run of both succeeded" if first.count else "no run of either succeeded"
        return RateDifference(*names, (first, second), difference, NotEstimable(every), fisher, fisher, fisher)
    found = contingency.odds_ratio(counts, kind="conditional")
    bounds = found.confidence_interval(LEVEL)
    ratio = Estimate(float(found.statistic), float(bounds.low), float(bounds.high), n, "exact conditional")
    if first.n * second.n > BOSCHLOO_UP_TO:
        boschloo = NotEstimable(f"Boschloo's test is not computed beyond {BOSCHLOO_UP_TO} tables of counts")
    else:
        boschloo = min(1.0, float(boschloo_exact(counts).pvalue))
    return RateDifference(*names, (first, second), difference, ratio, fisher, boschloo, fisher)


def newcombe(first: Proportion, second: Proportion) -> Estimate:
    """Second share less first, with the interval that the two Wilson intervals give (Newcombe 1998, method 10)."""
    gap = second.share - first.share
    low = gap - math.hypot(second.share - second.low, first.high - first.share)
    high = gap + math.hypot(second.high - second.share, first.share - first.low)
    return Estimate(gap, max(low, -1.0), min(high, 1.0), first.n + second.n, "Newcombe")


def compare_rates(data: Data, outcome: str, factor: str) -> RateDifferences:
    """Compare the shares of successes of all pairs of a factor's levels; Fisher's p-values are adjusted by Holm."""
    frame = as_frame(data, outcome, factor)
    success, (distinct, codes) = outcomes(frame, outcome), levels(frame, factor)
    if len(distinct) < 2:
        raise InvalidInput(f"factor {factor!r} has the one value {distinct[0]!r}; there is no pair")
    cells = [Proportion(int(success[codes == at].sum()), int((codes == at).sum())) for at in range(len(distinct))]
    rows = [
        compare_two_rates(cells[a], cells[b], (text(distinct[a]), text(distinct[b])))
        for a, b in combinations(range(len(cells)), 2)
    ]
    p_values = adjusted([row.fisher_p for row in rows])
    rows = [replace(row, adjusted_p=p) for row, p in zip(rows, p_values, strict=True)]
    return RateDifferences(outcome, factor, len(success), tuple(rows))
