"""Who multiplies in a benchmark: grokkit and the vendors' products, each without a copy of its operands."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from grokkit import _native, execution
from grokkit.scheme import InvalidInput, need_extra, suggestion

OURS: Final = "ours"
Product = Callable[[], object]
"""Writes A @ B into C; the three matrices were given when it was made."""


def ours(a: np.ndarray, b: np.ndarray, c: np.ndarray, threads: int) -> Product:
    """`grokkit.matmul`, looked up when it is called.

    Like every library it runs on the threads that are set for all (`thread_count`). Only where it would take another
    number of itself, as when more are asked for than there are cores, it is told: that costs a call some time.
    """
    ambient = execution.plan(a.shape, b.shape, a.dtype, library="numpy")
    if getattr(ambient, "threads", None) == threads:
        return lambda: execution.matmul(a, b, out=c)
    return lambda: execution.matmul(a, b, out=c, threads=threads)


def numpy_product(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Product:
    return lambda: np.matmul(a, b, out=c)


def torch_product(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Product:
    import torch

    left, right, result = (torch.from_numpy(x) for x in (a, b, c))
    return lambda: torch.matmul(left, right, out=result)


def scipy_product(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Product:
    """BLAS gemm through SciPy. It wants Fortran order, so it is given Cᵀ = Bᵀ Aᵀ, all three as views."""
    blas: Any = importlib.import_module("scipy.linalg.blas")
    gemm = {"f": blas.sgemm, "d": blas.dgemm}[c.dtype.char]
    left, turn_left = _fortran(b)
    right, turn_right = _fortran(a)
    return lambda: gemm(1.0, left, right, c=c.T, overwrite_c=1, trans_a=turn_left, trans_b=turn_right)


def _fortran(x: np.ndarray) -> tuple[np.ndarray, int]:
    """A view F in Fortran order, and whether F rather than Fᵀ is xᵀ (0) or it has to be transposed (1)."""
    return (x.T, 0) if x.flags.c_contiguous else (x, 1)


BASELINES: Final[dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Product]]] = {
    "numpy": numpy_product,
    "torch": torch_product,
    "scipy": scipy_product,
}


def find_baselines(wanted: Sequence[str] | None = None) -> tuple[str, ...]:
    """The baselines that are installed, or those wanted; loaded, so that their threads can be set."""
    names = wanted if wanted is not None else [name for name in BASELINES if importlib.util.find_spec(name)]
    for name in names:
        if name not in BASELINES:
            raise InvalidInput(f"baseline {name!r}{suggestion(name, BASELINES)}")
        need_extra(f"the baseline {name}", name)
        importlib.import_module("scipy.linalg.blas" if name == "scipy" else name)
    return tuple(dict.fromkeys(names))


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Every library that multiplies runs on so many threads within the block, and as before after it."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 0
    with threadpool_limits(limits=threads):
        try:
            if torch is not None:
                torch.set_num_threads(threads)
            disobedient = [_describe(library) for library in threadpool_info() if library["num_threads"] != threads]
            if disobedient:
                raise InvalidInput(f"{threads} threads are refused by {'; '.join(disobedient)}")
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)


def libraries() -> dict[str, Any]:
    """Versions of what is compared, for the record."""
    return {
        "versions": {name: str(sys.modules[name].__version__) for name in BASELINES if name in sys.modules},
        "blas": [_describe(library) for library in threadpool_info() if library.get("user_api") == "blas"],
        "native_core": _native.status(),
        "cores": available_cores(),
    }


def _describe(library: dict[str, Any]) -> str:
    package = Path(library["filepath"]).parent.name.removesuffix(".libs")
    count = library["num_threads"]
    return f"{library['internal_api']} {library.get('version') or ''} of {package}, {count} thread{'s' * (count > 1)}"
