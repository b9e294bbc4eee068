"""Graphs of features: their pieces, cycles and algebraic connectivity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Bool
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, laplacian

from grokkit.scheme import InvalidInput
from grokkit.transfer.control._features import as_matrix


@final
@dataclass(frozen=True)
class Connectivity:
    """What an undirected graph without loops is as a topological space, and how well it hangs together."""

    nodes: int
    edges: int
    components: int
    """b0."""
    algebraic: float
    """Fiedler's value: the second smallest eigenvalue of the Laplacian; above zero if and only if connected. 0 for one
    node."""

    @property
    def cycles(self) -> int:
        """b1 = edges − nodes + components, the first Betti number: 0 for forests, 1 for a cycle."""
        return self.edges - self.nodes + self.components

    @property
    def connected(self) -> bool:
        return self.components == 1


def connectivity(adjacency: Any, *, threshold: float = 0.0) -> Connectivity:
    """The connectivity of a square matrix of weights: i and j are joined if |a_ij| or |a_ji| is above `threshold`.

    The diagonal is not looked at. Raises `InvalidInput` for a matrix that is not square or not finite.

    >>> connectivity(np.roll(np.eye(5), 1, axis=1)).cycles
    1
    """
    matrix = np.abs(as_matrix(adjacency, "the weights of the graph"))
    if np.ndim(adjacency) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidInput(
            f"the weights of the graph have shape {tuple(np.shape(adjacency))}; a square matrix is needed"
        )
    if not threshold >= 0:
        raise InvalidInput(f"threshold is {threshold}; a number of at least 0 is needed")
    joined: Bool[np.ndarray, "nodes nodes"] = np.maximum(matrix, matrix.T) > threshold
    np.fill_diagonal(joined, False)
    nodes = len(joined)
    count, _ = connected_components(csr_array(joined), directed=False)
    fiedler = 0.0
    if nodes > 1 and count == 1:
        fiedler = float(np.linalg.eigvalsh(laplacian(joined.astype(np.float64)))[1])
    return Connectivity(nodes, int(joined.sum()) // 2, int(count), fiedler)


def correlation_graph(activations: Any, threshold: float = 0.5) -> Bool[np.ndarray, "features features"]:
    """Features joined where their activations correlate above `threshold` in magnitude; constant ones stay alone."""
    if not 0 < threshold < 1:
        raise InvalidInput(f"threshold is {threshold}; a correlation between 0 and 1 is needed")
    matrix = as_matrix(activations)
    if len(matrix) < 2:
        raise InvalidInput("a correlation needs at least 2 samples; there is 1")
    scale = np.abs(matrix).max(axis=0)
    centered = matrix / np.where(scale > 0, scale, 1)
    centered = centered - centered.mean(axis=0)
    norms = np.linalg.norm(centered, axis=0)
    # A constant feature keeps rounding after the mean is taken away.
    alive = norms > 8 * np.finfo(np.float64).eps * np.sqrt(len(matrix))
    unit = np.where(alive, centered / np.where(alive, norms, 1), 0)
    joined = np.abs(unit.T @ unit) > threshold
    np.fill_diagonal(joined, False)
    return joined
