"""Tables of the source beside what is measured, row by row, and series of figures that a plot can show.

Published numbers are those of the documents that the claims cite: grisun0 (2025-2026), "Trajectory Geometry Determines
Algorithmic Structure" and the other documents of the list of claims.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from grokkit.studies.ledger import Entry, Figure
from grokkit.studies.reproduce._tables import cell

SIZES: Final = (2, 4, 8, 16, 32, 64)
RELATIVE: Final = ("1.21e-7", "9.37e-8", "2.99e-7", "5.89e-7", "8.66e-7", "1.69e-6")
LARGEST: Final = ("2.38e-7", "1.91e-6", "6.20e-6", "2.15e-5", "8.13e-5", "2.94e-4")
NOISE: Final = {"0.001": ".443", "0.005": ".639", "0.01": ".668", "0.05": ".618", "0.1": ".616"}
ANOVA: Final = {
    "batch_size": (".287", "4", "15.34", "< 1e-4", ".244"),
    "protocol": (".052", "1", "11.08", ".001", ".044"),
}
TRAILING: Final = re.compile(
    r"^(?P<head>.*?)(?:,| at| of)? *(?:(?:B|N|batch size|sigma) ?=? ?)?"
    r"(?P<x>\d+(?:\.\d+)?(?:e-?\d+)?)(?P<tail>, [a-z][^0-9]*)?$"
)

Rows = list[tuple[str, str, str, str]]
"""Label, claim, what the source states, name of the figure that measures it."""


def _tables() -> list[tuple[str, Rows]]:
    sized: list[tuple[str, Rows]] = [
        (
            "Expansion without retraining: relative error",
            [
                (f"N = {n}, {who}", "E01", value, f"{who}, Gaussian, {n}")
                for n, value in zip(SIZES, RELATIVE, strict=True)
                for who in ("Strassen", "learned")
            ],
        ),
        (
            "Expansion without retraining: largest absolute error",
            [(f"N = {n}", "E02", value, f"Gaussian, {n}") for n, value in zip(SIZES, LARGEST, strict=True)],
        ),
        (
            "Commutation of T with the product",
            [(f"N = {n}, learned", "E03", "< 2e-6", f"learned, {n}") for n in SIZES[1:]],
        ),
    ]
    rounding: Rows = []
    for sigma, error in NOISE.items():
        rounding += [
            (f"σ = {sigma}: share exact, from exact weights", "N01", "0", f"exact weights, {sigma}"),
            (f"σ = {sigma}: share exact, from trained weights", "N01", "0", f"trained weights, {sigma}"),
            (f"σ = {sigma}: error, from exact weights", "N01", error, f"error, exact weights, {sigma}"),
        ]
    slots: Rows = [
        ("Permutations of all three factors that work, of 5040", "E04", "1", "exact, coherent"),
        ("Mean error of the others", "E04", "0.74", "error, coherent"),
        ("Permutations of U alone that work, of 5040", "E04", "", "exact, U alone"),
        ("Mean error of the others", "E04", "", "error, U alone"),
    ]
    memory: Rows = [
        ("Parameters", "M01", "384 B", "parameters"),
        ("Optimizer state", "M01", "768 B", "optimizer"),
        ("One sample", "M01", "320 B", "per sample"),
        ("Working set at batch size 128, counted", "M01", "41.1 KB", "counted at 128"),
        ("Working set at batch size 128, measured", "M01", "41.1 KB", "measured at 128"),
        ("Working set at batch size 1024, counted", "M01", "321.1 KB", "counted at 1024"),
        ("Working set at batch size 1024, measured", "M01", "321.1 KB", "measured at 1024"),
    ]
    speed: Rows = [
        ("Speedup at 8192, one thread", "B01", "1.95", "speedup at 8192, one thread"),
        ("Speedup at 8192, all threads", "B02", "0.52", "speedup at 8192, all threads"),
    ]
    for claim, values in (("B03", (".98", "1.13", "1.95")), ("B04", ("1.01", ".99", "1.06"))):
        speed += [
            (f"Speedup at {n}, one thread", claim, value, f"speedup at {n}, one thread")
            for n, value in zip((2048, 4096, 8192), values, strict=True)
        ]
    speed += [
        (f"Overhead at {n}, one thread", "B04", value, f"overhead at {n}, one thread")
        for n, value in zip((2048, 4096, 8192), ("-.017", "+.057", "+.205"), strict=True)
    ]
    return [
        *sized,
        ("Slot permutations", slots),
        ("Noise before rounding", rounding),
        ("Memory of training", memory),
        ("Large products against BLAS", speed),
    ]


def published_tables(entries: list[Entry]) -> list[dict[str, Any]]:
    """Each table of the source: rows of label, claim, stated and measured, and whether anything is measured."""
    known = {entry.claim.id: entry for entry in entries}
    found = []
    for title, rows in _tables():
        shown = []
        for label, claim, stated, name in rows:
            measurement = known[claim].measurement
            figure = None if measurement is None else measurement.figures.get(name)
            shown.append({"label": label, "claim": claim, "stated": stated or "not stated", **parts(figure)})
        ids = list(dict.fromkeys(row[1] for row in rows))
        found.append(
            {
                "title": title,
                "rows": shown,
                "measured": any(row["value"] for row in shown),
                "claims": ids,
                "seeds": next((m.seeds for m in (known[claim].measurement for claim in ids) if m is not None), ""),
            }
        )
    return found


def parts(figure: Figure | None) -> dict[str, str]:
    """A figure as a row shows it: value, interval and n, as texts."""
    if figure is None:
        return {"value": "", "interval": "", "n": "", "what": ""}
    n = "" if figure.n is None else str(figure.n)
    if figure.value is None:
        return {"value": "undefined", "interval": figure.reason, "n": n, "what": figure.what}
    interval = "exact" if figure.low is None else f"{cell(figure.low)} to {cell(figure.high)}"
    if figure.low is None and figure.n is not None and figure.n > 1:
        interval = ""
    return {"value": cell(float(figure.value)), "interval": interval, "n": n, "what": figure.what}


def series(figures: Mapping[str, Figure]) -> dict[str, list[tuple[float, Figure]]]:
    """Figures whose names differ only in a number at the end (``error, 32``), by what comes before it.

    Only series of at least three points whose numbers rise are kept.
    """
    found: dict[str, list[tuple[float, Figure]]] = {}
    for name, figure in figures.items():
        match = TRAILING.match(name)
        if match is not None and figure.value is not None:
            head = match["head"].strip(" ,") + (match["tail"] or "")
            found.setdefault(head or "measured", []).append((float(match["x"]), figure))
    ordered = {name: sorted(points, key=lambda point: point[0]) for name, points in found.items()}
    return {name: points for name, points in ordered.items() if len({x for x, _ in points}) == len(points) >= 3}
