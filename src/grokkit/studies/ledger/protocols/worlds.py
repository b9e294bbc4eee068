"""Worlds with exact solutions, learned by small models: one step and many, beside every baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from grokkit.studies.ledger._measurement import Measurement
from grokkit.studies.ledger._protocol import Context, Protocol

SEED: Final = 20260501
SEEDS: Final = {"quick": 4, "full": 8}
STEPS: Final = {"quick": 1200, "full": 5000}
"""Of training a network."""
NEEDS: Final = ("torch", "scipy", "matplotlib")
RUNS: Final = 256
TESTS: Final = 64
LENGTH: Final = 40
"""Steps a run."""
SOURCE_NOTE: Final = (
    "The source links this system and does not describe its model: what is trained here is ours, small and plain."
)


def worlds(context: Context) -> dict[str, Measurement]:
    """Claims T02 to T05: Kepler, the double pendulum, the cyclotron and the product of 2x2 matrices."""
    from grokkit.tasks import Cyclotron, DoublePendulum, Kepler

    beyond = {
        "larger orbits": Kepler(axes=(1.4, 2.0)),
        "longer orbits": Kepler(eccentricities=(0.4, 0.6)),
    }
    return {
        "T02": _state_world(
            context,
            "T02",
            Kepler(),
            beyond,
            "Trained on semi-major axes 0.8 to 1.4 and eccentricities to 0.4; larger orbits have axes 1.4 to 2, longer "
            "ones eccentricities 0.4 to 0.6. ",
        ),
        "T03": _state_world(context, "T03", DoublePendulum(), {}, "Starting angles to 2 rad either way. "),
        "T04": _state_world(
            context, "T04", Cyclotron(), {}, "The frequency differs between runs, 0.9 to 2.2, and is given. "
        ),
        "T05": _products(context),
    }


def seeds_of(context: Context) -> range:
    first = SEED + context.seed
    return range(first, first + SEEDS[context.scale])


def told(context: Context) -> str:
    return f"root seed {SEED + context.seed}, {SEEDS[context.scale]} seeds: runs, weights and test runs of each"


def _state_world(context: Context, claim: str, world: Any, beyond: Mapping[str, Any], described: str) -> Measurement:
    """A network learns the change of the state; judged on unseen runs, then let to run on its own predictions."""
    from grokkit.studies.ledger.protocols._world_models import over_seeds, train_state_model
    from grokkit.tasks import judge, rollout

    kept: dict[str, list[float]] = {}
    base: dict[str, list[float]] = {}

    def keep(into: dict[str, list[float]], name: str, value: float) -> None:
        into.setdefault(name, []).append(value)

    for seed in seeds_of(context):
        context.progress(f"{world.name}, seed {seed}")
        train, test = world.generate(RUNS, LENGTH, 3 * seed), world.generate(TESTS, LENGTH, 3 * seed + 1)
        model = train_state_model(world, train, seed, STEPS[context.scale])
        found = judge(world, model, train, test)
        keep(kept, "error", found.error.value)
        keep(kept, "gain", least_gain(found))
        for row in found.baselines:
            keep(base, row.name, row.error.value)
        for name, other in beyond.items():
            there = judge(world, model, train, other.generate(TESTS, LENGTH, 3 * seed + 2))
            keep(kept, f"gain, {name}", least_gain(there))
        run = rollout(world, model, test, LENGTH)
        for steps in (10, LENGTH):
            keep(kept, f"error, {steps} steps", run.error[steps - 1].value)
            keep(base, f"persistence, {steps} steps", run.persistence[steps - 1].value)
        for name, drift in run.drift.items():
            keep(kept, f"{name} drift, {LENGTH} steps", drift[-1].value)
    text = {
        "error": "mean squared error of one step",
        "gain": "error of the better of persistence and linear least squares over the model's, one step",
    }
    text |= {f"gain, {name}": f"the same on {name} than trained on" for name in beyond}
    figures = {name: over_seeds(values, text.get(name, phrase(name))) for name, values in kept.items()}
    baselines = {name: over_seeds(values, f"mean squared error of {phrase(name)}") for name, values in base.items()}
    note = (
        f"{SOURCE_NOTE} Two layers of 64 tanh units learn the change of the state from {RUNS} runs of {LENGTH} steps "
        f"of {world.dt:g}. {described}Geometric means over seeds."
    )
    return Measurement(claim, figures, {}, baselines, told(context), context.scale, note)


def least_gain(judgement: Any) -> float:
    """The gain over the best baseline that a model must beat."""
    return min(judgement.gains[name].value for name in judgement.against)


def phrase(name: str) -> str:
    """What a figure or baseline is, in words."""
    if not name.endswith(" steps"):
        return {"linear": "linear least squares", "oracle": "the solution", "zero": "predicting zero"}.get(name, name)
    what, steps = name.rsplit(", ", 1)
    if what == "persistence":
        return f"the starting state, kept for {steps}"
    return f"{'mean squared error' if what == 'error' else what} after {steps} on its own predictions"


def _products(context: Context) -> Measurement:
    """A plain network on pairs of 2x2 matrices; and on matrices three times as large."""
    from grokkit.studies.ledger.protocols._world_models import over_seeds, train_network
    from grokkit.tasks import Examples, Products, judge_examples

    task = Products(2, 2, 2)
    kept: dict[str, list[float]] = {"error": [], "gain": [], "gain, three times as large": []}
    base: dict[str, list[float]] = {}
    for seed in seeds_of(context):
        context.progress(f"{task.name}, seed {seed}")
        train, test = task.generate(20_000, 3 * seed), task.generate(4_000, 3 * seed + 1)
        model = train_network(train.inputs, train.labels, seed, STEPS[context.scale])
        found = judge_examples(task, model, train, test)
        kept["error"].append(found.error.value)
        kept["gain"].append(least_gain(found))
        large = Examples(3 * test.inputs, 9 * test.labels)
        kept["gain, three times as large"].append(least_gain(judge_examples(task, model, train, large)))
        for row in found.baselines:
            base.setdefault(row.name, []).append(row.error.value)
        bilinear = _outer(train.inputs)
        fitted = np.linalg.lstsq(bilinear, train.labels, rcond=None)[0]
        error = float(((_outer(test.inputs) @ fitted - test.labels) ** 2).mean())
        base.setdefault("bilinear least squares", []).append(error)
    text = {
        "error": "mean squared error of an entry of the product",
        "gain": "error of the better of zero and linear least squares over the network's",
        "gain, three times as large": "the same for operands three times as large as trained on",
    }
    note = (
        f"{SOURCE_NOTE} Two layers of 64 tanh units on 20,000 pairs of matrices with normal entries. A bilinear map by "
        "least squares is the product itself; the network is an approximation that holds where it was trained."
    )
    return Measurement(
        "T05",
        {name: over_seeds(values, text[name]) for name, values in kept.items()},
        {},
        {name: over_seeds(values, f"mean squared error of {phrase(name)}") for name, values in base.items()},
        told(context),
        context.scale,
        note,
    )


def _outer(inputs: np.ndarray) -> np.ndarray:
    """All products of an entry of A and one of B."""
    return (inputs[:, :4, None] * inputs[:, None, 4:]).reshape(len(inputs), 16)


PROTOCOLS = (Protocol("worlds", "Worlds learned by plain networks", ("T02", "T03", "T04", "T05"), worlds, NEEDS),)
