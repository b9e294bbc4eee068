"""Permutation tests: a difference of means and a correlation, within blocks where there are any."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any, Literal, TypeAlias, final

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics._columns import Data, as_frame, levels, numbers, text
from grokkit.studies.statistics._tables import Randomization
from grokkit.studies.statistics._values import TAIL, Estimate, NotEstimable, as_json

ARRANGEMENTS_UP_TO = 50_000
"""Arrangements that are enumerated; above, they are drawn."""

_CHUNK = 2_000_000

Blocks: TypeAlias = list[np.ndarray]


@final
@dataclass(frozen=True)
class Permutation:
    """A two-sided permutation test, with the estimate that it is about."""

    quantity: str
    estimate: Estimate | NotEstimable
    randomization: Randomization | NotEstimable
    n: int
    blocks: int
    """1 where runs are exchanged freely."""

    @property
    def p(self) -> float | NotEstimable:
        return self.randomization if isinstance(self.randomization, NotEstimable) else self.randomization.p

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        within = f", within {self.blocks} blocks" if self.blocks > 1 else ""
        return f"{self.quantity}: {self.estimate}, {self.randomization}, n = {self.n}{within}"


def permutation_of_means(
    data: Data, response: str, factor: str, *, block: str | None = None, resamples: int = 9999, seed: int = 0
) -> Permutation:
    """Whether the two levels of a factor have the same distribution, by the difference of their means.

    The difference is second less first level; with `block`, runs are exchanged only within a block, and the
    difference is the mean of those within blocks, weighed by n₁ n₂ / (n₁ + n₂) as in an additive model. Few
    arrangements are enumerated; else p = (hits + 1) / (resamples + 1) (Phipson and Smyth 2010), never 0. The
    interval is Welch's t, of the weighted difference with blocks.
    """
    frame = as_frame(data, response, factor, *([block] if block else []))
    y, (distinct, codes) = numbers(frame, response), levels(frame, factor)
    if len(distinct) != 2:
        raise InvalidInput(f"factor {factor!r} has {len(distinct)} values; a difference needs two")
    blocks = _blocks(frame, block)
    parts = [(y[rows], codes[rows]) for rows in blocks]
    weights = np.array([len(c) * (c.mean() * (1 - c.mean())) for _, c in parts])
    quantity = f"mean {response} at {factor}={text(distinct[1])} less {text(distinct[0])}"
    if not weights.any():
        no = NotEstimable("no block has runs of both levels")
        return Permutation(quantity, no, no, len(y), len(blocks))
    used = [(part, weight / weights.sum()) for part, weight in zip(parts, weights, strict=True) if weight]
    shifts = [weight * _gaps(values, codes[None] == 1)[0] for (values, codes), weight in used]
    arrangements = math.prod(math.comb(len(codes), int(codes.sum())) for (_, codes), _ in used)
    if arrangements <= ARRANGEMENTS_UP_TO:
        drawn = np.zeros(1)
        for (values, codes), weight in used:
            chosen = _choices(len(codes), int(codes.sum()))
            drawn = (drawn[:, None] + weight * _gaps(values, chosen)).ravel()
        made = _exact(drawn, float(sum(shifts)))
    else:

        def draw(rng: np.random.Generator, count: int) -> np.ndarray:
            found = np.zeros(count)
            for (values, codes), weight in used:
                found += weight * _gaps(values, rng.permuted(np.tile(codes == 1, (count, 1)), axis=1))
            return found

        made = _drawn(draw, float(sum(shifts)), len(y), resamples, seed)
    return Permutation(quantity, _means_interval(used, float(sum(shifts)), len(y)), made, len(y), len(blocks))


def permutation_of_correlation(
    data: Data,
    first: str,
    second: str,
    *,
    kind: Literal["pearson", "spearman"] = "pearson",
    block: str | None = None,
    resamples: int = 9999,
    seed: int = 0,
) -> Permutation:
    """Whether two numeric columns are independent, by their correlation; exchanged and centered within blocks.

    The interval is Fisher's z with n − blocks degrees of freedom (for Spearman with the variance of Bonett and
    Wright 2000). A column without variance within blocks is not estimable.
    """
    frame = as_frame(data, first, second, *([block] if block else []))
    x, y = numbers(frame, first), numbers(frame, second)
    if kind not in ("pearson", "spearman"):
        raise InvalidInput(f"kind {kind!r} is unknown; choose pearson or spearman")
    if kind == "spearman":
        x, y = stats.rankdata(x), stats.rankdata(y)
    blocks = _blocks(frame, block)
    quantity = f"{kind.capitalize()} correlation of {first} and {second}"
    parts = [(_unit(x[rows]), _unit(y[rows])) for rows in blocks]
    scale = math.sqrt(sum(float(a @ a) for a, _ in parts) * sum(float(b @ b) for _, b in parts))
    for name, at in ((first, 0), (second, 1)):
        if not any(part[at].any() for part in parts):
            no = NotEstimable(f"{name} does not vary" + (" within any block" if block else ""))
            return Permutation(quantity, no, no, len(x), len(blocks))
    observed = sum(float(a @ b) for a, b in parts) / scale
    if math.prod(math.factorial(min(len(a), 12)) for a, _ in parts) <= ARRANGEMENTS_UP_TO:
        drawn = np.zeros(1)
        for a, b in parts:
            drawn = (drawn[:, None] + np.array(list(permutations(b.tolist()))) @ a).ravel()
        made = _exact(drawn / scale, observed)
    else:

        def draw(rng: np.random.Generator, count: int) -> np.ndarray:
            found = np.zeros(count)
            for a, b in parts:
                found += rng.permuted(np.tile(b, (count, 1)), axis=1) @ a
            return found / scale

        made = _drawn(draw, observed, len(x), resamples, seed)
    return Permutation(quantity, _fisher_z(observed, len(x) - len(blocks) + 1, len(x), kind), made, len(x), len(blocks))


def _blocks(frame: Any, block: str | None) -> Blocks:
    if block is None:
        return [np.arange(len(frame))]
    distinct, codes = levels(frame, block)
    return [np.flatnonzero(codes == at) for at in range(len(distinct))]


def _unit(values: Float[np.ndarray, " runs"]) -> Float[np.ndarray, " runs"]:
    return np.zeros_like(values) if not np.ptp(values) else values - values.mean()


def _gaps(values: Float[np.ndarray, " runs"], second: np.ndarray) -> Float[np.ndarray, " arrangements"]:
    """Mean of the chosen less mean of the others, for each row of choices."""
    centered = values - values.mean()
    count = int(second[0].sum())
    return second @ centered * (1 / count + 1 / (len(values) - count))


def _choices(n: int, count: int) -> np.ndarray:
    chosen = np.array(list(combinations(range(n), count)), dtype=np.int64)
    found = np.zeros((len(chosen), n), dtype=bool)
    np.put_along_axis(found, chosen, True, axis=1)
    return found


def _hits(drawn: np.ndarray, observed: float) -> int:
    return int((np.abs(drawn) >= abs(observed) * (1 - 1e-9) - 1e-300).sum())


def _exact(drawn: np.ndarray, observed: float) -> Randomization:
    return Randomization(_hits(drawn, observed) / len(drawn), True, len(drawn), None)


def _drawn(
    draw: Callable[[np.random.Generator, int], np.ndarray], observed: float, runs: int, resamples: int, seed: int
) -> Randomization:
    rng = np.random.default_rng(seed)
    hits = sum(_hits(draw(rng, count), observed) for count in _chunks(resamples, max(1, _CHUNK // runs)))
    return Randomization((hits + 1) / (resamples + 1), False, resamples, seed)


def _chunks(total: int, size: int) -> Iterator[int]:
    for start in range(0, total, size):
        yield min(size, total - start)


def _means_interval(
    used: list[tuple[tuple[np.ndarray, Int[np.ndarray, " runs"]], float]], gap: float, n: int
) -> Estimate:
    """Welch-Satterthwaite over the 2 × blocks means that enter the difference."""
    variances, freedoms = [], []
    for (values, codes), weight in used:
        for level in (0, 1):
            group = values[codes == level]
            if len(group) < 2:
                return Estimate(gap, -math.inf, math.inf, n, "a group of one run bounds nothing")
            variances.append(weight**2 * float(group.var(ddof=1)) / len(group))
            freedoms.append(len(group) - 1)
    total = sum(variances)
    if total == 0:
        return Estimate(gap, -math.inf, math.inf, n, "runs do not vary within groups, which bounds nothing")
    df = total**2 / sum(variance**2 / freedom for variance, freedom in zip(variances, freedoms, strict=True))
    half = float(stats.t.isf(TAIL, df)) * math.sqrt(total)
    return Estimate(gap, gap - half, gap + half, n, "Welch's t")


def _fisher_z(value: float, effective: int, n: int, kind: str) -> Estimate:
    value = min(1.0, max(-1.0, value))
    if effective <= 3 or abs(value) > 1 - 1e-12:
        return Estimate(value, -1.0, 1.0, n, "unbounded: too few runs, or a correlation of one")
    inflation = 1 + value**2 / 2 if kind == "spearman" else 1.0
    half = float(stats.norm.isf(TAIL)) * math.sqrt(inflation / (effective - 3))
    return Estimate(value, math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half), n, "Fisher's z")
