"""The schoolbook algorithm of any target."""

from __future__ import annotations

import numpy as np

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._scheme import MAX_FACTOR_ENTRIES, Provenance, Scheme
from grokkit.scheme._target import MatrixProduct, Target


def standard(n: int, m: int, p: int) -> Scheme:
    """The schoolbook algorithm of <n,m,p>: n·m·p products of one entry of A by one of B.

    >>> standard(2, 2, 2).rank
    8
    """
    return standard_scheme(MatrixProduct(n, m, p))


def standard_scheme(target: Target) -> Scheme:
    """The schoolbook algorithm of any target: one product a_i b_j for each pair (i, j) that occurs.

    >>> from grokkit.scheme import QuaternionProduct
    >>> standard_scheme(QuaternionProduct()).name
    '<quaternion;16>'
    """
    a, b, c = target.shape
    rank = target.nonzeros
    if rank * max(a, b, c) > MAX_FACTOR_ENTRIES:
        raise InvalidInput(f"the standard algorithm of {target.name} has {rank} products: too large to store")
    index, values = target.entries
    pairs, slots = np.unique(index[:, :2], axis=0, return_inverse=True)
    slots = slots.reshape(-1)
    rank = len(pairs)
    u, v, w = (np.zeros(shape, dtype=np.int64) for shape in ((rank, a), (rank, b), (c, rank)))
    u[np.arange(rank), pairs[:, 0]] = 1
    v[np.arange(rank), pairs[:, 1]] = 1
    w[index[:, 2], slots] = values
    return Scheme(target, u, v, w, provenance=Provenance("standard algorithm"))
