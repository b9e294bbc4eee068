"""A charge in a uniform magnetic field, and the density of many over the angle of their gyration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from grokkit.scheme import InvalidInput
from grokkit.tasks._world import Trajectories, checked, generator_of, rolled

FREQUENCY = "frequency"


@final
@dataclass(frozen=True)
class Cyclotron:
    """A charged particle on a plane, in a uniform field across it: v turns by ω dt, exactly.

    A state is (x, y, vx, vy). The frequency ω differs between runs, drawn evenly from `frequencies`, unless `fixed`
    gives one for all: then the world is linear in its state.
    """

    frequencies: tuple[float, float] = (0.9, 2.2)
    fixed: float | None = None
    dt: float = 0.1

    @property
    def name(self) -> str:
        return "cyclotron"

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (4,)

    def __post_init__(self) -> None:
        low, high = self.frequencies
        if not 0 < low <= high:
            raise InvalidInput(
                f"cyclotron: frequencies are {low:g} to {high:g}; two positive ones, in order, are needed"
            )
        if self.fixed is not None and not self.fixed > 0:
            raise InvalidInput(f"cyclotron: the frequency is {self.fixed:g}; it must be positive")
        if not self.dt > 0:
            raise InvalidInput(f"cyclotron: dt is {self.dt:g}; it must be positive")

    @property
    def linear(self) -> bool:
        return self.fixed is not None

    def generate(self, runs: int, steps: int, seed: int) -> Trajectories:
        starts, omega = np.zeros((runs, 4)), np.zeros(runs)
        for run in range(runs):
            generator = generator_of(seed, run)
            starts[run] = generator.standard_normal(4)
            omega[run] = self.fixed if self.fixed is not None else generator.uniform(*self.frequencies)
        return rolled(self, starts, steps, {FREQUENCY: omega})

    def step(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        states = checked(states, self.state_shape, self.name)
        omega = self._omega(states, parameters)
        angle = omega * self.dt
        cos, sin = np.cos(angle), np.sin(angle)
        x, y, vx, vy = states.T
        along, across = sin / omega, (1 - cos) / omega
        return np.stack(
            [x + along * vx + across * vy, y - across * vx + along * vy, cos * vx + sin * vy, cos * vy - sin * vx],
            axis=1,
        )

    def _omega(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        if FREQUENCY not in parameters and self.fixed is None:
            raise InvalidInput("cyclotron: no frequency; give one a state in parameters")
        omega = np.asarray(parameters.get(FREQUENCY, self.fixed), dtype=np.float64)
        return np.broadcast_to(omega, (len(states),))

    def invariants(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Kinetic energy (unit mass) and the center of the circle."""
        states = checked(states, self.state_shape, self.name)
        omega = self._omega(states, parameters)
        x, y, vx, vy = states.T
        return {"energy": (vx**2 + vy**2) / 2, "center x": x + vy / omega, "center y": y - vx / omega}


@final
@dataclass(frozen=True)
class CyclotronField:
    """The density f of many charges over the angle of their gyration: f(θ, t + dt) = f(θ − ω dt, t), exactly.

    A state holds f at `nodes` angles. It is turned by the trigonometric polynomial through them: exact for densities
    of wavenumbers below nodes / 2.
    """

    nodes: int = 32
    frequency: float = 1.5
    dt: float = 0.1

    @property
    def name(self) -> str:
        return "cyclotron field"

    @property
    def linear(self) -> bool:
        return True

    def __post_init__(self) -> None:
        if self.nodes < 3:
            raise InvalidInput(f"cyclotron field: nodes is {self.nodes}; at least 3 are needed")
        if not self.dt > 0:
            raise InvalidInput(f"cyclotron field: dt is {self.dt:g}; it must be positive")

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (self.nodes,)

    def generate(self, runs: int, steps: int, seed: int) -> Trajectories:
        """Densities of up to a fifth of the nodes' wavenumbers."""
        highest = max(1, self.nodes // 5)
        k = np.arange(1, highest + 1)
        angles = k[:, None] * (2 * np.pi * np.arange(self.nodes) / self.nodes)
        starts = np.zeros((runs, self.nodes))
        for run in range(runs):
            cos, sin = generator_of(seed, run).standard_normal((2, highest)) / k
            starts[run] = 1 + cos @ np.cos(angles) + sin @ np.sin(angles)
        return rolled(self, starts, steps, {})

    def step(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        states = checked(states, self.state_shape, self.name)
        k = np.arange(self.nodes // 2 + 1)
        turned = np.fft.rfft(states, axis=1) * np.exp(-1j * k * self.frequency * self.dt)
        return np.fft.irfft(turned, self.nodes, axis=1)

    def invariants(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The number of charges (mean density), and the mean square density."""
        states = checked(states, self.state_shape, self.name)
        return {"mean": states.mean(axis=1), "mean square": (states**2).mean(axis=1)}
