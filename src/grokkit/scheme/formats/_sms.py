"""Sparse matrices in SMS files, three to a scheme: ``*_L`` and ``*_R`` have a row a product, ``*_P`` a column.

# comment
7 4 R
1 1 1/2        row, column, value, counted from 1
0 0 0          the end
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

from grokkit.scheme._errors import UnreadableFile
from grokkit.scheme.formats._raw import ExactMatrix, Raw, exact_matrix
from grokkit.scheme.formats._text import decoded, exact_number

_HEADER: Final = re.compile(r"\s*([0-9]{1,6})\s+([0-9]{1,6})\s+[A-Za-z]\s*")
_SUFFIX: Final = re.compile(r"(.*)_([LRP])(\.[A-Za-z]+)?")
MAX_ENTRIES: Final = 2**24


def looks_like_sms(text: str) -> bool:
    """Whether the first line that is no comment is the header of an SMS file."""
    for line in text[:65536].split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            return _HEADER.fullmatch(line) is not None
    return False


def read_triple(path: Path, text: str, read: Callable[[Path], bytes]) -> Raw:
    """The scheme of three SMS files, from the path of any of them; `read` gives the bytes of a file."""
    match = _SUFFIX.fullmatch(path.name)
    if match is None:
        raise UnreadableFile("one matrix of an SMS triple; the three files end in _L, _R and _P")
    stem, mine, suffix = match.groups()
    matrices: dict[str, ExactMatrix] = {}
    for letter in "LRP":
        other = path.with_name(f"{stem}_{letter}{suffix or ''}")
        try:
            content = text if letter == mine else decoded(read(other))
        except FileNotFoundError:
            raise UnreadableFile(f"one matrix of an SMS triple; {other.name} is not beside it") from None
        except OSError as error:
            raise UnreadableFile(f"{other.name}, of the same triple: {error.strerror or error}") from None
        try:
            matrices[letter] = _matrix(content)
        except UnreadableFile as error:
            raise UnreadableFile(f"{other.name}: {error}" if letter != mine else str(error)) from None
    w, denominator = matrices["P"]
    return Raw("SMS triple", matrices["L"], matrices["R"], (w.T.copy(), denominator))


def _matrix(text: str) -> ExactMatrix:
    rows: list[list[Fraction]] | None = None
    ended = False
    for number, line in enumerate(text.split("\n"), 1):
        where = f"line {number}"
        if line.lstrip().startswith("#"):
            if re.search(r"(?i)placeholder|sqrt", line):
                raise UnreadableFile(
                    f"{where}: a number stands for {_irrational(line)}: irrational; only schemes with rational "
                    "coefficients are read"
                )
            continue
        if not line.strip():
            continue
        if ended:
            raise UnreadableFile(f"{where}: an entry after the end, 0 0 0")
        if rows is None:
            header = _HEADER.fullmatch(line)
            if header is None:
                raise UnreadableFile(f"{where}: rows, columns and a letter are expected, such as 7 4 R")
            height, width = int(header.group(1)), int(header.group(2))
            if height * width > MAX_ENTRIES or not height or not width:
                raise UnreadableFile(f"{where}: a matrix of {height} x {width}; 1 to {MAX_ENTRIES} entries are read")
            rows = [[Fraction(0)] * width for _ in range(height)]
            continue
        parts = line.split()
        if len(parts) != 3 or not all(re.fullmatch(r"[0-9]{1,6}", part) for part in parts[:2]):
            raise UnreadableFile(f"{where}: row, column and value are expected")
        i, j = int(parts[0]), int(parts[1])
        if i == j == 0:
            ended = True
            continue
        if not (1 <= i <= len(rows) and 1 <= j <= len(rows[0])):
            raise UnreadableFile(f"{where}: entry {i} {j} of a matrix of {len(rows)} x {len(rows[0])}")
        if rows[i - 1][j - 1]:
            raise UnreadableFile(f"{where}: entry {i} {j} is given twice")
        try:
            rows[i - 1][j - 1] = exact_number(parts[2])
        except UnreadableFile as error:
            raise UnreadableFile(f"{where}: {error}") from None
    if rows is None:
        raise UnreadableFile("no matrix")
    if not ended:
        raise UnreadableFile("cut off: an SMS file ends with the line 0 0 0")
    return exact_matrix(rows)


def _irrational(line: str) -> str:
    found = re.search(r"(?i)sqrt\s*\(?\s*[0-9]+\s*\)?", line)
    return found.group().strip() if found else "another"
