"""The schoolbook algorithm of any format."""

from __future__ import annotations

import numpy as np

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._scheme import MAX_FACTOR_ENTRIES, Provenance, Scheme
from grokkit.scheme._target import MatrixProduct


def standard(n: int, m: int, p: int) -> Scheme:
    """The schoolbook algorithm of <n,m,p>: n·m·p products of one entry of A by one of B.

    >>> standard(2, 2, 2).rank
    8
    """
    target = MatrixProduct(n, m, p)
    rank = target.nonzeros
    a, b, c = target.shape
    if rank * max(a, b, c) > MAX_FACTOR_ENTRIES:
        raise InvalidInput(f"the standard algorithm of {target.name} has {rank} products: too large to store")
    index, _ = target.entries
    slots = np.arange(rank)
    u, v, w = (np.zeros(shape, dtype=np.int64) for shape in ((rank, a), (rank, b), (c, rank)))
    u[slots, index[:, 0]] = 1
    v[slots, index[:, 1]] = 1
    w[index[:, 2], slots] = 1
    return Scheme(target, u, v, w, provenance=Provenance("standard algorithm"))
