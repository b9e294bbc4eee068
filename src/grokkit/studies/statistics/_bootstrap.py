"""Bootstrap intervals of any figure, by runs or by clusters of runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics._columns import Data, as_frame, levels
from grokkit.studies.statistics._values import TAIL, Estimate, NotEstimable, as_json

FAILED_UP_TO = 0.05
"""Share of resamples that may give no number."""


@final
@dataclass(frozen=True)
class Bootstrap:
    """A figure with its bootstrap interval."""

    estimate: Estimate | NotEstimable
    standard_error: float | NotEstimable
    n: int
    clusters: int | None
    """What was drawn with replacement; None where single runs were."""
    resamples: int
    failed: int
    """Resamples that gave no number and were left out."""
    seed: int

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        what = "runs" if self.clusters is None else f"{self.clusters} clusters"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.estimate}, n = {self.n}, {self.resamples} resamples of {what}{failed}, seed {self.seed}"


def bootstrap(
    data: Data,
    statistic: Callable[[pd.DataFrame], float],
    *,
    clusters: str | None = None,
    method: Literal["bca", "percentile"] = "bca",
    resamples: int = 2000,
    seed: int = 0,
) -> Bootstrap:
    """A figure of a table of runs with a 95 % interval; whole clusters are drawn where a column names them.

    `statistic` takes a DataFrame of runs and answers a number; NaN where a resample has none. More than 5 % of those
    are not estimable. ``bca`` corrects bias and skewness (Efron 1987), its acceleration from the jackknife over what is
    drawn; ``percentile`` does not. Intervals are too narrow below about 20 clusters.
    """
    if method not in ("bca", "percentile"):
        raise InvalidInput(f"method {method!r} is unknown; choose bca or percentile")
    if resamples < 100:
        raise InvalidInput(f"resamples is {resamples}; the ends of an interval need at least 100")
    frame = pd.DataFrame({name: np.asarray(data[name]) for name in data}).infer_objects()
    if clusters is None:
        units = [np.array([row]) for row in range(len(frame))]
    else:
        distinct, codes = levels(as_frame(data, clusters), clusters)
        units = [np.flatnonzero(codes == at) for at in range(len(distinct))]
    if not units:
        raise InvalidInput("the data has no rows; a study needs runs")
    value = float(statistic(frame))
    shown = (len(frame), None if clusters is None else len(units), resamples)
    if not np.isfinite(value):
        no = NotEstimable("the figure of the data themselves is no number")
        return Bootstrap(no, no, *shown, 0, seed)
    if len(units) < 2:
        no = NotEstimable("one cluster cannot be resampled" if clusters else "one run cannot be resampled")
        return Bootstrap(no, no, *shown, 0, seed)
    rng = np.random.default_rng(seed)
    drawn = np.array(
        [_of(statistic, frame, units, rng.integers(len(units), size=len(units))) for _ in range(resamples)]
    )
    good = drawn[np.isfinite(drawn)]
    failed = resamples - len(good)
    if failed > FAILED_UP_TO * resamples:
        no = NotEstimable(f"{failed} of {resamples} resamples gave no number")
        return Bootstrap(no, no, *shown, failed, seed)
    error = float(good.std(ddof=1))
    n = len(frame) if clusters is None else len(units)
    label = f"{method} bootstrap" + ("" if clusters is None else ", n in clusters")
    if method == "percentile":
        low, high = np.quantile(good, [TAIL, 1 - TAIL])
        return Bootstrap(Estimate(value, float(low), float(high), n, label), error, *shown, failed, seed)
    left = np.array([_of(statistic, frame, units, np.delete(np.arange(len(units)), at)) for at in range(len(units))])
    return Bootstrap(_bca(value, good, left, n, label), error, *shown, failed, seed)


def _of(statistic: Callable[[pd.DataFrame], float], frame: pd.DataFrame, units: list[np.ndarray], chosen: Any) -> float:
    rows = np.concatenate([units[at] for at in chosen])
    return float(statistic(frame.iloc[rows].reset_index(drop=True)))


def _bca(
    value: float, drawn: Float[np.ndarray, " drawn"], left: Float[np.ndarray, " units"], n: int, label: str
) -> Estimate | NotEstimable:
    if not np.isfinite(left).all():
        return NotEstimable("the figure is no number without one of the units; use the percentile interval")
    below = float((drawn < value).mean() + (drawn == value).mean() / 2)
    if below in (0.0, 1.0):
        return NotEstimable("all resamples lie on one side of the estimate; no bias correction reaches that far")
    deviations = left.mean() - left
    spread = float((deviations**2).sum())
    acceleration = float((deviations**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    bias = float(stats.norm.ppf(below))
    ends = []
    for z in stats.norm.ppf([TAIL, 1 - TAIL]):
        shrink = 1 - acceleration * (bias + z)
        if shrink <= 0:
            return NotEstimable("the acceleration is too large for a BCa interval; use the percentile interval")
        ends.append(float(np.quantile(drawn, stats.norm.cdf(bias + (bias + z) / shrink))))
    return Estimate(value, ends[0], ends[1], n, label)
