"""Pools: the packed schemes of one format that walks start from, by rank."""

from __future__ import annotations

from typing import Final, final

import numpy as np

from grokkit.scheme import Target
from grokkit.search._packed import Packed, standard_packed

INTERVALS: Final = (1_000, 3_000, 10_000, 30_000, 100_000)
"""Flips without a lower rank before a plus transition: what walks choose from."""


@final
class Pool:
    """Schemes of a format, at most `capacity` different ones of each rank, and what helped to find them.

    A full rank takes a new scheme in place of a random one. A walk starts at the lowest rank or, with the chance
    `fresh`, at any rank there is, all ranks alike. The interval of its plus transitions is drawn among `INTERVALS` by
    how often each has brought a lower rank or a new scheme of the lowest, so a pool adapts to its format.
    """

    def __init__(self, target: Target, ring: str, capacity: int, fresh: float):
        self.target, self.ring, self.capacity, self.fresh = target, ring, capacity, fresh
        self.ranks: dict[int, list[Packed]] = {}
        self._seen: dict[int, set[bytes]] = {}
        self.wins = np.zeros(len(INTERVALS), dtype=np.int64)
        self.uses = np.zeros(len(INTERVALS), dtype=np.int64)

    def __len__(self) -> int:
        return sum(len(schemes) for schemes in self.ranks.values())

    @property
    def best(self) -> int | None:
        """The lowest rank, None while the pool is empty."""
        return min(self.ranks, default=None)

    @property
    def leaders(self) -> list[Packed]:
        """The schemes of the lowest rank."""
        return [] if self.best is None else self.ranks[self.best]

    def add(self, packed: Packed, generator: np.random.Generator) -> bool:
        """Take a scheme in; false if it is there already."""
        rank = packed.shape[1]
        schemes, seen = self.ranks.setdefault(rank, []), self._seen.setdefault(rank, set())
        key = _identity(packed)
        if key in seen:
            return False
        if len(schemes) < self.capacity:
            schemes.append(packed)
        else:
            at = int(generator.integers(self.capacity))
            seen.discard(_identity(schemes[at]))
            schemes[at] = packed
        seen.add(key)
        return True

    def start(self) -> None:
        """Begin with the standard algorithm if there is nothing else."""
        if not self.ranks:
            self.add(standard_packed(self.target, self.ring), np.random.default_rng(0))

    def draw(self, count: int, generator: np.random.Generator) -> tuple[list[Packed], np.ndarray]:
        """Schemes to walk from, and for each the number of its interval."""
        levels = sorted(self.ranks)
        chosen = []
        for _ in range(count):
            anywhere = generator.random() < self.fresh
            rank = levels[int(generator.integers(len(levels)))] if anywhere else levels[0]
            schemes = self.ranks[rank]
            chosen.append(schemes[int(generator.integers(len(schemes)))])
        odds = (1 + self.wins) / (len(INTERVALS) + self.uses)
        return chosen, generator.choice(len(INTERVALS), size=count, p=odds / odds.sum())

    def learn(self, interval: int, won: bool) -> None:
        """Note what a walk with an interval brought."""
        self.uses[interval] += 1
        self.wins[interval] += won


def _identity(packed: Packed) -> bytes:
    """The same for the same products in any order. (Signs of factors within a product count: a copy more does no
    harm.)
    """
    rows = packed.transpose(1, 0, 2).reshape(packed.shape[1], -1)
    return rows[np.lexsort(rows.T)].tobytes()
