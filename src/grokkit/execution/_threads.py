"""How many threads a product may use: what the caller, the environment and threadpoolctl allow."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Final

from grokkit.scheme import InvalidInput

STEP: Final = 0.01
"""Seconds for which threads are watched."""
IDLE: Final = 0.1
"""A share of one processor: threads that use less are idle."""


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def processors() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return max(len(os.sched_getaffinity(0)), 1)
    return os.cpu_count() or 1


def threads_for(wish: Any) -> int:
    """Threads of a product: `wish` if it is a number, else as many as the vendor BLAS would take now.

    The latter is what OPENBLAS_NUM_THREADS, OMP_NUM_THREADS and `threadpoolctl.threadpool_limits` have set, and never
    more than the processors that the process may run on. Raises `InvalidInput` for anything but a positive number.
    """
    if wish is not None:
        if isinstance(wish, bool) or not isinstance(wish, int) or not 1 <= wish <= 4096:
            raise InvalidInput(f"threads is {wish!r}; a whole number from 1 to 4096 is needed")
        return wish
    limits = [processors()]
    omp = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if omp.isdigit() and int(omp) > 0:
        limits.append(int(omp))
    limits += [int(blas.num_threads) for blas in _controller().lib_controllers if blas.num_threads]
    return max(min(limits), 1)


def vendor_limited(threads: int | None) -> AbstractContextManager[Any]:
    """The vendor BLAS limited to `threads` threads; None leaves it alone."""
    return nullcontext() if threads is None else _controller().limit(limits=threads)


def wait_for_idle_threads(limit: float = 0.5) -> None:
    """Return when the other threads of this process have come to rest, or after `limit` seconds.

    The threads of a vendor BLAS go on spinning when their product is done: OpenBLAS's for 0.11 s, libgomp's for some
    0.01 s (measured). What is timed on several threads before they rest shares its processors with them.
    """
    start = time.perf_counter()
    while (before := time.perf_counter()) - start < limit:
        used = time.process_time()
        time.sleep(STEP)
        if time.process_time() - used < IDLE * (time.perf_counter() - before):
            return
