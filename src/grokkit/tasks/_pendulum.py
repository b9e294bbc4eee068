"""A pendulum that hangs from a pendulum: chaos with a known energy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy.integrate import DOP853

from grokkit.scheme import InvalidInput
from grokkit.tasks._world import Trajectories, checked, generator_of, rolled

LONGEST: Final = 0.0125
"""Longest substep, seconds, for rods of a meter on earth."""


@final
@dataclass(frozen=True)
class DoublePendulum:
    """Two point masses on two massless rods, no friction; angles from the vertical, in seconds and meters.

    A state is (θ1, θ2, ω1, ω2); angles are not wrapped. A step is the method of order 8 of Dormand and Prince (the
    table of `scipy.integrate.DOP853`) in fixed substeps: every state is computed by itself, and the true energy stays
    within 1e-6 over thousands of steps.
    """

    masses: tuple[float, float] = (1.0, 1.0)
    lengths: tuple[float, float] = (1.0, 1.0)
    gravity: float = 9.81
    dt: float = 0.05
    spread: float = 2.0
    """Starting angles are drawn evenly from ± this, starting velocities from a normal law."""

    @property
    def name(self) -> str:
        return "double pendulum"

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (4,)

    @property
    def linear(self) -> bool:
        return False

    def __post_init__(self) -> None:
        given = {"masses": min(self.masses), "lengths": min(self.lengths), "gravity": self.gravity, "dt": self.dt}
        for name, value in (given | {"spread": self.spread}).items():
            if not 0 < value < np.inf:
                raise InvalidInput(f"double pendulum: {name} is {value:g}; it must be positive and finite")

    def generate(self, runs: int, steps: int, seed: int) -> Trajectories:
        starts = np.zeros((runs, 4))
        for run in range(runs):
            generator = generator_of(seed, run)
            starts[run, :2] = generator.uniform(-self.spread, self.spread, 2)
            starts[run, 2:] = generator.standard_normal(2)
        return rolled(self, starts, steps, {})

    def step(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        y = checked(states, self.state_shape, self.name).T
        fastest = np.sqrt(self.gravity / min(self.lengths) / 9.81)
        count = max(1, int(np.ceil(self.dt * fastest / LONGEST)))
        h = self.dt / count
        slopes = np.empty((DOP853.n_stages, *y.shape))
        for _ in range(count):
            for stage in range(DOP853.n_stages):
                offset = np.tensordot(DOP853.A[stage, :stage], slopes[:stage], axes=1)
                slopes[stage] = self.slope(y + h * offset)
            y = y + h * np.tensordot(DOP853.B, slopes, axes=1)
        return y.T.copy()

    def slope(self, y: np.ndarray) -> np.ndarray:
        """Time derivative of states (4 × batch): Lagrange's equations of the second kind."""
        (m1, m2), (l1, l2), g = self.masses, self.lengths, self.gravity
        a, b, va, vb = y
        cos, sin = np.cos(a - b), np.sin(a - b)
        # M (a″, b″) = force, with the symmetric mass matrix M
        m11, m12, m22 = (m1 + m2) * l1, m2 * l2 * cos, l2
        f1 = -m2 * l2 * vb**2 * sin - (m1 + m2) * g * np.sin(a)
        f2 = l1 * va**2 * sin - g * np.sin(b)
        determinant = m11 * m22 - m12 * l1 * cos
        return np.stack([va, vb, (f1 * m22 - m12 * f2) / determinant, (m11 * f2 - l1 * cos * f1) / determinant])

    def invariants(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Energy in joules, zero for masses at the height of the pivot."""
        (m1, m2), (l1, l2), g = self.masses, self.lengths, self.gravity
        a, b, va, vb = checked(states, self.state_shape, self.name).T
        first, second = l1 * va, l2 * vb
        kinetic = m1 * first**2 / 2 + m2 * (first**2 + second**2 + 2 * first * second * np.cos(a - b)) / 2
        return {"energy": kinetic - (m1 + m2) * g * l1 * np.cos(a) - m2 * g * l2 * np.cos(b)}
