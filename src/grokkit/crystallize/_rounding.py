"""Progressive rounding: fix the entries nearest the lattice, re-solve the rest exactly, accept or revert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float, Int

from grokkit.crystallize._gauge import pivot_scales
from grokkit.crystallize._levenberg_marquardt import levenberg_marquardt
from grokkit.crystallize._problem import Factors, Problem
from grokkit.scheme import nearest

SOLVED: Final = 1e-18
"""Sum of squared residuals below which a run counts as solved in float64."""
ON_LATTICE: Final = 1e-7
FARTHEST: Final = 0.75
LARGEST: Final = 8.0
"""Entries that grow past this on re-solving mean that the last choice was wrong."""
MOST_AT_ONCE: Final = 32.0
FIRST_AT_ONCE: Final = 4.0


@final
@dataclass(frozen=True)
class Rounding:
    """What progressive rounding reached for each run."""

    x: Factors
    """Lattice values where `done`, the best partial point elsewhere."""
    done: Bool[np.ndarray, " runs"]
    rounds: Int[np.ndarray, " runs"]
    """Rounds used (0: plain rounding in the given gauge was already exact)."""
    unfixed: Int[np.ndarray, " runs"]
    """Entries still free at the closest approach; 0 where `done`."""


def round_progressively(
    problem: Problem,
    x: Factors,
    lattice: Sequence[float],
    generators: Sequence[np.random.Generator],
    *,
    tries: int = 2,
    patience: int = 8,
    most_rounds: int = 300,
    noise: float = 0.1,
) -> Rounding:
    """Move solved factors onto a lattice, a few entries at a time.

    Slot scales are fixed first (largest entries of u and v pinned to 1). Then each round fixes the k
    free entries nearest the lattice, zeros before others, and re-solves the equations in what is free.
    If they can still be solved the round is kept and k grows by half; otherwise it is undone, k is
    halved, and an entry that fails alone is barred until something else succeeds. After `patience`
    failures a run starts over with its preferences perturbed by `noise`, at most `tries` times.

    `generators` holds one random generator a run. A run is done when rounding everything satisfies all
    equations without residue (lattice values are dyadic, so the float64 check is exact).
    """
    start, pivots = pivot_scales(problem, x)
    runs = len(x)
    shape = x.shape[1:]
    point, free = start.copy(), ~pivots
    barred = np.zeros((runs, *shape), dtype=bool)
    preference = np.zeros((runs, *shape))
    at_once = np.full(runs, FIRST_AT_ONCE)
    done, dead = np.zeros(runs, dtype=bool), np.zeros(runs, dtype=bool)
    failures, used = np.zeros(runs, dtype=int), np.zeros(runs, dtype=int)
    attempts = np.ones(runs, dtype=int)
    unfixed = np.full(runs, problem.unknowns)
    for number in range(most_rounds + 1):
        active = np.flatnonzero(~done & ~dead)
        if not len(active):
            break
        rounded = nearest(point[active], lattice)
        whole = np.where(free[active], rounded, point[active])
        exact = problem.loss(whole) == 0
        point[active[exact]] = whole[exact]
        done[active[exact]], used[active[exact]], unfixed[active[exact]] = True, number, 0
        active, rounded = active[~exact], rounded[~exact]
        if not len(active) or number == most_rounds:
            break
        distance = np.abs(point[active] - rounded)
        key = np.where(rounded == 0, distance, 1.5 * distance + 0.02)
        key += np.where(np.abs(rounded) > 1, 0.5 * distance + 0.04, 0.0)
        key += preference[active] * (distance > ON_LATTICE)
        key = np.where(free[active] & ~barred[active], key, np.inf)
        chosen = _nearest_few(key, free[active] & (distance < ON_LATTICE) & ~barred[active], at_once[active])
        none = ~chosen.any(axis=(1, 2))
        still_free = free[active] & ~chosen
        fit = levenberg_marquardt(
            problem,
            np.where(chosen, rounded, point[active]),
            10,
            free=still_free,
            damping=1e-3,
            tolerance=SOLVED,
        )
        good = (fit.loss < SOLVED) & (np.abs(fit.x).max(axis=(1, 2)) < LARGEST) & ~none
        kept = active[good]
        point[kept], free[kept] = fit.x[good], still_free[good]
        at_once[kept] = np.minimum(at_once[kept] * 1.5, MOST_AT_ONCE)
        failures[kept], barred[kept] = 0, False
        unfixed[kept] = np.minimum(unfixed[kept], free[kept].sum(axis=(1, 2)))
        undone, alone = active[~good], at_once[active[~good]] < 2
        blamed = chosen[~good] & (distance[~good] > ON_LATTICE)
        barred[undone[alone]] |= blamed[alone]
        failures[undone[alone]] += 1
        at_once[undone] = np.maximum(at_once[undone] / 2, 1)
        stuck = active[(failures[active] > patience) | none]
        dead[stuck] = attempts[stuck] >= tries
        for run in stuck[~dead[stuck]]:
            attempts[run] += 1
            point[run], free[run], barred[run] = start[run], ~pivots[run], False
            at_once[run], failures[run] = 2, 0
            preference[run] = noise * generators[run].random(shape)
    return Rounding(point, done, used, unfixed)


def _nearest_few(
    key: Float[np.ndarray, "runs slots width"],
    free_of_charge: Bool[np.ndarray, "runs slots width"],
    count: Float[np.ndarray, " runs"],
) -> Bool[np.ndarray, "runs slots width"]:
    """The entries of smallest key: those already on the lattice, and `count` more."""
    flat = key.reshape(len(key), -1)
    order = np.argsort(flat, axis=1, kind="stable")
    sizes = free_of_charge.reshape(len(key), -1).sum(axis=1) + count.astype(int)
    first = np.arange(flat.shape[1])[None, :] < sizes[:, None]
    first &= np.take_along_axis(flat, order, axis=1) < FARTHEST
    chosen = np.zeros(flat.shape, dtype=bool)
    np.put_along_axis(chosen, order, first, axis=1)
    return chosen.reshape(key.shape)
