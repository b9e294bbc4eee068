"""Hours of use at random, by ``make soak``: products from many threads, a killed sweep, damaged files.

products  8 threads multiply for the whole time: random shapes, types, strides, NaN and infinities, schemes and moduli,
          each answer held against NumPy in float64 or in integers; the memory of the process must stay flat
sweep     100,000 runs of a study, whose process is killed at random moments: nothing lost, nothing repeated
fuzz      mutated scheme files of every kind, until the time is over

Each part prints one line of JSON; a wrong answer, a lost row, a file that is not refused cleanly or memory that grows
ends it with status 1.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

import grokkit as gk

ROOT: Final = Path(__file__).resolve().parent.parent
THREADS: Final = 8
WARM_UP: Final = 0.2
"""Share of the time after which memory is compared with what it is at the end."""
GROWTH: Final = 96 * 2**20
"""Bytes that may be added to the largest memory after the warm-up."""
SLACK: Final = 60.0
"""Rounding errors in units of k ε |A| |B|: Strassen's growth over three levels stays below."""
FLOATS: Final = ("float32", "float64", "complex64", "complex128")
INTEGERS: Final = ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")


def operand(rng: np.random.Generator, rows: int, columns: int, dtype: str) -> np.ndarray:
    """A matrix of a random layout: C, Fortran, a strided or reversed view of a larger one, or not aligned."""
    step = int(rng.integers(1, 3))
    shape = (rows * step, columns * step)
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        large = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    else:
        large = rng.standard_normal(shape).astype(dtype)
        if np.dtype(dtype).kind == "c":
            large = large + 1j * rng.standard_normal(shape).astype(dtype)
    view = large[::step, ::step]
    layout = rng.integers(4)
    if layout == 1:
        return np.asfortranarray(view)
    if layout == 2:
        return view[::-1, :]
    return view if layout == 3 else np.ascontiguousarray(view)


def spoiled(rng: np.random.Generator, matrix: np.ndarray) -> np.ndarray:
    """Now and then with a NaN or an infinity."""
    if matrix.dtype.kind in "iu" or rng.random() < 0.8:
        return matrix
    changed = matrix.copy()
    for _ in range(int(rng.integers(1, 4))):
        changed[rng.integers(len(changed)), rng.integers(changed.shape[1])] = rng.choice([np.nan, np.inf, -np.inf])
    return changed


def one_product(rng: np.random.Generator) -> str:
    """Multiply once and compare. Empty if right, else what was wrong."""
    top = 900 if rng.random() < 0.05 else 160
    n, m, p = (int(side) for side in rng.integers(1, top, 3))
    dtype = str(rng.choice(FLOATS + INTEGERS))
    a, b = (spoiled(rng, operand(rng, *sides, dtype)) for sides in ((n, m), (m, p)))
    options: dict[str, Any] = {}
    if rng.random() < 0.5:
        options = {"scheme": str(rng.choice(["strassen", "winograd", "2x2x3-11", "3x3x3-23"])), "levels": 1}
    if np.dtype(dtype).kind in "iu" and rng.random() < 0.3:
        modulus = int(rng.integers(2, 2**31))
        a, b = (each.astype(np.int64) >> 1 for each in (a, b))
        right = (a.astype(object) @ b.astype(object)) % modulus if n * m * p < 20_000 else None
        got = gk.matmul(a, b, mod=modulus)
        good = right is None or bool((got == right).all())
        return "" if good else f"{n}x{m}x{p} {dtype} mod {modulus}"
    got = gk.matmul(a, b, **options)
    if np.dtype(dtype).kind in "iu":
        return "" if np.array_equal(got, a @ b) else f"{n}x{m}x{p} {dtype} {options}"
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    plain = a @ b
    right = a.astype(wide) @ b.astype(wide)
    finite = np.isfinite(a).all(axis=1).reshape(-1, 1) & np.isfinite(b).all(axis=0).reshape(1, -1)
    size = np.abs(np.where(np.isfinite(a), a, 0)) @ np.abs(np.where(np.isfinite(b), b, 0))
    close = np.abs(got - right) <= SLACK * m * np.finfo(dtype).eps * (size + np.abs(size).max())
    same = (np.isnan(got) == np.isnan(plain)) & ((got == plain) | ~np.isinf(plain))
    good = np.where(finite, close, same if wide is np.float64 else ~np.isfinite(got) == ~np.isfinite(plain))
    return "" if good.all() else f"{n}x{m}x{p} {dtype} {options}: {int((~good).sum())} entries"


def resident() -> int:
    """Bytes of this process in memory, less what the allocator keeps for later."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def products(seconds: float, seed: int) -> dict[str, Any]:
    end = time.monotonic() + seconds
    counts, wrong = [0] * THREADS, list[str]()

    def work(thread: int) -> None:
        rng = np.random.default_rng([seed, thread])
        while time.monotonic() < end and not wrong:
            try:
                with np.errstate(all="ignore"):
                    found = one_product(rng)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            counts[thread] += 1
            if found:
                wrong.append(f"thread {thread}, product {counts[thread]}: {found}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for each in threads:
        each.start()
    memory: list[tuple[float, int]] = []
    while any(each.is_alive() for each in threads):
        memory.append((time.monotonic(), resident()))
        threads[0].join(min(5.0, seconds / 50))
    warm = [size for at, size in memory if end - at > (1 - 2 * WARM_UP) * seconds]
    late = [size for at, size in memory if end - at < WARM_UP * seconds]
    grown = max(late, default=0) - max(warm, default=0)
    return {
        "part": "products",
        "seconds": seconds,
        "seed": seed,
        "threads": THREADS,
        "products": sum(counts),
        "wrong": wrong,
        "memory_early": max(warm, default=0),
        "memory_late": max(late, default=0),
        "ok": not wrong and grown < GROWTH,
    }


def sweep(runs: int, kills: int, seed: int) -> dict[str, Any]:
    studies = _module("benchmarks/studies.py")
    protocol = studies.SHORT | {"seeds": runs // 2, "metrics": []}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seen = studies.kill_and_resume(
            Path(folder), np.random.default_rng(seed), kills=kills, engine="joblib", workers=2, protocol=protocol
        )
    return {
        "part": "sweep",
        "seconds": time.monotonic() - started,
        "seed": seed,
        "runs": runs,
        "shards": seen.shards,
        "killed": seen.killed,
        "unfinished_files": seen.unfinished_files,
        "ok": True,
    }


def fuzz(seconds: float, seed: int) -> dict[str, Any]:
    readers = _module("tests/fuzz_readers.py")
    end, rounds, files = time.monotonic() + seconds, 0, 500
    failures: list[str] = []
    while time.monotonic() < end:
        failures += [reason for reason, _ in readers.run(files, seed + rounds)]
        rounds += 1
    kinds = len(readers.seeds(Path(tempfile.mkdtemp())))
    made = {"part": "fuzz", "seconds": seconds, "seed": seed, "kinds": kinds, "files": rounds * files * kinds}
    return made | {"failures": failures, "ok": not failures}


def _module(path: str) -> Any:
    """A script of the repository as a module that worker processes can import too."""
    sys.path.insert(0, str((ROOT / path).parent))
    return importlib.import_module(Path(path).stem)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="products, sweep, fuzz [default: all]")
    parser.add_argument("--minutes", type=float, default=60, help="for products, and for fuzz [default: 60]")
    parser.add_argument("--runs", type=int, default=100_000, help="of the sweep [default: 100000]")
    parser.add_argument("--kills", type=int, default=100, help="of the sweep [default: 100]")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    good = True
    for part in given.parts or ["products", "sweep", "fuzz"]:
        if part == "sweep":
            found = sweep(given.runs, given.kills, given.seed)
        else:
            found = {"products": products, "fuzz": fuzz}[part](60 * given.minutes, given.seed)
        print(json.dumps(found), flush=True)
        good &= found["ok"]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
