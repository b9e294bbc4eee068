"""The report of a study: one page that needs no network, and its figures as PNG files."""

from __future__ import annotations

import io
import math
import os
from importlib import resources
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from grokkit._version import __version__
from grokkit.scheme import undone_if_empty, write_atomically
from grokkit.studies._figures import STYLE, svg
from grokkit.studies.runs._names import MEASURES
from grokkit.studies.runs._plots import figures
from grokkit.studies.runs._runs import Runs, open_runs
from grokkit.studies.runs._summary import summarize

PAGE: Final = "index.html"
DOTS_AN_INCH: Final = 150


def write_report(runs: Runs | str | os.PathLike[str], out: str | os.PathLike[str]) -> dict[str, Any]:
    """Write ``index.html`` and a PNG file a figure into a folder. Returns what the page says as plain values.

    The same runs give the same page. A study that is not complete gets a report of what there is, and the page says so.
    Raises what `open_runs` raises.
    """
    runs = runs if isinstance(runs, Runs) else open_runs(runs)
    folder = Path(out)
    summary = summarize(runs)
    drawn = figures(runs)
    for made, _ in drawn.values():
        _lay_out(made)
    with undone_if_empty(folder):
        for name, (made, _) in drawn.items():
            write_atomically(folder / f"{name}.png", png(made))
        write_atomically(folder / PAGE, render(summary, drawn))
    return summary | {"page": str(folder / PAGE), "figures": [str(folder / f"{name}.png") for name in drawn]}


def _lay_out(made: Figure) -> None:
    """Place everything once, not for every file that the figure is saved to."""
    engine = made.get_layout_engine()
    if engine is not None:
        with mpl.rc_context(STYLE):
            engine.execute(made)
    made.set_layout_engine("none")


def png(made: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    stream = io.BytesIO()
    with mpl.rc_context(STYLE):
        made.savefig(stream, format="png", dpi=DOTS_AN_INCH, metadata={"Software": None})
    return stream.getvalue()


def render(summary: dict[str, Any], drawn: dict[str, tuple[Figure, str]]) -> str:
    """The page as text. It loads nothing from anywhere."""
    source = (resources.files("grokkit.studies.runs") / "templates" / "report.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["interval"] = _interval
    environment.filters["number"] = _number
    pictures = {name: (svg(made), caption) for name, (made, caption) in drawn.items()}
    page = environment.from_string(source)
    return page.render(summary=summary, pictures=pictures, measures=MEASURES, version=__version__)


def _interval(share: dict[str, Any]) -> str:
    """``3/15 (7.0-45.2 %)``."""
    return f"{share['count']}/{share['n']} ({100 * share['low']:.1f}-{100 * share['high']:.1f} %)"


def _number(value: float) -> str:
    if math.isnan(value):
        return "none"
    return f"{value:.3g}"
