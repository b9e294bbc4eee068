"""From trained or noisy factors to a solution of the tensor equations at working precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float, Int

from grokkit.crystallize._gauge import balance
from grokkit.crystallize._levenberg_marquardt import levenberg_marquardt
from grokkit.crystallize._problem import Factors, Problem
from grokkit.crystallize._rounding import SOLVED

RIDGES: Final = (0.1, 0.01, 0.001)
CLIP: Final = 2.0
KICK: Final = 0.5


@final
@dataclass(frozen=True)
class Polish:
    """Solutions, and what it took to reach them."""

    x: Factors
    loss: Float[np.ndarray, " runs"]
    solved: Bool[np.ndarray, " runs"]
    cycles: Int[np.ndarray, " runs"]
    """Ridge cycles used after the first descent; 0 where the descent sufficed."""
    moved: Float[np.ndarray, " runs"]
    """Norm of the change over the norm of the factors, both with balanced slots."""


def polish(
    problem: Problem,
    x: Factors,
    generators: Sequence[np.random.Generator],
    *,
    iterations: int = 40,
    most_cycles: int = 12,
) -> Polish:
    """Solve the tensor equations from each run's factors, staying near them where that works.

    First plain Levenberg-Marquardt. Runs that stall go through ridge cycles: the penalty μ‖x‖² falls
    over 0.1, 0.01, 0.001, six steps each, then 0; the first cycle starts where the run stalled, later
    ones after a Gaussian kick. A run whose equations have no solution near any of these starts (too few
    slots, for instance) is left unsolved with its smallest loss.
    """
    x = balance(problem, x)
    given = x
    fit = levenberg_marquardt(problem, x, iterations, damping=1e-2)
    point, loss = fit.x, fit.loss
    cycles = np.zeros(len(x), dtype=int)
    starts = x.shape[1:]
    for cycle in range(1, most_cycles + 1):
        stalled = np.flatnonzero(~(loss < SOLVED))
        if not len(stalled):
            break
        cycles[stalled] = cycle
        # NaN or overflow in hopeless factors would poison the linear algebra: restart those from zero
        start = np.clip(np.nan_to_num(point[stalled], posinf=0.0, neginf=0.0), -CLIP, CLIP)
        if cycle > 1:
            start = start + np.stack([KICK * generators[int(run)].standard_normal(starts) for run in stalled])
        damping: Float[np.ndarray, " runs"] | float = 0.1
        for ridge in RIDGES:
            fit = levenberg_marquardt(problem, start, 6, penalty=ridge, damping=damping)
            start, damping = fit.x, fit.damping
        fit = levenberg_marquardt(problem, start, iterations, damping=1e-3)
        better = fit.loss < loss[stalled]
        point[stalled[better]], loss[stalled[better]] = fit.x[better], fit.loss[better]
    size = np.maximum(np.sqrt((given * given).sum(axis=(1, 2))), 1e-300)
    moved = np.sqrt(((balance(problem, point) - given) ** 2).sum(axis=(1, 2))) / size
    return Polish(point, loss, loss < SOLVED, cycles, moved)
