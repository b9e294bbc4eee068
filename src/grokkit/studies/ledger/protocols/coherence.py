"""Noise of gradients against the batch size: its law, whether it breaks at 4096, and when a model groks."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from grokkit.studies._statistics import Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols._transition import SEES, grok, transition
from grokkit.studies.ledger.protocols.memory import cache_sizes, memory

SEED: Final = 20260510
NEEDS: Final = ("torch", "scipy", "matplotlib")
SEEDS: Final = {"quick": 3, "full": 8}
STEPS: Final = {"quick": 300, "full": 2000}
"""Of Adam, at batches of 64."""
BATCHES: Final = (64, 256, 1024, 2048, 4096, 8192, 16384)
TABLE: Final = {1024: 0.089, 2048: 0.034, 4096: 0.012, 8192: 0.011}
"""σ/μ by batch size, as stated."""
STATED: Final = (0.011, 0.013)
CRITICAL: Final = 4096
RATES: Final = (1e-3, 1e-2)
WIDTHS: Final = (8, 32)
SLOTS: Final = (7, 8)
SAMPLES: Final = 1024
DRAWS: Final = {"quick": 100, "full": 400}
"""Batches of each size."""
POOL: Final = 8192
"""Samples of the networks that are trained at the batch sizes of the table."""
OWN_STEPS: Final = {"quick": 120, "full": 600}
ADDITIONS: Final = {"quick": 2, "full": 8}
"""Networks that learn modular addition."""
EPOCHS: Final = 1200
EVERY: Final = 25
FITTED: Final = 0.01
"""Of the error of predicting no change: a training error below it counts as fitted, a test error above ten times it
as unsolved."""
L3: Final = 32 * 2**20
"""Bytes of the cache that the document names."""


def coherence(context: Context) -> dict[str, Measurement]:
    """Claims K01, K02, K03 and K13."""
    seed, count = SEED + context.seed, SEEDS[context.scale]
    laws: list[dict[str, Any]] = []
    for turn in range(count):
        context.progress(f"the design of rate and capacity, seed {turn}")
        laws.append(_design(context, seed + turn))
    own = []
    for turn in range(count):
        context.progress(f"networks trained at B = 1024 to 8192, seed {turn}")
        own.append(_at_own_size(context, seed + turn))
    additions = []
    for turn in range(ADDITIONS[context.scale]):
        context.progress(f"addition, seed {turn}")
        additions.append(_addition(context, seed + turn))
    told = f"root seed {seed}, {count} seeds, {len(additions)} networks that learn addition"
    return {
        "K01": _constant(laws, additions, told, context.scale),
        "K02": _table(own, additions, told, context.scale),
        "K03": _break(laws, own, told, context),
        "K13": transition(additions, told, context.scale),
    }


def _design(context: Context, seed: int) -> dict[str, Any]:
    """The law of σ/μ of the cyclotron and of the 2x2 product, at every capacity and rate, by name."""
    import torch

    from grokkit.dynamics import Loss
    from grokkit.studies.ledger.protocols import _geometry_models as gm
    from grokkit.transfer.geometry import variation_law

    kinds: list[tuple[str, Any, Any, Any, tuple[int, ...]]] = [
        ("cyclotron, {} units", gm.tanh_network, gm.tanh_start, gm.cyclotron_pairs(SAMPLES, seed), WIDTHS),
        ("product, {} slots", gm.bilinear, gm.bilinear_start, gm.product_pairs(SAMPLES, seed), SLOTS),
    ]
    found = {}
    for name, function, start, data, capacities in kinds:
        for capacity in capacities:
            for rate in RATES:
                generator = torch.Generator().manual_seed(seed)
                weights = gm.fit(function, start(capacity, generator), data, rate, STEPS[context.scale], generator)
                found[f"{name.format(capacity)}, rate {rate:g}"] = variation_law(
                    Loss(function, weights, gm.half_square),
                    data,
                    BATCHES,
                    draws=DRAWS[context.scale],
                    generator=np.random.default_rng([seed, capacity]),
                )
    return found


def _at_own_size(context: Context, seed: int) -> dict[int, tuple[float | None, str, float]]:
    """By batch size, for a cyclotron network trained at it: σ/μ at it, the verdict on its curves, and its test error.

    Errors are over that of predicting no change.
    """
    import torch

    from grokkit.dynamics import Loss, detect_grokking, gradient_variation
    from grokkit.studies.ledger.protocols import _geometry_models as gm

    data, test = gm.cyclotron_pairs(POOL, 2 * seed), gm.cyclotron_pairs(1024, 2 * seed + 1)
    unchanged = float(gm.half_square(test[0][:, :4], test[1]))
    found = {}
    for size in TABLE:
        generator = torch.Generator().manual_seed(seed)
        curves: list[tuple[float, float, float]] = []

        def watch(step: int, weights: Any, into: list[tuple[float, float, float]] = curves) -> None:
            if step % 5 == 0:
                low, high = (
                    float(gm.half_square(gm.tanh_network(weights, x), y)) / unchanged
                    for x, y in ((data[0][:1024], data[1][:1024]), test)
                )
                into.append((float(step), low, high))

        weights = gm.fit(
            gm.tanh_network,
            gm.tanh_start(WIDTHS[-1], generator),
            data,
            RATES[-1],
            OWN_STEPS[context.scale],
            generator,
            size,
            watch=watch,
        )
        at, low, high = np.array(curves).T
        verdict = detect_grokking(low, high, epochs=at, fitted=FITTED, unsolved=10 * FITTED)
        law = gradient_variation(
            Loss(gm.tanh_network, weights, gm.half_square),
            tuple(part[:SAMPLES] for part in data),
            [size],
            draws=DRAWS[context.scale],
            generator=np.random.default_rng([seed, size]),
        )
        found[size] = gm.number(law.coefficients[0]), type(verdict).__name__, float(high[-1])
    return found


def _addition(context: Context, seed: int) -> dict[str, Any]:
    from grokkit.studies.ledger.protocols._geometry_models import addition

    return addition(seed, EPOCHS, EVERY, BATCHES, DRAWS[context.scale])


def _at(law: Any, size: int) -> float | None:
    from grokkit.studies.ledger.protocols._geometry_models import number

    value = number(law.measured.coefficients[BATCHES.index(size)])
    return value if value else None


def _ratio(law: Any, size: int, other: int) -> float | None:
    first, second = _at(law, size), _at(law, other)
    return None if first is None or second is None else first / second


def _constant(laws: list[dict[str, Any]], additions: list[dict[str, Any]], told: str, scale: str) -> Measurement:
    from grokkit.dynamics import Loss, Undefined, gradient_variation
    from grokkit.studies.ledger.protocols import _geometry_models as gm
    from grokkit.studies.ledger.protocols._geometry_models import number, typical

    figures = {}
    grokked = [row["law"] for row in additions if row["verdict"] in ("Grokked", "GradualDrop")]
    cells = {name: [found[name] for found in laws] for name in laws[0]}
    if grokked:
        cells["addition, grokked"] = grokked
    for name, of_seeds in cells.items():
        for size in (CRITICAL, 4 * CRITICAL):
            figures[f"sigma/mu at {size}, {name}"] = typical(
                [_at(law, size) for law in of_seeds], f"σ/μ of gradient norms at B = {size}, {name}"
            )
        figures[f"crossover, {name}"] = typical(
            [number(law.crossover) for law in of_seeds],
            f"batch size at which noise and mean gradient are equal, {name}",
        )
    values = [_at(law, CRITICAL) for of_seeds in cells.values() for law in of_seeds]
    inside = sum(value is not None and STATED[0] <= value <= STATED[1] for value in values)
    figures["inside at 4096"] = Figure.of(
        Proportion(inside, len(values)), "share of models with σ/μ of 0.011 to 0.013 at B = 4096"
    )
    figures["at 16384 over at 4096"] = typical(
        [_pooled([_ratio(law, 4 * CRITICAL, CRITICAL) for law in found.values()]) for found in laws],
        "σ/μ at B = 16384 over that at 4096 (1: independent of B; 0.5: as B^(-1/2))",
    )
    if grokked:
        figures["at 16384 over at 4096, addition, grokked"] = typical(
            [_ratio(law, 4 * CRITICAL, CRITICAL) for law in grokked], "the same of networks that grokked addition"
        )
    figures["largest over smallest"] = typical(
        [_widest([_at(law, CRITICAL) for law in found.values()]) for found in laws],
        "largest over smallest σ/μ at B = 4096 of the models of a seed, over rates, capacities and tasks",
    )
    exact = gradient_variation(
        Loss(gm.bilinear, gm.strassen_weights(), gm.half_square), gm.product_pairs(64, SEED, whole=True), [CRITICAL]
    ).coefficients[0]
    if isinstance(exact, Undefined):
        figures["sigma/mu at 4096, exact scheme"] = Figure(
            None, what="σ/μ at Strassen's scheme, whole operands", reason=exact.reason
        )
    note = (
        "Adam at batches of 64, σ/μ over batches drawn with replacement from the training samples. Where the mean "
        "gradient dominates σ/μ falls as B^(-1/2), where noise does it is 1/sqrt(2m) at every B, and at an exact "
        "solution it is 0/0. It is 0.012 at the B at which the line of a model happens to pass there. The models of a "
        "seed share its data, so that the share's interval is too narrow; those over seeds are not."
    )
    return Measurement("K01", figures, {}, {}, told, scale, note)


def _pooled(values: list[float | None]) -> float | None:
    """Geometric mean of those that there are."""
    held = [value for value in values if value is not None]
    return math.exp(float(np.mean(np.log(held)))) if held else None


def _widest(values: list[float | None]) -> float | None:
    held = [value for value in values if value is not None]
    return max(held) / min(held) if held else None


def _table(own: list[dict[int, Any]], additions: list[dict[str, Any]], told: str, scale: str) -> Measurement:
    from grokkit.studies.ledger.protocols._geometry_models import typical

    figures, baselines = {}, {}
    for size, stated in TABLE.items():
        what = f"σ/μ of gradient norms at B = {size} of a network trained at it"
        figures[f"sigma/mu at {size}"] = typical([found[size][0] for found in own], what)
        verdicts = [found[size][1] for found in own]
        figures[f"grokked at {size}"] = Figure.of(
            Proportion(verdicts.count("Grokked"), len(verdicts)), f"share of networks trained at B = {size} that grok"
        )
        figures[f"test error at {size}"] = typical(
            [found[size][2] for found in own], f"test error after training at B = {size}, over that of no change"
        )
        rooted = TABLE[1024] * math.sqrt(1024 / size)
        baselines[f"B^(-1/2) at {size}"] = Figure(rooted, what=f"stated 0.089 carried to B = {size} by the root")
        figures[f"stated over the root at {size}"] = Figure(
            stated / rooted, what=f"stated σ/μ at B = {size} over the stated at 1024 carried there by the root"
        )
    note = (
        f"Cyclotron, {WIDTHS[-1]} tanh units, {POOL} samples, Adam at {RATES[-1]:g}, equal steps at every B. Grokking "
        "by the definition of claim S10 with errors over that of predicting no change: training and test error fall "
        "together, so that there is nothing to grok. The positive control is modular addition."
    )
    return Measurement("K02", figures, {SEES: grok(additions)}, baselines, told, scale, note)


def _break(laws: list[dict[str, Any]], own: list[dict[int, Any]], told: str, context: Context) -> Measurement:
    from grokkit.studies.ledger.protocols._geometry_models import number, typical
    from grokkit.tasks import Mean

    bends, crossovers = [], []
    for found in laws:
        steps = [(_ratio(law, CRITICAL, 1024), _ratio(law, 4 * CRITICAL, CRITICAL)) for law in found.values()]
        known = [math.log(after / before, 4) for before, after in steps if before is not None and after is not None]
        bends += [float(np.mean(known))] if known else []
        crossovers.append([number(law.crossover) for law in found.values()])
    figures = {
        "bend": Figure.of(
            Mean.of(bends), "exponent of σ/μ from B = 4096 to 16384 less that from 1024 to 4096, mean over models"
        ),
        "smallest crossover": typical(
            [min((each for each in row if each is not None), default=None) for row in crossovers],
            "batch size at which noise and mean gradient are equal, the smallest of the models of a seed",
        ),
        "largest crossover": typical(
            [max((each for each in row if each is not None), default=None) for row in crossovers],
            "the largest of the models of a seed",
        ),
        "error at 2048 over at 4096": typical(
            [found[2048][2] / found[4096][2] for found in own],
            "test error of a network trained at B = 2048 over that of one trained at 4096, equal steps",
        ),
    }
    parts = memory(context)["M01"].figures
    fixed = parts["parameters"].interval[0] + parts["optimizer"].interval[0]
    per_sample = parts["per sample"].interval[0]
    figures["B that fills 32 MiB"] = Figure(
        (L3 - fixed) / per_sample, what="batch size whose working set fills 32 MiB, 2x2 product of 8 slots"
    )
    facts: dict[str, bool | str] = {}
    for name, size in cache_sizes().items():
        facts[f"{name} of this machine"] = f"{size / 2**20:g} MiB"
        figures[f"B that fills {name} of this machine"] = Figure(
            (size - fixed) / per_sample, what=f"batch size whose working set fills the {name} of this machine"
        )
    stated = math.log(TABLE[8192] / TABLE[4096], 2) - math.log(TABLE[4096] / TABLE[1024], 4)
    baselines = {"stated bend": Figure(stated, what="the same of the stated table, from 4096 to 8192")}
    note = (
        "A critical size would bend the law of σ/μ there. Its only bend is where noise and mean gradient are equal, "
        "and that lies elsewhere for every model. σ/μ is a property of per-sample gradients, the same on every "
        "machine: no cache enters it. How time and success go with caches is claim M02."
    )
    return Measurement("K03", figures, facts, baselines, told, context.scale, note)


PROTOCOLS = (Protocol("coherence", "Noise of gradients and grokking", ("K01", "K02", "K03", "K13"), coherence, NEEDS),)
