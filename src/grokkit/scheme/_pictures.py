"""Pictures of schemes: the factors of each product as signed blocks on A, B and C, as text and as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from html import escape
from typing import Any, Final

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._scheme import Scheme

CELL: Final = 12
GAP: Final = 8
POSITIVE: Final = "#1f6fb4"
NEGATIVE: Final = "#c8452c"
EMPTY: Final = "#eceef1"


def slot_grids(scheme: Scheme) -> Iterator[tuple[list[list[Any]], ...]]:
    """For each product its factors as matrices: A (n × m), B (m × p), C (n × p); rows for other targets."""
    sides = scheme.target.sides()
    u, v, w = scheme.numbers()
    columns = [list(column) for column in zip(*w, strict=True)] if scheme.rank else []
    for rows in zip(u, v, columns, strict=True):
        yield tuple(
            [row[start : start + width] for start in range(0, len(row), width)]
            for row, (_, width) in zip(rows, sides, strict=True)
        )


def text_picture(scheme: Scheme, width: int = 100) -> str:
    """The products as blocks of ``+`` and ``-`` on A, B and C, several side by side; ``*`` for other coefficients.

    >>> from grokkit.scheme.catalog import catalog
    >>> print(text_picture(catalog["strassen"], 30))
    M1        M2        M3
    +. +. +.  .. +. ..  +. .+ .+
    .+ .+ .+  ++ .. +-  .. .- .+
    <BLANKLINE>
    M4        M5        M6
    .. -. +.  ++ .. -+  -. ++ ..
    .+ +. +.  .. .+ ..  +. .. .+
    <BLANKLINE>
    M7
    .+ .. +.
    .- ++ ..
    """
    height = max(rows for rows, _ in scheme.target.sides())
    drawn = [_text_block(grids, height) for grids in slot_grids(scheme)]
    wide = sum(columns for _, columns in scheme.target.sides()) + 2
    each = max(1, (width + 2) // (wide + 2))
    lines = []
    for start in range(0, len(drawn), each):
        group = drawn[start : start + each]
        titles = [f"M{start + at + 1}".ljust(wide) for at in range(len(group))]
        lines.append("  ".join(titles).rstrip())
        lines += ["  ".join(block[row] for block in group).rstrip() for row in range(height)]
        lines.append("")
    return "\n".join(lines[:-1])


def _text_block(grids: tuple[list[list[Any]], ...], height: int) -> list[str]:
    def mark(value: Any) -> str:
        return "." if not value else "+" if value == 1 else "-" if value == -1 else "*"

    columns = []
    for grid in grids:
        rows = ["".join(map(mark, row)) for row in grid]
        columns.append([*rows, *[" " * len(rows[0])] * (height - len(rows))])
    return [" ".join(parts) for parts in zip(*columns, strict=True)]


def svg_picture(scheme: Scheme, columns: int = 6) -> str:
    """The products as an SVG drawing: blue is positive, red negative, depth of color the size of the coefficient."""
    sides = scheme.target.sides()
    if scheme.ring.complex:
        raise InvalidInput(f"{scheme.name}: complex coefficients are not drawn in color")
    grids = list(slot_grids(scheme))
    largest = max((abs(x) for slot in grids for grid in slot for row in grid for x in row), default=Fraction(1)) or 1
    wide, high = sum(columns for _, columns in sides) * CELL + 2 * GAP, max(rows for rows, _ in sides) * CELL
    step_x, step_y = wide + 4 * GAP, high + 5 * GAP
    count = min(columns, max(len(grids), 1))
    parts = []
    for at, slot in enumerate(grids):
        x, y = (at % count) * step_x + GAP, (at // count) * step_y + 3 * GAP
        parts.append(f'<text x="{x}" y="{y - 5}">{at + 1}</text>')
        for grid in slot:
            parts += [
                f'<rect x="{x + j * CELL}" y="{y + i * CELL}" width="{CELL - 1}" height="{CELL - 1}" '
                f"{_fill(value, largest)}/>"
                for i, row in enumerate(grid)
                for j, value in enumerate(row)
            ]
            x += len(grid[0]) * CELL + GAP
    rows = -(-len(grids) // count)
    title = escape(f"{scheme.name} over {scheme.ring}: factors of the {scheme.rank} products on A, B and C")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {count * step_x} {rows * step_y + GAP}" role="img" '
        f'width="{count * step_x}" font-family="sans-serif" font-size="11" fill="#555"><title>{title}</title>'
        + "".join(parts)
        + "</svg>"
    )


def _fill(value: Fraction, largest: Fraction | int) -> str:
    if not value:
        return f'fill="{EMPTY}"'
    opacity = 0.35 + 0.65 * float(abs(value) / largest)
    return f'fill="{POSITIVE if value > 0 else NEGATIVE}" fill-opacity="{opacity:.2f}"'
