"""Why the batch size matters: the phase diagram (A04), covariances of gradients (A07, A08), and the design of X05."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from grokkit.studies._statistics import Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.statistics import NotEstimable, anova, bootstrap
from grokkit.training import CONVERGED, Population, TrainConfig, train

NEEDS: Final = ("pyarrow", "joblib", "scipy", "pandas", "statsmodels", "sklearn")
SEED: Final = 20260702
BATCHES: Final = (8, 16, 32, 64, 128, 256, 512)
INSIDE: Final = (24, 128)
RUNS: Final = {"quick": 6, "full": 40}
"""Runs of each batch size and design."""
EPOCHS: Final = 1000
SAMPLES: Final = 1000
REFERENCE: Final = 32
"""The batch size from which learning rates are scaled, and whose number of steps is kept."""
RATE: Final = 1e-3
VANISHED: Final = 1e-24
"""Mean variance of a gradient's entry that is rounding error in float64."""
DRAWN: Final = 400
"""Samples for a covariance."""


def phase(context: Context) -> dict[str, Measurement]:
    """Claim A04: success over batch size and length of training, with contours if there are any."""
    runs = context.study("phase-diagram", seeds=5 if context.full else 1, runs=4 if context.full else 3)
    cells = runs.success("exact_plain", by=("batch_size", "epochs"))
    learned = runs.success("converged_before_pruning", by=("batch_size", "epochs"))
    best = max(cells, key=lambda each: (each.proportion.share, each.proportion.n))
    most = max(learned, key=lambda each: (each.proportion.share, each.proportion.n))
    pooled = Proportion(sum(each.proportion.count for each in cells), sum(each.proportion.n for each in cells))
    figures = {
        "best cell": Figure.of(best.proportion, "share of exact runs in the best cell, as published"),
        "exact": Figure.of(pooled, "share of exact runs over all cells, as published"),
        "best cell, learned": Figure.of(most.proportion, "share of runs that learn the product in the best cell"),
    }
    facts: dict[str, bool | str] = {
        "cell that learns best": f"B = {most.factors['batch_size']}, {most.factors['epochs']} epochs",
        "contours": ", ".join(
            f"{level} %: {_above(learned, level)} of {len(learned)} cells learn, {_above(cells, level)} become exact"
            for level in (25, 50, 68)
        ),
    }
    note = "Contours of exactness do not exist where no cell reaches them; learning the product has its own diagram."
    told = f"root seed {runs.study.seed}, {runs.study.seeds} seeds x {runs.study.runs} runs a cell"
    return {"A04": Measurement("A04", figures, facts, {}, told, context.scale, note)}


def _above(cells: Sequence[Any], level: float) -> int:
    """Cells whose share reaches a level, in per cent."""
    return sum(100 * each.proportion.share >= level for each in cells)


def explanation(context: Context) -> dict[str, Measurement]:
    """Claims X05, A07 and A08: batch size apart from steps, samples seen and learning rate; covariances by size."""
    count = RUNS[context.scale]
    seed = SEED + 100_000 * context.seed
    designs: dict[str, dict[str, list[float]]] = {}
    found: dict[int, Population] = {}
    for at, name in enumerate(DESIGNS):
        rows: dict[str, list[float]] = {"batch": [], "loss": [], "learned": []}
        for batch in BATCHES:
            context.progress(f"batch size {batch}, {name}")
            population = train(config_of(name, batch, count, seed + 1000 * at + batch))
            rows["batch"] += [batch] * count
            rows["loss"] += np.log10(np.maximum(population.test_loss, 1e-16)).tolist()
            rows["learned"] += (population.test_loss < CONVERGED).astype(float).tolist()
            if name == "equal samples":
                found[batch] = population
        designs[name] = rows
    told = f"root seed {seed}, {count} runs of each of {len(BATCHES)} batch sizes in each of {len(DESIGNS)} designs"
    return {
        "X05": _explanation(designs, told, context),
        **_covariances(found, told, context),
    }


DESIGNS: Final = ("equal samples", "equal steps", "rate linear in B", "rate as root of B")
"""Epochs kept (so that steps fall as 1/B); steps kept; epochs kept and the learning rate scaled with B."""


def config_of(design: str, batch: int, runs: int, seed: int) -> TrainConfig:
    """The published training, unpruned, at one batch size."""
    rate = {"rate linear in B": batch / REFERENCE, "rate as root of B": (batch / REFERENCE) ** 0.5}.get(design, 1.0)
    changes: dict[str, Any] = {"epochs": EPOCHS}
    if design == "equal steps":
        changes = {"epochs": 0, "steps": EPOCHS * SAMPLES // REFERENCE}
    return TrainConfig.preset(
        "source",
        runs=runs,
        shard_size=runs,
        seed=seed,
        batch_size=batch,
        samples=SAMPLES,
        prune_to=0,
        learning_rate=RATE * rate,
        **changes,
    )


def _explanation(designs: dict[str, dict[str, list[float]]], told: str, context: Context) -> Measurement:
    figures: dict[str, Figure] = {}
    for name, rows in designs.items():
        table = anova(rows, "loss", "batch")
        effect: Any = table.terms if isinstance(table.terms, NotEstimable) else table["batch"].eta_squared
        figures[f"eta squared, {name}"] = Figure.of(effect, f"share of the variance of the log test loss by B, {name}")
        for batch in (BATCHES[0], REFERENCE, BATCHES[-1]):
            learned = [each for each, b in zip(rows["learned"], rows["batch"], strict=True) if b == batch]
            figures[f"learned, {name}, {batch}"] = Figure.of(
                Proportion(int(sum(learned)), len(learned)), f"share of runs that learn, {name}, B = {batch}"
            )
        figures[f"slope, {name}"] = _slope(rows, f"decades of test loss for each doubling of B, {name}")
    facts: dict[str, bool | str] = {
        "batch size is separated from steps, samples and rate": len(designs) == len(DESIGNS)
    }
    note = (
        "Unpruned networks, AdamW as published. At equal samples seen a larger batch takes fewer steps; at equal steps "
        "it sees more samples. If steps alone explain the effect, it is gone at equal steps; if linear scaling does, "
        "it is gone with the rate linear in B."
    )
    return Measurement("X05", figures, facts, {}, told, context.scale, note)


def _slope(rows: dict[str, list[float]], what: str) -> Figure:
    def slope(frame: Any) -> float:
        return float(np.polyfit(np.log2(frame["batch"]), frame["loss"], 1)[0])

    return Figure.of(bootstrap(rows, slope, seed=SEED, resamples=500).estimate, what)


def _covariances(found: dict[int, Population], told: str, context: Context) -> dict[str, Measurement]:
    """Claims A07 and A08, at the end and at the middle of training with equal samples."""
    condition: dict[int, list[float]] = {}
    diffusion: dict[int, list[float]] = {}
    learned: list[float] = []
    pooled: list[float] = []
    for batch, population in found.items():
        spectra = [spectrum(*weights, run) for run, weights in enumerate(zip(*population.factors, strict=True))]
        condition[batch] = [np.log10(each[0]) for each in spectra]
        diffusion[batch] = [RATE / batch * max(each[1], VANISHED) for each in spectra]
        pooled += condition[batch]
        learned += (population.test_loss < CONVERGED).astype(float).tolist()
    inside = [value for batch, values in condition.items() if INSIDE[0] <= batch <= INSIDE[1] for value in values]
    outside = [value for batch, values in condition.items() if not INSIDE[0] <= batch <= INSIDE[1] for value in values]
    gap = bootstrap(
        {"value": inside + outside, "inside": [1] * len(inside) + [0] * len(outside)},
        _inside_less_outside,
        seed=SEED,
        resamples=500,
    ).estimate
    figures = {
        f"condition, B = {batch}": _mean(values, f"log10 condition of the gradients' covariance, B = {batch}")
        for batch, values in condition.items()
    }
    figures["inside less outside"] = Figure.of(gap, "log10 of the condition number, B in [24, 128] less the others")
    figures["auc"] = auc(pooled, learned, "AUC of a small condition number for learning the product")
    note = (
        f"Gradients of {DRAWN} fresh samples, in float64, at the end of unpruned training with equal samples seen; "
        "condition over the numerical rank, so that it is large where gradients have all but vanished."
    )
    gammas = {
        f"gamma, B = {batch}": _mean(
            np.log10(values).tolist(), f"log10 of (rate/B) tr(covariance)/d at the end, B = {batch}"
        )
        for batch, values in diffusion.items()
    }
    steps = np.array([figure.value for figure in gammas.values()])
    falls = np.diff(steps)
    gammas["largest step"] = Figure(float(falls.min()), what="largest fall of log10 gamma to the next batch size")
    at = int(np.argmin(falls))
    facts: dict[str, bool | str] = {
        "largest step between": f"B = {BATCHES[at]} and {BATCHES[at + 1]}",
        "the largest step lies inside": bool(INSIDE[0] <= BATCHES[at] and BATCHES[at + 1] <= INSIDE[1]),
    }
    gammas["spread inside"] = _spread(
        [np.log10(diffusion[batch]) for batch in BATCHES if INSIDE[0] <= batch <= INSIDE[1]],
        "largest less smallest mean of log10 gamma over B in [24, 128]",
    )
    other = "Settled: the mean of log10 gamma moves by less than a third over B in [24, 128], as the claim has it."
    return {
        "A07": Measurement("A07", figures, {}, {}, told, context.scale, note),
        "A08": Measurement("A08", gammas, facts, {}, told, context.scale, other),
    }


def _inside_less_outside(frame: Any) -> float:
    values, inside = np.asarray(frame["value"]), np.asarray(frame["inside"]) == 1
    if inside.all() or not inside.any():
        return math.nan
    return float(values[inside].mean() - values[~inside].mean())


def spectrum(u: Any, v: Any, w: Any, seed: int) -> tuple[float, float]:
    """Condition number of the covariance of per-sample gradients, and its trace over the number of parameters.

    Where gradients are rounding errors alone, there is nothing to condition: 1 and 0.
    """
    import torch

    from grokkit.dynamics import covariance_of

    found = covariance_of(torch.as_tensor(sample_gradients(u, v, w, seed)))
    if found.per_parameter < VANISHED or not isinstance(found.condition, int | float):
        return 1.0, 0.0
    return float(found.condition), found.per_parameter


def sample_gradients(u: Any, v: Any, w: Any, seed: int, samples: int = DRAWN) -> np.ndarray:
    """Of the mean squared error over the outputs, for Gaussian 2x2 operands: (samples, parameters), float64."""
    generator = np.random.default_rng(seed)
    u, v, w = (np.asarray(x, dtype=np.float64) for x in (u, v, w))
    a, b = generator.standard_normal((2, samples, 4))
    left, right = a @ u.T, b @ v.T
    truth = np.einsum("sij,sjk->sik", a.reshape(-1, 2, 2), b.reshape(-1, 2, 2)).reshape(samples, 4)
    wrong = (2 / 4) * ((left * right) @ w.T - truth)
    back = wrong @ w
    parts = (
        np.einsum("sr,si->sri", back * right, a),
        np.einsum("sr,sj->srj", back * left, b),
        np.einsum("sk,sr->skr", wrong, left * right),
    )
    return np.concatenate([part.reshape(samples, -1) for part in parts], axis=1)


def _mean(values: Sequence[float], what: str) -> Figure:
    from scipy import stats

    held = np.asarray(values, dtype=np.float64)
    half = float(stats.t.ppf(0.975, len(held) - 1) * held.std(ddof=1) / len(held) ** 0.5)
    return Figure(float(held.mean()), float(held.mean() - half), float(held.mean() + half), len(held), what)


def _spread(groups: Sequence[np.ndarray], what: str) -> Figure:
    generator = np.random.default_rng(0)

    def spread(parts: Sequence[np.ndarray]) -> float:
        means = [float(part.mean()) for part in parts]
        return max(means) - min(means)

    drawn = [spread([part[generator.integers(0, len(part), len(part))] for part in groups]) for _ in range(500)]
    low, high = (float(x) for x in np.percentile(drawn, (2.5, 97.5)))
    value = spread(groups)
    return Figure(value, min(low, value), max(high, value), sum(len(part) for part in groups), what)


def auc(score: Sequence[float], success: Sequence[float], what: str) -> Figure:
    """AUC of small scores for success; without both classes there is none."""
    chosen = np.asarray(success) > 0.5
    if chosen.all() or not chosen.any():
        return Figure(None, n=len(chosen), what=what, reason="all runs have the same outcome")
    table = {"score": list(score), "success": [float(each) for each in success]}
    found = bootstrap(table, _auc_of, method="percentile", seed=SEED, resamples=500).estimate
    return Figure.of(found, what)


def _auc_of(frame: Any) -> float:
    good, bad = (np.asarray(frame["score"][frame["success"] == kind]) for kind in (1.0, 0.0))
    if not len(good) or not len(bad):
        return float("nan")
    return float((good[:, None] < bad[None]).mean() + (good[:, None] == bad[None]).mean() / 2)


PROTOCOLS = (
    Protocol("phase", "Success by batch size and epochs", ("A04",), phase, NEEDS),
    Protocol("batch", "Batch size, steps, samples and rate", ("X05", "A07", "A08"), explanation, NEEDS),
)
