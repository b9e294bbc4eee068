"""The speed that shares and figures are measured by."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np

from grokkit.studies._bench_case import CLOCKS, Case, Timing
from grokkit.studies._bench_contenders import BASELINES, Product
from grokkit.studies._bench_rounds import rest, time_rounds

SIZES: Final = (256, 384, 512, 768)
"""Of the products that are tried."""
SECONDS: Final = 0.5
"""Time for the rounds of one size."""
LOOPS: Final = 5_000_000
"""Rounds of multiply-adds in one call of the native loop: long beside the start of threads."""


@final
@dataclass(frozen=True)
class Peak:
    """The fastest multiplying and adding that was seen, and what it was."""

    dtype: str
    threads: int
    gflops: float
    source: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measured_peak(dtype: str, threads: int, baselines: Sequence[str], timing: Timing) -> Peak:
    """What the processor multiplies and adds here at best, measured.

    Tried are the native core's loop of multiply-adds in registers, on all threads at once, where there is one, and
    every vendor's product of matrices that stay in the caches. The fastest round of all counts.
    """
    found = _product_speeds(dtype, threads, baselines, timing) + _register_speeds(dtype, threads, timing)
    speed, source = max(found)
    return Peak(dtype, threads, speed, source)


def _product_speeds(dtype: str, threads: int, baselines: Sequence[str], timing: Timing) -> list[tuple[float, str]]:
    found = []
    for size in SIZES:
        case = Case(size, size, size, dtype, threads)
        a, b, c = case.operands(timing.seed)
        fastest = _fastest({name: BASELINES[name](a, b, c) for name in baselines}, threads, timing)
        found += [(case.flops / t / 1e9, f"{name}'s fastest product of size {size}") for name, t in fastest.items()]
    return found


def _register_speeds(dtype: str, threads: int, timing: Timing) -> list[tuple[float, str]]:
    try:
        from grokkit.execution._kernel import peak_operations
    except ImportError:
        return []
    if not peak_operations(dtype, 1):  # no native core
        return []
    operations = threads * LOOPS * peak_operations(dtype, 1)
    with ThreadPoolExecutor(threads) as pool:

        def multiply_and_add() -> None:
            list(pool.map(lambda _: peak_operations(dtype, LOOPS), range(threads)))

        seconds = _fastest({"registers": multiply_and_add}, threads, timing)["registers"]
    return [(operations / seconds / 1e9, "the native core's multiply-adds in registers")]


def _fastest(contenders: dict[str, Product], threads: int, timing: Timing) -> dict[str, float]:
    """Seconds of the fastest round of each."""
    times = time_rounds(
        contenders,
        np.random.default_rng(timing.seed),
        seconds=min(SECONDS, timing.seconds),
        min_rounds=timing.min_rounds,
        before=rest(threads),
        clock=CLOCKS[timing.clock],
    )
    return {name: min(values) for name, values in times.items()}
