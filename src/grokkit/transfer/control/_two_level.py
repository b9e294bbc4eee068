"""Two coupled levels with gain and loss: the smallest system whose spectrum PT symmetry keeps real."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Complex

from grokkit.scheme import InvalidInput


@final
@dataclass(frozen=True)
class TwoLevel:
    """H = [[iγ, κ], [κ, −iγ]] (Bender and Boettcher 1998; Rüter et al. 2010), κ > 0 the coupling, γ ≥ 0 the gain.

    Its eigenvalues are ± sqrt(κ² − γ²): real if and only if γ ≤ κ. At γ = κ they coincide, with one eigenvector. For
    every γ the matrix commutes with PT, so that symmetry alone does not make the spectrum real: it is unbroken only up
    to κ.
    """

    coupling: float
    gain: float

    def __post_init__(self) -> None:
        if not (0 < self.coupling < math.inf and 0 <= self.gain < math.inf):
            raise InvalidInput(
                f"coupling is {self.coupling} and gain {self.gain}; finite coupling > 0 and gain >= 0 are needed"
            )

    def matrix(self) -> Complex[np.ndarray, "2 2"]:
        return np.array([[1j * self.gain, self.coupling], [self.coupling, -1j * self.gain]])

    def closed_form(self) -> Complex[np.ndarray, "2"]:
        """± sqrt(κ² − γ²), the first with the larger real or imaginary part."""
        root = np.sqrt(complex((self.coupling - self.gain) * (self.coupling + self.gain)))
        return np.array([root, -root])

    @property
    def real(self) -> bool:
        """Whether the spectrum is real: γ ≤ κ."""
        return self.gain <= self.coupling

    @property
    def overlap(self) -> float:
        """|⟨u, v⟩| of the two unit eigenvectors: min(γ/κ, κ/γ), 0 for a Hermitian H and 1 at γ = κ."""
        return min(self.gain, self.coupling) / max(self.gain, self.coupling)


def pt_violation(matrix: Any) -> float:
    """‖P H* P − H‖ / ‖H‖ in Frobenius' norm, P the reversal of levels, * the conjugate: 0 for PT symmetry."""
    h = np.asarray(matrix, dtype=np.complex128)
    if h.ndim != 2 or h.shape[0] != h.shape[1] or not np.isfinite(h).all() or not h.any():
        raise InvalidInput(f"the matrix has shape {h.shape}; a square, finite matrix that is not zero is needed")
    return float(np.linalg.norm(h[::-1, ::-1].conj() - h) / np.linalg.norm(h))
