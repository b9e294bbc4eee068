"""A planet around a fixed sun: Newton's equations, solved by Kepler's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from grokkit.scheme import InvalidInput
from grokkit.tasks._world import Trajectories, checked, generator_of, rolled

ITERATIONS: Final = 60
"""Of Newton's method, each step kept inside a bracket: enough for float64."""


@final
@dataclass(frozen=True)
class Kepler:
    """Newton's equations x″ = −x / |x|³ on a plane (gravity times mass is 1), bound orbits.

    A state is (x, y, vx, vy). A step goes along the true ellipse: the change of the eccentric anomaly solves Kepler's
    equation, and Lagrange's coefficients f and g give the new state (Danby 1988, "Fundamentals of Celestial Mechanics",
    6.2 and 6.3). Energy and angular momentum are conserved to rounding.

    Runs differ in semi-major axis and eccentricity, drawn evenly from two ranges, in direction, orientation and phase.
    """

    axes: tuple[float, float] = (0.8, 1.4)
    eccentricities: tuple[float, float] = (0.0, 0.4)
    dt: float = 0.1

    @property
    def name(self) -> str:
        return "kepler"

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (4,)

    @property
    def linear(self) -> bool:
        return False

    def __post_init__(self) -> None:
        (small, large), (round_, long) = self.axes, self.eccentricities
        if not 0 < small <= large < np.inf:
            raise InvalidInput(f"kepler: axes are {small:g} to {large:g}; two positive ones, in order, are needed")
        if not 0 <= round_ <= long < 1:
            raise InvalidInput(
                f"kepler: eccentricities are {round_:g} to {long:g}; two of 0 to below 1, in order, are needed"
            )
        if not 0 < self.dt < np.inf:
            raise InvalidInput(f"kepler: dt is {self.dt:g}; it must be positive and finite")

    def generate(self, runs: int, steps: int, seed: int) -> Trajectories:
        starts = np.zeros((runs, 4))
        for run in range(runs):
            generator = generator_of(seed, run)
            a, e = generator.uniform(*self.axes), generator.uniform(*self.eccentricities)
            mean, turn = generator.uniform(0, 2 * np.pi, 2)
            direction = 1.0 if generator.random() < 0.5 else -1.0
            b = a * np.sqrt(1 - e**2)
            # From the point nearest the sun, a mean anomaly on, mirrored for the other direction, turned.
            nearest = np.array([[a * (1 - e), 0.0, 0.0, b / (a * (1 - e) * np.sqrt(a))]])
            x, y, vx, vy = self._moved(nearest, mean * a**1.5)[0]
            cos, sin = np.cos(turn), np.sin(turn)
            y, vy = direction * y, direction * vy
            starts[run] = cos * x - sin * y, sin * x + cos * y, cos * vx - sin * vy, sin * vx + cos * vy
        return rolled(self, starts, steps, {})

    def step(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        return self._moved(checked(states, self.state_shape, self.name), self.dt)

    def _moved(self, states: np.ndarray, time: float) -> np.ndarray:
        position, velocity = states[:, :2], states[:, 2:]
        r = np.hypot(*position.T)
        if not (r > 0).all():
            raise InvalidInput("kepler: a state is at the sun itself, where gravity is infinite; leave it out")
        inverse = 2 / r - (velocity**2).sum(axis=1)
        if not (inverse > 0).all():
            raise InvalidInput("kepler: a state has energy 0 or more, and its orbit does not close; leave it out")
        a = 1 / inverse
        c, s = 1 - r / a, (position * velocity).sum(axis=1) / np.sqrt(a)  # e cos E and e sin E at the start
        mean = np.remainder(time / a**1.5 + np.pi, 2 * np.pi) - np.pi
        change = _anomaly_change(mean, c, s)
        sin, cos = np.sin(change), np.cos(change)
        later = a * (1 - c * cos + s * sin)
        f = 1 - a / r * (1 - cos)
        g = a**1.5 * (mean - change + sin)
        f_rate, g_rate = -np.sqrt(a) / (later * r) * sin, 1 - a / later * (1 - cos)
        return np.concatenate(
            [f[:, None] * position + g[:, None] * velocity, f_rate[:, None] * position + g_rate[:, None] * velocity],
            axis=1,
        )

    def invariants(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Energy, angular momentum, and the eccentricity vector (Laplace, Runge and Lenz); of unit mass."""
        states = checked(states, self.state_shape, self.name)
        x, y, vx, vy = states.T
        r = np.hypot(x, y)
        momentum = x * vy - y * vx
        return {
            "energy": (vx**2 + vy**2) / 2 - 1 / r,
            "angular momentum": momentum,
            "eccentricity x": vy * momentum - x / r,
            "eccentricity y": -vx * momentum - y / r,
        }


def _anomaly_change(mean: np.ndarray, c: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The d that solves d − c sin d + s (1 − cos d) = mean: increasing in d, so bracketed; c = e cos E, s = e sin E."""
    e = np.hypot(c, s)
    low, high = mean - 2 * e - 1e-12, mean + 2 * e + 1e-12
    d, settled = mean.copy(), np.zeros(mean.shape, dtype=bool)
    for _ in range(ITERATIONS):
        value = d - c * np.sin(d) + s * (1 - np.cos(d)) - mean
        low, high = np.where(value < 0, d, low), np.where(value > 0, d, high)
        moved = d - value / (1 - c * np.cos(d) + s * np.sin(d))
        moved = np.where((moved > low) & (moved < high), moved, (low + high) / 2)
        settled |= value == 0
        change = np.abs(moved - d)
        d = np.where(settled, d, moved)  # each by itself: what stands beside it changes nothing
        settled |= change <= 1e-16 * (1 + np.abs(d))
        if settled.all():
            break
    return d
