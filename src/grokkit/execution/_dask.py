"""The product of dask arrays: a scheme applied lazily to the grid of chunks."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, Final, TypeAlias, final

import numpy as np

from grokkit.execution._recursion import _coefficient, _divided
from grokkit.scheme import InvalidInput, MatrixProduct, Scheme, expand, need_extra, verify

AUTO_CHUNKS: Final = (2, 16)
"""Chunks along each dimension from which ``scheme="auto"`` takes one level, and two, which keep 49 sums alive."""
ENTRY_COST: Final = 100
"""Multiplications in the time that one entry takes to reach a sum: measured as some 70 within one process."""
CHAINS: Final = 32
"""Sums over the inner dimension side by side, up to which one such sum is cut into several."""
MAX_PRODUCTS: Final = 20_000
"""Most products in one step, rank^levels."""

Chunks: TypeAlias = tuple[int, ...]
"""Sizes of the chunks along one dimension."""
Grid: TypeAlias = tuple[Chunks, Chunks, Chunks]
"""Chunks along rows, inner dimension and columns."""
Box: TypeAlias = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Chunk indices, from and to, along rows, inner dimension and columns."""
Row: TypeAlias = tuple[tuple[int, Any], ...]
"""A linear combination: indices and coefficients."""
Product: TypeAlias = Callable[[Any, Any], Any]


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
    return _array(a, b, _Plan.automatic(a, b, dtype), dtype, product)


def _explicit(a: Any, b: Any, scheme: Scheme | str, levels: int, product: Product) -> Any:
    from grokkit.scheme.catalog import catalog

    if not _plain(a, b):
        raise InvalidInput("a scheme applies to dask arrays whose chunks are plain NumPy arrays; use scheme='auto'")
    a, b = _common_batch(a, b)
    dtype = _dtype(a, b)
    logical = dtype.kind == "b"
    arithmetic = np.dtype(np.int64) if logical else dtype
    plan = _Plan.explicit(a, b, catalog[scheme] if isinstance(scheme, str) else scheme, levels, arithmetic)
    result = _array(a, b, plan, arithmetic, product)
    return result != 0 if logical else result


def _array(a: Any, b: Any, plan: _Plan, dtype: np.dtype[Any], product: Product) -> Any:
    """The product of operands with common leading chunks, by a plan."""
    import dask.array as da

    rows, inner, columns = plan.grid
    chunks = (*_batch_chunks(a, b), rows, columns)
    if 0 in (sum(inner), *map(sum, chunks)):
        return da.zeros(tuple(map(sum, chunks)), chunks=chunks, dtype=dtype)
    a, b = a.rechunk({a.ndim - 2: rows, a.ndim - 1: inner}), b.rechunk({b.ndim - 2: inner, b.ndim - 1: columns})
    return _Tasks(a, b, plan, dtype, product).array()


# Operands


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


def _batch_chunks(a: Any, b: Any) -> tuple[Chunks, ...]:
    """Chunks of the leading axes of the product: those of the operand that is not stretched."""
    pairs = itertools.zip_longest(reversed(a.chunks[:-2]), reversed(b.chunks[:-2]), fillvalue=(1,))
    return tuple(y if x == (1,) else x for x, y in pairs)[::-1]


# The scheme as steps on a grid of chunks


@final
@dataclass(frozen=True)
class _Step:
    """Some levels of a scheme as one step, coefficients in one dtype. Products that count nowhere are left out."""

    name: str
    """Which scheme, level and dtype."""
    form: tuple[int, int, int]
    left: tuple[Row, ...]
    right: tuple[Row, ...]
    outputs: tuple[Row, ...]
    divisor: int = 1
    """What remains to divide Python's integers by."""

    @classmethod
    def of(cls, scheme: Scheme, levels: int, dtype: np.dtype[Any]) -> _Step:
        """`levels` of a scheme. Raises `InvalidInput` for denominators that the dtype cannot divide by."""
        power = expand(scheme, levels)
        assert isinstance(power.target, MatrixProduct)
        if power.denominators != (1, 1, 1) and dtype.kind in "iu":
            raise InvalidInput(
                f"{scheme.name} has denominators {scheme.denominators}, which {dtype} arithmetic cannot divide by; "
                "use a scheme over Z, floating point, or object arrays"
            )
        kept = np.flatnonzero((power.U != 0).any(axis=1) & (power.V != 0).any(axis=1) & (power.W != 0).any(axis=0))
        factors = zip((power.U[kept], power.V[kept], power.W[:, kept]), power.denominators, strict=True)
        left, right, outputs = (tuple(_row(row, divisor, dtype) for row in factor) for factor, divisor in factors)
        divisor = math.prod(power.denominators) if dtype.kind == "O" else 1
        return cls(f"{power.digest} {dtype}", power.target.format, left, right, outputs, divisor)

    @property
    def rank(self) -> int:
        return len(self.left)

    def cover(self, sizes: Chunks, side: int) -> int:
        """How many chunks of a dimension the step takes: whole groups, the last only if it is hardly padded."""
        count = len(sizes) // side * side
        last = sizes[count - side : count]
        if count and self.rank * side * max(last) > math.prod(self.form) * sum(last):
            count -= side
        return count


_DIRECT: Final = _Step("direct", (1, 1, 1), (((0, 1),),), (((0, 1),),), (((0, 1),),))
"""No step: each chunk by each."""


def _row(numerators: np.ndarray, denominator: int, dtype: np.dtype[Any]) -> Row:
    """The nonzero terms of a linear combination; ±1 stay Python's, for sums and differences."""

    def coefficient(numerator: int) -> Any:
        unit = numerator in (1, -1) and denominator == 1
        return numerator if unit or dtype.kind == "O" else _coefficient(numerator, denominator, dtype)

    return tuple((int(i), coefficient(int(numerators[i]))) for i in np.flatnonzero(numerators))


@lru_cache(maxsize=64)
def _steps(scheme: Scheme, levels: int, dtype: np.dtype[Any]) -> tuple[_Step, ...]:
    """Steps of 0, 1, … levels of a proven scheme."""
    verify(scheme)
    return _DIRECT, *(_Step.of(scheme, depth, dtype) for depth in range(1, levels + 1))


@final
@dataclass(frozen=True)
class _Plan:
    """Chunk sizes of rows, inner dimension and columns, and the steps that may be taken on them, deepest last."""

    grid: Grid
    steps: tuple[_Step, ...]

    @classmethod
    def explicit(cls, a: Any, b: Any, scheme: Scheme, levels: int, dtype: np.dtype[Any]) -> _Plan:
        """The steps that were asked for; chunks are cut until there are enough for them."""
        if not isinstance(scheme.target, MatrixProduct):
            raise InvalidInput(f"{scheme.name} is not a scheme for a matrix product")
        if scheme.ring.characteristic:
            raise InvalidInput(f"{scheme.name} holds only over {scheme.ring}, not for ordinary numbers")
        if isinstance(levels, bool) or not isinstance(levels, int | np.integer) or levels < 0:
            raise InvalidInput(f"levels is {levels!r}; a whole number of at least 0 is needed")
        if levels * math.log(max(scheme.rank, 2)) > math.log(MAX_PRODUCTS):
            raise InvalidInput(
                f"levels is {levels}: {scheme.rank}^{levels} products of chunks in one step are too many"
            )
        steps = _steps(scheme, int(levels), dtype)
        return cls(_grid(a, b, steps[-1].form), steps)

    @classmethod
    def automatic(cls, a: Any, b: Any, dtype: np.dtype[Any]) -> _Plan:
        """As many levels of Strassen's scheme as cost least, of those that there are chunks enough for."""
        from grokkit.scheme.catalog import catalog

        plans = [cls(_grid(a, b, _DIRECT.form), (_DIRECT,))]
        fewest = min(map(len, plans[0].grid)) if _admits_sums(dtype) else 0
        for levels, needed in enumerate(AUTO_CHUNKS, start=1):
            if fewest >= needed:
                steps = _steps(catalog["strassen"], levels, dtype)
                plans.append(cls(_grid(a, b, steps[-1].form), steps))
        return min(plans, key=lambda plan: plan.cost(a, b))

    def cost(self, a: Any, b: Any) -> float:
        """Multiplications, and entries that are moved in the same unit."""
        n, m, p = self.grid
        moved = [x.shape[-2] * x.shape[-1] for x, grid in ((a, (n, m)), (b, (m, p))) if x.chunks[-2:] != grid]
        return sum(region.cost(self.grid) for region in self.regions()) + 2 * ENTRY_COST * sum(moved)

    def regions(self) -> list[_Region]:
        """Boxes of chunks that make up the product, each with the deepest step that covers it."""
        n, m, p = map(len, self.grid)
        return list(self._regions(((0, n), (0, m), (0, p)), len(self.steps) - 1))

    def _regions(self, box: Box, depth: int) -> Iterator[_Region]:
        step = self.steps[depth]
        if any(start == stop for start, stop in box):
            return
        (n, rows), (m, inner), (p, columns) = box
        covered = [
            start + (step.cover(sizes[start:stop], side) if depth else stop - start)
            for sizes, (start, stop), side in zip(self.grid, box, step.form, strict=True)
        ]
        i, k, j = covered
        if i > n and k > m and j > p:
            yield _Region(step, ((n, i), (m, k), (p, j)))
            yield from self._regions(((n, i), (k, inner), (p, j)), depth - 1)
            yield from self._regions(((i, rows), (m, inner), (p, columns)), depth - 1)
            yield from self._regions(((n, i), (m, inner), (j, columns)), depth - 1)
        else:
            yield from self._regions(box, depth - 1)


@final
@dataclass(frozen=True)
class _Region:
    """A box of chunks and the step that multiplies it, cell by cell: a cell is as many chunks as the step's form."""

    step: _Step
    box: Box

    def cells(self, axis: int) -> range:
        """First chunks of the cells along rows (0), the inner dimension (1) or columns (2)."""
        start, stop = self.box[axis]
        return range(start, stop, self.step.form[axis])

    def cost(self, grid: Grid) -> float:
        """Multiplications of numbers, and in the same unit the entries that sums read."""
        step = self.step
        n, m, p = (
            sum(sizes[start:stop]) / side for sizes, (start, stop), side in zip(grid, self.box, step.form, strict=True)
        )
        left, right, outputs = (sum(map(len, rows)) for rows in (step.left, step.right, step.outputs))
        read = left * n * m * len(self.cells(2)) + right * m * p * len(self.cells(0)) + outputs * n * p
        return step.rank * n * m * p + ENTRY_COST * read


def _admits_sums(dtype: np.dtype[Any]) -> bool:
    """Whether sums of entries are sure to be as good as entries: not logical values, objects, or a narrow range."""
    return dtype.kind in "iufc" and dtype != np.float16


def _grid(a: Any, b: Any, form: tuple[int, int, int]) -> tuple[Chunks, Chunks, Chunks]:
    """Chunk sizes near those of the operands, even enough and enough of them for a step of that form."""
    n, m, p = form
    wide, narrow = (a.chunks[-1], b.chunks[-2]) if a.size >= b.size else (b.chunks[-2], a.chunks[-1])
    inner = narrow if _even(narrow, m) and not _even(wide, m) else wide
    return _evened(a.chunks[-2], n), _evened(inner, m), _evened(b.chunks[-1], p)


def _even(sizes: Chunks, count: int) -> bool:
    """Whether there are that many chunks, within a sixteenth of each other but for a shorter last one."""
    body = sizes[:-1] or sizes
    return count == 1 or (len(sizes) >= count and 16 * min(body) >= 15 * max(body) and sizes[-1] <= max(body))


def _evened(sizes: Chunks, count: int) -> Chunks:
    """The same chunks if they are even, otherwise equal ones, about as many but a multiple of `count`."""
    size = sum(sizes)
    if _even(sizes, count) or not size:
        return sizes
    multiple = count * max(1, (len(sizes) + count // 2) // count)
    side = -(-size // multiple)
    return (side,) * (size // side) + ((size % side,) if size % side else ())


# Tasks


def _sum(
    terms: Sequence[Any], blocks: Sequence[np.ndarray], shape: tuple[int, int], dtype: np.dtype[Any]
) -> np.ndarray:
    """Σ coefficient · block, each block cropped or padded by zeros to a shape (its last two axes).

    A block itself, perhaps a view, where nothing is to be computed; otherwise a new array.
    """
    total, new = _fitted(blocks[0], shape).astype(dtype, copy=False), False
    if terms[0] != 1:
        total, new = (np.negative(total) if terms[0] == -1 else np.multiply(total, terms[0], dtype=dtype)), True
    for coefficient, block in zip(terms[1:], blocks[1:], strict=True):
        term = _fitted(block, shape)
        if coefficient not in (1, -1):
            term = np.multiply(term, coefficient, dtype=dtype)
        combine = np.subtract if coefficient == -1 else np.add
        total, new = combine(total, term, out=total if new else None, dtype=dtype), True
    return total


def _fitted(block: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The block in another shape: cropped, or padded by zeros."""
    if block.shape[-2:] == shape:
        return block
    rows, columns = min(block.shape[-2], shape[0]), min(block.shape[-1], shape[1])
    if (rows, columns) == shape:
        return block[..., :rows, :columns]
    padded = np.zeros((*block.shape[:-2], *shape), block.dtype)
    padded[..., :rows, :columns] = block[..., :rows, :columns]
    return padded


def _outer(blocks: Sequence[np.ndarray]) -> tuple[int, int]:
    """The smallest shape that every block fits in."""
    return max(block.shape[-2] for block in blocks), max(block.shape[-1] for block in blocks)


@final
@dataclass(frozen=True)
class _Leaf:
    """One task: two sums of chunks, their product, added to what was accumulated before.

    Guarded: where the product is not finite, it is the product of the finite entries, so that others do not spread.
    """

    left: tuple[Any, ...]
    right: tuple[Any, ...]
    dtype: np.dtype[Any]
    product: Product
    guarded: bool

    def __call__(self, before: np.ndarray | None, lefts: list[np.ndarray], rights: list[np.ndarray]) -> np.ndarray:
        if not self.guarded:
            found = self._product_of_sums(lefts, rights)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                found = self._product_of_sums(lefts, rights)
                if not np.isfinite(found).all():
                    found = self._product_of_sums(*([_finite(x) for x in blocks] for blocks in (lefts, rights)))
        return found if before is None else np.add(before, found, out=found)

    def _product_of_sums(self, lefts: list[np.ndarray], rights: list[np.ndarray]) -> np.ndarray:
        (rows, width), (height, columns) = _outer(lefts), _outer(rights)
        inner = min(width, height)  # what is beyond meets zeros
        left = _sum(self.left, lefts, (rows, inner), self.dtype)
        return self.product(left, _sum(self.right, rights, (inner, columns), self.dtype))


@final
@dataclass(frozen=True)
class _Output:
    """One task: a chunk of the result out of the products of a step, added to what was there before."""

    terms: tuple[Any, ...]
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    divisor: int

    def __call__(self, before: np.ndarray | None, products: list[np.ndarray]) -> np.ndarray:
        total = _sum(self.terms, products, self.shape, self.dtype)
        if self.divisor != 1:
            total = _divided(total, self.divisor)
        return total if before is None else np.add(before, total)


def _finite(block: np.ndarray) -> np.ndarray:
    """The block with zeros where it is not finite."""
    return np.where(np.isfinite(block), block, block.dtype.type(0))


def _lines_not_finite(block: np.ndarray, axis: int) -> np.ndarray | None:
    """One task: which rows (axis -1) or columns (-2) of a chunk hold infinities or NaN; None if none does."""
    found: Any = ~np.isfinite(block).all(axis=axis)
    return found if found.any() else None


def _any(marks: list[np.ndarray | None]) -> np.ndarray | None:
    """One task: the lines that are marked in some chunk."""
    marked = [mark for mark in marks if mark is not None]
    return reduce(np.logical_or, marked) if marked else None


def _marked(block: np.ndarray, rows: np.ndarray | None, columns: np.ndarray | None) -> np.ndarray:
    """One task: a chunk of the result with NaN in marked rows and columns."""
    if rows is None and columns is None:
        return block
    block = block.copy()
    if rows is not None:
        block[np.broadcast_to(rows[..., :, None], block.shape)] = np.nan
    if columns is not None:
        block[np.broadcast_to(columns[..., None, :], block.shape)] = np.nan
    return block


@final
class _Tasks:
    """The tasks of a product, as dask takes them: a dictionary of tuples."""

    def __init__(self, a: Any, b: Any, plan: _Plan, dtype: np.dtype[Any], product: Product):
        from dask.base import tokenize

        self.a, self.b, self.plan, self.dtype, self.product = a, b, plan, dtype, product
        self.token = tokenize(a.name, b.name, plan.grid, [step.name for step in plan.steps], str(dtype), product)
        self.batch = _batch_chunks(a, b)
        self.batches = list(itertools.product(*(range(len(chunks)) for chunks in self.batch)))
        self.tasks: dict[Any, Any] = {}
        self.sums: dict[tuple[int, ...], Any] = {}
        """Key of what has been added up so far, for each chunk of the result."""

    def array(self) -> Any:
        """The result as a dask array."""
        from dask.array.core import Array
        from dask.highlevelgraph import HighLevelGraph

        regions = self.plan.regions()
        self.guarded = self.dtype.kind in "fc" and any(region.step is not _DIRECT for region in regions)
        for number, region in enumerate(regions):
            self._add_region(number, region)
        name = self._name("matmul")
        if self.guarded:
            self._add_marks(name)
        else:
            self.tasks.update({(name, *place): self.tasks.pop(key) for place, key in self.sums.items()})
        graph = HighLevelGraph.from_collections(name, self.tasks, dependencies=[self.a, self.b])
        chunks = (*self.batch, self.plan.grid[0], self.plan.grid[2])
        return Array(graph, name, chunks, meta=np.empty((0,) * len(chunks), self.dtype))

    def _name(self, what: str) -> str:
        return f"grokkit-{what}-{self.token}"

    def _added(self, what: str, place: tuple[int, ...], *task: Any) -> Any:
        """The key of a new task."""
        key = (self._name(what), *place)
        self.tasks[key] = task
        return key

    def _add_region(self, number: int, region: _Region) -> None:
        step, inner = region.step, region.cells(1)
        guarded = self.guarded and step is not _DIRECT
        leaves = [
            _Leaf(_coefficients(left), _coefficients(right), self.dtype, self.product, guarded)
            for left, right in zip(step.left, step.right, strict=True)
        ]
        chains = len(self.batches) * len(region.cells(0)) * len(region.cells(2)) * len(leaves)
        parts = np.array_split(inner, min(len(inner), -(-CHAINS // chains)))
        for batch, i, j in itertools.product(self.batches, region.cells(0), region.cells(2)):
            cell = _Cell(number, step, batch, i, j, [part.tolist() for part in parts])
            if step is _DIRECT:
                place = (*batch, i, j)
                self.sums[place] = self._accumulated(cell, 0, leaves[0], self.sums.get(place))
            else:
                products = [self._accumulated(cell, r, leaf, None) for r, leaf in enumerate(leaves)]
                self._add_outputs(cell, products)

    def _accumulated(self, cell: _Cell, r: int, leaf: _Leaf, before: Any) -> Any:
        """Key of product `r` of a cell, summed over the inner dimension: chains of leaves, then sums in pairs."""
        chains = []
        for part in cell.parts:
            for k in part:
                before = self._added("product", (*cell.place, r, k), leaf, before, *self._chunks_of(cell, r, k))
            chains.append(before)
            before = None
        level = 0
        while len(chains) > 1:
            level += 1
            pairs = [chains[at : at + 2] for at in range(0, len(chains), 2)]
            chains = [
                self._added("sum", (*cell.place, r, level, at), np.add, *pair) if len(pair) == 2 else pair[0]
                for at, pair in enumerate(pairs)
            ]
        return chains[0]

    def _chunks_of(self, cell: _Cell, r: int, k: int) -> tuple[list[Any], list[Any]]:
        """Keys of the chunks of A and of B in product `r` of a cell."""
        _, m, p = cell.step.form
        left = [(cell.i + at // m, k + at % m) for at, _ in cell.step.left[r]]
        right = [(k + at // p, cell.j + at % p) for at, _ in cell.step.right[r]]
        return _keys(self.a, cell.batch, left), _keys(self.b, cell.batch, right)

    def _add_outputs(self, cell: _Cell, products: list[Any]) -> None:
        rows, _, columns = self.plan.grid
        for at, terms in enumerate(cell.step.outputs):
            i, j = cell.i + at // cell.step.form[2], cell.j + at % cell.step.form[2]
            output = _Output(_coefficients(terms), (rows[i], columns[j]), self.dtype, cell.step.divisor)
            place, used = (*cell.batch, i, j), [products[r] for r, _ in terms]
            self.sums[place] = self._added("output", (cell.number, *place), output, self.sums.get(place), used)

    def _add_marks(self, name: str) -> None:
        """The result out of the sums: rows and columns that hold what is not finite are marked."""
        rows, columns = self._marks(self.a, -1), self._marks(self.b, -2)
        for (*batch, i, j), key in self.sums.items():
            row, column = rows[(*_leading(self.a, batch), i)], columns[(*_leading(self.b, batch), j)]
            self.tasks[(name, *batch, i, j)] = (_marked, key, row, column)

    def _marks(self, x: Any, axis: int) -> dict[tuple[int, ...], Any]:
        """For each row of chunks (axis -1) or column of them (-2), the key of what is not finite in its lines."""
        side = "rows" if axis == -1 else "columns"
        lines: dict[tuple[int, ...], list[Any]] = {}
        for place in itertools.product(*map(range, x.numblocks)):
            line = (*place[:-2], place[-2 if axis == -1 else -1])
            mark = self._added(f"mark-{side}", place, _lines_not_finite, (x.name, *place), axis)
            lines.setdefault(line, []).append(mark)
        return {line: self._added(f"marked-{side}", line, _any, marks) for line, marks in lines.items()}


@final
@dataclass(frozen=True)
class _Cell:
    """Where a step is applied: its first row i and first column j of chunks, and the inner ones, in parts."""

    number: int
    """of the region"""
    step: _Step
    batch: tuple[int, ...]
    i: int
    j: int
    parts: list[list[int]]

    @property
    def place(self) -> tuple[int, ...]:
        return self.number, *self.batch, self.i, self.j


def _coefficients(row: Row) -> tuple[Any, ...]:
    return tuple(coefficient for _, coefficient in row)


def _leading(x: Any, batch: Sequence[int]) -> tuple[int, ...]:
    """Where a chunk of the result lies along the leading axes of an operand, which may be fewer, or stretched."""
    own = batch[len(batch) - (x.ndim - 2) :]
    return tuple(at if count > 1 else 0 for at, count in zip(own, x.numblocks[:-2], strict=True))


def _keys(x: Any, batch: tuple[int, ...], places: list[tuple[int, int]]) -> list[Any]:
    leading = _leading(x, batch)
    return [(x.name, *leading, i, j) for i, j in places]
