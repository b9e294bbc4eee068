"""Pieces of work that a round consists of, and the engine of one machine that runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeAlias, runtime_checkable

from threadpoolctl import threadpool_limits


@runtime_checkable
class Work(Protocol):
    """A piece of work of one round. What it comes to depends on its own fields alone."""

    @property
    def splits(self) -> bool:
        """Whether it uses several threads by itself."""
        ...

    def run(self, threads: int = 1) -> Any:
        """Do it, here."""
        ...


Engine: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]
"""Runs pieces of `Work`, in any place and order, and gives back what they came to, in theirs."""


def in_threads(workers: int) -> Engine:
    """The engine of one machine: pieces in turn, each on `workers` threads, or each on one of `workers` threads."""

    def run(pieces: Sequence[Work]) -> Sequence[Any]:
        if all(piece.splits for piece in pieces):
            return [piece.run(workers) for piece in pieces]
        with threadpool_limits(1, user_api="blas"):
            if workers == 1:
                return [piece.run() for piece in pieces]
            with ThreadPoolExecutor(workers) as pool:
                return list(pool.map(_run, pieces))

    return run


def _run(piece: Work) -> Any:
    return piece.run()
