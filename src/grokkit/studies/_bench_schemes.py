"""Schemes side by side: rank, additions, growth and measured speed, and which of a format none other beats in all
four.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, final

import numpy as np

from grokkit.execution import plan
from grokkit.scheme import (
    InvalidInput,
    MatrixProduct,
    Scheme,
    frobenius_growth,
    growth_factor,
    reduce_additions,
    verify,
)
from grokkit.studies._bench_answers import Referee
from grokkit.studies._bench_case import CLOCKS
from grokkit.studies._bench_contenders import OURS, find_baselines, numpy_product, thread_count
from grokkit.studies._bench_rounds import rest, time_rounds
from grokkit.studies._bench_statistics import Estimate, ratio_of_medians

CLASSICAL: Final = "classical"
VENDOR: Final = "numpy"
MEASURES: Final = ("rank", "additions", "growth", "speed")


class WrongScheme(ArithmeticError):
    """A product under a scheme was wrong: nothing is timed then."""


@final
@dataclass(frozen=True)
class SchemeRow:
    """One scheme and what it costs.

    Attributes
    ----------
    additions:
        Of one level, with common subexpressions shared (the native kernel does not share them).
    growth, frobenius:
        Growth factors of the error in the max norm and the Frobenius norm.
    speed:
        Time of the classical product in the same kernel over the scheme's, one level, fused; above 1 where it is
        faster.
    over_vendor:
        NumPy's time over the scheme's.
    shape:
        (N, M, P) that was timed: the size, rounded to a multiple of the format's letters.
    front:
        Whether no other of these schemes for the same format is as good in rank, additions, growth and speed.
    """

    name: str
    format: tuple[int, int, int]
    rank: int
    ring: str
    ternary: bool
    additions: int
    growth: float
    frobenius: float
    speed: Estimate
    over_vendor: Estimate
    shape: tuple[int, int, int]
    dtype: str
    threads: int
    front: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def bench_schemes(
    schemes: Iterable[tuple[str, Scheme]],
    *,
    size: int = 2048,
    dtype: str = "float32",
    threads: int = 1,
    seconds: float = 5.0,
    clock: str = "wall",
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> Iterator[SchemeRow]:
    """Check, then time one fused level of each scheme against the classical product of the same kernel and NumPy's.

    The three are timed in turns, in rounds of random order; intervals are paired by round. Rows come as they are
    measured, without `front`: see `with_front`. `clock` is "wall", or "cpu" for the process's own time, on one thread.
    Raises `WrongScheme`.
    """
    if clock == "cpu" and threads > 1:
        raise InvalidInput("CPU time adds up over threads; with more than one thread only the wall clock compares")
    find_baselines((VENDOR,))
    for name, scheme in schemes:
        verify(scheme)
        yield _row(name, scheme, size, dtype, threads, seconds, clock, seed)
        progress()


def _row(
    name: str, scheme: Scheme, size: int, dtype: str, threads: int, seconds: float, clock: str, seed: int
) -> SchemeRow:
    assert isinstance(scheme.target, MatrixProduct)
    form = scheme.target.format
    n, m, p = (max(1, round(size / letter)) * letter for letter in form)
    rng = np.random.default_rng([seed, *form, scheme.rank])
    a, b = (rng.standard_normal(sides).astype(dtype) for sides in ((n, m), (m, p)))
    c = np.empty((n, p), dtype=dtype)
    with thread_count(threads):
        ours = plan(a.shape, b.shape, dtype, scheme=scheme, levels=1, threads=threads)
        classical = plan(a.shape, b.shape, dtype, scheme="strassen", levels=0, threads=threads)
        if ours.vendor:
            raise InvalidInput(f"{name}: not timed, {ours.reason}")
        ours.execute(a, b, c)
        answer = Referee(a, b, rng).judge(c, ours.error_bound)
        if answer.wrong:
            raise WrongScheme(f"{name}: the product of {n}x{m} by {m}x{p} in {dtype} is wrong: {answer.wrong}")
        contenders = {
            OURS: lambda: ours.execute(a, b, c),
            CLASSICAL: lambda: classical.execute(a, b, c),
            VENDOR: numpy_product(a, b, c),
        }
        times = time_rounds(contenders, rng, seconds=seconds, before=rest(threads), clock=CLOCKS[clock])
    ours_times, classical_times, vendor_times = (np.array(times[each]) for each in (OURS, CLASSICAL, VENDOR))
    return SchemeRow(
        name=name,
        format=form,
        rank=scheme.rank,
        ring=str(scheme.ring),
        ternary=scheme.ternary,
        additions=reduce_additions(scheme).additions,
        growth=float(growth_factor(scheme)),
        frobenius=frobenius_growth(scheme),
        speed=ratio_of_medians(classical_times, ours_times, seed=seed),
        over_vendor=ratio_of_medians(vendor_times, ours_times, seed=seed),
        shape=(n, m, p),
        dtype=dtype,
        threads=threads,
    )


def with_front(rows: Iterable[SchemeRow]) -> list[SchemeRow]:
    """The rows with `front` told, in the order of their formats.

    A row is beaten by another of the same format (in any order of the letters) that is at least as good in rank,
    additions, growth and speed, and better in one. Speeds count as equal where their intervals overlap.
    """
    rows = list(rows)
    marked = [replace(row, front=not any(_beats(other, row) for other in rows if other is not row)) for row in rows]
    return sorted(marked, key=lambda row: (math.prod(row.format), sorted(row.format), row.rank, row.additions))


def _beats(a: SchemeRow, b: SchemeRow) -> bool:
    if sorted(a.format) != sorted(b.format):
        return False
    faster, slower = a.speed.low > b.speed.high, a.speed.high < b.speed.low
    no_worse = a.rank <= b.rank and a.additions <= b.additions and a.growth <= b.growth and not slower
    return no_worse and (a.rank < b.rank or a.additions < b.additions or a.growth < b.growth or faster)
