"""Running a study: what a folder lacks is made, and every shard is stored as soon as it is finished."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from grokkit._version import __version__
from grokkit.engines import check_engine, each
from grokkit.scheme import InvalidInput, undone_if_empty, write_atomically
from grokkit.studies.runs._cells import Shard
from grokkit.studies.runs._measure import measure, training_engine
from grokkit.studies.runs._runs import Runs, open_runs
from grokkit.studies.runs._store import (
    PROTOCOL_FILE,
    claim,
    read_marker,
    shard_bytes,
    shard_path,
    stored_shards,
    sweep_up,
)
from grokkit.studies.runs._study import Study


@final
@dataclass(frozen=True)
class _Made:
    """A shard on its way from a worker to the driver."""

    number: int
    content: bytes


@final
@dataclass(frozen=True)
class _Maker:
    """What a worker does with the number of a shard."""

    study: Study
    engines: tuple[str, ...]

    def __call__(self, number: int) -> _Made:
        shard = self.study.shards[number]
        engine = self.engines[shard.cell.number]
        return _Made(number, shard_bytes(self.study, shard, measure(self.study, shard, engine), engine))


def run_study(
    study: Study | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    engine: str = "joblib",
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Runs:
    """Make the runs of a study that a folder does not hold yet.

    Parameters
    ----------
    study:
        The protocol, or a TOML file that holds it.
    out:
        Folder of the run store. Every shard is stored when it is finished, whole or not at all, so the study may be
        killed at any instant; calling again makes the missing shards only.
    engine:
        ``joblib`` (processes of this machine), ``threads``, ``ray`` or ``dask``. The rows are the same for all of them.
    workers:
        Processes, threads, or workers of the cluster. The rows are the same for any number of them.
    progress:
        Called with the number of runs just finished, once at the start with those that were there already.

    Raises `InvalidInput`, one line, for a protocol that is not understood, a folder that holds runs of another
    protocol or version, or a broken shard; `MissingExtra` for an engine that is not installed.
    """
    study = study if isinstance(study, Study) else Study.from_toml(study)
    check_engine(engine, workers)
    report = progress or (lambda done: None)
    folder = Path(out)
    with undone_if_empty(folder):
        engines = _claimed(folder, study)
        there = stored_shards(folder, read_marker(folder))
        report(sum(stored.rows for stored in there.values()))
        missing = [shard for shard in study.shards if shard.number not in there]
        for made in each(_Maker(study, engines), _costly_first(missing), engine, workers):
            write_atomically(shard_path(folder, made.number), made.content)
            report(study.shards[made.number].runs)
    return open_runs(folder)


def _costly_first(shards: list[Shard]) -> list[int]:
    """Numbers of shards, the longest work first, so that no worker is left alone with it at the end."""
    return [shard.number for shard in sorted(shards, key=lambda shard: -shard.cost)]


def _claimed(folder: Path, study: Study) -> tuple[str, ...]:
    """Mark a folder with the study, or check that it belongs to it. Returns the training engine of each cell."""
    if not (folder / PROTOCOL_FILE).exists():
        foreign = next(
            (path for path in (*sorted(folder.glob("*.parquet")), folder / "config.toml") if path.exists()), None
        )
        if foreign is not None:
            raise InvalidInput(f"{folder}: holds {foreign.name}, but no study; choose another --out")
        engines = tuple(training_engine(cell.config) for cell in study.cells)
        claim(folder, study, engines)
        return engines
    marker = read_marker(folder)
    if marker.study.digest != study.digest:
        differing = _differing(study, marker.study)
        raise InvalidInput(f"{folder}: holds runs of another protocol, with other {differing}; choose another --out")
    if marker.version != __version__:
        raise InvalidInput(
            f"{folder}: holds runs of grokkit {marker.version}, this is {__version__}; choose another --out"
        )
    for cell, engine in zip(study.cells, marker.engines, strict=True):
        training_engine(cell.config.replace(engine=engine))
    sweep_up(folder)
    return marker.engines


def _differing(study: Study, other: Study) -> str:
    here, there = study.to_json(), other.to_json()
    names = [name for name in here | there if here.get(name) != there.get(name)]
    inside = [key for key, value in here["configuration"].items() if there["configuration"].get(key) != value]
    return ", ".join(f"{name} ({', '.join(inside)})" if name == "configuration" else name for name in names)
