"""Waves and wave functions learned by spectral operators, and carried to finer grids."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols.worlds import (
    LENGTH,
    NEEDS,
    RUNS,
    SOURCE_NOTE,
    STEPS,
    TESTS,
    least_gain,
    phrase,
    seeds_of,
    told,
)

OPERATOR_STEPS: Final = {"quick": 250, "full": 1500}
"""Of training a neural operator."""
GRIDS: Final = (16, 64, 256, 2048)
"""Of the wave; training is on the first."""
MODES: Final = 8
"""Of the learned spectral operator of the Hamiltonian field, on 32 nodes."""


def fields(context: Context) -> dict[str, Measurement]:
    """Claims T01 and T06: the wave, carried to finer grids, and the Hamiltonian field."""
    return {"T01": _waves(context), "T06": _hamiltonian(context)}


def train_wave(context: Context, seed: int, kind: str) -> Any:
    """A neural operator for one step of waves on the first grid: "spectral", or "ring" of passed messages."""
    from grokkit.transfer.operators import OperatorConfig, TrainingSettings, WaveFields, train_operator

    pairs = WaveFields().pairs(GRIDS[0], 512, 3 * seed)
    config = OperatorConfig(inputs=2, outputs=2, modes=7 if kind == "spectral" else 3, kind=kind)
    return train_operator(
        config, pairs.before, pairs.after, seed, TrainingSettings(steps=OPERATOR_STEPS[context.scale])
    )


def _waves(context: Context) -> Measurement:
    from grokkit.studies.ledger.protocols._world_models import over_seeds
    from grokkit.tasks import Trajectories, Wave, rollout
    from grokkit.transfer.operators import Multiplier, WaveFields

    problem, finest = WaveFields(), GRIDS[-1]
    errors: dict[str, list[dict[int, float]]] = {}
    runs: dict[str, list[float]] = {}
    for seed in seeds_of(context):
        context.progress(f"wave, seed {seed}")
        training = problem.pairs(GRIDS[0], 512, 3 * seed)
        models: dict[str, Any] = {
            "Fourier": train_wave(context, seed, "spectral"),
            "messages": train_wave(context, seed, "ring"),
            "linear": Multiplier.fit(training.before, training.after, training.grid, problem.modes),
        }
        found: dict[str, dict[int, float]] = {name: {} for name in (*models, "persistence")}
        for nodes in GRIDS:
            test = problem.pairs(nodes, TESTS, 3 * seed + 1)
            size = float((test.after**2).mean())
            guesses = {
                "Fourier": models["Fourier"](test.before),
                "messages": models["messages"](test.before),
                "linear": models["linear"](test.before, test.grid),
                "persistence": test.before,
            }
            for name, guess in guesses.items():
                found[name][nodes] = float(((guess - test.after) ** 2).mean()) / size
        for name, each in found.items():
            errors.setdefault(name, []).append(each)
        ring = Wave(GRIDS[0], 2 * math.pi)
        states = [problem.pairs(GRIDS[0], TESTS, 3 * seed + 1).before]
        for _ in range(LENGTH):
            states.append(ring.step(states[-1], {}))
        truth = Trajectories(np.stack(states, axis=1), ring.dt)
        fourier = models["Fourier"]
        run = rollout(ring, lambda states, _, fourier=fourier: fourier(states), truth, LENGTH)
        size = float((truth.states[:, 1:] ** 2).mean())
        for steps in (10, LENGTH):
            runs.setdefault(f"error, {steps} steps", []).append(run.error[steps - 1].value / size)
            runs.setdefault(f"persistence, {steps} steps", []).append(run.persistence[steps - 1].value / size)
        runs.setdefault(f"energy drift, {LENGTH} steps", []).append(run.drift["energy"][-1].value)

    def ratios(above: str, below: str, there: int, here: int) -> list[float]:
        return [a[there] / b[here] for a, b in zip(errors[above], errors[below], strict=True)]

    figures = {}
    for nodes in GRIDS:
        figures[f"error at {nodes}"] = over_seeds(
            [each[nodes] for each in errors["Fourier"]], f"squared error over that of zero on {nodes} nodes"
        )
        figures[f"gain at {nodes}"] = over_seeds(
            ratios("persistence", "Fourier", nodes, nodes), f"error of persistence over the operator's on {nodes} nodes"
        )
    figures[f"growth at {finest}"] = over_seeds(
        ratios("Fourier", "Fourier", finest, GRIDS[0]), f"error on {finest} nodes over that on {GRIDS[0]}"
    )
    figures[f"gain at {finest}, messages"] = over_seeds(
        ratios("persistence", "messages", finest, finest),
        f"error of persistence over that of passed messages, whose hops are nodes, on {finest} nodes",
    )
    baselines = {
        "zero": Figure(1.0, what="squared error of predicting zero over itself"),
        "oracle": Figure(0.0, what="squared error of the solution over that of zero, from which the fields are made"),
    }
    for name in ("persistence", "linear"):
        for nodes in (GRIDS[0], finest):
            baselines[f"{name} at {nodes}"] = over_seeds(
                [each[nodes] for each in errors[name]], f"squared error of {phrase(name)} over that of zero, {nodes}"
            )
    for name, values in runs.items():
        into = baselines if name.startswith("persistence") else figures
        into[name] = over_seeds(values, phrase(name) + (" (over that of zero)" if "drift" not in name else ""))
    note = (
        f"{SOURCE_NOTE} A Fourier neural operator, trained on {GRIDS[0]} nodes and judged on finer grids of the same "
        "ring for the same lapse of time; a network of messages whose hops are counted in nodes beside it. The linear "
        "baseline is a matrix a mode by least squares: the solution. The rule asks for one step; what becomes of it on "
        "its own predictions is in the figures of 10 and 40 steps. Geometric means over seeds."
    )
    return Measurement("T01", figures, {}, baselines, told(context), context.scale, note)


def _hamiltonian(context: Context) -> Measurement:
    from grokkit.studies.ledger.protocols._world_models import field_of, modes_of, over_seeds, train_spectral_model
    from grokkit.tasks import HamiltonianField, Trajectories, judge, rollout
    from grokkit.transfer.operators import OperatorConfig, TrainingSettings, train_operator

    world, free, fine = HamiltonianField(32), HamiltonianField(32, potential=0.0), HamiltonianField(128)
    kept: dict[str, list[float]] = {}
    base: dict[str, list[float]] = {}

    def keep(into: dict[str, list[float]], name: str, value: float) -> None:
        into.setdefault(name, []).append(value)

    for seed in seeds_of(context):
        context.progress(f"{world.name}, seed {seed}")
        train, test = world.generate(RUNS, LENGTH, 3 * seed), world.generate(TESTS, LENGTH, 3 * seed + 1)
        model = train_spectral_model(train, MODES, seed, STEPS[context.scale])
        found = judge(world, model, train, test)
        errors = {row.name: row.error.value for row in found.baselines}
        keep(kept, "error", found.error.value / errors["zero"])
        keep(kept, "gain", least_gain(found))
        for name, value in errors.items():
            keep(base, name, value / errors["zero"])
        states = [field_of(modes_of(test.states[:, 0], (world.nodes - 1) // 2), fine.nodes)]
        states.append(fine.step(states[0], {}))
        guess = model(states[0], {})
        keep(kept, "error at 128", float(((guess - states[1]) ** 2).mean() / (states[1] ** 2).mean()))
        run = rollout(world, model, Trajectories(test.states, test.dt), LENGTH)
        for steps in (10, LENGTH):
            keep(kept, f"error, {steps} steps", run.error[steps - 1].value / errors["zero"])
            keep(base, f"persistence, {steps} steps", run.persistence[steps - 1].value / errors["zero"])
        for name, drift in run.drift.items():
            keep(kept, f"{name} drift, {LENGTH} steps", drift[-1].value)
        seen, unseen = free.generate(RUNS, 4, 3 * seed), free.generate(TESTS, 4, 3 * seed + 1)
        pairs = seen.pairs()
        settings = TrainingSettings(steps=OPERATOR_STEPS[context.scale])
        operator = train_operator(OperatorConfig(inputs=2, outputs=2, modes=7), pairs.now, pairs.next, seed, settings)
        there = judge(free, lambda states, _, operator=operator: operator(states), seen, unseen)
        size = {row.name: row.error.value for row in there.baselines}["zero"]
        keep(kept, "error, Fourier, free", there.error.value / size)
        keep(kept, "gain, Fourier, free", least_gain(there))
    text = {
        "error": "squared error of one step over that of predicting zero",
        "gain": "error of persistence over the operator's, one step",
        "error at 128": "the same error on 128 nodes, trained on 32",
        "error, Fourier, free": "squared error over that of zero of a Fourier neural operator, without a potential",
        "gain, Fourier, free": "error of persistence over that of a Fourier neural operator, without a potential",
    }
    relative = " (over that of zero)"
    figures = {}
    for name, values in kept.items():
        figures[name] = over_seeds(values, text.get(name, phrase(name) + ("" if "drift" in name else relative)))
    baselines = {
        name: over_seeds(values, f"squared error of {phrase(name)} over that of zero") for name, values in base.items()
    }
    note = (
        f"{SOURCE_NOTE} A matrix on the modes up to {MODES}, learned by gradients, in a potential cos x on 32 nodes. "
        "The best error that the source gives, 1/256, is what predicting zero has; the linear baseline is the "
        "solution. Near zero means at most 1e-3 of the error of predicting zero. Geometric means over seeds."
    )
    return Measurement("T06", figures, {}, baselines, told(context), context.scale, note)


PROTOCOLS = (
    Protocol("fields", "Waves and wave functions learned by spectral operators", ("T01", "T06"), fields, NEEDS),
)
