"""Whether a product fits into memory, before anything is allocated."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from grokkit.scheme import InvalidInput
from grokkit.studies._bench_answers import CHUNK, SLICES

WORKSPACE: Final = 2.0
"""A product takes its matrices' memory so many times: temporaries of recursive steps, packed operands, a leaf."""
CGROUPS: Final = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def check_memory(products: Iterable[tuple[int, int, int, str]]) -> None:
    """Raise `InvalidInput` for the first product of an n×m by an m×p matrix that does not fit."""
    available = available_bytes()
    for n, m, p, dtype in products:
        needed = needed_bytes(n, m, p, dtype)
        if available is not None and needed > available:
            raise InvalidInput(
                f"{n}x{m} by {m}x{p} in {dtype} needs some {needed / 2**30:.3g} GiB of memory and "
                f"{available / 2**30:.3g} GiB are free; use smaller matrices" + (" or float32" * (dtype == "float64"))
            )


def needed_bytes(n: int, m: int, p: int, dtype: str) -> int:
    """Bytes for the matrices, what is computed from them, and checking the answer."""
    matrices = (n * m + m * p + n * p) * np.dtype(dtype).itemsize
    return int(WORKSPACE * matrices) + (SLICES + 2) * CHUNK * 8 * max(n, m, p)


def available_bytes() -> int | None:
    """Bytes that can be allocated: of the machine, or of the control group if that leaves less. None: unknown."""
    found = []
    with suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    for limit, used in CGROUPS:
        with suppress(OSError, ValueError):  # "max": no limit
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
    if not found:
        with suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)
