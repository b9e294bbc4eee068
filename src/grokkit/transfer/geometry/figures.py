"""Figures of the geometry of learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from grokkit.scheme import InvalidInput

BLUE, ORANGE, GREY, INK = "#1d6fb8", "#d95f02", "#6b7280", "#111827"
CYCLE = (BLUE, ORANGE, "#2a9d5c", "#8a4fbf", GREY, INK)


def variation_figure(
    batch_sizes: Sequence[int], curves: Mapping[str, np.ndarray], *, published: float | None = 0.012
) -> Figure:
    """σ/μ of gradient norms against B: geometric means over seeds with 95 % intervals, the fitted exponent in the
    legend.

    Every curve is (seeds, sizes), positive.
    """
    for name, values in curves.items():
        if values.ndim != 2 or values.shape[1] != len(batch_sizes) or not (np.asarray(values, dtype=float) > 0).all():
            raise InvalidInput(
                f"curve {name!r} has shape {values.shape}; positive seeds × {len(batch_sizes)} are needed"
            )
    made = Figure(figsize=(7.4, 4.2), dpi=150, layout="constrained")
    axis = made.subplots()
    sizes = np.asarray(batch_sizes, dtype=float)
    for turn, (name, values) in enumerate(curves.items()):
        logs = np.log(np.asarray(values, dtype=float))
        mean = logs.mean(axis=0)
        fitted: Any = stats.linregress(np.log(sizes), mean)
        color = CYCLE[turn % len(CYCLE)]
        label = f"{name}: $B^{{{fitted.slope:.2f}}}$"
        axis.plot(sizes, np.exp(fitted.intercept + fitted.slope * np.log(sizes)), color=color, lw=1, label=label)
        half = np.zeros_like(mean)
        if len(logs) > 1:
            half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(axis=0, ddof=1) / len(logs) ** 0.5
        error = np.abs(np.exp([mean - half, mean + half]) - np.exp(mean))
        axis.errorbar(sizes, np.exp(mean), yerr=error, fmt="o", ms=4, color=color, capsize=2)
    if published is not None:
        axis.axhline(published, color=INK, lw=0.8, ls=":", label=f"published constant, {published:g}")
    axis.set(xscale="log", yscale="log", xlabel="batch size B", ylabel="σ / μ of |gradient|")
    axis.spines[["top", "right"]].set_visible(False)
    seeds = len(next(iter(curves.values()))) if curves else 0
    axis.set_title(f"Variation of gradient norms, {seeds} seeds", loc="left")
    axis.legend(frameon=False, fontsize=8)
    return made


def spectrum_drift_figure(runs: Sequence[Mapping[str, Any]]) -> Figure:
    """Test error, and drift and trace of the Fisher spectrum, against the epoch less that of the drop of each run.

    Every run has `epochs` and `relative` (the intervals), `trace` (the records), `curves` (epoch, training, test),
    `down`. Runs without a drop are left out, and their number is in the title.
    """
    known = [run for run in runs if run.get("down") is not None]
    if not known:
        raise InvalidInput("no run has a drop to align by: 'down' is missing in all of them")
    made = Figure(figsize=(10.4, 3.5), dpi=150, layout="constrained")
    error, drift, trace = made.subplots(1, 3)
    for run in known:
        down = run["down"]
        epochs, _, test = np.asarray(run["curves"], dtype=float)
        error.plot(epochs - down, test, color=BLUE, lw=0.8, alpha=0.8)
        middles = np.asarray(run["epochs"], dtype=float)
        drift.plot(middles - down, run["relative"], color=BLUE, lw=0.8, alpha=0.8)
        step = middles[1] - middles[0]
        records = np.append(middles - step / 2, middles[-1] + step / 2)
        trace.plot(records - down, run["trace"], color=BLUE, lw=0.8, alpha=0.8)
    for axis, title in (
        (error, "test error"),
        (drift, "relative drift per epoch"),
        (trace, "trace of Fisher information"),
    ):
        axis.axvline(0, color=INK, lw=0.8, ls=":")
        axis.set(xlabel="epochs since the drop", title=title)
        axis.spines[["top", "right"]].set_visible(False)
    error.set_yscale("log")
    trace.set_yscale("log")
    made.suptitle(f"Fisher spectrum around grokking, {len(known)} of {len(runs)} runs dropped", x=0.01, ha="left")
    return made
