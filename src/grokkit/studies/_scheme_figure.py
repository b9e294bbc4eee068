"""A scheme drawn with matplotlib: the factors of each product as signed blocks on A, B and C."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from grokkit.scheme import InvalidInput, MatrixProduct, Scheme

COLORS = LinearSegmentedColormap.from_list("signed", ["#c8452c", "#f4c8bf", "#eceef1", "#bfd8ee", "#1f6fb4"])
MAX_DRAWN = 400
"""Most products in one figure."""


def draw_scheme(scheme: Scheme, path: str | Path, columns: int = 6) -> None:
    """Write a figure of a scheme; the suffix (.png, .pdf, .svg) names its format.

    Each product shows its factors as matrices: u on A (n × m), v on B (m × p), w on C (n × p); blue is positive, red
    negative. Raises `InvalidInput` for more than 400 products or a suffix that matplotlib does not write.
    """
    if not isinstance(scheme.target, MatrixProduct) or not 0 < scheme.rank <= MAX_DRAWN:
        raise InvalidInput(f"{scheme.name}: 1 to {MAX_DRAWN} products of a matrix product are drawn")
    u, v, w = scheme.floats()
    largest = max(float(np.abs(x).max()) for x in (u, v, w)) or 1.0
    columns = min(columns, scheme.rank)
    rows = -(-scheme.rank // columns)
    n, m, p = scheme.target.format
    widths = [m, p, p, 0.7]  # and a gap
    figure = Figure(figsize=(1.0 + columns * 1.9, 0.9 + rows * 0.5 * max(1.2, max(n, m) / 2)), layout="constrained")
    FigureCanvasAgg(figure)
    grid: Any = figure.subplots(rows, columns * 4, squeeze=False, width_ratios=widths * columns)
    for axis in grid.flat:
        axis.set_axis_off()
    for r in range(scheme.rank):
        for side, (row, shape) in enumerate(zip((u[r], v[r], w[:, r]), scheme.target.sides(), strict=True)):
            axis = grid[r // columns, (r % columns) * 4 + side]
            axis.pcolormesh(row.reshape(shape)[::-1], cmap=COLORS, vmin=-largest, vmax=largest, edgecolors="w", lw=0.5)
            axis.set_aspect("equal")
            if side == 0:
                axis.set_title(f"{r + 1}", fontsize=8, loc="left", pad=2)
            axis.text(0.5, -0.05, "ABC"[side], transform=axis.transAxes, ha="center", va="top", fontsize=6)
    figure.suptitle(f"{scheme.name} over {scheme.ring}: blue is positive, red negative", fontsize=9)
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise InvalidInput(f"{path}: {str(error).splitlines()[0]}") from None
