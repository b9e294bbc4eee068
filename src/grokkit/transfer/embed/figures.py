"""Figures of exact growth."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from grokkit.transfer._style import BLUE, GREY, INK, ORANGE, STYLE, figure
from grokkit.transfer.embed import PREDICTORS, ParityStudy


def parity_by_size(study: ParityStudy) -> Figure:
    """Accuracy by size: every network a point, means as lines; beside it the parity of all bits."""
    with mpl.rc_context(STYLE):
        made = figure(9.6, 4.2)
        sizes, full = made.subplots(1, 2, width_ratios=(3, 1), sharey=True)
        places = np.arange(len(study.sizes))
        for shift, (name, color, mark) in enumerate(zip(PREDICTORS, (BLUE, ORANGE, GREY), "os^", strict=True)):
            at = places + 0.12 * (shift - 1)
            means = [study.accuracy(name, size).value for size in study.sizes]
            sizes.plot(at, means, color=color, lw=1.2, alpha=0.6)
            for place, size in zip(at, study.sizes, strict=True):
                values = [row.accuracies[name].value for row in study.rows if (row.inputs, row.hidden) == size]
                label = name if place == at[0] else None
                sizes.plot([place] * len(values), values, mark, color=color, ms=5, alpha=0.8, label=label)
        sizes.set_xticks(places, [f"{inputs}\n{hidden}" for inputs, hidden in study.sizes])
        sizes.set(xlabel="inputs and hidden units", ylabel="accuracy", title="Parity of 3 bits, grown")
        for place, found in enumerate((study.full_training, study.full_test)):
            full.plot([place] * len(found), [each.value for each in found], "D", color=INK, ms=5, alpha=0.7)
        full.set_xticks([0, 1], ["trained on", "new"])
        full.set(xlim=(-0.6, 1.6), xlabel="rows", title="All 32 bits")
        for axis in (sizes, full):
            axis.axhline(0.5, color=INK, lw=0.8, ls=":")
            axis.set_ylim(0.4, 1.04)
        sizes.annotate("chance", (places[0] - 0.3, 0.505), fontsize=8, color=INK, va="bottom")
        n = len(study.seeds)
        made.legend(*sizes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
        made.suptitle(
            f"{n} network{'s' if n > 1 else ''}, each judged on {study.samples} rows", x=0.01, ha="left", fontsize=10
        )
    return made
