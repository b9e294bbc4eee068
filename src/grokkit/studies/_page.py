"""The demo's HTML page: one file, figures inside, no network."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from grokkit._version import __version__
from grokkit.scheme import additions, frobenius_growth, growth_factor, write_atomically
from grokkit.studies import _figures as figures
from grokkit.studies._demo import DemoResult


def write_demo_page(result: DemoResult, path: str | os.PathLike[str]) -> None:
    """Render the page. It loads nothing from anywhere."""
    write_atomically(Path(path), render(result))


def stages(result: DemoResult) -> dict[str, Any]:
    """Shares of runs, from what training did to what each method made of it."""
    success = result.success()
    return {
        "trained: test loss < 1e-6": result.converged(),
        "polished: equations solved": result.polished(),
        "exact by plain rounding": success["plain"],
        "exact by slot scales": success["scaled"],
        "exact by full": success["full"],
    }


def render(result: DemoResult) -> str:
    """The page as text."""
    scheme = result.scheme
    source = (resources.files("grokkit.studies") / "templates" / "demo.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    drawn = {
        "trajectories": figures.svg(figures.trajectories(result.population)),
        "weights": figures.svg(figures.weights_before_and_after(result.population, result.example.run, scheme)),
        "success": figures.svg(figures.success(stages(result))),
    }
    return environment.from_string(source).render(
        result=result,
        config=result.population.config,
        scheme=scheme,
        formulas=str(scheme),
        additions=additions(scheme).total,
        growth=growth_factor(scheme),
        frobenius=frobenius_growth(scheme),
        path=result.example.path,
        stages=stages(result),
        figures=drawn,
        version=__version__,
    )
