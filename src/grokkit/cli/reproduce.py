"""``grokkit reproduce``: every experiment of the source with one command, and the account of what holds."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grokkit.cli._output import Json, Verb, one_line, out_path, plural, print_json, print_table

if TYPE_CHECKING:
    from grokkit.studies.reproduce import Reproduction

EXAMPLE = """\b
Examples:
  grokkit reproduce --quick --out reproduction
  grokkit reproduce --full --workers 2 --out reproduction-full
  grokkit reproduce --batch-sizes 24 32 64 --seeds 5 --replicas 3 --out r
  grokkit reproduce --rebuild --out reproduction

Runs protocols A and B of the source and the protocols of all claims (minutes with --quick, hours with --full), prints
the combined analysis of variance, and writes tables (CSV, Markdown, LaTeX), figures (PNG, SVG) and report.html, a page
that opens without a network, into OUT. Interrupted or killed, the same command goes on. --rebuild writes the account
again from the stored runs, without training.

Exit status: 0 done, whatever the verdicts; 2 bad input; 130 interrupted."""


def register(app: typer.Typer) -> None:
    short = "Run every experiment of the source; report, tables, figures, verdicts."
    app.command("reproduce", cls=Verb, short_help=short, epilog=EXAMPLE)(reproduce)


def reproduce(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything.", metavar="DIR", parser=out_path)],
    full: Annotated[bool, typer.Option("--full/--quick", help="How much is run for the claims.")] = False,
    batch_sizes: Annotated[
        str | None,
        typer.Option("--batch-sizes", help="Of protocols A and B [default: the source's].", metavar="N,N,..."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Of protocols A and B [default: 5].", metavar="N", min=1)] = None,
    replicas: Annotated[int | None, typer.Option(help="Runs a seed [default: 3].", metavar="N", min=1)] = None,
    claims: Annotated[
        str | None, typer.Option(help="Measure only these claims [default: all].", metavar="ID,ID,...")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Where the runs of studies are made.", metavar="[joblib|threads|ray|dask]")
    ] = "joblib",
    workers: Annotated[int, typer.Option(help="Processes, or workers of another engine.", metavar="N", min=1)] = 1,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of files that are not shipped (checkpoints/).", metavar="DIR", parser=out_path),
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Write the account of stored runs again.")] = False,
    json: Json = False,
) -> int:
    """Run every experiment of the source again, and say what holds."""
    from grokkit.scheme import InvalidInput
    from grokkit.studies import reproduce as room

    progress = _silent if json or not sys.stderr.isatty() else _tell
    if rebuild:
        given = {"--batch-sizes": batch_sizes, "--seeds": seeds, "--replicas": replicas, "--claims": claims}
        for name, value in given.items():
            if value is not None:
                raise InvalidInput(f"grokkit reproduce: {name} says what is run; --rebuild runs nothing")
        found = room.open_reproduction(out)
    else:
        found = room.reproduce(
            out,
            "full" if full else "quick",
            batch_sizes=None if batch_sizes is None else _numbers(batch_sizes),
            seeds=seeds,
            replicas=replicas,
            claims=None if claims is None else [part.strip() for part in claims.split(",") if part.strip()],
            engine=engine,
            workers=workers,
            data=data,
            progress=progress,
        )
    written = room.write_account(found, progress)
    verdicts = Counter(str(entry.ruling.verdict) for entry in found.entries)
    if json:
        summary = {
            "out": str(out),
            "scale": found.scale,
            "complete": found.complete,
            "runs": sum(len(runs) for runs in found.protocols.values()),
            "runs_by_protocol": {name: len(runs) for name, runs in found.protocols.items()},
            "anova": found.combined.to_json(),
            "verdicts": dict(verdicts),
            "claims": [{"id": each.claim.id, "verdict": str(each.ruling.verdict)} for each in found.entries],
        }
        print_json(summary | written)
    else:
        _show(found, verdicts, written)
    return 0


def _silent(text: str) -> None:
    """With --json, and into a pipe, nothing else is said."""


def _tell(text: str) -> None:
    print(one_line(text), file=sys.stderr)


def _numbers(text: str) -> list[int]:
    from grokkit.scheme import InvalidInput

    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise InvalidInput(f"grokkit reproduce: --batch-sizes {text[:40]!r}; write numbers, such as 24 32 64") from None


def _show(found: Reproduction, verdicts: Counter[str], written: dict[str, Any]) -> None:
    rows = []
    for name, runs in found.protocols.items():
        for outcome in runs.study.outcomes:
            share = runs.success(outcome, by=())[0].proportion
            rows.append([name, outcome, str(share)])
    print_table(["protocol", "outcome", "runs (95 %)"], rows)
    print()
    print(found.combined)
    print()
    tally = ", ".join(f"{count} {name}" for name, count in verdicts.most_common())
    print(f"{plural(len(found.entries), 'claim')}: {tally}")
    files = f"{plural(len(written['tables']), 'table file')} and {plural(len(written['figures']), 'figure file')}"
    print(f"{files} in {found.folder}")
    print(f"page: {written['page']}")
