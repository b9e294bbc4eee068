"""Exact proof that a scheme computes its target, and the certificate that records it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, final

import numpy as np
from jaxtyping import Int64

from grokkit._version import __version__
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._scheme import Scheme, magnitude
from grokkit.scheme._target import Target

CHUNK_TERMS: Final = 2**22
"""Terms held at once by the sparse sum: bounds its memory to a few hundred megabytes."""
MAX_TERMS: Final = 2**36
"""Work past which `verify` declines: about an hour of one core."""
MAX_NONZEROS: Final = 2**24
"""Largest target, in nonzero entries, that is written out."""
EXACT_FLOAT64: Final = 2**53
EXACT_INT64: Final = 2**63
DENSE_TENSOR: Final = 2**26
"""Largest tensor kept as a dense accumulator (512 MiB of int64)."""

_ISSUED_BY_VERIFY = object()


@final
@dataclass(frozen=True)
class Certificate:
    """The record that `verify` proved a scheme. Only `verify` makes one.

    A certificate read from a file is never trusted: loading proves the scheme again and compares.
    """

    digest: str
    """SHA-256 of the scheme: normalized factors in stored slot order, target and ring."""
    target: Target
    rank: int
    ring: str
    ternary: bool
    equations: int
    """Number of tensor equations that hold, prod(target.shape)."""
    version: str
    """Version of grokkit that proved it."""
    _token: object = None

    def __post_init__(self) -> None:
        if self._token is not _ISSUED_BY_VERIFY:
            raise TypeError("a Certificate is issued by grokkit.verify(scheme), not constructed")
        object.__setattr__(self, "_token", None)

    def to_json(self) -> dict[str, Any]:
        return {
            "digest": self.digest,
            "equations": self.equations,
            "rank": self.rank,
            "ring": self.ring,
            "ternary": self.ternary,
            "version": self.version,
            **self.target.to_json(),
        }

    def __repr__(self) -> str:
        return (
            f"Certificate({self.target.name[:-1]};{self.rank}>, ring={self.ring}, ternary={self.ternary}, "
            f"equations={self.equations}, digest={self.digest[:12]})"
        )


@final
class Refuted(ArithmeticError):
    """A scheme does not compute its target.

    Attributes
    ----------
    index:
        (i, j, k) of the first wrong tensor entry in lexicographic order, counted from 0 in the
        flattenings of A, B and C.
    expected, found:
        The entry's value in the target and in the scheme, as exact rationals (integers over GF(p)).
    wrong, equations:
        How many of the tensor equations fail, and how many there are.
    """

    def __init__(self, scheme: Scheme, index: tuple[int, int, int], expected: Any, found: Any, wrong: int):
        self.index = index
        self.expected = expected
        self.found = found
        self.wrong = wrong
        self.equations = int(np.prod(scheme.target.shape, dtype=object))
        a, b, c = (scheme.target.variable(side, position) for side, position in enumerate(index))
        super().__init__(
            f"{scheme.name} is not exact over {scheme.ring}: the coefficient of {a} {b} in {c} "
            f"(tensor entry {index[0]}, {index[1]}, {index[2]}) is {found}, expected {expected}; "
            f"{wrong} of {self.equations} equations fail"
        )


def verify(scheme: Scheme) -> Certificate:
    """Prove in exact arithmetic that a scheme computes its target.

    Every tensor equation Σ_r u_ri v_rj w_kr = T_ijk is checked. Sums run in float64 BLAS or int64 only
    where a proven bound on Σ_r |u_ri v_rj w_kr| shows that no rounding or overflow can happen, and in
    arbitrary precision otherwise; rational factors are compared over their common denominator; over
    GF(p) the sums are reduced at the end.

    Returns the `Certificate`. Raises `Refuted` with the first wrong entry, and `InvalidInput` for a
    scheme so large that the proof is out of reach.

    >>> from grokkit.scheme.catalog import catalog
    >>> verify(catalog["strassen"]).equations
    64
    """
    if scheme.target.nonzeros > MAX_NONZEROS:
        raise InvalidInput(
            f"{scheme.name}: the target has {scheme.target.nonzeros} nonzero entries, more than "
            f"{MAX_NONZEROS}; prove its factors before composing them"
        )
    terms, slab_products = _work(scheme)
    du, dv, dw = scheme.denominators
    scale = du * dv * dw
    bound = _term_bound(scheme) + scale * magnitude(scheme.target.entries[1])
    if min(terms, slab_products) > MAX_TERMS:
        raise InvalidInput(
            f"{scheme.name}: the proof needs {min(terms, slab_products):.2g} products, more than "
            f"{MAX_TERMS:.2g}; prove its factors before composing them"
        )
    if bound < EXACT_FLOAT64 and 40 * terms > slab_products + CHUNK_TERMS:
        wrong = _mismatches_by_slabs(scheme, scale)
    elif bound < EXACT_INT64:
        wrong = _mismatches_sparse(scheme, scale)
    else:
        wrong = _mismatches_exact(scheme, scale)
    if len(wrong):
        raise _refutation(scheme, wrong)
    return Certificate(
        digest=scheme.digest,
        target=scheme.target,
        rank=scheme.rank,
        ring=str(scheme.ring),
        ternary=scheme.ternary,
        equations=int(np.prod(scheme.target.shape, dtype=object)),
        version=__version__,
        _token=_ISSUED_BY_VERIFY,
    )


def _slot_magnitudes(matrix: np.ndarray) -> list[int]:
    """Largest absolute entry of each row."""
    if matrix.dtype == object:
        return [magnitude(row) for row in matrix]
    if matrix.size == 0:
        return [0] * len(matrix)
    return [max(abs(int(high)), abs(int(low))) for high, low in zip(matrix.max(1), matrix.min(1), strict=True)]


def _term_bound(scheme: Scheme) -> int:
    """A bound on Σ_r |u_ri v_rj w_kr| for every (i, j, k), in Python integers."""
    return sum(
        u * v * w
        for u, v, w in zip(
            _slot_magnitudes(scheme.U), _slot_magnitudes(scheme.V), _slot_magnitudes(scheme.W.T), strict=True
        )
    )


def _work(scheme: Scheme) -> tuple[int, int]:
    """Number of terms of the sparse sum, and of products of the slab method."""
    u, v, w = ((matrix != 0).sum(1).astype(object) for matrix in (scheme.U, scheme.V, scheme.W.T))
    _, b, c = scheme.target.shape
    return int((u * v * w).sum()), int(u.sum()) * b * c


def _mismatches_by_slabs(scheme: Scheme, scale: int) -> Int64[np.ndarray, "wrong 3"]:
    """Dense factors: for each i the (b × c) slab V^T diag(u_i) W^T in float64, exact below 2^53."""
    v, w = scheme.V.astype(np.float64), scheme.W.T.astype(np.float64)
    index, values = scheme.target.entries
    starts = np.searchsorted(index[:, 0], np.arange(scheme.target.shape[0] + 1))
    wrong = []
    for i in range(scheme.target.shape[0]):
        slots = np.flatnonzero(scheme.U[:, i])
        slab = (v[slots] * scheme.U[slots, i, None].astype(np.float64)).T @ w[slots]
        here = slice(starts[i], starts[i + 1])
        slab[index[here, 1], index[here, 2]] -= values[here].astype(np.float64) * scale
        if scheme.ring.characteristic:
            slab = np.mod(slab, scheme.ring.characteristic)
        bad = np.argwhere(slab != 0)
        if len(bad):
            wrong.append(np.column_stack([np.full(len(bad), i), bad]))
    return np.concatenate(wrong).astype(np.int64) if wrong else np.empty((0, 3), dtype=np.int64)


def _slot_terms(scheme: Scheme, slot: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat tensor indices and values of one slot's outer product u ⊗ v ⊗ w."""
    _, b, c = scheme.target.shape
    u, v, w = scheme.U[slot], scheme.V[slot], scheme.W[:, slot]
    iu, iv, iw = np.flatnonzero(u), np.flatnonzero(v), np.flatnonzero(w)
    ij = iu[:, None] * b + iv
    flat = ij[:, :, None] * c + iw
    values = (u[iu, None] * v[iv])[:, :, None] * w[iw]
    return flat.ravel(), values.ravel()


def _mismatches_sparse(scheme: Scheme, scale: int) -> Int64[np.ndarray, "wrong 3"]:
    """Sum of all nonzero terms in int64, by flat tensor index."""
    a, b, c = scheme.target.shape
    index, values = scheme.target.entries
    target_flat = (index[:, 0] * b + index[:, 1]) * c + index[:, 2]
    accumulator = _DenseSum(a * b * c) if a * b * c <= DENSE_TENSOR else _SortedSum()
    accumulator.add(target_flat, -values * scale)
    pending: list[tuple[np.ndarray, np.ndarray]] = []
    held = 0
    for slot in range(scheme.rank):
        pending.append(_slot_terms(scheme, slot))
        held += len(pending[-1][0])
        if held >= CHUNK_TERMS or slot == scheme.rank - 1:
            accumulator.add(*(np.concatenate(part) for part in zip(*pending, strict=True)))
            pending, held = [], 0
    flat = accumulator.nonzero(scheme.ring.characteristic)
    return np.column_stack(np.unravel_index(flat, (a, b, c))).astype(np.int64)


@final
class _DenseSum:
    """Running sum over a dense int64 tensor."""

    def __init__(self, size: int) -> None:
        self._sum = np.zeros(size, dtype=np.int64)

    def add(self, flat: np.ndarray, values: np.ndarray) -> None:
        np.add.at(self._sum, flat, values)

    def nonzero(self, characteristic: int) -> np.ndarray:
        return np.flatnonzero(self._sum % characteristic if characteristic else self._sum)


@final
class _SortedSum:
    """Running sum over sorted distinct indices, for tensors too large to hold."""

    def __init__(self) -> None:
        self._flat = np.empty(0, dtype=np.int64)
        self._sum = np.empty(0, dtype=np.int64)

    def add(self, flat: np.ndarray, values: np.ndarray) -> None:
        flat, values = np.concatenate([self._flat, flat]), np.concatenate([self._sum, values])
        order = np.argsort(flat, kind="stable")
        flat, values = flat[order], values[order]
        first = np.flatnonzero(np.diff(flat, prepend=-1))
        sums = np.add.reduceat(values, first) if len(first) else values
        keep = sums != 0
        self._flat, self._sum = flat[first][keep], sums[keep]

    def nonzero(self, characteristic: int) -> np.ndarray:
        return self._flat[self._sum % characteristic != 0] if characteristic else self._flat


def _mismatches_exact(scheme: Scheme, scale: int) -> Int64[np.ndarray, "wrong 3"]:
    """The same sum in Python integers of any size."""
    index, values = scheme.target.entries
    total: dict[tuple[int, int, int], int] = {
        (int(i), int(j), int(k)): -int(value) * scale for (i, j, k), value in zip(index, values, strict=True)
    }
    columns = [
        [[(int(i), int(row[i])) for i in np.flatnonzero(row)] for row in matrix]
        for matrix in (scheme.U, scheme.V, scheme.W.T)
    ]
    for u, v, w in zip(*columns, strict=True):
        for i, x in u:
            for j, y in v:
                xy = x * y
                for k, z in w:
                    total[i, j, k] = total.get((i, j, k), 0) + xy * z
    p = scheme.ring.characteristic
    wrong = sorted(key for key, value in total.items() if (value % p if p else value))
    return np.array(wrong, dtype=np.int64).reshape(-1, 3)


def _refutation(scheme: Scheme, wrong: np.ndarray) -> Refuted:
    """The exception for the first wrong entry, its value recomputed in exact arithmetic."""
    i, j, k = (int(value) for value in wrong[np.lexsort(wrong.T[::-1])[0]])
    du, dv, dw = scheme.denominators
    total = sum(int(u) * int(v) * int(w) for u, v, w in zip(scheme.U[:, i], scheme.V[:, j], scheme.W[k], strict=True))
    found = Fraction(total, du * dv * dw)
    index, values = scheme.target.entries
    at = np.flatnonzero((index == (i, j, k)).all(axis=1))
    expected = int(values[at[0]]) if len(at) else 0
    if scheme.ring.characteristic:
        found = Fraction(total % scheme.ring.characteristic)
    return Refuted(scheme, (i, j, k), expected, found, len(wrong))
