"""A sparse graph learned online from a drifting linear system, with its connectivity measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from grokkit.scheme import InvalidInput
from grokkit.transfer.control._controller import SparsityController, psi_or_zero
from grokkit.transfer.control._graph import connectivity


@final
@dataclass(frozen=True)
class DriftingGraph:
    """x(t+1) = G(t) x(t) + noise: a directed ring with chords, rewired and weakened under way.

    From `onset` of the steps on, the chords are others and all couplings are `weaker` times as strong; ring edges
    remain, so that the true graph is connected throughout.
    """

    nodes: int = 16
    chords: int = 6
    coupling: float = 0.6
    weaker: float = 0.4
    onset: float = 0.5

    def __post_init__(self) -> None:
        if self.nodes < 4 or not 0 <= self.chords <= self.nodes:
            raise InvalidInput(
                f"{self.nodes} nodes and {self.chords} chords; at least 4 and at most one a node are needed"
            )
        if not (0 < self.coupling < 1 and 0 < self.weaker <= 1 and 0 < self.onset < 1):
            raise InvalidInput(
                f"coupling {self.coupling}, weaker {self.weaker}, onset {self.onset}: between 0 and 1 is needed"
            )

    def weights(self, time: float, seed: int) -> Float[np.ndarray, "nodes nodes"]:
        """G at a time between 0 and 1; row i holds what enters node i."""
        late = time >= self.onset
        generator = np.random.default_rng([seed, int(late)])
        ring = np.roll(np.eye(self.nodes), 1, axis=1)
        others = [(i, j) for i in range(self.nodes) for j in range(self.nodes) if i != j and not ring[i, j]]
        for pick in generator.choice(len(others), self.chords, replace=False):
            ring[others[pick]] = 1.0
        # Rows are scaled so that the system is stable: the largest row sum is the coupling.
        scaled = self.coupling * ring / ring.sum(axis=1, keepdims=True)
        return self.weaker * scaled if late else scaled


@final
@dataclass(frozen=True)
class GraphTrace:
    """One run: a row a record."""

    policy: str
    seed: int
    steps: Float[np.ndarray, " records"]
    psi: Float[np.ndarray, " records"]
    strength: Float[np.ndarray, " records"]
    components: Float[np.ndarray, " records"]
    cycles: Float[np.ndarray, " records"]
    algebraic: Float[np.ndarray, " records"]
    error: Float[np.ndarray, " records"]
    """‖Ĝ − G‖ / ‖G‖ in Frobenius' norm."""

    @property
    def connected_after(self) -> float:
        """The share of the records of the last fifth at which the learned graph is connected."""
        late = self.steps > 0.8 * self.steps[-1]
        return float((self.components[late] == 1).mean())

    @property
    def connected_before(self) -> float:
        """The same over the records between 30 % and 50 % of the run."""
        some = (self.steps > 0.3 * self.steps[-1]) & (self.steps < 0.5 * self.steps[-1])
        return float((self.components[some] == 1).mean())

    @property
    def error_after(self) -> float:
        return float(self.error[self.steps > 0.8 * self.steps[-1]].mean())


def learn_graph(
    controller: SparsityController,
    seed: int,
    *,
    system: DriftingGraph | None = None,
    steps: int = 6000,
    memory: float = 0.995,
    smoothing: float = 0.99,
    every: int = 100,
) -> GraphTrace:
    """Online lasso by proximal gradient on exponentially forgotten moments; the controller sees Ψ of the nodes'
    weights.

    A step takes x(t), x(t+1), forgets with `memory`, and makes one step of iterative soft thresholding, of length one
    over the largest eigenvalue, on ½ E|x' − G x|² + λ ‖G‖₁ off the diagonal (Beck and Teboulle 2009). Ψ counts
    effective entries: shares are over all entries of Ĝ off the diagonal. It is smoothed (`smoothing`, the weight of
    the past): a larger λ lowers Ψ, so "relax" is negative feedback, stable if slower than the learner, where without
    smoothing it oscillates.
    """
    system = system or DriftingGraph()
    if steps < 10 * every or not (0 < memory < 1 and 0 <= smoothing < 1):
        raise InvalidInput(
            f"steps {steps}, every {every}, memory {memory}, smoothing {smoothing}: 10 records, memories below 1"
        )
    generator = np.random.default_rng([seed, 7])
    n = system.nodes
    off = ~np.eye(n, dtype=bool)
    learned = np.zeros((n, n))
    now, old, cross = generator.standard_normal(n), np.eye(n), np.zeros((n, n))
    phases = {late: system.weights(float(late), seed) for late in (False, True)}
    psi, rows = controller.threshold, []
    for step in range(steps + 1):
        truth = phases[step / steps >= system.onset]
        after = truth @ now + generator.standard_normal(n)
        old = memory * old + (1 - memory) * np.outer(now, now)
        cross = memory * cross + (1 - memory) * np.outer(after, now)
        psi = smoothing * psi + (1 - smoothing) * psi_or_zero(learned[off].reshape(1, -1))
        strength = controller.strength(psi)
        length = 1 / float(np.linalg.norm(old, 2))
        moved = learned - length * (learned @ old - cross)
        shrunk = np.sign(moved) * np.maximum(np.abs(moved) - length * strength, 0)
        learned = np.where(off, shrunk, 0.0)
        now = after
        if step % every == 0:
            found = connectivity(learned)
            error = float(np.linalg.norm(learned - truth) / np.linalg.norm(truth))
            rows.append((step, psi, strength, found.components, found.cycles, found.algebraic, error))
    columns = np.array(rows, dtype=np.float64).T
    return GraphTrace(controller.policy, seed, *columns)
