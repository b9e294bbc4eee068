"""The runs of a study as they are read again: tables, success by factor, trajectories."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa

from grokkit.scheme import InvalidInput, need_extra
from grokkit.studies._statistics import Median, Proportion
from grokkit.studies.runs._cells import Value
from grokkit.studies.runs._names import MEASURES, check_known
from grokkit.studies.runs._store import StoredShard, read_marker, read_shard, schema, stored_shards
from grokkit.studies.runs._study import Study

CELL: str = "cell_name"


@final
@dataclass(frozen=True)
class Success:
    """Share of runs with an outcome at one combination of factor values, with its 95 % Wilson interval."""

    outcome: str
    factors: dict[str, Value]
    proportion: Proportion

    def to_json(self) -> dict[str, Any]:
        return {"outcome": self.outcome, "factors": self.factors, **self.proportion.to_json()}


@final
@dataclass(frozen=True)
class Typical:
    """Median of a number at one combination of factor values, with its distribution-free 95 % interval."""

    response: str
    factors: dict[str, Value]
    median: Median

    def to_json(self) -> dict[str, Any]:
        return {"response": self.response, "factors": self.factors, **self.median.to_json()}


@final
@dataclass(frozen=True)
class Runs:
    """Immutable rows, one a run, of a study that may be complete or not."""

    folder: Path
    study: Study
    shards: tuple[StoredShard, ...]
    """What is stored, by number."""

    def __len__(self) -> int:
        return sum(stored.rows for stored in self.shards)

    @property
    def complete(self) -> bool:
        """Whether every run of the protocol is here."""
        return len(self.shards) == len(self.study.shards)

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of the shards that are not here yet."""
        there = {stored.number for stored in self.shards}
        return tuple(shard.number for shard in self.study.shards if shard.number not in there)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(schema(self.study, self.study.shards[0]).names)

    @cached_property
    def rows_sha256(self) -> str:
        """SHA-256 over the digests of all shards' rows: equal for equal rows, whoever made them."""
        return hashlib.sha256(
            "".join(f"{each.number}:{each.rows_sha256}\n" for each in self.shards).encode()
        ).hexdigest()

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all shards together."""
        return sum(float(stored.metadata["cpu_seconds"]) for stored in self.shards)

    @property
    def machines(self) -> tuple[str, ...]:
        """The machines that made the runs."""
        return tuple(dict.fromkeys(f"{m['processor']}, {m['system']}" for m in self._metadata("machine")))

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that made the runs."""
        found = (", ".join(f"{name} {version}" for name, version in v.items()) for v in self._metadata("versions"))
        return tuple(dict.fromkeys(found))

    def by_cell(self, columns: Sequence[str]) -> dict[int, pa.Table]:
        """The columns of each cell's runs, by the number of the cell, for cells that have runs."""
        parts: dict[int, list[pa.Table]] = {}
        for stored in self.shards:
            parts.setdefault(self.study.shards[stored.number].cell.number, []).append(read_shard(stored, list(columns)))
        return {cell: pa.concat_tables(tables) for cell, tables in parts.items()}

    def _metadata(self, name: str) -> list[dict[str, Any]]:
        return [stored.metadata[name] for stored in self.shards]

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, or some of their columns, in the order of the protocol.

        Raises `UnreadableFile` naming a damaged shard, `InvalidInput` for a column that is not there.
        """
        wanted = list(self.columns) if columns is None else list(columns)
        check_known("columns", wanted, self.columns)
        whole = schema(self.study, self.study.shards[0])
        empty = pa.schema([whole.field(name) for name in wanted]).empty_table()
        return pa.concat_tables([empty, *(read_shard(stored, wanted).select(wanted) for stored in self.shards)])

    def to_pandas(self, columns: Sequence[str] | None = None) -> Any:
        """The same as a pandas `DataFrame`."""
        need_extra("Runs.to_pandas", "pandas")
        return self.table(columns).to_pandas()

    def points(self) -> pa.Table:
        """The trajectories as a long table: one row a run and point, without slot norms."""
        prefix = "trajectory_"
        lists = [name for name in self.columns if name.startswith(prefix) and name != f"{prefix}slot_norms"]
        keys = ["cell", CELL, "seed", "run", *self.study.factor_names]
        table = self.table([*keys, *lists])
        lengths = table[f"{prefix}step"].combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
        rows = pa.array(np.repeat(np.arange(len(table)), lengths.astype(np.int64)))
        long = table.select(keys).take(rows)
        for name in lists:
            long = long.append_column(name.removeprefix(prefix), table[name].combine_chunks().flatten())
        return long

    def success(self, outcome: str | None = None, by: Sequence[str] | None = None) -> list[Success]:
        """Share of runs with an outcome, with Wilson intervals, at every combination of factor values.

        `outcome` defaults to the named analysis' response, or the first outcome; `by` to all factors. An empty `by`
        pools all runs. Combinations without any run yet are left out.
        """
        study = self.study
        if outcome is None:
            named = study.analysis.response if study.analysis else None
            outcome = named if named in study.outcomes else next(iter(study.outcomes), "diverged")
        check_known("outcome", [outcome], [*study.outcomes, "diverged"])
        grouped = self._grouped(outcome, by)
        return [Success(outcome, factors, Proportion(sum(values), len(values))) for factors, values in grouped]

    def typical(self, response: str, by: Sequence[str] | None = None) -> list[Typical]:
        """Median of a number that every run has, with its interval, at every combination of factor values."""
        check_known("response", [response], list(MEASURES))
        return [Typical(response, factors, Median.of(values)) for factors, values in self._grouped(response, by)]

    def _grouped(self, column: str, by: Sequence[str] | None) -> list[tuple[dict[str, Value], list[Any]]]:
        """Values of a column by factor values, in the order of the protocol."""
        names = list(self.study.factor_names if by is None else by)
        check_known("by", names, [*self.study.factor_names, CELL])
        table = self.table(list(dict.fromkeys([*names, column])))
        keys = zip(*(table[name].to_pylist() for name in names), strict=True) if names else [()] * len(table)
        groups: dict[tuple[Value, ...], list[Any]] = {}
        for key, value in zip(keys, table[column].to_pylist(), strict=True):
            groups.setdefault(key, []).append(value)
        return [(dict(zip(names, key, strict=True)), values) for key, values in groups.items()]


def open_runs(path: str | os.PathLike[str]) -> Runs:
    """Read a folder that `run_study` wrote, complete or not.

    Raises `InvalidInput` if there is no study in it, and `UnreadableFile`, naming the file and how to mend it, for a
    shard that is broken or belongs to another study.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: no such folder; give one that run_study or grokkit train --study wrote")
    marker = read_marker(folder)
    there = stored_shards(folder, marker)
    return Runs(folder, marker.study, tuple(there[number] for number in sorted(there)))
