"""Noise before rounding: on exact weights, where its effect has a closed form, and on trained ones."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from grokkit.crystallize import crystallize
from grokkit.scheme import nearest
from grokkit.scheme.catalog import catalog
from grokkit.studies._statistics import Median, Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols._networks import networks

SEED: Final = 20260305
TRIALS: Final = {"quick": 500, "full": 5000}
RUNS: Final = {"quick": 16, "full": 64}
SIGMAS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.15, 0.2)
"""The five of the document, and two at which rounding begins to fail."""


def noise(context: Context) -> dict[str, Measurement]:
    """Claim N01."""
    seed, trials = SEED + context.seed, TRIALS[context.scale]
    runs = RUNS[context.scale]
    rng = np.random.default_rng(seed)
    u, v, w = catalog["strassen"].floats()
    exact = np.concatenate([u.ravel(), v.ravel(), w.ravel()])
    figures, baselines = {}, {}
    context.progress(f"{trials} trials a noise level")
    for sigma in SIGMAS:
        rounded = nearest(exact + sigma * rng.standard_normal((trials, exact.size)))
        right = int((rounded == exact).all(axis=1).sum())
        figures[f"exact weights, {sigma}"] = Figure.of(
            Proportion(right, trials), f"share of exact weights that survive noise of {sigma} and rounding"
        )
        errors = [_relative_error(*_split(each)) for each in rounded[:100]]
        figures[f"error, exact weights, {sigma}"] = Figure.of(
            Median.of(errors), f"relative error of the product after noise of {sigma} and rounding"
        )
        baselines[f"closed form, {sigma}"] = Figure(
            closed_form(sigma), what=f"the same share at {sigma}, in closed form"
        )
    context.progress(f"{runs} networks by the published protocol")
    population = networks("source", runs, seed).population
    trained = [np.asarray(side, dtype=np.float64) for side in (population.U, population.V, population.W)]
    for sigma in (0.0, *SIGMAS[:5]):
        shaken = [side + sigma * rng.standard_normal(side.shape) for side in trained]
        share = Proportion(crystallize((shaken[0], shaken[1], shaken[2]), method="plain").exact, runs)
        figures[f"trained weights, {sigma}"] = Figure.of(
            share, f"share of trained weights that round to an exact algorithm after noise of {sigma}"
        )
        errors = [_relative_error(*(nearest(side[run]) for side in shaken)) for run in range(runs)]
        figures[f"error, trained weights, {sigma}"] = Figure.of(
            Median.of(errors), f"relative error of the product of trained weights after noise of {sigma} and rounding"
        )
    note = (
        "Exact weights (Strassen's, in its integer basis) survive with p^z ((1 + p) / 2)^(84 - z), p = erf(1 / (2 "
        "sigma sqrt 2)), z = 48 zeros. Weights trained by the published protocol fail to round without any noise, so "
        "their failure with noise says nothing of noise."
    )
    seeds = f"root seed {seed}, {trials} trials a level, {runs} networks"
    return {"N01": Measurement("N01", figures, {}, baselines, seeds, context.scale, note)}


def closed_form(sigma: float) -> float:
    """Probability that clamping and rounding undoes noise on Strassen's 48 zeros and 36 signs."""
    p = math.erf(0.5 / (sigma * math.sqrt(2)))
    return p**48 * ((1 + p) / 2) ** 36


def _split(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return weights[:28].reshape(7, 4), weights[28:56].reshape(7, 4), weights[56:].reshape(4, 7)


def _relative_error(u: np.ndarray, v: np.ndarray, w: np.ndarray) -> float:
    """Root of the expected squared error over the expected squared norm, for Gaussian operands."""
    target = catalog["strassen"].target.tensor()
    return float(np.linalg.norm(np.einsum("ra,rb,cr->abc", u, v, w) - target) / np.linalg.norm(target))


PROTOCOLS = (Protocol("noise", "Noise on the weights before rounding", ("N01",), noise),)
