"""The expansion operator from trained weights, beside untrained ones, and from the published weight files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from grokkit.scheme import InvalidInput, find_factors, read_weights
from grokkit.studies._expansion_operator import NoExpansion, discover_expansion_operator
from grokkit.studies._statistics import Median, Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import DATA_VARIABLE, Context, Protocol
from grokkit.studies.ledger.protocols._networks import networks
from grokkit.training import TrainConfig, untrained

SEED: Final = 20260303
RUNS: Final = {"quick": 24, "full": 128}
"""Networks of each kind."""
PAIRS: Final = 100


def discovery(context: Context) -> dict[str, Measurement]:
    """Claim E09: discover T from the weights of every network of a population; controls are untrained networks."""
    seed, runs = SEED + context.seed, RUNS[context.scale]
    kinds: dict[str, Iterable[dict[str, np.ndarray]]] = {}
    for name, preset in (("trained", "default"), ("the published protocol", "source")):
        context.progress(f"{runs} networks: {name}")
        found = networks(preset, runs, seed)
        kinds[name] = [found.weights(run) for run in range(runs)]
    u, v, w = untrained(TrainConfig.preset("default", runs=runs, seed=seed))
    kinds["untrained"] = [{"U": u[run], "V": v[run], "W": w[run]} for run in range(runs)]
    figures = {}
    for name, weights in kinds.items():
        context.progress(f"discovering: {name}")
        metrics = [_metrics(each, seed) for each in weights]
        right = sum(each.get("rank") == 7 and each.get("ternary") is True for each in metrics)
        figures[f"rank 7 and ternary, {name}"] = Figure.of(
            Proportion(right, runs), f"share of networks with rank 7 and values -1, 0, 1, {name}"
        )
        for key, what in (
            ("confidence", "confidence"),
            ("products_explain", "share that the network's products explain"),
        ):
            figures[f"{key}, {name}"] = Figure.of(Median.of([each[key] for each in metrics]), f"{what}, {name}")
    baselines = {name: figure for name, figure in figures.items() if name.endswith("untrained")}
    note = (
        "The solver finds a scheme of rank 7 even from untrained weights, so rank and values alone do not show that "
        "training found the algorithm; the confidence (variance that the weights themselves explain) does."
    )
    seeds = f"root seed {seed}, {runs} networks of each kind"
    return {"E09": Measurement("E09", figures, {}, baselines, seeds, context.scale, note)}


def _metrics(weights: dict[str, np.ndarray], seed: int) -> dict[str, Any]:
    try:
        return discover_expansion_operator(weights, seed=seed)[1]
    except NoExpansion as error:
        return error.metrics


def checkpoints(context: Context) -> dict[str, Measurement]:
    """Claim E07: every weight file, as it is: rounded, multiplied with, and crystallized."""
    folder = context.data_folder("checkpoints")
    files = [] if folder is None else sorted(folder.glob("*.pt"))
    if not files:
        reason = (
            f"the published weight files are not part of the package; put them into a folder checkpoints/ and name the "
            f"folder above it with --data or {DATA_VARIABLE}"
        )
        return {"E07": Measurement.unmeasured("E07", reason, context.scale)}
    exact = crystallized = 0
    distances, errors, explained = [], [], []
    facts: dict[str, bool | str] = {}
    for path in files:
        context.progress(path.name)
        try:
            _, metrics = discover_expansion_operator(path)
        except NoExpansion as error:
            metrics = error.metrics
        except InvalidInput as error:
            facts[path.name] = f"refused: {str(error).removeprefix(f'{path}: ')[:120]}"
            continue
        exact += metrics["shipped_exact"]
        distances.append(metrics["lattice_distance_before"])
        errors.append(_largest_error(path, SEED + context.seed))
        explained.append(metrics["confidence"])
        if metrics["shipped_exact"]:
            facts[path.name] = "exact as shipped"
        elif metrics["confidence"] < 0.01:
            facts[path.name] = "computes nothing as shipped"
        else:
            facts[path.name] = "does not round to an exact algorithm" + ("; crystallizes" if "rank" in metrics else "")
        crystallized += "rank" in metrics and metrics["confidence"] >= 0.01
    figures = {
        "exact": Figure.of(Proportion(exact, len(files)), "share of files that round to an exact algorithm (S = 1)"),
        "crystallized": Figure.of(Proportion(crystallized, len(files)), "share of files that crystallize"),
        "lattice distance": Figure.of(Median.of(distances), "lattice distance of the files"),
        "largest lattice distance": Figure.of(
            max(distances, default=math.nan), "largest lattice distance of the files"
        ),
        "largest error": Figure.of(max(errors, default=math.nan), "largest error of the files' own weights"),
        "smallest error": Figure.of(min(errors, default=math.nan), "smallest error of the files' own weights"),
        "confidence": Figure.of(Median.of(explained), "share of the product's variance that the weights explain"),
    }
    facts["every file is exact"] = exact == len(files)
    note = (
        f"{len(files)} files; errors are the largest over {PAIRS} pairs of 2x2 Gaussian matrices, in float32, with the "
        "weights as they are."
    )
    seeds = f"root seed {SEED + context.seed}"
    return {"E07": Measurement("E07", figures, facts, {}, seeds, context.scale, note)}


def _largest_error(path: Path, seed: int) -> float:
    found = find_factors(read_weights(path), str(path))
    n, m, p = found.target.format
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((PAIRS, n, m)).astype(np.float32), rng.standard_normal((PAIRS, m, p)).astype(np.float32)
    u, v, w = (factor.astype(np.float32) for factor in (found.U, found.V, found.W))
    products = (a.reshape(PAIRS, -1) @ u.T) * (b.reshape(PAIRS, -1) @ v.T)
    exact = (a.astype(np.float64) @ b.astype(np.float64)).reshape(PAIRS, -1)
    return float(np.abs(products @ w.T - exact).max())


PROTOCOLS = (
    Protocol("discovery", "The expansion operator, discovered from trained weights", ("E09",), discovery),
    Protocol("checkpoints", "The published weight files, as they are", ("E07",), checkpoints),
)
