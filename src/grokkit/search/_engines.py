"""Where the walks of a round run: threads of the native core, or processes through joblib, on one machine or a
cluster.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final

from grokkit.scheme import InvalidInput, need_extra
from grokkit.search._flips import Done, Engine, Slice, in_threads, run_slice

ENGINES: Final = ("threads", "joblib", "ray", "dask")
ATTEMPTS: Final = 5
"""Calls for the slices of a round before a search gives up on lost workers."""


def make_engine(name: str, workers: int = 1) -> Engine:
    """The engine of that name.

    ``threads``: the native core's, in this process. ``joblib``: processes of this machine. ``ray`` and ``dask``:
    workers of a cluster, through joblib's backends; connect first (``ray.init``, ``dask.distributed.Client``), or one
    is started here.
    """
    if name not in ENGINES:
        raise InvalidInput(f"engine {name!r} is not understood; use {', '.join(ENGINES)}")
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

    def run(slices: Sequence[Slice]) -> Sequence[Done]:
        """All slices; those that a lost worker took with it are given out again."""
        done: dict[int, Done] = {}
        for attempt in range(1, ATTEMPTS + 1):
            missing = [number for number in range(len(slices)) if number not in done]
            if not missing:
                break
            try:
                with joblib.parallel_config(backend=backend, n_jobs=workers):
                    jobs = (joblib.delayed(_numbered)(number, slices[number]) for number in missing)
                    # unordered, so that what is done is kept when a later worker is lost
                    done.update(joblib.Parallel(return_as=_return_as(backend))(jobs))
            except (KeyboardInterrupt, InvalidInput):
                raise
            except Exception:
                if attempt == ATTEMPTS:
                    raise
        return [done[number] for number in range(len(slices))]

    return run


def _return_as(backend: str) -> str:
    return "generator_unordered" if backend == "loky" else "list"


def _numbered(number: int, work: Slice) -> tuple[int, Done]:
    return number, run_slice(work)
