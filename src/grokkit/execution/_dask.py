"""The product of dask arrays: a scheme applied lazily to the grid of chunks."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from grokkit.execution._dask_steps import GridPlan
from grokkit.execution._dask_tasks import Product, Tasks, batch_chunks
from grokkit.scheme import InvalidInput, Scheme, need_extra


def is_dask(x: Any) -> bool:
    """Whether `x` is a dask array. Imports nothing: where dask is not loaded, nothing is one."""
    array = getattr(sys.modules.get("dask.array"), "Array", None)
    return array is not None and isinstance(x, array)


def dask_product(
    a: Any, b: Any, *, scheme: Scheme | str = "auto", levels: int | None = None, product: Product | None = None
) -> Any:
    """``a @ b`` for dask arrays: a scheme on the grid of chunks, and `product` for the pairs of chunks.

    Nothing is computed before the result is. One task forms two sums of chunks, multiplies them, and adds what has
    been accumulated over the inner dimension so far. Sums of chunks are never stored, and a product of the scheme
    holds one chunk however long the inner dimension is.

    Parameters
    ----------
    a, b:
        Dask arrays (..., N, M) and (..., M, P), or one of them anything that NumPy takes as an array, which is cut
        to match; one-dimensional operands and leading axes as in `numpy.matmul`. Chunks of any sizes. Where a scheme
        is applied they are cut anew along dimensions where they are uneven, or too few for `levels`; chunks at the
        edge that no step covers, or that are too short to gain by it, are multiplied directly.
    scheme:
        ``"auto"`` (default): Strassen's, as many levels (none, one or two) as cost least by a count of multiplications
        and of entries moved; none for bool, object and float16, and for chunks that are not plain NumPy arrays.
        Otherwise a `Scheme`, or a name in the catalog: proven before it is used.
    levels:
        Levels on the grid of chunks, at whatever cost. Default 1 with an explicit scheme, as above with ``"auto"``.
    product:
        Multiplies arrays (..., n, m) and (..., m, p) into a new array. Default `numpy.matmul`.

    Returns a dask array in the dtype that `numpy.matmul` gives; integers wrap around exactly as there. Raises
    `ValueError` for shapes that do not fit and for chunks of unknown sizes, `InvalidInput` for a scheme that does not
    apply, `KeyError` for an unknown name, `Refuted` for a scheme that is not exact, `MissingExtra` without dask.

    Under a scheme the result is not finite exactly where `numpy.matmul` gives infinities or NaN, but NaN throughout;
    sums of entries beyond half the range of the dtype overflow.

    Strassen's scheme rather than Winograd's: tasks form their sums straight from chunks, and as written these are 18
    additions against 24; and its error is the smaller one.
    """
    need_extra("the product of dask arrays", "dask", extra="dask")
    product = np.matmul if product is None else product
    a, b = _operands(a, b)
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    automatic = isinstance(scheme, str) and scheme == "auto"
    if automatic and levels is None:
        result = _automatic(left, right, product)
    else:
        result = _explicit(left, right, "strassen" if automatic else scheme, 1 if levels is None else levels, product)
    if a.ndim == 1:
        result = result[..., 0, :]
    return result[..., 0] if b.ndim == 1 else result


def _automatic(a: Any, b: Any, product: Product) -> Any:
    import dask.array as da

    if not _plain(a, b):
        return da.matmul(a, b)
    a, b = _common_batch(a, b)
    dtype = _dtype(a, b)
    return _array(a, b, GridPlan.automatic(a, b, dtype), dtype, product)


def _explicit(a: Any, b: Any, scheme: Scheme | str, levels: int, product: Product) -> Any:
    from grokkit.scheme.catalog import catalog

    if not _plain(a, b):
        raise InvalidInput("a scheme applies to dask arrays whose chunks are plain NumPy arrays; use scheme='auto'")
    a, b = _common_batch(a, b)
    dtype = _dtype(a, b)
    logical = dtype.kind == "b"
    arithmetic = np.dtype(np.int64) if logical else dtype
    plan = GridPlan.explicit(a, b, catalog[scheme] if isinstance(scheme, str) else scheme, levels, arithmetic)
    result = _array(a, b, plan, arithmetic, product)
    return result != 0 if logical else result


def _array(a: Any, b: Any, plan: GridPlan, dtype: np.dtype[Any], product: Product) -> Any:
    """The product of operands with common leading chunks, by a plan."""
    import dask.array as da

    rows, inner, columns = plan.grid
    chunks = (*batch_chunks(a, b), rows, columns)
    if 0 in (sum(inner), *map(sum, chunks)):
        return da.zeros(tuple(map(sum, chunks)), chunks=chunks, dtype=dtype)
    a, b = a.rechunk({a.ndim - 2: rows, a.ndim - 1: inner}), b.rechunk({b.ndim - 2: inner, b.ndim - 1: columns})
    return Tasks(a, b, plan, dtype, product).array()


def _operands(a: Any, b: Any) -> tuple[Any, Any]:
    """Both operands as dask arrays. Raises `ValueError` where their shapes are not known or do not fit."""
    a, b = (x if is_dask(x) else np.asanyarray(x) for x in (a, b))
    if hasattr(a, "expr") or hasattr(b, "expr"):
        raise InvalidInput("dask's array.query-planning has no products yet; switch it off before importing dask.array")
    for which, x in (("first", a), ("second", b)):
        if x.ndim == 0:
            raise ValueError("a matrix product needs operands of at least one dimension, not scalars")
        if any(math.isnan(size) for size in x.shape):
            mend = "call its compute_chunk_sizes() first"
            raise InvalidInput(f"the {which} operand, of shape {x.shape}, has chunks of unknown sizes; {mend}")
    inner = b.shape[_shared_axis(b)]
    if a.shape[-1] != inner:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit: {a.shape[-1]} != {inner}")
    np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return _in_chunks(a, -1, b, _shared_axis(b)), _in_chunks(b, _shared_axis(b), a, -1)


def _shared_axis(right: Any) -> int:
    """The inner dimension of a right operand."""
    return -2 if right.ndim > 1 else -1


def _in_chunks(x: Any, axis: int, partner: Any, partner_axis: int) -> Any:
    """A dask array as it is; a NumPy array cut as its partner is, on leading axes and on the inner one, `axis`."""
    import dask.array as da

    if is_dask(x):
        return x
    if not is_dask(partner):
        return da.from_array(x)
    shared = partner.chunks[partner_axis]
    chunks: Any = [max(max(shared), 1)] * x.ndim
    for leading in range(-x.ndim, -2):
        fits = -leading <= partner.ndim and x.shape[leading] == partner.shape[leading]
        chunks[leading] = partner.chunks[leading] if fits else -1
    chunks[axis] = shared
    chunks = tuple(chunks)
    return da.from_array(x, chunks=chunks)


def _plain(a: Any, b: Any) -> bool:
    """Whether all chunks are NumPy arrays: of no subclass, from no other library."""
    return type(a._meta) is np.ndarray and type(b._meta) is np.ndarray


def _dtype(a: Any, b: Any) -> np.dtype[Any]:
    """The dtype of the product. Raises `TypeError` where NumPy has none."""
    return np.matmul(np.empty((0, 0), a.dtype), np.empty((0, 0), b.dtype)).dtype


def _common_batch(a: Any, b: Any) -> tuple[Any, Any]:
    """The operands with the same chunks, the finer ones, on leading axes that both have."""
    for back in range(3, min(a.ndim, b.ndim) + 1):
        if a.shape[-back] == b.shape[-back] and a.chunks[-back] != b.chunks[-back]:
            finer = max(a.chunks[-back], b.chunks[-back], key=len)
            a, b = a.rechunk({a.ndim - back: finer}), b.rechunk({b.ndim - back: finer})
    return a, b
