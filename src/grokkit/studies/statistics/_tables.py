"""Tables of counts under fixed margins: all of them where they are few, random ones where they are many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln
from scipy.stats import random_table

from grokkit.studies.statistics._values import as_json

TABLES_UP_TO = 20_000
"""Tables that are enumerated; above, they are drawn."""

Statistic: TypeAlias = Callable[[np.ndarray], np.ndarray]


@final
@dataclass(frozen=True)
class Randomization:
    """A p-value by permutation, and how it was made."""

    p: float
    exact: bool
    count: int
    """Arrangements enumerated (exact) or drawn."""
    seed: int | None
    """Of the draws; None where nothing is drawn."""

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        if self.exact:
            return f"p = {self.p:.4g} (exact, {self.count} arrangements)"
        return f"p = {self.p:.4g} ({self.count} random arrangements, seed {self.seed})"


def permuted_tables(
    observed: Int[np.ndarray, "rows columns"], statistic: Statistic, *, resamples: int, seed: int
) -> Randomization:
    """How often a table with these margins, under independence, has at least the observed statistic.

    `statistic` maps tables of shape (tables, rows, columns) to one number each. Few tables are enumerated with
    their hypergeometric weights; of many, `resamples` are drawn, and p = (hits + 1) / (resamples + 1) (Phipson and
    Smyth 2010).
    """
    here = float(statistic(observed[None])[0])
    reached = here - 1e-9 * max(1.0, abs(here))
    rows, columns = observed.sum(axis=1), observed.sum(axis=0)
    tables = _enumerate(rows, columns)
    if tables is not None:
        weights = _weights(tables, rows, columns)
        return Randomization(float(min(1.0, weights[statistic(tables) >= reached].sum())), True, len(tables), None)
    drawn = random_table(rows, columns).rvs(size=resamples, random_state=np.random.default_rng(seed))
    hits = int((statistic(np.asarray(drawn)) >= reached).sum())
    return Randomization((hits + 1) / (resamples + 1), False, resamples, seed)


def _weights(
    tables: Int[np.ndarray, "tables rows columns"], rows: Int[np.ndarray, " rows"], columns: Int[np.ndarray, " columns"]
) -> Float[np.ndarray, " tables"]:
    fixed = gammaln(rows + 1).sum() + gammaln(columns + 1).sum() - gammaln(rows.sum() + 1)
    return np.exp(fixed - gammaln(tables + 1).sum(axis=(1, 2)))


def _enumerate(
    rows: Int[np.ndarray, " rows"], columns: Int[np.ndarray, " columns"]
) -> Int[np.ndarray, "tables rows columns"] | None:
    """All tables with these margins, or None if there are more than `TABLES_UP_TO`.

    Cells are filled one by one for all tables at once; every partial table can be completed, so their number only
    grows.
    """
    cells = np.zeros((1, 0), dtype=np.int64)
    left = columns[None].astype(np.int64)
    for total in rows.tolist():
        rest = np.full(len(cells), total, dtype=np.int64)
        for column in range(len(columns)):
            low = np.maximum(0, rest - left[:, column + 1 :].sum(axis=1))
            counts = np.minimum(rest, left[:, column]) - low + 1
            if counts.sum() > TABLES_UP_TO:
                return None
            origin = np.repeat(np.arange(len(cells)), counts)
            first = np.repeat(np.cumsum(counts) - counts, counts)
            filled = low[origin] + np.arange(len(origin)) - first
            cells, rest, left = np.column_stack([cells[origin], filled]), rest[origin] - filled, left[origin]
            left[:, column] -= filled
    return cells.reshape(-1, len(rows), len(columns))
