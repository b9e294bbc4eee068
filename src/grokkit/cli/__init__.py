"""The command line: one file a verb, each of which imports its rooms when it is called."""

from grokkit.cli._app import main

__all__ = ["main"]
