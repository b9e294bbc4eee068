"""Many tests at once: adjusted p-values, and the summary of a family of claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import numpy as np
from statsmodels.stats.multitest import multipletests

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics._values import Estimate, NotEstimable, as_json, table

Adjustment: TypeAlias = Literal["holm", "benjamini-hochberg"]

_NAMES = {"holm": "holm", "benjamini-hochberg": "fdr_bh"}
_CONTROLS = {"holm": "family-wise error rate", "benjamini-hochberg": "false discovery rate"}


@final
@dataclass(frozen=True)
class Adjusted:
    """One test of a family: its own p and the adjusted one."""

    name: str
    p: float | NotEstimable
    adjusted_p: float | NotEstimable

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class Family:
    """The p-values of a family of tests, adjusted together."""

    method: str
    controls: str
    size: int
    """Tests that have a p-value; those that are not estimable do not count."""
    rows: tuple[Adjusted, ...]

    def __getitem__(self, name: str) -> Adjusted:
        return next(row for row in self.rows if row.name == name)

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        title = f"{self.size} tests, {self.method} ({self.controls})"
        return table(title, ("test", "p", "adjusted p"), [(row.name, row.p, row.adjusted_p) for row in self.rows])


@final
@dataclass(frozen=True)
class Claim:
    """What is claimed: an estimate with its interval and n, and its p before and after adjustment."""

    name: str
    estimate: Estimate | NotEstimable
    p: float | NotEstimable
    adjusted_p: float | NotEstimable
    n: int

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class Claims:
    """A family of claims under one adjustment."""

    method: str
    controls: str
    rows: tuple[Claim, ...]

    def __getitem__(self, name: str) -> Claim:
        return next(row for row in self.rows if row.name == name)

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        rows = [(row.name, row.estimate, row.n, row.p, row.adjusted_p) for row in self.rows]
        title = f"{len(rows)} claims, {self.method} ({self.controls})"
        return table(title, ("claim", "estimate [95 %]", "n", "p", "adjusted p"), rows)


def adjust(p_values: Mapping[str, float | NotEstimable], method: Adjustment = "holm") -> Family:
    """Adjust the p-values of one family, by name. Those that are not estimable stay so and do not count.

    Holm (1979) bounds the chance of any false claim, under any dependence; Benjamini and Hochberg (1995) bound
    the expected share of false claims among those made, for independent or positively dependent tests.

    >>> [row.adjusted_p for row in adjust({"a": 0.01, "b": 0.04, "c": 0.03}).rows]
    [0.03, 0.06, 0.06]
    """
    counted = {name: float(p) for name, p in p_values.items() if not isinstance(p, NotEstimable)}
    for name, p in counted.items():
        if not 0 <= p <= 1:
            raise InvalidInput(f"p-value {name!r} is {p}; it must lie in 0..1, or be NotEstimable(reason)")
    made = dict(zip(counted, adjusted(list(counted.values()), method), strict=True))
    rows = tuple(
        Adjusted(name, p if isinstance(p, NotEstimable) else float(p), p if isinstance(p, NotEstimable) else made[name])
        for name, p in p_values.items()
    )
    return Family(method, _CONTROLS[method], len(counted), rows)


def adjusted(p_values: Sequence[float], method: Adjustment = "holm") -> list[float]:
    """Adjusted p-values in the order given."""
    if method not in _NAMES:
        raise InvalidInput(f"adjustment {method!r} is unknown; choose holm or benjamini-hochberg")
    if not len(p_values):
        return []
    found: Any = multipletests(np.asarray(p_values, dtype=np.float64), method=_NAMES[method])
    return [float(p) for p in found[1]]


def adjusted_some(p_values: Sequence[float | NotEstimable], method: Adjustment = "holm") -> list[float | NotEstimable]:
    """The same, where some of the family may not be estimable."""
    family = adjust({str(at): p for at, p in enumerate(p_values)}, method)
    return [row.adjusted_p for row in family.rows]


def summarize(
    claims: Mapping[str, tuple[Estimate | NotEstimable, float | NotEstimable, int]], method: Adjustment = "holm"
) -> Claims:
    """A row for each claim, named: (estimate, p, n). The p-values are adjusted as one family."""
    family = adjust({name: p for name, (_, p, _) in claims.items()}, method)
    rows = tuple(
        Claim(row.name, claims[row.name][0], row.p, row.adjusted_p, claims[row.name][2]) for row in family.rows
    )
    return Claims(method, family.controls, rows)
