"""Frozen protocols: what is asked, which runs answer it, and what is kept of each."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, final

from grokkit.scheme import InvalidInput, MatrixProduct, read_bytes, suggestion
from grokkit.studies.runs._cells import MANAGED, Cell, Shard, Value, canonical, cell_seed
from grokkit.studies.runs._names import MEASURES, METRICS, OUTCOMES, check_known
from grokkit.studies.runs._reading import KINDS, factor_levels, reason, scalars, strings, table, underscored
from grokkit.training import TrainConfig

MAX_BYTES: Final = 2**20
MAX_CELLS: Final = 100_000
MAX_RUNS: Final = 10_000_000
RULES: Final = ("fixed",)
RANDOMNESS: Final = ("independent", "common")


@final
@dataclass(frozen=True)
class Stopping:
    """When runs end. ``fixed``: their number and the length of each are fixed in advance, whatever comes out."""

    rule: str = "fixed"
    text: str = ""


@final
@dataclass(frozen=True)
class Analysis:
    """The analysis that was named before any run: what is explained, by which factors, and how."""

    text: str
    response: str
    """An outcome, or a number that every run has."""
    factors: tuple[str, ...]


@final
@dataclass(frozen=True, kw_only=True)
class Study:
    """A frozen protocol.

    A cell is one combination of factors; it gets `seeds` × `runs` independent runs. Run r of seed s is run
    ``s * runs + r`` of the population that the cell's configuration names, so any row can be trained again alone.

    Laws: `digest` depends on the content only, not on the file's order or spelling; reading `to_json()` gives the same
    study; more seeds leave the runs of the first ones as they are.

    Raises `InvalidInput`, one line, for anything that names no runs or contradicts itself.
    """

    title: str
    question: str
    configuration: TrainConfig
    """What all cells share."""
    factors: dict[str, tuple[Value, ...]]
    """Levels of each factor; their combinations are cells."""
    explicit: tuple[dict[str, Value], ...] = ()
    """Further cells: changed fields, and perhaps a name."""
    seeds: int = 5
    runs: int = 3
    """Runs a seed."""
    seed: int = 0
    """Root of all randomness."""
    randomness: str = "independent"
    """Of cells: independent, or common random numbers."""
    shard_size: int = 64
    """Runs trained together and stored in one file."""
    stopping: Stopping = Stopping()
    outcomes: tuple[str, ...] = ("converged", "exact_plain", "exact_full")
    metrics: tuple[str, ...] = ("train_loss", "test_loss", "lattice_distance")
    keep_weights: bool = False
    """Whether the final factors U, V and W are kept."""
    analysis: Analysis | None = None

    def __post_init__(self) -> None:
        for name, low, high in (("seeds", 1, MAX_RUNS), ("runs", 1, MAX_RUNS), ("shard_size", 1, 4096)):
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(f"{name} is {getattr(self, name)}; {low} to {high} is allowed")
        if not 0 <= self.seed < 2**63:
            raise InvalidInput(f"seed is {self.seed}; 0 to {2**63 - 1} is allowed")
        if not self.title.strip() or not self.question.strip():
            raise InvalidInput("title and question say what the study is about; neither may be empty")
        if self.randomness not in RANDOMNESS:
            raise InvalidInput(f"randomness is {self.randomness!r}{suggestion(self.randomness, RANDOMNESS)}")
        if self.stopping.rule not in RULES:
            raise InvalidInput(f"[stopping]: rule is {self.stopping.rule!r}{suggestion(self.stopping.rule, RULES)}")
        check_known("outcomes", self.outcomes, OUTCOMES)
        check_known("metrics", self.metrics, METRICS)
        for name in ("outcomes", "metrics"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise InvalidInput(f"{name}: a name is given twice; keep one")
        self._check_factors()
        self._check_cells()
        if self.analysis is not None:
            check_known("[analysis] response", [self.analysis.response], [*self.outcomes, *MEASURES])
            check_known("[analysis] factors", self.analysis.factors, self.factor_names)

    def _check_factors(self) -> None:
        if not self.factors and not self.explicit:
            raise InvalidInput("no factors and no cells: give [factors] with levels, or [[cells]]")
        known = [each.name for each in fields(TrainConfig)]
        for name, levels in self.factors.items():
            if name in MANAGED:
                raise InvalidInput(f"[factors]: {name} is set by the study; give seed, seeds, runs or shard_size above")
            check_known("[factors]", [name], known)
            if not levels:
                raise InvalidInput(f"[factors]: {name} has no levels; give at least one, or leave it out")
            if len(set(levels)) < len(levels):
                raise InvalidInput(f"[factors]: {name} has a level twice; keep one")
        for number, cell in enumerate(self.explicit):
            if managed := [name for name in cell if name in MANAGED]:
                raise InvalidInput(f"[[cells]] {number}: {managed[0]} is set by the study; leave it out")
            check_known(f"[[cells]] {number}", cell, [*known, "name"])
            if not isinstance(cell.get("name", ""), str):
                raise InvalidInput(f"[[cells]] {number}: name is {cell['name']!r}, not text")
        count = math.prod(len(levels) for levels in self.factors.values()) + len(self.explicit)
        if count > MAX_CELLS or count * self.seeds * self.runs > MAX_RUNS:
            raise InvalidInput(f"{count} cells of {self.seeds * self.runs} runs: at most {MAX_RUNS} runs are admitted")

    def _check_cells(self) -> None:
        seen: dict[str, str] = {}
        for cell in self.cells:
            content = canonical(cell.config.to_json() | {"seed": 0})
            if content in seen:
                raise InvalidInput(
                    f"cell {cell.name} is the same as {seen[content]}; keep one, or its runs would count twice"
                )
            if cell.name in seen.values():
                raise InvalidInput(f"[[cells]]: two cells are named {cell.name!r}; name them apart")
            seen[content] = cell.name
            target = cell.config.target
            expands = [name for name in self.outcomes if name.startswith("expands_")]
            square = isinstance(target, MatrixProduct) and len(set(target.format)) == 1 and target.format[0] > 1
            if expands and not square:
                raise InvalidInput(
                    f"outcomes: {expands[0]} is of square formats from 2; cell {cell.name} has {cell.config.format}"
                )

    @property
    def factor_names(self) -> tuple[str, ...]:
        """All fields in which cells differ: the factors, then those that only explicit cells change."""
        changed = itertools.chain(self.factors, *self.explicit)
        return tuple(name for name in dict.fromkeys(changed) if name != "name")

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All combinations of levels, the last factor changing fastest, then the explicit cells."""
        combined = [
            dict(zip(self.factors, levels, strict=True)) for levels in itertools.product(*self.factors.values())
        ]
        changes = [*(combined if self.factors else []), *self.explicit]
        return tuple(self._cell(number, dict(change)) for number, change in enumerate(changes))

    def _cell(self, number: int, change: dict[str, Value]) -> Cell:
        name = change.pop("name", None)
        where = (
            str(name) if name is not None else ", ".join(f"{key}={value}" for key, value in change.items()) or "base"
        )
        managed = {"runs": self.seeds * self.runs, "shard_size": self.shard_size, "seed": 0}
        try:
            config = self.configuration.replace(**change, **managed)
        except InvalidInput as error:
            raise InvalidInput(f"cell {where}: {reason(error)}") from None
        config = config.replace(seed=cell_seed(self.seed, config, self.randomness == "common"))
        return Cell(number, where, {key: getattr(config, key) for key in self.factor_names}, config)

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """All shards, cell by cell."""
        pairs = [(cell, block) for cell in self.cells for block in range(cell.config.shards)]
        return tuple(Shard(number, cell, block) for number, (cell, block) in enumerate(pairs))

    @property
    def total_runs(self) -> int:
        """Runs of the whole study."""
        return len(self.cells) * self.seeds * self.runs

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the protocol's canonical JSON."""
        return hashlib.sha256(canonical(self.to_json()).encode("utf-8")).hexdigest()

    def replace(self, **changes: Any) -> Study:
        """Another protocol, with some entries changed: ``study.replace(seeds=50)``.

        Of `configuration` the given fields are changed, other entries as a whole.
        """
        content = self.to_json()
        shared = content["configuration"] | changes.pop("configuration", {})
        return Study.from_mapping(content | changes | {"configuration": shared})

    def to_json(self) -> dict[str, Any]:
        """The whole protocol as plain values, every field of the configuration included; `from_mapping` reads it."""
        shared = self.configuration.to_json()
        content: dict[str, Any] = {
            "title": self.title,
            "question": self.question,
            "seed": self.seed,
            "seeds": self.seeds,
            "runs": self.runs,
            "randomness": self.randomness,
            "shard_size": self.shard_size,
            "configuration": {name: value for name, value in shared.items() if name not in MANAGED},
            "factors": {name: list(levels) for name, levels in self.factors.items()},
            "cells": [dict(cell) for cell in self.explicit],
            "stopping": {"rule": self.stopping.rule, "text": self.stopping.text},
            "outcomes": list(self.outcomes),
            "metrics": list(self.metrics),
            "keep_weights": self.keep_weights,
        }
        if self.analysis is not None:
            named = {"text": self.analysis.text, "response": self.analysis.response}
            content["analysis"] = named | {"factors": list(self.analysis.factors)}
        return content

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], **changes: Any) -> Study:
        """Read a protocol from a TOML file, perhaps with other top-level entries: ``seeds=50``."""
        try:
            return cls.from_mapping(tomllib.loads(read_bytes(path, MAX_BYTES).decode("utf-8")) | changes)
        except InvalidInput as error:
            raise InvalidInput(f"{path}: {error}") from None
        except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or nested too deep
            raise InvalidInput(f"{path}: not valid TOML: {' '.join(str(error).split())[:120]}") from None

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any]) -> Study:
        """Build from the entries of a protocol file. Unknown keys are refused with the nearest known one."""
        given = underscored("protocol", content)
        own = [each.name for each in fields(cls) if each.name != "explicit"]
        check_known("protocol", given, [*own, "preset", "cells"])
        for name in ("title", "question"):
            if name not in given:
                raise InvalidInput(f"protocol: no {name}; every study says what it asks")
        kinds: dict[str, type] = {"title": str, "question": str, "randomness": str, "preset": str, "keep_weights": bool}
        kinds |= dict.fromkeys(("seed", "seeds", "runs", "shard_size"), int)
        kinds |= dict.fromkeys(("configuration", "factors", "stopping", "analysis"), dict)
        kinds |= dict.fromkeys(("cells", "outcomes", "metrics"), list)
        for name, value in given.items():
            if type(value) is not kinds[name]:
                raise InvalidInput(f"protocol: {name} is {str(value)[:60]!r}, not {KINDS[kinds[name]]}")
        shared = underscored("[configuration]", given.pop("configuration", {}))
        if managed := [name for name in shared if name in MANAGED]:
            raise InvalidInput(f"[configuration]: {managed[0]} is set by the study; leave it out")
        try:
            configuration = TrainConfig.preset(given.pop("preset", "default"), **shared)
        except InvalidInput as error:
            raise InvalidInput(f"[configuration]: {reason(error)}") from None
        cells = [scalars(f"[[cells]] {number}", cell) for number, cell in enumerate(given.pop("cells", []))]
        factors = factor_levels(given.pop("factors", {}))
        stopping = table("[stopping]", Stopping, given.pop("stopping", {}))
        named = given.pop("analysis", None)
        analysis = None if named is None else table("[analysis]", Analysis, named)
        lists = {name: strings(name, given.pop(name)) for name in ("outcomes", "metrics") if name in given}
        return cls(
            configuration=configuration,
            factors=factors,
            explicit=tuple(cells),
            stopping=stopping,
            analysis=analysis,
            **lists,
            **given,
        )
