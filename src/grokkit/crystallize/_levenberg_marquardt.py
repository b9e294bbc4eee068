"""Levenberg-Marquardt on the tensor equations, batched over runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float

from grokkit.crystallize._problem import Factors, Linearization, Problem, squared

DAMPING_DOWN: Final = 0.3
DAMPING_UP: Final = 4.0
DAMPING_RANGE: Final = (1e-12, 1e6)
MATRIX_BYTES: Final = 2**27
"""Memory for the normal matrices of the runs that are solved together."""


@final
@dataclass(frozen=True)
class Fit:
    """Where an optimization stopped."""

    x: Factors
    loss: Float[np.ndarray, " runs"]
    """Sum of squared residuals, without the penalty."""
    damping: Float[np.ndarray, " runs"]
    steps: int
    """Linear systems solved, over all runs."""


def levenberg_marquardt(
    problem: Problem,
    x: Factors,
    iterations: int,
    *,
    penalty: Float[np.ndarray, "..."] | float = 0.0,
    free: Bool[np.ndarray, "runs slots width"] | None = None,
    damping: Float[np.ndarray, " runs"] | float = 1e-2,
    tolerance: float = 1e-22,
) -> Fit:
    """Minimize ‖E(x)‖² + Σ penalty · x² over the free entries, each run on its own.

    `penalty` is a scalar or an array that broadcasts to x; entries where `free` is False stay as they
    are. Without a penalty a run stops once its loss is at most `tolerance`. A step that does not lower
    the objective is undone and the run's damping raised, so the objective never rises.

    Each step solves (Jᵀ J + D) s = −(Jᵀ e + penalty·x), D = penalty + damping. Where there are fewer
    equations than unknowns, the equivalent smaller system in the space of equations is solved instead:
    with y = (I + J D⁻¹ Jᵀ)⁻¹ (e − J D⁻¹ (penalty·x)), s = −D⁻¹ (Jᵀ y + penalty·x).
    """
    x = np.array(x, dtype=np.float64)
    runs = len(x)
    damping = np.array(np.broadcast_to(damping, runs), dtype=np.float64)
    weight = np.asarray(penalty, dtype=np.float64)
    penalized = bool(weight.any())
    side = min(problem.equations, problem.unknowns)
    together = max(1, MATRIX_BYTES // (8 * side * side))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        residual = problem.residual(x)
        loss = squared(residual)
        objective = loss + _penalty(weight, x)
        steps = 0
        for _ in range(iterations):
            active = np.arange(runs) if penalized else np.flatnonzero(loss > tolerance)
            if not len(active):
                break
            steps += len(active)
            for start in range(0, len(active), together):
                at = active[start : start + together]
                here = weight[at] if weight.ndim == 3 and len(weight) == runs else weight
                may_move = None if free is None else free[at]
                step = _step(problem, x[at], residual[at], here, damping[at], may_move)
                trial = x[at] + step
                trial_residual = problem.residual(trial)
                trial_loss = squared(trial_residual)
                trial_objective = trial_loss + _penalty(here, trial)
                better = trial_objective < objective[at]
                chosen = at[better]
                x[chosen], residual[chosen] = trial[better], trial_residual[better]
                loss[chosen], objective[chosen] = trial_loss[better], trial_objective[better]
                damping[at] = np.clip(
                    np.where(better, damping[at] * DAMPING_DOWN, damping[at] * DAMPING_UP), *DAMPING_RANGE
                )
    return Fit(x, loss, damping, steps)


def _penalty(weight: np.ndarray, x: Factors) -> np.ndarray | float:
    if not weight.any():
        return 0.0
    return (weight * x * x).sum(axis=(1, 2))


def _step(
    problem: Problem,
    x: Factors,
    residual: np.ndarray,
    weight: np.ndarray,
    damping: np.ndarray,
    free: np.ndarray | None,
) -> Factors:
    at = problem.linearize(x)
    diagonal = weight + damping[:, None, None]
    if problem.equations <= problem.unknowns:
        return _step_in_equations(problem, at, x, residual, weight, diagonal, free)
    return _step_in_unknowns(problem, at, x, residual, weight, diagonal, free)


def _solve(matrices: Float[np.ndarray, "runs n n"], right: Float[np.ndarray, "runs n"]) -> np.ndarray:
    """The solution of each run's system; NaN where it is singular to working precision.

    A step of NaN lowers no objective, so it is undone and the damping grows.
    """
    try:
        return np.linalg.solve(matrices, right[..., None])[..., 0]
    except np.linalg.LinAlgError:  # of at least one run: the others must not notice
        solutions = np.full_like(right, np.nan)
        for run, (matrix, values) in enumerate(zip(matrices, right, strict=True)):
            with suppress(np.linalg.LinAlgError):
                solutions[run] = np.linalg.solve(matrix, values)
        return solutions


def _step_in_equations(
    problem: Problem,
    at: Linearization,
    x: Factors,
    residual: np.ndarray,
    weight: np.ndarray,
    diagonal: np.ndarray,
    free: np.ndarray | None,
) -> Factors:
    runs = len(x)
    pull = weight * x if weight.any() else None
    if free is None and diagonal.shape[1:] == (1, 1):  # one number a run: scale it out
        matrix = at.gram_of_equations(None)
        np.einsum("rii->ri", matrix)[...] += diagonal[:, 0]
        right = residual if pull is None else residual * diagonal[..., None] - at.forward(pull)
        y = _solve(matrix, right.reshape(runs, -1)).reshape(residual.shape)
        return -at.adjoint(y) if pull is None else -(at.adjoint(y) + pull) / diagonal
    inverse = np.broadcast_to(1 / diagonal, x.shape)
    if free is not None:
        inverse = inverse * free
    matrix = at.gram_of_equations(inverse)
    np.einsum("rii->ri", matrix)[...] += 1
    right = residual if pull is None else residual - at.forward(inverse * pull)
    y = _solve(matrix, right.reshape(runs, -1)).reshape(residual.shape)
    gradient = at.adjoint(y) if pull is None else at.adjoint(y) + pull
    return -inverse * gradient


def _step_in_unknowns(
    problem: Problem,
    at: Linearization,
    x: Factors,
    residual: np.ndarray,
    weight: np.ndarray,
    diagonal: np.ndarray,
    free: np.ndarray | None,
) -> Factors:
    runs = len(x)
    gradient = at.adjoint(residual)
    if weight.any():
        gradient += weight * x
    matrix = at.gram_of_unknowns()
    extra = np.broadcast_to(diagonal, x.shape).reshape(runs, -1)
    gradient = gradient.reshape(runs, -1)
    if free is not None:
        mask = free.reshape(runs, -1)
        matrix *= mask[:, :, None]
        matrix *= mask[:, None, :]
        extra = np.where(mask, extra, 1.0)
        gradient = gradient * mask
    np.einsum("rii->ri", matrix)[...] += extra
    return -_solve(matrix, gradient).reshape(x.shape)
