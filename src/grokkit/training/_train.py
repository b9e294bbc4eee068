"""Training a population: shards over workers, interruption, and the directory that holds the result."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np

from grokkit.scheme import InvalidInput, need_extra, undone_if_empty
from grokkit.training._config import TrainConfig
from grokkit.training._engine import resolve_engine
from grokkit.training._population import Population, Trajectory
from grokkit.training._shard import ShardRun, load_shard, save_shard

CONFIG_FILE: Final = "config.toml"
SHARD_FOLDER: Final = "shards"

SAVE_SECONDS: Final = 30.0
"""Time after which training in this process stores the shard it is in."""
SEGMENT_SECONDS: Final = 2.0
"""Time that a worker process spends on a shard before it hands the state back."""

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

Progress = Callable[[int], None]


def train(
    config: TrainConfig | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    workers: int = 1,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Population:
    """Train a population of bilinear networks.

    Parameters
    ----------
    config:
        What to train; `TrainConfig()` by default.
    out:
        Directory for the result. Shards are stored when they are finished, and every half minute before, so a
        killed training loses little, and calling again with the same configuration goes on from there. If nothing
        could be trained, the directory is left as it was found.
    workers:
        Processes. The result is the same, bit for bit, for any number of them. A joblib
        `parallel_config` chooses another backend (Ray, Dask).
    device:
        A torch device; any but ``"cpu"`` trains with the torch engine. Results on different devices differ by
        rounding.
    progress:
        Called with run-steps just done (one step of one run counts 1).

    Ctrl-C, or SIGTERM, stops after the current steps and returns what there is: `Population.complete` is then
    False, and with `out` the state is saved. A second Ctrl-C raises `KeyboardInterrupt`, a second SIGTERM kills.
    Raises `InvalidInput` if `out` holds another configuration.

    >>> population = train(TrainConfig(runs=2, shard_size=2, steps=20, retrain_steps=20))
    >>> population.U.shape
    (2, 7, 4)
    """
    config = config or TrainConfig()
    if workers < 1:
        raise InvalidInput(f"workers is {workers}; at least 1 is needed")
    config = _resolve(config, None if out is None else Path(out), device)
    with nullcontext() if out is None else _claimed(Path(out), config) as folder:
        return _train(config, folder, device, workers, progress or (lambda _: None))


def _train(config: TrainConfig, folder: Path | None, device: str, workers: int, report: Progress) -> Population:
    """Train what the folder of shards, if there is one, does not hold yet."""
    results: dict[int, dict[str, np.ndarray]] = {}
    unfinished: list[tuple[int, dict[str, np.ndarray] | None]] = []
    for number in range(config.shards):
        saved = _saved(folder, number, config)
        done = saved is not None and int(saved["point"]) == len(saved["trajectory.steps"])
        if saved is not None:
            results[number] = saved
        if not done:
            unfinished.append((number, saved))
    for number, data in results.items():
        real = min(config.shard_size, config.runs - number * config.shard_size)
        report(int(data["engine.step"]) * real)
    with _interruptible() as stopped:
        if workers == 1 or len(unfinished) <= 1:
            trained = _here(config, unfinished, device, stopped, report)
        else:
            trained = _in_workers(config, unfinished, device, workers, stopped, report)
        for number, data in trained:
            results[number] = data
            if folder is not None:
                _store(folder, number, data)
    return _assemble(config, results)


def load_population(path: str | os.PathLike[str]) -> Population:
    """Read the directory that `train` wrote. Shards that were never started are missing from `runs`.

    Raises `InvalidInput` if it is not such a directory or holds no runs yet.
    """
    folder = Path(path)
    if not (folder / CONFIG_FILE).is_file():
        raise InvalidInput(f"{folder}: no {CONFIG_FILE} in it; give a directory made by grokkit train --out")
    config = TrainConfig.from_saved(folder / CONFIG_FILE)
    results = {}
    for number in range(config.shards):
        saved = _saved(folder / SHARD_FOLDER, number, config)
        if saved is not None:
            results[number] = saved
    if not results:
        raise InvalidInput(f"{folder}: no shards in it yet; run grokkit train --out {folder} again")
    return _assemble(config, results)


def _resolve(config: TrainConfig, folder: Path | None, device: str) -> TrainConfig:
    """Name the engine: the one that a run in the directory began with, otherwise the best there is."""
    if config.engine == "auto" and folder is not None and (folder / CONFIG_FILE).is_file():
        config = config.replace(engine=TrainConfig.from_saved(folder / CONFIG_FILE).engine)
    return resolve_engine(config, device)


@contextmanager
def _claimed(folder: Path, config: TrainConfig) -> Iterator[Path]:
    """The folder of shards within an output directory, which is given up again if the block fails before any."""
    existed = (folder / CONFIG_FILE).exists()
    with undone_if_empty(folder / SHARD_FOLDER):
        try:
            yield _prepare(folder, config)
        except BaseException:
            if not existed and not any(folder.glob(f"{SHARD_FOLDER}/*.npz")):
                (folder / CONFIG_FILE).unlink(missing_ok=True)
            raise


def _prepare(folder: Path, config: TrainConfig) -> Path:
    """Mark the output directory with this configuration, or check that it belongs to it."""
    existing = folder / CONFIG_FILE
    if existing.exists():
        found = TrainConfig.from_saved(existing)
        if found != config:
            here, there = config.to_json(), found.to_json()
            differing = ", ".join(f"{k} ({there[k]} there, {here[k]} here)" for k in here if here[k] != there[k])
            raise InvalidInput(f"{folder}: holds another training run, with other {differing}; choose another --out")
    else:
        config.save(existing)
    return folder / SHARD_FOLDER


def _paths(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"{number:05d}.npz", folder / f"{number:05d}.partial.npz"


def _saved(folder: Path | None, number: int, config: TrainConfig) -> dict[str, np.ndarray] | None:
    if folder is None:
        return None
    for path in _paths(folder, number):
        if path.exists():
            return load_shard(path, config, number)
    return None


def _store(folder: Path, number: int, data: dict[str, np.ndarray]) -> None:
    whole, partial = _paths(folder, number)
    if int(data["point"]) == len(data["trajectory.steps"]):
        save_shard(whole, data)
        partial.unlink(missing_ok=True)
    else:
        save_shard(partial, data)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second one does what it always does."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    previous = {number: signal.getsignal(number) or signal.SIG_DFL for number in STOP_SIGNALS}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(number: int, frame: Any) -> None:
        stopped.set()
        restore()

    for number in STOP_SIGNALS:
        signal.signal(number, note)
    try:
        yield stopped
    finally:
        restore()


Work = tuple[int, "dict[str, np.ndarray] | None"]
Done = tuple[int, "dict[str, np.ndarray]"]


def _here(
    config: TrainConfig, work: list[Work], device: str, stopped: threading.Event, report: Progress
) -> Iterator[Done]:
    """Train in this process, shard by shard; what there is of a shard is handed out now and then."""
    for number, saved in work:
        if stopped.is_set():
            return
        shard = ShardRun(config, number, device)
        if saved is not None:
            shard.restore(saved)
        while True:
            pause = _after(shard, SAVE_SECONDS)
            shard.train(lambda pause=pause: stopped.is_set() or pause(), report)
            yield number, shard.data()
            if shard.finished or stopped.is_set():
                break


def _after(shard: ShardRun, seconds: float) -> Callable[[], bool]:
    """Whether the time is over; never before the shard has gone on by some steps."""
    step, deadline = shard.engine.step, time.monotonic() + seconds
    return lambda: shard.engine.step > step and time.monotonic() > deadline


def _in_workers(
    config: TrainConfig,
    work: list[Work],
    device: str,
    workers: int,
    stopped: threading.Event,
    report: Progress,
) -> Iterator[Done]:
    """Train in worker processes, a few seconds of each shard at a time.

    A shard's state travels to a worker and back as arrays, so any joblib backend serves, progress is
    seen, and an interruption needs no signal to the workers.
    """
    need_extra("training in several processes", "joblib")
    from joblib import Parallel, delayed

    queue = list(work)
    with Parallel(n_jobs=workers) as pool:
        while queue and not stopped.is_set():
            wave, queue = queue[:workers], queue[workers:]
            try:
                results: list[Any] = list(
                    pool(delayed(_segment)(config, number, saved, device) for number, saved in wave)  # type: ignore[arg-type]
                )
            except Exception:
                if stopped.is_set():  # a signal to the whole process group took the workers too
                    return
                raise
            unfinished: list[Work] = []
            for (number, before), data in zip(wave, results, strict=True):
                real = min(config.shard_size, config.runs - number * config.shard_size)
                report((int(data["engine.step"]) - (0 if before is None else int(before["engine.step"]))) * real)
                yield number, data
                if int(data["point"]) < len(data["trajectory.steps"]):
                    unfinished.append((number, data))
            queue = unfinished + queue


def _segment(
    config: TrainConfig, number: int, saved: dict[str, np.ndarray] | None, device: str
) -> dict[str, np.ndarray]:
    """In a worker: train one shard for a few seconds."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    shard = ShardRun(config, number, device)
    if saved is not None:
        shard.restore(saved)
    shard.train(_after(shard, SEGMENT_SECONDS), lambda _: None)
    return shard.data()


def _assemble(config: TrainConfig, results: dict[int, dict[str, np.ndarray]]) -> Population:
    """Join shards, without their padding. Unpruned runs of an interrupted training get zero slots last."""
    numbers = sorted(results)
    a, b, _ = config.target.shape
    shape = config.target.shape
    unpruned = any(not bool(results[number]["pruned_now"]) for number in numbers) and config.prune_to
    slots = config.slots if unpruned or not config.prune_to else config.prune_to
    weights, runs, steps, logs, seconds = [], [], [], [], 0.0
    for number in numbers:
        data = results[number]
        first = number * config.shard_size
        real = min(config.shard_size, config.runs - first)
        part = np.zeros((real, slots, sum(shape)))
        part[:, : data["weights"].shape[1]] = data["weights"][:real]
        weights.append(part)
        runs.append(np.arange(first, first + real))
        steps.append(np.full(real, int(data["engine.step"])))
        logs.append({key[11:]: value for key, value in data.items() if key.startswith("trajectory.")})
        seconds += float(data["seconds"])
    theta = np.concatenate(weights) if weights else np.zeros((0, slots, sum(shape)))
    empty = Trajectory.empty(config, 0)
    trajectory = Trajectory(
        **{
            name: array
            if name in ("steps", "pruned")
            else np.concatenate([log[name][: len(r)] for log, r in zip(logs, runs, strict=True)] or [array])
            for name, array in empty.arrays().items()
        }
    )
    return Population(
        config=config,
        runs=np.concatenate(runs) if runs else np.zeros(0, dtype=np.int64),
        U=theta[..., :a].copy(),
        V=theta[..., a : a + b].copy(),
        W=theta[..., a + b :].swapaxes(1, 2).copy(),
        steps_done=np.concatenate(steps) if steps else np.zeros(0, dtype=np.int64),
        trajectory=trajectory,
        seconds=seconds,
    )
