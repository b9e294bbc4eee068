"""Pieces of work on threads, on processes of this machine, or on the workers of a cluster, all through joblib."""

from __future__ import annotations

import importlib
import sys
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeVar, final

from threadpoolctl import threadpool_limits

from grokkit.scheme import InvalidInput, MissingExtra, need_extra, suggestion

ENGINES: Final = ("joblib", "threads", "ray", "dask")
ATTEMPTS: Final = 5
"""Calls in a row that may lose workers and finish nothing before the work is given up."""
AHEAD: Final = 2
"""Pieces a worker in one call, for backends that hand results out only when a call is over."""

T = TypeVar("T")
R = TypeVar("R")


class LostWorkers(RuntimeError):
    """Workers were lost again and again, and nothing was finished in between."""


def check_engine(name: str, workers: int) -> None:
    """Raise `InvalidInput` or `MissingExtra`, one line, for an engine that is unknown or not installed."""
    if name not in ENGINES:
        raise InvalidInput(f"engine {name!r} is not understood{suggestion(name, ENGINES)}")
    if workers < 1:
        raise InvalidInput(f"workers is {workers}; at least 1 is needed")
    need_extra(f"the engine {name}", "joblib")
    if name == "ray":
        need_extra("the engine ray", "ray", extra="ray")
    if name == "dask":
        need_extra("the engine dask", "distributed", extra="dask")


@final
class Workers:
    """An engine that is opened on first use and serves many calls; closed by `close`, ``with``, or at the end.

    ``threads``: threads of this process. ``joblib``: processes of this machine (loky). ``ray`` and ``dask``: workers
    of a cluster; connect first (``ray.init``, ``dask.distributed.Client``), or one is started here and closed with it.

    Raises `InvalidInput` or `MissingExtra`, one line, for an engine that is unknown or not installed.
    """

    def __init__(self, engine: str = "joblib", workers: int = 1):
        check_engine(engine, workers)
        self.engine, self.workers = engine, workers
        self._stack = ExitStack()
        self._backend = ""
        self._finalizer = weakref.finalize(self, self._stack.close)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was started; another call starts it again."""
        self._stack.close()
        self._backend = ""

    def each(self, make: Callable[[T], R], pieces: Sequence[T]) -> Iterator[R]:
        """``make(piece)`` for every piece, in the order in which they are finished.

        A lost worker makes joblib raise; what is missing is then given out again. An exception of `make` itself is
        raised here: `InvalidInput` and `MissingExtra` as they are, others as `RuntimeError` with the worker's
        traceback. Raises `LostWorkers` after `ATTEMPTS` calls in a row that finished nothing.
        """
        joblib = importlib.import_module("joblib")
        if not self._backend:
            self._backend = self._stack.enter_context(_backend(self.engine, self.workers))
        whole = self._backend != "ray"  # Ray's backend hands nothing out before a call is over
        done: set[int] = set()
        fruitless = 0
        while missing := [number for number in range(len(pieces)) if number not in done]:
            given = missing if whole else missing[: AHEAD * self.workers]
            before = len(done)
            with joblib.parallel_config(backend=self._backend, n_jobs=self.workers):
                pool = joblib.Parallel(return_as=_order(whole), batch_size=1)
            try:
                with _closing(pool(joblib.delayed(_made)(make, number, pieces[number]) for number in given)) as results:
                    for number, result in results:
                        yield _checked(result)
                        done.add(number)
            except (InvalidInput, MissingExtra, _WorkFailed):
                raise
            except Exception as error:  # whatever a backend raises for a lost worker
                fruitless = 0 if len(done) > before else fruitless + 1
                if fruitless == ATTEMPTS:
                    reason = f"{type(error).__name__}: {error}"
                    raise LostWorkers(f"workers were lost in {ATTEMPTS} calls in a row ({reason})") from error


def each(make: Callable[[T], R], pieces: Sequence[T], engine: str = "joblib", workers: int = 1) -> Iterator[R]:
    """``make(piece)`` for every piece on an engine that serves this call alone: see `Workers.each`."""
    with Workers(engine, workers) as opened:
        yield from opened.each(make, pieces)


@contextmanager
def _closing(results: Any) -> Iterator[Any]:
    """Results that are not all wanted where one raises; joblib then warns that the others are canceled."""
    try:
        yield results
    finally:
        if hasattr(results, "close"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                results.close()


def _order(whole: bool) -> str:
    return "generator_unordered" if whole else "list"


class _WorkFailed(RuntimeError):
    """The work itself raised; trying again would raise again."""


def _made(make: Callable[[T], R], number: int, piece: T) -> tuple[int, R | Exception]:
    """In a worker: what it made of a piece, or what was raised, so that it is never taken for a lost worker."""
    try:
        with threadpool_limits(1):
            return number, make(piece)
    except (InvalidInput, MissingExtra) as error:
        return number, type(error)(str(error))
    except Exception:
        return number, _WorkFailed(traceback.format_exc())


def _checked(result: Any) -> Any:
    if isinstance(result, Exception):
        raise result
    return result


@contextmanager
def _backend(engine: str, workers: int) -> Iterator[str]:
    """The joblib backend of an engine, and the cluster that it needs."""
    if engine == "joblib":
        yield "loky"
    elif engine == "threads":
        with _one_thread_each():
            yield "threading"
    elif engine == "ray":
        ray = importlib.import_module("ray")
        importlib.import_module("ray.util.joblib").register_ray()
        started = not ray.is_initialized()
        if started:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
        try:
            yield "ray"
        finally:
            if started:
                ray.shutdown()
    else:
        distributed = importlib.import_module("distributed")
        with ExitStack() as stack:
            try:
                distributed.get_client()
            except ValueError:
                options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
                stack.enter_context(distributed.Client(**options))
            yield "dask"


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Linear algebra of this process on one thread for as long as its threads do the work.

    Pieces that overlap would otherwise restore the number of threads under each other, and sums may depend on it.
    """
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 1
    if torch is not None:
        torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)
