"""The demo's HTML page: one file, figures inside, no network."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from grokkit._version import __version__
from grokkit.scheme import Equivalence, additions, frobenius_growth, growth_factor, write_atomically
from grokkit.studies import _figures as figures
from grokkit.studies._demo import DemoResult
from grokkit.studies._statistics import Proportion


def write_demo_page(result: DemoResult, path: str | os.PathLike[str]) -> None:
    """Render the page. It loads nothing from anywhere."""
    write_atomically(Path(path), render(result))


def stages(result: DemoResult) -> dict[str, Any]:
    """Shares of runs, from what training did to what each method made of it."""
    success = result.success()
    return {
        "trained: test loss < 1e-6": result.converged(),
        "trained, polished: equations solved": result.polished(),
        "exact: weights rounded as they are (plain)": success["plain"],
        "exact: slot scales fixed, rounded (scaled)": success["scaled"],
        "exact: polished, basis fixed, rounded (full)": success["full"],
        "control: full, from untrained weights": Proportion(result.control.exact, len(result.control)),
    }


def basis_rows(answer: Equivalence) -> list[tuple[str, list[list[str]]]]:
    """P, Q and R of a basis change as rows of text."""
    return [
        (letter, [[str(x) for x in row] for row in matrix])
        for letter, matrix in zip("PQR", (answer.P, answer.Q, answer.R), strict=True)
    ]


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
        moved=result.moved(),
        change=basis_rows(result.basis_change),
        trained_basis=[
            (letter, [[f"{x:.3f}" for x in row] for row in matrix])
            for letter, matrix in zip("PQR", result.example.path.sandwich or (), strict=False)
        ],
        stages=stages(result),
        figures=drawn,
        version=__version__,
    )
