"""Text files with three blocks of numbers, separated by lines that start with ``#``: U, V, W, a column a slot.

This is how the fast-matmul collection writes schemes; the format stands in the file's name only.
"""

from __future__ import annotations

import re
from typing import Any, Final

from grokkit.scheme._errors import UnreadableFile
from grokkit.scheme.formats._raw import Raw, exact_matrix
from grokkit.scheme.formats._text import exact_value

_ENTRY: Final = re.compile(r"\S+")
_ROW: Final = re.compile(r"\s*[-+(.x0-9]\S*(\s+\S+)*\s*")


def looks_like_sheet(text: str) -> bool:
    """Whether the first line that is no comment is a row of entries and a line starts with ``#``."""
    lines = [line for line in text[:65536].split("\n") if line.strip()]
    rows = [line for line in lines if not line.lstrip().startswith("#")]
    return bool(rows) and len(rows) < len(lines) and _ROW.fullmatch(rows[0]) is not None


def read_sheet(text: str) -> Raw:
    """The factors in three blocks of numbers. Raises `UnreadableFile` with line and column."""
    blocks: list[list[list[Any]]] = [[]]
    eliminated = re.search(r"(?im)^\s*#.*\b(eliminated|substitution)", text) is not None
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("#"):
            if blocks[-1]:
                blocks.append([])
            continue
        if not line.strip():
            continue
        row = []
        for entry in _ENTRY.finditer(line):
            try:
                row.append(exact_value(entry.group()))
            except UnreadableFile as error:
                raise UnreadableFile(f"line {number}, column {entry.start() + 1}: {error}") from None
        blocks[-1].append(row)
        if len(row) != len(blocks[-1][0]):
            raise UnreadableFile(f"line {number}: {len(row)} entries; the block's first row has {len(blocks[-1][0])}")
    if not blocks[-1]:
        blocks.pop()
    widths = [len(block[0]) for block in blocks]
    if eliminated or (len(blocks) > 3 and widths[0] == widths[1] < widths[2]):
        raise UnreadableFile(
            "an eliminated layout, with common subexpressions substituted; read the scheme's plain file instead"
        )
    if len(blocks) != 3:
        raise UnreadableFile(
            f"{len(blocks)} blocks of numbers; three are needed, for U, V and W, with a line # between"
        )
    if len(set(widths)) > 1:
        shown = f"{widths[0]}, {widths[1]} and {widths[2]}"
        raise UnreadableFile(f"blocks of {shown} columns; each has a column for every product")
    u, v, w = (exact_matrix(list(zip(*block, strict=True)), name) for block, name in zip(blocks, "UVW", strict=True))
    return Raw("text with three blocks", u, v, w)
