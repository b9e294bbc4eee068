"""What a reproduction says: its tables, its figures and its page as files, from stored runs alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from matplotlib.figure import Figure

from grokkit.scheme import write_atomically
from grokkit.studies._figures import svg
from grokkit.studies.reproduce import _plots
from grokkit.studies.reproduce._report import write_report
from grokkit.studies.reproduce._reproduce import Reproduction, tables
from grokkit.studies.runs._plots import figures as figures_of_runs
from grokkit.studies.runs._report import png

TABLES: Final = "tables"
FIGURES: Final = "figures"


def write_account(found: Reproduction, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Write ``tables/`` (CSV, Markdown, LaTeX), ``figures/`` (PNG, SVG) and ``report.html`` into the folder.

    The same runs give the same files. Returns the names of what was written.
    """
    report = progress or (lambda text: None)
    for name in (TABLES, FIGURES):
        (found.folder / name).mkdir(exist_ok=True)
    report("tables")
    written: dict[str, Any] = {"tables": [], "figures": []}
    for table in tables(found):
        written["tables"] += [str(path) for path in table.write(found.folder / TABLES)]
    for name, (made, _) in figures(found).items():
        report(f"figure {name}")
        for suffix, content in (("png", png(made)), ("svg", svg(made))):
            path = found.folder / FIGURES / f"{name}.{suffix}"
            write_atomically(path, content)
            written["figures"].append(str(path))
    report("report.html")
    written["page"] = str(write_report(found))
    return written


def figures(found: Reproduction) -> dict[str, tuple[Figure, str]]:
    """All figures by name, each with its caption: those of the source, then those of both protocols."""
    drawn = _plots.figures(found)
    for protocol, runs in found.protocols.items():
        for name, (made, caption) in figures_of_runs(runs).items():
            title = f"protocol-{protocol.lower()}-{name.replace('_', '-')}"
            drawn[title] = made, f"Protocol {protocol}. {caption}"
    return drawn
