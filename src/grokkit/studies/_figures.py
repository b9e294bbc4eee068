"""Figures of the demo page, as inline SVG."""

from __future__ import annotations

import io
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from grokkit.scheme import Scheme
from grokkit.studies._statistics import Proportion
from grokkit.training import Population

INK: Final = "#1f2430"
BLUE: Final = "#2f6db3"
PALE: Final = "#9dbde0"
ORANGE: Final = "#d9722e"
GREY: Final = "#8a8f98"
STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "grokkit",
}


def figure(width: float, height: float) -> Figure:
    """An empty figure that needs no display and no global state."""
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def svg(made: Figure) -> str:
    """The figure as an <svg> element, the same bytes for the same data."""
    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        made.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def trajectories(population: Population) -> Figure:
    """Losses and lattice distance over training: median over runs, band from the 10th to the 90th
    percentile."""
    log = population.trajectory
    steps = np.maximum(log.steps, 0.7)  # step 0 has its place left of 1 on the logarithmic axis
    with mpl.rc_context(STYLE):
        made = figure(9.4, 3.6)
        loss, distance = made.subplots(1, 2)
        for values, color, label, line in (
            (log.train_loss, ORANGE, "training set", "-"),
            (log.test_loss, BLUE, "test set", (0, (4, 3))),
        ):
            _band(loss, steps, np.maximum(values, 1e-16), color, label, line)
        loss.set(xscale="log", yscale="log", xlabel="step", ylabel="mean squared error", title="Loss")
        loss.axhline(1e-6, color=GREY, lw=0.8, ls=":")
        loss.annotate("converged below 1e-6", (1, 1e-6), (2, -10), textcoords="offset points", fontsize=8, color=GREY)
        _band(distance, steps, log.lattice_distance, ORANGE, "largest of a run's weights")
        _band(distance, steps, log.lattice_distance_mean, BLUE, "mean of a run's weights")
        distance.set(xscale="log", xlabel="step", ylabel="distance to {-1, 0, 1}", title="Lattice distance")
        distance.set_ylim(0, None)
        for level, text in ((0.25, "mean of numbers spread evenly"), (0.1, "largest, as published for success")):
            distance.axhline(level, color=GREY, lw=0.8, ls=":")
            distance.annotate(text, (1, level), (2, -10), textcoords="offset points", fontsize=8, color=GREY)
        distance.legend(frameon=False, loc="center left", bbox_to_anchor=(0, 0.57), fontsize=9)
        for axis in (loss, distance):
            if population.config.prune_to:
                axis.axvline(population.config.first_steps, color=INK, lw=0.8)
                axis.annotate(
                    f"pruned to {population.config.prune_to}",
                    (population.config.first_steps, 1),
                    (-4, -4),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    ha="right",
                    va="top",
                    fontsize=8,
                )
        loss.legend(frameon=False, loc="lower left", fontsize=9)
    return made


def _band(axis: Any, steps: np.ndarray, values: np.ndarray, color: str, label: str, line: Any = "-") -> None:
    low, middle, high = np.nanpercentile(values, (10, 50, 90), axis=0)
    axis.fill_between(steps, low, high, color=color, alpha=0.2, lw=0)
    axis.plot(steps, middle, color=color, lw=1.6, ls=line, label=label)


def weights_before_and_after(population: Population, run: int, scheme: Scheme) -> Figure:
    """Signed heat maps of one run's U, V and W: as trained above, crystallized below."""
    trained = population.U[run], population.V[run], population.W[run].T
    u, v, w = scheme.floats()
    exact = u, v, w.T
    with mpl.rc_context(STYLE):
        made = figure(9.4, 4.6)
        grid = made.subplots(2, 3)
        limit = max(1.0, *(float(np.abs(x).max()) for x in trained))
        image: Any = None
        for row, (name, factors) in enumerate((("as trained", trained), ("crystallized", exact))):
            for column, (letter, values) in enumerate(zip("UVW", factors, strict=True)):
                axis = grid[row, column]
                image = axis.imshow(values.T, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="equal")
                axis.set_title(f"{letter}, {name}")
                target = scheme.target
                labels = [target.variable(column, i) for i in range(values.shape[1])]
                axis.set_yticks(range(len(labels)), labels, fontsize=8)
                axis.set_xticks(range(len(values)), [f"M{r + 1}" for r in range(len(values))], fontsize=8)
                axis.tick_params(length=0)
                for spine in axis.spines.values():
                    spine.set_visible(False)
                for (r, c), value in np.ndenumerate(values):
                    text = f"{value:+.0f}" if row else f"{value:.1f}".replace("-0.0", "0.0")
                    shade = "white" if abs(value) > 0.6 * limit else INK
                    if value or not row:
                        axis.text(r, c, text, ha="center", va="center", fontsize=7, color=shade)
        made.colorbar(image, ax=grid, shrink=0.6, label="coefficient")
    return made


def success(shares: dict[str, Proportion]) -> Figure:
    """Share of runs by stage or method, with 95 % intervals."""
    with mpl.rc_context(STYLE):
        made = figure(9.4, 0.45 * len(shares) + 0.9)
        axis = made.subplots()
        names = list(shares)
        values = np.array([100 * share.share for share in shares.values()])
        low = np.array([100 * share.low for share in shares.values()])
        high = np.array([100 * share.high for share in shares.values()])
        positions = np.arange(len(names))[::-1]
        shades = {"exact": BLUE, "control": PALE}
        colors = [shades.get(name.split(":")[0], GREY) for name in names]
        axis.barh(positions, values, color=colors, height=0.6)
        axis.errorbar(values, positions, xerr=[values - low, high - values], fmt="none", ecolor=INK, capsize=3, lw=1)
        for position, share in zip(positions, shares.values(), strict=True):
            axis.text(103, position, str(share), va="center", fontsize=9)
        axis.set_yticks(positions, names)
        axis.set(xlim=(0, 100), xlabel="share of runs, %")
        axis.tick_params(axis="y", length=0)
    return made
