"""What tells which networks become discrete (A05, A06, A10, X06)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from grokkit.crystallize import crystallize
from grokkit.scheme import MatrixProduct
from grokkit.studies._statistics import Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols.batch import NEEDS, spectrum
from grokkit.studies.ledger.protocols.minima import BATCHES, DECAYS, L1, STEPS
from grokkit.training import CONVERGED, TrainConfig, train
from grokkit.training._engine import make_engine
from grokkit.training._shard import shard_runs

SEED: Final = 20260801
RUNS: Final = {"quick": 8, "full": 24}
"""Runs of a condition."""
EARLY: Final = 0.1
"""Share of training after which features are taken."""
POLISHED: Final = {"quick": 64, "full": 512}


def prediction(context: Context) -> dict[str, Measurement]:
    """Claims A05, A06 and A10: condition number, curvature and noise early on, against exactness at the end."""
    from grokkit.studies.statistics import NotEstimable, predict_success

    count, seed = RUNS[context.scale], SEED + 100_000 * context.seed
    rows: dict[str, list[Any]] = {name: [] for name in ("loss", "condition", "noise", "curvature", "group", "exact")}
    last: list[float] = []
    cells = [(l1, decay, batch) for l1 in L1 for decay in DECAYS for batch in BATCHES]
    for at, (l1, decay, batch) in enumerate(cells):
        context.progress(f"L1 {l1}, decay {decay}, batch size {batch}: {count} runs")
        early, ended = _early_and_late(l1, decay, batch, count, seed + at)
        rows["exact"] += [run.exact for run in crystallize(ended, method="plain")]
        rows["group"] += [f"L1 {l1}, decay {decay}, B {batch}"] * count
        for run, weights in enumerate(zip(*early, strict=True)):
            rows["loss"].append(np.log10(max(expected_loss(*weights), 1e-16)))
            condition, noise = spectrum(*weights, run)
            rows["condition"].append(np.log10(condition))
            rows["noise"].append(np.log10(max(noise, 1e-30)))
            rows["curvature"].append(-curvature(*weights))
        last += [spectrum(*weights, run)[0] for run, weights in enumerate(zip(*ended, strict=True))]
    success, groups = rows.pop("exact"), rows.pop("group")
    subsets = {"condition only": ["condition"], "noise only": ["noise"], "curvature only": ["curvature"]}
    found = predict_success(rows, success, groups, loss="loss", subsets=subsets, seed=seed)
    names = {"A05": "condition only", "A06": "curvature only", "A10": "noise only"}
    texts = {
        "A05": "the condition number of the gradients' covariance",
        "A06": "-tr(H)/N, H the Hessian of the expected loss",
        "A10": "tr(covariance)/d",
    }
    told = f"root seed {seed}, {count} runs of each of {len(cells)} conditions"
    note = (
        "Seven slots under the L1 penalties, decays and batch sizes of S14; features after a tenth of training; "
        "success: every weight rounds to an exact algorithm. AUC of a logistic regression on unseen conditions."
    )
    exact = Figure.of(Proportion(sum(success), len(success)), "share of runs that round to an exact algorithm")
    measured = {}
    for claim, row in names.items():
        if isinstance(found.rows, NotEstimable):
            none = Figure.of(found.rows, f"AUC of {texts[claim]}")
            figures, base = {"auc": none, "gain": none, "exact": exact}, {}
        else:
            figures = {
                "auc": Figure.of(found[row].auc, f"AUC of {texts[claim]} after a tenth of training"),
                "gain": Figure.of(found[row].auc_gain, f"AUC of {texts[claim]} less that of the loss alone"),
                "exact": exact,
            }
            base = {"auc, loss alone": Figure.of(found["loss only"].auc, "AUC of the training loss alone")}
        if claim == "A05":
            ends = [value for value, good in zip(last, success, strict=True) if good]
            near = sum(value < NEAR_ONE for value in ends)
            figures["near 1"] = Figure.of(
                Proportion(near, len(ends)), f"share of successful runs whose condition number ends below {NEAR_ONE:g}"
            )
        measured[claim] = Measurement(claim, figures, {}, base, told, context.scale, note)
    return measured


NEAR_ONE: Final = 2.0


Factors = tuple[np.ndarray, np.ndarray, np.ndarray]


def _early_and_late(l1: float, decay: float, batch: int, runs: int, seed: int) -> tuple[Factors, Factors]:
    """Weights of the same runs after a tenth of training and at its end."""
    config = TrainConfig(
        slots=7,
        prune_to=0,
        runs=runs,
        shard_size=runs,
        seed=seed,
        steps=STEPS,
        retrain_steps=0,
        schedule="cosine",
        weight_decay=decay,
        batch_size=batch,
        l1=l1,
        l1_phase="all",
        balance_every=10 if l1 else 0,
    )
    engine = make_engine(config, shard_runs(config, 0))
    seen = []
    for step in (int(EARLY * STEPS), STEPS):
        engine.advance(step)
        u, v, w = np.split(engine.weights().astype(np.float64), 3, axis=2)
        seen.append((u, v, w.swapaxes(1, 2)))
    return seen[0], seen[1]


def expected_loss(u: Any, v: Any, w: Any) -> float:
    """Mean squared error over the outputs, for standard Gaussian operands."""
    target = MatrixProduct(2, 2, 2).tensor().astype(np.float64)
    return float(((np.einsum("ri,rj,kr->ijk", u, v, w) - target) ** 2).sum() / target.shape[2])


def curvature(u: Any, v: Any, w: Any) -> float:
    """tr(H)/N of the mean squared error over the outputs, expected over standard Gaussian operands.

    The product is linear in each coefficient, so only the squares of its derivatives enter: for an entry of u their
    sum over samples and outputs is |v|² |w|² of the slot, and so on around.
    """
    u, v, w = (np.asarray(x, dtype=np.float64) for x in (u, v, w))
    a, b, c = (u**2).sum(axis=1), (v**2).sum(axis=1), (w**2).sum(axis=0)
    outputs = w.shape[0]
    trace = 2 / outputs * float((u.shape[1] * b * c + v.shape[1] * a * c + outputs * a * b).sum())
    return trace / (u.size + v.size + w.size)


def conditions(context: Context) -> dict[str, Measurement]:
    """Claim X06: which networks become discrete, by which gauge, whether training had converged or not."""
    count, seed = POLISHED[context.scale], SEED + 50_000 + 100_000 * context.seed
    context.progress(f"{count} networks, three ways to discretize them")
    population = train(TrainConfig(runs=count, shard_size=min(count, 256), seed=seed, batch_size=16))
    converged = np.asarray(population.test_loss) < CONVERGED
    found = {method: crystallize(population, method=method, seed=seed) for method in ("plain", "scaled", "full")}
    figures: dict[str, Figure] = {}
    for method, runs in found.items():
        exact = np.array([run.exact for run in runs])
        for name, chosen in (("converged", converged), ("not converged", ~converged)):
            figures[f"{method}, {name}"] = Figure.of(
                Proportion(int(exact[chosen].sum()), int(chosen.sum())),
                f"share of {name} runs that become exact by {TEXTS[method]}",
            )
    gauges = [run.path.gauge for run in found["full"] if run.exact]
    moved = [run.path.polish_moved or 0.0 for run, near in zip(found["full"], converged, strict=True) if near]
    figures["moved"] = Figure(float(np.median(moved)), n=len(moved), what="median move of converged weights")
    facts: dict[str, bool | str] = {
        "gauges": ", ".join(f"{name}: {gauges.count(name)}" for name in sorted(set(gauges))),
    }
    note = (
        "Sufficient: to lie at a solution, whatever its basis; then fixing the basis makes the weights discrete. "
        "Necessary for rounding as they are: to lie in an integer basis by chance. Networks short of a solution become "
        "exact by the solver's steps, and say nothing of training."
    )
    told = f"root seed {seed}, {count} networks, batch size 16"
    return {"X06": Measurement("X06", figures, facts, {}, told, context.scale, note)}


TEXTS: Final = {
    "plain": "rounding",
    "scaled": "scaling each product, then rounding",
    "full": "polishing, fixing the basis, rounding",
}


PROTOCOLS = (
    Protocol("prediction", "Early signs of exactness", ("A05", "A06", "A10"), prediction, NEEDS),
    Protocol("discretization", "Which networks become discrete", ("X06",), conditions, NEEDS),
)
