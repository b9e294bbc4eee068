"""The list of verbs."""

from __future__ import annotations

import typer

from grokkit.cli import (
    bench,
    claims,
    crystallize,
    demo,
    doctor,
    expand,
    report,
    reproduce,
    scheme,
    search,
    train,
    transfer,
    verify,
)


def register(app: typer.Typer) -> None:
    """Add every verb, once."""
    if app.registered_commands:
        return
    verbs = (
        demo,
        train,
        crystallize,
        verify,
        expand,
        scheme,
        search,
        bench,
        claims,
        report,
        reproduce,
        transfer,
        doctor,
    )
    for verb in verbs:
        verb.register(app)
