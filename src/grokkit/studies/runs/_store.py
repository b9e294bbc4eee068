"""The run store: a folder with a protocol and Parquet shards, each written whole, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import time
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final, final

import pyarrow as pa
import pyarrow.parquet as pq

from grokkit._version import __version__
from grokkit.scheme import InvalidInput, UnreadableFile, read_bytes, write_atomically
from grokkit.scheme._files import parse_json
from grokkit.studies.runs._cells import Shard
from grokkit.studies.runs._measure import Measured
from grokkit.studies.runs._names import METHODS, METRICS, OUTCOMES
from grokkit.studies.runs._study import Study

STORE: Final = 1
"""Version of the layout: of the columns, what they mean and how random numbers are drawn."""
PROTOCOL_FILE: Final = "_study.json"
KEY: Final = b"grokkit"
"""Key of the JSON text in a shard's Parquet metadata."""
STALE_SECONDS: Final = 3600
"""Age from which a temporary file is taken for one that a killed process left."""


@final
@dataclass(frozen=True)
class StoredShard:
    """One file of a store, and what its metadata say."""

    path: Path
    number: int
    rows: int
    metadata: dict[str, Any]
    """Protocol digest, versions, machine, wall and CPU seconds, and the SHA-256 of the rows."""

    @property
    def rows_sha256(self) -> str:
        return str(self.metadata["rows_sha256"])


@final
@dataclass(frozen=True)
class Marker:
    """What `_study.json` says of a folder: its protocol, and who trains what."""

    study: Study
    version: str
    """Version of grokkit that its runs are made with."""
    engines: tuple[str, ...]
    """Training engine of each cell: native or torch."""


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}.parquet"


def schema(study: Study, shard: Shard) -> pa.Schema:
    """Names and types of the columns of a study's shards, in their order."""
    numbers, text = pa.list_(pa.float64()), pa.string()
    columns: list[tuple[str, Any]] = [
        ("cell", pa.int32()),
        ("cell_name", text),
        ("seed", pa.int32()),
        ("run", pa.int32()),
    ]
    columns += [("population_seed", pa.int64()), ("population_run", pa.int64())]
    kinds = {int: pa.int64(), float: pa.float64(), str: text}
    columns += [(name, kinds[type(value)]) for name, value in shard.cell.factors.items()]
    measures = ("train_loss", "test_loss", "lattice_distance", "lattice_distance_mean", "test_loss_before_pruning")
    columns += [(name, pa.float64()) for name in measures] + [("diverged", pa.bool_())]
    beside = {"failed": text, "rank": pa.int32(), "scheme": text}
    for name in OUTCOMES:
        if name in study.outcomes:
            columns.append((name, pa.bool_()))
            kind, _, method = name.partition("_")
            if kind == "exact" and method in METHODS:
                columns += [(f"{key}_{method}", of) for key, of in beside.items()]
                columns += [(f"moved_{method}", pa.float64())] * (method in ("full", "rational"))
            if kind == "expands":
                columns.append((f"expansion_error_{method}", pa.float64()))
    columns += [("trajectory_step", pa.list_(pa.int64())), ("trajectory_pruned", pa.list_(pa.bool_()))]
    for name in METRICS:
        if name in study.metrics:
            columns.append((f"trajectory_{name}", pa.list_(numbers) if name == "slot_norms" else numbers))
    columns += [(name, numbers) for name in "UVW"] if study.keep_weights else []
    return pa.schema(columns)


def rows_digest(table: pa.Table) -> str:
    """SHA-256 of the rows: of the columns' names and values as JSON, whatever file or machine holds them."""
    text = json.dumps(table.to_pydict(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def shard_bytes(study: Study, shard: Shard, measured: Measured, engine: str) -> bytes:
    """A shard as the content of a Parquet file."""
    wanted = schema(study, shard)
    if set(wanted.names) != set(measured.columns):
        raise AssertionError(f"columns {sorted(set(wanted.names) ^ set(measured.columns))} are not as declared")
    table = pa.table([pa.array(measured.columns[each.name], type=each.type) for each in wanted], schema=wanted)
    content = {
        "store": STORE,
        "grokkit": __version__,
        "study": study.digest,
        "title": study.title,
        "shard": shard.number,
        "cell": shard.cell.name,
        "rows": shard.runs,
        "rows_sha256": rows_digest(table),
        "engine": engine,
        "crystallization_seed": shard.crystallization_seed,
        "wall_seconds": measured.wall_seconds,
        "cpu_seconds": measured.cpu_seconds,
        "machine": machine(),
        "versions": versions(),
    }
    table = table.replace_schema_metadata({KEY: json.dumps(content, sort_keys=True)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def read_shard(stored: StoredShard, columns: list[str] | None = None) -> pa.Table:
    """The rows of a shard, without its metadata. Raises `UnreadableFile` for a damaged file."""
    try:
        with pq.ParquetFile(stored.path, page_checksum_verification=True) as file:
            table = file.read(columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise _broken(stored.path, error) from None
    return table.replace_schema_metadata(None)


def claim(folder: Path, study: Study, engines: tuple[str, ...]) -> None:
    """Make a folder the store of a study. Written before any shard."""
    content = {
        "grokkit": __version__,
        "store": STORE,
        "digest": study.digest,
        "engines": list(engines),
        "protocol": study.to_json(),
    }
    write_atomically(folder / PROTOCOL_FILE, json.dumps(content, indent=1) + "\n")


def read_marker(folder: Path) -> Marker:
    """The protocol of a folder. Raises `InvalidInput` where there is none, or one that cannot be trusted."""
    path = folder / PROTOCOL_FILE
    if not path.is_file():
        raise InvalidInput(
            f"{folder}: no {PROTOCOL_FILE} in it; give a folder that run_study or grokkit train --study wrote"
        )
    content = parse_json(read_bytes(path, 2**20), path)
    try:
        if content["store"] != STORE:
            raise InvalidInput(
                f"{path}: store version {content['store']}; this grokkit reads {STORE}: use another version of it"
            )
        study = Study.from_mapping(content["protocol"])
        marker = Marker(study, str(content["grokkit"]), tuple(str(name) for name in content["engines"]))
        intact = study.digest == content["digest"] and len(marker.engines) == len(study.cells)
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableFile(
            f"{path}: not a protocol as grokkit stores it ({error!r}); restore it, or use another folder"
        ) from None
    if not intact:
        raise UnreadableFile(
            f"{path}: changed since it was written (its digest differs); restore it, or use another folder"
        )
    return marker


def stored_shards(folder: Path, marker: Marker) -> dict[int, StoredShard]:
    """All shards of a folder by number, each checked to be whole and of this protocol and version.

    Raises `UnreadableFile` naming the first file that is broken or foreign, and how to mend it.
    """
    found: dict[int, StoredShard] = {}
    for path in sorted(folder.glob("*.parquet")):
        stored = _stored(path)
        if misfit := _misfit(stored, marker):
            raise UnreadableFile(f"{path}: {misfit}")
        found[stored.number] = stored
    return found


def _misfit(stored: StoredShard, marker: Marker) -> str | None:
    """What keeps a shard from counting for a folder's study, and how to mend it."""
    content, shards, number = stored.metadata, marker.study.shards, stored.number
    again = "delete it to run that shard again"
    if content["study"] != marker.study.digest:
        return f"holds runs of another protocol, {str(content['title'])[:60]!r}; move it to a folder of its own"
    if content["store"] != STORE or content["grokkit"] != marker.version:
        return f"made by grokkit {content['grokkit']}, the folder's runs by {marker.version}; {again}"
    if not 0 <= number < len(shards) or stored.rows != shards[number].runs:
        return f"its {stored.rows} rows are no shard of the protocol; {again}"
    name = shard_path(stored.path.parent, number).name
    if stored.path.name != name:
        return f"holds shard {number}; name it {name}, or delete it if it is a copy"
    return None


def _stored(path: Path) -> StoredShard:
    try:
        with pq.ParquetFile(path) as file:
            rows, given = file.metadata.num_rows, file.metadata.metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from None
    if KEY not in given:
        raise UnreadableFile(f"{path}: a Parquet file that holds no runs of grokkit; move it out of the folder")
    try:
        content = json.loads(given[KEY])
        return StoredShard(path, int(content["shard"]), rows, {name: content[name] for name in _CONTENT} | content)
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableFile(f"{path}: its metadata are damaged ({error!r}); delete it to run it again") from None


_CONTENT: Final = (
    "store",
    "grokkit",
    "study",
    "title",
    "rows_sha256",
    "wall_seconds",
    "cpu_seconds",
    "machine",
    "versions",
)


def _broken(path: Path, error: Exception) -> UnreadableFile:
    reason = " ".join(str(error).split())[:100]
    return UnreadableFile(f"{path}: a broken Parquet file ({reason}); delete it to run that shard again")


def sweep_up(folder: Path) -> None:
    """Remove temporary files that killed processes left; younger ones may be another process's."""
    for path in folder.glob(".*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue


@cache
def machine() -> dict[str, Any]:
    """The machine that a shard was made on."""
    found = re.search(r"model name\s*:\s*(.+)", cpu.read_text()) if (cpu := Path("/proc/cpuinfo")).exists() else None
    return {
        "system": platform.platform(),
        "processor": found.group(1).strip() if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }


@cache
def versions() -> dict[str, str]:
    """Versions that results may depend on."""
    named = {name: metadata.version(name) for name in ("numpy", "pyarrow")}
    return {"python": platform.python_version(), "grokkit": __version__} | named
