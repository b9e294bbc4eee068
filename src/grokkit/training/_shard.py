"""Training one shard: the loop between trajectory points, and its state on disk."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from jaxtyping import Int
from threadpoolctl import threadpool_limits

from grokkit.scheme import UnreadableFile, read_npz, write_atomically
from grokkit.training._config import TrainConfig
from grokkit.training._engine import make_engine, resolve_engine
from grokkit.training._population import Trajectory

REMEDY: Final = "delete it to train that shard again"
CHECK_EVERY: Final = 50
"""Steps between looking at the stop signal and reporting progress."""


def shard_runs(config: TrainConfig, number: int) -> Int[np.ndarray, " runs"]:
    """Numbers of the runs that a shard trains.

    For torch the last shard is padded with runs past the end: its arithmetic may depend on the shape, so every
    shard has the same. The native engine's does not, so it trains real runs only.
    """
    first = number * config.shard_size
    end = first + config.shard_size
    return np.arange(first, min(end, config.runs) if config.engine == "native" else end)


@final
class ShardRun:
    """One shard on its way through training. `data()` is its whole state, as plain arrays."""

    def __init__(self, config: TrainConfig, number: int, device: str = "cpu"):
        config = resolve_engine(config, device)
        self.config = config
        self.number = number
        runs = shard_runs(config, number)
        with threadpool_limits(limits=1):
            self.engine = make_engine(config, runs, device)
        self.trajectory = Trajectory.empty(config, len(runs))
        self.point = 0
        """Trajectory points recorded so far."""
        self.pruned = False
        self.seconds = 0.0

    @property
    def finished(self) -> bool:
        return self.point == len(self.trajectory.steps)

    @property
    def real_runs(self) -> int:
        """Runs that belong to the population; the rest is padding."""
        return min(self.config.shard_size, self.config.runs - self.number * self.config.shard_size)

    def train(self, stop: Callable[[], bool], progress: Callable[[int], None]) -> None:
        """Train to the end, or until `stop()`. Going on later gives the same result bit for bit."""
        started = time.perf_counter()
        with _one_thread():
            self._advance(stop, progress)
        self.seconds += time.perf_counter() - started

    def _advance(self, stop: Callable[[], bool], progress: Callable[[int], None]) -> None:
        while not self.finished:
            goal = int(self.trajectory.steps[self.point])
            if self.trajectory.pruned[self.point] and not self.pruned:
                self.engine.prune()
                self.pruned = True
            while self.engine.step < goal:
                if stop():
                    return
                before = self.engine.step
                self.engine.advance(min(goal, before + CHECK_EVERY))
                progress((self.engine.step - before) * self.real_runs)
            self._record()

    def _record(self) -> None:
        at, log = self.point, self.trajectory
        log.train_loss[:, at], log.test_loss[:, at] = self.engine.losses()
        log.lattice_distance[:, at], log.lattice_distance_mean[:, at] = self.engine.lattice_distances()
        log.gradient_norm[:, at], log.gradient_variation[:, at] = self.engine.gradient_statistics()
        norms = self.engine.slot_norms_by_factor()
        log.slot_norms[:, at, : norms.shape[1]] = np.sqrt((norms**2).sum(axis=2))
        self.point += 1

    def data(self) -> dict[str, np.ndarray]:
        """State as arrays, for a file or for the way back from a worker."""
        return {
            "point": np.array(self.point),
            "pruned_now": np.array(self.pruned),
            "seconds": np.array(self.seconds),
            "weights": self.engine.weights(),
            **{f"engine.{name}": array for name, array in self.engine.state().items()},
            **{f"trajectory.{name}": array for name, array in self.trajectory.arrays().items()},
        }

    def restore(self, data: dict[str, np.ndarray]) -> None:
        """Go on from `data`."""
        self.engine.restore({key[7:]: value for key, value in data.items() if key.startswith("engine.")})
        self.trajectory = Trajectory(
            **{key[11:]: np.array(value) for key, value in data.items() if key.startswith("trajectory.")}
        )
        self.point, self.pruned = int(data["point"]), bool(data["pruned_now"])
        self.seconds = float(data["seconds"])


def save_shard(path: Path, data: dict[str, np.ndarray]) -> None:
    """Write a shard's state, whole or not at all."""
    stream = io.BytesIO()
    np.savez(stream, **data)  # type: ignore[arg-type]
    write_atomically(path, stream.getvalue())


def load_shard(path: Path, config: TrainConfig, number: int) -> dict[str, np.ndarray]:
    """Read a shard's state, checked against the configuration. Raises `UnreadableFile`.

    Weights and losses may be infinite or NaN: a run may diverge.
    """
    try:
        data = read_npz(path)
        problem = _misfit(data, config, len(shard_runs(config, number)))
    except UnreadableFile as error:
        raise UnreadableFile(f"{error}; {REMEDY}") from None
    if problem:
        raise UnreadableFile(f"{path}: {problem}; {REMEDY}")
    return data


def _misfit(data: dict[str, np.ndarray], config: TrainConfig, runs: int) -> str | None:
    """What keeps arrays from being a shard of this configuration: names, types, shapes, ranges."""
    log = Trajectory.empty(config, runs)
    scalars = ("point", "engine.step", "engine.norms_since", "pruned_now", "seconds")
    factors = ("engine.theta", "engine.mean", "engine.square")
    names = {*scalars, *factors, "weights", "engine.norms", *(f"trajectory.{name}" for name in log.arrays())}
    if set(data) != names:
        return "not a shard of a training run"
    for name, kind in zip(scalars, "iiibf", strict=True):
        if data[name].shape != () or data[name].dtype.kind != kind:
            return f"{name} is no single number of its type"
    point, step, since = (int(data[name]) for name in scalars[:3])
    pruned, seconds = bool(data["pruned_now"]), float(data["seconds"])
    shape = (runs, config.final_slots if pruned else config.slots, sum(config.target.shape))
    expected = {"weights": (shape, np.dtype(np.float64)), "engine.norms": ((shape[0], 2), np.dtype(np.float64))}
    expected |= {name: (shape, np.dtype(config.dtype)) for name in factors}
    expected |= {f"trajectory.{name}": (array.shape, array.dtype) for name, array in log.arrays().items()}
    for name, (wanted, dtype) in expected.items():
        if data[name].shape != wanted or data[name].dtype != dtype:
            return f"{name} is {data[name].dtype} of shape {data[name].shape}, not {dtype} of shape {wanted}"
    for name in ("steps", "pruned"):
        if not np.array_equal(data[f"trajectory.{name}"], log.arrays()[name]):
            return f"trajectory.{name} is not that of the configuration"
    last = len(log.steps) - 1
    if not 0 <= point <= last + 1:
        return f"point is {point}; 0 to {last + 1} is possible"
    before, after = max(point - 1, 0), min(point, last)
    if not log.steps[before] <= step <= log.steps[after] or not 0 <= since <= step:
        return f"step {step}, with gradients since {since}, does not fit point {point}"
    if not log.pruned[before] <= pruned <= log.pruned[after]:
        return f"pruned_now is {pruned}, which does not fit point {point}"
    if not 0 <= seconds < np.inf:
        return f"seconds is {seconds}"
    return None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Bind linear algebra, torch's too where it is loaded, to one thread: sums never depend on how many."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 1
    if torch is not None:
        torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)
