"""Figures of fusion: weights and errors by frequency."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokkit.tasks import Mean
from grokkit.transfer._style import BLUE, GREEN, GREY, INK, ORANGE, STYLE, figure
from grokkit.transfer.fusion._study import FusionStudy


def fusion_by_frequency(study: FusionStudy) -> Figure:
    """The weight of the first expert, and the errors, at held-out frequencies: means with 95 % intervals over seeds.

    Left the gate, the closed-form optimum and the published criterion; right the errors that they make, between
    the experts'.
    """
    frequencies = study.config.held_out
    with mpl.rc_context(STYLE):
        made = figure(10.4, 4.4)
        weights, errors = made.subplots(1, 2)
        for name, label, color, line in (
            ("optimal_weights", "oracle gate", GREEN, "-"),
            ("gate_weights", "fused", BLUE, "--"),
            ("published_weights", "published criterion", ORANGE, ":"),
        ):
            _band(weights, frequencies, [getattr(run, name) for run in study.runs], color, label, line)
        weights.axhline(0.5, color=GREY, lw=0.8)
        weights.set(xlabel="frequency ω", ylabel="weight α of the first expert", title="Weight")
        for row, color, line in (
            ("first expert", INK, "-"),
            ("second expert", GREY, "-"),
            ("constant one half", GREY, ":"),
            ("published criterion", ORANGE, ":"),
            ("oracle gate", GREEN, "-"),
            ("fused", BLUE, "--"),
        ):
            _band(errors, frequencies, [run.errors[row] for run in study.runs], color, row, line, geometric=True)
        errors.set(yscale="log", xlabel="frequency ω", ylabel="mean squared error", title="Error, held-out frequencies")
        made.legend(*errors.get_legend_handles_labels(), loc="outside right center", frameon=False)
        made.suptitle(
            f"Experts of {study.config.widths[0]} and {study.config.widths[1]} units, n = {len(study.runs)} seeds",
            x=0.01,
            ha="left",
            fontsize=11,
            fontweight="bold",
        )
    return made


def _band(
    axis: Axes,
    frequencies: np.ndarray,
    values: list[np.ndarray],
    color: str,
    label: str,
    line: str,
    *,
    geometric: bool = False,
) -> None:
    mean = Mean.geometric if geometric else Mean.of
    means = [mean(column) for column in np.array(values).T]
    middle = np.array([each.value for each in means])
    if len(values) > 1:
        low, high = (np.array([getattr(each, end) for each in means]) for end in ("low", "high"))
        axis.fill_between(frequencies, low, high, color=color, alpha=0.12, lw=0)
    axis.plot(frequencies, middle, line, color=color, lw=1.8, label=label)
