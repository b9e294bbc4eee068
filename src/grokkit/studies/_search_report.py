"""The report of searches: rank against flips, survival curves, the map of a pool, as a page and PNG files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grokkit._version import __version__
from grokkit.scheme import InvalidInput, undone_if_empty, write_atomically
from grokkit.search import SearchRecord, WalkRecord, open_search
from grokkit.studies._figures import BLUE, GREY, INK, ORANGE, PALE, STYLE, figure, svg
from grokkit.studies._statistics import Proportion
from grokkit.studies.runs._report import png
from grokkit.studies.statistics import Curve, Estimate, kaplan_meier

PAGE: Final = "index.html"
COLORS: Final = (BLUE, ORANGE, GREY, "#4f9d69", "#8d5fb0")


def is_search(folder: str | os.PathLike[str]) -> bool:
    """Whether a directory, or one in it, was written by a search."""
    return bool(_search_folders(Path(folder)))


def _search_folders(folder: Path) -> list[Path]:
    own = [folder] if (folder / "search.npz").is_file() else []
    return own + sorted(path.parent for path in folder.glob("*/search.npz"))


def write_search_report(source: str | os.PathLike[str], out: str | os.PathLike[str]) -> dict[str, Any]:
    """Report the search in a directory, or all searches in the directories directly in it.

    Writes ``index.html``, which loads nothing, and its figures as PNG files. Searches that differ in their seeds alone
    are replicates: success rates and survival curves count searches, never the walkers of one. Returns what the page
    says as plain values. Raises `InvalidInput` for a directory without a search, and for a damaged one.
    """
    folders = _search_folders(Path(source))
    if not folders:
        raise InvalidInput(f"{source}: no search in it; give a directory that grokkit search --out wrote")
    records = [open_search(folder) for folder in folders]
    questions = replicates(records)
    summary = {"searches": len(records), "questions": [_question(group) for group in questions]}
    drawn = figures(questions)
    folder = Path(out)
    with undone_if_empty(folder):
        for name, (made, _) in drawn.items():
            write_atomically(folder / f"{name}.png", png(made))
        write_atomically(folder / PAGE, _render(summary, drawn))
    return summary | {"page": str(folder / PAGE), "figures": [str(folder / f"{name}.png") for name in drawn]}


def replicates(records: Sequence[SearchRecord]) -> list[list[SearchRecord]]:
    """Searches by what they ask for, each once a seed.

    Raises `InvalidInput` where two directories hold searches of one seed: they are one search, not two.
    """

    def key(record: SearchRecord) -> tuple[str, str, str, int]:
        return record.target.name, record.ring, record.route, record.goal

    groups = [list(group) for _, group in groupby(sorted(records, key=lambda x: (*key(x), x.seed)), key)]
    for group in groups:
        for one, other in pairwise(group):
            if one.seed == other.seed:
                raise InvalidInput(
                    f"{one.folder} and {other.folder}: the same search of seed {one.seed}; it counts once, remove one"
                )
    return groups


def _survival(group: Sequence[SearchRecord]) -> Curve:
    data = {"seconds": [x.cpu_seconds for x in group], "found": [x.found for x in group]}
    return kaplan_meier(data, "seconds", "found").rows[0]


def _question(group: Sequence[SearchRecord]) -> dict[str, Any]:
    first = group[0]
    share = Proportion(sum(each.found for each in group), len(group))
    median = _survival(group).median
    return {
        "target": first.target.name,
        "rank": first.goal,
        "ring": first.ring,
        "route": first.route,
        "seeds": [each.seed for each in group],
        "found": share.to_json(),
        "median_cpu_seconds": median.to_json(),
        "median": str(median) if isinstance(median, Estimate) else f"not known: {median.reason}",
        "lowest": min(each.rank for each in group),
        "cpu_seconds": sum(each.cpu_seconds for each in group),
        "flips": sum(walks.tried for each in group for walks in each.walks),
        "liftings": _summed([each.liftings for each in group]),
        "starts": _summed([each.starts for each in group]),
    }


def _summed(counts: Sequence[Any]) -> dict[str, int]:
    names = dict.fromkeys(name for each in counts for name in each)
    return {name: sum(each.get(name, 0) for each in counts) for name in names}


def figures(questions: Sequence[Sequence[SearchRecord]]) -> dict[str, tuple[Figure, str]]:
    """All figures by name, each with its caption: of each question the search with the longest trace is shown."""
    drawn: dict[str, tuple[Figure, str]] = {}
    for group in questions:
        shown = max(group, key=lambda record: sum(len(walks.trace) for walks in record.walks))
        what = f"{shown.target.name} of rank {shown.goal}, {shown.ring}, seed {shown.seed}"
        name = f"{shown.target.name.strip('<>').replace(',', 'x').replace(':', '-')}-{shown.goal}"
        if any(walks.trace for walks in shown.walks):
            caption = (
                f"{what}: the rank that each walker came to in a round at the search's own format (dots, darker where "
                "many meet), and the lowest so far (line)."
            )
            drawn[f"rank-{name}"] = rank_against_flips(shown), caption
        if any(len(walks.pool) for walks in shown.walks):
            caption = (
                f"{what}: every scheme of the pools by its rank and its additions, without shared sums. The pool of a "
                "smaller format is one on the ladder to this one."
            )
            drawn[f"pool-{name}"] = pool_map(shown), caption
    several = [group for group in questions if len(group) > 1]
    if several:
        caption = (
            "Share of independent searches without a scheme of the wanted rank after so many CPU seconds, with the "
            "95 % interval; a tick is a search that ended without one (Kaplan and Meier)."
        )
        drawn["survival"] = survival_curves(several), caption
    return drawn


def rank_against_flips(record: SearchRecord) -> Figure:
    """Where walkers came to, round by round, a panel for each ring that was walked over."""
    shown = [walks for walks in record.walks if walks.trace]
    with mpl.rc_context(STYLE):
        made = figure(4.7 * max(1, len(shown)), 3.4)
        for axis, walks in zip(np.atleast_1d(made.subplots(1, len(shown), sharey=True)), shown, strict=True):
            _walkers(axis, walks)
            axis.axhline(record.goal, color=GREY, lw=0.8, ls=":")
            axis.set(xlabel="million flips tried", ylabel="rank", title=f"walks over {walks.name}")
            axis.yaxis.get_major_locator().set_params(integer=True)
    return made


def _walkers(axis: Axes, walks: WalkRecord) -> None:
    flips = np.concatenate([np.full(len(ranks), tried) for tried, ranks in walks.trace]) / 1e6
    ranks = np.concatenate([np.array(ranks) for _, ranks in walks.trace])
    axis.scatter(flips, ranks, s=10, color=PALE, alpha=0.35, lw=0, rasterized=True)
    if walks.history:
        x, y = (np.array(column, dtype=float) for column in zip(*walks.history, strict=True))
        axis.step(np.append(x, walks.tried) / 1e6, np.append(y, y[-1]), where="post", color=BLUE, lw=1.6)


def pool_map(record: SearchRecord) -> Figure:
    """Rank by additions of all schemes in the pools."""
    shown = [walks for walks in record.walks if len(walks.pool)]
    with mpl.rc_context(STYLE):
        made = figure(4.7 * max(1, len(shown)), 3.4)
        for axis, walks in zip(np.atleast_1d(made.subplots(1, len(shown))), shown, strict=True):
            ranks, additions = walks.pool.T
            jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(ranks))  # so that equal ranks are told apart
            best = ranks == ranks.min()
            axis.scatter(ranks[~best] + jitter[~best], additions[~best], s=9, color=PALE, lw=0)
            axis.scatter(ranks[best] + jitter[best], additions[best], s=12, color=BLUE, lw=0)
            least = additions[best].min()
            axis.annotate(
                f"{least} additions", (ranks.min(), least), (6, -4), textcoords="offset points", color=INK, fontsize=9
            )
            form = "x".join(map(str, walks.pool_of)) or record.target.name
            axis.set(xlabel="rank", ylabel="additions", title=f"pool of {form} over {walks.name}")
            axis.xaxis.get_major_locator().set_params(integer=True)
    return made


def survival_curves(questions: Sequence[Sequence[SearchRecord]]) -> Figure:
    """Kaplan-Meier curves of the time to a scheme, one for each question."""
    with mpl.rc_context(STYLE):
        made = figure(6.4, 3.8)
        axis = made.subplots()
        for group, color in zip(questions, COLORS * len(questions), strict=False):
            curve, first = _survival(group), group[0]
            times = np.array([0.0, *(step.time for step in curve.steps), curve.last])
            shares = np.array([1.0, *(step.survival.value for step in curve.steps)])
            low = np.array([1.0, *(step.survival.low for step in curve.steps)])
            high = np.array([1.0, *(step.survival.high for step in curve.steps)])
            label = f"{first.target.name} {first.goal} {first.ring}, {curve.events} of {curve.n}"
            axis.stairs(shares, times, color=color, lw=1.8, baseline=None, label=label)
            axis.fill_between(
                times, np.append(low, low[-1]), np.append(high, high[-1]), step="post", color=color, alpha=0.15, lw=0
            )
            censored = [each.cpu_seconds for each in group if not each.found]
            after = [shares[np.searchsorted(times[1:-1], seconds, side="right")] for seconds in censored]
            axis.plot(censored, after, "|", color=color, ms=9)
        axis.set(xlabel="CPU seconds", ylabel="share of searches without", ylim=(-0.02, 1.02), xlim=(0, None))
        axis.legend(frameon=False, fontsize=9)
    return made


def _render(summary: dict[str, Any], drawn: dict[str, tuple[Figure, str]]) -> str:
    source = (resources.files("grokkit.studies") / "templates" / "searches.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pictures = {name: (svg(made), caption) for name, (made, caption) in drawn.items()}
    return environment.from_string(source).render(summary=summary, pictures=pictures, version=__version__)
