"""``grokkit search``: schemes from nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from grokkit.cli import _schemes
from grokkit.cli._output import Json, Verb, out_path, plural, print_json

EXAMPLE = """\b
Examples:
  grokkit search 3x3x3 --rank 23 --budget 30s
  grokkit search 3x4x5 --ring Z --budget 10m --workers 2 --out runs/345
  grokkit search 3x3x3 --route numeric
  grokkit search poly:3 --ring Q
  grokkit search 3x4x5 --from runs/344/3x4x4-38.json --out runs/345b

A search that was interrupted, or ran out of its budget, goes on when the same command is given again with the same
--out. Results for a seed do not depend on --workers or --engine; a budget ends a search between two rounds.

Exit status: 0 found and proven; 1 not found within the budget (the best so far is kept); 2 bad input; 130
interrupted.
"""

UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def register(app: typer.Typer) -> None:
    short = "Find schemes from nothing: walks in flip graphs, or random weights."
    app.command("search", cls=Verb, short_help=short, epilog=EXAMPLE)(search)


def duration(text: Any) -> float:
    """Seconds, from 90, 90s, 1.5m, 2h or 1d."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", str(text).strip())
    seconds = float(match.group(1)) * UNITS[match.group(2)] if match else 0.0
    if not 0 < seconds < 1e9:
        raise typer.BadParameter(f"{str(text)[:40]!r} is no time; write 90s, 10m or 2h, more than 0")
    return seconds


def search(
    form: Annotated[
        str,
        typer.Argument(
            help="Format, such as 3x4x5, to 8x8x8; or poly:3, cyclic:4, toeplitz:3, complex, quaternion.",
            metavar="FORMAT",
        ),
    ],
    rank: Annotated[
        int | None, typer.Option(help="Rank to reach [default: the lowest on record].", metavar="R", min=1)
    ] = None,
    ring: Annotated[str, typer.Option(help="Over which ring.", metavar="[ternary|Z|Q|GF(2)|GF(3)]")] = "Z",
    route: Annotated[
        str,
        typer.Option(
            help="Walks in flip graphs, random weights, or both in turn where that helps.",
            metavar="[auto|numeric|flip]",
        ),
    ] = "auto",
    budget: Annotated[
        Any, typer.Option(help="Time to spend, such as 60s, 10m or 2h.", metavar="TIME", parser=duration)
    ] = "60s",
    rounds: Annotated[int | None, typer.Option(help="End after this many rounds, too.", metavar="N", min=1)] = None,
    workers: Annotated[int, typer.Option(help="Threads, or processes of another engine.", metavar="N", min=1)] = 1,
    engine: Annotated[str, typer.Option(help="Where the walks run.", metavar="[joblib|threads|ray|dask]")] = "threads",
    seed: Annotated[int, typer.Option(help="Seed.", metavar="N", min=0)] = 0,
    want: Annotated[int, typer.Option(help="Different schemes to find.", metavar="N", min=1)] = 1,
    symmetric: Annotated[
        bool | None,
        typer.Option(
            "--symmetric/--no-symmetric",
            help="Only walks that keep cyclic symmetry, or none of them. [default: both in turn, for square formats]",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option("--from", help="Start from this scheme, of any format; may be repeated.", metavar="SCHEME"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Directory for schemes and state.", metavar="DIR", parser=out_path),
    ] = None,
    json: Json = False,
) -> int:
    """Find a scheme of a rank by walks in flip graphs or from random weights; proven, or not counted."""
    from grokkit.search import find_scheme, make_engine, scheme_name

    parents = [_schemes.read(source, "search").scheme for source in start or []]
    run = make_engine(engine, workers)
    with _progress(form) as progress:
        result = find_scheme(
            form,
            rank,
            ring,
            route=route,
            budget=budget,
            rounds=rounds,
            workers=workers,
            engine=run,
            seed=seed,
            start=parents,
            want=want,
            symmetric=symmetric,
            out=out,
            progress=progress,
        )
    scheme = result.scheme
    files = [] if out is None else [str(out / scheme_name(each, number)) for number, each in enumerate(result.schemes)]
    summary: dict[str, Any] = {
        "found": result.found,
        **scheme.target.to_json(),
        "rank": result.rank,
        "goal": result.goal,
        "ring": str(scheme.ring),
        "route": route,
        "ternary": scheme.ternary,
        "verdict": "exact",
        "cpu_seconds": result.cpu_seconds,
        "flips": result.tried,
        "flips_done": result.flipped,
        "rounds": result.rounds,
        "ladders": result.ladders,
        "liftings": result.liftings,
        "starts": result.starts,
        "seed": seed,
        "file": files[0] if files else None,
        "files": files,
        "digest": scheme.digest,
        "complete": result.complete,
    }
    if json:
        print_json(summary)
    else:
        kind = "ternary, over Z" if scheme.ternary and str(scheme.ring) == "Z" else f"over {scheme.ring}"
        proof = f"{kind}, all {result.certificate.equations} equations proven"
        found = f"found {scheme.name}" if result.found else f"not found: rank {result.goal}; the best is {scheme.name}"
        print(f"{found}, {proof}")
        lifts = ", ".join(f"{count} {name}" for name, count in sorted(result.liftings.items()))
        spent = f"{plural(result.rounds, 'round')}, {result.cpu_seconds:.1f} s of processor time"
        print(f"  {result.tried:,} flips in {spent}{f'; lifted: {lifts}' if lifts else ''}")
        if result.starts:
            ends = ", ".join(f"{count} {name}" for name, count in sorted(result.starts.items()))
            print(f"  {plural(sum(result.starts.values()), 'random start')}, ended at: {ends}")
        for path in files:
            print(f"  written to {path}")
        if not files and result.found:
            print(scheme)
    if not result.complete:
        return 130
    return 0 if result.found else 1


@contextmanager
def _progress(form: str) -> Iterator[Callable[[Any], None] | None]:
    """A line on a terminal: best rank, speed, processor time."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.status import Status

    with Status(f"searching {form}", console=Console(stderr=True)) as status:

        def show(result: Any) -> None:
            speed = result.tried / result.cpu_seconds / 1e6 if result.cpu_seconds else 0.0
            pools = ", ".join(f"{ring} {falls[-1][1]}" for ring, falls in result.history.items() if falls)
            status.update(
                f"searching {form}: rank {result.rank}"
                + (f" (walks: {pools})" if pools else "")
                + (f", {sum(result.starts.values())} random starts" if result.starts else "")
                + f", {result.tried / 1e6:,.0f} million flips, {speed:.1f} million/s a core, "
                f"{result.cpu_seconds:.0f} s"
            )

        yield show
