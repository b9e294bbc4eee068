"""Figures of a study: success by factor, phase diagrams, numbers by cell, trajectories."""

from __future__ import annotations

import math
import textwrap
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from grokkit.studies._figures import BLUE, GREY, INK, ORANGE, PALE, STYLE, figure
from grokkit.studies.runs._names import MEASURES
from grokkit.studies.runs._runs import CELL, Runs, Success

MOST_PANELS: Final = 12
"""Cells of which trajectories are drawn."""
FAMILIES: Final[dict[str, tuple[tuple[str, ...], str, bool]]] = {
    "loss": (("train_loss", "test_loss"), "mean squared error", True),
    "lattice_distance": (("lattice_distance", "lattice_distance_mean"), "distance to {-1, 0, 1}", False),
    "gradient_norm": (("gradient_norm",), "gradient norm", True),
    "gradient_variation": (("gradient_variation",), "variation of gradient norms", False),
}
"""Metrics that share a figure, what its axis says, and whether that is logarithmic."""
_LABELS: Final = {
    "train_loss": "training set",
    "test_loss": "test set",
    "lattice_distance": "largest of a run's weights",
    "lattice_distance_mean": "mean of a run's weights",
}


def figures(runs: Runs) -> dict[str, tuple[Figure, str]]:
    """All figures that the study's factors, outcomes and metrics admit, by name, each with its caption."""
    drawn: dict[str, tuple[Figure, str]] = {}
    if not len(runs):
        return drawn
    if runs.study.outcomes:
        drawn["success"] = success(runs), "Share of runs with each outcome, with 95 % Wilson intervals."
    pair = phase_factors(runs)
    if pair is not None and runs.study.outcomes:
        others = " Other factors are pooled." if len(runs.study.factor_names) > 2 else ""
        counts = sorted({each.proportion.n for each in runs.success(by=pair)})
        n = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
        drawn["phase"] = phase(runs, *pair), f"Share of runs in per cent, of {n} runs a combination.{others}"
    response = named_number(runs)
    caption = f"{MEASURES[response].capitalize()}: every run, and the median with its 95 % interval."
    drawn[response] = numbers(runs, response), caption
    for name, (metrics, label, logarithmic) in FAMILIES.items():
        kept = tuple(metric for metric in metrics if metric in runs.study.metrics)
        if kept:
            drawn[f"trajectory_{name}"] = trajectories(runs, kept, label, logarithmic), _trajectory_caption(runs)
    return drawn


def named_number(runs: Runs) -> str:
    """The response of the named analysis if it is a number, else the lattice distance."""
    analysis = runs.study.analysis
    return analysis.response if analysis and analysis.response in MEASURES else "lattice_distance"


def phase_factors(runs: Runs) -> tuple[str, str] | None:
    """Two factors that span a phase diagram: the only two, or the first two of the named analysis."""
    study = runs.study
    named = study.analysis.factors if study.analysis else ()
    names = [name for name in study.factors if len(study.factors) == 2 or name in named]
    several = [name for name in names if len(study.factors[name]) > 1]
    return (several[0], several[1]) if len(several) >= 2 and not study.explicit else None


def success(runs: Runs) -> Figure:
    """Share of runs with each outcome, with Wilson intervals: rows of panels for each factor, a panel an outcome.

    Studies with explicit cells are shown by cell.
    """
    study = runs.study
    by_cell = bool(study.explicit) or not study.factors
    factors = [CELL] if by_cell else [*study.factors]
    found = {(by, name): runs.success(name, by=(by,)) for by in factors for name in study.outcomes}
    most = max(len(each) for each in found.values())
    columns = max(1, min(len(study.outcomes), 4 if by_cell else int(9.4 // max(2.2, 0.28 * most))))
    rows = math.ceil(len(study.outcomes) / columns)
    height = 0.24 * most + 0.9 if by_cell else 2.5
    with mpl.rc_context(STYLE):
        made = figure(9.4, height * rows * len(factors) + 0.3)
        grid = made.subplots(rows * len(factors), columns, sharex=by_cell, sharey=True, squeeze=False)
        for axis in grid.flat:
            axis.set_visible(False)
        for up, by in enumerate(factors):
            for at, name in enumerate(study.outcomes):
                axis = grid[up * rows + at // columns, at % columns]
                axis.set_visible(True)
                _shares(axis, found[by, name], by, name, first=at % columns == 0)
    return made


def _shares(axis: Any, found: list[Success], by: str, outcome: str, *, first: bool) -> None:
    """One panel: across for levels of a factor, from top to bottom for cells, whose names are long."""
    values = np.array([100 * each.proportion.share for each in found])
    spread = np.array([[100 * each.proportion.low, 100 * each.proportion.high] for each in found]).T
    color = PALE if outcome.startswith("control") else BLUE if outcome.startswith(("exact", "expands")) else GREY
    places, limits = np.arange(len(found)), np.abs(spread - values)
    look: Any = {"fmt": "o", "color": color, "ms": 5, "elinewidth": 2, "capsize": 3, "clip_on": False}
    names = [str(each.factors[by]) for each in found]
    if by == CELL:
        axis.errorbar(values, places, xerr=limits, **look)
        axis.set_yticks(places, names, fontsize=8)
        axis.set(xlim=(-3, 103), ylim=(len(found) - 0.5, -0.5), xlabel="share of runs, %")
        axis.tick_params(labelleft=first, labelbottom=True)
    else:
        axis.errorbar(places, values, yerr=limits, **look)
        _levels(axis, names)
        axis.set(ylim=(-3, 103), xlabel=by)
        axis.tick_params(labelleft=first)
        if first:
            axis.set_ylabel("share of runs, %")
    _title(axis, outcome.replace("_", " "))


def _title(axis: Any, text: str) -> None:
    axis.set_title(textwrap.fill(text, 24), fontsize=9)


def _levels(axis: Any, names: list[str]) -> None:
    """Levels as ticks, turned where they are long."""
    long = max(len(name) for name in names) > 4 or len(names) > 10
    axis.set_xticks(range(len(names)), names, fontsize=8, rotation=40 if long else 0, ha="right" if long else "center")
    axis.set_xlim(-0.5, len(names) - 0.5)


def phase(runs: Runs, across: str, up: str) -> Figure:
    """Share of runs by two factors, a panel an outcome."""
    study = runs.study
    columns = min(3, len(study.outcomes))
    rows = math.ceil(len(study.outcomes) / columns)
    x, y = study.factors[across], study.factors[up]
    with mpl.rc_context(STYLE):
        made = figure(9.4, rows * (0.42 * len(y) + 1.2) + 0.4)
        grid = made.subplots(rows, columns, squeeze=False)
        image: Any = None
        for axis in grid.flat[len(study.outcomes) :]:
            axis.set_visible(False)
        for axis, outcome in zip(grid.flat, study.outcomes, strict=False):
            shares = np.full((len(y), len(x)), np.nan)
            for each in runs.success(outcome, by=(across, up)):
                at = y.index(each.factors[up]), x.index(each.factors[across])
                shares[at] = 100 * each.proportion.share
                shade = "white" if shares[at] > 60 else INK
                axis.text(at[1], at[0], f"{shares[at]:.0f}", ha="center", va="center", fontsize=8, color=shade)
            image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto", origin="lower")
            axis.set_xticks(range(len(x)), [str(level) for level in x], fontsize=8)
            axis.set_yticks(range(len(y)), [str(level) for level in y], fontsize=8)
            axis.set(xlabel=across, ylabel=up)
            _title(axis, outcome.replace("_", " "))
            axis.tick_params(length=0)
        made.colorbar(image, ax=grid, label="share of runs, %", shrink=0.8)
    return made


def numbers(runs: Runs, response: str) -> Figure:
    """A number of every run by cell, with medians and their intervals."""
    values = {cell: table[response].to_numpy() for cell, table in runs.by_cell([response]).items()}
    study = runs.study
    only = next(iter(study.factors)) if len(study.factors) == 1 and not study.explicit else None
    names = [str(study.cells[cell].factors[only]) if only else study.cells[cell].name for cell in values]
    with mpl.rc_context(STYLE):
        made = figure(9.4, 3.6)
        axis = made.subplots()
        rng = np.random.default_rng(0)
        for at, column in enumerate(values.values()):
            known = column[np.isfinite(column)]
            axis.plot(at + rng.uniform(-0.16, 0.16, len(known)), known, ".", color=PALE, ms=4, zorder=1)
        found = [each.median for each in runs.typical(response, by=(CELL,))]
        middle = np.array([each.value for each in found])
        spread = np.array([[each.value - each.low for each in found], [each.high - each.value for each in found]])
        axis.errorbar(range(len(found)), middle, yerr=spread, fmt="o", color=BLUE, ms=5, elinewidth=2, capsize=4)
        if response.endswith(("loss", "pruning")):
            axis.set_yscale("log")
        elif response == "lattice_distance":
            axis.set_ylim(0, None)
            axis.axhline(0.1, color=GREY, lw=0.8, ls=":")
            place: Any = {"textcoords": "offset points", "ha": "right", "fontsize": 8, "color": GREY}
            axis.annotate("discretizable below", (len(found) - 0.55, 0.1), (0, -10), **place)
        _levels(axis, names)
        axis.set_ylabel(response.replace("_", " "))
        if only:
            axis.set_xlabel(only)
    return made


def trajectories(runs: Runs, metrics: tuple[str, ...], label: str, logarithmic: bool) -> Figure:
    """A panel a cell: median, quartiles and 10th to 90th percentile over the runs, by step."""
    tables = runs.by_cell(["trajectory_step", "trajectory_pruned", *(f"trajectory_{name}" for name in metrics)])
    shown = [list(tables)[at] for at in _spread(len(tables))]
    columns = min(4, len(shown))
    rows = math.ceil(len(shown) / columns)
    with mpl.rc_context(STYLE):
        made = figure(9.4, 2.2 * rows + 0.4)
        grid = made.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axis in grid.flat[len(shown) :]:
            axis.set_visible(False)
        for at, cell in enumerate(shown):
            axis, table = grid.flat[at], tables[cell]
            steps = np.maximum(np.array(table["trajectory_step"][0].as_py()), 0.7)  # step 0 at the left edge
            for name, color, line in zip(metrics, (ORANGE, BLUE), ("-", (0, (4, 2))), strict=False):
                values = np.array(table[f"trajectory_{name}"].to_pylist(), dtype=np.float64)
                _band(axis, steps, values, color, _LABELS.get(name, name), line, logarithmic)
            axis.set(xscale="log", yscale="log" if logarithmic else "linear")
            axis.minorticks_off()
            _title(axis, runs.study.cells[cell].name)
            _mark_pruning(axis, table, steps)
            axis.tick_params(labelbottom=at + columns >= len(shown))
            if at + columns >= len(shown):
                axis.set_xlabel("step")
            if at % columns == 0:
                axis.set_ylabel(label)
        if not logarithmic:
            grid.flat[0].set_ylim(0, None)
        if len(metrics) > 1:
            grid.flat[0].legend(frameon=False, fontsize=8, loc="best")
    return made


def _mark_pruning(axis: Any, table: pa.Table, steps: np.ndarray) -> None:
    """A line where slots were pruned, if they were."""
    pruned = np.array(table["trajectory_pruned"][0].as_py())
    if pruned.any():
        axis.axvline(steps[np.argmax(pruned)], color=INK, lw=0.8, ls=":")


def _band(
    axis: Any, steps: np.ndarray, values: np.ndarray, color: str, label: str, line: Any, logarithmic: bool
) -> None:
    known = np.isfinite(values).any(axis=0)
    values = np.where(np.isfinite(values), values, np.nan)[:, known]
    if logarithmic:
        values = np.maximum(values, 1e-16)
    low, quarter, middle, upper, high = np.nanpercentile(values, (10, 25, 50, 75, 90), axis=0)
    axis.fill_between(steps[known], low, high, color=color, alpha=0.15, lw=0)
    axis.fill_between(steps[known], quarter, upper, color=color, alpha=0.25, lw=0)
    axis.plot(steps[known], middle, color=color, lw=1.5, ls=line, label=label)


def _spread(count: int) -> list[int]:
    """All of them, or some at even distances."""
    if count <= MOST_PANELS:
        return list(range(count))
    return [round(at) for at in np.linspace(0, count - 1, MOST_PANELS)]


def _trajectory_caption(runs: Runs) -> str:
    cells = len(runs.by_cell(["cell"]))
    some = f" {MOST_PANELS} of {cells} cells are shown." if cells > MOST_PANELS else ""
    read = "step 0 is drawn at the left edge, a dotted line where slots were pruned"
    return f"Median over runs, quartiles, and 10th to 90th percentile; {read}.{some}"
