"""Solutions that training ends in: too few slots, other batch sizes, and what convergence means."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from grokkit.crystallize import crystallize
from grokkit.scheme import Equivalence, MatrixProduct, Scheme, canonical, equivalent, invariants
from grokkit.scheme.catalog import catalog
from grokkit.search import lower_bound
from grokkit.studies._statistics import Median, Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols._networks import networks
from grokkit.training import TrainConfig, train

SEED: Final = 20260307
SIX_SLOT_RUNS: Final = {"quick": 128, "full": 512}
BATCH_RUNS: Final = {"quick": 48, "full": 256}
CONVERGENCE_RUNS: Final = {"quick": 64, "full": 256}
"""Networks of each kind, by protocol."""
EPOCHS: Final = 1000
"""Of the published protocol."""
BATCH_SIZES: Final = (8, 32, 128, 512)


def six_slots(context: Context) -> dict[str, Measurement]:
    """Claim S04: networks of 6 slots trained, then polished by the solver; beside them the same with 7."""
    seed, runs = SEED + context.seed, SIX_SLOT_RUNS[context.scale]
    figures = {}
    for slots in (6, 7):
        context.progress(f"{runs} networks of {slots} slots")
        config = TrainConfig(
            slots=slots, prune_to=0, runs=runs, seed=seed, steps=5000, retrain_steps=0, schedule="cosine"
        )
        population = train(config)
        losses = population.trajectory.test_loss[:, -1]
        share = Proportion(int((losses < 1e-6).sum()), runs)
        figures[f"converged, {slots}"] = Figure.of(
            share, f"share of networks of {slots} slots with test loss below 1e-6"
        )
        figures[f"loss, {slots}"] = Figure.of(Median.of(losses.tolist()), f"test loss of {slots} slots")
        figures[f"smallest loss, {slots}"] = Figure(float(losses.min()), n=runs, what=f"smallest loss of {slots} slots")
        context.progress(f"polishing {slots} slots")
        polished = crystallize(population, seed=seed)
        figures[f"exact, {slots}"] = Figure.of(
            Proportion(polished.exact, runs), f"share of networks of {slots} slots that crystallize"
        )
    bound, source = lower_bound(MatrixProduct(2, 2, 2), "Q")
    facts: dict[str, bool | str] = {"6 products cannot be exact": bound > 6, "proven by": source}
    note = (
        "The rank of <2,2,2> is 7 (Winograd 1971), and so is its border rank (Landsberg 2006): with 6 slots the loss "
        "stays away from 0 however long one trains."
    )
    seeds = f"root seed {seed}, {runs} networks of each kind"
    return {"S04": Measurement("S04", figures, facts, {}, seeds, context.scale, note)}


def solutions(context: Context) -> dict[str, Measurement]:
    """Claim A09: the exact solutions of converged networks at different batch sizes, and their weights."""
    from grokkit.studies.statistics import NotEstimable, anova

    seed, runs = SEED + 1 + context.seed, BATCH_RUNS[context.scale]
    figures: dict[str, Figure] = {}
    rows: dict[str, list[Any]] = {"batch_size": [], "norm": [], "lattice_distance": []}
    classes: dict[int, set[str]] = {}
    orbit = total = 0
    dimensions: set[int] = set()
    for batch in BATCH_SIZES:
        context.progress(f"{runs} networks at B = {batch}")
        found = networks("default", runs, seed + batch, batch_size=batch)
        population = found.population
        kept = [run.run for run in found.crystallized if run.scheme is not None and run.path.converged_before_polish]
        schemes = [found.crystallized[run].scheme for run in kept]
        same = [each for each in schemes if isinstance(each, Scheme)]
        orbit += sum(isinstance(equivalent(each, catalog["strassen"]), Equivalence) for each in same)
        total += len(same)
        classes[batch] = {_class(each) for each in same}
        dimensions |= {invariants(each).tangent_dimension for each in same[:8]}
        distance = population.trajectory.lattice_distance[:, -1]
        for run in kept:
            squares = sum(float((side[run].astype(np.float64) ** 2).sum()) for side in _sides(population))
            rows["batch_size"].append(batch)
            rows["norm"].append(squares**0.5)
            rows["lattice_distance"].append(float(distance[run]))
        share = Proportion(len(kept), runs)
        figures[f"converged at {batch}"] = Figure.of(share, f"share of networks that learn the product at B = {batch}")
        norms = [norm for at, norm in zip(rows["batch_size"], rows["norm"], strict=True) if at == batch]
        figures[f"norm at {batch}"] = Figure.of(Median.of(norms), f"norm of the weights at B = {batch}")
    figures["one orbit"] = Figure.of(Proportion(orbit, total), "share of solutions that are Strassen's in other bases")
    figures["classes"] = Figure(float(len(set().union(*classes.values()))), n=total, what="classes up to bases")
    for response, what in (("norm", "norm of the weights"), ("lattice_distance", "lattice distance")):
        table = anova(rows, response, "batch_size")
        if isinstance(table.terms, NotEstimable):
            figures[f"p, {response}"] = figures[f"effect, {response}"] = Figure.of(table.terms, what)
            continue
        term = table["batch_size"]
        figures[f"p, {response}"] = Figure.of(term.p, f"p of batch size for the {what}")
        figures[f"effect, {response}"] = Figure.of(term.eta_squared, f"eta squared of batch size for the {what}")
    facts: dict[str, bool | str] = {
        "one class at every batch size": len(set().union(*classes.values())) == 1 and orbit == total,
        "one dimension at every batch size": len(dimensions) == 1,
    }
    note = (
        "Every exact solution of 7 products is Strassen's in other bases (de Groote 1978), whatever found it, so all "
        "that no gauge changes is equal; norm and lattice distance of the weights depend on the gauge and are "
        "compared apart."
    )
    seeds = f"root seed {seed} + B, {runs} networks at each of B = {', '.join(map(str, BATCH_SIZES))}"
    return {"A09": Measurement("A09", figures, facts, {}, seeds, context.scale, note)}


def _sides(population: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return population.U, population.V, population.W


def _class(scheme: Scheme) -> str:
    form = canonical(scheme, "bases")
    return form.digest if isinstance(form, Scheme) else f"undecided: {form.reason}"


def convergence(context: Context) -> dict[str, Measurement]:
    """Claim S17: AdamW and SGD under the stated conditions, and what the runs end in."""
    seed, runs = SEED + 2 + context.seed, CONVERGENCE_RUNS[context.scale]
    figures = {}
    kinds: dict[str, dict[str, Any]] = {
        "AdamW": {"batch_size": 32},
        "SGD": {"batch_size": 32, "optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 1e-4},
    }
    for name, changes in kinds.items():
        context.progress(f"{runs} networks: {name}")
        found = networks("source", runs, seed, epochs=EPOCHS, **changes)
        plain = crystallize(found.population, method="plain").exact
        before = found.population.converged_before_pruning
        figures[f"learned, {name}"] = Figure.of(
            Proportion(before, runs), f"share of runs with test loss below 1e-6 before pruning, {name}"
        )
        figures[f"exact, {name}"] = Figure.of(
            Proportion(plain, runs), f"share of runs that end in an exact algorithm after pruning and rounding, {name}"
        )
        figures[f"crystallizes, {name}"] = Figure.of(
            Proportion(found.crystallized.exact, runs), f"share of runs that the solver makes exact, {name}"
        )
    figures["learned and not exact, AdamW"] = _minima(runs, seed)
    note = (
        "A run that learns the product and does not end in an exact algorithm is a counterexample. The published "
        "protocol, B = 32; the theorem's own conditions are not written out. Another document calls it an empirical "
        "proposition."
    )
    seeds = f"root seed {seed}, {runs} runs of each optimizer"
    return {"S17": Measurement("S17", figures, {}, {}, seeds, context.scale, note)}


def _minima(runs: int, seed: int) -> Figure:
    """Share of networks that compute the product with 7 slots, unpruned, but do not round to an algorithm."""
    config = TrainConfig.preset("source", runs=runs, seed=seed, slots=7, prune_to=0, epochs=2 * EPOCHS)
    population = train(config)
    losses = population.trajectory.test_loss[:, -1]
    plain = crystallize(population, method="plain")
    learned = [run for run in range(runs) if losses[run] < 1e-6]
    missed = sum(not plain[run].exact for run in learned)
    return Figure.of(
        Proportion(missed, len(learned)),
        "share of networks of 7 slots with loss below 1e-6 that do not round to an algorithm",
    )


PROTOCOLS = (
    Protocol("six-slots", "Networks of six slots", ("S04",), six_slots),
    Protocol(
        "solutions",
        "Solutions at different batch sizes",
        ("A09",),
        solutions,
        ("scipy", "pandas", "statsmodels", "sklearn"),
    ),
    Protocol("convergence", "What training converges to", ("S17",), convergence),
)
