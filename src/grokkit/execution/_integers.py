"""Exact products of integer matrices by floating-point BLAS: operands cut into limbs, sums that floats hold exactly.

NumPy multiplies integers without a BLAS. A product of floats in which every partial sum is a whole number of at most
53 bits is never rounded, so integers cut into limbs short enough come out exact, and many times sooner.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, TypeAlias, final

import numpy as np

from grokkit.execution._threads import vendor_limited
from grokkit.execution._wrapping import wrapping_cost, wrapping_product
from grokkit.scheme import InvalidInput

Limb: TypeAlias = tuple[int, int]
"""Bits start..stop of an integer, rounded to the nearest: see `limb`."""
Sizes: TypeAlias = tuple[int, int, int]
"""N, K, P of a product (N, K) by (K, P)."""
FloatProduct: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A product of two float64 matrices."""

TILE_SIDE: Final = 2048
"""Most rows and columns of the result that are computed at a time."""
TILE_ELEMENTS: Final = 2**23
"""Elements of the largest floating-point buffer."""
STRIP_ELEMENTS: Final = 2**15
"""Elements that go through the conversions at a time, so that they stay in the cache."""
KEPT_BYTES: Final = 2**25
"""Most that a thread keeps from one call to the next."""
SHORTEST_CHUNK: Final = 32
"""Inner dimension that is not cut further unless it must be."""
CACHED_BYTES: Final = 2**17
"""Size of the right operand up to which NumPy's own product runs at its best."""
UNBOUNDED: Final = 2**20
"""Bits of a result that is not taken modulo a power of two."""

# Costs, in multiply-adds of a float64 product on one core (AMD Zen 3, NumPy 2.4, OpenBLAS: 0.05 ns).
FLOATS: Final = ((np.dtype(np.float64), 53, 1.0), (np.dtype(np.float32), 24, 0.55))
"""Types of the products, their significands, and the cost of a multiply-add."""
CUT: Final = 30.0
"""To cut a limb out of an entry."""
ADD: Final = 45.0
"""To add an entry of a product to the result."""
CALL: Final = 2e4
"""To begin one floating-point product."""
TERM: Final = 5e5
"""To begin one term for a stack of matrices."""
WHOLE: Final = 1.5e6
"""To begin at all."""
NUMPY: Final = (18.0, 85.0)
"""A multiply-add of NumPy's own integers, where the right operand fits the cache and where it does not."""


@final
@dataclass(frozen=True)
class Term:
    """One product of floats in a·b = Σ_terms (Σ_weights sign · 2^exponent) · left · right."""

    left: tuple[Limb, ...]
    """One limb, or two: the first minus the second."""
    right: tuple[Limb, ...]
    weights: tuple[tuple[int, int], ...]
    """Pairs (exponent, sign)."""

    def coefficient(self, bits: int) -> int:
        """Σ sign · 2^exponent modulo 2^bits, as a signed integer of that many bits."""
        value = sum(sign << exponent for exponent, sign in self.weights) % 2**bits
        return value - 2**bits if value >= 2 ** (bits - 1) else value

    def mirrored(self) -> Term:
        """The same with the operands exchanged."""
        return Term(self.right, self.left, self.weights)


@final
@dataclass(frozen=True)
class Split:
    """How a product of integers is made of products of floats."""

    terms: tuple[Term, ...]
    widths: tuple[int, int]
    """Bits of the operands, the sign included: entries are at most 2^(width-1) in magnitude."""
    chunk: int
    """Entries of the inner dimension that one product sums over."""
    dtype: np.dtype[Any]
    cost: float
    """Estimate, in multiply-adds of a float64 product."""


def integer_product(
    a: Any,
    b: Any,
    out: np.ndarray | None = None,
    *,
    threads: int | None = None,
    product: FloatProduct | None = None,
    growth: float = 1.0,
) -> np.ndarray:
    """``a @ b`` for integers by products of floats: bit for bit `numpy.matmul`, wrapping modulo 2^bits.

    Parameters
    ----------
    a, b:
        Arrays (..., N, K) and (..., K, P) of any integer types and strides, broadcast over leading axes.
    out:
        Array of the result's shape and type to write to. It may overlap the operands.
    threads:
        None: one tile of the result after the other, and the BLAS has the threads that it has. A number: that many
        tiles at a time, and every BLAS of the process is held to one thread meanwhile.
    product:
        Replaces `numpy.matmul` for float64 matrices, of any strides. Every number that it forms must be whole and at
        most `growth` · K · max|a| · max|b| in magnitude, K being that of its operands. Tiles then follow each other.
    growth:
        At least 1; of `product`.

    Returns an array (..., N, P) of type ``numpy.result_type(a, b)``. Without `product`, what `routes` finds cheaper
    that way goes to `numpy.matmul` itself or to the native kernel. Raises `TypeError` where an operand or the common
    type is not an integer (int64 with uint64), `ValueError` for shapes that do not fit, `InvalidInput` for other
    arguments.

    **Why it is exact.** Let L be the bits of the result; a and b matter only modulo 2^L. Let low_e(x) be the residue
    of x modulo 2^e in [-2^(e-1), 2^(e-1)), and low_0(x) = 0. The limb x[s,e) = (low_e(x) - low_s(x)) / 2^s is whole,
    since both residues agree with x modulo 2^s, and so at most the integer part of 2^(e-s-1) + 1/2 in magnitude, which
    is 2^(e-s-1). Limbs telescope: x[r,s) + 2^(s-r) x[s,e) = x[r,e). Where 2^(e-1) >= |x|, x takes the place of
    low_e(x), which changes neither; then x[0,e) = x. So a·b is the sum of 2^(s+t) a[s,.) b[t,.) over limbs that cover
    both. There a limb may be replaced by what it is modulo 2^(L-s-t), that is, cut off at L-t or L-s, and nothing is
    left to compute where s + t >= L. Two neighbouring limbs of widths w and v differ by at most 2^max(w,v).

    If factors of w and v bits (at most 2^(w-1) and 2^(v-1)) are multiplied with k terms to a sum, every partial sum is
    a whole number of at most k 2^(w+v-2). `split` keeps growth · k · 2^(w+v-2), or growth · k · max|a| · max|b| where
    nothing is cut, at most 2^53 (2^24 in float32). Floats hold all these numbers, so no operation rounds, in whatever
    order the BLAS adds and whether or not it fuses. The rest is multiplied by powers of two and added as L-bit
    integers, which wrap as they should.

    **Workspace.** A tile of the result, at most `TILE_SIDE` rows and columns, takes three buffers of floats, each at
    most `TILE_ELEMENTS` long: eight bytes for each entry of operands and result that meet at a time, 160 MiB at the
    very most, for each thread. The operands are not copied, but for a stack `a` that is not contiguous when `b` is one
    matrix, and narrower types for the native kernel. A thread keeps up to `KEPT_BYTES` for its next call.
    """
    a, b = _integers(a), _integers(b)
    dtype = common_type(a, b)
    shape = product_shape(a, b)
    check_execution(threads, growth)
    if out is not None:
        if out.shape != shape or out.dtype != dtype:
            raise InvalidInput(f"out is {out.dtype} of shape {out.shape}; {dtype} of shape {shape} is needed")
        if np.may_share_memory(out, a) or np.may_share_memory(out, b):
            out[...] = integer_product(a, b, threads=threads, product=product, growth=growth)
            return out
    result = np.empty(shape, dtype) if out is None else out
    if product is None and math.prod(shape) * a.shape[-1] * NUMPY[0] <= WHOLE + TERM:
        return np.matmul(a, b, out=result)
    if a.ndim > b.ndim == 2:  # one product of many rows rather than many products
        rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
        result[...] = integer_product(rows, b, threads=threads, product=product, growth=growth).reshape(shape)
        return result
    left, right = as_signed(a, dtype), as_signed(b, dtype)
    sizes, bits, count = (*a.shape[-2:], b.shape[-1]), 8 * dtype.itemsize, math.prod(shape[:-2])
    magnitudes = magnitude(left), magnitude(right)
    if not result.size or not all(magnitudes):
        result[...] = 0
        return result
    if product is None:
        costs = routes(sizes, bits, *magnitudes, count=count)
        cheapest = min(costs, key=lambda way: costs[way])
        if cheapest == "numpy":
            return np.matmul(a, b, out=result)
        if cheapest == "native":
            wrapping_product(a.astype(dtype, copy=False), b.astype(dtype, copy=False), result, threads)
            return result
    plan = split(sizes, bits, *magnitudes, growth=growth, count=count, narrow=product is None)
    wrapped_product(left, right, as_signed(result, dtype), plan, threads, product)
    return result


def routes(sizes: Sizes, bits: int, left: int, right: int, *, growth: float = 1.0, count: int = 1) -> dict[str, float]:
    """What each way to a product of integers costs, in multiply-adds of a float64 product on one core.

    Parameters
    ----------
    sizes:
        (N, K, P), each at least 1.
    bits:
        The result is needed modulo 2^bits.
    left, right:
        Largest magnitudes of the operands' entries, at least 1.
    growth:
        As for `integer_product`.
    count:
        Number of such products in a stack.

    Returns the estimates of ``"numpy"``, ``"native"`` (`wrapping_product`; infinite where there is none) and
    ``"floats"``; over N · K · P that is about the number of float64 products that would take as long.

    >>> costs = routes((1024, 1024, 1024), 32, 2**31, 2**31)
    >>> 2 < costs["floats"] / 1024**3 < 2.5, costs["numpy"] / costs["floats"] > 30
    (True, True)
    """
    n, k, p = sizes
    cached = k * p * bits <= 8 * CACHED_BYTES
    return {
        "numpy": count * n * k * p * NUMPY[0 if cached else 1],
        "native": count * (wrapping_cost(sizes, bits) + TERM) + 2 * WHOLE,
        "floats": split(sizes, bits, left, right, growth=growth, count=count).cost,
    }


@lru_cache(maxsize=1024)
def split(
    sizes: Sizes,
    bits: int,
    left: int,
    right: int,
    *,
    growth: float = 1.0,
    count: int = 1,
    narrow: bool = True,
) -> Split:
    """The cheapest way that is known to a product that is needed modulo 2^bits: `routes` names the parameters.

    Cutting the inner dimension in pieces leaves room for wider limbs, and so for fewer terms. `narrow` admits float32
    products. Raises `InvalidInput` where `growth` leaves no room at all.
    """
    n, k, p = sizes
    longest = max(1, TILE_ELEMENTS // min(max(n, p), TILE_SIDE))
    best = None
    for dtype, significand, cost in FLOATS if narrow else FLOATS[:1]:
        room = int(Fraction(2**significand) / Fraction(growth))
        pieces = -(-k // longest)
        while True:
            chunk = -(-k // pieces)
            terms = _terms(left, right, bits, room // chunk)
            if terms is not None:
                each = n * k * p * cost + (n + p) * k * CUT + pieces * (n * p * ADD + CALL)
                total = len(terms) * (TERM + count * each) + WHOLE
                if best is None or total < best.cost:
                    best = Split(terms, (width(left), width(right)), chunk, dtype, total)
            if chunk == 1 or (best is not None and chunk <= SHORTEST_CHUNK):
                break
            pieces *= 2
    if best is None:
        raise InvalidInput(f"growth {growth:g} leaves no room for exact products of {sizes[1]} terms to a sum")
    return best


def width(largest: int) -> int:
    """Least w with 2^(w-1) >= largest >= 1: bits of a limb whose magnitude is that."""
    return (largest - 1).bit_length() + 1


def _terms(left: int, right: int, bits: int, room: int) -> tuple[Term, ...] | None:
    """Terms whose factors have products of at most `room`, as few as are known; None if there is no room."""
    w, v = width(left), width(right)
    if left * right <= room:
        return (Term(((0, w),), ((0, v),), ((0, 1),)),)
    return _cover(min(w, bits), min(v, bits), bits, room.bit_length() + 1) if room else None


@lru_cache(maxsize=4096)
def _cover(w: int, v: int, bits: int, room: int) -> tuple[Term, ...]:
    """The fewest terms found for operands of w and v bits modulo 2^bits, factors being of `room` >= 2 bits together."""
    return min(
        _strips(w, v, bits, room),
        tuple(term.mirrored() for term in _strips(v, w, bits, room)),
        *_karatsuba(w, v, bits, room),
        *_all_pairs(w, v, bits, room),
        key=len,
    )


def _strips(w: int, v: int, bits: int, room: int) -> tuple[Term, ...]:
    """Limbs of the left operand, each by as many limbs of the right one as it needs; the fewest products of the kind.

    The higher a left limb starts, the fewer bits of the right operand matter to it: those below bits - start.
    """
    fewest, choice = [0] * (w + 1), [(w, 1)] * (w + 1)
    for start in reversed(range(w)):
        fewest[start] = w * v + 1
        needed = min(v, bits - start)
        for pieces in range(1, needed + 1):
            stop = min(w, start + room - -(-needed // pieces))
            if pieces >= fewest[start]:
                break
            if stop > start and pieces + fewest[stop] < fewest[start]:
                fewest[start], choice[start] = pieces + fewest[stop], (stop, pieces)
    terms: list[Term] = []
    start = 0
    while start < w:
        stop, pieces = choice[start]
        needed = min(v, bits - start)
        cuts = range(0, needed, -(-needed // pieces))
        limbs = [(low, min(low + cuts.step, needed)) for low in cuts]
        terms.extend(Term(((start, stop),), (right,), ((start + right[0], 1),)) for right in limbs)
        start = stop
    return tuple(terms)


def _karatsuba(w: int, v: int, bits: int, room: int) -> Iterator[tuple[Term, ...]]:
    """Splits with one Karatsuba step: the tops of the operands on their own if need be, the rest in two limbs each.

    x0 y1 + x1 y0 = x0 y0 + x1 y1 - (x0 - x1)(y0 - y1), where the right side has but one new product.
    """
    x = next((u for u in range(1, w) if w - u + min(v, bits - u) <= room), w)
    for left in sorted({x, w}):
        y = next((u for u in range(1, v) if v - u + min(left, bits - u) <= room), v)
        for right in sorted({y, v}):
            core = _two_by_two(left, right, room)
            if core is not None:
                tops = []
                if left < w:
                    tops.append(Term(((left, w),), ((0, min(v, bits - left)),), ((left, 1),)))
                if right < v:
                    tops.append(Term(((0, min(left, bits - right)),), ((right, v),), ((right, 1),)))
                yield (*core, *tops)


def _two_by_two(w: int, v: int, room: int) -> tuple[Term, ...] | None:
    """Karatsuba's three products for w by v bits, if all of them fit."""
    for cut in range(1, min(w, v)):
        high = w - cut + v - cut
        differences = max(cut, w - cut) + 1 + max(cut, v - cut) + 1
        if max(2 * cut, high, differences) <= room:
            x, y = ((0, cut), (cut, w)), ((0, cut), (cut, v))
            return (
                Term(x[:1], y[:1], ((0, 1), (cut, 1))),
                Term(x[1:], y[1:], ((cut, 1), (2 * cut, 1))),
                Term(x, y, ((cut, -1),)),
            )
    return None


def _all_pairs(w: int, v: int, bits: int, room: int) -> Iterator[tuple[Term, ...]]:
    """Karatsuba's identity for all pairs of three or four limbs, where every one of them matters."""
    for limbs in (3, 4):
        step = -(-max(w, v) // limbs)
        if (limbs - 1) * step < min(w, v) and 2 * (step + 1) <= room and bits >= w + v:
            x, y = ([(i * step, min((i + 1) * step, end)) for i in range(limbs)] for end in (w, v))
            squares = [Term((x[i],), (y[i],), tuple(((i + j) * step, 1) for j in range(limbs))) for i in range(limbs)]
            pairs = [(i, j) for i in range(limbs) for j in range(i + 1, limbs)]
            yield (*squares, *(Term((x[i], x[j]), (y[i], y[j]), (((i + j) * step, -1),)) for i, j in pairs))


def wrapped_product(
    a: np.ndarray, b: np.ndarray, out: np.ndarray, plan: Split, threads: int | None, product: FloatProduct | None
) -> None:
    """Write ``a @ b`` to out (..., N, P), a signed type modulo whose bits it wraps; the entries of a and b fit it."""
    coefficients = [term.coefficient(8 * out.itemsize) for term in plan.terms]

    def compute(left: np.ndarray, right: np.ndarray, tile: np.ndarray) -> None:
        with borrowed_workspace() as workspace:
            for number, values in enumerate(term_products(left, right, plan, tile.dtype, product, workspace)):
                coefficient = coefficients[number % len(coefficients)]
                for index in strip_indices(tile.shape):
                    _accumulate(tile[index], values[index], coefficient, number == 0, workspace)

    for_each_tile(compute, a, b, out, plan, threads if product is None else None)


def _accumulate(total: np.ndarray, values: np.ndarray, coefficient: int, fresh: bool, workspace: Workspace) -> None:
    """Add coefficient · values to the total, or set it to that; values are whole floats."""
    whole = workspace.array("whole", values.shape, np.int64)
    np.copyto(whole, values, casting="unsafe")
    if total.dtype != np.int64:
        narrow = workspace.array("limb", values.shape, total.dtype)
        np.copyto(narrow, whole, casting="unsafe")
        whole = narrow
    if fresh:
        np.multiply(whole, coefficient, out=total)
        return
    if coefficient != 1:
        np.multiply(whole, coefficient, out=whole)
    np.add(total, whole, out=total)


def for_each_tile(
    compute: Callable[[np.ndarray, np.ndarray, np.ndarray], None],
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
    plan: Split,
    threads: int | None,
) -> None:
    """Call compute(left, right, tile) for stacks (s, rows, columns) that make up out and what they need of a and b."""
    if out.ndim == 2:
        a, b, out = a[None], b[None], out[None]
    *batch, rows, columns = out.shape
    left = np.broadcast_to(a, (*batch, *a.shape[-2:]))
    right = np.broadcast_to(b, (*batch, *b.shape[-2:]))
    tiles = list(_tiles(batch[-1], rows, columns, plan.chunk, threads or 1))
    tasks = [
        (
            _part(left[outer], stack)[..., high, :],
            _part(right[outer], stack)[..., wide],
            out[outer][stack, high, wide],
        )
        for outer in np.ndindex(*batch[:-1])
        for stack, high, wide in tiles
    ]
    if threads is None:
        for task in tasks:
            compute(*task)
        return
    with vendor_limited(1), ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(compute, *task) for task in tasks]:
            done.result()


def _part(stack: np.ndarray, indices: slice) -> np.ndarray:
    """A part of a stack of matrices, one matrix where it only repeats that."""
    return stack[:1] if stack.strides[0] == 0 else stack[indices]


def _tiles(count: int, rows: int, columns: int, chunk: int, workers: int) -> Iterator[tuple[slice, slice, slice]]:
    """Parts of a stack of `count` results that the buffers hold, enough of them to keep all workers busy."""
    high, wide = min(rows, TILE_SIDE), min(columns, TILE_SIDE)
    while max(high, wide) > 64 and count * -(-rows // high) * -(-columns // wide) < workers:
        high, wide = (-(-high // 2), wide) if high >= wide else (high, -(-wide // 2))
    deep = max(1, min(-(-count // workers), TILE_ELEMENTS // max(high * chunk, chunk * wide, high * wide)))
    for first in range(0, count, deep):
        for i in range(0, rows, high):
            for j in range(0, columns, wide):
                yield slice(first, first + deep), slice(i, i + high), slice(j, j + wide)


def term_products(
    a: np.ndarray,
    b: np.ndarray,
    plan: Split,
    integers: np.dtype[Any],
    product: FloatProduct | None,
    workspace: Workspace,
) -> Iterator[np.ndarray]:
    """For stacks a (s, N, K) and b (s, K, P), either of one matrix perhaps: the products of floats, one by one.

    Yields for each chunk of the inner dimension and each term of the plan, in this order, sums (s, N, P): whole
    numbers in floats. The array is used again for the next. `integers` is a signed type to compute limbs in.
    """
    values = workspace.array("values", (max(len(a), len(b)), a.shape[-2], b.shape[-1]), plan.dtype)
    left = _Factor("left", plan.widths[0], plan.dtype, integers, workspace)
    right = _Factor("right", plan.widths[1], plan.dtype, integers, workspace)
    for start in range(0, a.shape[-1], plan.chunk):
        x, y = a[..., start : start + plan.chunk], b[..., start : start + plan.chunk, :]
        for term in plan.terms:
            u, v = left.floats(x, term.left), right.floats(y, term.right)
            if product is None:
                np.matmul(u, v, out=values)
            else:
                for i in range(len(values)):
                    values[i] = product(u[i % len(u)], v[i % len(v)])
            yield values


@dataclass(frozen=True)
class _Factor:
    """Turns parts of one operand into floats."""

    name: str
    """Of the buffer in the workspace."""
    bits: int
    """2^(bits-1) is at least every magnitude."""
    dtype: np.dtype[Any]
    integers: np.dtype[Any]
    """What limbs are computed in."""
    workspace: Workspace

    def floats(self, x: np.ndarray, limbs: tuple[Limb, ...]) -> np.ndarray:
        """A limb of a stack x (s, rows, columns), or the first minus the second, in the order x has in memory."""
        transposed = abs(x.strides[-2]) < abs(x.strides[-1])
        if transposed:
            x = x.swapaxes(-1, -2)
        values = self.workspace.array(self.name, x.shape, self.dtype)
        for index in strip_indices(x.shape):
            strip = x[index]
            whole = limb(strip, limbs[0], self.bits, self.workspace.array("limb", strip.shape, self.integers))
            if len(limbs) == 2:
                second = self.workspace.array("second", strip.shape, self.integers)
                whole = np.subtract(whole, limb(strip, limbs[1], self.bits, second), out=second)
            values[index] = whole
        return values.swapaxes(-1, -2) if transposed else values


def limb(x: np.ndarray, bounds: Limb, bits: int, out: np.ndarray) -> np.ndarray:
    """x[start,stop), or (low_stop - low_start) / 2^start: see `integer_product`. In `out`, unless that is x itself.

    `out` has the L bits of the result or more, and 2^(bits-1) is at least every magnitude. The division is a shift
    that rounds to nearest, halves up: y - low_s(y) is the greatest multiple of 2^s that is not above y + 2^(s-1).
    Where that sum wraps, which can happen only in a limb that ends with the type, the limb is off by a multiple of
    2^(L-s): nothing modulo 2^L.
    """
    start, stop = bounds
    unused = 8 * out.itemsize - stop
    if stop < bits and unused > 0:
        x = np.left_shift(x, unused, out=out, dtype=out.dtype)
        np.right_shift(x, unused, out=x)
    if start:
        x = np.add(x, 1 << (start - 1), out=out, dtype=out.dtype)
        np.right_shift(x, start, out=x)
    return x


class Workspace:
    """Named arrays that are used again and again, whatever their shapes and types; contents are left over."""

    def __init__(self) -> None:
        self._rooms: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """The array of that name, which earlier arrays of the name share."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        room = self._rooms.get(name)
        if room is None or len(room) < size:
            room = self._rooms[name] = np.empty(size, np.uint8)
        return room[:size].view(dtype).reshape(shape)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self._rooms.values()))


_kept = threading.local()


@contextmanager
def borrowed_workspace() -> Iterator[Workspace]:
    """A workspace for the current thread, the one of last time if it is small and no caller has it.

    Memory that is new to a process costs more than what small products compute in it.
    """
    workspace = _kept.__dict__.pop("workspace", None) or Workspace()
    try:
        yield workspace
    finally:
        if workspace.size <= KEPT_BYTES:
            _kept.workspace = workspace


@lru_cache(maxsize=256)
def strip_indices(shape: tuple[int, int, int]) -> tuple[Any, ...]:
    """Indices that divide a stack of matrices into strips of about `STRIP_ELEMENTS`: matrices, or rows of one."""
    count, rows, columns = shape
    if rows * columns <= STRIP_ELEMENTS:
        step = STRIP_ELEMENTS // (rows * columns)
        return tuple(slice(i, i + step) for i in range(0, count, step))
    step = max(1, STRIP_ELEMENTS // columns)
    return tuple((i, slice(j, j + step)) for i in range(count) for j in range(0, rows, step))


def _integers(x: Any) -> np.ndarray:
    """An operand as an array; `TypeError` unless it holds integers."""
    x = np.asarray(x)
    if x.dtype.kind not in "iu":
        raise TypeError(f"an operand is {x.dtype}; an integer type is needed")
    return x


def common_type(a: np.ndarray, b: np.ndarray) -> np.dtype[Any]:
    """The integer type that NumPy gives the product."""
    dtype = np.result_type(a, b)
    if dtype.kind not in "iu":
        raise TypeError(f"{a.dtype} and {b.dtype} have no integer type in common; convert one of them")
    return dtype


def product_shape(a: np.ndarray, b: np.ndarray) -> tuple[int, ...]:
    """Shape of the product of two stacks of matrices."""
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(f"shapes {a.shape} and {b.shape}: matrices, or stacks of them, are needed")
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit: {a.shape[-1]} != {b.shape[-2]}")
    return (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])


def check_execution(threads: Any, growth: Any) -> None:
    """Raise `InvalidInput` unless `threads` and `growth` make sense."""
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1):
        raise InvalidInput(f"threads is {threads!r}; None or a whole number of at least 1 is needed")
    if not 1 <= growth < math.inf:
        raise InvalidInput(f"growth is {growth!r}; a finite number of at least 1 is needed")


def as_signed(x: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """x itself, or its bits read as signed integers if it is as wide as `dtype`: the same modulo 2^bits."""
    if x.dtype.itemsize < dtype.itemsize:
        return x
    return x.view(np.dtype(f"{x.dtype.byteorder}i{dtype.itemsize}"))


def magnitude(x: np.ndarray) -> int:
    """Largest absolute value; 0 for an empty array."""
    return max(abs(int(x.max())), abs(int(x.min()))) if x.size else 0
