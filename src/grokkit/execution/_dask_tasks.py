"""The tasks of a product of dask arrays: sums of chunks, products of the sums, and marks of what is not finite."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, TypeAlias, final

import numpy as np

from grokkit.execution._dask_steps import DIRECT, Chunks, GridPlan, Region, Row, Step
from grokkit.execution._recursion import _divided

CHAINS: Final = 32
"""Sums over the inner dimension side by side, up to which one such sum is cut into several."""

Product: TypeAlias = Callable[[Any, Any], Any]


def batch_chunks(a: Any, b: Any) -> tuple[Chunks, ...]:
    """Chunks of the leading axes of the product: those of the operand that is not stretched."""
    pairs = itertools.zip_longest(reversed(a.chunks[:-2]), reversed(b.chunks[:-2]), fillvalue=(1,))
    return tuple(y if x == (1,) else x for x, y in pairs)[::-1]


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
class Tasks:
    """The tasks of a product, as dask takes them: a dictionary of tuples."""

    def __init__(self, a: Any, b: Any, plan: GridPlan, dtype: np.dtype[Any], product: Product):
        from dask.base import tokenize

        self.a, self.b, self.plan, self.dtype, self.product = a, b, plan, dtype, product
        self.token = tokenize(a.name, b.name, plan.grid, [step.name for step in plan.steps], str(dtype), product)
        self.batch = batch_chunks(a, b)
        self.batches = list(itertools.product(*(range(len(chunks)) for chunks in self.batch)))
        self.tasks: dict[Any, Any] = {}
        self.sums: dict[tuple[int, ...], Any] = {}
        """Key of what has been added up so far, for each chunk of the result."""

    def array(self) -> Any:
        """The result as a dask array."""
        from dask.array.core import Array
        from dask.highlevelgraph import HighLevelGraph

        regions = self.plan.regions()
        self.guarded = self.dtype.kind in "fc" and any(region.step is not DIRECT for region in regions)
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

    def _add_region(self, number: int, region: Region) -> None:
        step, inner = region.step, region.cells(1)
        guarded = self.guarded and step is not DIRECT
        leaves = [
            _Leaf(_coefficients(left), _coefficients(right), self.dtype, self.product, guarded)
            for left, right in zip(step.left, step.right, strict=True)
        ]
        chains = len(self.batches) * len(region.cells(0)) * len(region.cells(2)) * len(leaves)
        parts = np.array_split(inner, min(len(inner), -(-CHAINS // chains)))
        for batch, i, j in itertools.product(self.batches, region.cells(0), region.cells(2)):
            cell = _Cell(number, step, batch, i, j, [part.tolist() for part in parts])
            if step is DIRECT:
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
    step: Step
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
