"""Solutions of the tensor equations from anywhere: a falling ridge, and slots thrown away and grown again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Float

from grokkit.crystallize._descent import descend
from grokkit.crystallize._problem import Problem
from grokkit.crystallize._rounding import SOLVED

RIDGES: Final = (0.1, 0.03, 0.01, 0.003, 0.001)
STEPS: Final = 10
"""Levenberg-Marquardt steps at each ridge."""
LAST_STEPS: Final = 60
PROMISING: Final = 0.05
"""Sum of squares at the lowest ridge below which the ridge is taken away. Stalled runs stay near 1, 2, ...: so many
terms of the target are missing."""
RUINED: Final = 6
"""One slot in so many is thrown away when a run has stalled."""
SPREAD: Final = 0.5
"""Standard deviation of new entries."""
SHAKE: Final = 0.05
"""That of the change of all others."""


@final
@dataclass(frozen=True)
class Annealing:
    """A solution, or the point of the smallest loss."""

    x: Float[np.ndarray, "slots width"]
    loss: float
    solved: bool
    cycles: int
    """Falls of the ridge, the first included."""


def anneal(
    problem: Problem, x: Float[np.ndarray, "slots width"], generator: np.random.Generator, *, cycles: int = 12
) -> Annealing:
    """Solve the tensor equations from x, which may be random.

    Each cycle lets the penalty μ‖x‖² fall over `RIDGES` (the first ridge in the first cycle only) and then takes it
    away. A run that stalls short of the target keeps most of what it has: a sixth of its slots, drawn at random, start
    anew, the others are shaken a little. This reaches <3,3,3;23> from random weights in 1 to 5 cycles, where
    independent starts mostly end one term of the target short.
    """
    point, damping = np.array(x, dtype=np.float64), 0.1
    best, best_loss = point, np.inf
    for cycle in range(1, cycles + 1):
        loss = np.inf
        for ridge in RIDGES[min(cycle - 1, 1) :]:
            fit = descend(problem, point, STEPS, penalty=ridge, damping=max(damping, 1e-6))
            point, loss, damping = fit.x, fit.loss, fit.damping
        if loss < PROMISING:
            fit = descend(problem, point, LAST_STEPS, damping=1e-3)
            if fit.loss < SOLVED:
                return Annealing(fit.x, fit.loss, True, cycle)
        if loss < best_loss or cycle == 1:
            best, best_loss = point, loss
        if cycle < cycles:
            ruined = generator.choice(problem.slots, max(1, round(problem.slots / RUINED)), replace=False)
            point = point + SHAKE * generator.standard_normal(point.shape)
            point[ruined] = SPREAD * generator.standard_normal((len(ruined), problem.width))
            damping = 0.1
    return Annealing(best, float(best_loss), False, cycles)
