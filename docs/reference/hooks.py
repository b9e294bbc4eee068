"""Writes what each command says with --help into the page of the command line."""

from __future__ import annotations

from typing import Any

MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    return markdown.replace(MARK, commands()) if MARK in markdown else markdown


def commands() -> str:
    import typer

    from grokkit.cli import _verbs
    from grokkit.cli._app import app

    _verbs.register(app)
    root = typer.main.get_command(app)
    parts: list[str] = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        found = getattr(command, "commands", None)
        for each, verb in [(name, command)] if found is None else [(f"{name} {key}", v) for key, v in found.items()]:
            context = verb.make_context(f"grokkit {each}", ["--help"], resilient_parsing=True)
            parts.append(f"## grokkit {each}\n\n```text\n{verb.get_help(context)}\n```\n")
    return "\n".join(parts)
