"""The application: verbs, exit codes, and errors as one line."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final

import typer
import typer.core

from grokkit._version import __version__
from grokkit.cli._output import one_line
from grokkit.cli.completion import VARIABLE

DONE: Final = 0
NO: Final = 1
BAD_INPUT: Final = 2
INTERNAL_ERROR: Final = 3
INTERRUPTED: Final = 130

LIST_OPTIONS: Final = {
    "--sizes": r"\d+",
    "--threads": r"\d+|all",
    "--dtypes": r"(?:float|complex|int|uint)\d+",
    "--shapes": r"\d+x\d+x\d+",
    "--transpose": r"[nt]{2}",
    "--batch-sizes": r"\d+",
}
"""Options that take several values, with commas or with spaces, and what a value looks like."""

START: Final = """\b
Start with one of:
  grokkit demo                     networks become algorithms; a page shows how
  grokkit search 3x3x3 --rank 23   a scheme from nothing, proven
  grokkit bench matmul             our matrix product against the vendors'
  grokkit claims                   what was published, beside what is measured"""


class Verbs(typer.core.TyperGroup):
    """The verbs in the order in which they are used, groups of verbs among them."""

    def list_commands(self, ctx: Any) -> list[str]:
        from grokkit.cli._verbs import ORDER

        return [name for name in ORDER if name in self.commands]


app = typer.Typer(
    name="grokkit",
    cls=Verbs,
    help="Train a network until it is an algorithm; prove it; scale it; run it.",
    epilog=START,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: name.replace("_", "-"),
        "max_content_width": 100,
    },
)


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """Train a network until it is an algorithm; prove it; scale it; run it."""
    if version:
        print(f"grokkit {__version__}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0 (done), 1 (the answer is no), 2 (bad input), 130 (Ctrl-C or SIGTERM)."""
    from grokkit.cli import _verbs
    from grokkit.scheme import InvalidInput, MissingExtra

    _verbs.register(app)
    if VARIABLE in os.environ:
        from typer.completion import completion_init  # pyright: ignore[reportPrivateImportUsage]

        completion_init()
    given = _join_lists(list(sys.argv[1:] if arguments is None else arguments))
    if not _streams_open():
        return _fail("cannot write to standard output: it is closed", BAD_INPUT, [])
    try:
        result = app(given or ["--help"], prog_name="grokkit", standalone_mode=False)
        sys.stdout.flush()
        if result == INTERRUPTED:  # by a verb that saved what it had, or by the parser's own handler
            print("grokkit: interrupted", file=sys.stderr)
        if not given:  # the help, but nothing was asked for
            return BAD_INPUT
        return result if isinstance(result, int) else DONE
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED, given)
    except SystemExit as stopped:  # after completions were printed
        return stopped.code if isinstance(stopped.code, int) else DONE
    except (InvalidInput, MissingExtra) as error:
        return _fail(str(error), BAD_INPUT, given)
    except BrokenPipeError:
        _silence_stdout()
        return DONE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", BAD_INPUT, given)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error, of whichever click typer brings along
            return _fail(_usage(error, given), BAD_INPUT, given)
        if type(error).__name__ == "Abort":
            return _fail("interrupted", INTERRUPTED, given)
        traceback.print_exc()
        return _fail(f"internal error, please report it: {error}", INTERNAL_ERROR, given)


def _join_lists(arguments: list[str]) -> list[str]:
    """``--sizes 2 4 8`` becomes ``--sizes 2,4,8``."""
    joined: list[str] = []
    position = 0
    while position < len(arguments):
        token = arguments[position]
        position += 1
        joined.append(token)
        value = LIST_OPTIONS.get(token.replace("_", "-"))
        if value is not None:
            values = []
            while position < len(arguments) and re.fullmatch(rf"(?:{value}|,)+", arguments[position]):
                values.append(arguments[position].strip(","))
                position += 1
            if values:
                joined.append(",".join(values))
    return joined


def _streams_open() -> bool:
    """Make output work with any locale. False if there is no standard output."""
    if sys.stderr is None:  # then nobody reads it; print would turn to stdout
        sys.stderr = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return sys.stdout is not None


def _usage(error: Any, given: Sequence[str]) -> str:
    """One line of what click found, naming the value, the command and where help is."""
    message = " ".join(error.format_message().split())
    message = re.sub(r" \(Possible options: (.*)\)$", r"; did you mean \1?", message)
    message = re.sub(r"\. Did you mean (?:one of: )?(.*)\?$", r"; did you mean \1?", message.replace("\n", " "))
    found = getattr(error.__cause__, "errors", list)()
    if found and "input" in found[0] and repr(found[0]["input"]) not in message:
        message = f"{message.rstrip('.')}, not {str(found[0]['input'])[:80]!r}"
    context = getattr(error, "ctx", None)
    verbs = {each.name for each in (*app.registered_commands, *app.registered_groups)}
    named = given[:1] if given and given[0] in verbs else ()
    command = context.command_path if context is not None else " ".join(["grokkit", *named])
    return f"{command}: {message[:1].lower()}{message[1:].rstrip('.')}; see {command} --help"


def _fail(message: str, code: int, arguments: Sequence[str]) -> int:
    """Say it in one line on stderr (and as an object on stdout with --json), and return the exit code."""
    line = one_line(message)
    print(line if line.startswith("grokkit") else f"grokkit: {line}", file=sys.stderr)
    try:
        if "--json" in arguments:
            print(json.dumps({"error": line, "exit_code": code}))
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _silence_stdout()
    return code


def _silence_stdout() -> None:
    """Point stdout at nothing, so that flushing it at exit cannot fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
