"""Figures of conservation control."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from grokkit.scheme import InvalidInput
from grokkit.transfer.control import DriftTrace, TwoLevel

COLORS = {"fixed": "#6b7280", "relax": "#1d6fb8", "source": "#d95f02"}
LABELS = {"fixed": "fixed", "relax": "relaxes on collapse", "source": "published sign"}


def controller_traces(traces: Sequence[DriftTrace], *, threshold: float | None = None) -> Figure:
    """Ψ, the strength and the share of variance explained over training: every run a line, its policy the color."""
    if not traces:
        raise InvalidInput("there are no traces to draw")
    made = Figure(figsize=(10.5, 3.6), dpi=150, layout="constrained")
    axes = made.subplots(1, 3)
    seen: set[str] = set()
    for trace in traces:
        label = None if trace.policy in seen else LABELS[trace.policy]
        seen.add(trace.policy)
        for axis, values in zip(axes, (trace.psi, trace.strength, np.clip(trace.explained, -0.1, 1)), strict=True):
            axis.plot(trace.steps, values, color=COLORS[trace.policy], lw=0.9, alpha=0.8, label=label)
    for axis, title in zip(axes, ("Ψ = F_eff / d", "sparsity weight λ", "variance explained"), strict=True):
        axis.axvline(traces[0].onset, color="#111827", lw=0.8, ls=":")
        axis.set(xlabel="step", title=title)
        axis.spines[["top", "right"]].set_visible(False)
    if threshold is not None:
        axes[0].axhline(threshold, color="#111827", lw=0.8, ls="--")
        axes[0].annotate(
            "Ψ₀", (traces[0].steps[-1], threshold), xytext=(-14, 4), textcoords="offset points", fontsize=9
        )
    seeds, width = len({trace.seed for trace in traces}), traces[0].width
    made.suptitle(
        f"A sparse autoencoder of {width} units; the signal weakens from the dotted line on; {seeds} seeds",
        x=0.01,
        ha="left",
    )
    made.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return made


def two_level_spectrum(coupling: float = 1.0, *, largest: float = 2.0, points: int = 201) -> Figure:
    """Real and imaginary parts of both eigenvalues against γ/κ, computed numerically, over the closed form."""
    if points < 2 or not largest > 0:
        raise InvalidInput(
            f"points is {points} and largest {largest}; at least 2 points and a positive range are needed"
        )
    ratios = np.linspace(0, largest, points)
    levels = [TwoLevel(coupling, coupling * float(ratio)) for ratio in ratios]
    closed = np.array([level.closed_form() for level in levels]) / coupling
    computed = np.array([np.linalg.eigvals(level.matrix()) for level in levels[::8]]) / coupling
    made = Figure(figsize=(8.4, 3.4), dpi=150, layout="constrained")
    axes = made.subplots(1, 2, sharey=True)
    for axis, part, title in zip(axes, (np.real, np.imag), ("real part", "imaginary part"), strict=True):
        axis.plot(ratios, part(closed), color="#1d6fb8", lw=1.4)
        axis.plot(ratios[::8], part(computed), "o", color="#d95f02", ms=3)
        axis.axvline(1, color="#111827", lw=0.8, ls=":")
        axis.set(xlabel="γ / κ", title=f"{title} of E / κ")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].plot([], [], color="#1d6fb8", label="± sqrt(κ² − γ²)")
    axes[0].plot([], [], "o", color="#d95f02", ms=3, label="computed")
    axes[0].legend(frameon=False, loc="upper right", fontsize=8)
    return made
