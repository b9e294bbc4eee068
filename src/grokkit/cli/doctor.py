"""``grokkit doctor``: what this installation has and what it lacks."""

from __future__ import annotations

from typing import Any

import typer

from grokkit.cli._output import Json, Verb, print_json

EXAMPLE = """\b
Example:
  grokkit doctor --json

Exit status: 0 grokkit works (parts may be missing), 1 a proof or a product came out wrong."""


def register(app: typer.Typer) -> None:
    short = "Report versions and missing parts; check a proof."
    app.command("doctor", cls=Verb, short_help=short, epilog=EXAMPLE)(doctor)


def doctor(json: Json = False) -> int:
    """Report versions, libraries, the native core and missing extras, and check a proof and a product."""
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


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_show(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "; ".join(_show(item) for item in value)
    return "not installed" if value is None else str(value)
