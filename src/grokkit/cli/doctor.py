"""``grokkit doctor``: what this installation has and what it lacks."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from grokkit.cli._output import Json, Verb, print_json, print_table

EXAMPLE = """\b
Examples:
  grokkit doctor --json
  grokkit doctor --tune

Exit status: 0 grokkit works (parts may be missing), 1 a proof or a product came out wrong."""


def register(app: typer.Typer) -> None:
    short = "Report versions and missing parts; measure the machine."
    app.command("doctor", cls=Verb, short_help=short, epilog=EXAMPLE)(doctor)


Tune = Annotated[
    bool,
    typer.Option(
        "--tune", help="Measure how fast products run here, so that matmul knows when it gains; stores a profile."
    ),
]
Seconds = Annotated[float, typer.Option("--seconds", help="Time for --tune.", metavar="X")]


def doctor(tune: Tune = False, seconds: Seconds = 90.0, json: Json = False) -> int:
    """Report versions, libraries, the native core and missing extras, and check a proof and a product."""
    if not 0 <= seconds <= 86_400:
        raise typer.BadParameter(f"--seconds is {seconds:g}; a number from 0 to 86400 is needed")
    if tune:
        return _tune(seconds, json)
    from grokkit.studies import diagnose

    report = diagnose()
    healthy = all(check["ok"] for check in report["checks"])
    if json:
        print_json(report | {"healthy": healthy})
        return 0 if healthy else 1
    for key, value in report.items():
        if key == "checks":
            continue
        print(f"{key.replace('_', ' ')}: {_show(value)}")
    for check in report["checks"]:
        print(f"check {check['name']}: {'ok' if check['ok'] else 'WRONG: ' + check['detail']}")
    return 0 if healthy else 1


def _tune(seconds: float, json: bool) -> int:
    from grokkit.studies import tune_machine

    content = tune_machine(seconds, lambda line: print(line, file=sys.stderr) if sys.stderr.isatty() else None)
    if json:
        print_json(content)
        return 0
    rows = [
        [
            f"{x['dtype']}, {x['threads']} threads",
            x["library"],
            f"{1e-9 / x['ours'][0]:.1f}",
            f"{1e-9 / x['vendor'][0]:.1f}",
        ]
        for x in content["prices"]
    ]
    print_table(["kernel and vendor, GFLOP/s", "library", "ours", "vendor"], rows)
    print(f"stored in {content['path']}; print(grokkit.plan(...)) shows what matmul makes of it")
    return 0


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_show(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "; ".join(_show(item) for item in value)
    return "not installed" if value is None else str(value)
