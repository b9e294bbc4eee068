"""One shard: train its runs together, crystallize them, and say what became of each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from grokkit.crystallize import Crystallization, crystallize
from grokkit.execution import recursive_product
from grokkit.scheme import InvalidInput, MatrixProduct, Scheme
from grokkit.studies.runs._cells import Shard
from grokkit.studies.runs._names import MEASURES, METHODS, METRICS
from grokkit.studies.runs._study import Study
from grokkit.training import CONVERGED, TrainConfig
from grokkit.training._engine import resolve_engine, slots_to_keep
from grokkit.training._shard import ShardRun

DISCRETIZABLE: Final = 0.1
"""Largest lattice distance of weights that the source calls discretizable."""
EXPANDS: Final = 1e-5
"""Relative error below which an expansion counts as a success, at every size up to `LARGEST_SIDE`."""
LARGEST_SIDE: Final = 64
FAILED: Final = np.inf

Columns = dict[str, list[Any]]


@final
@dataclass(frozen=True)
class Measured:
    """The rows of a shard as columns, and what they took."""

    columns: Columns
    wall_seconds: float
    cpu_seconds: float


def training_engine(config: TrainConfig) -> str:
    """The engine that trains a configuration on this machine: native or torch.

    Raises `InvalidInput` or `MissingExtra` if the one that it names cannot serve here.
    """
    return resolve_engine(config).engine


def measure(study: Study, shard: Shard, engine: str) -> Measured:
    """Train and crystallize the runs of a shard; the same columns wherever and whenever it is done.

    `engine` is the training engine, native or torch. Raises `InvalidInput` if it cannot serve on this machine.
    """
    started, cpu = time.perf_counter(), time.thread_time()
    config = shard.cell.config.replace(engine=engine)
    trained = ShardRun(config, shard.block)
    start = trained.engine.weights()[: shard.runs]
    trained.train(lambda: False, lambda done: None)
    if not trained.finished:
        raise AssertionError("training stopped although nothing stopped it")
    weights = trained.engine.weights()[: shard.runs]
    log = {
        name: array[: shard.runs] if array.ndim > 1 else array for name, array in trained.trajectory.arrays().items()
    }
    columns = _identity(study, shard) | _measures(log)
    columns |= _outcomes(study, shard, weights, start, columns)
    columns |= _trajectories(study, log)
    if study.keep_weights:
        columns |= {
            name: list(part.reshape(shard.runs, -1))
            for name, part in zip("UVW", _factors(config, weights), strict=True)
        }
    return Measured(columns, time.perf_counter() - started, time.thread_time() - cpu)


def _identity(study: Study, shard: Shard) -> Columns:
    """Which run each row is: enough to train it again alone."""
    numbers = range(shard.first, shard.first + shard.runs)
    return {
        "cell": [shard.cell.number] * shard.runs,
        "cell_name": [shard.cell.name] * shard.runs,
        "seed": [number // study.runs for number in numbers],
        "run": [number % study.runs for number in numbers],
        "population_seed": [shard.cell.config.seed] * shard.runs,
        "population_run": list(numbers),
        **{name: [value] * shard.runs for name, value in shard.cell.factors.items()},
    }


def _measures(log: dict[str, np.ndarray]) -> Columns:
    """The last entry of each trajectory, and the test loss just before pruning."""
    before = log["test_loss"][:, ~log["pruned"]][:, -1]
    last = {name: log[name][:, -1].tolist() for name in MEASURES if name in log}
    return last | {
        "test_loss_before_pruning": before.tolist(),
        "diverged": (~np.isfinite(log["test_loss"][:, -1])).tolist(),
    }


def _outcomes(study: Study, shard: Shard, weights: np.ndarray, start: np.ndarray, measured: Columns) -> Columns:
    """A column of true and false for each outcome, and beside each method how its runs failed or what they became."""
    config, asked = shard.cell.config, study.outcomes
    columns: Columns = {}
    if "converged" in asked:
        columns["converged"] = [loss < CONVERGED for loss in measured["test_loss"]]
    if "converged_before_pruning" in asked:
        columns["converged_before_pruning"] = [loss < CONVERGED for loss in measured["test_loss_before_pruning"]]
    if "discretizable" in asked:
        columns["discretizable"] = [distance <= DISCRETIZABLE for distance in measured["lattice_distance"]]
    for method in METHODS:
        exact, expands = f"exact_{method}", f"expands_{method}"
        if exact not in asked and expands not in asked:
            continue
        result = _crystallized(shard, weights, method)
        if exact in asked:
            columns[exact] = [run.exact for run in result]
            columns[f"failed_{method}"] = ["" if run.exact else run.reason.split(":")[0] for run in result]
            columns[f"rank_{method}"] = [run.scheme.rank if run.scheme and run.exact else None for run in result]
            columns[f"scheme_{method}"] = [run.scheme.digest if run.scheme and run.exact else None for run in result]
            if method in ("full", "rational"):
                columns[f"moved_{method}"] = [run.path.polish_moved for run in result]
        if expands in asked:
            errors = [expansion_error(run.scheme, shard) if run.scheme and run.exact else FAILED for run in result]
            columns[expands] = [error < EXPANDS for error in errors]
            columns[f"expansion_error_{method}"] = [error if error < FAILED else None for error in errors]
    if "control_full" in asked:
        if config.prune_to:
            start = np.take_along_axis(start, slots_to_keep(config, start)[:, :, None], axis=1)
        columns["control_full"] = [run.exact for run in _crystallized(shard, start, "full")]
    return columns


def _factors(config: TrainConfig, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, V (runs × slots × width) and W (runs × width × slots) of weights that hold them side by side."""
    a, b, _ = config.target.shape
    return weights[..., :a], weights[..., a : a + b], weights[..., a + b :].swapaxes(1, 2)


def _crystallized(shard: Shard, weights: np.ndarray, method: str) -> Crystallization:
    config = shard.cell.config
    if len(weights) == 1 and not np.isfinite(weights).all():  # a single network is refused rather than reported
        weights = np.concatenate([weights, np.zeros_like(weights)])
    result = crystallize(_factors(config, weights), config.target, method=method, seed=shard.crystallization_seed)
    return Crystallization(result.runs[: shard.runs], result.target, result.method, result.seed)


def expansion_error(scheme: Scheme, shard: Shard) -> float:
    """Largest relative error of the recursive float32 product over all sizes n^k to 64.

    Frobenius norm of the error over that of the product, which is computed in float64. One pair of Gaussian
    matrices a size, the same for all runs of a shard.
    """
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name}: expansion is of matrix products")
    side = scheme.target.format[0]
    worst, size, levels = 0.0, side, 1
    while size <= LARGEST_SIDE:
        rng = np.random.default_rng(np.random.SeedSequence(shard.crystallization_seed, spawn_key=(size,)))
        a, b = (rng.standard_normal((size, size)).astype(np.float32) for _ in range(2))
        exact = a.astype(np.float64) @ b.astype(np.float64)
        error = recursive_product(scheme, a, b, levels).astype(np.float64) - exact
        worst = max(worst, float(np.linalg.norm(error) / np.linalg.norm(exact)))
        size, levels = size * side, levels + 1
    return worst


def _trajectories(study: Study, log: dict[str, np.ndarray]) -> Columns:
    """List columns: the steps of the points, and each metric that is kept. Slot norms are lists of lists."""
    runs = len(log["test_loss"])
    columns: Columns = {
        "trajectory_step": [log["steps"].tolist()] * runs,
        "trajectory_pruned": [log["pruned"].tolist()] * runs,
    }
    for name in METRICS:
        if name in study.metrics:
            columns[f"trajectory_{name}"] = log[name].tolist()
    return columns
