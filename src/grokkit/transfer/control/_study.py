"""Sparsity control under drift, a policy beside the others, over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

from grokkit.scheme import InvalidInput
from grokkit.tasks import Mean
from grokkit.transfer.control._controller import Policy, SparsityController
from grokkit.transfer.control._drift import DriftTrace, run_drift
from grokkit.transfer.control._graph_learner import GraphTrace, learn_graph

POLICIES: Final[tuple[Policy, ...]] = ("fixed", "relax", "source")
"""A fixed strength; one that relaxes when features collapse; the published sign, which does the opposite."""


@final
@dataclass(frozen=True)
class ControlConfig:
    """Base strength, threshold Ψ₀ and width τ of the controllers, and steps, of both learners."""

    base: float = 0.45
    threshold: float = 0.8
    width: float = 0.1
    steps: int = 1500
    graph_base: float = 0.2
    graph_threshold: float = 0.1
    graph_width: float = 0.04
    graph_steps: int = 4000

    def controller(self, policy: Policy) -> SparsityController:
        return SparsityController(self.base, self.threshold, self.width, policy)

    def graph_controller(self, policy: Policy) -> SparsityController:
        return SparsityController(self.graph_base, self.graph_threshold, self.graph_width, policy)


@final
@dataclass(frozen=True)
class ControlStudy:
    """A sparse autoencoder and a sparse graph learner under drift: every policy on the same stream of every seed."""

    config: ControlConfig
    seeds: tuple[int, ...]
    drifts: dict[str, tuple[DriftTrace, ...]]
    """By policy, a run a seed."""
    graphs: dict[str, tuple[GraphTrace, ...]]
    """By policy, a run a seed."""

    def collapsed(self, policy: str) -> int:
        """Seeds in which the autoencoder's Ψ falls under half of what it was."""
        return sum(trace.collapsed for trace in self.drifts[policy])

    def figures(self, policy: str) -> dict[str, Mean]:
        """Means over seeds, before and after the drift."""
        drifts, graphs = self.drifts[policy], self.graphs[policy]
        return {
            "psi_before": Mean.of([each.before for each in drifts]),
            "psi_after": Mean.of([each.after for each in drifts]),
            "explained_after": Mean.of([each.explained_after for each in drifts]),
            "strength_after": Mean.of([float(each.strength[-1]) for each in drifts]),
            "connected_before": Mean.of([each.connected_before for each in graphs]),
            "connected_after": Mean.of([each.connected_after for each in graphs]),
            "graph_error_after": Mean.of([each.error_after for each in graphs]),
            "graph_cycles_after": Mean.of([float(each.cycles[-1]) for each in graphs]),
            "graph_strength_after": Mean.of([float(each.strength[-1]) for each in graphs]),
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "seeds": list(self.seeds),
            "config": asdict(self.config),
            "policies": {
                policy: {name: each.to_json() for name, each in self.figures(policy).items()}
                | {"collapsed": self.collapsed(policy), "n": len(self.seeds)}
                for policy in POLICIES
            },
        }


def study_control(seeds: Sequence[int], config: ControlConfig | None = None) -> ControlStudy:
    """Every policy on every seed; the same seed gives every policy the same stream."""
    if not seeds or len(set(seeds)) != len(seeds):
        raise InvalidInput(f"seeds: {list(seeds)}; at least one, and none twice")
    chosen = config or ControlConfig()
    drifts: dict[str, tuple[DriftTrace, ...]] = {}
    graphs: dict[str, tuple[GraphTrace, ...]] = {}
    for policy in POLICIES:
        drifts[policy] = tuple(run_drift(chosen.controller(policy), seed, steps=chosen.steps) for seed in seeds)
        graphs[policy] = tuple(
            learn_graph(chosen.graph_controller(policy), seed, steps=chosen.graph_steps) for seed in seeds
        )
    return ControlStudy(chosen, tuple(seeds), drifts, graphs)
