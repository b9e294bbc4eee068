"""``grokkit report``: what the runs of a study, or searches, say, as a page with figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grokkit.cli._output import Json, Verb, out_path, plural, print_json, print_table

EXAMPLE = """\b
Examples:
  grokkit train --study studies/protocol-b.toml --workers 2 --out runs/b
  grokkit report runs/b
  grokkit search 3x3x4 --rank 29 --seed 0 --out searches/0 && grokkit report searches

Writes OUT/index.html, a page that opens without a network, and its figures as PNG files. Every share comes with its n
and a 95 % interval; outcomes that never came about are listed like the others.

DIR may hold a study, a search, or a directory for each of many searches; those that differ in their seeds
alone are replicates.

Exit status: 0 written, also for a study that is not complete; 2 bad input."""


def register(app: typer.Typer) -> None:
    short = "Make a page of a study's runs, or of searches."
    app.command("report", cls=Verb, short_help=short, epilog=EXAMPLE)(report)


def report(
    source: Annotated[Path, typer.Argument(help="Folder with the runs of a study, or with searches.", metavar="DIR")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the page [default: DIR/report].", metavar="DIR", parser=out_path),
    ] = None,
    json: Json = False,
) -> int:
    """Report a study's runs (shares, medians, trajectories, phases) or searches (rates, times, ranks, pools)."""
    from grokkit.studies._search_report import is_search, write_search_report

    if is_search(source):
        found = write_search_report(source, out or source / "report")
        if json:
            print_json(found)
        else:
            _show_searches(found)
        return 0
    from grokkit.studies.runs import write_report

    summary = write_report(source, out or source / "report")
    if json:
        print_json(summary)
    else:
        _show(summary)
    return 0


def _show(summary: dict[str, Any]) -> None:
    print(summary["title"])
    done = plural(summary["runs"], "run")
    print(f"{done} in {plural(len(summary['cells']), 'cell')}, root seed {summary['seed']}; 95 % intervals")
    if not summary["complete"]:
        print(f"not complete: the protocol asks for {plural(summary['runs_of_protocol'], 'run')}")
    rows = [
        [name, f"{share['count']} of {share['n']}", f"{100 * share['low']:.1f} to {100 * share['high']:.1f} %"]
        for name, share in summary["outcomes"].items()
    ]
    print_table(["outcome", "runs", "interval"], rows)
    print(f"Page: {summary['page']}")


def _show_searches(summary: dict[str, Any]) -> None:
    rows = [
        [
            f"{each['target']} {each['rank']} {each['ring']}",
            f"{each['found']['count']} of {each['found']['n']}",
            f"{100 * each['found']['low']:.1f} to {100 * each['found']['high']:.1f} %",
            each["median"],
        ]
        for each in summary["questions"]
    ]
    print_table(["search", "found", "interval", "median CPU s"], rows)
    print(f"Page: {summary['page']}")
