"""What networks are that generalize and do not round, and what rounding goes along with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from grokkit.crystallize import crystallize
from grokkit.scheme import Equivalence, Scheme, equivalent
from grokkit.scheme.catalog import catalog
from grokkit.studies._statistics import Median, Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.training import CONVERGED, Population, TrainConfig, train

SEED: Final = 20260502
RUNS: Final = {"quick": 96, "full": 512}
"""Networks of each kind."""
CELL_RUNS: Final = {"quick": 24, "full": 96}
"""Networks of each training condition."""
L1: Final = (0.0, 0.003, 0.01, 0.03, 0.1)
DECAYS: Final = (0.001, 0.01, 0.03)
BATCHES: Final = (32, 128)
EPOCHS: Final = 1000
"""Of the published protocol."""
LONGER: Final = 2000
"""Epochs of networks that are not pruned."""
NEAR: Final = 0.01
"""Largest share of the weights' norm by which polishing may move a network that is an algorithm."""
STEPS: Final = 5000
EARLY: Final = 0.2
"""Share of the training after which features are taken."""


def minima(context: Context) -> dict[str, Measurement]:
    """Claim S13: among runs that fail to round, those that generalize, and what they are up to a change of basis."""
    seed, runs = SEED + context.seed, RUNS[context.scale]
    figures: dict[str, Figure] = {}
    context.progress(f"{runs} networks as published")
    published = train(TrainConfig.preset("source", runs=runs, seed=seed, epochs=EPOCHS))
    failing = ~_rounds(published)
    before = published.trajectory.test_loss[:, ~published.trajectory.pruned][:, -1]
    after = published.test_loss
    figures["failing, as published"] = _share(failing, "share of runs that fail structural verification, as published")
    figures["low loss, as published"] = _share(
        after[failing] < CONVERGED, "share of failing runs with test loss below 1e-6 at their end, as published"
    )
    figures["low loss before pruning"] = _share(
        before[failing] < CONVERGED, "share of failing runs with test loss below 1e-6 before 8 slots become 7"
    )
    figures["loss, as published"] = Figure.of(Median.of(after[failing].tolist()), "test loss of failing runs")
    for slots in (7, 8):
        context.progress(f"{runs} networks of {slots} slots, unpruned")
        figures |= _unpruned(slots, runs, seed)
    note = (
        "As published a run ends when 8 slots have become 7; its loss before that is given, too. Networks trained with "
        "7 slots that generalize and do not round are crystallized, and counted as Strassen's algorithm in another "
        f"basis if the solver proves it and moves them by at most {NEAR:.0%} of their norm. With 8 slots a minimum can "
        "be an algorithm of 8 products. Baseline: how far the solver moves weights that were never trained."
    )
    base = _untrained(runs, seed)
    told = f"root seed {seed}, {runs} networks of each kind"
    return {"S13": Measurement("S13", figures, {}, {"moved, untrained": base}, told, context.scale, note)}


def _unpruned(slots: int, runs: int, seed: int) -> dict[str, Figure]:
    config = TrainConfig.preset("source", runs=runs, seed=seed + slots, slots=slots, prune_to=0, epochs=LONGER)
    population = train(config)
    low = (population.test_loss < CONVERGED) & ~_rounds(population)
    kept = np.flatnonzero(low)
    found = crystallize(tuple(side[kept] for side in population.factors), seed=seed) if len(kept) else ()
    figures = {
        f"low loss, {slots} slots": _share(
            low, f"share of networks of {slots} slots with test loss below 1e-6 that do not round"
        )
    }
    exact = [run.scheme for run in found if run.scheme is not None and (run.path.polish_moved or 0.0) <= NEAR]
    moved = [run.path.polish_moved or 0.0 for run in found]
    same = sum(_strassen(each) for each in exact)
    figures[f"exact, {slots} slots"] = Figure.of(
        Proportion(len(exact), len(kept)), f"share of these that are an exact algorithm up to a basis, {slots} slots"
    )
    if slots == 7:
        figures["the algorithm, 7 slots"] = Figure.of(
            Proportion(same, len(kept)), "share of these that are Strassen's algorithm in another basis"
        )
    figures[f"moved, {slots} slots"] = Figure.of(
        Median.of(moved), f"how far polishing moves these, over their norm, {slots} slots"
    )
    return figures


def _strassen(scheme: Scheme) -> bool:
    return scheme.rank == 7 and isinstance(equivalent(scheme, catalog["strassen"]), Equivalence)


def _untrained(runs: int, seed: int) -> Figure:
    rng = np.random.default_rng(seed)
    shapes = ((runs, 7, 4), (runs, 7, 4), (runs, 4, 7))
    found = crystallize(tuple(0.5 * rng.standard_normal(shape) for shape in shapes), seed=seed)
    moved = [run.path.polish_moved for run in found]
    return Figure.of(Median.of([each for each in moved if each is not None]), "the same of untrained weights")


def _rounds(population: Population) -> np.ndarray:
    return np.array([run.exact for run in crystallize(population, method="plain")])


def _share(found: Sequence[Any] | np.ndarray, what: str) -> Figure:
    return Figure.of(Proportion(sum(bool(each) for each in found), len(found)), what)


def lattice(context: Context) -> dict[str, Measurement]:
    """Claim S14: training conditions that differ in how near to the lattice they keep the weights."""
    from grokkit.studies.statistics import NotEstimable, predict_success

    seed, runs = SEED + 1000 + context.seed, CELL_RUNS[context.scale]
    rows = _conditions(runs, seed, context)
    groups = rows.pop("condition")
    success = rows.pop("exact")
    features = {name: rows[name] for name in ("loss", "distance", "norm")}
    subsets = {"distance only": ["distance"], "norm only": ["norm"]}
    found = predict_success(features, success, groups, loss="loss", subsets=subsets, seed=seed)
    figures = {"exact": _share(success, "share of runs that round to an exact algorithm")}
    baselines: dict[str, Figure] = {}
    names = {"auc, distance": "distance only", "auc, norm": "norm only", "auc, all": "all features"}
    for name, row in names.items():
        figures[name] = (
            Figure(None, what=name, reason=found.rows.reason)
            if isinstance(found.rows, NotEstimable)
            else Figure.of(found[row].auc, f"AUC, out of fold, of exactness from {row.removesuffix(' only')} early on")
        )
    if not isinstance(found.rows, NotEstimable):
        for row in ("base rate", "loss only"):
            baselines[row] = Figure.of(found[row].auc, f"AUC of exactness, {row}")
        gain = found["distance only"].auc_gain
        figures["auc gained over loss"] = Figure.of(gain, "AUC of distance less that of the loss alone")
    table = {"condition": groups, "exact": success, "distance": rows["distance"]}
    plain = [not each for each in rows["l1"]]
    unforced = {name: [x for x, kept in zip(column, plain, strict=True) if kept] for name, column in table.items()}
    name = "distance, exact less others"
    what = "mean distance to the lattice early on, runs that round exactly less others"
    figures[name] = _difference(table, "condition", seed, what)
    figures[f"{name}, without L1"] = _difference(unforced, None, seed, f"{what}, without L1")
    shares = [np.mean([e for e, g in zip(success, groups, strict=True) if g == each]) for each in dict.fromkeys(groups)]
    figures["smallest share of a condition"] = Figure(float(min(shares)), what="smallest share of exact runs")
    figures["largest share of a condition"] = Figure(float(max(shares)), what="largest share of exact runs")
    note = (
        f"Networks of 7 slots under {len(shares)} conditions (an L1 step, weight decay, batch size); features after "
        f"{EARLY:.0%} of the training: mean distance of weights to {{-1, 0, 1}}, norm of the weights, training loss. "
        "Models are tested on conditions that they have not seen; n counts conditions. The L1 step draws weights to 0, "
        "a lattice point; the difference is also given without it, over runs. As published no run or next to none "
        "rounds, so there success has nothing to correlate with."
    )
    told = f"root seed {seed}, {runs} runs of each condition"
    return {"S14": Measurement("S14", figures, {}, baselines, told, context.scale, note)}


def _difference(table: dict[str, list[Any]], clusters: str | None, seed: int, what: str) -> Figure:
    """Mean distance of exact runs less that of others, with a bootstrap interval over conditions or runs."""
    from grokkit.studies.statistics import bootstrap

    if len(set(table["exact"])) < 2:
        return Figure(None, what=what, reason="all runs have one outcome")
    return Figure.of(bootstrap(table, _gap, clusters=clusters, method="percentile", seed=seed).estimate, what)


def _gap(frame: Any) -> float:
    exact = np.asarray(frame["exact"], dtype=bool)
    distance = np.asarray(frame["distance"], dtype=float)
    return float(distance[exact].mean() - distance[~exact].mean()) if 0 < exact.sum() < len(exact) else math.nan


def _conditions(runs: int, seed: int, context: Context) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {name: [] for name in ("condition", "l1", "exact", "loss", "distance", "norm")}
    cells = [(l1, decay, batch) for l1 in L1 for decay in DECAYS for batch in BATCHES]
    context.progress(f"{len(cells)} conditions, {runs} runs each")
    for at, (l1, decay, batch) in enumerate(cells):
        config = TrainConfig(
            slots=7,
            prune_to=0,
            runs=runs,
            shard_size=runs,
            seed=seed + at,
            steps=STEPS,
            retrain_steps=0,
            schedule="cosine",
            weight_decay=decay,
            batch_size=batch,
            l1=l1,
            l1_phase="all",
            balance_every=10 if l1 else 0,
        )
        population = train(config)
        seen = population.trajectory
        early = int(np.searchsorted(seen.steps, EARLY * STEPS))
        rows["condition"] += [f"L1 {l1}, decay {decay}, B {batch}"] * runs
        rows["l1"] += [l1] * runs
        rows["exact"] += _rounds(population).tolist()
        rows["loss"] += np.log10(seen.train_loss[:, early]).tolist()
        rows["distance"] += seen.lattice_distance_mean[:, early].tolist()
        rows["norm"] += np.sqrt((seen.slot_norms[:, early] ** 2).sum(axis=1)).tolist()
    return rows


PROTOCOLS = (
    Protocol("minima", "Networks that generalize and do not round", ("S13",), minima),
    Protocol(
        "lattice",
        "Exactness and the distance to the lattice",
        ("S14",),
        lattice,
        ("scipy", "pandas", "statsmodels", "sklearn"),
    ),
)
