"""Schemes as the command line names them: a file, one scheme of a file (``FILE#NAME``), or a name in the catalog."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from grokkit.cli._output import COMPLETED, check_readable


def _names() -> Iterable[str]:
    from grokkit.scheme.catalog import catalog

    return catalog


COMPLETED["SCHEME"] = COMPLETED["OTHER"] = _names

SOURCE_HELP = "A scheme file, one scheme of a file (FILE#NAME), or a catalog name (strassen, 2x2x2:7)."


def split(source: str) -> tuple[Path, str]:
    """The path and the name inside the file, which is empty where none is given."""
    if not os.path.lexists(source) and "#" in source:
        path, _, member = source.rpartition("#")
        if path:
            return Path(path), member
    return Path(source), ""


def read(source: str, verb: str) -> Any:
    """The proven scheme that `source` names, as a `Reading`.

    Raises `Refuted`, `InvalidInput` (a file that is not understood, a name that the catalog lacks) or `OSError`.
    """
    from grokkit import scheme as room
    from grokkit.scheme.catalog import catalog

    path, member = split(source)
    if not os.path.lexists(path):
        if member or os.sep in source or "." in path.name:
            path.stat()  # says that there is no such file
        try:
            scheme = catalog[source]
        except KeyError as error:
            raise room.InvalidInput(f"grokkit {verb}: no file of that name, and {error.args[0]}") from None
        return room.Reading(scheme, room.verify(scheme), "the catalog", "row by row")
    if path.is_dir():
        raise room.InvalidInput(f"{path}: a directory; give a scheme file, such as one in its schemes folder")
    check_readable(path)
    file = room.SchemeFile(path)
    if not member and len(file.members) == 1:
        member = file.members[0]
    return file.read(member)


def facts(scheme: Any) -> dict[str, Any]:
    """What every row about a scheme says."""
    from grokkit import scheme as room

    target = scheme.target
    return {
        "name": scheme.name,
        **({"format": list(target.format)} if isinstance(target, room.MatrixProduct) else target.to_json()),
        "rank": scheme.rank,
        "ring": str(scheme.ring),
        "ternary": scheme.ternary,
        "digest": scheme.digest,
    }
