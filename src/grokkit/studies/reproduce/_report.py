"""``report.html``: the one page that shows a reproduction. It loads nothing, and nothing is trained for it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from grokkit._version import __version__
from grokkit.scheme import write_atomically
from grokkit.studies._statistics import Proportion
from grokkit.studies.ledger import Entry, Verdict
from grokkit.studies.reproduce._film import ACTS, Film, load_film
from grokkit.studies.reproduce._published import ANOVA, parts, published_tables, series
from grokkit.studies.reproduce._reproduce import Reproduction
from grokkit.studies.reproduce._tables import cell
from grokkit.studies.runs import OUTCOMES, Runs, open_runs
from grokkit.studies.runs._plots import phase_factors
from grokkit.studies.statistics import NotEstimable

PAGE: Final = "report.html"
STATED_SUCCESS: Final = 0.68
"""Share of runs that the source reports to become exact (133 of 195)."""
MOST_RUNS: Final = 24
"""Runs a batch size whose trajectories are drawn one by one."""
LABELS: Final = {
    "train_loss": "training loss",
    "test_loss": "test loss",
    "lattice_distance": "largest distance of a weight to {-1, 0, 1}",
    "lattice_distance_mean": "mean distance of the weights to {-1, 0, 1}",
    "gradient_norm": "gradient norm",
    "gradient_variation": "coefficient of variation of gradient norms",
}
LINEAR: Final = ("lattice_distance", "lattice_distance_mean", "gradient_variation")
PLOTTED: Final = {
    "A07": "Condition number of the gradient covariance by batch size",
    "B04": "Execution time of large products",
    "E01": "Relative error of the expanded algorithm",
    "N01": "Noise before rounding",
}
"""Claims whose series of figures are drawn, if measured."""
KEPT: Final = {"A07": "condition|kappa", "B04": "seconds", "E01": "Gaussian", "N01": "^(exact|trained) weights"}
"""Series of those claims that are drawn: a pattern of their names."""
LOGARITHMIC: Final = {"A07": (True, True), "B04": (True, True), "E01": (True, True), "N01": (True, False)}
ACROSS: Final = {"A07": "batch size", "B04": "size N", "E01": "size N", "N01": "standard deviation of the noise"}


def write_report(found: Reproduction, out: Path | None = None) -> Path:
    """Write the page, by default as ``report.html`` into the reproduction's folder. Returns its path.

    The same runs give the same bytes. Raises `UnreadableFile` for a run store or a film that is damaged.
    """
    path = found.folder / PAGE if out is None else out
    write_atomically(path, render(found))
    return path


def render(found: Reproduction) -> str:
    """The page as text."""
    stores = claim_stores(found.folder)
    film = load_film(found.folder)
    data = {
        "protocols": [_trajectories(name, runs) for name, runs in found.protocols.items()],
        "studies": [_study(f"Protocol {name}", runs) for name, runs in found.protocols.items()]
        + [_study(_title(found, runs), runs) for runs in stores],
        "phase": _phase(stores),
        "plots": _plots(found.entries),
        "film": None if film is None else _film(film),
    }
    source = (resources.files("grokkit.studies") / "templates" / "reproduction.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    verdicts = Counter(entry.ruling.verdict for entry in found.entries)
    return environment.from_string(source).render(
        name=found.folder.name,
        again=f"grokkit reproduce --{found.scale} --out {found.folder.name}",
        found=found,
        data=embedded(data),
        summary=_summary(found),
        lessons=_lessons(found),
        verdicts=[(str(verdict), verdicts[verdict]) for verdict in Verdict],
        claims=[_claim(entry) for entry in found.entries],
        tables=published_tables(found.entries),
        anova=_anova(found),
        film=film,
        film_moved=None if film is None else float(np.nanmax(film.map_moved[film.act <= ACTS.index("scaling")])),
        phase=data["phase"],
        plots=data["plots"],
        missing={claim: title for claim, title in PLOTTED.items() if claim not in {p["claim"] for p in data["plots"]}},
        stores=[("Protocol " + name, runs) for name, runs in found.protocols.items()]
        + [(_title(found, runs), runs) for runs in stores],
        outcomes=OUTCOMES,
        machines=_machines(found),
        version=__version__,
    )


def embedded(data: Any) -> Markup:
    """Data as JSON that a script element may hold."""
    text = json.dumps(_short(data), separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _short(value: Any) -> Any:
    """Numbers with five digits, None for those that are not finite."""
    if isinstance(value, dict):
        return {str(key): _short(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_short(each) for each in value]
    if isinstance(value, np.ndarray):
        return _short(value.tolist())
    if isinstance(value, float | np.floating):
        number = float(value)
        if not math.isfinite(number):
            return None
        rounded = float(f"{number:.5g}")
        return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e6 else rounded
    return value


def claim_stores(folder: Path) -> list[Runs]:
    """Run stores that the protocols of the claims left, in the order of their paths; without those that hold no run."""
    places = sorted(path.parent for path in (folder / "claims").rglob("_study.json"))
    return [runs for runs in map(open_runs, places) if len(runs)]


def _title(found: Reproduction, runs: Runs) -> str:
    """A store's title, and the protocol of the claims that left it."""
    return f"{runs.study.title} (claims, {runs.folder.relative_to(found.folder / 'claims').parts[0]})"


def _pooled(found: Reproduction, outcome: str) -> Proportion | None:
    """Share of the runs of all protocols that have an outcome."""
    shares = [
        runs.success(outcome, by=())[0].proportion
        for runs in found.protocols.values()
        if outcome in runs.study.outcomes
    ]
    return Proportion(sum(s.count for s in shares), sum(s.n for s in shares)) if shares else None


def _summary(found: Reproduction) -> list[dict[str, str]]:
    """The handful of results that a reader takes away: what was asked, stated and found."""
    rows = []
    asked = (
        ("exact_plain", "Networks that become an exact algorithm, rounded as published", "0.68 (133 of 195)"),
        ("converged_before_pruning", "Networks that learn the product (test loss below 1e-6) before pruning", ""),
        ("exact_full", "The same networks, crystallized by grokkit (not the published method)", ""),
        ("control_full", "Control: that method on the same networks, never trained", ""),
    )
    for outcome, title, stated in asked:
        share = _pooled(found, outcome)
        if share is not None and share.n:
            rows.append(
                {
                    "title": title,
                    "stated": stated,
                    "measured": f"{100 * share.share:.3g} %",
                    "interval": f"{share.count} of {share.n} ({100 * share.low:.1f} to {100 * share.high:.1f} %)",
                }
            )
    distances = np.concatenate(
        [
            np.array(runs.table(["lattice_distance"])["lattice_distance"].to_pylist())
            for runs in found.protocols.values()
        ]
    )
    middle = float(np.median(distances))
    rows.append(
        {
            "title": "Largest distance of a weight to {-1, 0, 1} after the published training",
            "stated": "at most 0.1",
            "measured": f"{middle:.2g} (median)",
            "interval": f"all {len(distances)} runs: {distances.min():.2g} to {distances.max():.2g}",
        }
    )
    analysis = found.combined.analyses.get("lattice_distance")
    if analysis is not None and isinstance(analysis.terms, tuple):
        term = analysis["batch_size"]
        if isinstance(term.f, float) and isinstance(term.p, float):
            rows.append(
                {
                    "title": "Effect of the batch size on that distance (analysis of variance)",
                    "stated": "F = 15.34, p < 1e-4",
                    "measured": f"F = {term.f:.3g}, p = {term.p:.2g}",
                    "interval": f"η² = {term.eta_squared}, N = {found.combined.n}",
                }
            )
    return rows


def _lessons(found: Reproduction) -> list[str]:
    """What the shares say together: only sentences that their intervals support."""
    plain, full, control = (_pooled(found, name) for name in ("exact_plain", "exact_full", "control_full"))
    lessons = []
    if plain is not None and plain.n and not plain.low <= STATED_SUCCESS <= plain.high:
        side = "above" if plain.high < STATED_SUCCESS else "below"
        lessons.append(
            f"The success rate that the source states, {STATED_SUCCESS:g}, lies {side} the interval measured here "
            f"by its own protocol ({plain.low:.3f} to {plain.high:.3f})."
        )
    if full is not None and control is not None and control.n and control.high >= full.low:
        lessons.append(
            "Grokkit's crystallization makes untrained networks exact, too: at this size its success is the solver's, "
            "and says nothing of the training."
        )
    return lessons


def _claim(entry: Entry) -> dict[str, Any]:
    """One row of the table of claims."""
    m = entry.measurement
    figures = [] if m is None else [(name, parts(figure)) for name, figure in m.figures.items()]
    lead = next((each for _, each in figures if each["value"]), None)
    return {
        "id": entry.claim.id,
        "document": entry.claim.document,
        "statement": entry.claim.statement,
        "stated": entry.claim.stated,
        "lead": lead,
        "figures": figures,
        "baselines": [] if m is None else [(name, parts(figure)) for name, figure in m.baselines.items()],
        "facts": [] if m is None else [(name, _yes(fact)) for name, fact in m.facts.items()],
        "seeds": "" if m is None else m.seeds,
        "note": "" if m is None else m.note,
        "scale": "" if m is None else m.scale,
        "measured": m is not None,
        "verdict": str(entry.ruling.verdict),
        "reason": entry.ruling.reason,
        "command": entry.command,
        "protocol": entry.protocol,
    }


def _yes(fact: bool | str) -> str:
    return fact if isinstance(fact, str) else "yes" if fact else "no"


def _anova(found: Reproduction) -> list[dict[str, Any]]:
    """Rows of the combined analysis of variance of each response, with the source's values."""
    tables = []
    for response, analysis in found.combined.analyses.items():
        if isinstance(analysis.terms, NotEstimable):
            tables.append({"response": response, "note": str(analysis.terms), "rows": []})
            continue
        rows = [
            {
                "term": term.name.replace("_", " "),
                "stated": ANOVA.get(term.name, ("",) * 5),
                "measured": tuple(
                    cell(v) for v in (term.sum_of_squares, term.df, term.f, term.p, str(term.eta_squared))
                ),
            }
            for term in analysis.terms
        ]
        rest = (cell(analysis.residual_sum_of_squares), cell(analysis.residual_df), "", "", "")
        rows.append({"term": "residual", "stated": (".883", "189", "", "", ""), "measured": rest})
        tables.append({"response": response, "note": "", "rows": rows})
    return tables


def _trajectories(name: str, runs: Runs) -> dict[str, Any]:
    """Quartiles of every metric by step and cell, and the first runs of each cell."""
    metrics = [metric for metric in LABELS if metric in runs.study.metrics]
    tables = runs.by_cell(["trajectory_step", "trajectory_pruned", *(f"trajectory_{metric}" for metric in metrics)])
    cells = []
    for number, table in tables.items():
        content: dict[str, Any] = {
            "name": str(runs.study.cells[number].factors.get("batch_size", runs.study.cells[number].name)),
            "steps": table["trajectory_step"][0].as_py(),
            "pruned": int(np.argmax([*table["trajectory_pruned"][0].as_py(), True])),
            "n": len(table),
            "metrics": {},
        }
        for metric in metrics:
            values = np.array(table[f"trajectory_{metric}"].to_pylist(), dtype=np.float64)
            values = np.where(np.isfinite(values), values, np.nan)
            known = np.isfinite(values).any(axis=0)
            bands = np.full((3, values.shape[1]), np.nan)
            bands[:, known] = np.nanpercentile(values[:, known], (25, 50, 75), axis=0)
            content["metrics"][metric] = {"bands": bands, "runs": values[:MOST_RUNS]}
        cells.append(content)
    metric_labels = [[metric, LABELS[metric], metric not in LINEAR] for metric in metrics]
    return {"name": f"Protocol {name}", "metrics": metric_labels, "cells": cells, "seeds": _seeds(runs)}


def _study(title: str, runs: Runs) -> dict[str, Any]:
    """Shares of every outcome by each factor, or by cell."""
    study = runs.study
    by = [*study.factors] if study.factors and not study.explicit else ["cell_name"]
    factors = []
    for factor in by:
        shares = {
            outcome: [
                [str(each.factors[factor]), *_share(each.proportion)] for each in runs.success(outcome, by=(factor,))
            ]
            for outcome in study.outcomes
        }
        factors.append({"name": factor.replace("_", " "), "shares": shares})
    return {"title": title, "factors": factors, "outcomes": list(study.outcomes), "seeds": _seeds(runs)}


def _share(share: Proportion) -> list[float]:
    return [100 * share.share, 100 * share.low, 100 * share.high, share.n]


def _seeds(runs: Runs) -> str:
    study = runs.study
    return f"root seed {study.seed}, {study.seeds} seeds x {study.runs} runs"


def phase_store(stores: list[Runs]) -> tuple[Runs, str] | None:
    """The store that crosses batch sizes with the length of training, and the name of the latter."""
    for runs in stores:
        pair = phase_factors(runs)
        if pair is not None and "batch_size" in pair and runs.study.outcomes:
            other = pair[0] if pair[1] == "batch_size" else pair[1]
            if other in ("epochs", "steps"):
                return runs, other
    return None


def _phase(stores: list[Runs]) -> dict[str, Any] | None:
    chosen = phase_store(stores)
    if chosen is None:
        return None
    runs, length = chosen
    study = runs.study
    cells = {
        outcome: [
            [
                study.factors["batch_size"].index(each.factors["batch_size"]),
                study.factors[length].index(each.factors[length]),
                *_share(each.proportion),
            ]
            for each in runs.success(outcome, by=("batch_size", length))
        ]
        for outcome in study.outcomes
    }
    return {
        "title": study.title,
        "length": length,
        "across": [str(level) for level in study.factors["batch_size"]],
        "up": [str(level) for level in study.factors[length]],
        "cells": cells,
        "seeds": _seeds(runs),
    }


def _plots(entries: list[Entry]) -> list[dict[str, Any]]:
    """Series of figures of some claims, as plots."""
    drawn = []
    for entry in entries:
        claim = entry.claim.id
        if claim not in PLOTTED or entry.measurement is None:
            continue
        kept = {
            name: points for name, points in series(entry.measurement.figures).items() if re.search(KEPT[claim], name)
        }
        if not kept:
            continue
        drawn.append(
            {
                "claim": claim,
                "title": PLOTTED[claim],
                "across": ACROSS[claim],
                "log": LOGARITHMIC[claim],
                "seeds": entry.measurement.seeds,
                "series": [
                    {
                        "name": name,
                        "points": [[x, f.value, f.low, f.high, f.n] for x, f in points],
                    }
                    for name, points in kept.items()
                ],
            }
        )
    return drawn


def _film(film: Film) -> dict[str, Any]:
    return {
        "acts": list(ACTS),
        "act": film.act,
        "step": film.step,
        "weights": film.weights,
        "mse": film.mse,
        "distance": film.distance,
        "moved": film.map_moved,
        "residual": film.residual,
        "equations": film.about["equations"],
        "reflected": film.about["reflected"],
    }


def _machines(found: Reproduction) -> list[str]:
    """Every machine behind a number, once."""
    names: list[str] = []
    for runs in found.protocols.values():
        names += runs.machines
    for entry in found.entries:
        if entry.machine is not None:
            names.append(f"{entry.machine['processor']}, {entry.machine['system']}, {entry.machine['cores']} cores")
    return list(dict.fromkeys(names))
