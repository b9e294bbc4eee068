"""NumPy's own product, on a number of threads."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from grokkit.execution._threads import _controller, vendor_limited


def vendor_product(a: Any, b: Any, out: Any, threads: int | None) -> Any:
    """`numpy.matmul`, with the BLAS held to so many threads; None: to those that it has."""
    if threads is None:
        return np.matmul(a, b, out=out)
    with at_most(threads):
        return np.matmul(a, b, out=out)


def at_most(threads: int | None) -> AbstractContextManager[Any]:
    """Hold the BLAS to so many threads, and leave it alone where it has no more; None: where it is.

    A BLAS with one pool of threads has one limit for the process, and threadpoolctl lets one thread at a time set it.
    """
    if threads is None or all(blas.num_threads <= threads for blas in _controller().lib_controllers):
        return nullcontext()
    return vendor_limited(threads)
