"""One physical step of the worlds with fields, posed on any grid: the same fields, the same lapse of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Complex, Float

from grokkit.scheme import InvalidInput
from grokkit.tasks import CyclotronField, Wave
from grokkit.transfer.operators._grid import Grid, random_coefficients, synthesize


@final
@dataclass(frozen=True)
class FieldPairs:
    """Fields before and after one step, (pairs, channels, nodes) or (pairs, channels, nodes, nodes)."""

    grid: Grid
    """Of each axis."""
    before: Float[np.ndarray, "pairs channels *nodes"]
    after: Float[np.ndarray, "pairs channels *nodes"]


@runtime_checkable
class FieldProblem(Protocol):
    """Law: pairs of one seed are samples of the same fields on every grid, if the domain is fixed."""

    @property
    def name(self) -> str: ...

    @property
    def channels(self) -> int: ...

    @property
    def axes(self) -> int: ...

    @property
    def modes(self) -> int:
        """The highest wavenumber of the fields on the base grid's domain."""
        ...

    @property
    def base(self) -> int:
        """Nodes of the grid on which a step is stated; other grids are multiples of it."""
        ...

    def pairs(self, nodes: int, count: int, seed: int) -> FieldPairs:
        """Random fields on a grid, and what the world's exact step makes of them."""
        ...


@final
@dataclass(frozen=True)
class WaveFields:
    """The wave equation on a ring of length 2π: two waves that run each its way, band-limited, and a mean that drifts.

    Channels: the displacement, and the displacement one step earlier. A step lasts while a wave crosses one spacing of
    the `base` grid; a grid refined r times takes r steps of its world, whose Courant number is 1. With `extended` the
    domain grows with the nodes instead, and the spacing stays.
    """

    modes: int = 5
    base: int = 16
    decay: float = 1.0
    extended: bool = False
    channels = 2
    axes = 1

    def __post_init__(self) -> None:
        _check(self.modes, self.base)

    @property
    def name(self) -> str:
        return "wave, domain extended" if self.extended else "wave"

    def pairs(self, nodes: int, count: int, seed: int) -> FieldPairs:
        ratio = _ratio(nodes, self.base)
        grid = Grid(nodes, 2 * math.pi * (ratio if self.extended else 1))
        steps, modes = (1, self.modes * ratio) if self.extended else (ratio, self.modes)
        generator = np.random.default_rng(seed)
        drift = generator.standard_normal((count, 1)) / 2
        drawn = random_coefficients((2, count), modes, generator)
        wavenumbers = np.arange(-modes, modes + 1) * (2 * math.pi / grid.length)
        drawn *= (1 + np.abs(wavenumbers)) ** -self.decay / math.sqrt(ratio if self.extended else 1)

        def displacement(time: float) -> np.ndarray:
            """At a time in units of one spacing of this grid, in which a wave crosses it."""
            passed = time * grid.length / nodes
            turn = np.exp(1j * wavenumbers * passed)
            return np.real(synthesize(drawn[0] / turn + drawn[1] * turn, nodes)) + drift * passed

        world = Wave(nodes, grid.length)
        state = np.stack([displacement(0), displacement(-1)], axis=1)
        for _ in range(steps):
            state = world.step(state, {})
        now, earlier = displacement(0), displacement(-steps)
        return FieldPairs(grid, np.stack([now, earlier], axis=1), np.stack([state[:, 0], now], axis=1))


@final
@dataclass(frozen=True)
class CyclotronFields:
    """The density of charges over the angle of their gyration, in a uniform field: it turns, and keeps its shape.

    A step lasts `dt`. With `drift` there is a second angle, of a slow closed drift at that frequency, and fields have
    two axes.
    """

    frequency: float = 1.5
    drift: float | None = None
    dt: float = 0.5
    modes: int = 5
    base: int = 16
    decay: float = 1.0
    channels = 1

    def __post_init__(self) -> None:
        _check(self.modes, self.base)
        if not 0 < self.dt < math.inf:
            raise InvalidInput(f"dt: {self.dt}; it must be positive and finite")

    @property
    def name(self) -> str:
        return "cyclotron" if self.drift is None else "cyclotron with drift"

    @property
    def axes(self) -> int:
        return 1 if self.drift is None else 2

    def pairs(self, nodes: int, count: int, seed: int) -> FieldPairs:
        _ratio(nodes, self.base)
        generator = np.random.default_rng(seed)
        if self.drift is None:
            coefficients = random_coefficients((count,), self.modes, generator, decay=self.decay)
            field = np.real(synthesize(coefficients, nodes))
        else:
            field = self._plane(nodes, count, generator)
        after = self._turned(field, nodes, self.frequency)
        if self.drift is not None:
            after = np.swapaxes(self._turned(np.swapaxes(after, 1, 2), nodes, self.drift), 1, 2)
        return FieldPairs(Grid(nodes), field[:, None], after[:, None])

    def _plane(self, nodes: int, count: int, generator: np.random.Generator) -> np.ndarray:
        """Fields on two axes, with coefficients that are drawn for the plane: the real part of a complex field."""
        wavenumbers = np.abs(np.arange(-self.modes, self.modes + 1))
        size = (1.0 + np.hypot(wavenumbers[:, None], wavenumbers)) ** -self.decay
        drawn: Complex[np.ndarray, "fields rows columns"] = size * random_coefficients(
            (count, 2 * self.modes + 1), self.modes, generator, real=False
        )
        rows = synthesize(drawn, nodes)
        return np.real(synthesize(np.swapaxes(rows, 1, 2), nodes))

    def _turned(self, field: np.ndarray, nodes: int, frequency: float) -> np.ndarray:
        """Along the last axis."""
        world = CyclotronField(nodes, frequency, self.dt)
        return world.step(field.reshape(-1, nodes), {}).reshape(field.shape)


def _check(modes: int, base: int) -> None:
    if not 1 <= modes <= Grid(base).highest:
        raise InvalidInput(f"modes: {modes}; a base grid of {base} nodes tells 1 to {Grid(base).highest} apart")


def _ratio(nodes: int, base: int) -> int:
    if nodes < base or nodes % base:
        raise InvalidInput(f"nodes: {nodes}; a multiple of the base grid's {base} is needed, at least {base}")
    return nodes // base
