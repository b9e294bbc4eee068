"""Fixing the gauge of float factors: slot scales, sandwiching by projective frames, sparsest point."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float

from grokkit.crystallize._levenberg_marquardt import levenberg_marquardt
from grokkit.crystallize._problem import Factors, Problem
from grokkit.scheme import MatrixProduct

RANK_ONE: Final = 1e-5
"""A matrix counts as rank one where its second singular value is below this share of the first."""
SAME_DIRECTION: Final = 1e-4
LARGEST_REORDERED: Final = 3
"""Largest space whose (d+1)! frame orders are all compared."""
ENTRY_NOISE: Final = 1e-5
UNEVEN_COST: Final = 10
GENERAL_POSITION: Final = 1e-3
"""Smallest singular value (of unit directions) and smallest coordinate that make a frame usable."""


def balance(problem: Problem, x: Factors) -> Factors:
    """Rescale each slot so that u, v and w have equal norms. The bilinear map is unchanged."""
    norms = [np.maximum(np.linalg.norm(part, axis=2, keepdims=True), 1e-12) for part in problem.split(x)]
    mean = (norms[0] * norms[1] * norms[2]) ** (1 / 3)
    return np.concatenate([part * (mean / norm) for part, norm in zip(problem.split(x), norms, strict=True)], axis=2)


def pivot_scales(problem: Problem, x: Factors) -> tuple[Factors, Bool[np.ndarray, "runs slots width"]]:
    """Rescale each slot so that the largest entries of u and of v are exactly 1; w takes the rest.

    Also returns where those pivots are. A slot whose u or v is zero is left alone. The map is unchanged.
    """
    x = np.array(x)
    pivots = np.zeros(x.shape, dtype=bool)
    u, v, w = problem.split(x)
    for part, mask in zip((u, v), problem.split(pivots), strict=False):
        at = np.abs(part).argmax(axis=2)[..., None]
        lead = np.take_along_axis(part, at, axis=2)
        lead = np.where(lead == 0, 1.0, lead)
        w *= lead
        part /= lead
        np.put_along_axis(mask, at, True, axis=2)
    return x, pivots


@final
@dataclass(frozen=True)
class FrameGauge:
    """Factors moved by one sandwiching a run."""

    x: Factors
    found: Bool[np.ndarray, " runs"]
    """Runs whose rank-one factors hold a frame in each space; the others are unchanged."""
    condition: Float[np.ndarray, " runs"]
    """Largest condition number of P, Q and R; infinite where none was found."""
    sandwich: list[tuple[np.ndarray, np.ndarray, np.ndarray] | None]
    """(P, Q, R) of each run, as in `sandwich_factors`."""


def frame_gauge(problem: Problem, x: Factors) -> FrameGauge:
    """Sandwich each run so that directions of its rank-one factors become e₁, …, e_d and their sum.

    A sandwiching moves the row and column directions of the rank-one matrices among u, v, w by P, Q and
    R. Mapping d + 1 of them in general position to the standard frame fixes P, Q and R up to scale, so
    it undoes an arbitrary basis in one linear step, with no optimization: for factors that are exact up
    to a basis, what remains are slot scales. Among the orders of the frame the sparsest result is taken.
    It applies where enough factors have rank one.
    """
    target = problem.target
    if not isinstance(target, MatrixProduct):
        nothing = np.zeros(len(x), dtype=bool)
        return FrameGauge(np.array(x), nothing, np.full(len(x), np.inf), [None for _ in x])
    moved, found, condition = np.array(x), np.zeros(len(x), dtype=bool), np.full(len(x), np.inf)
    matrices = _slot_matrices(problem, x)
    directions = [_rank_one_directions(part) for part in matrices]
    sandwich: list[tuple[np.ndarray, np.ndarray, np.ndarray] | None] = []
    for run in range(len(x)):
        gauge = _frame_sandwich(target, [side[run] for side in directions])
        if gauge is None:
            sandwich.append(None)
            continue
        gauge = _sparsest_order(problem, x[run : run + 1], gauge)
        moved[run] = sandwich_factors(problem, x[run : run + 1], *gauge)[0]
        found[run] = True
        condition[run] = max(float(np.linalg.cond(g)) for g in gauge)
        sandwich.append(gauge)
    return FrameGauge(moved, found, condition, sandwich)


def _slot_matrices(problem: Problem, x: Factors) -> list[np.ndarray]:
    """u, v and w of every slot as matrices: (runs, slots, rows, columns)."""
    assert isinstance(problem.target, MatrixProduct)
    return [
        part.reshape(len(x), problem.slots, rows, columns)
        for part, (rows, columns) in zip(problem.split(x), problem.target.sides(), strict=True)
    ]


@cache
def _frame_orders(size: int) -> np.ndarray:
    """The matrices that permute the standard frame e₁, …, e_d, Σeᵢ as points: (d+1)! small integer ones."""
    points = np.vstack([np.eye(size), np.ones(size)])
    if size > LARGEST_REORDERED:
        return np.eye(size)[None]
    orders = []
    for order in itertools.permutations(range(size + 1)) if size > 1 else [(0, 1)]:
        basis, last = points[list(order[:-1])].T, points[order[-1]]
        orders.append(np.rint(basis * np.linalg.solve(basis, last)))
    return np.array(orders)


def _sparsest_order(
    problem: Problem, x: Factors, gauge: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which point of a frame becomes which is free: take the choice with the fewest nonzeros in U, V and W.

    Entries that are neither zero nor as large as their slot's largest count more, so that coefficients
    0 and ±1 are preferred. u depends on P and Q alone, v on Q and R, w on P and R: three tables decide.
    """
    assert isinstance(problem.target, MatrixProduct)
    p, q, r = (_frame_orders(size) @ g for size, g in zip(problem.target.format, gauge, strict=True))
    u, v, w = (part[0] for part in _slot_matrices(problem, x))
    of_u = _complexity(_inverse_transposed(p), u, q)
    of_v = _complexity(_inverse_transposed(q), v, r)
    of_w = _complexity(p, w, _inverse_transposed(r))
    total = of_u[:, :, None] + of_v[None, :, :] + of_w[:, None, :]
    i, j, k = np.unravel_index(int(total.argmin()), total.shape)
    return p[i], q[j], r[k]


def _inverse_transposed(g: np.ndarray) -> np.ndarray:
    return np.linalg.inv(g).swapaxes(-1, -2)


def _complexity(left: np.ndarray, x: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Weighted nonzeros of left · x · rightᵀ over all slots, for every pair of choices."""
    moved = left[:, None, None] @ x[None, None] @ right[None, :, None].swapaxes(-1, -2)
    moved = np.abs(moved.reshape(*moved.shape[:3], -1))
    share = moved / np.maximum(moved.max(axis=-1, keepdims=True), 1e-300)
    nonzero = share > ENTRY_NOISE
    uneven = nonzero & (share < 1 - ENTRY_NOISE)
    return (nonzero + UNEVEN_COST * uneven).sum(axis=(-1, -2))


def sandwich_factors(problem: Problem, x: Factors, p: np.ndarray, q: np.ndarray, r: np.ndarray) -> Factors:
    """u → P⁻ᵀ u Qᵀ, v → Q⁻ᵀ v Rᵀ, w → P w R⁻¹, in floating point; P, Q, R one for all or one a run."""
    assert isinstance(problem.target, MatrixProduct)
    u, v, w = _slot_matrices(problem, x)
    p, q, r = (g[:, None] if g.ndim == 3 else g for g in (p, q, r))
    p_inv, q_inv, r_inv = (np.linalg.inv(g) for g in (p, q, r))
    moved = (
        p_inv.swapaxes(-1, -2) @ u @ q.swapaxes(-1, -2),
        q_inv.swapaxes(-1, -2) @ v @ r.swapaxes(-1, -2),
        p @ w @ r_inv,
    )
    return np.concatenate([part.reshape(len(x), problem.slots, -1) for part in moved], axis=2)


def _rank_one_directions(matrices: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each run the column and the row directions (unit vectors) of its rank-one matrices."""
    left, values, right = np.linalg.svd(matrices, full_matrices=False)
    if values.shape[-1] > 1:
        rank_one = (values[..., 1] <= RANK_ONE * values[..., 0]) & (values[..., 0] > 0)
    else:
        rank_one = values[..., 0] > 0
    return [(left[run, rank_one[run], :, 0], right[run, rank_one[run], 0, :]) for run in range(len(matrices))]


def _frame_sandwich(
    target: MatrixProduct, directions: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    (u_left, u_right), (v_left, v_right), (w_left, w_right) = directions
    # P moves w's columns directly and u's inversely transposed; Q and R likewise.
    spaces = ((w_left, u_left), (u_right, v_left), (v_right, w_right))
    gauge = []
    for size, (direct, dual) in zip(target.format, spaces, strict=True):
        frames = [_best_frame(points, size) for points in (direct, dual)]
        weights = [0 if frame is None else frame[1] for frame in frames]
        frame = frames[int(np.argmax(weights))]
        if frame is None:
            return None
        basis, last = frame[0][:-1].T, frame[0][-1]
        to_standard = np.linalg.inv(basis * np.linalg.solve(basis, last))
        gauge.append(to_standard if weights[0] >= weights[1] else np.linalg.inv(to_standard).T)
    return gauge[0], gauge[1], gauge[2]


def _best_frame(points: np.ndarray, size: int) -> tuple[np.ndarray, int] | None:
    """size + 1 well-separated directions in general position, preferring those that occur most often."""
    if size == 1:
        return np.ones((2, 1)), 1
    distinct, counts = _distinct(points)
    order = np.argsort(-counts, kind="stable")
    basis: list[int] = []
    for at in order:
        if np.linalg.svd(distinct[[*basis, at]], compute_uv=False)[-1] > GENERAL_POSITION:
            basis.append(int(at))
        if len(basis) == size:
            break
    if len(basis) < size:
        return None
    inverse = np.linalg.inv(distinct[basis].T)
    for at in order:
        if np.abs(inverse @ distinct[at]).min() > GENERAL_POSITION:
            chosen = [*basis, int(at)]
            return distinct[chosen], int(counts[chosen].sum())
    return None


def _distinct(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions up to sign and small differences, with how often each occurs."""
    distinct: list[np.ndarray] = []
    counts: list[int] = []
    for point in points:
        for at, known in enumerate(distinct):
            if 1 - abs(float(known @ point)) < SAME_DIRECTION**2:
                counts[at] += 1
                break
        else:
            distinct.append(point)
            counts.append(1)
    return np.array(distinct).reshape(len(distinct), points.shape[1]), np.array(counts, dtype=int)


def minimum_norm(problem: Problem, x: Factors, solved: float) -> Factors:
    """Slide along the solutions to one of small norm, where that keeps the loss below `solved`.

    A falling ridge shrinks the factors, unpenalized steps restore exactness. Within one sandwiching
    orbit the point of smallest norm is unique up to rotations (Kempf and Ness 1979), so this undoes
    badly conditioned bases; among families of solutions it picks a moderate one.
    """
    start = balance(problem, x)
    for ridge in (0.03, 0.01, 0.003):
        start = levenberg_marquardt(problem, start, 12, penalty=ridge, damping=1e-3).x
    fit = levenberg_marquardt(problem, start, 60, damping=1e-3)
    return np.where((fit.loss < solved)[:, None, None], fit.x, x)


@final
@dataclass(frozen=True)
class Sparsification:
    """Schedule of the reweighted-L1 descent along the solutions."""

    rounds: int = 25
    strength: tuple[float, float] = (1e-2, 1e-4)
    smoothing: tuple[float, float] = (0.3, 0.01)
    finish: int = 25
    steps: int = 2
    """Levenberg-Marquardt steps in a round."""


def sparsify(problem: Problem, x: Factors, schedule: Sparsification) -> tuple[Factors, np.ndarray]:
    """Slide along the solutions to a sparse one by iteratively reweighted L1; returns it with its loss.

    Each round penalizes x² by strength / (|x| + smoothing), both falling geometrically, takes a few
    Levenberg-Marquardt steps and rebalances the slots; unpenalized steps then restore exactness. This
    moves through sandwichings, and also through families of solutions that no sandwiching connects.
    Candès, Wakin and Boyd (2008), "Enhancing sparsity by reweighted l1 minimization".
    """
    x = balance(problem, x)
    for step in range(schedule.rounds):
        share = step / max(1, schedule.rounds - 1)
        strength, smoothing = (start * (end / start) ** share for start, end in (schedule.strength, schedule.smoothing))
        fit = levenberg_marquardt(problem, x, schedule.steps, penalty=strength / (np.abs(x) + smoothing), damping=1e-3)
        x = balance(problem, fit.x)
    fit = levenberg_marquardt(problem, x, schedule.finish, damping=1e-3)
    return fit.x, fit.loss


def another_gauge(problem: Problem, x: Factors, generator: np.random.Generator) -> Factors:
    """The same solution in a moderately different basis: a random rotation times a random stretch."""
    if not isinstance(problem.target, MatrixProduct):
        return x
    gauge = []
    for size in problem.target.format:
        rotation, _ = np.linalg.qr(generator.standard_normal((size, size)))
        left, values, right = np.linalg.svd(generator.standard_normal((size, size)))
        gauge.append(rotation @ (left * np.exp(0.2 * values)) @ right)
    return sandwich_factors(problem, x, *gauge)
