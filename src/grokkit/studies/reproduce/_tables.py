"""Tables of the account: written as CSV, Markdown and LaTeX from the same rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from grokkit.scheme import write_atomically

FORMATS: Final = ("csv", "md", "tex")
_TEX: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
)


@final
@dataclass(frozen=True)
class Table:
    """Rows under named columns. Laws: every row has a cell for each column; ``csv`` read back gives `texts`."""

    name: str
    """Of its files."""
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.name}: a row of {len(row)} cells under {len(self.columns)} columns")

    @property
    def texts(self) -> list[list[str]]:
        """All cells as they are written."""
        return [[cell(value) for value in row] for row in self.rows]

    def csv(self) -> str:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.texts)
        return stream.getvalue()

    def markdown(self) -> str:
        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(each.replace("|", r"\|").replace("\n", " ") for each in cells) + " |"

        return (
            "\n".join([self.caption, "", line(self.columns), "|---" * len(self.columns) + "|", *map(line, self.texts)])
            + "\n"
        )

    def latex(self) -> str:
        """A `tabular` between booktabs' rules, with its caption."""

        def line(cells: Sequence[str]) -> str:
            return " & ".join(each.translate(_TEX).replace("\n", " ") for each in cells) + r" \\"

        body = [
            r"\begin{table}",
            rf"\caption{{{self.caption.translate(_TEX)}}}",
            rf"\begin{{tabular}}{{{'l' * len(self.columns)}}}",
            r"\toprule",
            line(self.columns),
            r"\midrule",
            *map(line, self.texts),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(body) + "\n"

    def write(self, folder: Path) -> list[Path]:
        """Write ``NAME.csv``, ``NAME.md`` and ``NAME.tex``."""
        written = []
        for suffix, text in zip(FORMATS, (self.csv(), self.markdown(), self.latex()), strict=True):
            written.append(folder / f"{self.name}.{suffix}")
            write_atomically(written[-1], text)
        return written


def cell(value: Any) -> str:
    """A value as a table shows it: numbers with four digits, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
