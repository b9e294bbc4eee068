"""The native product, called: matrices and schemes as the structures of ``native/include/grokkit_native.h``."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, final

import numpy as np

from grokkit import _native
from grokkit.scheme import MatrixProduct, Scheme

TYPES: Final = {np.dtype(np.float32): 0, np.dtype(np.float64): 1, np.dtype(np.uint32): 2, np.dtype(np.uint64): 3}
"""Number types of the native product and their codes."""
MAX_BLOCKS: Final = 256
"""Blocks that a fused scheme may cut one operand into."""


class _Matrix(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("columns", ctypes.c_int64),
        ("row_stride", ctypes.c_int64),
        ("column_stride", ctypes.c_int64),
    )


class _Coefficients(ctypes.Structure):
    _fields_ = (
        ("n", ctypes.c_int32),
        ("m", ctypes.c_int32),
        ("p", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("u", ctypes.c_void_p),
        ("v", ctypes.c_void_p),
        ("w", ctypes.c_void_p),
    )


class _Product(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("explicit_levels", ctypes.c_int32),
        ("fused", _Coefficients),
        ("a", _Matrix),
        ("b", _Matrix),
        ("c", _Matrix),
    )


class _Tile(ctypes.Structure):
    _fields_ = (("rows", ctypes.c_int64), ("columns", ctypes.c_int64), ("inner", ctypes.c_int64))


@final
@dataclass(frozen=True)
class Tile:
    """Sizes of the fused kernel: its register tile, and the inner dimension that is packed at a time."""

    rows: int
    columns: int
    inner: int


@final
@dataclass(frozen=True, eq=False)
class Coefficients:
    """Factors of a scheme as the native product reads them: float64, one row to a product."""

    n: int
    m: int
    p: int
    u: np.ndarray
    v: np.ndarray
    w: np.ndarray

    def pointers(self) -> _Coefficients:
        return _Coefficients(
            self.n, self.m, self.p, len(self.u), self.u.ctypes.data, self.v.ctypes.data, self.w.ctypes.data
        )


@lru_cache(maxsize=64)
def coefficients(scheme: Scheme) -> Coefficients:
    """The coefficients of a scheme for a matrix product, W by products like U and V."""
    if not isinstance(scheme.target, MatrixProduct):
        raise TypeError(f"{scheme.name} is not a scheme for a matrix product")
    u, v, w = scheme.floats()
    arrays = [np.ascontiguousarray(x, dtype=np.float64) for x in (u, v, w.T)]
    return Coefficients(*scheme.target.format, *arrays)


@cache
def library() -> ctypes.CDLL | None:
    """The native core with its product functions declared, or None."""
    core = _native.load()
    if core is None:
        return None
    core.library.grokkit_workspace.restype = ctypes.c_int64
    core.library.grokkit_flops.restype = ctypes.c_double
    core.library.grokkit_flops.argtypes = [ctypes.c_int32, ctypes.c_int64]
    return core.library


@lru_cache(maxsize=8)
def tile(dtype: np.dtype[Any]) -> Tile:
    """The kernel's sizes for a number type; those of the AVX2 kernel without a native core."""
    core = library()
    if core is None:
        return Tile(6, 64 // dtype.itemsize, 2048 // dtype.itemsize)
    sizes = _Tile()
    core.grokkit_tile_of(TYPES[dtype], ctypes.byref(sizes))
    return Tile(sizes.rows, sizes.columns, sizes.inner)


def multiply(
    a: np.ndarray, b: np.ndarray, out: np.ndarray, scheme: Scheme, *, explicit_levels: int = 0, threads: int = 1
) -> None:
    """out = a b by a fused scheme, under `explicit_levels` levels of Winograd's algorithm.

    Shapes (N, M), (M, P), (N, P), one dtype of `TYPES`, any strides that are whole entries for a and b; out has
    contiguous rows or columns and overlaps neither. Releases the interpreter's lock. The scheme is trusted: it must
    have been proven. Raises `MemoryError` where there is no memory for the workspace.
    """
    if 0 in out.shape or a.shape[1] == 0:
        out[...] = 0
        return
    _run("grokkit_multiply", a, b, out, scheme, explicit_levels, threads)


def multiply_reference(a: np.ndarray, b: np.ndarray, out: np.ndarray, scheme: Scheme) -> None:
    """The same by plain loops, for tests."""
    if 0 in out.shape or a.shape[1] == 0:
        out[...] = 0
        return
    _run("grokkit_multiply_reference", a, b, out, scheme, 0, 1)


def _run(
    function: str, a: np.ndarray, b: np.ndarray, out: np.ndarray, scheme: Scheme, explicit_levels: int, threads: int
) -> None:
    core = library()
    if core is None:
        raise RuntimeError(_native.status())
    factors = coefficients(scheme)
    call = _Product(
        TYPES[out.dtype], threads, explicit_levels, factors.pointers(), _matrix(a), _matrix(b), _matrix(out)
    )
    status = getattr(core, function)(ctypes.byref(call))
    if status == 2:
        raise MemoryError(f"no memory for the workspace of a product of {a.shape} by {b.shape}")
    if status:
        raise ValueError(f"the native core has no product of {a.shape} by {b.shape} by {scheme.name}")


def workspace_bytes(
    shape: tuple[int, int, int], dtype: Any, scheme: Scheme, *, explicit_levels: int = 0, threads: int = 1
) -> int:
    """Bytes that `multiply` allocates for a product of N x M by M x P while it runs."""
    core = library()
    if core is None:
        return 0
    n, m, p = shape
    dtype = np.dtype(dtype)
    call = _Product(
        TYPES[dtype], threads, explicit_levels, coefficients(scheme).pointers(),
        _Matrix(None, n, m, m, 1), _Matrix(None, m, p, p, 1), _Matrix(None, n, p, p, 1),
    )  # fmt: skip
    return int(core.grokkit_workspace(ctypes.byref(call)))


def all_finite(x: np.ndarray) -> bool:
    """Whether every entry of a float32 or float64 matrix is finite."""
    core = library()
    if core is None or x.dtype not in TYPES or x.ndim != 2:
        return bool(np.isfinite(x).all())
    view = _matrix(x)
    return bool(core.grokkit_finite(TYPES[x.dtype], ctypes.byref(view)))


def peak_operations(dtype: Any, rounds: int) -> float:
    """Multiply and add in registers alone; the floating-point operations done (0 without a native core)."""
    core = library()
    return 0.0 if core is None else float(core.grokkit_flops(TYPES[np.dtype(dtype)], rounds))


def _matrix(x: np.ndarray) -> _Matrix:
    """A matrix in memory. A stride along a side of one is never taken, so it may say 1."""
    rows, columns = (1 if side == 1 else stride // x.itemsize for side, stride in zip(x.shape, x.strides, strict=True))
    return _Matrix(x.ctypes.data, x.shape[0], x.shape[1], rows, columns)
