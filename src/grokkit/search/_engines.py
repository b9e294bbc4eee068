"""Where the work of a round runs: threads of this process, or processes through joblib, on one machine or a cluster."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Final

from threadpoolctl import threadpool_limits

from grokkit.scheme import InvalidInput, need_extra, suggestion
from grokkit.search._work import Engine, Work, in_threads

ENGINES: Final = ("threads", "joblib", "ray", "dask")
ATTEMPTS: Final = 5
"""Calls for the work of a round before a search gives up on lost workers."""


def make_engine(name: str, workers: int = 1) -> Engine:
    """The engine of that name.

    ``threads``: threads of this process. ``joblib``: processes of this machine. ``ray`` and ``dask``:
    workers of a cluster, through joblib's backends; connect first (``ray.init``, ``dask.distributed.Client``), or one
    is started here.
    """
    if name not in ENGINES:
        raise InvalidInput(f"engine {name!r} is not understood{suggestion(name, ENGINES)}")
    if name == "threads":
        return in_threads(workers)
    need_extra(f"the engine {name}", "joblib")
    joblib = importlib.import_module("joblib")
    backend = "loky"
    if name == "ray":
        need_extra("the engine ray", "ray", extra="ray")
        importlib.import_module("ray.util.joblib").register_ray()
        backend = "ray"
    elif name == "dask":
        need_extra("the engine dask", "distributed", extra="dask")
        distributed = importlib.import_module("distributed")
        try:
            distributed.get_client()
        except ValueError:
            distributed.Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        backend = "dask"

    def run(pieces: Sequence[Any]) -> Sequence[Any]:
        """All pieces; those that a lost worker took with it are given out again."""
        done: dict[int, Any] = {}
        for attempt in range(1, ATTEMPTS + 1):
            missing = [number for number in range(len(pieces)) if number not in done]
            if not missing:
                break
            try:
                with joblib.parallel_config(backend=backend, n_jobs=workers):
                    jobs = (joblib.delayed(_numbered)(number, pieces[number]) for number in missing)
                    # unordered, so that what is done is kept when a later worker is lost
                    done.update(joblib.Parallel(return_as=_return_as(backend))(jobs))
            except (KeyboardInterrupt, InvalidInput):
                raise
            except Exception:
                if attempt == ATTEMPTS:
                    raise
        return [done[number] for number in range(len(pieces))]

    return run


def _return_as(backend: str) -> str:
    return "generator_unordered" if backend == "loky" else "list"


def _numbered(number: int, work: Work) -> tuple[int, Any]:
    with threadpool_limits(1, user_api="blas"):
        return number, work.run()
