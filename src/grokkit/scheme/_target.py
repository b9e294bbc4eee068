"""Targets: the bilinear maps that schemes compute, as exact integer 3-tensors."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

import numpy as np
from jaxtyping import Int, Int64

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short

MAX_DIMENSION: Final = 1024
"""Largest n, m or p of a format: a flat tensor index stays below (1024²)³ = 2⁶⁰ and fits 64 bits."""


def immutable(array: np.ndarray) -> np.ndarray:
    """The same array, which nothing makes writeable again: int64 over immutable bytes, objects as a read-only view."""
    if array.dtype == np.int64 and array.size:
        return np.frombuffer(array.tobytes(), dtype=np.int64).reshape(array.shape)
    array = array.copy()
    array.setflags(write=False)
    return array.view()


class Target(ABC):
    """A bilinear map c = T(a, b), given by an integer tensor T of shape (len(a), len(b), len(c)).

    Subclasses fix how the three flattenings are indexed and named. The tensor itself is sparse:
    `entries` lists its nonzeros. Laws: `entries` is sorted by (i, j, k) and has no repeated index;
    two targets are equal exactly if they describe the same map with the same naming; `name` stands in
    angle brackets, and `parse_target` reads it.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Lengths of the flattened a, b and c."""

    @property
    @abstractmethod
    def entries(self) -> tuple[Int64[np.ndarray, "nonzeros 3"], Int64[np.ndarray, " nonzeros"]]:
        """Indices (i, j, k) of the nonzero entries in lexicographic order, and their values."""

    @property
    @abstractmethod
    def nonzeros(self) -> int:
        """Number of entries, without making them."""

    @abstractmethod
    def variable(self, side: int, index: int, latex: bool = False) -> str:
        """Name of entry `index` of a (side 0), b (side 1) or c (side 2), such as ``A11``."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The keys that identify this target in a scheme file; `Scheme` refuses those that it uses itself."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name, such as ``<2,2,2>``."""

    @property
    def description(self) -> str:
        """What is computed, in words: ``the product of a 2 x 2 by a 2 x 2 matrix``."""
        return self.name

    def sides(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """(rows, columns) of a, b and c as they are drawn: one row each, but for matrices."""
        a, b, c = self.shape
        return (1, a), (1, b), (1, c)

    @final
    def scheme_name(self, rank: int) -> str:
        """Name of a scheme for this target: ``<2,2,2;7>``."""
        return f"{self.name[:-1]};{rank}>"

    @final
    def tensor(self) -> Int[np.ndarray, "a b c"]:
        """The dense tensor, int64. Meant for small targets: it has prod(shape) entries."""
        dense = np.zeros(self.shape, dtype=np.int64)
        index, values = self.entries
        dense[index[:, 0], index[:, 1], index[:, 2]] = values
        return dense


@final
@dataclass(frozen=True)
class MatrixProduct(Target):
    """The product C = A B of an n×m by an m×p matrix, all flattened row by row.

    Entry (i, j, k) of the tensor is 1 where a_i b_j is a term of c_k: n·m·p ones.

    >>> MatrixProduct(2, 2, 2).tensor().sum()
    np.int64(8)
    >>> MatrixProduct.parse("3x4x5")
    MatrixProduct(n=3, m=4, p=5)
    """

    n: int
    m: int
    p: int

    def __post_init__(self) -> None:
        for letter, value in zip("nmp", (self.n, self.m, self.p), strict=True):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise InvalidInput(f"format: {letter} is {short(value)}; it must be an integer")
            if not 1 <= value <= MAX_DIMENSION:
                raise InvalidInput(f"format: {letter} is {short(value)}; it must lie in 1..{MAX_DIMENSION}")
            object.__setattr__(self, letter, int(value))

    def __reduce__(self) -> tuple[Any, ...]:
        return MatrixProduct, self.format

    @classmethod
    def parse(cls, text: str) -> MatrixProduct:
        """Read ``2x2x2``, ``2,2,2`` or ``<2,2,2>``."""
        match = re.fullmatch(r"<?\s*([0-9]{1,6})\s*[x,]\s*([0-9]{1,6})\s*[x,]\s*([0-9]{1,6})\s*>?", text.strip())
        if match is None:
            raise InvalidInput(f"format {short(text)} is not understood; write it as 2x2x2 (n x m x p)")
        return cls(*(int(group) for group in match.groups()))

    @classmethod
    def from_shape(cls, a: int, b: int, c: int) -> MatrixProduct:
        """The format whose flattenings have lengths a = n·m, b = m·p, c = n·p.

        It is unique: n² = a c / b. Raises `InvalidInput` if there is none.
        """
        if min(a, b, c) >= 1:
            n = int(np.sqrt(a * c / b) + 0.5)
            if n >= 1 and n * n * b == a * c and a % n == 0 and c % n == 0 and (a // n) * (c // n) == b:
                return cls(n, a // n, c // n)
        raise InvalidInput(f"factors of widths {a}, {b}, {c} fit no matrix format: n·m, m·p, n·p are needed")

    @property
    def format(self) -> tuple[int, int, int]:
        """(n, m, p)."""
        return self.n, self.m, self.p

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.n * self.m, self.m * self.p, self.n * self.p

    @cached_property
    def _entries(self) -> tuple[np.ndarray, np.ndarray]:
        i, k, j = np.meshgrid(np.arange(self.n), np.arange(self.m), np.arange(self.p), indexing="ij")
        index = np.stack([(i * self.m + k), (k * self.p + j), (i * self.p + j)], axis=-1).reshape(-1, 3)
        return immutable(index.astype(np.int64)), immutable(np.ones(len(index), dtype=np.int64))

    @property
    def entries(self) -> tuple[Int64[np.ndarray, "nonzeros 3"], Int64[np.ndarray, " nonzeros"]]:
        return self._entries

    @property
    def nonzeros(self) -> int:
        return self.n * self.m * self.p

    def sides(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """(rows, columns) of A, B and C."""
        return (self.n, self.m), (self.m, self.p), (self.n, self.p)

    def variable(self, side: int, index: int, latex: bool = False) -> str:
        row, column = divmod(index, self.sides()[side][1])
        comma = "," if max(self.format) > 9 else ""
        subscript = f"{row + 1}{comma}{column + 1}"
        letter = "ABC"[side]
        if latex:
            return f"{letter}_{{{subscript}}}"
        return f"{letter}[{subscript}]" if comma else f"{letter}{subscript}"

    @property
    def name(self) -> str:
        return f"<{self.n},{self.m},{self.p}>"

    @property
    def description(self) -> str:
        return f"the product of a {self.n} x {self.m} by a {self.m} x {self.p} matrix"

    def to_json(self) -> dict[str, Any]:
        return {"format": [self.n, self.m, self.p]}

    def __str__(self) -> str:
        return self.name
