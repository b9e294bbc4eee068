"""Static figures of a reproduction beyond those of its run stores: the source's own figures, from what is stored."""

from __future__ import annotations

import re
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from grokkit.studies._figures import BLUE, GREY, INK, ORANGE, PALE, STYLE, figure
from grokkit.studies.reproduce._film import ACTS, Film, load_film
from grokkit.studies.reproduce._published import series
from grokkit.studies.reproduce._report import KEPT, PLOTTED, claim_stores, phase_store
from grokkit.studies.reproduce._reproduce import Reproduction
from grokkit.studies.runs import Runs

LEVELS: Final = (25, 50, 68)
"""Contours of the source's phase diagram, in per cent."""
SHADES: Final = (BLUE, ORANGE, GREY, PALE, INK)
GROKKING: Final = (32, 512)
"""Batch sizes that the source compares."""
NAMES: Final = {"A07": "condition-number", "B04": "execution-time", "E01": "expansion-error", "N01": "noise"}
AXES: Final = {
    "A07": ("batch size", "condition number"),
    "B04": ("size N", "seconds"),
    "E01": ("size N", "relative error"),
    "N01": ("standard deviation of the noise", "share of exact runs"),
}


def figures(found: Reproduction) -> dict[str, tuple[Figure, str]]:
    """Figures by name, each with its caption; those whose measurements are not there yet are left out."""
    stores = claim_stores(found.folder)
    drawn = {"success-by-batch-size": success_by_batch(found.protocols)}
    compared = grokking([*stores, *found.protocols.values()])
    if compared is not None:
        drawn["grokking"] = compared
    chosen = phase_store(stores)
    if chosen is not None:
        drawn["phase-diagram"] = phase_diagram(*chosen)
    for entry in found.entries:
        claim = entry.claim.id
        if claim in PLOTTED and entry.measurement is not None:
            made = curves(claim, entry.measurement)
            if made is not None:
                drawn[NAMES[claim]] = made
    film = load_film(found.folder)
    if film is not None:
        drawn["weight-geometry"] = weight_geometry(film)
        drawn["weight-distributions"] = weight_distributions(film)
    return drawn


def success_by_batch(protocols: dict[str, Runs]) -> tuple[Figure, str]:
    """Shares of exact runs by batch size, as published and crystallized, with Wilson intervals."""
    with mpl.rc_context(STYLE):
        made = figure(9.4, 3.4)
        axis = made.subplots()
        shown = {"exact_plain": "rounded as published", "exact_full": "crystallized by grokkit"}
        for at, (name, runs) in enumerate(protocols.items()):
            for outcome, label in shown.items():
                if outcome not in runs.study.outcomes:
                    continue
                found = [(each.factors["batch_size"], each.proportion) for each in runs.success(outcome)]
                sizes = np.array([size for size, _ in found]) * (1 + 0.05 * at)
                middle = np.array([100 * p.share for _, p in found])
                limits = np.abs(np.array([[100 * p.low, 100 * p.high] for _, p in found]).T - middle)
                color = (BLUE if outcome == "exact_full" else ORANGE) if at == 0 else GREY
                look: Any = {"fmt": "o" if outcome == "exact_full" else "s", "color": color, "ms": 5, "capsize": 3}
                axis.errorbar(sizes, middle, yerr=limits, label=f"protocol {name}, {label}", clip_on=False, **look)
        axis.set(xscale="log", ylim=(-3, 103), xlabel="batch size", ylabel="share of runs, %")
        levels = sorted({size for runs in protocols.values() for size in runs.study.factors["batch_size"]})
        axis.set_xticks(levels, [str(level) for level in levels])
        axis.minorticks_off()
        axis.axhline(68, color=GREY, lw=0.8, ls=":")
        axis.annotate("stated: 68 %", (levels[0], 68), (2, 4), textcoords="offset points", fontsize=8, color=GREY)
        axis.legend(frameon=False, fontsize=8, loc="center right")
    count = sum(len(runs) for runs in protocols.values())
    return made, f"Share of exact runs by batch size, with 95 % Wilson intervals; {count} runs."


def grokking(stores: list[Runs]) -> tuple[Figure, str] | None:
    """Training and test loss at two batch sizes, of the first store that has the source's, or the widest pair."""
    usable = [
        runs
        for runs in stores
        if {"train_loss", "test_loss"} <= set(runs.study.metrics) and "batch_size" in runs.study.factors
    ]
    if not usable:
        return None
    exact = [runs for runs in usable if set(GROKKING) <= set(runs.study.factors["batch_size"])]
    runs = (exact or usable)[0]
    sizes = GROKKING if exact else (min(runs.study.factors["batch_size"]), max(runs.study.factors["batch_size"]))
    columns = ["trajectory_step", "trajectory_train_loss", "trajectory_test_loss"]
    cells = {runs.study.cells[number].factors["batch_size"]: table for number, table in runs.by_cell(columns).items()}
    sizes = tuple(size for size in sizes if size in cells)
    with mpl.rc_context(STYLE):
        made = figure(9.4, 3.4)
        for axis, size in zip(np.atleast_1d(made.subplots(1, len(sizes), sharey=True)), sizes, strict=True):
            table = cells[size]
            steps = np.maximum(np.array(table["trajectory_step"][0].as_py()), 0.7)
            for name, label, color in (("train_loss", "training", ORANGE), ("test_loss", "test", BLUE)):
                values = np.array(table[f"trajectory_{name}"].to_pylist(), dtype=np.float64)
                values = np.maximum(np.where(np.isfinite(values), values, np.nan), 1e-16)
                known = np.isfinite(values).any(axis=0)
                low, middle, high = np.nanpercentile(values[:, known], (10, 50, 90), axis=0)
                axis.fill_between(steps[known], low, high, color=color, alpha=0.2, lw=0)
                axis.plot(
                    steps[known], middle, color=color, label=label, ls="-" if label == "training" else (0, (4, 2))
                )
            axis.set(xscale="log", yscale="log", xlabel="optimizer step", title=f"batch size {size}, n = {len(table)}")
            axis.legend(frameon=False, fontsize=8)
        made.axes[0].set_ylabel("mean squared error")
    pair = " and ".join(str(size) for size in sizes)
    told = "" if exact else " The source compares 32 and 512; the claim S10 has its own protocol."
    return made, f"Training and test loss at batch sizes {pair}: median, 10th to 90th percentile.{told}"


def phase_diagram(runs: Runs, length: str) -> tuple[Figure, str]:
    """Share of runs by batch size and length of training, an outcome a panel, with the source's contours."""
    study = runs.study
    across, up = study.factors["batch_size"], study.factors[length]
    with mpl.rc_context(STYLE):
        made = figure(4.7 * len(study.outcomes), 0.42 * len(up) + 1.6)
        panels = np.atleast_1d(made.subplots(1, len(study.outcomes), sharey=True))
        for axis, outcome in zip(panels, study.outcomes, strict=True):
            shares = np.full((len(up), len(across)), np.nan)
            for each in runs.success(outcome, by=("batch_size", length)):
                at = up.index(each.factors[length]), across.index(each.factors["batch_size"])
                shares[at] = 100 * each.proportion.share
                axis.text(at[1], at[0], f"{shares[at]:.0f}", ha="center", va="center", fontsize=8, color=INK)
            axis.imshow(shares, cmap="Blues", vmin=0, vmax=130, aspect="auto", origin="lower")
            drawable = [level for level in LEVELS if np.nanmin(shares) < level < np.nanmax(shares)]
            if drawable and min(shares.shape) >= 2:
                axis.contour(shares, levels=drawable, colors=[ORANGE], linewidths=1.2)
            axis.set_xticks(range(len(across)), [str(level) for level in across], fontsize=8)
            axis.set_yticks(range(len(up)), [str(level) for level in up], fontsize=8)
            axis.set(xlabel="batch size", title=outcome.replace("_", " "))
        panels[0].set_ylabel(length)
    counts = sorted({each.proportion.n for each in runs.success(by=("batch_size", length))})
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return made, f"Share of runs in per cent, {n} runs a combination; contours at 25, 50 and 68 %."


def curves(claim: str, measurement: Any) -> tuple[Figure, str] | None:
    """The series of a claim's figures, with their intervals."""
    kept = {name: each for name, each in series(measurement.figures).items() if re.search(KEPT[claim], name)}
    if not kept:
        return None
    with mpl.rc_context(STYLE):
        made = figure(9.4, 3.6)
        axis = made.subplots()
        for at, (name, points) in enumerate(kept.items()):
            x, y = np.array([x for x, _ in points]), np.array([f.value for _, f in points], dtype=np.float64)
            limits = np.array([f.interval for _, f in points]).T
            spread = np.maximum(np.abs(limits - y), 0.0)
            axis.errorbar(x, y, yerr=spread, fmt="o-", color=SHADES[at % len(SHADES)], ms=4, capsize=3, label=name)
        label, what = AXES[claim]
        axis.set(xscale="log", xlabel=label, ylabel=what)
        if claim != "N01":
            axis.set_yscale("log")
        axis.legend(frameon=False, fontsize=8)
    return made, f"{PLOTTED[claim]} (claim {claim}; {measurement.seeds}). Bars: 95 % intervals, where there are any."


def weight_geometry(film: Film) -> tuple[Figure, str]:
    """The path of one run's weights in their two principal directions, its slot norms, and its lattice distance."""
    training = film.act <= ACTS.index("pruning")
    weights = np.nan_to_num(film.weights[training])
    steps = np.maximum(film.step[training], 0.7)
    flat = weights.reshape(len(weights), -1)
    centered = flat - flat.mean(axis=0)
    left, values, _ = np.linalg.svd(centered, full_matrices=False)
    points, share = left[:, :2] * values[:2], values[:2] ** 2 / (values**2).sum()
    norms = np.sqrt(np.nansum(film.weights[training] ** 2, axis=2))
    norms[np.isnan(film.weights[training][:, :, 0])] = np.nan
    with mpl.rc_context(STYLE):
        made = figure(9.4, 3.2)
        path, slots, distance = made.subplots(1, 3)
        path.plot(*points.T, color=PALE, lw=1)
        path.scatter(*points.T, c=np.log(steps), cmap="viridis", s=14, zorder=2)
        path.annotate("start", points[0], (4, 4), textcoords="offset points", fontsize=8)
        path.annotate("end", points[-1], (4, 4), textcoords="offset points", fontsize=8)
        path.set(
            xlabel=f"{100 * share[0]:.0f} % of variance", ylabel=f"{100 * share[1]:.0f} %", title="Path of the weights"
        )
        slots.plot(steps, norms, color=BLUE, lw=1)
        slots.set(xscale="log", xlabel="step", title="Norm of each slot", ylim=(0, None))
        distance.plot(steps, film.distance[training], color=ORANGE)
        distance.set(xscale="log", xlabel="step", title="Lattice distance", ylim=(0, None))
    about = film.about
    return made, f"Weights of one network over training (run {about['run']} of seed {about['seed']}, n = 1)."


def weight_distributions(film: Film) -> tuple[Figure, str]:
    """Histograms of one run's weights: as begun, trained, solved, and after the gauge fix."""
    last = {name: int(np.flatnonzero(film.act == at)[-1]) for at, name in enumerate(ACTS)}
    shown = {
        "random": 0,
        "before pruning": last["training"],
        "trained": last["pruning"],
        "polished": last["polish"],
        "gauge fixed": last["scaling"],
    }
    with mpl.rc_context(STYLE):
        made = figure(9.4, 2.6)
        for axis, (name, frame) in zip(made.subplots(1, len(shown), sharex=True), shown.items(), strict=True):
            weights = film.weights[frame][~np.isnan(film.weights[frame])]
            axis.hist(np.clip(weights, -2.4, 2.4), bins=np.linspace(-2.45, 2.45, 50), color=BLUE)
            axis.set(title=name, xlabel="weight")
            axis.set_xticks([-2, -1, 0, 1, 2])
    about = film.about
    return made, (
        f"Weights of one network (run {about['run']} of seed {about['seed']}, n = 1) from random numbers to "
        "{-1, 0, 1}; weights beyond ±2.4 are counted at the ends."
    )
