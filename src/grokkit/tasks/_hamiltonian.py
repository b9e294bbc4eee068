"""A quantum particle on a ring: Schrödinger's equation by split steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from grokkit.scheme import InvalidInput
from grokkit.tasks._world import Trajectories, checked, generator_of, rolled

YOSHIDA: Final = (1 / (2 - 2 ** (1 / 3)), -(2 ** (1 / 3)) / (2 - 2 ** (1 / 3)), 1 / (2 - 2 ** (1 / 3)))
"""Lapses of three symmetric split steps that together are of order 4 (Yoshida 1990)."""


@final
@dataclass(frozen=True)
class HamiltonianField:
    """i ψ_t = H ψ with H = −½ ∂²/∂x² + potential · cos x on a ring of length 2π, at `nodes` points.

    A state (2 × nodes) is the real and the imaginary part of ψ. Potential and kinetic parts act in turn, the first on
    the points and the second on the modes (Feit, Fleck and Steiger 1982), three times a substep: unitary, of order 4.
    With potential 0 a step is exact for every mode.
    """

    nodes: int = 32
    potential: float = 1.0
    dt: float = 0.1
    substeps: int = 4

    @property
    def name(self) -> str:
        return "hamiltonian field"

    @property
    def state_shape(self) -> tuple[int, ...]:
        return 2, self.nodes

    @property
    def linear(self) -> bool:
        return True

    def __post_init__(self) -> None:
        if self.nodes < 3:
            raise InvalidInput(f"hamiltonian field: nodes is {self.nodes}; at least 3 are needed")
        if not 0 < self.dt < np.inf:
            raise InvalidInput(f"hamiltonian field: dt is {self.dt:g}; it must be positive and finite")
        if not np.isfinite(self.potential):
            raise InvalidInput(f"hamiltonian field: potential is {self.potential:g}; it must be finite")
        if self.substeps < 1:
            raise InvalidInput(f"hamiltonian field: substeps is {self.substeps}; at least 1 is needed")

    def generate(self, runs: int, steps: int, seed: int) -> Trajectories:
        """Wave functions of norm 1, of up to a fifth of the nodes' wavenumbers in both directions."""
        highest = max(1, self.nodes // 5)
        k = np.arange(-highest, highest + 1)
        waves = np.exp(1j * np.outer(k, self.positions))
        starts = np.zeros((runs, 2, self.nodes))
        for run in range(runs):
            real, imaginary = generator_of(seed, run).standard_normal((2, len(k))) / (1 + np.abs(k))
            psi = (real + 1j * imaginary) @ waves
            psi /= np.sqrt((np.abs(psi) ** 2).mean() * 2 * np.pi)
            starts[run] = psi.real, psi.imag
        return rolled(self, starts, steps, {})

    @property
    def positions(self) -> np.ndarray:
        """x of the points."""
        return 2 * np.pi * np.arange(self.nodes) / self.nodes

    def _wavenumbers(self) -> np.ndarray:
        return np.fft.fftfreq(self.nodes, 1 / self.nodes)

    def step(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        states = checked(states, self.state_shape, self.name)
        psi = states[:, 0] + 1j * states[:, 1]
        kinetic, potential = self._wavenumbers() ** 2 / 2, self.potential * np.cos(self.positions)
        if self.potential == 0:
            psi = _turned(psi, kinetic, self.dt)
        else:
            for _ in range(self.substeps):
                for share in YOSHIDA:
                    lapse = share * self.dt / self.substeps
                    half = np.exp(-0.5j * lapse * potential)
                    psi = half * _turned(half * psi, kinetic, lapse)
        return np.stack([np.real(psi), np.imag(psi)], axis=1)

    def invariants(self, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Norm ∫|ψ|² and energy ⟨H⟩; of a free particle also momentum."""
        states = checked(states, self.state_shape, self.name)
        psi = states[:, 0] + 1j * states[:, 1]
        k = self._wavenumbers()
        weight = 2 * np.pi * np.abs(np.fft.fft(psi, norm="forward", axis=1)) ** 2
        density = 2 * np.pi / self.nodes * np.abs(psi) ** 2
        energy = weight @ (k**2 / 2) + density @ (self.potential * np.cos(self.positions))
        found = {"norm": density.sum(axis=1), "energy": energy}
        return found if self.potential else found | {"momentum": weight @ k}


def _turned(psi: np.ndarray, kinetic: np.ndarray, lapse: float) -> np.ndarray:
    return np.fft.ifft(np.exp(-1j * lapse * kinetic) * np.fft.fft(psi, axis=1), axis=1)
