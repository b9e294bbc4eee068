"""The laboratory's dependencies, checked before a verb that needs them."""

from __future__ import annotations

import importlib.util

LAB = ("torch", "joblib", "matplotlib", "jinja2")


def need_lab(verb: str) -> None:
    """Raise `MissingExtra`, one line, if an optional dependency of this verb is not installed."""
    from grokkit.scheme import MissingExtra

    missing = [name for name in LAB if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(f"grokkit {verb} needs {', '.join(missing)}: pip install 'grokkit[lab]'")
