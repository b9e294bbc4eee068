"""A scheme as steps on the grid of chunks of two dask arrays, and which steps are taken where."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias, final

import numpy as np

from grokkit.execution._recursion import _coefficient
from grokkit.scheme import InvalidInput, MatrixProduct, Scheme, expand, verify

AUTO_CHUNKS: Final = (2, 16)
"""Chunks along each dimension from which ``scheme="auto"`` takes one level, and two, which keep 49 sums alive."""
ENTRY_COST: Final = 100
"""Multiplications in the time that one entry takes to reach a sum: measured as some 70 within one process."""
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


@final
@dataclass(frozen=True)
class Step:
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
    def of(cls, scheme: Scheme, levels: int, dtype: np.dtype[Any]) -> Step:
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


DIRECT: Final = Step("direct", (1, 1, 1), (((0, 1),),), (((0, 1),),), (((0, 1),),))
"""No step: each chunk by each."""


def _row(numerators: np.ndarray, denominator: int, dtype: np.dtype[Any]) -> Row:
    """The nonzero terms of a linear combination; ±1 stay Python's, for sums and differences."""

    def coefficient(numerator: int) -> Any:
        unit = numerator in (1, -1) and denominator == 1
        return numerator if unit or dtype.kind == "O" else _coefficient(numerator, denominator, dtype)

    return tuple((int(i), coefficient(int(numerators[i]))) for i in np.flatnonzero(numerators))


@lru_cache(maxsize=64)
def _steps(scheme: Scheme, levels: int, dtype: np.dtype[Any]) -> tuple[Step, ...]:
    """Steps of 0, 1, … levels of a proven scheme."""
    verify(scheme)
    return DIRECT, *(Step.of(scheme, depth, dtype) for depth in range(1, levels + 1))


@final
@dataclass(frozen=True)
class GridPlan:
    """Chunk sizes of rows, inner dimension and columns, and the steps that may be taken on them, deepest last."""

    grid: Grid
    steps: tuple[Step, ...]

    @classmethod
    def explicit(cls, a: Any, b: Any, scheme: Scheme, levels: int, dtype: np.dtype[Any]) -> GridPlan:
        """The steps that were asked for; chunks are cut until there are enough for them."""
        if not isinstance(scheme.target, MatrixProduct):
            raise InvalidInput(f"{scheme.name} is not a scheme for a matrix product")
        if not scheme.ring.rational:
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
    def automatic(cls, a: Any, b: Any, dtype: np.dtype[Any]) -> GridPlan:
        """As many levels of Strassen's scheme as cost least, of those that there are chunks enough for."""
        from grokkit.scheme.catalog import catalog

        plans = [cls(_grid(a, b, DIRECT.form), (DIRECT,))]
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

    def regions(self) -> list[Region]:
        """Boxes of chunks that make up the product, each with the deepest step that covers it."""
        n, m, p = map(len, self.grid)
        return list(self._regions(((0, n), (0, m), (0, p)), len(self.steps) - 1))

    def _regions(self, box: Box, depth: int) -> Iterator[Region]:
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
            yield Region(step, ((n, i), (m, k), (p, j)))
            yield from self._regions(((n, i), (k, inner), (p, j)), depth - 1)
            yield from self._regions(((i, rows), (m, inner), (p, columns)), depth - 1)
            yield from self._regions(((n, i), (m, inner), (j, columns)), depth - 1)
        else:
            yield from self._regions(box, depth - 1)


@final
@dataclass(frozen=True)
class Region:
    """A box of chunks and the step that multiplies it, cell by cell: a cell is as many chunks as the step's form."""

    step: Step
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
