"""Operands as `numpy.matmul` takes them: which are plain, what their product is, where it may be written."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple, TypeAlias, final

import numpy as np

PLAIN: Final = (np.ndarray, np.memmap)
"""Types of arrays whose products are plain arrays."""
HOOKS: Final = ("__array_ufunc__", "__array_wrap__", "__array_priority__", "__array_function__")
"""What an object has that takes a say in the products it enters."""

Layout: TypeAlias = str
"""``row``, ``column`` or ``strided``: which entries of a matrix are contiguous."""


def is_plain(x: Any) -> bool:
    """Whether an operand is an array of NumPy's own, or something that NumPy makes one of without asking it."""
    if type(x) in PLAIN:
        return True
    return not isinstance(x, np.ndarray | np.generic) and not any(hasattr(x, hook) for hook in HOOKS)


def own_array(x: Any) -> np.ndarray:
    """A plain operand as an array of no other type than `numpy.ndarray`."""
    return x.view(np.ndarray) if type(x) is np.memmap else np.asarray(x)


@final
class Operands(NamedTuple):
    """Arrays whose product `numpy.matmul` has no objection to, and the array to write it to."""

    a: np.ndarray
    b: np.ndarray
    left: np.ndarray
    """A as matrices (..., N, M)."""
    right: np.ndarray
    """B as matrices (..., M, P)."""
    out: np.ndarray | None
    shape: tuple[int, ...]
    """of the product"""
    dtype: np.dtype[Any]
    """of the product, as `numpy.matmul` computes it"""

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray, out: np.ndarray | None) -> Operands | None:
        """None where `numpy.matmul` raises, and for an `out` of another shape, over which it may broadcast."""
        shape = _shape(a, b)
        if shape is None:
            return None
        try:
            dtype = np.result_type(a.dtype, b.dtype)
        except TypeError:
            return None
        if out is not None and not (out.shape == shape and _takes(out, dtype)):
            return None
        left = a[None, :] if a.ndim == 1 else a
        right = b[:, None] if b.ndim == 1 else b
        return cls(a, b, left, right, out, shape, dtype)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """N, M, P."""
        return self.left.shape[-2], self.left.shape[-1], self.right.shape[-1]

    @property
    def multiplications(self) -> int:
        return math.prod(self.shape) * self.a.shape[-1]

    def matrices(self, result: np.ndarray) -> np.ndarray:
        """A result of the product's shape as matrices (..., N, P), a view."""
        n, _, p = self.sizes
        batch = self.shape[: len(self.shape) - (self.a.ndim > 1) - (self.b.ndim > 1)]
        return result.reshape(*batch, n, p)

    def room(self) -> np.ndarray:
        """Where matrices may be written one after the other: `out` if it is fit for that, else a new array."""
        out = self.out
        if out is not None and self._fit(out):
            return out
        return np.empty(self.shape, self.dtype)

    def _fit(self, out: np.ndarray) -> bool:
        matrices = self.matrices(out)
        return (
            out.dtype == self.dtype
            and out.flags.aligned
            and _contiguous(matrices)
            and not np.may_share_memory(out, self.a)
            and not np.may_share_memory(out, self.b)
        )

    @property
    def result_layout(self) -> Layout:
        """Of `room`."""
        return layout(self.matrices(self.out)) if self.out is not None and self._fit(self.out) else "row"

    def delivered(self, result: Any) -> Any:
        """The result in `out` if there is one, else as it is; that of two vectors as a scalar."""
        if self.out is None:
            return result if self.shape else result[()]
        if result is not self.out:
            np.copyto(self.out, result, casting="same_kind")
        return self.out


def _shape(a: np.ndarray, b: np.ndarray) -> tuple[int, ...] | None:
    """Shape of the product; None if there is none."""
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else -1]:
        return None
    batch = a.shape[:-2] or b.shape[:-2]
    if a.ndim > 2 and b.ndim > 2:
        try:
            batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            return None
    return batch + a.shape[-2:-1] + (b.shape[-1:] if b.ndim > 1 else ())


def _takes(out: np.ndarray, dtype: np.dtype[Any]) -> bool:
    return out.flags.writeable and np.can_cast(dtype, out.dtype, "same_kind")


def _contiguous(x: np.ndarray) -> bool:
    """Whether the rows or the columns of matrices are contiguous and follow each other upwards."""
    (rows, columns), (down, along), size = x.shape[-2:], x.strides[-2:], x.itemsize
    return (along == size and down >= columns * size) or (down == size and along >= rows * size)


def layout(x: np.ndarray) -> Layout:
    """Which entries of matrices (..., rows, columns) are contiguous."""
    if x.strides[-1] == x.itemsize:
        return "row"
    return "column" if x.strides[-2] == x.itemsize else "strided"


def regular(x: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """x itself if it is aligned, of that dtype, and its strides are whole entries; otherwise a copy that is."""
    fit = x.dtype == dtype and x.flags.aligned and not any(stride % x.itemsize for stride in x.strides)
    return x if fit else x.astype(dtype)


def is_gram(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether b is a transposed, in the same memory: a product of which NumPy computes one half (BLAS syrk)."""
    return (
        a.ndim == b.ndim > 1
        and a.shape[-2:] == b.shape[:-3:-1]
        and a.strides[-2:] == b.strides[:-3:-1]
        and a.strides[:-2] == b.strides[:-2]
        and layout(a) != "strided"
        and a.__array_interface__["data"] == b.__array_interface__["data"]
    )
