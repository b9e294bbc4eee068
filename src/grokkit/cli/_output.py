"""Printing: JSON objects, aligned tables, progress."""

from __future__ import annotations

import json
import math
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

LONGEST_LINE: Final = 400
"""Characters of an error message that are shown."""


COMPLETED: Final[dict[str, Callable[[], Iterable[str]]]] = {}
"""What shells complete, by the placeholder of an argument or option: verbs add to it."""


class Verb(TyperCommand):
    """A command whose help names its arguments as they are typed, without Python's names of types.

    Shells complete the words of a placeholder such as ``[wall|cpu]``, and what `COMPLETED` knows.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = list(super().get_params(ctx))
        for each in params:
            if each.param_type_name == "argument":
                each.get_usage_pieces = lambda ctx, name=each.metavar: [name]
                each.display_type_rich = lambda ctx: ""
            words = _words_for(each.metavar or "")
            if words is not None:
                each.shell_complete = partial(_complete, words)
        return params


def _words_for(metavar: str) -> Callable[[], Iterable[str]] | None:
    """The words that a placeholder stands for; None where anything may stand."""
    listed = re.fullmatch(r"\[([^\[\]]+)\](?:,\.\.\.)?", metavar)
    if listed and "|" in listed[1]:
        return lambda: listed[1].split("|")
    return COMPLETED.get(metavar.strip("[]").removesuffix("..."))


def _complete(words: Callable[[], Iterable[str]], ctx: Any, incomplete: str) -> list[Any]:
    from typer._click.shell_completion import CompletionItem  # typer brings a click of its own

    return [CompletionItem(word) for word in words() if word.lower().startswith(incomplete.lower())]


def verb_group(name: str, short: str, start: str) -> typer.Typer:
    """A word under which several verbs stand, such as ``grokkit scheme info``."""
    return typer.Typer(
        name=name,
        help=short,
        short_help=short,
        epilog=f"Start with: {start}",
        rich_markup_mode=None,
        no_args_is_help=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def out_path(text: Any) -> Path:
    """The value of --out."""
    if not str(text).strip():
        raise typer.BadParameter("the name is empty")
    return Path(text)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]


def print_json(content: dict[str, Any]) -> None:
    """One object on one line; NaN and infinity become null, which JSON lacks."""
    print(json.dumps(plain(content), allow_nan=False))


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def one_line(text: str) -> str:
    """Text that may quote anything as one line for a terminal: control characters escaped, the end cut off."""
    line = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in " ".join(text.split())
    )
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def plural(count: int, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def proven(equations: int) -> str:
    return "its only equation proven" if equations == 1 else f"all {equations} equations proven"


def as_float(value: Any) -> float:
    """An exact number as a float; infinity where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def say_no(verb: str, reason: str, more: dict[str, Any], as_json: bool) -> int:
    """The answer is no, and why."""
    if as_json:
        print_json({"error": reason, "exit_code": 1, **more})
    else:
        print(f"grokkit {verb}: {one_line(reason)}")
    return 1


def check_readable(path: Path) -> None:
    """Raise `OSError` or `InvalidInput` if a path is not a file that can be read again and again."""
    from grokkit.scheme import InvalidInput

    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InvalidInput(f"{path}: a pipe or a device; save its content to a file first")
    path.open("rb").close()


def is_standard_output(path: Path) -> bool:
    """Whether what is written to a path would land among what is printed."""
    try:
        return not path.samefile(os.devnull) and os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):  # no such file yet, or no such stream
        return False


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns aligned to the right, the first to the left."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())


@contextmanager
def progress_bar(label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A bar with rate on stderr if that is a terminal; otherwise nothing. Yields ``advance(count)``."""
    if not sys.stderr.isatty() or total <= 0:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%  {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(label, total=total, rate="")

        def advance(count: int) -> None:
            bars.advance(task, count)
            speed = bars.tasks[0].speed
            if speed:
                bars.update(task, rate=f"{speed:,.0f} {unit}/s")

        yield advance
