"""List everything public, with signatures: ``python tools/public_api.py`` rewrites ``docs/reference/public-api.txt``.

A test holds the list and the code together, so that nothing public changes unnoticed (docs/stability.md).
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "public-api.txt"
ROOMS: Final = (
    "grokkit",
    "grokkit.scheme",
    "grokkit.scheme.catalog",
    "grokkit.crystallize",
    "grokkit.execution",
    "grokkit.torch",
    "grokkit.search",
    "grokkit.engines",
    "grokkit.training",
    "grokkit.dynamics",
    "grokkit.tasks",
    "grokkit.transfer",
    "grokkit.transfer.embed",
    "grokkit.transfer.operators",
    "grokkit.transfer.fusion",
    "grokkit.transfer.control",
    "grokkit.transfer.geometry",
    "grokkit.studies",
    "grokkit.studies.runs",
    "grokkit.studies.statistics",
    "grokkit.studies.ledger",
    "grokkit.studies.reproduce",
)


def lines() -> list[str]:
    """One line a public name, a room after another; what another room lists already is only named."""
    found: list[str] = []
    seen: dict[int, str] = {}
    for room in ROOMS:
        module: Any = importlib.import_module(room)  # grokkit.crystallize is callable, and stays a module
        module = sys.modules[room]
        names = getattr(module, "__all__", None)
        if names is None:
            names = [name for name in vars(module) if not name.startswith("_") and _is_own(getattr(module, name), room)]
        found.append(f"# {room}")
        for name in sorted(names):
            found += _describe(f"{room}.{name}", getattr(module, name), seen)
    return found


def _is_own(value: Any, room: str) -> bool:
    return getattr(value, "__module__", None) == room


def _describe(name: str, value: Any, seen: dict[int, str]) -> list[str]:
    known = inspect.isclass(value) or inspect.isfunction(value)
    if known and id(value) in seen:
        return [f"{name} = {seen[id(value)]}"]
    if known:
        seen[id(value)] = name
    if inspect.isclass(value):
        members = [
            f"{name}.{each}{_signature(member) if inspect.isfunction(member) else ''}"
            for each, member in sorted(inspect.getmembers_static(value))
            if not each.startswith("_") and (inspect.isfunction(member) or isinstance(member, property | classmethod))
            if each in vars(value)
        ]
        return [f"class {name}{_signature(value)}", *members]
    return [f"{name}{_signature(value) if inspect.isfunction(value) else ''}"]


def _signature(value: Any) -> str:
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def main() -> None:
    TARGET.write_text("\n".join(lines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
