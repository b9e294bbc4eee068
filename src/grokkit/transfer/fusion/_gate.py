"""A gate: the weight of the first expert as a small network of the frequency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float
from scipy import optimize

from grokkit.scheme import InvalidInput
from grokkit.transfer.fusion._network import Network, frozen

RIDGES: Final = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Penalties that are tried, from a gate that is nearly constant to one that is nearly free."""
_FOLDS: Final = 3
_ITERATIONS: Final = 500


@final
@dataclass(frozen=True)
class Gate:
    """α(ω), a network of ω scaled to −1..1 over the frequencies of training. Not confined to 0..1, as α* is not."""

    network: Network
    low: float
    high: float
    seed: int
    ridge: float
    """The penalty that was chosen."""

    def __call__(self, frequencies: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
        return self.network(_scaled(frequencies, self.low, self.high))[:, 0]

    def to_json(self) -> dict[str, Any]:
        return {
            "low": self.low,
            "high": self.high,
            "seed": self.seed,
            "ridge": self.ridge,
            "network": self.network.to_json(),
        }


def train_gate(
    frequencies: Float[np.ndarray, " samples"],
    truth: Float[np.ndarray, "samples entries"],
    first: Float[np.ndarray, "samples entries"],
    second: Float[np.ndarray, "samples entries"],
    seed: int,
    *,
    width: int = 8,
) -> Gate:
    """The gate of least fused squared error of two frozen experts: L-BFGS, with a penalty on its weights.

    Only two numbers of a sample matter: with d = f₁ − f₈ the error is |d|² α² − 2 ⟨y − f₈, d⟩ α plus what no gate
    changes. They are summed for each frequency. The penalty, on all but the last bias, is chosen on frequencies left
    out, every third in turn: the largest of `RIDGES` that is worse than the best by no more than one standard error of
    their difference (Breiman, Friedman, Olshen, Stone 1984). Raises `InvalidInput` for NaN, no sample, or fewer than 3
    different frequencies.
    """
    if width < 1:
        raise InvalidInput(f"gate: {width} hidden units; at least 1 is needed")
    for what, values in (("frequencies", frequencies), ("truth", truth), ("first", first), ("second", second)):
        if not np.isfinite(values).all():
            raise InvalidInput(f"{what}: {int((~np.isfinite(values)).sum())} values are not finite")
    known, groups = np.unique(frequencies, return_inverse=True)
    if len(known) < _FOLDS:
        raise InvalidInput(f"frequencies: {len(known)} different ones; a gate needs at least {_FOLDS}")
    apart = first - second
    squares = np.bincount(groups, weights=(apart**2).sum(axis=-1))
    products = np.bincount(groups, weights=((truth - second) * apart).sum(axis=-1))
    scale = squares.sum()
    if not scale > 0:
        raise InvalidInput("experts: they agree on every sample, so every gate is optimal; give two that differ")
    low, high = float(known[0]), float(known[-1])
    moments = _Reduced(_scaled(known, low, high), squares / scale, products / scale)
    fold = np.arange(len(known)) % _FOLDS
    costs = {ridge: np.empty(len(known)) for ridge in RIDGES}
    for ridge, left_out in costs.items():
        for part in range(_FOLDS):
            network = moments.fitted(fold != part, width, seed, ridge)
            left_out[fold == part] = moments.costs(network)[fold == part]
    least = min(costs.values(), key=np.sum)

    def as_good(ridge: float) -> bool:
        worse = costs[ridge] - least
        return bool(worse.sum() <= worse.std(ddof=1) * math.sqrt(len(known)))

    ridge = next(ridge for ridge in RIDGES if as_good(ridge))
    return Gate(moments.fitted(fold >= 0, width, seed, ridge), low, high, seed, ridge)


@final
@dataclass(frozen=True)
class _Reduced:
    """What a gate is fitted to: for each frequency |d|² and ⟨y − f₈, d⟩, summed."""

    inputs: np.ndarray
    squares: np.ndarray
    products: np.ndarray

    def costs(self, network: Network) -> np.ndarray:
        """At each frequency."""
        alpha = network(self.inputs)[:, 0]
        return self.squares * alpha**2 - 2 * self.products * alpha

    def fitted(self, chosen: np.ndarray, width: int, seed: int, ridge: float) -> Network:
        inputs, a, b = (each[chosen] for each in (self.inputs, self.squares, self.products))
        generator = np.random.default_rng(seed)
        start = np.concatenate(
            [
                generator.standard_normal(width),
                np.zeros(width),
                generator.standard_normal(width) / math.sqrt(width),
                [0],
            ]
        )

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            w1, b1, w2 = flat[:-1].reshape(3, width)
            bent = np.tanh(inputs * w1 + b1)
            alpha = bent @ w2 + flat[-1]
            slope = 2 * (a * alpha - b)
            inner = slope[:, None] * w2 * (1 - bent**2)
            gradient = np.concatenate([(inner * inputs).sum(0), inner.sum(0), slope @ bent, [slope.sum()]])
            gradient[:-1] += 2 * ridge * a.sum() * flat[:-1]
            value = (a * alpha**2 - 2 * b * alpha).sum() + ridge * a.sum() * (flat[:-1] ** 2).sum()
            return float(value), gradient

        found = optimize.minimize(
            loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS, "ftol": 1e-14, "gtol": 1e-10}
        ).x
        w1, b1, w2 = found[:-1].reshape(3, width)
        return frozen(w1[:, None], b1, w2[None], found[-1:])


def _scaled(frequencies: np.ndarray, low: float, high: float) -> np.ndarray:
    return ((2 * frequencies - low - high) / (high - low))[:, None]
