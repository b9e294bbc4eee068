"""Fourier multipliers: linear operators that commute with translation, given by one number or matrix a mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Complex, Float, Inexact

from grokkit.scheme import InvalidInput
from grokkit.transfer.operators._grid import Grid, on_grid

_RANK = 1e-10
"""Singular values of a mode's inputs below this share of the largest of all modes count as zero."""


@final
@dataclass(frozen=True)
class Multiplier:
    """exp(2πi k x / length) goes to symbol_k times itself for |k| ≤ K, every higher mode to zero.

    `symbol` is centred: entry K + k belongs to wavenumber k. With a symbol of shape (modes,) every leading axis of a
    field is a batch; with (outputs, inputs, modes) the axis before the nodes holds channels. The operator belongs to
    the domain, not to a grid. Laws: it is linear; it commutes with translation, with `embed`, and with `restrict` to
    grids of at least 2K + 1 nodes; real fields stay real if symbol_−k is the conjugate of symbol_k.

    >>> shift = Multiplier.of(lambda k: np.exp(-1j * k * np.pi / 2), modes=3)  # a quarter turn
    >>> x = Grid(256).positions
    >>> bool(np.allclose(shift(np.cos(x), Grid(256)), np.sin(x), rtol=0, atol=1e-14))
    True
    """

    symbol: Complex[np.ndarray, "*channels modes"]
    length: float = 2 * math.pi

    def __post_init__(self) -> None:
        if self.symbol.ndim not in (1, 3) or self.symbol.shape[-1] % 2 == 0:
            raise InvalidInput(
                f"symbol: its shape is {self.symbol.shape}; (modes,) or (outputs, inputs, modes) is needed, with an "
                "odd number of modes -K..K"
            )
        if not np.isfinite(self.symbol).all():
            raise InvalidInput("symbol: an entry is not finite")
        held = self.symbol.copy()
        held.setflags(write=False)
        object.__setattr__(self, "symbol", held)

    @classmethod
    def of(
        cls,
        symbol: Callable[[Float[np.ndarray, " modes"]], Inexact[np.ndarray, " modes"]],
        modes: int,
        length: float = 2 * math.pi,
    ) -> Multiplier:
        """From its symbol as a function of the angular wavenumbers 2πk / length."""
        return cls(np.asarray(symbol(2 * math.pi / length * np.arange(-modes, modes + 1.0)), np.complex128), length)

    @classmethod
    def fit(
        cls,
        inputs: Inexact[np.ndarray, "inputs ..."],
        outputs: Inexact[np.ndarray, "outputs ..."],
        grid: Grid,
        modes: int,
    ) -> Multiplier:
        """Least squares from pairs of fields: (fields, nodes), or (fields, channels, nodes) for a matrix a mode.

        Exact, to rounding, if the pairs come from a multiplier. Raises `InvalidInput` where the inputs do not
        determine a mode: it is never excited, or there are fewer independent fields than channels.
        """
        if inputs.ndim not in (2, 3) or inputs.ndim != outputs.ndim or len(inputs) != len(outputs):
            raise InvalidInput(
                f"pairs: shapes {inputs.shape} and {outputs.shape}; both (fields, nodes) or (fields, channels, nodes)"
            )
        _holds(grid, modes, "fit fewer modes or on a finer grid")
        u = _modes_of(inputs, grid, modes, "inputs").reshape(len(inputs), -1, 2 * modes + 1)
        v = _modes_of(outputs, grid, modes, "outputs").reshape(len(outputs), -1, 2 * modes + 1)
        symbol = np.empty((v.shape[1], u.shape[1], 2 * modes + 1), dtype=np.complex128)
        strongest = max(float(np.linalg.norm(u[..., index], 2)) for index in range(2 * modes + 1))
        for index in range(2 * modes + 1):
            solution, _, _, singular = np.linalg.lstsq(u[..., index], v[..., index], rcond=None)
            if len(singular) < u.shape[1] or not singular[-1] > _RANK * strongest:
                raise InvalidInput(
                    f"inputs: {len(inputs)} fields do not determine mode {index - modes}; give fields that excite it "
                    f"in {u.shape[1]} independent ways, or fit fewer modes"
                )
            symbol[..., index] = solution.T
        return cls(symbol if inputs.ndim == 3 else symbol[0, 0], grid.length)

    @property
    def modes(self) -> int:
        """K, the highest wavenumber."""
        return self.symbol.shape[-1] // 2

    @property
    def real(self) -> bool:
        """Whether real fields stay real, to rounding."""
        scale = float(np.abs(self.symbol).max())
        return bool(np.abs(self.symbol - self.symbol[..., ::-1].conj()).max() <= 1e-9 * scale)

    @property
    def hilbert_schmidt(self) -> float:
        """‖H‖_HS = sqrt(Σ_k |symbol_k|²), with Frobenius norms of matrices."""
        return float(np.linalg.norm(self.symbol))

    @property
    def norm(self) -> float:
        """‖H‖, the largest factor by which the operator stretches a field in L²."""
        if self.symbol.ndim == 1:
            return float(np.abs(self.symbol).max())
        return float(np.linalg.norm(np.moveaxis(self.symbol, -1, 0), 2, axis=(1, 2)).max())

    def __call__(self, field: Inexact[np.ndarray, "..."], grid: Grid) -> Inexact[np.ndarray, "..."]:
        """The operator applied to fields on any grid of the domain with at least 2K + 1 nodes."""
        if grid.length != self.length:
            raise InvalidInput(f"grid: its length is {grid.length:.6g}, the operator's domain has {self.length:.6g}")
        _holds(grid, self.modes, "refine the grid, or truncate() the operator")
        coefficients = _modes_of(field, grid, self.modes, "field")
        if self.symbol.ndim == 1:
            product = self.symbol * coefficients
        else:
            if field.ndim < 2 or field.shape[-2] != self.symbol.shape[1]:
                raise InvalidInput(f"field: shape {field.shape}; axis -2 must hold {self.symbol.shape[1]} channels")
            product = np.einsum("oik,...ik->...ok", self.symbol, coefficients)
        ordered = np.zeros((*product.shape[:-1], grid.nodes), dtype=np.complex128)
        ordered[..., np.arange(-self.modes, self.modes + 1) % grid.nodes] = product
        result = np.fft.ifft(ordered, norm="forward")
        return result.real if self.real and not np.iscomplexobj(field) else result

    def truncate(self, modes: int) -> Multiplier:
        """P_N H P_N with N = `modes`: the higher modes go to zero."""
        if not 0 <= modes <= self.modes:
            raise InvalidInput(f"modes: {modes}; the operator has 0 to {self.modes}")
        spare = self.modes - modes
        return Multiplier(self.symbol[..., spare : self.symbol.shape[-1] - spare], self.length)

    def embed(self, modes: int) -> Multiplier:
        """The same operator with room for higher modes, which are zero, on both sides. `truncate` undoes it."""
        if modes < self.modes:
            raise InvalidInput(f"modes: {modes} are fewer than the operator's {self.modes}; truncate() cuts")
        spare = modes - self.modes
        return Multiplier(np.pad(self.symbol, [(0, 0)] * (self.symbol.ndim - 1) + [(spare, spare)]), self.length)

    def matrix(self, nodes: int) -> Complex[np.ndarray, "nodes nodes"]:
        """The dense matrix on a grid, for a scalar symbol: the slow definition, entry by entry."""
        if self.symbol.ndim != 1:
            raise InvalidInput("matrix: the operator mixes channels; apply it to unit fields instead")
        _holds(Grid(nodes, self.length), self.modes, "take more nodes")
        offset = np.subtract.outer(np.arange(nodes), np.arange(nodes))
        wavenumbers = np.arange(-self.modes, self.modes + 1)
        return np.exp(2j * math.pi / nodes * offset[..., None] * wavenumbers) @ self.symbol / nodes

    def to_json(self) -> dict[str, Any]:
        return {
            "length": self.length,
            "modes": self.modes,
            "symbol": {"real": np.real(self.symbol).tolist(), "imaginary": np.imag(self.symbol).tolist()},
        }


@final
@dataclass(frozen=True)
class OnNodes:
    """A wrong embedding of a multiplier, kept to be measured: weights that belong to a grid, used on another.

    `kind` "tail padding" appends zeros to the symbol in the order of the FFT; "kept taps" keeps the convolution kernel
    in units of nodes, so that on a finer grid every tap reaches a shorter way: the node count changes with the physics.
    Both are the operator itself on its own grid.
    """

    operator: Multiplier
    grid: Grid
    kind: str

    def __post_init__(self) -> None:
        if self.kind not in ("tail padding", "kept taps"):
            raise InvalidInput(f"kind: {self.kind!r}; 'tail padding' and 'kept taps' are known")
        _holds(self.grid, self.operator.modes, "take a finer grid")

    def __call__(self, field: Inexact[np.ndarray, "..."], grid: Grid) -> Inexact[np.ndarray, "..."]:
        on_grid(field, grid, -1)
        own, operator = self.grid.nodes, self.operator
        if grid.nodes < own:
            raise InvalidInput(f"grid: {grid.nodes} nodes are fewer than the weights' {own}")
        weights = np.zeros((*operator.symbol.shape[:-1], own), dtype=np.complex128)
        weights[..., np.arange(-operator.modes, operator.modes + 1) % own] = operator.symbol
        if self.kind == "tail padding":
            symbol = np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, grid.nodes - own)])
        else:
            taps = np.fft.ifft(weights)
            placed = np.zeros((*taps.shape[:-1], grid.nodes), dtype=np.complex128)
            offsets = np.arange(-(own // 2), own - own // 2)
            placed[..., offsets % grid.nodes] = taps[..., offsets % own]
            symbol = np.fft.fft(placed)
        coefficients = np.fft.fft(field)
        product = symbol * coefficients if symbol.ndim == 1 else np.einsum("oik,...ik->...ok", symbol, coefficients)
        result = np.fft.ifft(product)
        return result if np.iscomplexobj(field) else result.real


def _holds(grid: Grid, modes: int, remedy: str) -> None:
    if modes < 0 or modes > grid.highest:
        raise InvalidInput(
            f"grid: {grid.nodes} nodes tell modes up to {grid.highest} apart, {modes} are asked for; {remedy}"
        )


def _modes_of(field: np.ndarray, grid: Grid, modes: int, what: str) -> np.ndarray:
    on_grid(field, grid, -1, what)
    return np.fft.fft(field, norm="forward")[..., np.arange(-modes, modes + 1) % grid.nodes]
