"""Whether a product is right: every contender is held to its stated bound before it is timed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

ROWS: Final = 32
"""Rows of C that are compared entry by entry."""
CHUNK: Final = 512
"""Rows or columns that are widened at a time."""
DOUBT: Final = 1e-9
"""Chance that a right answer is called wrong, by the comparison with a random vector."""
SLICES: Final = 4


@final
@dataclass(frozen=True)
class Answer:
    """What was found of a product. `wrong` says what is wrong with it, and is empty if nothing is."""

    largest: float
    """Largest error of an entry, on the rows that were looked at."""
    relative: float
    """Frobenius norm of the error over that of the product, on these rows."""
    bound: float
    """What the error of no entry may exceed, for these operands."""
    wrong: str

    def to_json(self) -> dict[str, Any]:
        return {"largest": self.largest, "relative": self.relative, "bound": self.bound, "wrong": self.wrong}


@final
class Referee:
    """Judges products of two random matrices against a wider reference.

    Some rows of C are compared entry by entry, and all of C through C·t against A·(B·t) for random signs t, which no
    wrong entry survives. The reference is computed in float64 for float32, and to some 60 bits for float64 (see
    `wide_product`). Beside the stated rigorous bound, which is wide after several recursive steps, an answer must
    have half of its digits right.
    """

    def __init__(self, a: np.ndarray, b: np.ndarray, rng: np.random.Generator, rows: int = ROWS):
        n, m, p = a.shape[0], a.shape[1], b.shape[1]
        inner = rng.choice(n, size=min(n, rows), replace=False)
        self.rows = np.unique(np.concatenate(([0, n - 1], inner)))
        self.exact = wide_product(a[self.rows], b)
        self.signs = rng.choice(np.array([-1.0, 1.0]), size=(p, 1))
        self.vector = wide_product(a, wide_product(b, self.signs))
        self.top = _largest(a) * _largest(b)
        self.typical = _root_mean_square(a) * _root_mean_square(b) * math.sqrt(m)
        self.tolerance = math.sqrt(np.finfo(a.dtype).eps / 2)

    def judge(self, c: np.ndarray, factor: float) -> Answer:
        """Compare C with the reference; `factor` · ‖A‖max ‖B‖max bounds the error of every entry."""
        bound = factor * self.top
        with np.errstate(all="ignore"):  # a wrong product may hold anything
            error = np.abs(c[self.rows] - self.exact)
            norm = max(_norm(self.exact), self.typical * math.sqrt(error.size))
            largest, relative = float(error.max(initial=0)), _norm(error) / norm if norm else 0.0
            deviation = float(np.abs(wide_product(c, self.signs) - self.vector).max(initial=0))
        return Answer(largest, relative, bound, self._objection(largest, relative, deviation, bound, c.shape))

    def _objection(
        self, largest: float, relative: float, deviation: float, bound: float, shape: tuple[int, ...]
    ) -> str:
        n, p = shape
        # Hoeffding (1963): a sum of p errors of at most `bound` with random signs, in any of n rows
        vector_bound = bound * math.sqrt(2 * p * math.log(2 * n / DOUBT))
        vector_scale = max(_root_mean_square(self.vector), self.typical * math.sqrt(p))
        if not (math.isfinite(largest) and math.isfinite(deviation)):
            return "an entry is not finite"
        if largest > bound:
            return f"an entry is off by {largest:.2g}; its bound is {bound:.2g}"
        if deviation > vector_bound:
            return f"the product with a vector of signs is off by {deviation:.2g}; its bound is {vector_bound:.2g}"
        if relative > self.tolerance or deviation > 8 * self.tolerance * vector_scale:
            return f"fewer than half of its digits are right (relative error {relative:.1g})"
        return ""


def wide_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a @ b`` far more precisely than in the type of `a`: float64 for float32, longdouble otherwise.

    Wider types have no fast product. So float64 and longdouble operands are cut into slices of so few bits that every
    product of two slices is exact in float64, in any order of summation (Ozaki, Ogita, Oishi and Rump, 2012,
    "Error-free transformations of matrix multiplication"); the products are summed in longdouble.
    """
    kind = np.float64 if a.dtype == np.float32 and b.dtype != np.longdouble else np.longdouble
    result = np.empty((a.shape[0], b.shape[1]), dtype=kind)
    for rows in _pieces(a.shape[0]):
        for columns in _pieces(b.shape[1]):
            left, right = a[rows], b[:, columns]
            if kind is np.float64:
                result[rows, columns] = left.astype(np.float64) @ right.astype(np.float64)
            else:
                result[rows, columns] = _sliced_product(left, right)
    return result


def _sliced_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    bits = (53 - max(a.shape[1] - 1, 1).bit_length()) // 2
    left, right = _slices(a, 1, bits), _slices(b, 0, bits)
    total = np.zeros((a.shape[0], b.shape[1]), dtype=np.longdouble)
    for i, x in enumerate(left):
        for y in right[: SLICES - i]:
            total += x @ y
    return total


def _slices(x: np.ndarray, axis: int, bits: int) -> list[np.ndarray]:
    """x as a sum of float64 matrices, each of `bits` bits relative to the largest entry along an axis."""
    rest, parts = x, []
    for _ in range(SLICES):
        top = np.abs(rest).max(axis=axis, keepdims=True, initial=0)
        if not top.any():
            break
        # adding a large number, and taking it away again, rounds to its last place
        shift = np.ldexp(x.dtype.type(1.5), np.frexp(top)[1] - bits + np.finfo(x.dtype).nmant)
        part = (rest + shift) - shift
        rest = rest - part
        parts.append(part.astype(np.float64, copy=False))
    return parts


def _pieces(length: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, length, CHUNK))


def _largest(x: np.ndarray) -> float:
    return float(max(x.max(initial=0), -x.min(initial=0)))


def _norm(x: np.ndarray) -> float:
    return math.sqrt(float((x.astype(np.float64) ** 2).sum()))


def _root_mean_square(x: np.ndarray) -> float:
    total = sum(float((x[rows].astype(np.float64) ** 2).sum()) for rows in _pieces(len(x)))
    return math.sqrt(total / x.size) if x.size else 0.0
