"""Uniform grids of a periodic domain, and the fields on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Complex, Float, Inexact

from grokkit.scheme import InvalidInput

_UNIFORM = 1e-9
"""Largest departure of a position from the uniform grid, as a share of the spacing."""


@final
@dataclass(frozen=True)
class Grid:
    """`nodes` equidistant positions j · length / nodes of a periodic domain; the position `length` is 0 again.

    The modes that a grid tells apart are exp(2πi k x / length) with |k| ≤ (nodes − 1) // 2. An even grid also sees
    |k| = nodes / 2, but not its sign: that mode is held half at each sign.

    >>> Grid(8).highest, Grid(7).highest
    (3, 3)
    """

    nodes: int
    length: float = 2 * math.pi

    def __post_init__(self) -> None:
        if self.nodes < 1:
            raise InvalidInput(f"grid: {self.nodes} nodes; at least 1 is needed")
        if not (math.isfinite(self.length) and self.length > 0):
            raise InvalidInput(f"grid: the length is {self.length}; it must be positive and finite")

    @classmethod
    def of(cls, positions: Float[np.ndarray, " nodes"], length: float) -> Grid:
        """The grid of measured positions. Raises `InvalidInput` unless they are uniform over `length`, from 0 on."""
        grid = cls(len(positions), float(length))
        if not np.isfinite(positions).all():
            raise InvalidInput("positions: one is not finite; remove the sample or interpolate it")
        spacing = grid.length / grid.nodes
        departure = np.abs(positions - grid.positions)
        worst = int(departure.argmax())
        if departure[worst] > _UNIFORM * spacing:
            raise InvalidInput(
                f"positions: number {worst} is {positions[worst]:.6g}, on the uniform grid of {grid.nodes} nodes over "
                f"{grid.length:.6g} it is {grid.positions[worst]:.6g}; interpolate the field to a uniform grid first"
            )
        return grid

    @property
    def positions(self) -> Float[np.ndarray, " nodes"]:
        return np.arange(self.nodes) * (self.length / self.nodes)

    @property
    def highest(self) -> int:
        """The highest wavenumber of which the grid tells the sign."""
        return (self.nodes - 1) // 2

    def refined(self, nodes: int) -> Grid:
        """A grid of more nodes on the same domain."""
        return Grid(nodes, self.length)

    def to_json(self) -> dict[str, Any]:
        return {"nodes": self.nodes, "length": self.length}


def on_grid(field: Inexact[np.ndarray, "..."], grid: Grid, axis: int, what: str = "field") -> None:
    """Raise `InvalidInput` unless `axis` of a finite field has the nodes of the grid."""
    if not field.ndim or not -field.ndim <= axis < field.ndim:
        raise InvalidInput(f"{what}: it has {field.ndim} axes and none is number {axis}")
    if field.shape[axis] != grid.nodes:
        raise InvalidInput(f"{what}: axis {axis} has {field.shape[axis]} values for a grid of {grid.nodes} nodes")
    if not np.isfinite(field).all():
        raise InvalidInput(f"{what}: {int((~np.isfinite(field)).sum())} values are not finite; remove those fields")


def spectrum(
    field: Inexact[np.ndarray, "*lead nodes"],
) -> Complex[np.ndarray, "*lead modes"]:
    """Centred Fourier coefficients, k = −K..K with K = nodes // 2, in the scale that does not depend on the grid.

    c_k = mean over nodes of f_j exp(−2πi k j / nodes). The middle entry is k = 0; an even grid's |k| = nodes / 2 is
    halved between its signs. Law: `synthesize(spectrum(f), nodes)` is f.
    """
    nodes = field.shape[-1]
    half = nodes // 2
    centred = np.fft.fft(field, norm="forward")[..., np.arange(-half, half + 1) % nodes]
    if nodes % 2 == 0:
        centred[..., [0, -1]] /= 2
    return centred


def synthesize(coefficients: Complex[np.ndarray, "*lead modes"], nodes: int) -> Complex[np.ndarray, "*lead nodes"]:
    """The field Σ_k c_k exp(2πi k x / length) at the nodes of a grid, exactly: modes that alias are added."""
    half = coefficients.shape[-1] // 2
    ordered = np.zeros((*coefficients.shape[:-1], nodes), dtype=np.complex128)
    for index, node in enumerate(np.arange(-half, half + 1) % nodes):
        ordered[..., node] += coefficients[..., index]
    return np.fft.ifft(ordered, norm="forward")


def random_coefficients(
    shape: tuple[int, ...], modes: int, generator: np.random.Generator, *, decay: float = 0.0, real: bool = True
) -> Complex[np.ndarray, "*lead modes"]:
    """Independent complex normal coefficients k = −modes..modes of size (1 + |k|)^−decay; of real fields if `real`."""
    wavenumbers = np.arange(-modes, modes + 1)
    size = (1.0 + np.abs(wavenumbers)) ** -decay
    drawn = generator.standard_normal((2, *shape, 2 * modes + 1))
    coefficients = size * (drawn[0] + 1j * drawn[1]) / math.sqrt(2)
    if real:
        coefficients = (coefficients + coefficients[..., ::-1].conj()) / math.sqrt(2)
    return coefficients
