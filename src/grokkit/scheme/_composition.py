"""Schemes out of schemes: direct sums, restriction and extension. Kronecker products are in `_kronecker`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._kronecker import common_ring, format_of
from grokkit.scheme._scheme import MAX_FACTOR_ENTRIES, Provenance, Scheme, magnitude
from grokkit.scheme._standard import standard
from grokkit.scheme._target import MatrixProduct

AXES: Final = "nmp"


def direct_sum(a: Scheme, b: Scheme, axis: str) -> Scheme:
    """Two schemes side by side: <n,m,p;r> and <n',m,p;r'> give <n+n',m,p;r+r'> along ``n``, and so for ``m`` and ``p``.

    Along n the rows of A and C are split, along p the columns of B and C; along m, C is a sum of two products. It is
    exact if both are. Raises `InvalidInput` where the other two letters differ.

    >>> from grokkit.scheme.catalog import catalog, standard
    >>> direct_sum(catalog["strassen"], standard(2, 2, 1), "p").name
    '<2,2,3;11>'
    """
    first, second = format_of(a, "a direct sum"), format_of(b, "a direct sum")
    at = AXES.find(axis)
    if at < 0 or len(axis) != 1:
        raise InvalidInput(f"axis {axis!r} is not known; use one of n, m, p")
    if any(x != y for i, (x, y) in enumerate(zip(first, second, strict=True)) if i != at):
        raise InvalidInput(f"{a.name} and {b.name} have no direct sum along {axis}; the other two letters must agree")
    total = list(first)
    total[at] += second[at]
    target = MatrixProduct(*total)
    rank = a.rank + b.rank
    if rank * max(target.shape) > MAX_FACTOR_ENTRIES:
        raise InvalidInput(f"the direct sum of {a.name} and {b.name} has more coefficients than are stored")
    denominators = [math.lcm(x, y) for x, y in zip(a.denominators, b.denominators, strict=True)]
    parts = []
    for scheme, offset in ((a, 0), (b, first[at])):
        placed = []
        small = MatrixProduct(*format_of(scheme)).sides()
        for side, x in enumerate((scheme.U, scheme.V, scheme.W.T)):
            # the letters of a side: A is n × m, B is m × p, C is n × p
            shift = [offset if letter == axis else 0 for letter in ("nm", "mp", "np")[side]]
            scale = denominators[side] // scheme.denominators[side]
            placed.append(_placed(x, scale, small[side], target.sides()[side], shift))
        parts.append(placed)
    u, v, w = (np.concatenate([one, two]) for one, two in zip(*parts, strict=True))
    provenance = Provenance("direct sum", configuration={"axis": axis, "first": a.digest, "second": b.digest})
    return Scheme(target, u, v, w.T, denominators, common_ring(a, b), provenance)


def _placed(
    rows: np.ndarray, scale: int, small: tuple[int, int], large: tuple[int, int], shift: Sequence[int]
) -> np.ndarray:
    """Each row, a small matrix, inside a large one of zeros."""
    kind = object if magnitude(rows) * scale >= 2**63 else rows.dtype
    out = np.zeros((len(rows), *large), dtype=kind)
    i, j = shift
    out[:, i : i + small[0], j : j + small[1]] = rows.reshape(-1, *small).astype(kind) * scale
    return out.reshape(len(rows), -1)


def restricted(scheme: Scheme, n: Sequence[int], m: Sequence[int], p: Sequence[int]) -> Scheme:
    """The scheme for smaller matrices: all rows and columns but those listed (counted from 0) are zero and left out.

    Slots that then compute nothing, as one of their factors is zero, are dropped, so the rank may fall.

    >>> from grokkit.scheme.catalog import catalog
    >>> restricted(catalog["strassen"], [0, 1], [0, 1], [0]).name
    '<2,2,1;4>'
    """
    form = format_of(scheme, "restriction")
    kept = [list(n), list(m), list(p)]
    for letter, size, indices in zip(AXES, form, kept, strict=True):
        if not indices or len(set(indices)) < len(indices) or not all(0 <= i < size for i in indices):
            raise InvalidInput(f"{letter}: {indices} is no choice of different indices in 0..{size - 1}")
    target = MatrixProduct(*(len(indices) for indices in kept))
    chosen = ((kept[0], kept[1]), (kept[1], kept[2]), (kept[0], kept[2]))
    sides = [
        x.reshape(-1, *shape)[:, rows][:, :, columns].reshape(len(x), -1)
        for x, shape, (rows, columns) in zip(
            (scheme.U, scheme.V, scheme.W.T), MatrixProduct(*form).sides(), chosen, strict=True
        )
    ]
    live = np.logical_and.reduce([(x != 0).any(axis=1) for x in sides])
    u, v, w = (x[live] for x in sides)
    configuration = {"base": scheme.digest} | dict(zip(AXES, kept, strict=True))
    provenance = Provenance("restriction", configuration=configuration)
    return Scheme(target, u, v, w.T, scheme.denominators, scheme.ring, provenance)


def extended(scheme: Scheme, n: int, m: int, p: int) -> Scheme:
    """The scheme for larger matrices, the rest computed by the standard algorithm.

    >>> from grokkit.scheme.catalog import catalog
    >>> extended(catalog["strassen"], 3, 3, 3).name
    '<3,3,3;26>'
    """
    goal = MatrixProduct(n, m, p).format
    if any(wanted < have for wanted, have in zip(goal, format_of(scheme, "extension"), strict=True)):
        raise InvalidInput(f"{scheme.name} cannot be extended to <{n},{m},{p}>, which is smaller in a side")
    result = scheme
    for at in range(3):
        have = list(format_of(result))
        if goal[at] > have[at]:
            have[at] = goal[at] - have[at]
            result = direct_sum(result, standard(*have), AXES[at])
    return result.with_provenance(Provenance("extension", configuration={"base": scheme.digest}))
