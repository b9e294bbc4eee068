"""The result of training: factors of all runs, and their trajectories."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float, Int

from grokkit.training._config import TrainConfig

CONVERGED: Final = 1e-6
"""Test loss below which a run counts as converged."""


@final
@dataclass(frozen=True)
class Trajectory:
    """Measurements at logarithmically spaced steps; NaN where a run did not get there.

    The step at which slots are pruned appears twice, before and after.

    Losses are mean squared errors per output. The gradient statistics at a point cover the steps since
    the previous point, before clipping.
    """

    steps: Int[np.ndarray, " points"]
    pruned: Bool[np.ndarray, " points"]
    """Whether the pruning had been done."""
    train_loss: Float[np.ndarray, "runs points"]
    test_loss: Float[np.ndarray, "runs points"]
    lattice_distance: Float[np.ndarray, "runs points"]
    """Largest distance of a weight to {-1, 0, 1}."""
    lattice_distance_mean: Float[np.ndarray, "runs points"]
    """Mean distance of the weights to {-1, 0, 1}."""
    gradient_norm: Float[np.ndarray, "runs points"]
    gradient_variation: Float[np.ndarray, "runs points"]
    """Coefficient of variation of the gradient norms."""
    slot_norms: Float[np.ndarray, "runs points slots"]
    """L2 norm of each slot over u, v, w; NaN for slots that pruning removed (survivors move up)."""

    @classmethod
    def empty(cls, config: TrainConfig, runs: int) -> Trajectory:
        """All NaN, to be filled in place while training."""
        spaced = np.rint(np.geomspace(1, config.total_steps, config.log_points)).astype(np.int64)
        steps = np.unique([0, config.first_steps, config.total_steps, *spaced])
        pruned = np.zeros(len(steps), dtype=bool)
        if config.prune_to:
            at = int(np.searchsorted(steps, config.first_steps))
            steps = np.insert(steps, at, config.first_steps)
            pruned = np.arange(len(steps)) > at
        shape = (runs, len(steps))
        loss, test, distance, mean, norm, variation = (np.full(shape, np.nan) for _ in range(6))
        norms = np.full((*shape, config.slots), np.nan)
        return cls(steps, pruned, loss, test, distance, mean, norm, variation, norms)

    def arrays(self) -> dict[str, np.ndarray]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


@final
@dataclass(frozen=True)
class Population:
    """Trained networks: factors with a leading run axis, and how they came about.

    After an interrupted training `runs` lists the runs that were started; `steps_done` says how far
    each one came, and `complete` is False.
    """

    config: TrainConfig
    runs: Int[np.ndarray, " runs"]
    """Number of each run within the configuration's population."""
    U: Float[np.ndarray, "runs slots nm"]
    V: Float[np.ndarray, "runs slots mp"]
    W: Float[np.ndarray, "runs np slots"]
    steps_done: Int[np.ndarray, " runs"]
    trajectory: Trajectory
    seconds: float
    """Wall-clock seconds of training behind these runs, added up over workers."""

    @property
    def factors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(U, V, W), as `grokkit.crystallize` takes them."""
        return self.U, self.V, self.W

    @property
    def complete(self) -> bool:
        """Whether every run of the configuration was trained to its end."""
        return len(self.runs) == self.config.runs and bool((self.steps_done == self.config.total_steps).all())

    @property
    def test_loss(self) -> Float[np.ndarray, " runs"]:
        """Last recorded mean squared error on the test set."""
        return _last(self.trajectory.test_loss)

    @property
    def train_loss(self) -> Float[np.ndarray, " runs"]:
        """Last recorded mean squared error on the training set."""
        return _last(self.trajectory.train_loss)

    @property
    def converged(self) -> int:
        """Runs whose test loss ended below 1e-6."""
        return int((self.test_loss < CONVERGED).sum())

    @property
    def converged_before_pruning(self) -> int:
        """Runs whose test loss was below 1e-6 just before slots were pruned."""
        before = self.trajectory.test_loss[:, ~self.trajectory.pruned]
        return int((_last(before) < CONVERGED).sum())

    @property
    def runs_steps_per_second(self) -> float:
        """Optimizer steps of single runs a second (of one worker's time)."""
        return float(self.steps_done.sum()) / self.seconds if self.seconds > 0 else 0.0

    def __len__(self) -> int:
        return len(self.runs)


def _last(values: np.ndarray) -> np.ndarray:
    """The last entry of each row that is not NaN; NaN if there is none."""
    known = ~np.isnan(values)
    at = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    return np.where(known.any(axis=1), values[np.arange(len(values)), at], np.nan)
