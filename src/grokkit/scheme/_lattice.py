"""Rounding to a lattice of coefficients, and the distance to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float

TERNARY: Final = (-1.0, 0.0, 1.0)


def nearest(x: Float[np.ndarray, "..."], lattice: Sequence[float] = TERNARY) -> Float[np.ndarray, "..."]:
    """The lattice value nearest to each entry; the smaller one on a tie.

    For the ternary lattice this is the source's clamp(round(x), -1, 1).

    >>> nearest(np.array([0.2, -0.7, 3.0]))
    array([ 0., -1.,  1.])
    """
    values = np.sort(np.asarray(lattice, dtype=np.float64))
    edges = (values[1:] + values[:-1]) / 2
    return values[np.searchsorted(edges, x, side="left")]


def lattice_distance(
    x: Float[np.ndarray, "*batch entries"], lattice: Sequence[float] = TERNARY
) -> Float[np.ndarray, "*batch"]:
    """δ = ‖x − Q(x)‖∞ over the last axis: the largest distance of an entry to its nearest lattice value.

    >>> float(lattice_distance(np.array([0.9, 0.0, -1.25])))
    0.25
    """
    x = np.asarray(x, dtype=np.float64)
    if x.shape[-1] == 0:
        return np.zeros(x.shape[:-1])
    return np.asarray(np.abs(x - nearest(x, lattice)).max(axis=-1))
