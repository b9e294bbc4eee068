"""The application: verbs, exit codes, and errors as one line."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final

import typer

from grokkit._version import __version__

DONE: Final = 0
NO: Final = 1
BAD_INPUT: Final = 2
INTERNAL_ERROR: Final = 3
INTERRUPTED: Final = 130

LIST_OPTIONS: Final = {"--sizes"}
"""Options that take several numbers, with commas or with spaces."""

app = typer.Typer(
    name="grokkit",
    help="Train a network until it is an algorithm; prove it; scale it; run it.",
    epilog="Start with: grokkit demo",
    no_args_is_help=True,
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
    """Run the command line. Returns 0 (done), 1 (the answer is no), 2 (bad input), 130 (Ctrl-C)."""
    from grokkit.cli import _verbs
    from grokkit.scheme import InvalidInput, MissingExtra

    _verbs.register(app)
    given = _join_lists(list(sys.argv[1:] if arguments is None else arguments))
    try:
        result = app(given, prog_name="grokkit", standalone_mode=False)
        sys.stdout.flush()
        if result == INTERRUPTED:  # by a verb that saved what it had, or by the parser's own handler
            print("grokkit: interrupted", file=sys.stderr)
        return result if isinstance(result, int) else DONE
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED, given)
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
            return _fail(_usage(error), BAD_INPUT, given)
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
        if token.replace("_", "-") in LIST_OPTIONS:
            values = []
            while position < len(arguments) and re.fullmatch(r"[\d,]+", arguments[position]):
                values.append(arguments[position].strip(","))
                position += 1
            if values:
                joined.append(",".join(values))
    return joined


def _usage(error: Any) -> str:
    """One line of what click found, naming the command and where help is."""
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "grokkit"
    return f"{command}: {message[:1].lower()}{message[1:].rstrip('.')}; see {command} --help"


def _fail(message: str, code: int, arguments: Sequence[str]) -> int:
    """Say it in one line on stderr (and as an object on stdout with --json), and return the exit code."""
    line = " ".join(message.split())
    print(line if line.startswith("grokkit") else f"grokkit: {line}", file=sys.stderr)
    try:
        if "--json" in arguments:
            print(json.dumps({"error": line, "exit_code": code}))
        sys.stdout.flush()
    except OSError:
        _silence_stdout()
    return code


def _silence_stdout() -> None:
    """Point stdout at nothing, so that flushing it at exit cannot fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
