"""The interface of worlds: states over time, an exact or reference step, invariants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, final, runtime_checkable

import numpy as np

from grokkit.scheme import InvalidInput


@final
@dataclass(frozen=True)
class Pairs:
    """States and what follows them, one step each."""

    now: np.ndarray
    """pairs × state"""
    next: np.ndarray
    """pairs × state"""
    parameters: Mapping[str, np.ndarray]
    """One value a pair."""


@final
@dataclass(frozen=True)
class Trajectories:
    """Runs of a world: states (runs × times × state, float64), the time between them, what differs between runs."""

    states: np.ndarray
    dt: float
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.states.ndim < 3 or self.states.shape[1] < 2:
            raise InvalidInput(f"states have shape {self.states.shape}; runs × times × state with two times is needed")
        if not self.dt > 0:
            raise InvalidInput(f"dt is {self.dt:g}; it must be positive")
        for name, values in self.parameters.items():
            if np.shape(values) != (len(self.states),):
                raise InvalidInput(f"parameter {name} has shape {np.shape(values)}; one value a run is needed")

    def __len__(self) -> int:
        return len(self.states)

    def pairs(self) -> Pairs:
        """Every state with the next one, run by run."""
        steps = self.states.shape[1] - 1
        shape = (-1, *self.states.shape[2:])
        repeated = {name: np.repeat(values, steps) for name, values in self.parameters.items()}
        return Pairs(self.states[:, :-1].reshape(shape), self.states[:, 1:].reshape(shape), repeated)


@runtime_checkable
class World(Protocol):
    """A world with an exact solution, or a reference one to a stated tolerance."""

    @property
    def name(self) -> str: ...

    @property
    def dt(self) -> float:
        """Time of one step."""
        ...

    @property
    def state_shape(self) -> tuple[int, ...]: ...

    @property
    def linear(self) -> bool:
        """Whether the next state is one linear map of the state, the same in all runs."""
        ...

    def generate(self, runs: int, steps: int, seed: int) -> Trajectories:
        """Runs from random starts; run i is the same whatever their number."""
        ...

    def step(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """The next states: batch × state."""
        ...

    def invariants(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the world conserves, one value a state."""
        ...


def generator_of(seed: int, run: int) -> np.random.Generator:
    """The random numbers of one run."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(run,)))


def rolled(world: World, starts: np.ndarray, steps: int, parameters: Mapping[str, np.ndarray]) -> Trajectories:
    """The world's own steps from each start. Raises `InvalidInput` for no runs and for no steps."""
    if not len(starts) or steps < 1:
        raise InvalidInput(f"{world.name}: {len(starts)} runs of {steps} steps; at least one of each is needed")
    states = [starts]
    for _ in range(steps):
        states.append(world.step(states[-1], parameters))
    return Trajectories(np.stack(states, axis=1), world.dt, parameters)


def checked(states: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """States as float64, batch × state, finite. Raises `InvalidInput`."""
    array = np.asarray(states, dtype=np.float64)
    if array.shape[1:] != shape:
        wanted = " x ".join(map(str, ("batch", *shape)))
        raise InvalidInput(f"{name}: states have shape {array.shape}; {wanted} is needed")
    if not np.isfinite(array).all():
        raise InvalidInput(f"{name}: states hold NaN or infinities; leave those runs out")
    return array
