"""Figures of transfer between grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from jaxtyping import Complex, Float
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from grokkit.scheme import InvalidInput
from grokkit.transfer._style import BLUE, GREEN, GREY, INK, ORANGE, STYLE, figure
from grokkit.transfer.operators._bound import spectral_tail
from grokkit.transfer.operators._grid import Grid
from grokkit.transfer.operators._multiplier import Multiplier
from grokkit.transfer.operators._study import BASELINES, LEARNED, LINEAR, TransferStudy

_LINES: Final = {
    "Fourier operator": (BLUE, "o-"),
    "multiplier": (BLUE, "s--"),
    "messages, kept distances": (GREEN, "o-"),
    "messages, kept hops": (ORANGE, "o-"),
    "multiplier, kept taps": (ORANGE, "s--"),
    "multiplier, tail padding": (ORANGE, "^:"),
    "persistence": (INK, "-"),
    "zero": (GREY, "-"),
}


def error_by_resolution(study: TransferStudy) -> Figure:
    """Error on every grid of a transfer study, with 95 % intervals over seeds; all axes logarithmic.

    Learned operators left, multipliers right where the study has them: their scales are far apart.
    """
    families = [LEARNED, LINEAR] if LINEAR[0] in study.rows else [LEARNED]
    with mpl.rc_context(STYLE):
        made = figure(3.2 + 3.4 * len(families), 4.2)
        handles: dict[str, Any] = {}
        for axis, family in zip(made.subplots(1, len(families), squeeze=False)[0], families, strict=True):
            for row in (*family, *BASELINES):
                color, line = _LINES[row]
                means = [study.error(row, nodes) for nodes in study.nodes]
                values = np.array([mean.value for mean in means])
                ends = np.array([[max(mean.low, 1e-40), min(mean.high, 1e3)] for mean in means]).T
                bars = None if row in BASELINES else np.abs(ends - values)
                handles[row] = axis.errorbar(
                    study.nodes, values, bars, fmt=line, color=color, ms=5, lw=1.5, capsize=3, label=row
                )
            axis.set(xscale="log", yscale="log", xlabel="nodes an axis")
            axis.set_xticks(study.nodes, [str(nodes) for nodes in study.nodes])
            axis.xaxis.set_minor_locator(NullLocator())
            axis.xaxis.set_minor_formatter(NullFormatter())
        made.axes[0].set_ylabel("mean squared error, zero = 1")
        made.suptitle(
            f"{study.problem}: trained on {study.trained_on} nodes, n = {len(study.seeds)} seeds",
            x=0.01,
            ha="left",
            fontsize=11,
            fontweight="bold",
        )
        made.legend(handles.values(), handles.keys(), loc="outside right center", frameon=False)
    return made


def bound_by_resolution(
    operator: Multiplier, coefficients: Complex[np.ndarray, "fields modes"], kept: Sequence[int]
) -> Figure:
    """What a truncated multiplier loses against the modes that it keeps, under the bounds: medians over the fields,
    with bands from the 5th to the 95th percentile."""
    found = [spectral_tail(operator, coefficients, each) for each in kept]
    with mpl.rc_context(STYLE):
        made = figure(7.6, 4.2)
        axis = made.subplots()
        for name, label, color, line in (
            ("bound", "‖H‖ Hilbert-Schmidt × tail (published)", GREY, "-"),
            ("operator_bound", "‖H‖ × tail", GREEN, "--"),
            ("error", "error", BLUE, "-"),
        ):
            values = np.array([getattr(each, name) for each in found])
            low, middle, high = np.percentile(values, (5, 50, 95), axis=1)
            axis.fill_between(kept, low, high, color=color, alpha=0.2, lw=0)
            axis.plot(kept, middle, line, color=color, lw=1.6, label=label)
        axis.set(
            yscale="log",
            xlabel="N, the highest mode kept (grids of 2N + 1 nodes)",
            ylabel="norm of the error",
            title=f"Truncated operator, {len(coefficients)} random fields",
        )
        axis.legend(frameon=False)
    return made


def fields_side_by_side(grids: Sequence[Grid], fields: Mapping[str, Sequence[Float[np.ndarray, "..."]]]) -> Figure:
    """One field on several grids, a column each, as each predictor gives it, a row each; the first row is the truth.

    Fields on one axis are lines, with the truth in grey below; on two axes they are images of one color scale.
    """
    names = list(fields)
    if not names or any(len(values) != len(grids) for values in fields.values()):
        raise InvalidInput("fields: each row needs one field a grid, and there must be a row")
    truth = fields[names[0]]
    plane = truth[0].ndim == 2
    limit = max(float(np.abs(values).max()) for values in truth)
    with mpl.rc_context(STYLE):
        made = figure(2.4 + 2.6 * len(grids), (2.3 if plane else 1.5) * len(names) + 0.5)
        panels = made.subplots(len(names), len(grids), squeeze=False, sharex=not plane, sharey=not plane)
        image: Any = None
        for row, name in enumerate(names):
            for column, grid in enumerate(grids):
                axis, values = panels[row, column], fields[name][column]
                if plane:
                    image = axis.imshow(
                        values, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=(0, grid.length, 0, grid.length)
                    )
                    axis.set(xticks=[], yticks=[])
                else:
                    axis.plot(grid.positions, truth[column], color=GREY, lw=3, alpha=0.5)
                    marker = "." if grid.nodes <= 64 else ""
                    axis.plot(grid.positions, values, marker=marker, color=BLUE if row else INK, lw=1.2, ms=4)
                    axis.set_ylim(-1.6 * limit, 1.6 * limit)
                if row == 0:
                    axis.set_title(f"{grid.nodes} nodes")
                if column == 0:
                    axis.set_ylabel(name.replace(", ", ",\n"), rotation=0, ha="right", va="center")
        if image is not None:
            made.colorbar(image, ax=panels, shrink=0.5, label="field")
        else:
            made.supxlabel("position", fontsize=10)
    return made
