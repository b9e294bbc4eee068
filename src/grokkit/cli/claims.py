"""``grokkit claims``: every claim of the source documents, what was measured of it, and the verdict that follows."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from grokkit.cli._output import COMPLETED, Json, Verb, one_line, out_path, plural, print_json

if TYPE_CHECKING:
    from grokkit.studies.ledger import Entry

EXAMPLE = """\b
Examples:
  grokkit claims
  grokkit claims --verdict open
  grokkit claims E04 P01
  grokkit claims P01 --run
  grokkit claims --run --full --workers 4 --out runs/claims
  grokkit claims --out runs/claims
  grokkit claims E07 --run --data DIR

Verdicts: reproduced, refuted, tautological (holds by construction), undefined (means nothing until something is
defined), open (not measured, or too little to tell; the reason and the command that would settle it are given).
They follow from measurements by fixed rules.

Without --run, verdicts are of the results that come with the package, or of those in --out. With --run, the
protocols of the claims are run again: in minutes with --quick, in hours with --full. Training runs of studies that
--out holds already are used again.

Claim E07 is about weight files that are not part of the package. Put them into a folder checkpoints/ and name the
folder above it with --data, or with the environment variable GROKKIT_TEST_DATA.

Exit status: 0 done, whatever the verdicts; 2 bad input; 130 interrupted.
"""

VERDICTS: Final = ("reproduced", "refuted", "tautological", "undefined", "open")


def _ids() -> Iterable[str]:
    from grokkit.studies.ledger import claims as known

    return known()


COMPLETED["ID"] = _ids
DEFAULT_OUT: Final = Path("runs") / "claims"
WIDTH: Final = 110


def register(app: typer.Typer) -> None:
    short = "Claims of the source documents: measured values, verdicts."
    app.command("claims", cls=Verb, short_help=short, epilog=EXAMPLE)(claims)


def claims(
    ids: Annotated[list[str] | None, typer.Argument(help="Claims [default: all].", metavar="[ID...]")] = None,
    verdict: Annotated[
        str | None, typer.Option(help="Only claims of this verdict.", metavar=f"[{'|'.join(VERDICTS)}]")
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Run the claims' protocols again.")] = False,
    full: Annotated[bool, typer.Option("--full/--quick", help="How much is run.")] = False,
    engine: Annotated[
        str, typer.Option(help="Where the runs of studies are made.", metavar="[joblib|threads|ray|dask]")
    ] = "joblib",
    workers: Annotated[int, typer.Option(help="Processes, or workers of another engine.", metavar="N", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Added to the published seeds.", metavar="N", min=0, max=2**31)] = 0,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of files that are not shipped (checkpoints/).", metavar="DIR", parser=out_path),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help=f"Folder of results: read, or with --run written [default: {DEFAULT_OUT.as_posix()}].",
            metavar="DIR",
            parser=out_path,
        ),
    ] = None,
    json: Json = False,
) -> int:
    """List every claim with its stated value, its measured value and interval, its verdict, and the command for it."""
    from grokkit.scheme import InvalidInput
    from grokkit.studies.ledger import find_claim, ledger, run_claims

    wanted = [find_claim(part).id for each in ids or [] for part in each.split(",") if part.strip()]
    chosen = [] if verdict is None else [_verdict(part) for part in verdict.split(",") if part.strip()]
    if run:
        with _progress(wanted) as progress:
            entries = run_claims(
                wanted or None,
                "full" if full else "quick",
                out or DEFAULT_OUT,
                engine=engine,
                workers=workers,
                seed=seed,
                data=data,
                progress=progress,
            )
    else:
        given = {"--full": full, "--engine": engine != "joblib", "--workers": workers != 1, "--seed": seed != 0}
        for name, there in (given | {"--data": data is not None}).items():
            if there:
                raise InvalidInput(f"grokkit claims: {name} says how claims are run; add --run")
        entries = [each for each in ledger(out) if not wanted or each.claim.id in wanted]
    shown = [each for each in entries if not chosen or str(each.ruling.verdict) in chosen]
    counts = Counter(str(each.ruling.verdict) for each in shown)
    if json:
        rows = [each.to_json() | {"scale": _scale(each)} for each in shown]
        print_json({"claims": rows, "counts": {name: counts[name] for name in VERDICTS}})
        return 0
    for each in shown:
        _print(each, detailed=bool(wanted))
    tally = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name])
    print(f"{plural(len(shown), 'claim')}{': ' if tally else ''}{tally}")
    if run:
        print(f"results in {out or DEFAULT_OUT}")
    return 0


def _verdict(name: str) -> str:
    from grokkit.scheme import InvalidInput, suggestion

    found = name.strip().lower()
    if found not in VERDICTS:
        raise InvalidInput(f"grokkit claims: no verdict {name[:40]!r}{suggestion(found, VERDICTS)}")
    return found


def _scale(entry: Entry) -> str | None:
    return None if entry.measurement is None else entry.measurement.scale


def _print(entry: Entry, *, detailed: bool) -> None:
    claim, measurement = entry.claim, entry.measurement
    document = str(claim.document) if detailed else claim.document.title.split(":")[0]
    print(f"{claim.id}  {entry.ruling.verdict.upper()}")
    _line("claim", claim.statement)
    _line("stated", f"{claim.stated} ({document})")
    _line("found", entry.ruling.reason)
    if measurement is not None and detailed:
        for kind, figures in (("measured", measurement.figures), ("baseline", measurement.baselines)):
            for name, figure in figures.items():
                _line(kind, f"{figure.what or name}: {figure}")
        for name, fact in measurement.facts.items():
            _line("fact", f"{name}: {('yes' if fact else 'no') if isinstance(fact, bool) else fact}")
        if measurement.note:
            _line("note", measurement.note)
        _line("seeds", measurement.seeds or "nothing is random")
        machine = (entry.machine or {}).get("processor", "")
        _line("run", f"{measurement.scale}, grokkit {entry.measured_with}{', ' if machine else ''}{machine}")
    _line("command", entry.command)
    print()


def _line(name: str, text: str) -> None:
    lines = textwrap.wrap(one_line(text) if len(text) < 300 else " ".join(text.split()), WIDTH - 15) or [""]
    print(f"     {name:<9} {lines[0]}")
    for line in lines[1:]:
        print(f"{'':15}{line}")


@contextmanager
def _progress(wanted: Sequence[str]) -> Iterator[Callable[[str], None]]:
    """A bar over protocols, with what is being done, on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from grokkit.studies.ledger import claims as all_claims
    from grokkit.studies.ledger import protocols_of

    protocols = protocols_of(wanted or all_claims())
    titles = {f"{each.name}: {each.title}" for each in protocols}
    columns: tuple[Any, ...] = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("", total=len(protocols))
        begun = 0

        def tell(text: str) -> None:
            nonlocal begun
            begun += text in titles
            bars.update(task, completed=max(0, begun - 1), description=one_line(text))

        yield tell
        bars.update(task, completed=len(protocols))
