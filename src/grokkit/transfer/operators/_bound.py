"""The spectral-tail bound of zero-shot transfer, beside the errors that it is said to bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.transfer.operators._grid import random_coefficients
from grokkit.transfer.operators._multiplier import Multiplier

_ROUNDING = 1e-12
KINDS = ("multiplier", "kernel", "compressed kernel", "sampled multiplier")
"""The families of `bound_violations`."""


@final
@dataclass(frozen=True)
class SpectralTail:
    """Errors in L² of an operator H that sees only the modes |k| ≤ N of each field θ, and what bounds them.

    The published bound is ‖H‖_HS sqrt(Σ_{|k|>N} |θ_k|²). It holds for `error`, since H (θ − P θ) is all that is lost:
    ‖H x‖ ≤ ‖H‖ ‖x‖ ≤ ‖H‖_HS ‖x‖. With it, `operator_bound` has the smaller ‖H‖.

    The published truncation is P H P, whose `compressed_error` also loses what H sends from low modes to high ones.
    That has nothing to do with the tail of θ, and is zero exactly if H keeps low modes low, as a multiplier does.
    `compressed_bound` adds ‖(1 − P) H P‖_HS ‖P θ‖.

    A field sampled on 2N + 1 nodes is not cut but folded: `sampled_error` is that of H on the interpolated samples. Its
    bound is sqrt(1 + c) as large, where c is the most high modes that fold onto one low mode.
    """

    kept: int
    """N."""
    modes: int
    """The highest mode of the fields."""
    tail: Float[np.ndarray, " fields"]
    """sqrt(Σ_{|k|>N} |θ_k|²)."""
    error: Float[np.ndarray, " fields"]
    """‖H θ − H P θ‖."""
    compressed_error: Float[np.ndarray, " fields"]
    """‖H θ − P H P θ‖."""
    sampled_error: Float[np.ndarray, " fields"]
    bound: Float[np.ndarray, " fields"]
    operator_bound: Float[np.ndarray, " fields"]
    compressed_bound: Float[np.ndarray, " fields"]
    sampled_bound: Float[np.ndarray, " fields"]

    def to_json(self) -> dict[str, Any]:
        return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in vars(self).items()}


def spectral_tail(
    operator: Multiplier | Complex[np.ndarray, "rows columns"],
    coefficients: Complex[np.ndarray, "fields modes"],
    kept: int,
) -> SpectralTail:
    """The bound beside the errors, for fields given by centred coefficients k = −K..K.

    `operator` is a multiplier with a scalar symbol or any matrix on the same coefficients. Parseval makes Euclidean
    norms of coefficients the norms of fields. Raises `InvalidInput` for other shapes or NaN, or N outside 0..K.
    """
    size = coefficients.shape[-1]
    if size % 2 == 0:
        raise InvalidInput(f"coefficients: {size} a field; an odd number -K..K is needed")
    if not np.isfinite(coefficients).all():
        raise InvalidInput("coefficients: one is not finite; remove that field")
    highest = size // 2
    if not 0 <= kept <= highest:
        raise InvalidInput(f"kept: {kept}; the fields have modes up to {highest}")
    dense = _dense(operator, highest)
    wavenumbers = np.arange(-highest, highest + 1)
    low = np.abs(wavenumbers) <= kept
    cut = coefficients * low
    folded = np.zeros_like(coefficients)
    homes = highest + (wavenumbers + kept) % (2 * kept + 1) - kept
    for index, home in enumerate(homes):
        folded[:, home] += coefficients[:, index]
    truth, of_low = coefficients @ dense.T, cut @ dense.T
    norms = np.linalg.norm(dense), np.linalg.norm(dense, 2)
    leak = np.linalg.norm(dense[np.ix_(~low, low)]) if not low.all() else 0.0
    tail = np.linalg.norm(coefficients - cut, axis=-1)
    copies = np.bincount(homes[~low], minlength=1).max() if not low.all() else 0
    return SpectralTail(
        kept,
        highest,
        tail,
        np.linalg.norm(truth - of_low, axis=-1),
        np.linalg.norm(truth - of_low * low, axis=-1),
        np.linalg.norm(truth - folded @ dense.T, axis=-1),
        norms[0] * tail,
        norms[1] * tail,
        norms[0] * tail + leak * np.linalg.norm(cut, axis=-1),
        norms[0] * np.sqrt(1.0 + copies) * tail,
    )


def _dense(operator: Multiplier | np.ndarray, highest: int) -> np.ndarray:
    if isinstance(operator, Multiplier):
        if operator.symbol.ndim != 1:
            raise InvalidInput("operator: its symbol mixes channels; give one with a number a mode")
        if operator.modes > highest:
            raise InvalidInput(f"operator: it has modes up to {operator.modes}, the fields up to {highest}")
        return np.diag(operator.embed(highest).symbol)
    if operator.shape != (2 * highest + 1, 2 * highest + 1) or not np.isfinite(operator).all():
        raise InvalidInput(f"operator: a finite matrix of {2 * highest + 1} rows and columns is needed")
    return operator


@final
@dataclass(frozen=True)
class Violations:
    """How often errors of random operators and fields exceed the published bound, and the completed one."""

    kind: str
    n: int
    seed: int
    published: int
    completed: int
    rate_low: float
    """95 % Clopper-Pearson interval of the rate of violations of the published bound."""
    rate_high: float
    largest_ratio: float
    """Of an error to the published bound."""
    median_ratio: float

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def bound_violations(kind: str, n: int, seed: int, *, modes: int = 24) -> Violations:
    """The bound on `n` random operators, each with its own N, decays of symbol and field, and one field.

    `kind`: "multiplier" (error of H P); "kernel", a dense random operator (error of H P); "compressed kernel" (error of
    P H P, the published truncation); "sampled multiplier" (the field is sampled, and folds).
    """
    if kind not in KINDS:
        raise InvalidInput(f"kind: {kind!r}; one of {', '.join(KINDS)}")
    if n < 1:
        raise InvalidInput(f"n: {n}; at least one operator is needed")
    ratios, published, completed = np.empty(n), 0, 0
    for index in range(n):
        generator = np.random.default_rng((seed, KINDS.index(kind), index))
        field = random_coefficients((1,), modes, generator, decay=float(generator.uniform(0, 4)), real=False)
        decay = float(generator.uniform(0, 4))
        symbol = random_coefficients((), modes, generator, decay=decay, real=False)
        operator: Multiplier | np.ndarray = Multiplier(symbol)
        if "kernel" in kind:
            operator = symbol[:, None] * random_coefficients((2 * modes + 1,), modes, generator, real=False)
        found = spectral_tail(operator, field, int(generator.integers(0, modes)))
        error, whole = {
            "compressed kernel": (found.compressed_error, found.compressed_bound),
            "sampled multiplier": (found.sampled_error, found.sampled_bound),
        }.get(kind, (found.error, found.operator_bound))
        ratios[index] = float(error[0] / found.bound[0])
        published += bool(_exceeds(error, found.bound)[0])
        completed += bool(_exceeds(error, whole)[0])
    low = float(stats.beta.ppf(0.025, published, n - published + 1)) if published else 0.0
    high = float(stats.beta.ppf(0.975, published + 1, n - published)) if published < n else 1.0
    largest, median = float(ratios.max()), float(np.median(ratios))
    return Violations(kind, n, seed, published, completed, low, high, largest, median)


def _exceeds(error: np.ndarray, bound: np.ndarray) -> Bool[np.ndarray, " fields"]:
    return error > bound * (1 + _ROUNDING)


def heat_kernel(fields: int = 200, modes: int = 64) -> tuple[Multiplier, Complex[np.ndarray, "fields modes"]]:
    """An example for the bound: exp(-k²/200), and random fields whose coefficients fall as k^-1.5."""
    coefficients = random_coefficients((fields,), modes, np.random.default_rng(0), decay=1.5)
    return Multiplier.of(lambda k: np.exp(-(k**2) / 200) + 0j, modes), coefficients
