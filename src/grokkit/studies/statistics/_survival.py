"""Time to success with censoring: Kaplan-Meier curves, medians, restricted means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics._columns import Data, as_frame, cells_of, levels, names_of, numbers, outcomes
from grokkit.studies.statistics._values import TAIL, Estimate, NotEstimable, as_json, short, table


@final
@dataclass(frozen=True)
class Step:
    """The curve from one event time on."""

    time: float
    at_risk: int
    events: int
    survival: Estimate
    """Share of runs still without the event, with the interval of log(−log S)."""
    standard_error: float
    """Greenwood's."""

    def to_json(self) -> dict[str, Any]:
        return as_json(self)


@final
@dataclass(frozen=True)
class Curve:
    """Kaplan-Meier estimate for one group of runs."""

    group: str
    n: int
    events: int
    last: float
    """Longest time observed, event or not."""
    steps: tuple[Step, ...]
    median: Estimate | NotEstimable
    restricted_mean: Estimate | NotEstimable
    horizon: float
    """End of the restricted mean."""

    def at(self, time: float) -> Estimate | NotEstimable:
        """Share of runs without the event just after a time."""
        before = [step for step in self.steps if step.time <= time]
        if not before:
            return NotEstimable(f"no event up to {time:g}, so Greenwood's variance is zero")
        if time > self.last and before[-1].survival.value > 0:
            return NotEstimable(f"no run was observed beyond {self.last:g}")
        return before[-1].survival

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        return str(Curves("time", "event", (self,)))


@final
@dataclass(frozen=True)
class Curves:
    """Kaplan-Meier estimates by group."""

    time: str
    event: str
    rows: tuple[Curve, ...]

    def __getitem__(self, group: str) -> Curve:
        return next(row for row in self.rows if row.group == group)

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        rows = [
            (row.group, row.n, row.events, row.median, row.restricted_mean, row.horizon, row.last) for row in self.rows
        ]
        header = ("group", "runs", "events", "median [95 %]", "restricted mean [95 %]", "up to", "last seen")
        return table(f"time to {self.event} ({self.time})", header, rows)


def kaplan_meier(
    data: Data, time: str, event: str, by: str | Sequence[str] = (), *, horizon: float | None = None
) -> Curves:
    """Share of runs without the event over time, where runs without it were watched only until `time` (censored).

    Kaplan and Meier (1958); Greenwood's variance; intervals of log(−log S) (Kalbfleisch and Prentice 1980); the
    median's by Brookmeyer and Crowley (1982) from these. Runs censored at an event's time count as at risk there.
    The restricted mean is the area under the curve up to `horizon`, by default the shortest of the groups' longest
    times.
    """
    names = names_of(by)
    frame = as_frame(data, time, event, *names)
    t, happened, groups = times_of(frame, time, event, names)
    longest = {name: float(t[rows].max()) for name, rows in groups.items()}
    end = min(longest.values()) if horizon is None else float(horizon)
    if not 0 < end < math.inf:
        raise InvalidInput(f"horizon is {end:g}; it must be a positive time")
    curves = tuple(_curve(name, t[rows], happened[rows], end) for name, rows in groups.items())
    return Curves(time, event, curves)


def times_of(
    frame: pd.DataFrame, time: str, event: str, by: Sequence[str]
) -> tuple[Float[np.ndarray, " runs"], Int[np.ndarray, " runs"], dict[str, np.ndarray]]:
    """Times, events and the rows of each group, checked."""
    t, happened = numbers(frame, time), outcomes(frame, event)
    if (t < 0).any():
        raise InvalidInput(f"column {time!r} holds {t.min():g}; times start at 0")
    if not by:
        return t, happened, {"all": np.arange(len(t))}
    return t, happened, cells_of(by, [levels(frame, name) for name in by])


def risk_table(
    t: Float[np.ndarray, " runs"], happened: Int[np.ndarray, " runs"], at: Float[np.ndarray, " times"]
) -> tuple[Int[np.ndarray, " times"], Int[np.ndarray, " times"]]:
    """Runs at risk just before each time, and events at it."""
    ordered = np.sort(t)
    at_risk = len(t) - np.searchsorted(ordered, at, side="left")
    of_events = np.sort(t[happened == 1])
    events = np.searchsorted(of_events, at, side="right") - np.searchsorted(of_events, at, side="left")
    return at_risk, events


def _curve(name: str, t: Float[np.ndarray, " runs"], happened: Int[np.ndarray, " runs"], horizon: float) -> Curve:
    at = np.unique(t[happened == 1])
    at_risk, events = risk_table(t, happened, at)
    survival = np.cumprod(1 - events / at_risk)
    survival[at_risk == events] = 0.0
    with np.errstate(divide="ignore"):
        hazard = np.cumsum(np.where(at_risk > events, events / (at_risk * np.maximum(at_risk - events, 1.0)), 0.0))
    errors = survival * np.sqrt(hazard)
    z, n = float(stats.norm.isf(TAIL)), len(t)
    steps: list[Step] = []
    for time, risk, count, share, sum_, error in zip(at, at_risk, events, survival, hazard, errors, strict=True):
        low, high = _log_log(float(share), float(sum_), z, steps[-1].survival.high if steps else 1.0)
        interval = Estimate(float(share), low, high, n, "Greenwood, log(-log)")
        steps.append(Step(float(time), int(risk), int(count), interval, float(error)))
    last = float(t.max())
    median = _median(steps, n, last)
    mean = _restricted_mean(at, at_risk, events, survival, horizon, last, n)
    return Curve(name, n, int(happened.sum()), last, tuple(steps), median, mean, horizon)


def _log_log(share: float, hazard: float, z: float, before: float) -> tuple[float, float]:
    """Interval of S by log(−log S); at S = 0, where its variance is undefined, up to the bound before."""
    if share <= 0:
        return 0.0, before
    spread = z * math.sqrt(hazard) / abs(math.log(share))
    return share ** math.exp(spread), share ** math.exp(-spread)


def _median(steps: list[Step], n: int, last: float) -> Estimate | NotEstimable:
    def first(reached: list[float]) -> float:
        return next((step.time for step, value in zip(steps, reached, strict=True) if value <= 0.5 + 1e-12), math.inf)

    value = first([step.survival.value for step in steps])
    if math.isinf(value):
        return NotEstimable(f"fewer than half of the runs had the event by {short(last)}")
    at = next(position for position, step in enumerate(steps) if step.time == value)
    if abs(steps[at].survival.value - 0.5) < 1e-12 and at + 1 < len(steps):
        value = (value + steps[at + 1].time) / 2  # the curve lies at one half until the next event
    low = first([step.survival.low for step in steps])
    high = first([step.survival.high for step in steps])
    return Estimate(value, low, high, n, "Brookmeyer-Crowley, log(-log)")


def _restricted_mean(
    at: Float[np.ndarray, " times"],
    at_risk: Int[np.ndarray, " times"],
    events: Int[np.ndarray, " times"],
    survival: Float[np.ndarray, " times"],
    horizon: float,
    last: float,
    n: int,
) -> Estimate | NotEstimable:
    """Area under the curve; variance Σ (area beyond tᵢ)² dᵢ / (nᵢ (nᵢ − dᵢ)) (Irwin 1949)."""
    if horizon > last and not (len(survival) and survival[-1] == 0):
        return NotEstimable(f"the curve is not known between {short(last)} and the horizon {short(horizon)}")
    inside = at <= horizon
    if not inside.any():
        return NotEstimable(f"no event before the horizon {short(horizon)}: the mean is at its limit")
    edges = np.concatenate([[0.0], at[inside], [horizon]])
    areas = np.concatenate([[1.0], survival[inside]]) * np.diff(edges)
    beyond = np.cumsum(areas[::-1])[::-1][1:]
    left = at_risk[inside] - events[inside]
    terms = np.where(left > 0, beyond**2 * events[inside] / (at_risk[inside] * np.maximum(left, 1)), 0.0)
    value, half = float(areas.sum()), float(stats.norm.isf(TAIL)) * math.sqrt(float(terms.sum()))
    return Estimate(value, max(0.0, value - half), min(horizon, value + half), n, "Greenwood, Wald")
