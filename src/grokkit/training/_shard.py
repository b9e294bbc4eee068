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
from threadpoolctl import threadpool_limits

from grokkit.scheme import UnreadableFile, read_npz, write_atomically
from grokkit.training._config import TrainConfig
from grokkit.training._engine import make_engine
from grokkit.training._population import Trajectory

CHECK_EVERY: Final = 50
"""Steps between looking at the stop signal and reporting progress."""


@final
class ShardRun:
    """One shard on its way through training. `data()` is its whole state, as plain arrays."""

    def __init__(self, config: TrainConfig, number: int, device: str = "cpu"):
        self.config = config
        self.number = number
        first = number * config.shard_size
        # the last shard is padded with runs past the end, so that every shard has the same shape
        with threadpool_limits(limits=1):
            self.engine = make_engine(config, np.arange(first, first + config.shard_size), device)
        self.trajectory = Trajectory.empty(config, config.shard_size)
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
        log.lattice_distance[:, at] = self.engine.lattice_distance()
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


def load_shard(path: Path, config: TrainConfig) -> dict[str, np.ndarray]:
    """Read a shard's state, checked against the configuration. Raises `UnreadableFile`."""
    data: dict[str, Any] = read_npz(path)
    expected = Trajectory.empty(config, config.shard_size)
    names = {"point", "pruned_now", "seconds", "weights"}
    names |= {f"engine.{name}" for name in ("theta", "mean", "square", "norms", "norms_since", "step")}
    names |= {f"trajectory.{name}" for name in expected.arrays()}
    if set(data) != names:
        raise UnreadableFile(f"{path}: not a shard of a training run; delete it to train that shard again")
    fits = all(data[f"trajectory.{name}"].shape == array.shape for name, array in expected.arrays().items())
    a, b, c = config.target.shape
    slots = config.final_slots if bool(data["pruned_now"]) else config.slots
    if not fits or data["weights"].shape != (config.shard_size, slots, a + b + c):
        raise UnreadableFile(f"{path}: its arrays do not fit the configuration; delete it to train it again")
    return data


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
