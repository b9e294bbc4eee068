"""Interleaved timing: rounds in which every contender is timed once, in an order drawn anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from grokkit.execution._threads import wait_for_idle_threads
from grokkit.studies._bench_contenders import Product

MIN_ROUNDS: Final = 5
MAX_ROUNDS: Final = 1000
SHORTEST: Final = 0.02
"""Seconds that one timing lasts at least: what is faster is repeated within it."""


def time_rounds(
    contenders: Mapping[str, Product],
    rng: np.random.Generator,
    *,
    seconds: float,
    min_rounds: int = MIN_ROUNDS,
    before: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[float], None] = lambda done: None,
) -> dict[str, tuple[float, ...]]:
    """Seconds a call of every contender, one figure a round; entry i of all is from round i.

    Rounds go on until `seconds` have passed, but there are `min_rounds` of them at least. `progress` is told the share
    that is done; `before` is called ahead of every timing.
    """
    names = list(contenders)
    repeats: dict[str, int] = {}
    times: dict[str, list[float]] = {name: [] for name in names}
    started, rounds = time.perf_counter(), 0
    while rounds < min_rounds or (time.perf_counter() - started < seconds and rounds < MAX_ROUNDS):
        for index in rng.permutation(len(names)):
            name = names[index]
            before()
            repeats[name], taken = _timed(contenders[name], repeats.get(name, 1), clock)
            times[name].append(taken)
        rounds += 1
        elapsed = (time.perf_counter() - started) / seconds if seconds else 1.0
        progress(min(1.0, rounds / min_rounds, elapsed))
    return {name: tuple(values) for name, values in times.items()}


def rest(threads: int) -> Callable[[], None]:
    """What to do before a timing on so many threads: with several, wait for those of the contender before."""
    return wait_for_idle_threads if threads > 1 else lambda: None


def _timed(run: Product, repeats: int, clock: Callable[[], float]) -> tuple[int, float]:
    """How often it was called, which doubles until it lasts long enough, and mean seconds a call."""
    while (taken := _time(run, repeats, clock)) * repeats < SHORTEST:
        repeats *= 2
    return repeats, taken


def _time(run: Product, repeats: int, clock: Callable[[], float]) -> float:
    """Mean seconds a call."""
    calls = range(repeats)
    started = clock()
    for _ in calls:
        run()
    return (clock() - started) / repeats
