"""Where the work of a round runs: threads of this process, or processes through joblib, on one machine or a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grokkit.engines import Workers
from grokkit.search._work import Engine, Work, in_threads


def make_engine(name: str, workers: int = 1) -> Engine:
    """The engine of that name, for `find_scheme`.

    ``threads``: threads of this process. ``joblib``: processes of this machine. ``ray`` and ``dask``:
    workers of a cluster, through joblib's backends; connect first (``ray.init``, ``dask.distributed.Client``), or one
    is started here. Raises `InvalidInput` or `MissingExtra`.
    """
    if name == "threads":  # on the base install, too, where there is no joblib
        return in_threads(workers)
    opened = Workers(name, workers)

    def run(pieces: Sequence[Any]) -> Sequence[Any]:
        """All pieces; those that a lost worker took with it are given out again."""
        done = dict(opened.each(_numbered, list(enumerate(pieces))))
        return [done[number] for number in range(len(pieces))]

    return run


def _numbered(piece: tuple[int, Work]) -> tuple[int, Any]:
    number, work = piece
    return number, work.run()
