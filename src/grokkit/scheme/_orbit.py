"""Searching the orbit of a scheme under changes of basis for a cheaper or more accurate one."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Final, final

import numpy as np

from grokkit.scheme._canonical import canonical
from grokkit.scheme._counts import additions, frobenius_growth, growth_factor
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._kronecker import format_of
from grokkit.scheme._reduction import reduce_additions
from grokkit.scheme._scheme import Provenance, Scheme
from grokkit.scheme._symmetry import sandwiched
from grokkit.scheme._verify import verify
from grokkit.scheme._words import suggestion

OBJECTIVES: Final = ("additions", "reduced", "nonzeros", "growth", "frobenius")
TINY: Final = 1e-9
MAX_BITS: Final = 20
REDUCTION_TRIES: Final = 8


def improve(
    scheme: Scheme,
    objective: str = "additions",
    seed: int = 0,
    steps: int = 20_000,
    lattice: str = "unimodular",
    bits: int = 2,
) -> Scheme:
    """A scheme of the same orbit under sandwiching for which an objective is smaller, or the same scheme.

    Parameters
    ----------
    objective:
        ``additions`` as written; ``reduced``: with common subexpressions shared (slow: some 20 steps a second);
        ``nonzeros`` of the factors; ``growth``: the growth factor in the max norm; ``frobenius``: that in the
        Frobenius norm.
    seed, steps:
        Randomness, and how many changes of basis are tried. Same arguments, same result.
    lattice:
        ``unimodular``: bases change by adding ± one row to another, so integer schemes stay integer. ``dyadic``: also
        by ± 1/2 of a row and by doubling or halving a row.
    bits:
        Entries of the bases, made integers without a common power of two, are at most 2ᵇⁱᵗˢ; at most 20. Dyadic
        numbers are dense: the more bits, the closer an accuracy to its infimum over the reals, and the less simple
        the coefficients.

    The search walks from basis to basis, one elementary matrix at a time; it takes every step that does not raise the
    objective, others with a probability that falls as they cost more and as the search goes on, and returns now and
    then to the best basis met. It walks in floating point; the best basis, whose entries are dyadic and exact, is
    then applied exactly and the result proven.

    >>> from grokkit.scheme.catalog import catalog
    >>> round(frobenius_growth(improve(catalog["strassen"], "frobenius", lattice="dyadic")), 4)
    12.2034
    """
    if objective not in OBJECTIVES:
        raise InvalidInput(f"objective {objective!r} is not known{suggestion(objective, OBJECTIVES)}")
    if lattice not in ("unimodular", "dyadic"):
        raise InvalidInput(f"lattice {lattice!r} is not known{suggestion(lattice, ('unimodular', 'dyadic'))}")
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name}: bases are changed over Q, not over {scheme.ring}")
    if not 0 <= bits <= MAX_BITS:
        raise InvalidInput(f"bits is {bits}; 0 to {MAX_BITS} are possible")
    form = format_of(scheme, "the search of an orbit")
    walk = _Walk(scheme, objective, seed, bits)
    generator = np.random.default_rng(seed)
    start = walk.cost
    best, best_cost = walk.bases, start
    sides = [which for which, size in enumerate(form) if size > 1 or lattice == "dyadic"]
    for step in range(steps if sides else 0):
        which = sides[int(generator.integers(len(sides)))]
        change = _elementary(len(walk.bases[which]), lattice, generator)
        temperature = 0.06 * (1 - step / steps) ** 2
        if walk.try_step(which, change, temperature, generator) and walk.cost < best_cost - TINY:
            best, best_cost = walk.bases, walk.cost
        elif generator.random() < 0.002:
            walk.go_to(best)
    if best_cost >= start - TINY:
        return scheme
    moved = sandwiched(scheme, *([[Fraction(x) for x in row] for row in basis.tolist()] for basis in best))
    tidy = canonical(moved)
    assert isinstance(tidy, Scheme)
    chosen = tidy if exact_cost(tidy, objective, seed) <= exact_cost(moved, objective, seed) else moved
    configuration = {"base": scheme.digest, "objective": objective, "steps": steps, "lattice": lattice, "bits": bits}
    chosen = chosen.with_provenance(Provenance("orbit search", seed, configuration))
    verify(chosen)
    return chosen


def exact_cost(scheme: Scheme, objective: str, seed: int = 0) -> float:
    """The objective of a scheme, as `improve` compares it."""
    measures: dict[str, Callable[[Scheme], float]] = {
        "additions": lambda s: float(additions(s).total),
        "reduced": lambda s: float(reduce_additions(s, seed, REDUCTION_TRIES).additions),
        "nonzeros": lambda s: float(sum(int((x != 0).sum()) for x in (s.U, s.V, s.W))),
        "growth": lambda s: float(growth_factor(s)),
        "frobenius": frobenius_growth,
    }
    return measures[objective](scheme)


@final
class _Walk:
    """A basis of the orbit, with the factors in it as float64 matrices (slots × rows × columns)."""

    def __init__(self, scheme: Scheme, objective: str, seed: int, bits: int):
        n, m, p = format_of(scheme)
        u, v, w = scheme.floats()
        self._start = (u.reshape(-1, n, m), v.reshape(-1, m, p), np.ascontiguousarray(w.T).reshape(-1, n, p))
        self._scheme, self._objective, self._seed, self._unit = scheme, objective, seed, 2.0**bits
        self.bases = (np.eye(n), np.eye(m), np.eye(p))
        self.sides = self._start
        self.cost = self._cost(self.sides, self.bases)

    def try_step(self, which: int, change: np.ndarray, temperature: float, generator: np.random.Generator) -> bool:
        """Take the step, or not. Law: `sides` are the first factors in `bases`."""
        change = change * _power_of_two(change @ self.bases[which])
        basis = change @ self.bases[which]
        inverse = np.linalg.inv(change)
        if np.abs(basis).max() > self._unit:
            return False
        u, v, w = self.sides
        if which == 0:
            u, w = inverse.T @ u, change @ w
        elif which == 1:
            u, v = u @ change.T, inverse.T @ v
        else:
            v, w = v @ change.T, w @ inverse
        bases = list(self.bases)
        bases[which] = basis
        cost = self._cost((u, v, w), (bases[0], bases[1], bases[2]))
        worse = (cost - self.cost) / max(self.cost, TINY)
        if worse > TINY and (temperature <= 0 or generator.random() >= np.exp(-worse / temperature)):
            return False
        self.sides, self.bases, self.cost = (u, v, w), (bases[0], bases[1], bases[2]), cost
        return True

    def go_to(self, bases: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        p, q, r = bases
        u, v, w = self._start
        p_inv, q_inv, r_inv = map(np.linalg.inv, bases)
        self.bases, self.sides = bases, (p_inv.T @ u @ q.T, q_inv.T @ v @ r.T, p @ w @ r_inv)
        self.cost = self._cost(self.sides, self.bases)

    def _cost(self, sides: tuple[np.ndarray, ...], bases: tuple[np.ndarray, ...]) -> float:
        if self._objective == "reduced":
            exact = sandwiched(self._scheme, *([[Fraction(x) for x in row] for row in b.tolist()] for b in bases))
            return exact_cost(exact, "reduced", self._seed)
        u, v, w = (side.reshape(len(side), -1) for side in sides)
        if self._objective == "frobenius":
            return float(np.sqrt((u * u).sum(1) * (v * v).sum(1) * (w * w).sum(1)).sum())
        if self._objective == "growth":
            return float(((np.abs(u).sum(1) * np.abs(v).sum(1)) @ np.abs(w)).max())
        used = sum(int((np.abs(x) > TINY).sum()) for x in (u, v, w))
        if self._objective == "nonzeros":
            return float(used)
        return float(used - 2 * len(u) - w.shape[1])  # each sum of k terms takes k − 1 additions


def _power_of_two(basis: np.ndarray) -> float:
    """What a dyadic matrix is multiplied by to become one of integers that are not all even."""
    whole = basis * 2.0**MAX_BITS
    twos = np.gcd.reduce(whole.astype(np.int64), axis=None)
    return 2.0**MAX_BITS / float(twos & -twos)


def _elementary(size: int, lattice: str, generator: np.random.Generator) -> np.ndarray:
    """A random elementary matrix: a multiple of one row added to another, or a row scaled by a power of two."""
    matrix = np.eye(size)
    i = int(generator.integers(size))
    if lattice == "dyadic" and (size == 1 or generator.random() < 0.3):
        matrix[i, i] = (2.0, 0.5)[int(generator.integers(2))]
        return matrix
    j = int((i + 1 + generator.integers(size - 1)) % size)
    choices = (1.0, -1.0, 0.5, -0.5) if lattice == "dyadic" else (1.0, -1.0)
    matrix[i, j] = choices[int(generator.integers(len(choices)))]
    return matrix
