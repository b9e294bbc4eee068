"""What a benchmark multiplies, and how its rounds are timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from grokkit.scheme import InvalidInput, suggestion
from grokkit.studies._bench_rounds import MIN_ROUNDS

DTYPES: Final = ("float32", "float64")
TRANSPOSES: Final = ("nn", "nt", "tn", "tt")
MOST_THREADS: Final = 4096
CLOCKS: Final[dict[str, Callable[[], float]]] = {"wall": time.perf_counter, "cpu": time.process_time}


@final
@dataclass(frozen=True)
class Case:
    """A, n×m, times B, m×p. Transpose ``tn`` says that memory holds Aᵀ and B, each row by row."""

    n: int
    m: int
    p: int
    dtype: str = "float32"
    threads: int = 1
    transpose: str = "nn"

    def __post_init__(self) -> None:
        if min(self.n, self.m, self.p) < 1:
            raise InvalidInput(f"size {min(self.n, self.m, self.p)}; sizes of 1 or more are needed")
        if self.dtype not in DTYPES:
            raise InvalidInput(f"dtype {self.dtype!r}{suggestion(self.dtype, DTYPES)}")
        if self.transpose not in TRANSPOSES:
            raise InvalidInput(f"transpose {self.transpose!r}{suggestion(self.transpose, TRANSPOSES)}")
        if not 1 <= self.threads <= MOST_THREADS:
            raise InvalidInput(f"{self.threads} threads; 1 to {MOST_THREADS} are possible")

    @property
    def square(self) -> bool:
        return self.n == self.m == self.p

    @property
    def name(self) -> str:
        return str(self.n) if self.square else f"{self.n}x{self.m}x{self.p}"

    @property
    def layout(self) -> tuple[str, str, str]:
        """Which entries of A, B and C are contiguous, as `grokkit.execution.plan` calls it."""
        left, right = ("row" if letter == "n" else "column" for letter in self.transpose)
        return left, right, "row"

    @property
    def flops(self) -> int:
        """2nmp: what the classical product takes, whatever a contender does."""
        return 2 * self.n * self.m * self.p

    def operands(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gaussian A and B, drawn from the seed and the case, and room for C."""
        key = (self.n, self.m, self.p, DTYPES.index(self.dtype), TRANSPOSES.index(self.transpose))
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
        a = _stored(rng, (self.n, self.m), self.dtype, self.transpose[0])
        b = _stored(rng, (self.m, self.p), self.dtype, self.transpose[1])
        return a, b, np.zeros((self.n, self.p), dtype=self.dtype)

    def to_json(self) -> dict[str, Any]:
        return {
            "size": self.n if self.square else None,
            "shape": [self.n, self.m, self.p],
            "dtype": self.dtype,
            "threads": self.threads,
            "transpose": self.transpose,
        }

    def __str__(self) -> str:
        return f"{self.name} {self.transpose} in {self.dtype} on {self.threads} thread{'s' * (self.threads > 1)}"


def _stored(rng: np.random.Generator, shape: tuple[int, int], dtype: str, letter: str) -> np.ndarray:
    """A Gaussian matrix, as the transpose of an array if the letter is t."""
    kind = np.float32 if dtype == "float32" else np.float64
    if letter == "t":
        return rng.standard_normal(shape[::-1], dtype=kind).T
    return rng.standard_normal(shape, dtype=kind)


@final
@dataclass(frozen=True)
class Timing:
    """How cases are timed."""

    seconds: float = 10.0
    """Time for the rounds of one case."""
    min_rounds: int = MIN_ROUNDS
    """Rounds of a case, however long they take."""
    seed: int = 0
    """Seeds operands, orders and the bootstrap."""
    baselines: tuple[str, ...] | None = None
    """Some of numpy, torch, scipy; None: all that are installed."""
    clock: str = "wall"
    """``wall``, or ``cpu``: the process's own time, for one thread on a machine that others use too."""
    leaves: bool = False
    """Whether NumPy's product of the size that the plan's levels leave is timed too, for `source_table`."""

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < float("inf"):
            raise InvalidInput(f"{self.seconds:g} seconds; a finite time of 0 or more is needed")
        if self.min_rounds < 1:
            raise InvalidInput(f"{self.min_rounds} rounds; 1 or more are needed")
        if self.clock not in CLOCKS:
            raise InvalidInput(f"clock {self.clock!r}{suggestion(self.clock, CLOCKS)}")
