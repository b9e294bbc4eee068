"""The list of verbs."""

from __future__ import annotations

from typing import Final

import typer

from grokkit.cli import (
    bench,
    claims,
    completion,
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

VERBS: Final = (
    demo,
    train,
    crystallize,
    verify,
    expand,
    search,
    scheme,
    bench,
    claims,
    reproduce,
    report,
    transfer,
    doctor,
    completion,
)
ORDER: Final = tuple(verb.__name__.rpartition(".")[2] for verb in VERBS)


def register(app: typer.Typer) -> None:
    """Add every verb, once."""
    if not app.registered_commands:
        for verb in VERBS:
            verb.register(app)
