"""Noise in the weights while a network learns: how much the descent bears, and whether the rank stays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from grokkit.crystallize import Crystallization, crystallize
from grokkit.scheme import InvalidInput, MatrixProduct
from grokkit.studies._expansion_operator import NoExpansion, discover_expansion_operator
from grokkit.studies._statistics import Median, Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols._descent import error, gradient, start, target_matrix
from grokkit.training import TrainConfig, train

SEED: Final = 20260503
RUNS: Final = {"quick": 32, "full": 128}
"""Starts; each is trained at every noise level."""
STEPS: Final = {"quick": 2000, "full": 4000}
RATE: Final = 0.2
SLOTS: Final = 8
SIDES: Final = (4, 4)
LEVELS: Final = (0.0, *(round(0.0005 * 2 ** (k / 2), 7) for k in range(13)))
"""Standard deviations of the noise that each step adds to every weight: 0, and 0.0005 to 0.032."""
LEARNED: Final = 0.1
"""Largest error of an output over its norm that counts as learned."""
WEAK: Final = 0.25
ARMS: Final = {
    "equal outputs": (1.0, 1.0, 1.0, 1.0),
    "one weak output": (WEAK, 1.0, 1.0, 1.0),
    "all weak": (WEAK, WEAK, WEAK, WEAK),
}
"""Factors on the four outputs of the 2x2 product; its singular values are these times the root of 2."""

INJECTED: Final = (0.0, 0.01, 0.03, 0.1)
ROBUST_RUNS: Final = {"quick": 64, "full": 512}
NEAR: Final = 0.1
"""Largest share of the weights' norm by which polishing may move a network that holds an algorithm."""
ROBUST_FILE: Final = "strassen_robust.pt"


def threshold(context: Context) -> Measurement:
    """Claim S15: plain descent with noise in every step, by level, for operators with other singular values."""
    seed, runs, steps = SEED + context.seed, RUNS[context.scale], STEPS[context.scale]
    figures: dict[str, Figure] = {}
    middle: dict[str, list[float]] = {}
    for arm, factors in ARMS.items():
        context.progress(f"{len(LEVELS)} levels of noise, {arm}")
        learned, in_total = _learned(np.array(factors), runs, steps, seed)
        shares = [Figure.of(Proportion(int(row.sum()), runs), f"share of runs that learn, {arm}") for row in learned]
        figures[f"success without noise, {arm}"] = shares[0]
        figures[f"success with most noise, {arm}"] = shares[-1]
        for sigma, share in zip(LEVELS[1:-1], shares[1:-1], strict=True):
            figures[f"success at {sigma:.2g}, {arm}"] = share
        smallest = float(np.linalg.svd(_target(np.array(factors)), compute_uv=False)[-1])
        figures[f"smallest singular value, {arm}"] = Figure(smallest, what=f"smallest singular value, {arm}")
        middle[arm] = thresholds(learned)
        figures[f"threshold by total error, {arm}"] = _middle(
            thresholds(in_total), f"the same if the error is measured over all outputs together, {arm}"
        )
        what = f"noise a step (standard deviation) up to which a run learns, {arm}"
        figures[f"threshold, {arm}"] = _middle(middle[arm], what)
        ratio = [each**2 / smallest for each in middle[arm]]
        what = f"variance at the threshold over the smallest singular value, {arm}"
        figures[f"variance over singular value, {arm}"] = _middle(ratio, what)
    for arm in ("equal outputs", "all weak"):
        name = f"threshold, one weak output over {arm}"
        figures[name] = _ratio(
            middle["one weak output"], middle[arm], seed, f"threshold with one weak output over {arm}"
        )
    note = (
        f"W <- W - {RATE} grad L + xi on the expected loss, {SLOTS} slots, {steps} steps; learned: every output's "
        f"error is at most {LEARNED:g} of that output. The operator is the 2x2 product (outputs x pairs of entries), "
        f"some outputs made {WEAK:g} as strong. An exact algorithm has every output right, so each is asked for; "
        "measured over all outputs together, one weak output counts less. Whatever network computes the product "
        "itself has singular values of 1.41, so for it the threshold is a number."
    )
    told = f"root seed {seed}, {runs} starts, each at {len(LEVELS)} levels"
    return Measurement("S15", figures, {}, {}, told, context.scale, note)


def _target(factors: np.ndarray) -> np.ndarray:
    return target_matrix(MatrixProduct(2, 2, 2)) * factors


def _middle(values: list[float], what: str) -> Figure:
    if not values:
        return Figure(None, what=what, reason="no run learns without noise")
    return Figure.of(Median.of(values), what)


def _learned(factors: np.ndarray, runs: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether each run learns at each level, every output and all of them together: (levels, runs)."""
    import torch

    target = torch.from_numpy(_target(factors)).float()
    generator = torch.Generator().manual_seed(seed + 1)
    weights = start(runs, SLOTS, sum(SIDES) + target.shape[1], seed).repeat(len(LEVELS), 1, 1)
    sigma = torch.tensor(LEVELS).repeat_interleave(runs)[:, None, None]
    for _ in range(steps):
        weights -= RATE * gradient(weights, target, SIDES)
        weights += sigma * torch.randn(weights.shape, generator=generator)
    squares = error(weights, target, SIDES).square().sum(-2)
    worst = (squares / target.square().sum(0)).amax(-1).sqrt()
    total = (squares.sum(-1) / target.square().sum()).sqrt()
    every, together = ((each <= LEARNED).reshape(len(LEVELS), runs).numpy() for each in (worst, total))
    return every, together


def thresholds(learned: np.ndarray) -> list[float]:
    """For each run that learns without noise, the middle (geometric) between its last success and its first failure.

    A run that fails at the first level already counts with half that level, one that never fails with the last level.
    """
    found = []
    for run in learned.T:
        if not run[0]:
            continue
        first = int(np.argmin(run)) if not run.all() else len(run)
        if first == len(run):
            found.append(LEVELS[-1])
        else:
            found.append(LEVELS[1] / 2 if first == 1 else float(np.sqrt(LEVELS[first - 1] * LEVELS[first])))
    return found


def _ratio(above: list[float], below: list[float], seed: int, what: str) -> Figure:
    """Ratio of medians, with a percentile interval over runs of both."""
    if not above or not below:
        return Figure(None, what=what, reason="no run learns without noise")
    rng = np.random.default_rng(seed)
    drawn = np.median(rng.choice(above, (2000, len(above))), axis=1) / np.median(
        rng.choice(below, (2000, len(below))), axis=1
    )
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = float(np.median(above) / np.median(below))
    return Figure(value, float(min(low, value)), float(max(high, value)), min(len(above), len(below)), what)


def robust(context: Context) -> Measurement:
    """Claim S16: networks trained with noise on the weights, crystallized; and the published weights, if at hand."""
    seed, runs = SEED + 500 + context.seed, ROBUST_RUNS[context.scale]
    figures: dict[str, Figure] = {}
    for sigma in INJECTED:
        context.progress(f"{runs} networks trained with weight noise of {sigma}")
        population = train(TrainConfig(runs=runs, seed=seed, weight_noise=sigma))
        found = crystallize(population, seed=seed)
        kept = kept_rank(found)
        figures[f"keeps rank 7, noise {sigma}"] = Figure.of(
            Proportion(sum(kept), runs), f"share of networks that hold an exact algorithm of 7 products, noise {sigma}"
        )
        figures[f"loss, noise {sigma}"] = Figure.of(
            Median.of(population.test_loss.tolist()), f"test loss without noise after training with noise {sigma}"
        )
        figures[f"moved, noise {sigma}"] = Figure.of(
            Median.of([run.path.polish_moved or 0.0 for run in found]), f"how far polishing moves them, noise {sigma}"
        )
    rng = np.random.default_rng(seed)
    shapes = ((runs, 7, 4), (runs, 7, 4), (runs, 4, 7))
    u, v, w = (0.5 * rng.standard_normal(shape) for shape in shapes)
    untrained = kept_rank(crystallize((u, v, w), seed=seed))
    baselines = {
        "keeps rank 7, untrained": Figure.of(Proportion(sum(untrained), runs), "the same of untrained weights")
    }
    facts, explained = _published(context)
    if explained is not None:
        figures["explained by the published weights"] = explained
    note = (
        "Our protocol (8 slots pruned to 7) with Gaussian noise on every weight in every step. A network holds an "
        f"algorithm if it crystallizes and polishing moves it by at most {NEAR:.0%} of its norm."
    )
    told = f"root seed {seed}, {runs} networks at each level"
    return Measurement("S16", figures, facts, baselines, told, context.scale, note)


def kept_rank(found: Crystallization) -> list[bool]:
    """Whether each network is near an exact algorithm of 7 products."""
    return [run.scheme is not None and run.scheme.rank == 7 and (run.path.polish_moved or 0.0) <= NEAR for run in found]


def _published(context: Context) -> tuple[dict[str, bool | str], Figure | None]:
    """Whether the published weights of the robust training compute the product, if the file is at hand."""
    name = "published robust weights compute the product"
    folder = context.data_folder("checkpoints")
    path = None if folder is None else folder / ROBUST_FILE
    if path is None or not path.is_file():
        return {name: "not at hand: put the published weight files into a folder checkpoints/ of the data folder"}, None
    metrics: dict[str, Any]
    try:
        metrics = discover_expansion_operator(path)[1]
    except NoExpansion as failure:
        metrics = failure.metrics
    except InvalidInput as failure:
        return {name: f"refused: {str(failure)[:120]}"}, None
    share = float(metrics["confidence"])
    what = "share of the product's variance that the published robust weights explain"
    return {name: share > 0.5}, Figure(share, what=what)


def weight_noise(context: Context) -> dict[str, Measurement]:
    """Claims S15 and S16."""
    return {"S15": threshold(context), "S16": robust(context)}


PROTOCOLS = (
    Protocol("weight-noise", "Noise in the weights during training", ("S15", "S16"), weight_noise, ("torch",)),
)
