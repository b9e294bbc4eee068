"""The wave equation on a ring, exact on its grid at Courant number 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from grokkit.scheme import InvalidInput
from grokkit.tasks._world import Trajectories, checked, generator_of, rolled


@final
@dataclass(frozen=True)
class Wave:
    """u_tt = u_xx on a ring of a length, at `nodes` points; a step takes a wave one point on.

    A state (2 × nodes) is the displacement now and one step before. At Courant number 1 the leapfrog scheme
    u(t + h) = u(x + h) + u(x − h) − u(t − h) is exact at the points (d'Alembert), whatever the field.
    """

    nodes: int = 64
    length: float = 1.0

    @property
    def name(self) -> str:
        return "wave"

    @property
    def linear(self) -> bool:
        return True

    def __post_init__(self) -> None:
        if self.nodes < 3:
            raise InvalidInput(f"wave: nodes is {self.nodes}; at least 3 are needed")
        if not self.length > 0:
            raise InvalidInput(f"wave: length is {self.length:g}; it must be positive")

    @property
    def dt(self) -> float:
        return self.length / self.nodes

    @property
    def state_shape(self) -> tuple[int, ...]:
        return 2, self.nodes

    def generate(self, runs: int, steps: int, seed: int) -> Trajectories:
        """Waves of up to a fifth of the nodes' wavenumbers, to the left and to the right."""
        highest = max(1, self.nodes // 5)
        at = 2 * np.pi * np.arange(self.nodes) / self.nodes
        turn = 2 * np.pi / self.nodes
        starts = []
        for run in range(runs):
            drawn = generator_of(seed, run).standard_normal((2, 2, highest)) / np.arange(1, highest + 1)
            k = np.arange(1, highest + 1)[:, None]

            def displacement(time: float, drawn: np.ndarray = drawn, k: np.ndarray = k) -> np.ndarray:
                left, right = k * (at + time * turn), k * (at - time * turn)
                return (
                    drawn[0, 0] @ np.cos(left)
                    + drawn[0, 1] @ np.sin(left)
                    + drawn[1, 0] @ np.cos(right)
                    + drawn[1, 1] @ np.sin(right)
                )

            starts.append(np.stack([displacement(0), displacement(-1)]))
        return rolled(self, np.array(starts).reshape(runs, 2, self.nodes), steps, {})

    def step(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        states = checked(states, self.state_shape, self.name)
        now, before = states[:, 0], states[:, 1]
        after = np.roll(now, 1, axis=1) + np.roll(now, -1, axis=1) - before
        return np.stack([after, now], axis=1)

    def invariants(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Energy of the scheme (exactly conserved), and the mean velocity."""
        states = checked(states, self.state_shape, self.name)
        now, before = states[:, 0], states[:, 1]
        velocity = (now - before) / self.dt
        slopes = (np.roll(now, -1, axis=1) - now) * (np.roll(before, -1, axis=1) - before) / self.dt**2
        energy = 0.5 * ((velocity**2).sum(axis=1) + slopes.sum(axis=1)) * self.dt
        return {"energy": energy, "mean velocity": velocity.mean(axis=1)}
