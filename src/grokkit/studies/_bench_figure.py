"""The figure of a benchmark: speed against size, below what is possible."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import NullFormatter, NullLocator

from grokkit.studies._bench_contenders import OURS
from grokkit.studies._bench_results import CaseResult
from grokkit.studies._figures import BLUE, GREY, INK, ORANGE, PALE, STYLE, figure, svg

COLUMNS: Final = 3
"""Panels beside each other, at most."""
COLORS: Final = {OURS: BLUE, "numpy": ORANGE, "torch": INK, "scipy": PALE}


def speed_figure(results: Sequence[CaseResult], kind: str) -> bytes:
    """Effective GFLOP/s, 2nmp/t, against the size (of a rectangle: the cube root of nmp), as PNG or SVG.

    A panel for each dtype, number of threads and transposition. Lines join medians; bands run from the 10th to the
    90th percentile of the rounds. The vertical axis begins at 0 and ends at the measured peak; where the plan
    recurses, at the flop limit peak · (8/7)^L of its deepest L, with a line for every limit below.
    """
    panels: dict[tuple[str, int, str], list[CaseResult]] = {}
    for result in results:
        panels.setdefault((result.case.dtype, result.case.threads, result.case.transpose), []).append(result)
    with mpl.rc_context(STYLE):
        columns = min(len(panels), COLUMNS)
        rows = -(-len(panels) // columns)
        made = figure(5.2 * columns, 4.0 * rows)
        axes = made.subplots(rows, columns, squeeze=False).ravel()
        for axis, (key, group) in zip(axes, panels.items(), strict=False):
            _panel(axis, key, sorted(group, key=_size))
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        if kind == "svg":
            return svg(made).encode("utf-8")
        stream = io.BytesIO()
        made.savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def _panel(axis: Any, key: tuple[str, int, str], group: list[CaseResult]) -> None:
    dtype, threads, transpose = key
    sizes = [_size(result) for result in group]
    for name in (*group[0].baselines, OURS):
        speeds = [result.case.flops / 1e9 / np.array(result.seconds[name]) for result in group]
        low, middle, high = np.array([np.percentile(values, (10, 50, 90)) for values in speeds]).T
        axis.fill_between(sizes, low, high, color=COLORS[name], alpha=0.25, lw=0)
        label = "grokkit" if name == OURS else name
        axis.plot(sizes, middle, color=COLORS[name], lw=1.8, marker="o", ms=3.5, label=label)
    _limits(axis, group)
    named = sorted({round(size) for size in sizes})
    axis.set_xscale("log", base=2)
    axis.set_xticks(named, [str(size) for size in named], fontsize=8)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_minor_formatter(NullFormatter())
    threads_text = "1 thread" if threads == 1 else f"{threads} threads"
    title = f"{dtype}, {threads_text}" + ("" if transpose == "nn" else f", {transpose}")
    axis.set(xlabel="N", ylabel="2N³/t, GFLOP/s", title=title)
    axis.legend(frameon=False, loc="lower right", fontsize=9)


def _limits(axis: Any, group: list[CaseResult]) -> None:
    """The measured peak, the flop limits above it, and an axis that ends at the highest of them."""
    peak = max(result.peak.gflops for result in group)
    deepest = max(int(result.plan.levels) for result in group)
    seen = max(result.case.flops / 1e9 / min(times) for result in group for times in result.seconds.values())
    for level in range(deepest + 1):
        limit = peak * (8 / 7) ** level
        axis.axhline(limit, color=GREY, lw=0.9, ls="-" if level == 0 else ":")
        text = f"measured peak, {peak:.0f}" if level == 0 else f"peak · (8/7)^{level}"
        axis.annotate(
            text, (0, limit), (3, -9), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=7,
            color=GREY,
        )  # fmt: skip
    axis.set_ylim(0, max(peak * (8 / 7) ** deepest, seen))


def _size(result: CaseResult) -> float:
    return float(result.case.flops / 2) ** (1 / 3)
