"""Whether groups of runs take equally long: the log-rank test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics._columns import Data, as_frame, levels, names_of
from grokkit.studies.statistics._survival import risk_table, times_of
from grokkit.studies.statistics._values import NotEstimable, Test, as_json, table


@final
@dataclass(frozen=True)
class Observed:
    """Events of one group, and those expected if all groups had the same hazard."""

    group: str
    n: int
    observed: int
    expected: float

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class LogRank:
    """The log-rank test over two groups or more."""

    rows: tuple[Observed, ...]
    strata: int
    test: Test | NotEstimable

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        rows = [(row.group, row.n, row.observed, row.expected) for row in self.rows]
        stratified = [f"stratified by {self.strata} blocks"] if self.strata > 1 else []
        return table("log-rank", ("group", "runs", "events", "expected"), rows, [str(self.test), *stratified])


def log_rank(data: Data, time: str, event: str, by: str | Sequence[str], *, block: str | None = None) -> LogRank:
    """Compare the times to an event of groups of runs, some censored (Mantel 1966; Peto and Peto 1972).

    With `block`, observed less expected events are summed over blocks before they are tested.
    """
    names = names_of(by)
    frame = as_frame(data, time, event, *names, *([block] if block else []))
    t, happened, groups = times_of(frame, time, event, names)
    if len(groups) < 2:
        raise InvalidInput(f"{', '.join(names) or 'by'} makes one group; a comparison needs two")
    group = np.zeros(len(t), dtype=np.int64)
    for at, rows in enumerate(groups.values()):
        group[rows] = at
    strata = levels(frame, block)[1] if block else np.zeros(len(t), dtype=np.int64)
    expected, variance = np.zeros(len(groups)), np.zeros((len(groups), len(groups)))
    for stratum in range(int(strata.max()) + 1):
        rows = strata == stratum
        more, spread = _moments(t[rows], happened[rows], group[rows], len(groups))
        expected, variance = expected + more, variance + spread
    observed = np.bincount(group, weights=happened, minlength=len(groups))
    shown = tuple(
        Observed(name, len(rows), int(observed[at]), float(expected[at]))
        for at, (name, rows) in enumerate(groups.items())
    )
    return LogRank(shown, int(strata.max()) + 1, _test(observed - expected, variance, len(t), int(happened.sum())))


def _moments(
    t: Float[np.ndarray, " runs"], happened: Int[np.ndarray, " runs"], group: Int[np.ndarray, " runs"], groups: int
) -> tuple[Float[np.ndarray, " groups"], Float[np.ndarray, "groups groups"]]:
    """Hypergeometric mean and covariance of the events of each group, summed over event times."""
    at = np.unique(t[happened == 1])
    risk = np.stack([risk_table(t[group == g], happened[group == g], at)[0] for g in range(groups)]).astype(np.float64)
    n, events = risk.sum(axis=0), risk_table(t, happened, at)[1].astype(np.float64)
    share = risk / n
    weight = events * (n - events) / np.maximum(n - 1, 1)
    return (share * events).sum(axis=1), np.diag((share * weight).sum(axis=1)) - (share * weight) @ share.T


def _test(
    excess: Float[np.ndarray, " groups"], variance: Float[np.ndarray, "groups groups"], n: int, events: int
) -> Test | NotEstimable:
    if not events:
        return NotEstimable("no run had the event")
    rank = int(np.linalg.matrix_rank(variance, tol=1e-9))
    if rank == 0:
        return NotEstimable("at no event time were runs of two groups at risk")
    statistic = float(excess @ np.linalg.pinv(variance, rcond=1e-9, hermitian=True) @ excess)
    return Test("log-rank", statistic, (float(rank),), float(stats.chi2.sf(statistic, rank)), n)
