"""Towards fewer additions: walks among schemes of one rank with coefficients -1, 0, 1.

A step downhill is a few flips; the additions of all three linear maps, common pairs computed once, are counted after
each (greedy elimination, in the native core), and a step that adds d additions is accepted with the chance exp(-d /
temperature).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from jaxtyping import Int, Shaped

from grokkit import _native
from grokkit.scheme import InvalidInput, Provenance, Scheme, Target, reduce_additions
from grokkit.search._packed import check_packable, pack, to_scheme
from grokkit.search._reference import reference_cheapen
from grokkit.search._walk import acceptance, walk

MAX_RANK: Final = 128
"""Largest rank whose additions are counted."""
FLIPS: Final = 3
"""Most flips in a step."""
POOL: Final = 60
"""Cheapest schemes that are kept from round to round."""
WALKERS: Final = 16
"""Walks in a round."""
LENGTHS: Final = (20_000, 100_000, 400_000)
INTERVALS: Final = (500, 2_000, 8_000)
"""Flips of the walks between schemes, and flips before a plus transition: what a round draws from."""
COUNTED: Final = 300
"""Steps, counting additions, from every scheme that a walk comes to."""
SCREENED: Final = 3
CANDIDATES: Final = 5
"""Tries of `reduce_additions` for every scheme at the end, and how many then get all tries."""
FINAL: Final = 5_000
"""Such steps from each of the cheapest at the end."""

_pointer, _i32, _i64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64


class _Cheapening(ctypes.Structure):
    """grokkit_cheapening of native/include/grokkit_native.h."""

    _fields_ = (
        ("entries", _i32 * 3),
        ("capacity", _i32),
        ("threads", _i32),
        ("flips", _i32),
        ("walkers", _i64),
        ("steps", _i64),
        ("acceptance", _pointer),
        ("random", _pointer),
        ("ranks", _pointer),
        ("factors", _pointer),
        ("additions", _pointer),
    )


Walked: TypeAlias = tuple[list[Shaped[np.ndarray, "3 _ 2"]], Int[np.ndarray, " walkers"]]


def cheapen_packed(
    schemes: list[Any],
    random: Shaped[np.ndarray, " walkers"],
    shape: tuple[int, int, int],
    *,
    steps: int,
    temperature: float,
    flips: int = FLIPS,
    threads: int = 1,
    native: bool = True,
) -> Walked:
    """For each packed scheme the cheapest one that `steps` steps from it met, and its additions.

    `random` holds the state of each walk's generator; `threads` changes nothing but time.
    """
    count = len(schemes)
    capacity = max([1, *(packed.shape[1] for packed in schemes)])
    chances = acceptance(temperature)
    core = _native.load() if native else None
    if core is None:
        found = [
            reference_cheapen(packed, int(state), shape, steps, flips, [int(chance) for chance in chances])
            for packed, state in zip(schemes, random, strict=True)
        ]
        return [packed for packed, _ in found], np.array([additions for _, additions in found], dtype=np.int32)
    factors = np.zeros((count, 3, capacity, 2), dtype=np.uint64)
    ranks, additions = np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.int32)
    for number, packed in enumerate(schemes):
        ranks[number] = packed.shape[1]
        factors[number, :, : packed.shape[1]] = packed
    states = np.array(random, dtype=np.uint64)
    arrays = (chances, states, ranks, factors, additions)
    job = _Cheapening((_i32 * 3)(*shape), capacity, threads, flips, count, steps, *(x.ctypes.data for x in arrays))
    status = core.library.grokkit_cheapen(ctypes.byref(job))
    if status == 2:
        raise MemoryError("walks towards fewer additions: out of memory")
    if status:
        raise ValueError(f"walks towards fewer additions outside what is supported: rank {capacity}, {shape}")
    return [factors[number, :, : ranks[number]].copy() for number in range(count)], additions


def cheapen(
    schemes: Sequence[Scheme],
    *,
    seed: int = 0,
    rounds: int = 40,
    temperature: float = 1.0,
    tries: int = 200,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Scheme:
    """A scheme with few additions, from ternary schemes of one target.

    The cheapest schemes form a pool. In each of `rounds` rounds walks in the flip graph, plus transitions included,
    leave from it for other schemes of the same rank, and from each of these a few hundred steps go downhill in the
    number of additions; the cheapest stay. Programs of the cheapest at the end are searched with `tries` tries
    (`reduce_additions`), and the scheme whose program has the fewest additions is returned: never one of a higher
    rank than the lowest given, nor, of the same rank, one with more additions than the best that was given.

    Same schemes, seed and rounds: same result, whatever `threads`. `progress` is called with the fewest additions after
    every round.

    Raises `InvalidInput` for schemes that are not ternary over Z, of more than 128 products, or of different targets.
    """
    if not schemes:
        raise InvalidInput("no schemes were given to make cheaper")
    if rounds < 0 or temperature < 0:
        raise InvalidInput("rounds and temperature must not be negative")
    target = schemes[0].target
    check_packable(target)
    rank = min(scheme.rank for scheme in schemes)
    starts = [_start(scheme, target) for scheme in schemes if scheme.rank == rank]
    generator = np.random.default_rng([seed, len(schemes), rank])

    def states(count: int) -> np.ndarray:
        return generator.integers(0, 2**64, count, dtype=np.uint64)

    def downhill(packed: list[np.ndarray], steps: int) -> Walked:
        return cheapen_packed(
            packed, states(len(packed)), target.shape, steps=steps, temperature=temperature, threads=threads
        )

    pool: dict[bytes, tuple[int, np.ndarray]] = {}
    _take(pool, *downhill(starts, COUNTED))
    for _ in range(rounds):
        kept = list(pool.values())
        leaving = [kept[int(at)][1] for at in generator.integers(len(kept), size=WALKERS)]
        walked = walk(
            leaving,
            states(WALKERS),
            generator.choice(INTERVALS, WALKERS),
            ring="ternary",
            entries=max(target.shape),
            steps=int(generator.choice(LENGTHS)),
            threads=threads,
        )
        _take(pool, *downhill(walked.schemes, COUNTED))
        if progress is not None:
            progress(min(additions for additions, _ in pool.values()))
    cheapest = sorted(pool.values(), key=lambda each: (each[1].shape[1], each[0]))[:WALKERS]
    final, additions = downhill([packed for _, packed in cheapest], FINAL)
    lowest = min(packed.shape[1] for packed in final)
    order = sorted((n for n in range(len(final)) if final[n].shape[1] == lowest), key=lambda n: int(additions[n]))
    configuration = {
        "schemes": [scheme.digest for scheme in schemes],
        "rounds": rounds,
        "temperature": temperature,
        "origin": [scheme.provenance.to_json() for scheme in schemes[:1]],
    }
    provenance = Provenance("walk towards fewer additions", seed=seed, configuration=configuration)
    found = [to_scheme(final[n], target, "ternary", provenance) for n in order]
    given = [scheme for scheme in schemes if scheme.rank == lowest]
    likely = sorted([*found, *given], key=lambda scheme: reduce_additions(scheme, tries=SCREENED).additions)
    return min(likely[:CANDIDATES], key=lambda scheme: reduce_additions(scheme, tries=tries).additions)


def _start(scheme: Scheme, target: Target) -> np.ndarray:
    packed = pack(scheme, "ternary")
    if packed is None or str(scheme.ring) not in ("Z", "Q"):
        raise InvalidInput(f"{scheme.name} over {scheme.ring}: only ternary schemes over Z are made cheaper by walks")
    if scheme.target != target:
        raise InvalidInput(f"{scheme.name}: the others compute {target.name}")
    if scheme.rank > MAX_RANK:
        raise InvalidInput(f"{scheme.name}: more than {MAX_RANK} products; additions are not counted in walks")
    return packed


def _take(pool: dict[bytes, tuple[int, np.ndarray]], schemes: list[np.ndarray], additions: np.ndarray) -> None:
    """Add schemes to the pool and leave the cheapest in it: lowest rank first, then fewest additions, then as they
    came.
    """
    for packed, count in zip(schemes, additions, strict=True):
        pool.setdefault(packed.tobytes(), (int(count), packed))
    order = sorted(pool, key=lambda key: (pool[key][1].shape[1], pool[key][0]))
    for key in order[POOL:]:
        del pool[key]
