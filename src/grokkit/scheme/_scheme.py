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
from grokkit.scheme._files import short
from grokkit.scheme._gaussian import Gaussian, over, parts, simple
from grokkit.scheme._rational import rational
from grokkit.scheme._ring import Q, Ring, Z
from grokkit.scheme._target import Target, immutable

SIDES: Final = ("U", "V", "W")
IntegerMatrix: TypeAlias = np.ndarray | Sequence[Sequence[Any]]
MAX_FACTOR_ENTRIES: Final = 2**28
"""Largest number of entries in one factor matrix (2 GiB as int64)."""
MAX_INTEGER: Final = 10**4300
"""Integers are smaller than this: Python, and so JSON, writes and reads 4300 digits."""
MAX_NESTING: Final = 64
"""Deepest nesting of a provenance's configuration."""
RESERVED: Final = frozenset(
    ["U", "V", "W", "certificate", "digest", "equations", "grokkit", "provenance", "rank", "ring", "ternary", "version"]
)
"""Keys of files and certificates that a target's own JSON may not use."""


def _plain(value: Any, where: str, depth: int = 0) -> Any:
    """A fresh copy of `value` out of what JSON gives back unchanged: tuples become lists, numpy scalars Python's."""
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer):
        if abs(int(value)) >= MAX_INTEGER:
            raise InvalidInput(f"provenance: {where} has more than 4300 digits")
        return int(value)
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            raise InvalidInput(f"provenance: {where} is {short(value)}; a finite number is needed")
        return float(value)
    if depth >= MAX_NESTING:
        raise InvalidInput(f"provenance: configuration is nested more than {MAX_NESTING} deep")
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]"[:80], depth + 1) for i, item in enumerate(value)]
    if not isinstance(value, Mapping):
        raise InvalidInput(f"provenance: {where} is a {type(value).__name__}; JSON has no such value")
    for key in value:
        if not isinstance(key, str):
            raise InvalidInput(f"provenance: {where} has the key {short(key)}; keys are strings")
    return {str(key): _plain(item, f"{where}.{key[:40]}"[:80], depth + 1) for key, item in value.items()}


@final
@dataclass(frozen=True)
class Provenance:
    """Where a scheme came from: how it was found, from which seed and configuration, by which version.

    It is a record, not evidence: nothing in the package trusts it, and it does not enter the digest.
    The configuration holds what JSON holds: tuples become lists and numpy scalars Python numbers, so
    that saving and loading gives back an equal record. Raises `InvalidInput`, naming the field, for
    anything else.
    """

    method: str = "unknown"
    seed: int | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    def __post_init__(self) -> None:
        for name, value in (("method", self.method), ("version", self.version)):
            if not isinstance(value, str):
                raise InvalidInput(f"provenance: {name} is {short(value)}; a string is needed")
            object.__setattr__(self, name, str(value))
        seed = self.seed
        if seed is not None:
            integer = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
            if not integer or not -(2**63) <= int(seed) <= 2**64:
                raise InvalidInput(f"provenance: seed is {short(seed)}; None or an integer in -2^63..2^64 is needed")
            object.__setattr__(self, "seed", int(seed))
        if not isinstance(self.configuration, Mapping):
            raise InvalidInput(f"provenance: configuration is {short(self.configuration)}; a mapping is needed")
        configuration = _plain(self.configuration, "configuration")
        object.__setattr__(self, "configuration", MappingProxyType(configuration))

    def __reduce__(self) -> tuple[Any, ...]:
        return Provenance, (self.method, self.seed, dict(self.configuration), self.version)

    def __hash__(self) -> int:
        return hash((self.method, self.seed, self.version))

    def to_json(self) -> dict[str, Any]:
        return {
            "configuration": _plain(self.configuration, "configuration"),
            "method": self.method,
            "seed": self.seed,
            "version": self.version,
        }


def integer_array(values: Any, name: str, width: int, gaussian: bool = False) -> np.ndarray:
    """A 2-D array of integers: int64 where every value is above -2^63 and fits, Python integers otherwise.

    With `gaussian`, Gaussian integers are admitted; the array then holds objects if one of them is not real.

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
            if not array.size or array.min() > -(2**63):
                return array
    try:
        rows = [list(row) for row in values]
    except TypeError:
        raise InvalidInput(f"{name} is {short(values)}; rows of integers are needed") from None
    width = len(rows[0]) if rows else width
    for r, row in enumerate(rows):
        if len(row) != width:
            raise InvalidInput(f"{name}: row {r} has {len(row)} entries, row 0 has {width}")
        for c, value in enumerate(row):
            if isinstance(value, Gaussian) and all(isinstance(part, int) for part in parts(value)):
                if not gaussian:
                    raise InvalidInput(f"{name}[{r}][{c}] is {short(value)}; complex coefficients need the ring Q(i)")
                row[c] = simple(value.re, value.im)
                continue
            if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
                raise InvalidInput(f"{name}[{r}][{c}] is {short(value)}; it must be an integer")
            row[c] = int(value)
    fits = all(type(value) is int and -(2**63) < value < 2**63 for row in rows for value in row)
    array = np.empty((len(rows), width), dtype=np.int64 if fits else object)
    for r, row in enumerate(rows):
        array[r] = row
    return array


def _plain_rows(array: np.ndarray) -> list[list[Any]]:
    """Rows as JSON holds them: integers, and [re, im] for a Gaussian integer that is not real."""
    return [[[value.re, value.im] if isinstance(value, Gaussian) else value for value in row] for row in array.tolist()]


def magnitude(array: np.ndarray) -> int:
    """Largest absolute value, as a Python integer (0 for an empty array)."""
    if array.size == 0:
        return 0
    if array.dtype == object:
        return max(abs(part) for value in array.flat for part in parts(value))
    return max(abs(int(array.max())), abs(int(array.min())))


def _in_lowest_terms(array: np.ndarray, denominator: int) -> tuple[np.ndarray, int]:
    """Numerators and denominator without a common divisor, denominator positive; int64 where they fit."""
    if denominator < 0:
        array, denominator = -array, -denominator
    if denominator != 1:
        common = denominator
        for value in array.flat:
            common = math.gcd(common, *(int(part) for part in parts(value)))
            if common == 1:
                break
        if common == denominator and not array.any():
            return np.zeros(array.shape, dtype=np.int64), 1
        if common > 1:
            array, denominator = array // common, denominator // common
    return array, denominator


def _narrowed(array: np.ndarray, name: str) -> np.ndarray:
    """int64 where every value fits."""
    if array.dtype == object:
        largest = magnitude(array)
        if largest >= MAX_INTEGER:
            raise InvalidInput(f"{name}: a coefficient has more than 4300 digits")
        if largest < 2**63 and not is_complex(array):
            return array.astype(np.int64)
    return array


def is_complex(array: np.ndarray) -> bool:
    """Whether an array of exact numbers has entries that are not real."""
    return array.dtype == object and any(isinstance(value, Gaussian) for value in array.flat)


def _divided(array: np.ndarray, denominator: int, name: str) -> np.ndarray:
    """The quotients as float64, each rounded once: IEEE division where both sides are exact, else Python's."""
    if is_complex(array):
        raise InvalidInput(f"{name}: complex coefficients have no floats")
    if array.dtype == np.int64 and (denominator == 1 or max(magnitude(array), denominator) <= 2**53):
        return array.astype(np.float64) / denominator
    try:
        return np.array([int(value) / denominator for value in array.flat], dtype=np.float64).reshape(array.shape)
    except OverflowError:
        raise InvalidInput(f"{name}: a coefficient is too large for a float") from None


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
        Z, Q, Q(i) or GF(p). Default: Z if all denominators are 1 in lowest terms, otherwise Q. Over Q(i) entries may be
        `Gaussian` integers.
        Coefficients over GF(p) are kept as the representatives in 0..p-1.
    provenance:
        How the scheme was found.

    Two schemes are equal if target, ring and normalized factors agree, slot by slot; provenance does
    not count. Laws: the arrays are read-only for good (no ``setflags`` opens them) and in lowest terms;
    `save` then `load`, and pickling, are the identity.

    Raises `InvalidInput` on shapes that do not fit the target, non-integers, a zero denominator,
    denominators outside Q, or integers of more than 4300 digits.
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
        denominators: Sequence[Any] = (1, 1, 1),
        ring: Ring | None = None,
        provenance: Provenance | None = None,
    ):
        if len(denominators) != 3 or not all(
            isinstance(d, int | np.integer) and not isinstance(d, bool) and d != 0 for d in denominators
        ):
            shown = ", ".join(short(d) for d in list(denominators)[:4])
            raise InvalidInput(f"denominators ({shown}): three nonzero integers are needed")
        if taken := RESERVED & target.to_json().keys():
            raise InvalidInput(f"target {target.name}: its JSON may not use the key {min(taken)!r}")
        a, b, c = target.shape
        complex_ = ring is not None and ring.complex
        arrays, reduced, rank = [], [], 0
        for name, value, denominator in zip(SIDES, (U, V, W), denominators, strict=True):
            width = {"U": a, "V": b, "W": rank}[name]
            array, lowest = _in_lowest_terms(integer_array(value, name, width, complex_), int(denominator))
            if lowest >= MAX_INTEGER:
                raise InvalidInput(f"{name}: its denominator has more than 4300 digits")
            arrays.append(array)
            reduced.append(lowest)
            rank = len(arrays[0])
        for name, array, shape in zip(SIDES, arrays, ((rank, a), (rank, b), (c, rank)), strict=True):
            if array.shape != shape:
                raise InvalidInput(f"{name} has shape {array.shape}, but rank {rank} for {target.name} needs {shape}")
        if ring is None:
            ring = Z if reduced == [1, 1, 1] else Q
        if reduced != [1, 1, 1] and not ring.fractions:
            shown = ", ".join(map(short, reduced))
            raise InvalidInput(f"denominators ({shown}) are not allowed over {ring}; use the ring Q")
        if ring.characteristic:
            arrays = [array % ring.characteristic for array in arrays]
        for name, array in zip(SIDES, arrays, strict=True):
            object.__setattr__(self, name, immutable(_narrowed(array, name)))
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "denominators", tuple(reduced))
        object.__setattr__(self, "ring", ring)
        object.__setattr__(self, "provenance", provenance or Provenance())

    @classmethod
    def from_rationals(
        cls,
        target: Target,
        U: Iterable[Iterable[Any]],
        V: Iterable[Iterable[Any]],
        W: Iterable[Iterable[Any]],
        *,
        ring: Ring | None = None,
        provenance: Provenance | None = None,
    ) -> Scheme:
        """Build a scheme from integers and `Fraction`s; each matrix gets its least common denominator.

        Floats are refused: they are not what they look like.
        """
        arrays, denominators = [], []
        for rows in (U, V, W):
            exact = [[rational(value) for value in row] for row in rows]
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
        arrays = (self.U, self.V, self.W)
        return self.denominators == (1, 1, 1) and all(magnitude(x) <= 1 and not is_complex(x) for x in arrays)

    @property
    def name(self) -> str:
        """Target and rank, such as ``<2,2,2;7>``."""
        return self.target.scheme_name(self.rank)

    def floats(
        self, dtype: Any = np.float64
    ) -> tuple[Float[np.ndarray, "rank a"], Float[np.ndarray, "rank b"], Float[np.ndarray, "c rank"]]:
        """U, V and W as floating-point arrays, denominators divided out: fresh and writeable.

        Law: each entry is ``float(Fraction(numerator, denominator))``, correctly rounded to float64, then
        converted to `dtype`. Raises `InvalidInput` where that is too large for a float64.
        """
        u, v, w = (
            np.asarray(_divided(array, denominator, name), dtype=dtype)
            for name, array, denominator in zip(SIDES, (self.U, self.V, self.W), self.denominators, strict=True)
        )
        return u, v, w

    def fractions(self) -> tuple[list[list[Fraction]], list[list[Fraction]], list[list[Fraction]]]:
        """U, V and W as exact rationals, row by row. Raises `InvalidInput` for complex coefficients: see `numbers`."""
        if not self.ring.rational and any(map(is_complex, (self.U, self.V, self.W))):
            raise InvalidInput(f"{self.name}: its coefficients over {self.ring} are not rational")
        u, v, w = (
            [[Fraction(int(value), denominator) for value in row] for row in array]
            for array, denominator in zip((self.U, self.V, self.W), self.denominators, strict=True)
        )
        return u, v, w

    def numbers(self) -> tuple[list[list[Any]], list[list[Any]], list[list[Any]]]:
        """U, V and W as exact numbers, row by row: `Fraction`s, and `Gaussian` numbers where one is not real."""
        u, v, w = (
            [[over(value, denominator) for value in row] for row in array]
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
        """What the scheme is, without provenance: target, ring and normalized factors in slot order.

        The target's own keys stand beside the scheme's and never replace them: see `RESERVED`.
        """
        content: dict[str, Any] = {"ring": str(self.ring), **self.target.to_json()}
        for name, array, denominator in zip(SIDES, (self.U, self.V, self.W), self.denominators, strict=True):
            content[name] = {"denominator": denominator, "rows": _plain_rows(array)}
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
        return isinstance(other, Scheme) and type(self.target) is type(other.target) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return Scheme, (self.target, self.U, self.V, self.W, self.denominators, self.ring, self.provenance)

    def __repr__(self) -> str:
        return f"Scheme({self.name}, ring={self.ring}, ternary={self.ternary}, digest={self.digest[:12]})"

    def __str__(self) -> str:
        from grokkit.scheme._formulas import formulas

        return formulas(self)
