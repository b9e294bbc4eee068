"""Thinning: as many exact zeros as the equations admit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float

from grokkit.crystallize._descent import descend
from grokkit.crystallize._gauge import balance
from grokkit.crystallize._problem import Problem

ZERO: Final = 1e-7
STILL_SOLVED: Final = 1e-11
"""Sum of squares that a thinned point may have: where solutions touch, convergence is slow; later zeros restore it."""
STEPS: Final = 12
DAMPING: Final = 1e-5
LARGEST: Final = 12.0
FIRST_AT_ONCE: Final = 16.0
MOST_AT_ONCE: Final = 32.0
PATIENCE: Final = 20
"""Smallest entries, tried one by one, of which none can be zero, before the point counts as thinned out."""
FINISH: Final = 30


@final
@dataclass(frozen=True)
class Thinning:
    """A solution with exact zeros."""

    x: Float[np.ndarray, "slots width"]
    free: Bool[np.ndarray, "slots width"]
    """The entries that are not zero."""
    loss: float


def thin(problem: Problem, x: Float[np.ndarray, "slots width"]) -> Thinning:
    """Set entries of a solution to zero, smallest first, and solve the equations again in the others.

    As many as the last successes suggest are set at once; where that cannot be solved, half as many, and an entry that
    fails alone is passed over until another succeeds. Each zero takes one dimension from the families of solutions
    that sandwichings and other freedom make; in the end little more than the torus is left.
    """
    point = balance(problem, np.asarray(x)[None])[0]
    free = np.abs(point) > ZERO
    point = descend(problem, np.where(free, point, 0.0), STEPS, free=free, damping=DAMPING).x
    passed_over = np.zeros(point.shape, dtype=bool)
    at_once, failures = FIRST_AT_ONCE, 0
    while failures < PATIENCE:
        size = np.where(free & ~passed_over, np.abs(point), np.inf).reshape(-1)
        smallest = np.argsort(size, kind="stable")[: int(at_once)]
        smallest = smallest[np.isfinite(size[smallest])]
        if not len(smallest):
            break
        fewer = free.copy()
        fewer.reshape(-1)[smallest] = False
        fit = descend(
            problem, np.where(fewer, point, 0.0), STEPS, free=fewer, damping=DAMPING, tolerance=1e-20, may_give_up=True
        )
        if fit.loss < STILL_SOLVED and np.abs(fit.x).max() < LARGEST:
            point, free = balance(problem, fit.x[None])[0], fewer
            at_once, failures = min(at_once * 1.5, MOST_AT_ONCE), 0
            passed_over[:] = False
            continue
        if at_once < 2:
            passed_over.reshape(-1)[smallest] = True
            failures += 1
        at_once = max(at_once / 2, 1.0)
    fit = descend(problem, point, FINISH, free=free, damping=1e-6, tolerance=1e-26)
    return Thinning(fit.x, free, fit.loss)
