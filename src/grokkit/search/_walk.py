"""Walks in the flip graph, in the native core or, slower, in plain Python: the same steps and the same results."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from jaxtyping import Int, Shaped

from grokkit import _native
from grokkit.search._packed import MAX_RANK, RINGS
from grokkit.search._reference import reference_walk

HEADROOM: Final = 2
"""Plus transitions raise the rank by this much above the best of a walk, at most."""

_pointer, _i32, _i64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64


class _Walks(ctypes.Structure):
    """grokkit_walks of native/include/grokkit_native.h."""

    _fields_ = (
        ("ring", _i32),
        ("entries", _i32),
        ("capacity", _i32),
        ("threads", _i32),
        ("target", _i32),
        ("headroom", _i32),
        ("symmetric", _i32),
        ("walkers", _i64),
        ("steps", _i64),
        ("acceptance", _pointer),
        ("intervals", _pointer),
        ("random", _pointer),
        ("ranks", _pointer),
        ("factors", _pointer),
        ("tried", _pointer),
        ("flipped", _pointer),
        ("reached", _pointer),
    )


@final
@dataclass(frozen=True)
class Walked:
    """What walks came to.

    Attributes
    ----------
    schemes:
        For each walk the packed scheme last seen at its lowest rank; with a temperature, the sparsest seen there.
    tried, flipped:
        Flips that were tried, and those that were done (over Z a flip that leaves -1, 0, 1 is not).
    reached:
        For each walk, by rank, the flips tried before that rank or a lower one was first seen; -1 where it never was.
    """

    schemes: list[Shaped[np.ndarray, "3 _ 2"]]
    tried: Int[np.ndarray, " walkers"]
    flipped: Int[np.ndarray, " walkers"]
    reached: Int[np.ndarray, "walkers ranks"]


def acceptance(temperature: float) -> Shaped[np.ndarray, " 64"]:
    """Chances, times 2^64, that a flip which adds 1, 2, ... nonzero coefficients is accepted: exp(-added /
    temperature).
    """
    chances = np.exp(-np.arange(1, 65) / temperature) if temperature > 0 else np.zeros(64)
    return np.array([min(int(chance * 2.0**64), 2**64 - 1) for chance in chances], dtype=np.uint64)


def walk(
    schemes: list[Any],
    random: Shaped[np.ndarray, " walkers"],
    intervals: Int[np.ndarray, " walkers"],
    *,
    ring: str,
    entries: int,
    steps: int,
    target: int = 0,
    headroom: int = HEADROOM,
    symmetric: bool = False,
    temperature: float | None = None,
    threads: int = 1,
    native: bool = True,
) -> Walked:
    """Walk from each packed scheme for `steps` flips, or until its rank is `target`.

    Parameters
    ----------
    schemes:
        Packed schemes, uint64 (3, rank, 2) each, of one target.
    random:
        A uint64 for each walk: the state of its random generator, and all that is random about it.
    intervals:
        For each walk the flips without a lower rank after which a plus transition is made.
    entries:
        Length of the longest factor.
    symmetric:
        Products 3q, 3q + 1 and 3q + 2 are rotations of one another (factor f + 1 of the next is factor f of the one
        before) and stay so.
    temperature:
        None: every flip that is possible is done. Else flips that add nonzero coefficients are accepted with the chance
        exp(-added / temperature), and the sparsest scheme is kept.
    threads:
        Changes nothing but time.
    """
    count = len(schemes)
    capacity = min(MAX_RANK, max([1, *(packed.shape[1] for packed in schemes)]))
    factors = np.zeros((count, 3, capacity, 2), dtype=np.uint64)
    ranks = np.zeros(count, dtype=np.int32)
    for number, packed in enumerate(schemes):
        ranks[number] = packed.shape[1]
        factors[number, :, : packed.shape[1]] = packed
    states = np.array(random, dtype=np.uint64)
    lengths = np.array(intervals, dtype=np.int64)
    tried, flipped = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    reached = np.full((count, capacity + 1), -1, dtype=np.int64)
    chances = None if temperature is None else acceptance(temperature)
    core = _native.load() if native else None
    if core is None:
        for number in range(count):
            found = reference_walk(
                schemes[number],
                int(states[number]),
                ring=ring,
                packed_keys=entries <= 32,
                steps=steps,
                target=target,
                headroom=headroom,
                symmetric=symmetric,
                interval=int(lengths[number]),
                acceptance=None if chances is None else [int(chance) for chance in chances],
            )
            ranks[number] = found.packed.shape[1]
            factors[number, :, : ranks[number]] = found.packed
            tried[number], flipped[number] = found.tried, found.flipped
            for rank, step in found.reached.items():
                reached[number, rank] = step
    else:
        arguments = _Walks(
            RINGS[ring],
            entries,
            capacity,
            threads,
            target,
            headroom,
            symmetric,
            count,
            steps,
            None if chances is None else chances.ctypes.data,
            *(x.ctypes.data for x in (lengths, states, ranks, factors, tried, flipped, reached)),
        )
        status = core.library.grokkit_walk(ctypes.byref(arguments))
        if status == 2:
            raise MemoryError("walks in the flip graph: out of memory")
        if status:
            raise ValueError(f"walks outside what is supported: {ring}, {entries} entries, rank {capacity}")
    found_schemes = [factors[number, :, : ranks[number]].copy() for number in range(count)]
    return Walked(found_schemes, tried, flipped, reached)
