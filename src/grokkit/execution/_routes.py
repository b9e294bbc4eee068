"""Routes to a product: by a plan, by three real products, by products of integers, by the reference recursion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias, final

import numpy as np

from grokkit.execution._complex import three_products
from grokkit.execution._integers import integer_product
from grokkit.execution._kernel import all_finite
from grokkit.execution._modular import modular_product
from grokkit.execution._nonfinite import mend
from grokkit.execution._operands import Operands, is_gram, layout, regular
from grokkit.execution._plan import Plan, _forced_levels, plan, proven, quick_vendor
from grokkit.execution._recursion import recursive_product
from grokkit.execution._scaling import scaled
from grokkit.execution._threads import threads_for
from grokkit.execution._vendor import at_most
from grokkit.scheme import InvalidInput, Scheme

PLANNED: Final = (np.dtype(np.float32), np.dtype(np.float64))
"""Types that have a product of our own."""
COMPLEX: Final = (np.dtype(np.complex64), np.dtype(np.complex128))

Execution: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray], bool]
"""Writes a (N, M) times b (M, P) to out; whether every entry is finite."""
Repair: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
"""Makes out what `numpy.matmul` gives, where it is not finite."""


@final
class Wish(NamedTuple):
    """What the caller asks for, checked; a scheme is proven."""

    scheme: Scheme | None = None
    """None: any"""
    levels: int | None = None
    """None: as predicted, or 1 of an explicit scheme"""
    threads: int | None = None
    accuracy: float | None = None
    mod: int | None = None
    scaling: bool = False

    @property
    def explicit(self) -> bool:
        """Whether the algorithm is asked for, gain or no gain."""
        return self.scheme is not None or self.levels is not None

    @property
    def reference(self) -> tuple[Scheme, int]:
        """Scheme and levels of the recursion in NumPy."""
        from grokkit.scheme.catalog import catalog

        return self.scheme or catalog["winograd"], 1 if self.levels is None else self.levels


def wished(scheme: Any, levels: Any, threads: Any, accuracy: Any, mod: Any, scaling: Any) -> Wish:
    """The arguments of `matmul`, checked. Raises `InvalidInput`, and `KeyError` and `Refuted` for schemes."""
    count = _forced_levels(levels)
    if threads is not None:
        threads_for(threads)
    if accuracy is not None and not (isinstance(accuracy, int | float) and 0 < accuracy < math.inf):
        raise InvalidInput(f"accuracy is {accuracy!r}; a number above 0 is needed")
    if not isinstance(scaling, bool | np.bool_):
        raise InvalidInput(f"scaling is {scaling!r}; True or False is needed")
    return Wish(_proven(scheme), count, threads, accuracy, mod, bool(scaling))


def _proven(scheme: Any) -> Scheme | None:
    if isinstance(scheme, str):
        if scheme == "auto":
            return None
        from grokkit.scheme.catalog import catalog

        scheme = catalog[scheme]
    if not isinstance(scheme, Scheme):
        raise InvalidInput(f"scheme is {scheme!r}; 'auto', a name in the catalog or a Scheme is needed")
    return proven(scheme)


def computed(x: Operands, wish: Wish) -> Any:
    """The product in `x.out` or a new array; None, and nothing written, where it is NumPy's own.

    Raises `InvalidInput` for what the types do not admit.
    """
    if wish.mod is not None:
        return _modular(x, wish)
    kind = x.dtype.kind
    if wish.scaling and kind != "f":
        raise InvalidInput(f"scaling is for real floating-point matrices, not {x.dtype}")
    if x.dtype in PLANNED:
        return _planned(x, wish)
    if wish.explicit:
        return _recursive(x, wish) if kind in "biufcO" else None
    if x.dtype in COMPLEX:
        return _complex(x, wish)
    return _integers(x, wish) if x.a.dtype.kind in "iu" and x.b.dtype.kind in "iu" else None


def chunk_product(threads: int | None, accuracy: float | None) -> Callable[[Any, Any], Any]:
    """A product for chunks of dask arrays. Without a number, on one thread: dask has threads of its own."""
    return partial(_chunk_product, threads=threads, accuracy=accuracy)


def _chunk_product(a: Any, b: Any, *, threads: int | None, accuracy: float | None) -> Any:
    x = Operands.of(np.asarray(a), np.asarray(b), None)
    alone = threads is None and x is not None and x.dtype.kind in "fc"
    result = None if x is None else computed(x, Wish(threads=1 if alone else threads, accuracy=accuracy))
    return np.matmul(a, b) if result is None else result


# Floating point


def _planned(x: Operands, wish: Wish) -> Any:
    """float32 and float64: by a plan, matrix by matrix."""
    stack = _Stack.of(x)
    if not x.multiplications:
        return _recursive(x, wish) if wish.explicit else None
    if not wish.explicit and (quick_vendor(*stack.sizes, x.dtype.itemsize) or is_gram(x.left, x.right)):
        return None
    n, m, p = stack.sizes
    chosen = plan(
        (n, m),
        (m, p),
        x.dtype,
        layout=(layout(x.left), layout(x.right), x.result_layout),
        threads=wish.threads,
        accuracy=wish.accuracy,
        scheme="auto" if wish.scheme is None else wish.scheme,
        levels=wish.levels,
    )
    if chosen.vendor:
        return _recursive(x, wish) if wish.explicit else None
    execute = _scaled_execution(chosen) if wish.scaling else chosen.execute
    return stack.filled(execute, partial(mend, chosen), wish.threads)


def _scaled_execution(chosen: Plan) -> Execution:
    def execute(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> bool:
        factors = scaled(a, b)
        finite = chosen.execute(factors.a, factors.b, out)
        factors.restore(out)
        return finite and all_finite(out)

    return execute


def _complex(x: Operands, wish: Wish) -> Any:
    """By three real products."""
    stack = _Stack.of(x)
    way = three_products(stack.sizes, x.dtype, wish.threads, wish.accuracy)
    if way is None or is_gram(x.left, x.right):
        return None
    with at_most(wish.threads if way.real.vendor else None):
        return stack.filled(way.execute, _by_numpy, wish.threads)


def _by_numpy(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    np.matmul(a, b, out=out)


@final
@dataclass(frozen=True)
class _Stack:
    """The matrices of a product one by one; those of A as one of all their rows, where B is but one matrix."""

    operands: Operands
    folded: bool

    @classmethod
    def of(cls, x: Operands) -> _Stack:
        folded = x.left.ndim > 2 and x.right.ndim == 2 and x.left.flags.c_contiguous
        return cls(x, folded and (x.out is None or x.out.flags.c_contiguous))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """N, M, P of one product."""
        n, m, p = self.operands.sizes
        return (math.prod(self.operands.left.shape[:-1]) if self.folded else n), m, p

    def filled(self, execute: Execution, repair: Repair, threads: int | None) -> Any:
        """The whole product, each matrix executed, and repaired on so many threads where it is not finite."""
        x = self.operands
        room = x.room()
        result, left, right = x.matrices(room), regular(x.left, x.dtype), regular(x.right, x.dtype)
        if self.folded:
            left, result = (y.reshape(self.sizes[0], y.shape[-1]) for y in (left, result))
        batch = result.shape[:-2]
        left, right = (np.broadcast_to(y, batch + y.shape[-2:]) for y in (left, right))
        for index in np.ndindex(batch):
            matrices = left[index], right[index], result[index]
            try:
                finite, repaired = execute(*matrices), repair
            except MemoryError:  # NumPy's product needs less
                finite, repaired = False, _by_numpy
            if not finite:
                with at_most(threads):
                    repaired(*matrices)
        return x.delivered(room)


def _recursive(x: Operands, wish: Wish) -> Any:
    """By the recursion in NumPy; None where that is not finite."""
    scheme, levels = wish.reference
    if x.dtype.kind not in "fc":
        return x.delivered(recursive_product(scheme, x.a, x.b, levels))
    with np.errstate(over="ignore", invalid="ignore"), at_most(wish.threads):
        found = _scaled_recursion(x, scheme, levels) if wish.scaling else recursive_product(scheme, x.a, x.b, levels)
    return x.delivered(found) if np.isfinite(found).all() else None


def _scaled_recursion(x: Operands, scheme: Scheme, levels: int) -> np.ndarray:
    found = np.empty(x.shape, x.dtype)
    result = x.matrices(found)
    left, right = (np.broadcast_to(y.astype(x.dtype), result.shape[:-2] + y.shape[-2:]) for y in (x.left, x.right))
    for index in np.ndindex(result.shape[:-2]):
        factors = scaled(left[index], right[index])
        result[index] = recursive_product(scheme, factors.a, factors.b, levels)
        factors.restore(result[index])
    return found


# Integers


def _integers(x: Operands, wish: Wish) -> Any:
    if x.a.ndim < 2 or x.b.ndim < 2:
        return None
    out = x.out if x.out is not None and x.out.dtype == x.dtype else None
    with at_most(wish.threads):
        return x.delivered(integer_product(x.a, x.b, out, threads=_tiles_at_a_time(wish)))


def _modular(x: Operands, wish: Wish) -> Any:
    assert wish.mod is not None
    scheme, levels = wish.reference if wish.explicit else (None, 1)
    threads = _tiles_at_a_time(wish)
    with at_most(wish.threads):
        found = modular_product(x.left, x.right, wish.mod, scheme=scheme, levels=levels, threads=threads)
    return x.delivered(found.reshape(x.shape))


def _tiles_at_a_time(wish: Wish) -> int | None:
    """None for one."""
    return None if wish.threads == 1 else wish.threads
