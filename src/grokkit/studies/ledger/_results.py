"""Files of results: one JSON file a protocol, whole or absent, read strictly."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, final

from grokkit.scheme import InvalidInput, UnreadableFile, read_bytes, suggestion, write_atomically
from grokkit.scheme._files import parse_json
from grokkit.studies.ledger._measurement import SCALES, Measurement
from grokkit.studies.runs._names import check_known

VERSION: Final = 1
"""Version of the file: of its keys, and what they mean."""
MAX_BYTES: Final = 2**24


@final
@dataclass(frozen=True)
class Results:
    """What one run of a protocol measured."""

    protocol: str
    scale: str
    seed: int
    """Added to the published seeds."""
    grokkit: str
    """Version that measured."""
    machine: dict[str, Any]
    """System, processor, cores."""
    cpu_seconds: float
    measurements: dict[str, Measurement]

    def to_json(self) -> dict[str, Any]:
        content = {each.name: getattr(self, each.name) for each in fields(self)}
        content["measurements"] = {claim: each.to_json() for claim, each in self.measurements.items()}
        return {"ledger": VERSION, **content}

    @classmethod
    def from_json(cls, content: Any, where: str) -> Results:
        """Read what `to_json` wrote. Raises `UnreadableFile`, one line, for another version or anything unknown."""
        if not isinstance(content, dict) or "ledger" not in content:
            raise UnreadableFile(f"{where}: no results of the ledger; give a folder that grokkit claims --run wrote")
        if content["ledger"] != VERSION:
            raise UnreadableFile(
                f"{where}: version {str(content['ledger'])[:20]} of the results, this grokkit reads {VERSION}; "
                "run the claims again into another folder"
            )
        given = {name: value for name, value in content.items() if name != "ledger"}
        kinds: dict[str, type | tuple[type, ...]] = {"protocol": str, "scale": str, "seed": int, "grokkit": str}
        kinds |= {"machine": dict, "cpu_seconds": (int, float), "measurements": dict}
        check_known(where, list(given), list(kinds))
        for name, kind in kinds.items():
            if name not in given or not isinstance(given[name], kind) or isinstance(given[name], bool):
                raise UnreadableFile(f"{where}: {name} is missing or of the wrong type")
        if given["scale"] not in SCALES:
            raise UnreadableFile(f"{where}: scale is {given['scale'][:20]!r}{suggestion(given['scale'], SCALES)}")
        found = {}
        for claim, each in given["measurements"].items():
            found[claim] = Measurement.from_json(each, f"{where}, {claim}")
            if found[claim].claim != claim or found[claim].scale != given["scale"]:
                raise UnreadableFile(f"{where}: what is under {claim} is of another claim or scale")
        return cls(**(given | {"measurements": found, "cpu_seconds": float(given["cpu_seconds"])}))


def save_results(results: Results, path: str | os.PathLike[str]) -> None:
    """Write a file of results, whole or not at all."""
    write_atomically(path, json.dumps(results.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def load_results(path: str | os.PathLike[str]) -> Results:
    """Read a file of results. Raises `UnreadableFile` (one line) for one that is not understood."""
    content = parse_json(read_bytes(path, MAX_BYTES), path)
    try:
        return Results.from_json(content, os.fspath(path))
    except UnreadableFile:
        raise
    except InvalidInput as error:
        raise UnreadableFile(str(error)) from None


def results_path(folder: Path, protocol: str) -> Path:
    return folder / f"{protocol}.json"
