"""Zero-shot transfer to finer grids: trained on one grid, judged on others, every embedding beside the baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float

from grokkit.scheme import InvalidInput
from grokkit.tasks import Mean
from grokkit.transfer.operators._fno import OperatorConfig
from grokkit.transfer.operators._grid import Grid
from grokkit.transfer.operators._multiplier import Multiplier, OnNodes
from grokkit.transfer.operators._problems import CyclotronFields, FieldPairs, FieldProblem, WaveFields
from grokkit.transfer.operators._training import TrainingSettings, train_operator

LEARNED: Final = ("Fourier operator", "messages, kept hops", "messages, kept distances")
LINEAR: Final = ("multiplier", "multiplier, tail padding", "multiplier, kept taps")
BASELINES: Final = ("persistence", "zero")


@final
@dataclass(frozen=True)
class TransferCase:
    """A problem, the grids to judge on, and how operators are trained for it."""

    problem: FieldProblem
    nodes: tuple[int, ...]
    options: dict[str, Any]
    """Of `study_transfer`."""

    def study(self, seeds: Sequence[int], nodes: Sequence[int] | None = None) -> TransferStudy:
        """`study_transfer` with these settings, on other grids if given."""
        return study_transfer(self.problem, nodes or self.nodes, seeds, **self.options)


CASES: Final = {
    "wave": TransferCase(WaveFields(), (16, 32, 64, 256), {}),
    "extended": TransferCase(WaveFields(extended=True), (16, 32, 64), {}),
    "cyclotron": TransferCase(CyclotronFields(), (16, 32, 64, 256), {}),
    "drift": TransferCase(
        CyclotronFields(drift=0.4),
        (16, 32),
        {
            "spectral": OperatorConfig(modes=5, width=8, axes=2),
            "messages": OperatorConfig(modes=2, width=8, axes=2),
            "settings": TrainingSettings(steps=300, batch=32),
            "training_fields": 256,
            "fields": 100,
        },
    ),
}
"""What docs/operators.md reports: waves on a fixed and on a growing domain, gyration, and gyration with a drift."""

Predictor = Callable[[FieldPairs], np.ndarray]


@final
@dataclass(frozen=True)
class TransferStudy:
    """Errors by predictor, grid and seed: the mean squared error over that of predicting zero.

    "Fourier operator" and "multiplier" keep modes of the domain. "messages" is a message-passing network: with kept
    hops its topology is the same in nodes, and the distances shrink as the grid is refined; with kept distances a hop
    crosses as many nodes as the grid was refined. "tail padding" and "kept taps" are the multiplier's wrong
    embeddings. Multipliers have a row for fields on one axis.
    """

    problem: str
    trained_on: int
    nodes: tuple[int, ...]
    seeds: tuple[int, ...]
    fields: int
    """Judged on every grid, the same for all."""
    parameters: dict[str, int]
    """Real numbers trained, by predictor."""
    errors: dict[str, tuple[tuple[float, ...], ...]]
    """By predictor; then by grid; then by seed."""
    examples: dict[str, tuple[Float[np.ndarray, "..."], ...]]
    """One field by predictor, then by grid, of the first seed; "truth" comes first. Its first channel."""
    grids: tuple[Grid, ...]

    @property
    def rows(self) -> tuple[str, ...]:
        return tuple(self.errors)

    def error(self, row: str, nodes: int) -> Mean:
        """Geometric mean over seeds: each has its own training fields, weights and test fields."""
        return Mean.geometric(self._of(row, nodes))

    def growth(self, row: str, nodes: int) -> Mean:
        """Error on a grid over the error on the grid of training, paired by seed."""
        there, here = self._of(row, nodes), self._of(row, self.trained_on)
        return Mean.of([a / b for a, b in zip(there, here, strict=True)])

    def _of(self, row: str, nodes: int) -> tuple[float, ...]:
        if row not in self.errors or nodes not in self.nodes:
            raise InvalidInput(
                f"study: no error of {row!r} on {nodes} nodes; rows: {', '.join(self.rows)}; nodes: {self.nodes}"
            )
        return self.errors[row][self.nodes.index(nodes)]

    def to_json(self) -> dict[str, Any]:
        return {
            "problem": self.problem,
            "trained_on": self.trained_on,
            "nodes": list(self.nodes),
            "seeds": list(self.seeds),
            "fields": self.fields,
            "parameters": self.parameters,
            "errors": {row: [self.error(row, nodes).to_json() for nodes in self.nodes] for row in self.rows},
            "errors_by_seed": {row: [list(each) for each in values] for row, values in self.errors.items()},
        }

    def __str__(self) -> str:
        head = f"{self.problem}: trained on {self.trained_on} nodes, {self.fields} fields, seeds {list(self.seeds)}"
        lines = [
            f"{row:26}" + "  ".join(f"{nodes}: {self.error(row, nodes)}" for nodes in self.nodes) for row in self.rows
        ]
        return "\n".join([head, *lines])


def study_transfer(
    problem: FieldProblem,
    nodes: Sequence[int],
    seeds: Sequence[int],
    *,
    spectral: OperatorConfig | None = None,
    messages: OperatorConfig | None = None,
    settings: TrainingSettings | None = None,
    training_fields: int = 512,
    fields: int = 200,
) -> TransferStudy:
    """Train on the problem's base grid, then judge on every grid of `nodes` without retraining."""
    if not seeds or len(set(seeds)) != len(seeds):
        raise InvalidInput(f"seeds: {list(seeds)}; at least one, and none twice")
    if problem.base not in nodes:
        raise InvalidInput(f"nodes: {list(nodes)}; the grid of training, {problem.base}, must be among them")
    shape = {"inputs": problem.channels, "outputs": problem.channels, "axes": problem.axes}
    configs = (
        replace(spectral or OperatorConfig(modes=min(7, Grid(problem.base).highest)), kind="spectral", **shape),
        replace(messages or OperatorConfig(modes=3), kind="ring", **shape),
    )
    parameters: dict[str, int] = {}
    errors: dict[str, list[list[float]]] = {}
    examples: dict[str, list[np.ndarray]] = {"truth": []}
    grids: list[Grid] = []
    for seed in seeds:
        training = problem.pairs(problem.base, training_fields, 2 * seed)
        predictors = _predictors(problem, training, configs, settings, seed, parameters)
        for place, count in enumerate(nodes):
            test = problem.pairs(count, fields, 2 * seed + 1)
            size = float((test.after**2).mean())
            if seed == seeds[0]:
                examples["truth"].append(test.after[0, 0])
                grids.append(test.grid)
            for row, predict in predictors.items():
                predicted = predict(test)
                kept = errors.setdefault(row, [[] for _ in nodes])
                kept[place].append(float(((predicted - test.after) ** 2).mean()) / size)
                if seed == seeds[0]:
                    examples.setdefault(row, []).append(predicted[0, 0])
    return TransferStudy(
        problem.name,
        problem.base,
        tuple(nodes),
        tuple(seeds),
        fields,
        parameters,
        {row: tuple(tuple(each) for each in values) for row, values in errors.items()},
        {row: tuple(fields) for row, fields in examples.items()},
        tuple(grids),
    )


def _predictors(
    problem: FieldProblem,
    training: FieldPairs,
    configs: tuple[OperatorConfig, OperatorConfig],
    settings: TrainingSettings | None,
    seed: int,
    parameters: dict[str, int],
) -> dict[str, Predictor]:
    fourier, ring = (train_operator(config, training.before, training.after, seed, settings) for config in configs)
    predictors: dict[str, Predictor] = {
        "Fourier operator": lambda test: fourier(test.before),
        "messages, kept hops": lambda test: ring(test.before),
        "messages, kept distances": lambda test: ring(test.before, hop=test.grid.nodes // problem.base),
    }
    parameters |= dict(zip(LEARNED, (fourier.parameters, ring.parameters, ring.parameters), strict=True))
    if problem.axes == 1:
        fitted = Multiplier.fit(training.before, training.after, training.grid, problem.modes)
        parameters |= dict.fromkeys(LINEAR, fitted.symbol.size)
        predictors |= {
            # the domain's length is given anew, for problems whose domain grows with the nodes
            "multiplier": lambda test: replace(fitted, length=test.grid.length)(test.before, test.grid),
            "multiplier, tail padding": lambda test: OnNodes(fitted, training.grid, "tail padding")(
                test.before, test.grid
            ),
            "multiplier, kept taps": lambda test: OnNodes(fitted, training.grid, "kept taps")(test.before, test.grid),
        }
    return predictors | {"persistence": lambda test: test.before, "zero": lambda test: 0 * test.before}
