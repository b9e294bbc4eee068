"""Fields carried between grids of one domain: the centred embedding, its inverse, and the tail padding that fails."""

from __future__ import annotations

import numpy as np
from jaxtyping import Inexact

from grokkit.scheme import InvalidInput
from grokkit.transfer.operators._grid import Grid, on_grid, spectrum, synthesize


def embed(field: Inexact[np.ndarray, "..."], grid: Grid, target: Grid, axis: int = -1) -> Inexact[np.ndarray, "..."]:
    """The same trigonometric polynomial on a grid with at least as many nodes: every mode k stays mode k.

    Laws: `restrict(embed(f))` is f for every f; `embed` keeps real fields real, and is exact on band-limited fields.
    Raises `InvalidInput` for a smaller target (`restrict` is meant) or another domain.
    """
    if target.nodes < grid.nodes:
        raise InvalidInput(
            f"target grid: {target.nodes} nodes are fewer than the field's {grid.nodes}; restrict() projects on fewer"
        )
    return _resampled(field, grid, target, axis)


def restrict(field: Inexact[np.ndarray, "..."], grid: Grid, target: Grid, axis: int = -1) -> Inexact[np.ndarray, "..."]:
    """The modes that the smaller grid has, on that grid; an even target keeps both signs of its highest, added.

    Equals taking every (grid.nodes / target.nodes)-th node for fields that are band-limited to the target. Raises
    `InvalidInput` for a larger target or another domain.
    """
    if target.nodes > grid.nodes:
        raise InvalidInput(
            f"target grid: {target.nodes} nodes are more than the field's {grid.nodes}; embed() carries it to more"
        )
    return _resampled(field, grid, target, axis)


def tail_padded(
    field: Inexact[np.ndarray, "..."], grid: Grid, target: Grid, axis: int = -1
) -> Inexact[np.ndarray, "..."]:
    """A wrong embedding, kept to be measured: zeros appended behind the coefficients in the order of the FFT.

    There the negative wavenumbers stand last, so −k becomes target.nodes − k only if the zeros go into the middle;
    appended behind, it becomes grid.nodes − k. Real fields: the real part.
    """
    _same_domain(field, grid, target, axis)
    if target.nodes < grid.nodes:
        raise InvalidInput(f"target grid: {target.nodes} nodes are fewer than the field's {grid.nodes}")
    ordered = np.fft.fft(field, axis=axis, norm="forward")
    padded = np.fft.ifft(ordered, n=target.nodes, axis=axis, norm="forward")
    return padded if np.iscomplexobj(field) else np.real(padded)


def _resampled(field: np.ndarray, grid: Grid, target: Grid, axis: int) -> np.ndarray:
    _same_domain(field, grid, target, axis)
    centred = spectrum(np.moveaxis(field, axis, -1))
    spare = max(grid.nodes // 2 - target.nodes // 2, 0)
    kept = centred[..., spare : centred.shape[-1] - spare]
    moved = np.moveaxis(synthesize(kept, target.nodes), -1, axis)
    return moved if np.iscomplexobj(field) else np.real(moved)


def _same_domain(field: np.ndarray, grid: Grid, target: Grid, axis: int) -> None:
    on_grid(field, grid, axis)
    if grid.length != target.length:
        raise InvalidInput(
            f"target grid: its domain has length {target.length:.6g}, the field's {grid.length:.6g}; "
            "modes are carried on one physical domain only"
        )
