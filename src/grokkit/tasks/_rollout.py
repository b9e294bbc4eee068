"""Many steps on a model's own predictions: how the error grows, and what it does to what the world conserves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from grokkit.scheme import InvalidInput
from grokkit.tasks._judge import Predict, squared_errors
from grokkit.tasks._mean import Mean
from grokkit.tasks._world import Trajectories, World


@final
@dataclass(frozen=True)
class Rollout:
    """A model that runs on its own predictions from the start of every test run; entry 0 is after one step."""

    times: tuple[float, ...]
    error: tuple[Mean, ...]
    """Mean squared error by time, over runs; infinite from where a run is no longer finite."""
    persistence: tuple[Mean, ...]
    """The same of the starting state, kept."""
    drift: dict[str, tuple[Mean, ...]]
    """By invariant: its absolute change since the start, in its own unit."""
    diverged: int
    """Runs that end not finite, or where the world has no invariants any more."""

    def horizon(self, threshold: float) -> float:
        """The last time up to which the mean error stays at or below `threshold`; 0 if it never is."""
        reached = 0.0
        for time, error in zip(self.times, self.error, strict=True):
            if not error.value <= threshold:
                break
            reached = time
        return reached

    def to_json(self) -> dict[str, Any]:
        return {
            "times": list(self.times),
            "error": [each.to_json() for each in self.error],
            "persistence": [each.to_json() for each in self.persistence],
            "drift": {name: [each.to_json() for each in values] for name, values in self.drift.items()},
            "diverged": self.diverged,
        }


def rollout(world: World, predict: Predict, test: Trajectories, steps: int) -> Rollout:
    """Error by time and drift of every invariant, with means and intervals over the test runs.

    Raises `InvalidInput` if the test runs are shorter than `steps`, or not of this world.
    """
    if not 1 <= steps < test.states.shape[1]:
        raise InvalidInput(f"rollout: {steps} steps; the test runs have 1 to {test.states.shape[1] - 1}")
    if test.states.shape[2:] != world.state_shape:
        raise InvalidInput(f"rollout: states {test.states.shape[2:]}; {world.name} has {world.state_shape}")
    start, state = test.states[:, 0], test.states[:, 0]
    first = world.invariants(start, test.parameters)
    alive = np.ones(len(test), dtype=bool)
    errors, kept = [], []
    changes: dict[str, list[np.ndarray]] = {name: [] for name in first}
    for step in range(1, steps + 1):
        truth = test.states[:, step]
        given = {name: values[alive] for name, values in test.parameters.items()}
        moved = np.full(state.shape, np.nan)
        if alive.any():
            found = np.asarray(predict(state[alive], given), dtype=np.float64)
            if found.shape != state[alive].shape:
                raise InvalidInput(
                    f"predict: it gave shape {found.shape} for states of shape {state[alive].shape}; return the same"
                )
            moved[alive] = found
        state = moved
        alive &= np.isfinite(state.reshape(len(state), -1)).all(axis=1)
        errors.append(squared_errors(state, truth))
        kept.append(squared_errors(start, truth))
        given = {name: values[alive] for name, values in test.parameters.items()}
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            now = world.invariants(state[alive], given)
        for name, values in changes.items():
            drift = np.full(len(test), np.inf)
            change = np.abs(now[name] - first[name][alive])
            drift[alive] = np.where(np.isnan(change), np.inf, change)
            values.append(drift)
    return Rollout(
        tuple(test.dt * step for step in range(1, steps + 1)),
        tuple(Mean.of(each, least=0.0) for each in errors),
        tuple(Mean.of(each, least=0.0) for each in kept),
        {name: tuple(Mean.of(each, least=0.0) for each in values) for name, values in changes.items()},
        int((~alive).sum()),
    )
