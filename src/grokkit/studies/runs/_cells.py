"""What a protocol comes to: cells, the shards that their runs are stored in, and the seed of each cell."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, final

from grokkit.training import TrainConfig

Value = int | float | str
MANAGED: Final = ("runs", "seed", "shard_size")
"""Fields of the configuration that the study sets itself."""
WITHOUT_RANDOMNESS: Final = (*MANAGED, "engine", "log_points")
"""Fields that do not change which random numbers a cell draws."""


@final
@dataclass(frozen=True)
class Cell:
    """One combination of factors: a configuration that all its runs share."""

    number: int
    name: str
    factors: dict[str, Value]
    """Value of every factor of the study, also of those that only other cells change."""
    config: TrainConfig
    """Its population: `config.seed` is the cell's own, and run i of the cell is run i of this population."""


@final
@dataclass(frozen=True)
class Shard:
    """Runs of one cell that are trained together and stored in one file."""

    number: int
    cell: Cell
    block: int
    """Position among the shards of the cell."""

    @property
    def first(self) -> int:
        """Number of the first run within the cell's population."""
        return self.block * self.cell.config.shard_size

    @property
    def runs(self) -> int:
        return min(self.cell.config.shard_size, self.cell.config.runs - self.first)

    @property
    def cost(self) -> int:
        """Roughly what training it takes, in samples: only for putting long work first."""
        config = self.cell.config
        return self.runs * config.total_steps * (config.batch_size * config.slots + 64)

    @property
    def crystallization_seed(self) -> int:
        """Seed that `grokkit.crystallize` gets for these runs."""
        return derived_seed("crystallize", self.cell.config.seed, self.block)


def derived_seed(*parts: Any) -> int:
    """A seed of 63 bits: the start of the SHA-256 of the parts as canonical JSON."""
    return int.from_bytes(hashlib.sha256(canonical(parts).encode("utf-8")).digest()[:8], "big") >> 1


def cell_seed(seed: int, config: TrainConfig, common: bool) -> int:
    """The seed of a cell's population, from the study's.

    With common random numbers it is the same for all cells: run i of one cell starts from the weights of run i of
    another and sees the same data, as far as their sizes agree. Otherwise cells are independent of each other.
    """
    if common:
        return derived_seed("common", seed)
    fields = {name: value for name, value in config.to_json().items() if name not in WITHOUT_RANDOMNESS}
    return derived_seed("cell", seed, fields)


def canonical(content: Any) -> str:
    """JSON with sorted keys and no spaces: one text for one content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
