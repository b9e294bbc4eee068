"""The documentation's tour and tutorials run as they are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from grokkit.cli._app import _join_lists, app
from grokkit.cli._verbs import register

register(app)

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("tour", "tutorials/strassen", "tutorials/search", "tutorials/products", "tutorials/schemes", "tutorials/sweep")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = DOCS / f"{page}.md"
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 4
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, str(path), "exec"), names)


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), target


def commands():
    """Every command line of grokkit that a page shows, in blocks and in running text."""
    for path in [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        shown = re.findall(r"^(?:\$ |    )(?:for .*; do )?(grokkit [^\n]*)", text, re.M)
        shown += re.findall(r"`(grokkit [^`\n]*)`", text)
        for line in shown:
            for part in re.split(r" && |; ", line.partition("  # ")[0]):
                if part.startswith("grokkit ") and "|" not in part and "..." not in part:
                    yield part.strip()


@pytest.mark.parametrize("line", list(dict.fromkeys(commands())))
def test_commands_on_pages_exist(line):
    """Verbs, options and words are those of the command line: each line is parsed, not run."""
    command = typer.main.get_command(app)
    words = _join_lists(shlex.split(re.sub(r"\$\w+", "1", line)))[1:]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        command = command.commands[words.pop(0)]
    if not hasattr(command, "commands") and words:
        command.make_context("grokkit", words)
