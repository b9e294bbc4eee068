"""Targets other than matrix products: polynomials, convolutions, Toeplitz matrices, complex numbers, quaternions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, final

import numpy as np
from jaxtyping import Int64

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short
from grokkit.scheme._target import Target, immutable

MAX_LENGTH: Final = 2**16
"""Most terms of a polynomial, longest cyclic convolution, longest side of a Toeplitz matrix."""


def _checked(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InvalidInput(f"{what} is {short(value)}; it must be an integer")
    if not 1 <= value <= MAX_LENGTH:
        raise InvalidInput(f"{what} is {short(value)}; it must lie in 1..{MAX_LENGTH}")
    return int(value)


class FlatTarget(Target):
    """A target whose operands are plain vectors, with entries a0, a1, ..., b0, ... and c0, ....

    Attributes
    ----------
    kind:
        Its name in a scheme file.
    size_key:
        The key of its sizes there; empty for a target of one size only.
    """

    kind: ClassVar[str]
    size_key: ClassVar[str] = ""

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, ...]:
        """What tells the targets of this kind apart, in the order of the constructor's arguments."""

    @abstractmethod
    def _terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """i, j, k and value of every nonzero entry, in any order, as arrays of one shape."""

    @final
    @cached_property
    def _entries(self) -> tuple[np.ndarray, np.ndarray]:
        i, j, k, values = (np.asarray(part, dtype=np.int64).ravel() for part in self._terms())
        order = np.lexsort((k, j, i))
        return immutable(np.stack([i, j, k], axis=1)[order]), immutable(values[order])

    @final
    @property
    def entries(self) -> tuple[Int64[np.ndarray, "nonzeros 3"], Int64[np.ndarray, " nonzeros"]]:
        return self._entries

    @final
    def variable(self, side: int, index: int, latex: bool = False) -> str:
        return f"{'abc'[side]}_{{{index}}}" if latex else f"{'abc'[side]}{index}"

    @final
    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {"kind": self.kind}
        if self.size_key:
            content[self.size_key] = self.sizes[0] if len(self.sizes) == 1 else list(self.sizes)
        return {"target": content}

    @final
    def __str__(self) -> str:
        return self.name

    @final
    def __reduce__(self) -> tuple[Any, ...]:  # without the entries
        return type(self), self.sizes


def _two(name: str, n: int, m: int) -> str:
    return f"<{name}:{n}>" if n == m else f"<{name}:{n}x{m}>"


@final
@dataclass(frozen=True, init=False)
class PolynomialProduct(FlatTarget):
    """The product of polynomials of n and m terms, m = n by default: c_k = Σ a_i b_(k−i), lowest powers first.

    Also the full linear convolution of vectors of n and m entries. c has n + m − 1 terms.

    >>> PolynomialProduct(3, 2).shape, PolynomialProduct(2).name
    ((3, 2, 4), '<poly:2>')
    """

    n: int
    m: int
    kind: ClassVar[str] = "polynomial"
    size_key: ClassVar[str] = "terms"

    def __init__(self, n: int, m: int | None = None):
        object.__setattr__(self, "n", _checked("polynomial: the number of terms", n))
        object.__setattr__(self, "m", self.n if m is None else _checked("polynomial: the number of terms", m))

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.n, self.m

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.n, self.m, self.n + self.m - 1

    @property
    def nonzeros(self) -> int:
        return self.n * self.m

    def _terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        i, j = np.indices((self.n, self.m))
        return i, j, i + j, np.ones_like(i)

    @property
    def name(self) -> str:
        return _two("poly", self.n, self.m)

    @property
    def description(self) -> str:
        terms = f"{self.n}" if self.n == self.m else f"{self.n} and {self.m}"
        return f"the product of polynomials of {terms} terms"


@final
@dataclass(frozen=True)
class CyclicConvolution(FlatTarget):
    """The cyclic convolution of vectors of n entries, c_k = Σ a_i b_((k−i) mod n): the product modulo xⁿ − 1.

    >>> CyclicConvolution(3).tensor()[:, :, 0].tolist()
    [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    """

    n: int
    kind: ClassVar[str] = "cyclic"
    size_key: ClassVar[str] = "length"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", _checked("cyclic convolution: the length", self.n))

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.n,)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.n, self.n, self.n

    @property
    def nonzeros(self) -> int:
        return self.n * self.n

    def _terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        i, j = np.indices((self.n, self.n))
        return i, j, (i + j) % self.n, np.ones_like(i)

    @property
    def name(self) -> str:
        return f"<cyclic:{self.n}>"

    @property
    def description(self) -> str:
        return f"the cyclic convolution of vectors of {self.n} entries"


@final
@dataclass(frozen=True, init=False)
class ToeplitzProduct(FlatTarget):
    """The product of an n × m Toeplitz matrix by a vector of m entries; m = n by default.

    The matrix T is given by its n + m − 1 entries a_(i−j+m−1) = T_ij, counted from 0: first its first row from right
    to left, then its first column from the second row down. The vector is b, the result c. As a tensor it is
    the product of polynomials of n and m terms with the operand of n terms and the result exchanged.

    >>> ToeplitzProduct(2).shape, ToeplitzProduct(3, 4).name
    ((3, 2, 2), '<toeplitz:3x4>')
    """

    n: int
    m: int
    kind: ClassVar[str] = "toeplitz"
    size_key: ClassVar[str] = "shape"

    def __init__(self, n: int, m: int | None = None):
        object.__setattr__(self, "n", _checked("Toeplitz matrix: a side", n))
        object.__setattr__(self, "m", self.n if m is None else _checked("Toeplitz matrix: a side", m))

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.n, self.m

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.n + self.m - 1, self.m, self.n

    @property
    def nonzeros(self) -> int:
        return self.n * self.m

    def _terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        i, j = np.indices((self.n, self.m))
        return i - j + self.m - 1, j, i, np.ones_like(i)

    @property
    def name(self) -> str:
        return _two("toeplitz", self.n, self.m)

    @property
    def description(self) -> str:
        return f"the product of a {self.n} x {self.m} Toeplitz matrix by a vector"


class _Algebra(FlatTarget):
    """The product of a real algebra of fixed dimension, by its multiplication table."""

    table: ClassVar[str]
    """Row i, column j: the product of the basis elements i and j, with a sign. The first row is the basis."""

    @final
    @property
    def sizes(self) -> tuple[int, ...]:
        return ()

    @final
    @property
    def shape(self) -> tuple[int, int, int]:
        n = len(self.table.splitlines())
        return n, n, n

    @final
    @property
    def nonzeros(self) -> int:
        return self.shape[0] ** 2

    @final
    def _terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        rows = [line.split() for line in self.table.splitlines()]
        i, j = np.indices(self.shape[:2])
        k = [[rows[0].index(entry.lstrip("-")) for entry in row] for row in rows]
        signs = [[-1 if entry.startswith("-") else 1 for entry in row] for row in rows]
        return i, j, np.array(k), np.array(signs)

    @final
    @property
    def name(self) -> str:
        return f"<{self.kind}>"


@final
@dataclass(frozen=True)
class ComplexProduct(_Algebra):
    """The product of complex numbers: c0 + c1 i = (a0 + a1 i)(b0 + b1 i), as a real bilinear map.

    >>> ComplexProduct().tensor()[:, :, 0].tolist()
    [[1, 0], [0, -1]]
    """

    kind: ClassVar[str] = "complex"
    table: ClassVar[str] = "1 i\ni -1"

    @property
    def description(self) -> str:
        return "the product of complex numbers"


@final
@dataclass(frozen=True)
class QuaternionProduct(_Algebra):
    """Hamilton's product of quaternions: c0 + c1 i + c2 j + c3 k = (a0 + a1 i + a2 j + a3 k)(b0 + b1 i + b2 j + b3 k).

    >>> QuaternionProduct().tensor()[:, :, 3].tolist()  # k = 1 k = i j = -j i = k 1
    [[0, 0, 0, 1], [0, 0, 1, 0], [0, -1, 0, 0], [1, 0, 0, 0]]
    """

    kind: ClassVar[str] = "quaternion"
    table: ClassVar[str] = "1 i j k\ni -1 k -j\nj -k -1 i\nk j -i -1"

    @property
    def description(self) -> str:
        return "the product of quaternions"
