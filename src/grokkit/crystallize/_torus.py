"""The torus of a target: diagonal changes of basis and slot scales, as linear maps between logarithms."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from grokkit.crystallize._problem import Problem
from grokkit.scheme import Target

ROUNDS: Final = 40
INDEPENDENT: Final = 1e-8


@lru_cache(maxsize=16)
def _characters(target: Target) -> np.ndarray:
    """A basis of the scalings of a, b and c that keep the target: (a + b + c, dimension).

    A scaling by exp(α), exp(β), exp(γ) of the entries of u, v and w keeps the sum over slots equal to T if
    α_i + β_j + γ_k = 0 wherever T_ijk is not zero.
    """
    index, _ = target.entries
    a, b, c = target.shape
    equations = np.zeros((len(index), a + b + c))
    rows = np.arange(len(index))
    for offset, column in ((0, 0), (a, 1), (a + b, 2)):
        equations[rows, offset + index[:, column]] = 1
    _, values, right = np.linalg.svd(equations, full_matrices=True)
    rank = int((values > 1e-9 * values[0]).sum())
    return right[rank:].T


@lru_cache(maxsize=4)
def _directions(target: Target, slots: int) -> np.ndarray:
    characters = _characters(target)
    a, b, _ = target.shape
    width, count = characters.shape
    out = np.zeros((slots, width, count + 2 * slots))
    out[:, :, :count] = characters
    for slot in range(slots):
        out[slot, :a, count + slot] = 1
        out[slot, a : a + b, count + slots + slot] = 1
        out[slot, a + b :, [count + slot, count + slots + slot]] = -1
    out = out.reshape(slots * width, count + 2 * slots)
    out.setflags(write=False)
    return out


def directions(problem: Problem) -> Float[np.ndarray, "unknowns dimension"]:
    """How the logarithm of each entry moves along the torus: diagonal basis changes, then two scales a slot."""
    return _directions(problem.target, problem.slots)


def even_out(
    problem: Problem, x: Float[np.ndarray, "slots width"], free: Bool[np.ndarray, "slots width"]
) -> Float[np.ndarray, "slots width"]:
    """The point of x's torus orbit with the smallest Σ |log |entry||, over the free entries; the others are zero.

    Where the orbit holds a point with all entries ±1, that is it. By iteratively reweighted least squares.
    """
    moves, values, at = directions(problem), x.reshape(-1), np.flatnonzero(free)
    logs, here = np.log(np.abs(values[at])), moves[at]
    weights, shift = np.ones(len(at)), np.zeros(here.shape[1])
    for _ in range(ROUNDS):
        roots = np.sqrt(weights)
        shift = np.linalg.lstsq(here * roots[:, None], -logs * roots, rcond=None)[0]
        weights = 1 / (np.abs(logs + here @ shift) + 1e-4)
    return (values * np.exp(moves @ shift)).reshape(x.shape)


def independent(problem: Problem, order: Int[np.ndarray, " entries"]) -> Int[np.ndarray, " dimension"]:
    """The first entries, in the given order, whose sizes the torus can choose independently: as many as it allows."""
    moves = directions(problem)
    basis = np.zeros((moves.shape[1], moves.shape[1]))
    chosen: list[int] = []
    for entry in order.tolist():
        rest = moves[entry]
        for _ in range(2):  # twice is enough
            rest = rest - basis[: len(chosen)].T @ (basis[: len(chosen)] @ rest)
        size = float(np.linalg.norm(rest))
        if size > INDEPENDENT:
            basis[len(chosen)] = rest / size
            chosen.append(entry)
            if len(chosen) == len(basis):
                break
    return np.array(chosen, dtype=np.int64)


def set_to_one(
    problem: Problem, x: Float[np.ndarray, "slots width"], chosen: Int[np.ndarray, " count"]
) -> Float[np.ndarray, "slots width"]:
    """The point of x's torus orbit at which the chosen independent entries are ±1."""
    moves, values = directions(problem), x.reshape(-1)
    shift = np.linalg.lstsq(moves[chosen], -np.log(np.abs(values[chosen])), rcond=None)[0]
    out = values * np.exp(moves @ shift)
    out[chosen] = np.sign(values[chosen])
    return out.reshape(x.shape)
