"""Exact proof that a scheme computes its target, and the certificate that records it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, final

import numpy as np
from jaxtyping import Int64

from grokkit._version import __version__
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._gaussian import Gaussian, over, parts
from grokkit.scheme._scheme import Scheme, is_complex, magnitude
from grokkit.scheme._target import Target

BLOCK_TERMS: Final = 2**21
"""Terms, or tensor entries, held at once: bounds the memory beyond the scheme's own to some 200 MiB."""
MAX_FLOAT64: Final = 2**40
MAX_INT64: Final = 2**34
MAX_EXACT: Final = 2**28
"""Work past which `verify` declines, by arithmetic: each is a few minutes of one core."""
MAX_NONZEROS: Final = 2**22
"""Largest target, in nonzero entries, that is written out."""
EXACT_FLOAT64: Final = 2**53
EXACT_INT64: Final = 2**63

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
            f"Certificate({self.target.scheme_name(self.rank)}, ring={self.ring}, ternary={self.ternary}, "
            f"equations={self.equations}, digest={self.digest[:12]})"
        )


@final
class Refuted(ArithmeticError):
    """A scheme does not compute its target.

    Attributes
    ----------
    scheme:
        The scheme.
    index:
        (i, j, k) of the first wrong tensor entry in lexicographic order, counted from 0 in the
        flattenings of A, B and C.
    expected, found:
        The entry's value in the target and in the scheme, as exact rationals (integers over GF(p)).
    wrong, equations:
        How many of the tensor equations fail, and how many there are.
    conventions:
        Where factors from a file were tried under several conventions: each, with how many equations fail.
    """

    conventions: tuple[tuple[str, int], ...] = ()

    def __init__(self, scheme: Scheme, index: tuple[int, int, int], expected: Any, found: Any, wrong: int):
        self.scheme = scheme
        self.index = index
        self.expected = expected
        self.found = found
        self.wrong = wrong
        self.equations = int(np.prod(scheme.target.shape, dtype=object))
        a, b, c = (scheme.target.variable(side, position) for side, position in enumerate(index))
        values = f"{rational_text(found)}, expected {rational_text(expected)}"
        super().__init__(
            f"{scheme.name} is not exact over {scheme.ring}: the coefficient of {a} {b} in {c} "
            f"(tensor entry {index[0]}, {index[1]}, {index[2]}) is {values}; "
            f"{wrong} of {self.equations} equations fail"
        )

    def __str__(self) -> str:
        text = super().__str__()
        if not self.conventions:
            return text
        others = ", ".join(f"{name} {wrong}" for name, wrong in self.conventions)
        return f"{text}; no convention makes it exact (wrong equations: {others})"


def rational_text(number: Fraction | int | Gaussian) -> str:
    """An exact number for people: its digits, or from 10^24 on its order of magnitude."""
    if isinstance(number, Gaussian):
        return f"({rational_text(number.re)}) + ({rational_text(number.im)}) i"
    large = max(abs(number.numerator), number.denominator) >= 10**24
    return f"about {_power_of_ten(number)}" if large else str(number)


def _power_of_ten(number: Any) -> str:
    """Sign and order of magnitude of a rational whose digits nobody wants to read."""
    bits = abs(number.numerator).bit_length() - number.denominator.bit_length()
    return f"{'-' if number < 0 else ''}10^{round(bits * 0.30103)}"


def verify(scheme: Scheme) -> Certificate:
    """Prove in exact arithmetic that a scheme computes its target.

    Every tensor equation Σ_r u_ri v_rj w_kr = T_ijk is checked. Sums run in float64 BLAS or int64 only
    where a proven bound on Σ_r |u_ri v_rj w_kr| shows that no rounding or overflow can happen, and in
    arbitrary precision otherwise; rational factors are compared over their common denominator; over
    GF(p) the sums are reduced at the end; over Q(i) real and imaginary parts are proven apart.

    Returns the `Certificate`. Raises `Refuted` with the first wrong entry, and `InvalidInput` for a
    scheme so large that the proof is out of reach.

    >>> from grokkit.scheme.catalog import catalog
    >>> verify(catalog["strassen"]).equations
    64
    """
    check_size(scheme.target)
    wrong, first = _failures(scheme)
    if first is not None:
        raise _refutation(scheme, wrong, first)
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


def _failures(scheme: Scheme) -> tuple[int, tuple[int, int, int] | None]:
    """How many equations fail, and the first that does.

    Over Q(i) the real and the imaginary parts of the equations are checked one after the other, each as the
    equations of a scheme with four integer slots for every complex one; a wrong entry may fail in both.
    """
    count, first = 0, None
    for equations in _Equations.of(scheme):
        way, work, limit = equations.cheapest()
        if work > limit:
            raise InvalidInput(
                f"{scheme.name}: the proof needs {_power_of_ten(Fraction(work))} products, more than "
                f"{_power_of_ten(Fraction(limit))}; prove its factors before composing them"
            )
        wrong, found = equations.wrong(way)
        count += wrong
        if found is not None:
            first = found if first is None else min(first, found)
    return count, first


def check_size(target: Target) -> None:
    """Raise `InvalidInput` for a target of more entries than are written out."""
    if target.nonzeros > MAX_NONZEROS:
        raise InvalidInput(
            f"the target {target.name} has {target.nonzeros} nonzero entries, more than {MAX_NONZEROS}; "
            "prove the factors of the scheme before composing them"
        )


@final
@dataclass(frozen=True)
class _Equations:
    """The tensor equations of a scheme over its common denominator: Σ_r u_ri v_rj w_rk = scale · T_ijk.

    They are checked in blocks: one i, some consecutive j, every k.
    """

    u: np.ndarray
    v: np.ndarray
    w: np.ndarray
    """Factors, a row for each slot; slots that contribute nothing are left out."""
    target: Target
    scale: int
    characteristic: int

    @classmethod
    def of(cls, scheme: Scheme) -> list[_Equations]:
        """The equations of a scheme: one set, or two, for real and imaginary parts, where it is complex."""
        rows = (scheme.U, scheme.V, scheme.W.T)
        scale = math.prod(scheme.denominators)
        if not any(map(is_complex, rows)):
            return [cls._live(rows, scheme.target, scale, scheme.ring.characteristic)]
        (u, iu), (v, iv), (w, iw) = ((_part(matrix, 0), _part(matrix, 1)) for matrix in rows)
        real = ((u, -u, -iu, -iu), (v, iv, v, iv), (w, iw, iw, w))
        imaginary = ((u, u, iu, -iu), (v, iv, v, iv), (iw, w, w, iw))
        return [
            cls._live([np.concatenate(side) for side in sides], scheme.target, factor, 0)
            for sides, factor in ((real, scale), (imaginary, 0))
        ]

    @classmethod
    def _live(cls, rows: Sequence[np.ndarray], target: Target, scale: int, characteristic: int) -> _Equations:
        live = np.logical_and.reduce([(matrix != 0).any(axis=1) for matrix in rows])
        u, v, w = (matrix[live] for matrix in rows)
        return cls(u, v, w, target, scale, characteristic)

    def cheapest(self) -> tuple[str, int, int]:
        """The cheapest arithmetic that is exact here, its work in products, and how much is admitted.

        Every live slot has entries of magnitude 1 at least, so the bound holds for u v and v w as well.
        """
        bound = self._bound()
        u, v, w = ((matrix != 0).sum(axis=1).astype(object) for matrix in (self.u, self.v, self.w))
        terms = int((u * v * w).sum())
        _, b, c = self.target.shape
        dense = int(u.sum()) * b * c
        if bound < EXACT_FLOAT64 and dense < 40 * terms:
            return "float64", dense, MAX_FLOAT64
        return ("int64", terms, MAX_INT64) if bound < EXACT_INT64 else ("object", terms, MAX_EXACT)

    def _bound(self) -> int:
        """A bound on every partial sum, in Python integers."""
        slots = zip(*(_slot_magnitudes(matrix) for matrix in (self.u, self.v, self.w)), strict=True)
        return sum(u * v * w for u, v, w in slots) + self.scale * magnitude(self.target.entries[1])

    def wrong(self, way: str) -> tuple[int, tuple[int, int, int] | None]:
        """How many equations fail, and the first that does in lexicographic order."""
        count, first = 0, None
        for low, high in self._blocks(way):
            block = self._float64_block(low, high) if way == "float64" else self._sparse_block(low, high, way)
            for i, bad in block:
                if len(bad):
                    count += len(bad)
                    j, k = divmod(int(bad[0]), self.target.shape[2])
                    found = (i, low + j, k)
                    first = found if first is None else min(first, found)
        return count, first

    def _blocks(self, way: str) -> Iterator[tuple[int, int]]:
        """Ranges of j whose terms, for one i, fit the memory."""
        _, b, c = self.target.shape
        per_slot = (self.w != 0).sum(axis=1)
        weights = np.full(b, c) if way == "float64" else (self.v != 0).T.astype(np.int64) @ per_slot
        low, held = 0, 0
        for j, weight in enumerate(weights.tolist()):
            if held and held + weight > BLOCK_TERMS:
                yield low, j
                low, held = j, 0
            held += weight
        if b:
            yield low, b

    def _expected(self, low: int, high: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each i: positions in the block where the target is not zero, and scale times its entries there."""
        index, values = self.target.entries
        a, _, c = self.target.shape
        starts = np.searchsorted(index[:, 0], np.arange(a + 1))
        for i in range(a):
            here = index[starts[i] : starts[i + 1], 1:]
            inside = (here[:, 0] >= low) & (here[:, 0] < high)
            chosen = values[starts[i] : starts[i + 1]][inside]
            yield (here[inside, 0] - low) * c + here[inside, 1], chosen.astype(object) * self.scale

    def _float64_block(self, low: int, high: int) -> Iterator[tuple[int, np.ndarray]]:
        """Dense factors: the block is V^T diag(u_i) W, exact below 2^53."""
        v, w = self.v[:, low:high].astype(np.float64), self.w.astype(np.float64)
        for i, (flat, values) in enumerate(self._expected(low, high)):
            slots = np.flatnonzero(self.u[:, i])
            block = ((v[slots] * self.u[slots, i, None].astype(np.float64)).T @ w[slots]).ravel()
            block[flat] -= values.astype(np.float64)
            yield i, np.flatnonzero(np.mod(block, self.characteristic) if self.characteristic else block)

    def _sparse_block(self, low: int, high: int, way: str) -> Iterator[tuple[int, np.ndarray]]:
        """Sparse factors: all nonzero terms, added up by their place in the block."""
        pairs = _Pairs.of(self.v[:, low:high], self.w, way)
        size = (high - low) * self.target.shape[2]
        by_input, slots = np.nonzero(self.u.T)
        starts = np.searchsorted(by_input, np.arange(self.target.shape[0] + 1))
        for i, (flat, values) in enumerate(self._expected(low, high)):
            here = slots[starts[i] : starts[i + 1]]
            places, terms = pairs.times(here, self.u[here, i])
            places, terms = np.concatenate([flat, places]), np.concatenate([-values.astype(way), terms])
            if way == "int64" and size <= BLOCK_TERMS and size <= 64 * len(terms):
                sums = np.zeros(size, dtype=np.int64)
                np.add.at(sums, places, terms)
                yield i, np.flatnonzero(sums % self.characteristic if self.characteristic else sums)
            else:
                yield i, _nonzero_sums(places, terms, self.characteristic)


@final
@dataclass(frozen=True)
class _Pairs:
    """The outer product v_r ⊗ w_r of every slot, sparse, one slot after another."""

    places: Int64[np.ndarray, " pairs"]
    values: np.ndarray
    starts: Int64[np.ndarray, " slots_plus_one"]

    @classmethod
    def of(cls, v: np.ndarray, w: np.ndarray, dtype: str) -> _Pairs:
        slot, j = np.nonzero(v)
        slot_w, k = np.nonzero(w)
        starts_w = np.searchsorted(slot_w, np.arange(len(w) + 1))
        at, counts = _ranges(starts_w, slot)
        repeated_j, repeated_slot = np.repeat(j, counts), np.repeat(slot, counts)
        left, right = np.repeat(v[slot, j], counts), w[repeated_slot, k[at]]
        starts = np.searchsorted(repeated_slot, np.arange(len(v) + 1))
        return cls(repeated_j * w.shape[1] + k[at], left.astype(dtype) * right.astype(dtype), starts)

    def times(self, slots: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places and values of the pairs of some slots, each slot's multiplied by its factor."""
        at, counts = _ranges(self.starts, slots)
        return self.places[at], self.values[at] * np.repeat(factors.astype(self.values.dtype), counts)


def _ranges(starts: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The indices starts[x], ..., starts[x + 1] - 1 for each x of `which`, joined; and how many each has."""
    counts = starts[which + 1] - starts[which]
    offsets = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) + np.repeat(starts[which] - offsets, counts), counts


def _nonzero_sums(places: np.ndarray, terms: np.ndarray, characteristic: int) -> np.ndarray:
    """Places, ascending, whose terms do not add up to zero."""
    order = np.argsort(places, kind="stable")
    places, terms = places[order], terms[order]
    first = np.flatnonzero(np.diff(places, prepend=-1))
    if not len(first):
        return places
    sums = np.add.reduceat(terms, first)
    return places[first][(sums % characteristic if characteristic else sums) != 0]


def _part(array: np.ndarray, which: int) -> np.ndarray:
    """Real (0) or imaginary (1) parts of an array of Gaussian integers; int64 where they fit."""
    if array.dtype != object:
        return array if which == 0 else np.zeros_like(array)
    found = np.array([parts(value)[which] for value in array.flat], dtype=object).reshape(array.shape)
    return found.astype(np.int64) if magnitude(found) < 2**62 else found


def _slot_magnitudes(matrix: np.ndarray) -> list[int]:
    """Largest absolute entry of each row."""
    if matrix.dtype == object:
        return [magnitude(row) for row in matrix]
    if matrix.size == 0:
        return [0] * len(matrix)
    return [max(abs(int(high)), abs(int(low))) for high, low in zip(matrix.max(1), matrix.min(1), strict=True)]


def _refutation(scheme: Scheme, wrong: int, first: tuple[int, int, int]) -> Refuted:
    """The exception for the first wrong entry, its value recomputed in exact arithmetic."""
    i, j, k = first
    du, dv, dw = scheme.denominators
    columns = (scheme.U[:, i].tolist(), scheme.V[:, j].tolist(), scheme.W[k].tolist())
    total = sum(u * v * w for u, v, w in zip(*columns, strict=True))
    found = over(total, du * dv * dw)
    index, values = scheme.target.entries
    at = np.flatnonzero((index == first).all(axis=1))
    expected = int(values[at[0]]) if len(at) else 0
    if scheme.ring.characteristic:
        found = Fraction(total % scheme.ring.characteristic)
    return Refuted(scheme, first, expected, found, wrong)
