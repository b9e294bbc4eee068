"""Exceptions that carry one clear line: what is wrong, where, and how to mend it."""

from __future__ import annotations

import importlib.util


class InvalidInput(ValueError):
    """Input that cannot be used as given. The message is one line; the command line exits 2 with it."""


class UnreadableFile(InvalidInput):
    """A file that opens but is not understood: truncated, hostile, or of another kind."""


class MissingExtra(ImportError):
    """An optional dependency is needed. The message names the extra to install."""


def need_extra(what: str, *packages: str, extra: str = "lab") -> None:
    """Raise `MissingExtra`, one line, if `what` needs packages that are not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(f"{what} needs {', '.join(missing)}: pip install 'grokkit[{extra}]'")
