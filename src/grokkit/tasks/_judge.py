"""What a model is worth: its error beside those of predictions that know nothing, and of one that knows all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from grokkit.scheme import InvalidInput
from grokkit.tasks._examples import Examples, Task
from grokkit.tasks._mean import Mean
from grokkit.tasks._world import Pairs, Trajectories, World

TIMES: Final = 10.0
"""How many times smaller than a trivial baseline's a model's error must be, for the model to count."""
_RANK: Final = 1e-10

Predict = Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]
"""The next states of states (batch × state) and parameters (one value a state)."""


@final
@dataclass(frozen=True)
class Baseline:
    """A prediction without learning, or by least squares, or by the solution."""

    name: str
    """``zero``, ``persistence``, ``linear``, ``oracle``; of tasks with classes ``majority``."""
    error: Mean
    """Mean squared error of one step, a mean over runs; of tasks with classes the share of wrong answers."""

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "error": self.error.to_json()}

    def __str__(self) -> str:
        return f"{self.name}: {self.error}"


@final
@dataclass(frozen=True)
class Judgement:
    """A model's error beside every baseline's.

    `counts` is true only if the whole interval of its gain over each baseline in `against` is above 10.
    """

    error: Mean
    baselines: tuple[Baseline, ...]
    gains: dict[str, Mean]
    """Error of a baseline over the model's: ratio of means over the same runs (or examples), by baseline."""
    gap: Mean
    """The model's error less the linear one's: of a linear world, that is what it is short of the solution."""
    against: tuple[str, ...]

    @property
    def counts(self) -> bool:
        return all(self.gains[name].low >= TIMES for name in self.against)

    def to_json(self) -> dict[str, Any]:
        return {
            "error": self.error.to_json(),
            "baselines": [each.to_json() for each in self.baselines],
            "gains": {name: gain.to_json() for name, gain in self.gains.items()},
            "gap": self.gap.to_json(),
            "against": list(self.against),
            "counts": self.counts,
        }

    def __str__(self) -> str:
        head = f"{'counts' if self.counts else 'does not count'}: error {self.error}"
        rows = [f"{each}; {self.gains[each.name].value:.3g} times the model's" for each in self.baselines]
        return "\n".join([head, *rows])


def linear_least_squares(train: Trajectories) -> Predict:
    """The affine map of state and parameters to the next state with the least squared error on the training runs.

    Where they do not determine it, the smallest such map.
    """
    pairs = train.pairs()
    names, shape = sorted(pairs.parameters), pairs.now.shape[1:]

    def columns(states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        given = [np.broadcast_to(np.asarray(parameters[name], np.float64), (len(states),)) for name in names]
        return np.column_stack([states.reshape(len(states), -1), *given, np.ones(len(states))])

    found = _fit(columns(pairs.now, pairs.parameters), pairs.next.reshape(len(pairs.now), -1))
    return lambda states, parameters: (columns(states, parameters) @ found).reshape(-1, *shape)


def baselines(world: World, train: Trajectories, test: Trajectories) -> list[Baseline]:
    """Errors of one step on the test runs: zero, persistence, linear least squares, and the world's own step.

    Raises `InvalidInput` where the runs are not of this world.
    """
    return [Baseline(name, Mean.of(each, least=0.0)) for name, each in _errors(world, train, test).items()]


def judge(world: World, predict: Predict, train: Trajectories, test: Trajectories) -> Judgement:
    """One step of a model on the test runs, beside every baseline. `train` is what the linear baseline learns from.

    The model counts if it beats persistence and linear by 10 times; in a world that is linear in its state the linear
    map is the solution, so persistence alone must be beaten, and `gap` says what is missing. A prediction that is not
    finite has an infinite error.
    """
    by_run = _errors(world, train, test)
    pairs = test.pairs()
    own = _of_runs(_predicted(predict, pairs.now, pairs.parameters), pairs, len(test))
    return _judged(own, by_run, ("persistence",) if world.linear else ("persistence", "linear"))


def _judged(own: np.ndarray, others: dict[str, np.ndarray], against: tuple[str, ...]) -> Judgement:
    gap = Mean.of(own - others["linear"]) if np.isfinite(own).all() else Mean.of(own)
    return Judgement(
        Mean.of(own, least=0.0),
        tuple(Baseline(name, Mean.of(each, least=0.0)) for name, each in others.items()),
        {name: Mean.ratio(each, own) for name, each in others.items()},
        gap,
        against,
    )


def example_baselines(task: Task, train: Examples, test: Examples) -> list[Baseline]:
    """Of tasks with classes: majority, linear least squares on one-hot labels, solution; shares of wrong answers with
    Wilson's intervals. Of tasks with real labels: zero, linear, solution; mean squared errors over examples.
    """
    errors = _example_errors(task, train, test)
    return [Baseline(name, _example_mean(task, each)) for name, each in errors.items()]


def judge_examples(
    task: Task, predict: Callable[[np.ndarray], np.ndarray], train: Examples, test: Examples
) -> Judgement:
    """A model of a task (inputs to labels) beside every baseline; it must beat all but the solution by 10 times."""
    errors = _example_errors(task, train, test)
    answers = np.asarray(predict(test.inputs))
    if answers.shape != test.labels.shape:
        raise InvalidInput(f"{task.name}: answers have shape {answers.shape}; {test.labels.shape} is needed")
    own = _wrong(task, answers, test.labels)
    against = tuple(name for name in errors if name != "oracle")
    judged = _judged(own, errors, against)
    if task.classes is None:
        return judged
    shares = tuple(Baseline(name, _example_mean(task, each)) for name, each in errors.items())
    own_share = _example_mean(task, own)
    if own_share.value == 0:  # no wrong answer: the gain is at least that over the interval's end
        bounded = {
            name: Mean(float("inf"), each.mean() / own_share.high, float("inf"), len(own))
            for name, each in errors.items()
        }
        return Judgement(own_share, shares, bounded, judged.gap, against)
    return Judgement(own_share, shares, judged.gains, judged.gap, against)


def _errors(world: World, train: Trajectories, test: Trajectories) -> dict[str, np.ndarray]:
    """By baseline: mean squared error of one step, one number a test run."""
    for what, runs in (("train", train), ("test", test)):
        if runs.states.shape[2:] != world.state_shape or runs.dt != world.dt:
            raise InvalidInput(
                f"{what}: states {runs.states.shape[2:]} every {runs.dt:g}; {world.name} has states "
                f"{world.state_shape} every {world.dt:g}"
            )
    pairs = test.pairs()
    named: dict[str, Predict] = {
        "zero": lambda states, _: np.zeros_like(states),
        "persistence": lambda states, _: states,
        "linear": linear_least_squares(train),
        "oracle": world.step,
    }
    return {name: _of_runs(each(pairs.now, pairs.parameters), pairs, len(test)) for name, each in named.items()}


def _predicted(predict: Predict, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    found = np.asarray(predict(states, parameters), dtype=np.float64)
    if found.shape != states.shape:
        raise InvalidInput(f"predict: it gave shape {found.shape} for states of shape {states.shape}; return the same")
    return found


def _of_runs(predicted: np.ndarray, pairs: Pairs, runs: int) -> np.ndarray:
    return squared_errors(predicted, pairs.next).reshape(runs, -1).mean(axis=1)


def squared_errors(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean squared error of each state; infinite where the prediction is not finite."""
    flat = predicted.reshape(len(predicted), -1)
    finite = np.isfinite(flat).all(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        error = ((flat - truth.reshape(len(truth), -1)) ** 2).mean(axis=1)
    return np.where(finite & ~np.isnan(error), error, np.inf)


def _example_errors(task: Task, train: Examples, test: Examples) -> dict[str, np.ndarray]:
    for what, examples in (("train", train), ("test", test)):
        if examples.inputs.shape[1] != task.inputs:
            raise InvalidInput(f"{what}: inputs hold {examples.inputs.shape[1]} numbers; {task.name} has {task.inputs}")
    x, y = (np.column_stack([each.inputs, np.ones(len(each))]).astype(np.float64) for each in (train, test))
    if task.classes is None:
        answers = {"zero": np.zeros_like(test.labels), "linear": y @ _fit(x, train.labels)}
    else:
        hot = np.eye(task.classes)[train.labels]
        most = int(hot.sum(axis=0).argmax())
        answers = {"majority": np.full_like(test.labels, most), "linear": (y @ _fit(x, hot)).argmax(axis=1)}
    answers["oracle"] = task.solution(test.inputs)
    return {name: _wrong(task, each, test.labels) for name, each in answers.items()}


def _wrong(task: Task, answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """One number an example: its squared error, or 1 for a wrong answer."""
    return squared_errors(answers, labels) if task.classes is None else (answers != labels).astype(np.float64)


def _example_mean(task: Task, errors: np.ndarray) -> Mean:
    return Mean.of(errors, least=0.0) if task.classes is None else Mean.of_share(int(errors.sum()), len(errors))


def _fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(x, y, rcond=_RANK)[0]
