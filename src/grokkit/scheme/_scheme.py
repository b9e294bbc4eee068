"""`Scheme`: an exact bilinear algorithm, immutable."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, TypeAlias, final

import numpy as np
from jaxtyping import Float, Shaped

from grokkit._version import __version__
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._ring import Q, Ring, Z
from grokkit.scheme._target import Target

SIDES: Final = ("U", "V", "W")
IntegerMatrix: TypeAlias = np.ndarray | Sequence[Sequence[Any]]
MAX_FACTOR_ENTRIES: Final = 2**28
"""Largest number of entries in one factor matrix (2 GiB as int64)."""


@final
@dataclass(frozen=True)
class Provenance:
    """Where a scheme came from: how it was found, from which seed and configuration, by which version.

    It is a record, not evidence: nothing in the package trusts it, and it does not enter the digest.
    """

    method: str = "unknown"
    seed: int | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    def __post_init__(self) -> None:
        object.__setattr__(self, "configuration", MappingProxyType(dict(self.configuration)))

    def __hash__(self) -> int:
        return hash((self.method, self.seed, self.version))

    def to_json(self) -> dict[str, Any]:
        return {
            "configuration": dict(self.configuration),
            "method": self.method,
            "seed": self.seed,
            "version": self.version,
        }


def integer_array(values: Any, name: str, width: int) -> np.ndarray:
    """A read-only 2-D array of integers: int64 where every value fits, Python integers otherwise.

    `width` is the number of columns of a list without rows.
    """
    if isinstance(values, np.ndarray) and values.dtype != object:
        if values.ndim != 2:
            raise InvalidInput(f"{name}: shape {values.shape} has {values.ndim} axes; 2 are needed")
        if not np.issubdtype(values.dtype, np.integer):
            raise InvalidInput(
                f"{name}: dtype {values.dtype} is not an integer type; round, or use grokkit.crystallize"
            )
        if values.dtype != np.uint64:
            array = np.array(values, dtype=np.int64, order="C")
            array.setflags(write=False)
            return array
    rows = [list(row) for row in values]
    width = len(rows[0]) if rows else width
    for r, row in enumerate(rows):
        if len(row) != width:
            raise InvalidInput(f"{name}: row {r} has {len(row)} entries, row 0 has {width}")
        for c, value in enumerate(row):
            if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
                raise InvalidInput(f"{name}[{r}][{c}] is {value!r}; it must be an integer")
            row[c] = int(value)
    fits = all(-(2**63) < value < 2**63 for row in rows for value in row)
    array = np.empty((len(rows), width), dtype=np.int64 if fits else object)
    for r, row in enumerate(rows):
        array[r] = row
    array.setflags(write=False)
    return array


def magnitude(array: np.ndarray) -> int:
    """Largest absolute value, as a Python integer (0 for an empty array)."""
    if array.size == 0:
        return 0
    if array.dtype == object:
        return max(abs(int(value)) for value in array.flat)
    return max(abs(int(array.max())), abs(int(array.min())))


def _in_lowest_terms(array: np.ndarray, denominator: int) -> tuple[np.ndarray, int]:
    """Numerators and denominator without a common divisor, denominator positive."""
    if denominator < 0:
        array, denominator = -array, -denominator
    if denominator != 1:
        common = denominator
        for value in array.flat:
            common = math.gcd(common, int(value))
            if common == 1:
                break
        if common > 1:
            array, denominator = array // common, denominator // common
    array.setflags(write=False)
    return array, denominator


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Scheme:
    """An exact bilinear algorithm c = W((U a) ∘ (V b)) for a target, with integer or rational factors.

    Parameters
    ----------
    target:
        The bilinear map that the scheme claims to compute. `grokkit.verify` decides whether it does.
    U, V, W:
        Integer numerators: U is (rank × len(a)), V is (rank × len(b)), W is (len(c) × rank); for the
        product of an n×m by an m×p matrix len(a) = n·m, len(b) = m·p, len(c) = n·p, row by row.
    denominators:
        One positive integer for each of U, V and W.
    ring:
        Z, Q or GF(p). Default: Z if all denominators are 1 in lowest terms, otherwise Q.
        Coefficients over GF(p) are kept as the representatives in 0..p-1.
    provenance:
        How the scheme was found.

    Two schemes are equal if target, ring and normalized factors agree, slot by slot; provenance does
    not count. Laws: the arrays are read-only and in lowest terms; `save` then `load` is the identity.

    Raises `InvalidInput` on shapes that do not fit the target, non-integers, a zero denominator, or
    denominators outside Q.
    """

    target: Target
    U: Shaped[np.ndarray, "rank a"]
    V: Shaped[np.ndarray, "rank b"]
    W: Shaped[np.ndarray, "c rank"]
    denominators: tuple[int, int, int]
    ring: Ring
    provenance: Provenance

    def __init__(
        self,
        target: Target,
        U: IntegerMatrix,
        V: IntegerMatrix,
        W: IntegerMatrix,
        denominators: Sequence[int] = (1, 1, 1),
        ring: Ring | None = None,
        provenance: Provenance | None = None,
    ):
        if len(denominators) != 3 or any(int(d) == 0 for d in denominators):
            raise InvalidInput(f"denominators {denominators!r}: three nonzero integers are needed")
        a, b, c = target.shape
        rank = len(U)
        arrays, reduced = [], []
        for name, value, width, denominator in zip(SIDES, (U, V, W), (a, b, rank), denominators, strict=True):
            array, lowest = _in_lowest_terms(integer_array(value, name, width), int(denominator))
            arrays.append(array)
            reduced.append(lowest)
        for name, array, shape in zip(SIDES, arrays, ((rank, a), (rank, b), (c, rank)), strict=True):
            if array.shape != shape:
                raise InvalidInput(f"{name} has shape {array.shape}, but rank {rank} for {target.name} needs {shape}")
        if ring is None:
            ring = Z if reduced == [1, 1, 1] else Q
        if reduced != [1, 1, 1] and not ring.fractions:
            raise InvalidInput(f"denominators {tuple(reduced)} are not allowed over {ring}; use the ring Q")
        if ring.characteristic:
            arrays = [array % ring.characteristic for array in arrays]
        for name, array in zip(SIDES, arrays, strict=True):
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "denominators", tuple(reduced))
        object.__setattr__(self, "ring", ring)
        object.__setattr__(self, "provenance", provenance or Provenance())

    @classmethod
    def from_rationals(
        cls,
        target: Target,
        U: Iterable[Sequence[Fraction | int]],
        V: Iterable[Sequence[Fraction | int]],
        W: Iterable[Sequence[Fraction | int]],
        *,
        ring: Ring | None = None,
        provenance: Provenance | None = None,
    ) -> Scheme:
        """Build a scheme from exact rational factors; each matrix gets its least common denominator."""
        arrays, denominators = [], []
        for rows in (U, V, W):
            exact = [[Fraction(value) for value in row] for row in rows]
            common = math.lcm(*(value.denominator for row in exact for value in row))
            arrays.append([[int(value * common) for value in row] for row in exact])
            denominators.append(common)
        u, v, w = arrays
        return cls(target, u, v, w, denominators, ring, provenance)

    @property
    def rank(self) -> int:
        """Number of products."""
        return self.U.shape[0]

    @cached_property
    def ternary(self) -> bool:
        """Whether every coefficient lies in {-1, 0, 1}."""
        return self.denominators == (1, 1, 1) and all(magnitude(array) <= 1 for array in (self.U, self.V, self.W))

    @property
    def name(self) -> str:
        """Target and rank, such as ``<2,2,2;7>``."""
        return f"{self.target.name[:-1]};{self.rank}>"

    def floats(
        self, dtype: Any = np.float64
    ) -> tuple[Float[np.ndarray, "rank a"], Float[np.ndarray, "rank b"], Float[np.ndarray, "c rank"]]:
        """U, V and W as floating-point arrays, denominators divided out."""
        u, v, w = (
            np.asarray(np.asarray(array, dtype=np.float64) / denominator, dtype=dtype)
            for array, denominator in zip((self.U, self.V, self.W), self.denominators, strict=True)
        )
        return u, v, w

    def fractions(self) -> tuple[list[list[Fraction]], list[list[Fraction]], list[list[Fraction]]]:
        """U, V and W as exact rationals, row by row."""
        u, v, w = (
            [[Fraction(int(value), denominator) for value in row] for row in array]
            for array, denominator in zip((self.U, self.V, self.W), self.denominators, strict=True)
        )
        return u, v, w

    def permuted(self, order: Sequence[int]) -> Scheme:
        """The same algorithm with its products listed in another order."""
        order = list(order)
        if sorted(order) != list(range(self.rank)):
            raise InvalidInput(f"order {order!r} is not a permutation of 0..{self.rank - 1}")
        return Scheme(
            self.target,
            self.U[order],
            self.V[order],
            self.W[:, order],
            self.denominators,
            self.ring,
            self.provenance,
        )

    def with_provenance(self, provenance: Provenance) -> Scheme:
        """The same scheme with another record of its origin."""
        return Scheme(self.target, self.U, self.V, self.W, self.denominators, self.ring, provenance)

    def identity_json(self) -> dict[str, Any]:
        """What the scheme is, without provenance: target, ring and normalized factors in slot order."""
        content: dict[str, Any] = {"ring": str(self.ring), **self.target.to_json()}
        for name, array, denominator in zip(SIDES, (self.U, self.V, self.W), self.denominators, strict=True):
            content[name] = {"denominator": denominator, "rows": array.tolist()}
        return content

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the normalized factors in stored slot order, with target and ring.

        Hashed is the JSON text of `identity_json` with sorted keys and no spaces, so that any language
        can recompute it from a file.
        """
        text = json.dumps(self.identity_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scheme) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Scheme({self.name}, ring={self.ring}, ternary={self.ternary}, digest={self.digest[:12]})"

    def __str__(self) -> str:
        from grokkit.scheme._formulas import formulas

        return formulas(self)
