"""The look of all figures of this room."""

from __future__ import annotations

from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK: Final = "#1f2430"
BLUE: Final = "#2f6db3"
ORANGE: Final = "#d9722e"
GREEN: Final = "#3a8a5f"
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
