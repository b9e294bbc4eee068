"""Where the units of a small axis stand on a larger one, and how tensors are carried there and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, final

import numpy as np
import torch
from jaxtyping import Int64

from grokkit.scheme import InvalidInput

NEW: Final = -1
"""In `Placement.source`: the position holds no old unit."""


@final
@dataclass(frozen=True)
class Placement:
    """An axis of `size` units on a larger axis: position j of it holds the old unit `source[j]`, or is `NEW`.

    Every old unit stands at least once; one that stands m times is a copy (Chen, Goodfellow, Shlens 2016, Net2Net).

    >>> Placement.at(2, 4, (3, 1))
    Placement(size=2, source=(-1, 1, -1, 0))
    """

    size: int
    source: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InvalidInput(f"placement: an axis of {self.size} units holds nothing; at least 1 is needed")
        if len(self.source) < self.size:
            raise InvalidInput(
                f"placement: the target has {len(self.source)} units, the source {self.size}; "
                "growth needs at least as many (crop goes the other way)"
            )
        held = np.asarray(self.source, dtype=np.int64)
        if ((held < NEW) | (held >= self.size)).any():
            wrong = int(held[(held < NEW) | (held >= self.size)][0])
            raise InvalidInput(f"placement: there is no unit {wrong}; sources are -1 (new) or 0..{self.size - 1}")
        missing = np.setdiff1d(np.arange(self.size), held)
        if len(missing):
            raise InvalidInput(f"placement: unit {missing[0]} stands nowhere; every old unit needs a position")

    @classmethod
    def at(cls, size: int, target: int, positions: Sequence[int]) -> Placement:
        """Old unit i at positions[i], all other positions new. Raises `InvalidInput` for positions that do not fit."""
        if target < size:
            raise InvalidInput(f"placement: the target has {target} units, the source {size}; it must not be smaller")
        if len(positions) != size or len(set(positions)) != size:
            raise InvalidInput(f"placement: {len(set(positions))} different positions for {size} units; give one each")
        outside = [p for p in positions if not 0 <= p < target]
        if outside:
            raise InvalidInput(f"placement: position {outside[0]} lies outside 0..{target - 1}")
        source = [NEW] * target
        for unit, position in enumerate(positions):
            source[position] = unit
        return cls(size, tuple(source))

    @classmethod
    def front(cls, size: int, target: int) -> Placement:
        """Old units first, new ones behind."""
        return cls.at(size, target, range(size))

    @classmethod
    def copying(cls, size: int, target: int, rng: np.random.Generator | None = None) -> Placement:
        """Old units first, behind them copies: in turn (0, 1, 2, ...), or drawn by `rng` as in Net2WiderNet."""
        if size < 1 or target < size:
            raise InvalidInput(f"placement: the target has {target} units, the source {size}; it must not be smaller")
        extra = np.arange(target - size) % size if rng is None else rng.integers(size, size=target - size)
        return cls(size, (*range(size), *(int(i) for i in extra)))

    @property
    def target(self) -> int:
        """Units of the large axis."""
        return len(self.source)

    @cached_property
    def new(self) -> Int64[np.ndarray, " new"]:
        """Positions that hold no old unit."""
        return np.flatnonzero(np.asarray(self.source) == NEW)

    @cached_property
    def counts(self) -> Int64[np.ndarray, " size"]:
        """How often each old unit stands."""
        held = np.asarray(self.source, dtype=np.int64)
        return np.bincount(held[held >= 0], minlength=self.size)

    @cached_property
    def occurrences(self) -> Int64[np.ndarray, "size most"]:
        """Row i: the positions of unit i, ascending, then -1."""
        table = np.full((self.size, int(self.counts.max())), -1, dtype=np.int64)
        held = np.asarray(self.source, dtype=np.int64)
        order = np.argsort(held, kind="stable")[len(self.new) :]
        starts = np.cumsum(self.counts) - self.counts
        table[held[order], np.arange(len(order)) - np.repeat(starts, self.counts)] = order
        return table

    @property
    def homes(self) -> Int64[np.ndarray, " size"]:
        """The first position of each old unit."""
        return self.occurrences[:, 0]

    @property
    def same(self) -> bool:
        """Whether nothing changes."""
        return self.source == tuple(range(self.size))

    @property
    def single(self) -> bool:
        """Whether every old unit stands once."""
        return bool((self.counts == 1).all())

    @property
    def uniform(self) -> bool:
        """Whether nothing is new and every old unit stands equally often: means and variances are kept."""
        return not len(self.new) and bool((self.counts == self.counts[0]).all())

    def expanded(self, block: int) -> Placement:
        """The placement of units that are blocks of `block` successive entries, such as heads."""
        if block == 1:
            return self
        held = np.asarray(self.source, dtype=np.int64)[:, None]
        entries = np.where(held < 0, NEW, held * block + np.arange(block))
        return Placement(self.size * block, tuple(entries.ravel().tolist()))


def write(
    tensor: torch.Tensor,
    dim: int,
    placement: Placement,
    fill: float | Literal["mean"] | torch.Tensor = 0.0,
) -> torch.Tensor:
    """Rows of what writes to an axis: copies repeat their row; new rows hold `fill`, the mean row or given ones."""
    rows = tensor.movedim(dim, 0)
    out = rows[torch.as_tensor(np.maximum(placement.source, 0))].clone()
    new = torch.as_tensor(placement.new)
    if len(placement.new):
        out[new] = rows.double().mean(0).to(rows.dtype) if fill == "mean" else torch.as_tensor(fill, dtype=rows.dtype)
    return out.movedim(0, dim).contiguous()


def unwrite(tensor: torch.Tensor, dim: int, placement: Placement) -> torch.Tensor:
    """The left inverse of `write`: the rows at the homes."""
    return tensor.index_select(dim, torch.as_tensor(placement.homes)).contiguous()


def read(
    tensor: torch.Tensor,
    dim: int,
    placement: Placement,
    fill: float | torch.Tensor = 0.0,
    jitter: float = 0.0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Columns of what reads an axis: an old column is split among its copies, new ones hold `fill`.

    Of the rest r of a column with k copies to come, a part p = fl(a r) with a in [1/2, 1] is kept and r − p given to
    the next copy. r − p is exact (Sterbenz 1974), hence `unread` finds every column again to the last bit.
    a = 1 − 1/k shares evenly; `jitter` > 0 moves it up by a random part of 1/k, for every entry its own.
    """
    columns = tensor.movedim(dim, 0)
    out = torch.zeros((placement.target, *columns.shape[1:]), dtype=columns.dtype)
    if len(placement.new):
        out[torch.as_tensor(placement.new)] = torch.as_tensor(fill, dtype=columns.dtype)
    counts = torch.as_tensor(placement.counts)
    positions = torch.as_tensor(placement.occurrences)
    rest = columns.clone()
    for k in range(positions.shape[1]):
        last, more = counts == k + 1, counts > k + 1
        out[positions[last, k]] = rest[last]
        if more.any():
            share = (1.0 / (counts[more] - k)).to(rest.dtype).reshape(-1, *[1] * (rest.ndim - 1))
            part = 1 - share.expand_as(rest[more])
            if jitter:
                drawn = torch.randn(part.shape, generator=generator, dtype=part.dtype).abs()
                part = part + share * (jitter * drawn).clamp(max=1)
            kept = part.clamp(0.5, 1.0) * rest[more]
            out[positions[more, k]] = rest[more] - kept
            rest[more] = kept
    return out.movedim(0, dim).contiguous()


def unread(tensor: torch.Tensor, dim: int, placement: Placement) -> torch.Tensor:
    """The left inverse of `read`: the parts of every column added, the last first."""
    columns = tensor.movedim(dim, 0)
    counts = torch.as_tensor(placement.counts)
    positions = torch.as_tensor(placement.occurrences)
    total = columns[positions[torch.arange(placement.size), counts - 1]].clone()
    for k in reversed(range(positions.shape[1] - 1)):
        more = counts > k + 1
        total[more] = columns[positions[more, k]] + total[more]
    return total.movedim(0, dim).contiguous()
