"""Metrics, couplings, horizons, gaps and spreads: computed where they exist, and shown not to where they do not."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols._motion import motion

SEED: Final = 20260511
NEEDS: Final = ("torch", "scipy", "matplotlib")
SEEDS: Final = {"quick": 4, "full": 10}
PUBLISHED_G: Final = 1.44e-4
PUBLISHED_P: Final = 1821
PUBLISHED_RADIUS: Final = 5.7e7
HELD: Final = 200
"""Steps over which spreads are taken."""
STEPS: Final = {"quick": 400, "full": 2000}
STRETCHES: Final = (0.1, 1.0, 10.0)
CUTOFFS: Final = (1e-12, 1e-6, 1e-3)
RIDGE: Final = 1e-4
WIDTHS: Final = (2, 4, 8, 16, 32)
GAP_SAMPLES: Final = 64
NOISY: Final = (200, (4, 8, 16, 32, 64))
"""Samples and parameters of least squares."""


def metrics(context: Context) -> dict[str, Measurement]:
    """Claims K04, K05, K06, K07, K12 and K14."""
    seeds = range(SEED + context.seed, SEED + context.seed + SEEDS[context.scale])
    found = {}
    for claim, measure in (
        ("K04", _spreads),
        ("K05", _curvature),
        ("K06", _gaps),
        ("K12", motion),
        ("K14", _coupling),
    ):
        context.progress(claim)
        figures, note = measure(seeds, context)
        told = f"root seed {seeds[0]}, {len(seeds)} seeds"
        found[claim] = Measurement(claim, figures, {}, {}, told, context.scale, note)
    return found | {"K07": _horizon(context)}


def _spreads(seeds: range, context: Context) -> tuple[dict[str, Figure], str]:
    """Deviation of the loss times that of the weights over the steps of an optimizer, held at a solution or near."""
    import torch

    from grokkit.studies.ledger.protocols import _geometry_models as gm

    found: dict[str, list[float]] = {}

    def spread(name: str, start: Any, data: Any, rate: float, steps: int, seed: int, kind: str = "Adam") -> Any:
        losses: list[float] = []
        path: list[Any] = []

        def watch(step: int, weights: Any) -> None:
            if step >= steps - HELD:
                losses.append(float(gm.half_square(gm.bilinear(weights, data[0]), data[1])))
                path.append(torch.cat([value.flatten().clone() for value in weights.values()]))

        generator = torch.Generator().manual_seed(seed)
        ended = gm.fit(gm.bilinear, start, data, rate, steps, generator, watch=watch, kind=kind)
        of_weights = float(torch.stack(path).var(dim=0).sum()) ** 0.5
        found.setdefault(name, []).append(float(np.std(losses, ddof=1)) * of_weights)
        return ended

    for seed in seeds:
        whole, data = gm.product_pairs(256, seed, whole=True), gm.product_pairs(256, seed)
        spread("exact weights", gm.strassen_weights(), whole, 1e-3, HELD, seed)
        spread("exact weights, Gaussian operands", gm.strassen_weights(), data, 1e-3, HELD, seed)
        start = gm.bilinear_start(8, torch.Generator().manual_seed(seed))
        spread("first steps", start, data, 1e-2, HELD, seed)
        learned = gm.fit(gm.bilinear, start, data, 1e-2, STEPS[context.scale], torch.Generator().manual_seed(seed))
        spread("learned weights", learned, data, 1e-3, HELD, seed)
        spread("learned weights, plain descent", learned, data, 1e-3, HELD, seed, "SGD")
    words = {
        "exact weights": "held at Strassen's scheme by Adam, whole operands",
        "exact weights, Gaussian operands": "the same with Gaussian operands, whose products are rounded",
        "first steps": f"in the first {HELD} steps of Adam at 0.01 from random weights",
        "learned weights": f"in {HELD} steps of Adam at 0.001 after training",
        "learned weights, plain descent": f"in {HELD} steps of plain descent at 0.001 after training",
    }
    figures = {
        f"spreads, {name}": gm.typical([*values], f"deviation of the loss times that of the weights, {words[name]}")
        for name, values in found.items()
    }
    return figures, (
        "Deviations over successive steps; of the weights, the root of the summed variances. At an exact solution both "
        "are zero and stay so while its products are exact (Adam magnifies rounding to steps of its own). No constant "
        "bounds their product from below: near a solution it is small, in the first steps large."
    )


def _curvature(seeds: range, context: Context) -> tuple[dict[str, Figure], str]:
    """The rank of Fisher metrics, and the scalar curvature that is left when one is made invertible."""
    import torch

    from grokkit.dynamics import Loss
    from grokkit.studies.ledger.protocols import _geometry_models as gm
    from grokkit.tasks import Mean
    from grokkit.transfer.geometry import Coupling, coupling, natural_step, product_metric, scalar_curvature

    exact = natural_step(Loss(gm.bilinear, gm.strassen_weights(), gm.half_square), gm.product_pairs(256, seeds[0]))
    figures = {
        "rank at the solution": Figure(float(exact.rank), what="rank of the Fisher metric at Strassen's scheme"),
        "parameters": Figure(float(exact.dimension), what="parameters of Strassen's scheme"),
    }
    ranks = []
    for seed in seeds:
        generator, data = torch.Generator().manual_seed(seed), gm.product_pairs(256, seed)
        start = gm.bilinear_start(7, generator)
        learned = gm.fit(gm.bilinear, start, data, 1e-2, STEPS[context.scale], generator)
        ranks.append(float(natural_step(Loss(gm.bilinear, learned, gm.half_square), data).rank))
    figures["rank, trained"] = Figure.of(Mean.of(ranks), "rank of the Fisher metric of trained networks of 7 slots")
    one = torch.ones(2, dtype=torch.float64)
    for stretch in STRETCHES:
        left = scalar_curvature(product_metric(1e-6, stretch), one)
        name = f"curvature, ridge stretched by {stretch:g}"
        figures[name] = _figure(left, f"scalar curvature of f = u v at (1, 1), 1e-6 diag(1, {stretch:g}) added")
    bare = coupling(scalar_curvature(product_metric(), one), 1.0, 4096.0)
    figures["coupling"] = _figure(
        bare.value if isinstance(bare, Coupling) else bare, "coupling of f = u v at (1, 1), metric as it is"
    )
    return figures, (
        "Every slot of a bilinear network has two scalings that change nothing, so its Fisher metric is singular "
        "everywhere, and the inverse, Christoffel symbols and Ricci tensor of the equation do not exist. A ridge makes "
        "it invertible, and its curvature tends to a number that depends on the shape of the ridge. Λ stands beside "
        "that curvature and is as little defined."
    )


def _figure(found: Any, what: str) -> Figure:
    """A number, or the reason why there is none."""
    return Figure(None, what=what, reason=found.reason) if hasattr(found, "reason") else Figure(float(found), what=what)


def _coupling(seeds: range, context: Context) -> tuple[dict[str, Figure], str]:
    """G at every reading of c, at every cutoff of the pseudo-inverse, and along a descent."""
    import torch

    from grokkit.dynamics import Loss
    from grokkit.studies.ledger.protocols import _geometry_models as gm
    from grokkit.transfer.geometry import READINGS, Coupling, coupling, natural_step, product_metric, scalar_curvature

    metric, ratios = product_metric(RIDGE), {}
    found: dict[str, list[float | None]] = {}

    def keep(name: str, value: Any) -> None:
        found.setdefault(name, []).append(abs(value.value) if isinstance(value, Coupling) else None)

    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        point, path = 0.5 + torch.rand(2, generator=generator, dtype=torch.float64), []
        for _ in range(HELD):
            wrong = float(point.prod()) - 1
            slope = wrong * point.flip(0)
            path.append((point.clone(), float(slope @ slope)))
            point = point - 0.02 * slope
        (middle, square), (last, small) = path[HELD // 2], path[-1]
        for reading, c in READINGS.items():
            keep(f"c a {reading}", coupling(scalar_curvature(metric, middle), square, c))
        halfway = coupling(scalar_curvature(metric, middle), square, 4096.0)
        end = coupling(scalar_curvature(metric, last), small, 4096.0)
        settles = end.value / halfway.value if isinstance(end, Coupling) and isinstance(halfway, Coupling) else None
        found.setdefault("at the end over halfway", []).append(settles)
        data = gm.cyclotron_pairs(256, seed)
        weights = gm.fit(gm.tanh_network, gm.tanh_start(8, generator), data, 1e-2, STEPS[context.scale], generator)
        for cutoff in CUTOFFS:
            step = natural_step(Loss(gm.tanh_network, weights, gm.half_square), data, relative=cutoff)
            keep(f"cutoff {cutoff:g}", coupling(1.0, step.decrease, 4096.0))
    words = {
        f"c a {reading}": f"size of G of f = u v halfway a descent, c taken for a {reading}" for reading in READINGS
    }
    words |= {
        f"cutoff {cutoff:g}": f"G of a trained cyclotron network for a curvature of 1, cutoff {cutoff:g}"
        for cutoff in CUTOFFS
    }
    for name, start, text in (
        ("readings of c", "c a ", "largest over smallest G of what c is taken for"),
        ("cutoffs", "cutoff ", "largest over smallest G of the cutoffs of the pseudo-inverse"),
    ):
        rows = zip(*(values for key, values in found.items() if key.startswith(start)), strict=True)
        ratios[f"{name}, largest over smallest G"] = gm.typical([_apart(row) for row in rows], text)
    words["at the end over halfway"] = f"G after {HELD} steps of descent over G after {HELD // 2} (1: it settles)"
    figures = ratios
    for name, values in found.items():
        full = f"coupling {name}" if name.startswith("at") else f"coupling, {name}"
        figures[full] = gm.typical(values, words[name])
    return figures, (
        "G = c⁴ R / (8π |∇L|²) goes with the fourth power of what c is taken for and the square of the unit of the "
        "loss, and grows without bound as the gradient goes to zero. With |∇L|² in the metric it needs an inverse, and "
        "the cutoff of the pseudo-inverse decides it. R is that of a metric with a ridge. Λ = 1e-3 with weight decay "
        "5.6 is stated of the same equation and was not tried."
    )


def _apart(values: tuple[float | None, ...]) -> float | None:
    held = [value for value in values if value is not None]
    return max(held) / min(held) if len(held) == len(values) else None


def _horizon(context: Context) -> Measurement:
    from grokkit.transfer.geometry import READINGS, horizon, horizon_readings, parameters_at

    figures = {
        f"radius, c a {name}": Figure(
            horizon(PUBLISHED_G, PUBLISHED_P, c), what=f"2 G p / c² at p = {PUBLISHED_P}, c taken for a {name}"
        )
        for name, c in READINGS.items()
    }
    figures["parameters that the stated radius needs"] = Figure(
        parameters_at(PUBLISHED_RADIUS, PUBLISHED_G, 4096.0), what="p at which the formula gives 5.7e7, c = 4096"
    )
    facts: dict[str, bool | str] = {"readings": str(horizon_readings(PUBLISHED_G, PUBLISHED_P, PUBLISHED_RADIUS))}
    note = (
        "The document's own formula and constants, under each of the meanings that it gives c. The radius has no unit, "
        "and G itself is claim K14."
    )
    return Measurement("K07", figures, facts, {}, "", context.scale, note)


def _gaps(seeds: range, context: Context) -> tuple[dict[str, Figure], str]:
    """Test less training error against the published bound."""
    import torch

    from grokkit.dynamics import Estimate, Loss
    from grokkit.studies.ledger.protocols import _geometry_models as gm
    from grokkit.tasks import Mean
    from grokkit.transfer.geometry import LeastSquaresGap, gap_exponent, published_bound

    exact = Loss(gm.bilinear, gm.strassen_weights(), gm.half_square)
    of_scheme, of_widths, of_sizes = [], [], []
    for seed in seeds:
        gap = exact.value(gm.product_pairs(256, 2 * seed)) - exact.value(gm.product_pairs(256, 2 * seed + 1))
        of_scheme.append(gap / published_bound(exact.dimension))
        training, test = gm.cyclotron_pairs(GAP_SAMPLES, 2 * seed), gm.cyclotron_pairs(4096, 2 * seed + 1)
        row = []
        for width in WIDTHS:
            generator = torch.Generator().manual_seed(seed)
            weights = gm.fit(
                gm.tanh_network, gm.tanh_start(width, generator), training, 1e-2, STEPS[context.scale], generator
            )
            loss = Loss(gm.tanh_network, weights, gm.half_square)
            row.append(loss.value(test) - loss.value(training))
        of_widths.append(row)
        rng = np.random.default_rng([seed, 3])
        of_sizes.append([float(np.mean([LeastSquaresGap(NOISY[0], p).draw(rng) for _ in range(20)])) for p in NOISY[1]])
    sizes = [10 * width + 4 for width in WIDTHS]
    least = [min(gap / published_bound(p) for gap, p in zip(row, sizes, strict=True)) for row in of_widths]
    figures = {
        "gap over the bound, exact scheme": Figure.of(
            Mean.of(of_scheme), "test less training error of Strassen's scheme over ħ / (2 sqrt p), p = 84"
        ),
        "gap over the bound, cyclotron": Figure.of(
            Mean.of(least),
            f"the same of cyclotron networks of {sizes[0]} to {sizes[-1]} parameters, the least of a seed",
        ),
        "bound at 1821": Figure(published_bound(PUBLISHED_P), what="ħ / (2 sqrt p) at p = 1821"),
    }
    for name, p, rows in (("cyclotron", sizes, of_widths), ("noisy least squares", list(NOISY[1]), of_sizes)):
        found = gap_exponent(p, np.array(rows).T)
        figures[f"exponent, {name}"] = (
            Figure(found.value, found.low, found.high, len(seeds), f"power of p of the mean gap, {name} (bound: -0.5)")
            if isinstance(found, Estimate)
            else _figure(found, f"power of p of the mean gap, {name}")
        )
    return figures, (
        "An exact scheme has no gap at any p, so the formula is no lower bound. The gap of noisy least squares grows "
        "with p, where the formula falls."
    )


PROTOCOLS = (
    Protocol(
        "curvature",
        "Metrics, couplings and spreads",
        ("K04", "K05", "K06", "K07", "K12", "K14"),
        metrics,
        NEEDS,
    ),
)
