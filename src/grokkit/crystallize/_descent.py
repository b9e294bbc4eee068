"""Levenberg-Marquardt on one run and its free entries only: for problems too large to be solved many at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float

from grokkit.crystallize._levenberg_marquardt import DAMPING_DOWN, DAMPING_RANGE, DAMPING_UP
from grokkit.crystallize._problem import Problem, squared

HOPELESS: Final = 1e-2
"""Sum of squares above which a descent that may be given up is given up, after `PROBATION` steps."""
PROBATION: Final = 5


@final
@dataclass(frozen=True)
class Descent:
    """Where one run stopped."""

    x: Float[np.ndarray, "slots width"]
    loss: float
    """Sum of squared residuals, without the penalty."""
    damping: float


def descend(
    problem: Problem,
    x: Float[np.ndarray, "slots width"],
    iterations: int,
    *,
    penalty: Float[np.ndarray, "slots width"] | float = 0.0,
    free: Bool[np.ndarray, "slots width"] | None = None,
    damping: float = 1e-3,
    tolerance: float = 1e-22,
    may_give_up: bool = False,
) -> Descent:
    """Minimize ‖E(x)‖² + Σ penalty · x² over the free entries of one run.

    As `levenberg_marquardt`, but the normal equations hold the free entries alone: with k of them a step costs O(k³).
    With `may_give_up` it ends early where `PROBATION` steps leave the sum of squares above `HOPELESS`.
    """
    point = np.array(x, dtype=np.float64)[None]
    weight = np.broadcast_to(np.asarray(penalty, dtype=np.float64), point.shape)
    penalized = bool(weight.any())
    at = None if free is None else np.flatnonzero(free)
    with np.errstate(over="ignore", invalid="ignore"):
        residual = problem.residual(point)
        loss = float(squared(residual)[0])
        objective = loss + _penalty(weight, point, penalized)
        for number in range(1, iterations + 1):
            if (not penalized and loss <= tolerance) or (at is not None and not len(at)):
                break
            step = _step(problem, point, residual, weight, damping, at)
            better = step is not None
            if step is not None:
                trial = point + step
                trial_residual = problem.residual(trial)
                trial_loss = float(squared(trial_residual)[0])
                trial_objective = trial_loss + _penalty(weight, trial, penalized)
                better = trial_objective < objective
                if better:
                    point, residual, loss, objective = trial, trial_residual, trial_loss, trial_objective
            damping = float(np.clip(damping * (DAMPING_DOWN if better else DAMPING_UP), *DAMPING_RANGE))
            if may_give_up and number >= PROBATION and loss > HOPELESS:
                break
    return Descent(point[0], loss, damping)


def _penalty(weight: np.ndarray, x: np.ndarray, penalized: bool) -> float:
    return float((weight * x * x).sum()) if penalized else 0.0


def _step(
    problem: Problem, x: np.ndarray, residual: np.ndarray, weight: np.ndarray, damping: float, at: np.ndarray | None
) -> np.ndarray | None:
    """The step in the free entries; None where the system is singular or the factors have overflowed."""
    there = problem.linearize(x)
    gradient = (there.adjoint(residual) + weight * x).reshape(-1)
    matrix = there.gram_of_unknowns()[0]
    diagonal = weight.reshape(-1) + damping
    if at is not None:
        matrix, gradient, diagonal = matrix[np.ix_(at, at)], gradient[at], diagonal[at]
    np.einsum("ii->i", matrix)[...] += diagonal
    if not np.isfinite(gradient).all():
        return None
    try:
        solution = np.linalg.solve(matrix, gradient)
    except np.linalg.LinAlgError:
        return None
    step = np.zeros(x.size)
    step[slice(None) if at is None else at] = -solution
    return step.reshape(x.shape)
