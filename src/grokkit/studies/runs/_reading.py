"""Plain tables of a protocol file to checked values: keys with - or _, scalars, levels, lists of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, Final

from grokkit.scheme import InvalidInput
from grokkit.studies.runs._cells import Value
from grokkit.studies.runs._names import check_known

KINDS: Final = {str: "text", int: "a whole number", bool: "true or false", dict: "a table", list: "a list"}


def reason(error: InvalidInput) -> str:
    """What a configuration says of itself, for a message that names the place."""
    return str(error).removeprefix("configuration: ")


def underscored(where: str, content: Any) -> dict[str, Any]:
    """A table whose keys may use ``-`` or ``_``."""
    if not isinstance(content, Mapping):
        raise InvalidInput(f"{where}: {str(content)[:60]!r}, not a table")
    given: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name in given:
            raise InvalidInput(f"{where}: {name} is given twice, with - and with _; keep one")
        given[name] = value
    return given


def scalars(where: str, content: Any) -> dict[str, Value]:
    """A table of numbers and texts."""
    given = underscored(where, content)
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise InvalidInput(f"{where}: {name} is {str(value)[:60]!r}; a number or text is needed")
    return given


def factor_levels(content: Any) -> dict[str, tuple[Value, ...]]:
    """The table of factors: a list of levels each."""
    levels: dict[str, tuple[Value, ...]] = {}
    for name, values in underscored("[factors]", content).items():
        if not isinstance(values, list):
            raise InvalidInput(f"[factors]: {name} is {str(values)[:60]!r}, not a list of levels")
        levels[name] = tuple(scalars(f"[factors] {name}", {"a level": value})["a level"] for value in values)
    return levels


def strings(where: str, values: Sequence[Any]) -> tuple[str, ...]:
    """A list of names."""
    for value in values:
        if not isinstance(value, str):
            raise InvalidInput(f"{where}: {str(value)[:60]!r} is not a name")
    return tuple(values)


def table(where: str, kind: type[Any], content: Any) -> Any:
    """A value of a dataclass of texts and tuples of names, with every key checked."""
    given = underscored(where, content)
    check_known(where, given, [each.name for each in fields(kind)])
    for each in fields(kind):
        value = given.get(each.name)
        if each.name not in given:
            if each.default is MISSING:
                needed = ", ".join(entry.name for entry in fields(kind) if entry.default is MISSING)
                raise InvalidInput(f"{where}: no {each.name}; it needs {needed}")
        elif each.name == "factors":
            if not isinstance(value, list):
                raise InvalidInput(f"{where}: factors is {str(value)[:60]!r}, not a list of names")
            given["factors"] = strings(f"{where} factors", value)
        elif not isinstance(value, str):
            raise InvalidInput(f"{where}: {each.name} is {str(value)[:60]!r}, not text")
    return kind(**given)
