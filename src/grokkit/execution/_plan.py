"""Plans: how a product of given shapes will be computed, decided before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, final

import numpy as np

from grokkit import _native
from grokkit.execution import _kernel
from grokkit.execution._cost import ROWS, Layout, Split, block_shape, inner_pieces, leaf_shape
from grokkit.execution._profile import Prices, current_profile, profile_number
from grokkit.execution._threads import threads_for
from grokkit.scheme import (
    InvalidInput,
    MatrixProduct,
    Scheme,
    compose,
    composed_error_bound,
    expand,
    suggestion,
    typical_growth,
    unit_roundoff,
    verify,
)
from grokkit.scheme.catalog import catalog, standard

SMALLEST_SIDE: Final = 128
"""A product with a shorter side never gains."""
SMALLEST_PRODUCT: Final = 600**3
"""Nor does one with fewer multiplications."""
SMALLEST_LEAF: Final = 384
"""Shortest side of a leaf that is considered."""
LAYOUTS: Final = ("row", "column", "strided")
PRICED: Final = ("strassen", "winograd")
"""Schemes of the catalog that plans consider in the kernel; no other was measured faster (docs/measurements.md)."""
MOST_WORKSPACE: Final = 0.75
"""Of a plan with explicit levels, as a share of the largest of the three matrices."""
MAX_EXPLICIT: Final = 5


def quick_vendor(n: int, m: int, p: int, itemsize: int) -> bool:
    """Whether an N x M by M x P product is too small to gain in any way: the vendor's, without a plan."""
    return n * m * p < SMALLEST_PRODUCT or n < SMALLEST_SIDE or m < SMALLEST_SIDE or p < SMALLEST_SIDE


@final
@dataclass(frozen=True)
class Step:
    """A scheme applied on some levels, explicitly (sums as matrices) or fused into the kernel."""

    scheme: Scheme
    levels: int
    explicit: bool

    def __str__(self) -> str:
        how = "explicit" if self.explicit else "fused"
        return f"{self.levels} x {_title(self.scheme)} ({how})"


def _title(scheme: Scheme) -> str:
    name = catalog.name_of(scheme)
    return scheme.name if name is None else f"{name} {scheme.name}"


@final
@dataclass(frozen=True)
class Plan:
    """How a product of an N x M by an M x P matrix will be computed. Nothing is computed before `execute`."""

    shape: tuple[int, int, int]
    """N, M, P"""
    dtype: np.dtype[Any]
    threads: int
    library: str
    """whose product is the vendor's: ``numpy`` or ``torch``"""
    steps: tuple[Step, ...]
    """outermost first; empty for the classical product"""
    vendor: bool
    """the product is the vendor's own"""
    reason: str
    expected_speedup: float
    """the vendor's predicted time over ours; 1 for the vendor's own product"""
    workspace: int
    """bytes allocated while it runs, packed blocks included"""

    @property
    def levels(self) -> int:
        return sum(step.levels for step in self.steps)

    @property
    def explicit_levels(self) -> int:
        return sum(step.levels for step in self.steps if step.explicit)

    @property
    def fused(self) -> Scheme:
        """The scheme that the kernel applies: the steps below the explicit ones, composed."""
        return _composed(tuple(step for step in self.steps if not step.explicit))

    @property
    def split(self) -> Split:
        return Split(self.fused, self.explicit_levels)

    @property
    def leaf(self) -> tuple[int, int, int]:
        """N, M, P of the smallest products."""
        return block_shape(self.shape, self.split)

    @property
    def products(self) -> int:
        """Leaf products."""
        return math.prod(step.scheme.rank**step.levels for step in self.steps)

    @property
    def classical_flops(self) -> float:
        """2NMP."""
        n, m, p = self.shape
        return 2.0 * n * m * p

    @property
    def flops(self) -> float:
        """Multiplications and additions inside the leaf products."""
        n, m, p = self.leaf
        return 2.0 * self.products * n * m * p

    @property
    def additions(self) -> float:
        """Additions of the linear combinations, outside the leaf products."""
        n, m, p = leaf_shape(self.shape, self.explicit_levels)
        factors = _kernel.coefficients(self.fused)
        n, m, p = -(-n // factors.n), -(-m // factors.m), -(-p // factors.p)
        inside = _surplus(factors.u) * n * m + _surplus(factors.v) * m * p
        inside += (np.count_nonzero(factors.w) - factors.n * factors.p) * n * p
        total, products = 0.0, 1
        for level in range(1, self.explicit_levels + 1):
            height, length, width = leaf_shape(self.shape, level)
            total += products * (4.0 * height * length + 4.0 * length * width + 7.0 * height * width)
            products *= 7
        if self.explicit_levels:  # operands of two products are sums that the kernel forms anew for each block
            again = products // 7 * 2 * (np.count_nonzero(factors.u) * n * m + np.count_nonzero(factors.v) * m * p)
            n, m, p = leaf_shape(self.shape, self.explicit_levels)
            total += again - products // 7 * (n * m + m * p)
        return total + float(products * inside)

    @property
    def error_bound(self) -> float:
        """Rigorous: ‖Ĉ − C‖max ≤ error_bound · ‖A‖max ‖B‖max (see `grokkit.scheme.composed_error_bound`)."""
        try:
            steps = [(step.scheme, step.levels) for step in self.steps if step.explicit]
            further = longer_chains(self.fused) if steps else 0
            steps.append((self.fused, 1))  # whose sums are single chains
            return composed_error_bound(steps, self.shape[1], self.dtype, further=further).factor
        except InvalidInput:
            return math.inf

    @property
    def error_estimate(self) -> float:
        """Typical ‖Ĉ − C‖F / ‖C‖F for independent entries of mean zero. This is what ``accuracy=`` caps."""
        growth = math.prod(typical_growth(step.scheme) ** step.levels for step in self.steps)
        return growth * _leaf_error(self.leaf[1], self.dtype)

    def execute(self, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> bool:
        """Compute out = a b; whether every entry of the result is finite.

        a (N, M), b (M, P), out (N, P) of the plan's dtype; a and b with any strides, out with contiguous rows or
        columns and overlapping neither. A vendor plan runs `numpy.matmul`.
        """
        if self.vendor:
            np.matmul(a, b, out=out)
        else:
            _kernel.multiply(a, b, out, self.fused, explicit_levels=self.explicit_levels, threads=self.threads)
        return _kernel.all_finite(out)

    def affected_rows(self, rows: np.ndarray) -> np.ndarray:
        """Rows of C that given rows of A enter: those at the same places of the other blocks as well."""
        return _partners(np.unique(rows), self.shape[0], self.explicit_levels, _kernel.coefficients(self.fused).n)

    def affected_columns(self, columns: np.ndarray) -> np.ndarray:
        """Columns of C that given columns of B enter."""
        return _partners(np.unique(columns), self.shape[2], self.explicit_levels, _kernel.coefficients(self.fused).p)

    def to_json(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape), "dtype": self.dtype.name, "threads": self.threads, "library": self.library,
            "vendor": self.vendor, "steps": [str(step) for step in self.steps], "levels": self.levels,
            "leaf": list(self.leaf), "products": self.products, "flops": self.flops,
            "classical_flops": self.classical_flops, "additions": self.additions, "workspace": self.workspace,
            "error_bound": self.error_bound, "error_estimate": self.error_estimate,
            "expected_speedup": self.expected_speedup, "reason": self.reason,
        }  # fmt: skip

    def __str__(self) -> str:
        n, m, p = self.shape
        who = f"the product of {self.library}" if self.vendor else " over ".join(map(str, self.steps)) or "classical"
        return "\n".join([
            f"{n} x {m} by {m} x {p}, {self.dtype.name}, {self.threads} thread{'s' * (self.threads != 1)}: {who}",
            f"  why               {self.reason}",
            f"  leaf products     {self.products:,} of {' x '.join(map(str, self.leaf))}",
            f"  flops             {self.flops:.4g} ({self.flops / max(self.classical_flops, 1):.3f} of the classical)",
            f"  additions         {self.additions:.4g}",
            f"  workspace         {self.workspace / 2**20:.1f} MiB",
            f"  error bound       {self.error_bound:.3g} x max|A| x max|B| (rigorous)",
            f"  error estimate    {self.error_estimate:.3g} of the norm of C (typical)",
            f"  expected speedup  {self.expected_speedup:.3f}",
        ])  # fmt: skip


def longer_chains(fused: Scheme) -> int:
    """Roundings that the lowest explicit level adds to a path of the kernel, beside those of the two schemes.

    The kernel forms a sum of sums of two as one chain, and adds its products one by one to what lies in C.
    """
    factors = _kernel.coefficients(fused)
    terms = (np.count_nonzero(factors.u, axis=1), np.count_nonzero(factors.v, axis=1),
             np.count_nonzero(factors.w, axis=0))  # fmt: skip
    return sum(int(count.max()) - 1 for count in terms)


def _surplus(factor: np.ndarray) -> int:
    """Additions of the linear combinations of a factor's rows."""
    return int(np.maximum(np.count_nonzero(factor, axis=1) - 1, 0).sum())


def _leaf_error(inner: int, dtype: np.dtype[Any]) -> float:
    """Typical relative error of a classical leaf product: a random walk along chains of the kernel's inner size.

    A rounding of a sum s has variance about .18 u² s² (s spread evenly over an octave of mantissas); along a chain of c
    terms of variance one that makes .09 c² u² beside a result of variance c.
    """
    usual = _kernel.tile(np.dtype(np.float64) if dtype not in _kernel.TYPES else dtype).inner
    pieces = inner_pieces(inner, usual)
    chain = -(-max(inner, 1) // pieces)
    return unit_roundoff(dtype) * math.sqrt(0.09 * chain + 0.09 * (pieces - 1)) if dtype.kind in "fc" else 0.0


def _partners(indices: np.ndarray, size: int, explicit_levels: int, blocks: int) -> np.ndarray:
    """Indices that share their place in some block with one of the given."""
    if len(indices) == 0:
        return indices
    if explicit_levels == 0 or size < 2:
        block = -(-size // blocks)
        places = np.unique(indices % block)
        spread = np.unique((places[:, None] + block * np.arange(blocks)).ravel())
        return spread[spread < size]
    half = size // 2
    inside = np.unique(indices[indices < 2 * half] % half)
    inner = _partners(inside, half, explicit_levels - 1, blocks)
    return np.concatenate([inner, inner + half, indices[indices >= 2 * half]])


@cache
def _classical() -> Scheme:
    return standard(1, 1, 1)


@lru_cache(maxsize=64)
def _composed(steps: tuple[Step, ...]) -> Scheme:
    scheme = _classical()
    for step in steps:
        power = expand(step.scheme, step.levels)
        scheme = power if scheme is _classical() else compose(scheme, power)
    return scheme


@lru_cache(maxsize=256)
def proven(scheme: Scheme) -> Scheme:
    """The scheme, once `verify` has proven it. Raises `Refuted`."""
    verify(scheme)
    return scheme


def plan(
    shape_a: tuple[int, ...],
    shape_b: tuple[int, ...],
    dtype: Any = np.float64,
    *,
    layout: Layout = ROWS,
    threads: int | None = None,
    accuracy: float | None = None,
    scheme: Scheme | str = "auto",
    levels: int | str | None = "auto",
    library: str = "numpy",
) -> Plan:
    """Decide how to multiply an N x M by an M x P matrix.

    Parameters
    ----------
    shape_a, shape_b:
        (N, M) and (M, P).
    dtype:
        Of operands and result. Our own product serves float32 and float64.
    layout:
        Of A, B and C: ``row`` or ``column`` for which entries are contiguous, ``strided`` for neither. The kernel has a
        packing path for each; packing costs more where A is stored by columns, most where an operand is strided.
    threads:
        None: as many as the vendor's product would use now.
    accuracy:
        Largest `Plan.error_estimate` that is admitted; None: any.
    scheme, levels:
        ``"auto"``: what the machine profile (``grokkit doctor --tune``) predicts to be fastest, the vendor's product
        where nothing gains. A `Scheme` or a catalog name, proven here, is used on `levels` levels (default 1) whether
        it gains or not; with ``"auto"`` a number of levels forces that many.
    library:
        Whose product is the vendor's: ``numpy`` or ``torch``.

    Raises `InvalidInput` for options that make no sense, `KeyError` for an unknown name, `Refuted` for a wrong scheme,
    `ValueError` for shapes that do not fit.

    >>> print(plan((8, 8), (8, 8), "float32", threads=1).reason)
    too small to gain
    """
    if len(shape_a) != 2 or len(shape_b) != 2 or shape_a[1] != shape_b[0]:
        raise ValueError(f"shapes {tuple(shape_a)} and {tuple(shape_b)} do not fit; (N, M) and (M, P) are needed")
    shape = (int(shape_a[0]), int(shape_a[1]), int(shape_b[1]))
    forced = _forced_levels(levels)
    if accuracy is not None and not (isinstance(accuracy, int | float) and accuracy > 0):
        raise InvalidInput(f"accuracy is {accuracy!r}; a number above 0 is needed")
    if len(layout) != 3:
        raise InvalidInput(f"layout names {len(layout)} matrices; A, B and C are needed")
    if unknown := set(layout) - set(LAYOUTS):
        raise InvalidInput(f"layout {min(unknown)!r} is not known{suggestion(min(unknown), LAYOUTS)}")
    if isinstance(scheme, str) and scheme != "auto":
        scheme = catalog[scheme]
    if isinstance(scheme, Scheme):
        proven(scheme)
    return _decide(
        shape, np.dtype(dtype), tuple(layout), threads_for(threads), accuracy, scheme, forced, library,
        profile_number(),
    )  # fmt: skip


def _forced_levels(levels: Any) -> int | None:
    if levels is None or (isinstance(levels, str) and levels == "auto"):
        return None
    if isinstance(levels, bool) or not isinstance(levels, int | np.integer) or not 0 <= levels <= 64:
        raise InvalidInput(f"levels is {levels!r}; a whole number from 0 to 64 is needed, or 'auto'")
    return int(levels)


@lru_cache(maxsize=1024)
def _decide(
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    layout: Layout,
    threads: int,
    accuracy: float | None,
    scheme: Scheme | str,
    levels: int | None,
    library: str,
    profile: int,
) -> Plan:
    def vendor(reason: str) -> Plan:
        return Plan(shape, dtype, threads, library, (), True, reason, 1.0, 0)

    if dtype not in _kernel.TYPES or dtype.kind != "f":
        return vendor(f"{dtype.name} has no product of our own")
    if _kernel.library() is None:
        return vendor(f"the native core is {_native.status()}")
    prices = current_profile().find(dtype, threads, library)
    if isinstance(scheme, Scheme):
        wanted = _wanted(scheme, 1 if levels is None else levels)
        return _explicit(shape, dtype, layout, threads, library, wanted, prices, vendor)
    if levels is not None:
        options = [steps for steps in _candidates(shape, levels) if sum(x.levels for x in steps) == levels]
        best = min(
            options, key=lambda x: _price(prices, shape, x, layout), default=_wanted(catalog["winograd"], levels)
        )
        return _explicit(shape, dtype, layout, threads, library, best, prices, vendor)
    n, m, p = shape
    if quick_vendor(n, m, p, dtype.itemsize):
        return vendor("too small to gain")
    if prices is None:
        return vendor("no prices for this machine; `grokkit doctor --tune` measures them")
    return _fastest(shape, dtype, layout, threads, accuracy, library, prices, vendor)


def _wanted(scheme: Scheme, levels: int) -> tuple[Step, ...]:
    """A scheme on some levels; the outer ones of Winograd's explicitly."""
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name} is not a scheme for a matrix product")
    if levels > 1 and scheme == catalog["winograd"]:
        return Step(scheme, levels - 1, True), Step(scheme, 1, False)
    return (Step(scheme, levels, False),) if levels else ()


def _explicit(
    shape: tuple[int, int, int], dtype: np.dtype[Any], layout: Layout, threads: int, library: str,
    steps: tuple[Step, ...], prices: Prices | None, vendor: Any,
) -> Plan:  # fmt: skip
    """A plan for steps that the caller has chosen."""
    if not all(step.scheme.ring.rational for step in steps):
        raise InvalidInput("a scheme over a finite field does not hold for floating-point numbers")
    if not all(_fits(step) for step in steps):
        return vendor("the scheme has more blocks than the native kernel takes")
    return _planned(shape, dtype, layout, threads, library, steps, "asked for", prices)


def _fits(step: Step) -> bool:
    if step.explicit:
        return step.levels < 16
    n, m, p = (x**step.levels for x in step.scheme.target.format)  # type: ignore[attr-defined]
    return max(n * m, m * p, n * p) <= _kernel.MAX_BLOCKS and step.scheme.rank**step.levels <= 10_000


def _planned(
    shape: tuple[int, int, int], dtype: np.dtype[Any], layout: Layout, threads: int, library: str,
    steps: tuple[Step, ...], reason: str, prices: Prices | None,
) -> Plan:  # fmt: skip
    split = _split(steps)
    speedup = prices.vendor_seconds(shape) / prices.seconds(shape, split, layout) if prices else math.nan
    workspace = _kernel.workspace_bytes(
        shape, dtype, split.scheme, explicit_levels=split.explicit_levels, threads=threads
    )
    return Plan(shape, dtype, threads, library, steps, False, reason, speedup, workspace)


def _split(steps: tuple[Step, ...]) -> Split:
    explicit = sum(step.levels for step in steps if step.explicit)
    return Split(_composed(tuple(step for step in steps if not step.explicit)), explicit)


def _price(prices: Prices | None, shape: tuple[int, int, int], steps: tuple[Step, ...], layout: Layout) -> float:
    if prices is None:
        return -sum(step.levels for step in steps if step.explicit)
    return prices.seconds(shape, _split(steps), layout)


@cache
def _fused_choices() -> tuple[tuple[Step, ...], ...]:
    """What the kernel may apply: nothing, Strassen once or twice, and the other schemes that are worth pricing."""
    strassen = Step(catalog["strassen"], 1, False)
    choices: list[tuple[Step, ...]] = [(), (strassen,), (Step(catalog["strassen"], 2, False),)]
    for name in PRICED:
        scheme = catalog[name]
        if not isinstance(scheme.target, MatrixProduct) or not scheme.ring.rational:
            continue
        step = Step(scheme, 1, False)
        n, m, p = scheme.target.format
        if scheme.rank < n * m * p and _fits(step) and step != strassen:
            choices.append((step,))
    return tuple(choices)


def _candidates(shape: tuple[int, int, int], levels: int | None = None) -> Iterator[tuple[Step, ...]]:
    winograd = catalog["winograd"]
    for explicit in range(MAX_EXPLICIT + 1):
        outer = (Step(winograd, explicit, True),) if explicit else ()
        for inner in _fused_choices():
            steps = outer + inner
            if levels is not None or not steps or min(block_shape(shape, _split(steps))) >= SMALLEST_LEAF:
                yield steps


def _fastest(
    shape: tuple[int, int, int], dtype: np.dtype[Any], layout: Layout, threads: int,
    accuracy: float | None, library: str, prices: Prices, vendor: Any,
) -> Plan:  # fmt: skip
    plans = [_planned(shape, dtype, layout, threads, library, steps, "", prices) for steps in _candidates(shape)]
    room = MOST_WORKSPACE * max(shape[0] * shape[1], shape[1] * shape[2], shape[0] * shape[2]) * dtype.itemsize
    plans = [x for x in plans if not x.explicit_levels or x.workspace <= room]
    admitted = [x for x in plans if accuracy is None or x.error_estimate <= accuracy]
    if not admitted:
        return vendor(f"nothing of our own is estimated to reach an accuracy of {accuracy:.3g}")
    best = max(admitted, key=lambda x: x.expected_speedup)
    needed = 1 + prices.doubt
    if best.expected_speedup < needed:
        ratio = f"{best.expected_speedup:.3f} times the vendor's speed; {needed:.2f} is asked for"
        return vendor(f"the best of {len(admitted)} candidates is predicted at {ratio}")
    source = "measured" if current_profile().measured else "shipped"
    reason = f"predicted fastest of {len(admitted)} candidates by the {source} profile"
    return Plan(shape, dtype, threads, library, best.steps, False, reason, best.expected_speedup, best.workspace)
