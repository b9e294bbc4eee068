"""The protocols of the source and their ablations: how often training ends in an exact algorithm, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from grokkit.studies._statistics import Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.runs import Runs, Study
from grokkit.studies.statistics import Anova, NotEstimable, anova, bootstrap, compare_two_rates, logistic

NEEDS: Final = ("pyarrow", "joblib", "scipy", "pandas", "statsmodels", "sklearn")
RANGE: Final = (24, 128)
"""Batch sizes inside which the source states success."""
SEED: Final = 20260401


def protocols_a_and_b(context: Context) -> dict[str, Measurement]:
    """Claims S01, S02, S09, S11, A01, A02, A03: 195 runs at quick scale, 1,950 at full scale."""
    seeds = 50 if context.full else 5
    found = {"A": context.study("protocol-a", seeds=seeds), "B": context.study("protocol-b", seeds=seeds)}
    told = "; ".join(f"{name}: root seed {runs.study.seed}, {seeds} seeds x 3 runs" for name, runs in found.items())
    columns = [
        "batch_size",
        "exact_plain",
        "exact_full",
        "converged_before_pruning",
        "lattice_distance",
        "discretizable",
    ]
    parts = {name: runs.table([c for c in columns if c in runs.columns]).to_pydict() for name, runs in found.items()}

    def pooled(column: str) -> list[Any]:
        return [value for part in parts.values() for value in part.get(column, [])]

    sizes = pooled("batch_size")
    inside = [RANGE[0] <= size <= RANGE[1] for size in sizes]
    exact = pooled("exact_plain")
    control = parts_of(found["B"], "control_full")
    shares = {
        "exact": Figure.of(share(exact), "share of runs that are exact, as published"),
        "exact, inside": Figure.of(
            share([e for e, i in zip(exact, inside, strict=True) if i]), "share of exact runs at batch sizes 24 to 128"
        ),
        "exact, outside": Figure.of(
            share([e for e, i in zip(exact, inside, strict=True) if not i]), "share of exact runs at other batch sizes"
        ),
        "learned": Figure.of(share(pooled("converged_before_pruning")), "share of runs that learn the product"),
        "crystallizes": Figure.of(share(pooled("exact_full")), "share of runs that grokkit's solver makes exact"),
    }
    baselines = {"crystallizes, untrained": Figure.of(share(control), "the same of the weights before any training")}
    note = (
        "Both published protocols, literally: pruned to 7 slots by norm, no retraining, clamped, rounded. The solver "
        "removes the basis freedom of the weights; it does the same to weights that were never trained."
    )

    def measured(claim: str, figures: dict[str, Figure], text: str = note) -> Measurement:
        shown = baselines if claim in ("S01", "S02") else {}
        return Measurement(claim, figures, {}, shown, told, context.scale, text)

    distance = {name: pooled(name) for name in ("batch_size", "lattice_distance")}
    distance["protocol"] = [name for name, part in parts.items() for _ in part["batch_size"]]
    within = share(parts["A"]["discretizable"])
    spread = bootstrap(distance, _variation, seed=SEED + context.seed).estimate
    both = anova(distance, "lattice_distance", ["batch_size", "protocol"], interactions=False)
    some = [size in (24, 32, 64) for size in parts["B"]["batch_size"]]
    middle = {
        name: [value for value, kept in zip(parts["B"][name], some, strict=True) if kept]
        for name in ("batch_size", "lattice_distance")
    }
    return {
        "S01": measured("S01", shares),
        "S02": measured("S02", shares),
        "S09": measured(
            "S09",
            {
                "within 0.1": Figure.of(
                    within, "share of runs with every weight within 0.1 of {-1, 0, 1} (protocol A)"
                ),
                "smallest distance": Figure(min(pooled("lattice_distance")), what="smallest lattice distance of a run"),
            },
        ),
        "S11": measured(
            "S11", {"variation": Figure.of(spread, "coefficient of variation of the lattice distance over runs")}
        ),
        "A01": measured("A01", effect_of(both, "batch_size"), ANOVA_NOTE),
        "A02": measured("A02", effect_of(both, "protocol"), ANOVA_NOTE),
        "A03": measured("A03", effect_of(anova(middle, "lattice_distance", "batch_size"), "batch_size"), ANOVA_NOTE),
    }


ANOVA_NOTE: Final = (
    "Analysis of variance of the lattice distance, the one metric that both protocols have, type II, main effects; the "
    "source pools two metrics. Success itself has no variance to analyse: no run is exact, or nearly none."
)


def share(values: Sequence[Any]) -> Proportion:
    return Proportion(sum(bool(value) for value in values), len(values))


def parts_of(runs: Runs, column: str) -> list[Any]:
    return runs.table([column]).column(0).to_pylist()


def effect_of(table: Anova, factor: str) -> dict[str, Figure]:
    """F, p and eta squared of a factor as figures."""
    name = factor.replace("_", " ")
    if isinstance(table.terms, NotEstimable):
        none = Figure.of(table.terms, f"effect of {name}")
        return {"F": none, "p": none, "eta squared": none}
    term = table[factor]
    return {
        "F": Figure.of(term.f, f"F of {name} ({term.df}, {table.residual_df} degrees of freedom)"),
        "p": Figure.of(term.p, f"p of {name}"),
        "eta squared": Figure.of(term.eta_squared, f"eta squared of {name}"),
    }


def _variation(frame: Any) -> float:
    values = np.asarray(frame["lattice_distance"], dtype=float)
    return float(values.std(ddof=1) / values.mean())


VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "as published": {},
    "no pruning": {"prune_to": 0},
    "9 slots, no pruning": {"slots": 9, "prune_to": 0},
    "250 epochs": {"epochs": 250},
    "500 epochs": {"epochs": 500},
    "2000 epochs": {"epochs": 2000},
    "Adam without decay": {"optimizer": "adam", "weight_decay": 0.0},
    "decay .01": {"weight_decay": 0.01},
    "independent start": {"init": "independent"},
    "tied start": {"init": "tied"},
    "learning rate .01": {"learning_rate": 0.01},
}
"""What differs from the published protocol, one at a time."""


ABOUT: Final[dict[str, tuple[str, ...]]] = {
    "S03": ("as published", "no pruning"),
    "S05": ("as published", "9 slots, no pruning"),
    "S06": ("250 epochs", "500 epochs", "as published", "2000 epochs"),
    "S07": ("as published", "Adam without decay", "decay .01", "gained by decay"),
    "S08": ("as published", "independent start", "tied start", "gained by start"),
}
"""The figures that each claim of the ablation is about, by the ends of their names."""


def _about(every: Measurement, claim: str, *ends: str) -> Measurement:
    kept = {name: each for name, each in every.figures.items() if name.endswith(ends)}
    if claim == "S03":  # both end alike
        kept = {name: each for name, each in kept.items() if "9 slots" not in name}
    return replace(every, claim=claim, figures=kept)


def ablation(context: Context) -> dict[str, Measurement]:
    """Claims S03, S05, S06, S07, S08, X01: the published protocol at B = 32, one setting changed at a time."""
    runs = 200 if context.full else 40
    study = Study.from_mapping(
        {
            "title": "Ablation of the published protocol",
            "question": "Which of its settings does success depend on?",
            "preset": "source",
            "seed": SEED + 1,
            "seeds": runs // 4,
            "runs": 4,
            "outcomes": ["converged_before_pruning", "exact_plain"],
            "metrics": ["test_loss"],
            "cells": [{"name": name, **changes} for name, changes in VARIANTS.items()],
        }
    )
    found = context.study(study, name="ablation")
    rows = found.table(["cell_name", "converged_before_pruning", "exact_plain", "rank_plain"]).to_pylist()
    cells = {name: [row for row in rows if row["cell_name"] == name] for name in VARIANTS}
    exact = {name: share([row["exact_plain"] for row in cell]) for name, cell in cells.items()}
    learned = {name: share([row["converged_before_pruning"] for row in cell]) for name, cell in cells.items()}
    seven = share([row["exact_plain"] and row["rank_plain"] == 7 for row in cells["no pruning"]])
    figures = {f"exact, {name}": Figure.of(each, f"share of exact runs, {name}") for name, each in exact.items()}
    figures |= {
        f"learned, {name}": Figure.of(each, f"share of runs that learn the product, {name}")
        for name, each in learned.items()
    }
    figures["rank 7, no pruning"] = Figure.of(seven, "share of unpruned runs that round to 7 products")
    for name, other in (("decay", "Adam without decay"), ("start", "independent start")):
        for outcome, shares in (("exact", exact), ("learned", learned)):
            difference = compare_two_rates(shares[other], shares["as published"]).difference
            figures[f"{outcome} gained by {name}"] = Figure.of(
                difference, f"share of {outcome} runs as published less that with {other}"
            )
    odds = _odds(rows)
    told = f"root seed {SEED + 1 + context.seed}, {runs} runs a setting"
    note = (
        "One setting changed at a time, B = 32, rounded as published. Where no run is exact there is no odds ratio of "
        "exactness; those of learning the product are given."
    )
    facts: dict[str, bool | str] = {"odds ratios are measured": bool(odds)}
    every = Measurement("S03", figures, {}, {}, told, context.scale, note)
    plain = {claim: _about(every, claim, *words) for claim, words in ABOUT.items()}
    return plain | {"X01": Measurement("X01", odds, facts, {}, told, context.scale, note)}


def _odds(rows: list[dict[str, Any]]) -> dict[str, Figure]:
    """Odds ratio of learning the product with each changed setting, against the published one."""
    figures = {}
    published = [row["converged_before_pruning"] for row in rows if row["cell_name"] == "as published"]
    for name in VARIANTS:
        if name == "as published":
            continue
        other = [row["converged_before_pruning"] for row in rows if row["cell_name"] == name]
        data = {"learned": published + other, "changed": [0] * len(published) + [1] * len(other)}
        found = logistic(data, "learned", "changed")["changed"].odds_ratio
        figures[f"odds ratio, {name}"] = Figure.of(found, f"odds ratio of learning the product, {name}")
    return figures


def three_by_three(context: Context) -> dict[str, Measurement]:
    """Claim L01: the published protocol on 3x3 matrices, 27 slots pruned to 23."""
    runs = 100 if context.full else 24
    study = Study.from_mapping(
        {
            "title": "The published protocol on 3x3",
            "question": "Does it come to 23 products?",
            "preset": "source",
            "seed": SEED + 2,
            "seeds": runs // 4,
            "runs": 4,
            "configuration": {"format": "3x3x3", "slots": 27},
            "cells": [{"name": "23 of 27", "prune_to": 23}, {"name": "unpruned", "prune_to": 0}],
            "outcomes": ["converged_before_pruning", "converged", "exact_plain"],
            "metrics": ["test_loss"],
        }
    )
    found = context.study(study, name="rank-23")
    rows = found.table(["cell_name", "exact_plain", "converged"]).to_pylist()
    cells = {name: [row for row in rows if row["cell_name"] == name] for name in ("23 of 27", "unpruned")}
    figures = {
        "exact, 23": Figure.of(share([r["exact_plain"] for r in cells["23 of 27"]]), "share of exact runs of rank 23"),
        "converged, 23": Figure.of(share([r["converged"] for r in cells["23 of 27"]]), "share with loss below 1e-6"),
        "exact, 27": Figure.of(share([r["exact_plain"] for r in cells["unpruned"]]), "share of exact runs of 27 slots"),
    }
    note = (
        "As published, on 3x3. That the protocol fails does not show that training cannot: from random weights the "
        "numerical route (grokkit search 3x3x3 --route numeric) proves <3,3,3;23>."
    )
    told = f"root seed {SEED + 2 + context.seed}, {runs} runs"
    return {"L01": Measurement("L01", figures, {}, {}, told, context.scale, note)}


def pipeline(context: Context) -> dict[str, Measurement]:
    """Claim S12: 4x4 products in 2x2 blocks, the weakest slot masked after training, then retrained."""
    runs = 64 if context.full else 16
    study = Study.from_mapping(
        {
            "title": "The full pipeline",
            "question": "Does a masked and retrained network hold an algorithm of 7 products?",
            "preset": "source",
            "seed": SEED + 3,
            "seeds": runs // 4,
            "runs": 4,
            "configuration": {
                "blocks": 2,
                "learning_rate": 0.01,
                "weight_decay": 0.001,
                "clip": 1.0,
                "batch_size": 256,
                "epochs": 500,
                "retrain_epochs": 500,
                "retrain_learning_rate": 0.005,
                "retrain_weight_decay": 0.01,
            },
            "cells": [{"name": "pipeline"}],
            "outcomes": ["converged_before_pruning", "converged", "exact_plain", "exact_full", "control_full"],
            "metrics": ["test_loss"],
        }
    )
    found = context.study(study, name="pipeline")
    losses = found.typical("test_loss", by=())[0].median
    figures = {
        "exact": Figure.of(share(parts_of(found, "exact_plain")), "share of runs that round to an exact algorithm"),
        "learned": Figure.of(share(parts_of(found, "converged_before_pruning")), "share that learn it in 8 slots"),
        "converged": Figure.of(share(parts_of(found, "converged")), "share with loss below 1e-6 in 7 slots"),
        "loss": Figure.of(losses, "median test loss in 7 slots"),
        "crystallizes": Figure.of(share(parts_of(found, "exact_full")), "share that grokkit's solver makes exact"),
    }
    untrained = Figure.of(share(parts_of(found, "control_full")), "the same of the weights before any training")
    told = f"root seed {SEED + 3 + context.seed}, {runs} runs"
    note = (
        "A small loss is accuracy in floating point; an algorithm is found where rounded weights are a proven scheme."
    )
    baselines = {"crystallizes, untrained": untrained}
    return {"S12": Measurement("S12", figures, {}, baselines, told, context.scale, note)}


def numerics(context: Context) -> dict[str, Measurement]:
    """Claim A11: the same runs by two engines and in two precisions; how often the outcome flips."""
    runs = 400 if context.full else 80
    base = {
        "title": "Numerics",
        "question": "Does rounding alone change what a run comes to?",
        "preset": "source",
        "seed": SEED + 4,
        "seeds": runs // 4,
        "runs": 4,
        "configuration": {"epochs": 500},
        "factors": {"batch_size": [32]},
        "outcomes": ["converged_before_pruning", "exact_plain"],
        "metrics": ["test_loss"],
        "randomness": "common",
    }
    changes = {"native, float32": {}, "native, float64": {"dtype": "float64"}, "torch, float32": {"engine": "torch"}}
    found = {}
    for name, change in changes.items():
        shared: Any = base["configuration"]
        study = Study.from_mapping(base | {"title": f"Numerics: {name}", "configuration": shared | change})
        found[name] = context.study(study, name=name.replace(", ", "-"))
    learned = {name: parts_of(runs_, "converged_before_pruning") for name, runs_ in found.items()}
    first, *others = learned
    figures = {}
    for other in others:
        differ = [a != b for a, b in zip(learned[first], learned[other], strict=True)]
        figures[f"flips, {other}"] = Figure.of(share(differ), f"share of runs that differ between {first} and {other}")
    figures["learned"] = Figure.of(share(learned[first]), "share of runs that learn the product: seeds alone decide it")
    told = f"root seed {SEED + 4 + context.seed}, {runs} runs, the same starts and samples in each"
    note = (
        "Outcome: test loss below 1e-6 before pruning. Exactness after rounding has nothing to flip: no run is exact."
    )
    return {"A11": Measurement("A11", figures, {}, {}, told, context.scale, note)}


PROTOCOLS = (
    Protocol(
        "protocols",
        "Protocols A and B of the source",
        ("S01", "S02", "S09", "S11", "A01", "A02", "A03"),
        protocols_a_and_b,
        NEEDS,
    ),
    Protocol(
        "ablation",
        "The published protocol, one setting changed",
        ("S03", "S05", "S06", "S07", "S08", "X01"),
        ablation,
        NEEDS,
    ),
    Protocol("rank-23", "The published protocol on 3x3", ("L01",), three_by_three, NEEDS),
    Protocol("pipeline", "The full pipeline, in blocks", ("S12",), pipeline, NEEDS),
    Protocol("numerics", "The same runs with other rounding", ("A11",), numerics, NEEDS),
)
