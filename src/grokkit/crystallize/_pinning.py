"""Pinning: simple rational values for the entries that are not zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias, final

import numpy as np
from jaxtyping import Bool, Float

from grokkit.crystallize._descent import descend
from grokkit.crystallize._problem import Problem
from grokkit.crystallize._torus import even_out, independent, set_to_one

Rows: TypeAlias = list[list[Fraction]]

CLOSE: Final = 1e-8
"""Distance between a value and the rational that it is taken for."""
LARGEST_DENOMINATOR: Final = 1000
SOLVED: Final = 1e-12
FREEDOM: Final = 1e-9
"""Eigenvalues below this share of the largest count as zero: directions that no equation holds."""
MOVES: Final = 1e-3
STRIDE: Final = 0.25
"""Farthest that an entry is moved before the equations are solved again."""
VALUES: Final = ((1.0, 0.0), (2.0, 0.1), (0.5, 0.1), (3.0, 0.3), (1 / 3, 0.3), (4.0, 0.3), (0.25, 0.3))
"""Sizes that entries are moved to, with what they cost beside the way there."""
SIMPLE: Final = 64
"""Largest denominator of an entry that the choices so far determine."""
CANDIDATES: Final = 64
OUTPUTS_LAST: Final = 100.0
"""Added to the cost of choosing entries of W, in two attempts of four."""
MOST_PARAMETERS: Final = 40
LARGEST: Final = 20.0
SMALLEST: Final = 1e-3


@final
@dataclass(frozen=True)
class Pinning:
    """Rational factors that may be exact, a row for each slot."""

    u: Rows
    v: Rows
    w: Rows | None
    """None where an entry is no simple rational."""

    @property
    def denominator(self) -> int:
        """The largest; 0 where W is not known."""
        rows = self.u + self.v + self.w if self.w is not None else []
        return max((value.denominator for row in rows for value in row), default=0)

    @property
    def ternary(self) -> bool:
        return self.denominator == 1 and all(
            abs(value) <= 1 for row in self.u + self.v + (self.w or []) for value in row
        )


def pin(
    problem: Problem,
    x: Float[np.ndarray, "slots width"],
    free: Bool[np.ndarray, "slots width"],
    generator: np.random.Generator,
    number: int,
) -> Pinning | None:
    """Choose values for what the equations leave open in a thinned solution; None where that ends in no rationals.

    The torus sets as many entries to ±1 as it has dimensions, those nearest it first. What freedom remains is used up
    one entry at a time: it is moved to one of `VALUES` (in odd attempts to ±1) while the others follow, and kept there
    if what the equations then determine of U and V is rational. In the end they determine everything, and every entry
    is taken for the simplest rational within `CLOSE`. Attempt 0 takes the nearest choices; further ones draw them at
    random.
    """
    point = even_out(problem, x, free)
    at = np.flatnonzero(free)
    distance = np.abs(np.log(np.abs(point.reshape(-1)[at])))
    if number:
        distance = distance + 0.3 * generator.random(len(at))
    if number // 2 % 2:
        distance = distance + OUTPUTS_LAST * (at % problem.width >= problem.a + problem.b)
    chosen = independent(problem, at[np.argsort(distance, kind="stable")])
    point = set_to_one(problem, point, chosen)
    open_ = free.copy()
    open_.reshape(-1)[chosen] = False
    mobility = _mobility(problem, point, open_)
    for _ in range(MOST_PARAMETERS):
        if mobility is None or not mobility.any():
            break
        for entry, value in _choices(problem, point, open_, mobility, generator, number):
            moved = _move(problem, point, open_, free, entry, value)
            if moved is None:
                continue
            fewer = open_.copy()
            fewer.reshape(-1)[entry] = False
            mobility = _mobility(problem, moved, fewer)
            if mobility is not None:
                point, open_ = moved, fewer
                break
        else:
            return None
    if mobility is None or mobility.any():
        return None
    fit = descend(problem, point, 12, free=open_, damping=1e-8, tolerance=1e-26)
    return _rationals(problem, fit.x, free)


def _mobility(problem: Problem, x: np.ndarray, open_: np.ndarray) -> np.ndarray | None:
    """How far each open entry moves along the solutions, in the order of `np.flatnonzero(open_)`; 0 where determined.

    None if a determined one is no simple rational: then the choices made lead to irrational factors.
    """
    at = np.flatnonzero(open_)
    if not len(at):
        return np.zeros(0)
    matrix = problem.linearize(x[None]).gram_of_unknowns()[0][np.ix_(at, at)]
    values, vectors = np.linalg.eigh(matrix)
    count = int((values < FREEDOM * max(values[-1], 1.0)).sum())
    mobility = np.sqrt((vectors[:, :count] ** 2).sum(axis=1))
    mobility[mobility < MOVES] = 0
    determined = at[(mobility == 0) & (at % problem.width < problem.a + problem.b)]
    for value in x.reshape(-1)[determined]:
        found = simplest(float(value))
        if found is None or found.denominator > SIMPLE:
            return None
    return mobility


def _choices(
    problem: Problem,
    x: np.ndarray,
    open_: np.ndarray,
    mobility: np.ndarray,
    generator: np.random.Generator,
    number: int,
) -> list[tuple[int, float]]:
    """Entries that can still be chosen, with values for them, the easiest first."""
    at = np.flatnonzero(open_)
    here = x.reshape(-1)[at]
    power = _powers(at // problem.width, mobility / np.abs(here))
    choices: list[tuple[int, float, int, float]] = []
    for entry, value, moves, root in zip(at.tolist(), here.tolist(), mobility.tolist(), power.tolist(), strict=True):
        if moves == 0:
            continue
        efforts: list[tuple[float, float]] = []
        for size, cost in VALUES[:1] if number % 2 else VALUES:
            wanted = size if value > 0 else -size
            effort = (abs(value - wanted) + cost) / moves * root**2
            if number:
                effort *= 1 + 0.5 * float(generator.random())
            if number // 2 % 2 and entry % problem.width >= problem.a + problem.b:
                effort += OUTPUTS_LAST
            efforts.append((effort, wanted))
        choices += [(turn, effort, entry, wanted) for turn, (effort, wanted) in enumerate(sorted(efforts))]
    choices.sort()  # every entry's easiest value, then every entry's second: a square may be where a root is not
    return [(entry, value) for _, _, entry, value in choices[:CANDIDATES]]


def _powers(slots: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Relative speed of each entry over that of the slowest of its slot, which is rational where a power of it is."""
    slowest = np.full(int(slots.max(initial=0)) + 1, np.inf)
    moving = slopes > 0
    np.minimum.at(slowest, slots[moving], slopes[moving])
    return np.where(moving, slopes / slowest[slots], 1.0)


def _move(
    problem: Problem, x: np.ndarray, open_: np.ndarray, free: np.ndarray, entry: int, value: float
) -> np.ndarray | None:
    """Move an entry to a value, in strides, the other open entries following; None where they cannot."""
    others = open_.copy()
    others.reshape(-1)[entry] = False
    point = x.copy()
    start = float(point.reshape(-1)[entry])
    strides = max(1, math.ceil(abs(value - start) / STRIDE))
    for number in range(1, strides + 1):
        point.reshape(-1)[entry] = value if number == strides else start + (value - start) * number / strides
        fit = descend(problem, point, 12, free=others, damping=1e-5, may_give_up=True)
        if not fit.loss < SOLVED:
            return None
        point = fit.x
    sizes = np.abs(point[free])
    return point if sizes.max() < LARGEST and sizes.min() > SMALLEST else None


def _rationals(problem: Problem, x: np.ndarray, free: np.ndarray) -> Pinning | None:
    u, v, w = (_rows(values, nonzero) for values, nonzero in zip(problem.split(x), problem.split(free), strict=True))
    return None if u is None or v is None else Pinning(u, v, w)


def _rows(x: np.ndarray, free: np.ndarray) -> Rows | None:
    rows: Rows = []
    for values, nonzero in zip(x.tolist(), free.tolist(), strict=True):
        row: list[Fraction] = []
        for value, here in zip(values, nonzero, strict=True):
            found = simplest(value) if here else Fraction(0)
            if found is None:
                return None
            row.append(found)
        rows.append(row)
    return rows


def simplest(value: float, tolerance: float = CLOSE) -> Fraction | None:
    """The fraction of smallest denominator within `tolerance` of a value, by continued fractions (Stern-Brocot).

    None if its denominator exceeds `LARGEST_DENOMINATOR`.

    >>> simplest(-0.6666666661), simplest(0.41421356)
    (Fraction(-2, 3), None)
    """
    if not math.isfinite(value):
        return None
    low, high = Fraction(value) - Fraction(tolerance), Fraction(value) + Fraction(tolerance)
    if low <= 0 <= high:
        return Fraction(0)
    found = _simplest_between(low, high) if value > 0 else -_simplest_between(-high, -low)
    return found if found.denominator <= LARGEST_DENOMINATOR else None


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of smallest denominator in a closed interval of positive numbers."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    below = whole - 1
    return below + 1 / _simplest_between(1 / (high - below), 1 / (low - below))
