"""Which number of runs a claim needs, and what a given number can show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

from scipy import stats
from scipy.special import ncfdtr

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics._exact_power import power_of_binomial, power_of_fisher
from grokkit.studies.statistics._root import root
from grokkit.studies.statistics._values import NotEstimable, as_json, short

LARGEST = 10_000_000
"""Runs beyond which no study is planned."""


@final
@dataclass(frozen=True)
class Power:
    """Effect, runs and power of a test: two given, one solved for, and what it comes to."""

    test: str
    alpha: float
    effect_name: str
    effect: float | NotEstimable
    n: int | NotEstimable
    n_of: str
    """What `n` counts: a group's runs, or all."""
    n_total: int | NotEstimable
    power: float | NotEstimable
    """At the whole number n, so at least what was asked for when n was solved for."""
    solved_for: Literal["n", "power", "effect"]
    settings: dict[str, float]
    """Whatever else the test was given."""

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        extra = "".join(f", {name} {short(value)}" for name, value in self.settings.items())
        return (
            f"{self.test} (alpha {self.alpha:g}{extra}): {self.effect_name} {short(self.effect)}, "
            f"{short(self.n)} {self.n_of}, power {short(self.power)}; solved for {self.solved_for}"
        )


@final
@dataclass(frozen=True)
class _Problem:
    """One test: its power as a function of (effect, n), and where effects live."""

    test: str
    alpha: float
    effect_name: str
    n_of: str
    least_n: int
    groups: int
    settings: dict[str, float]
    power: Callable[[float, float], float]
    bounds: tuple[float, float]
    """The effect that is none, and the largest: power rises from one to the other."""
    monotone: bool = True
    """Whether power rises with every further run; that of exact tests also falls now and then."""

    def solve(self, effect: float | None, n: int | None, power: float | None) -> Power:
        given = [value is not None for value in (effect, n, power)]
        if sum(given) != 2:
            raise InvalidInput(f"{self.test}: give two of effect ({self.effect_name}), n and power; the third is found")
        if not 0 < self.alpha < 1:
            raise InvalidInput(f"{self.test}: alpha is {self.alpha}; it must lie between 0 and 1")
        if n is not None and n < self.least_n:
            raise InvalidInput(f"{self.test}: n is {n}; it must be {self.least_n} {self.n_of} or more")
        if power is not None and not self.alpha < power < 1:
            raise InvalidInput(f"{self.test}: power is {power}; it must lie between alpha = {self.alpha} and 1")
        if n is None:
            return self._result(_given(effect), self._least(_given(effect), _given(power)), "n")
        if effect is None:
            return self._result(self._smallest(n, _given(power)), n, "effect")
        return self._result(effect, n, "power")

    def _result(
        self, effect: float | NotEstimable, n: int | NotEstimable, solved: Literal["n", "power", "effect"]
    ) -> Power:
        shown = (self.test, self.alpha, self.effect_name, effect, n, self.n_of)
        total: int | NotEstimable = n if isinstance(n, NotEstimable) else n * self.groups
        power: float | NotEstimable
        if isinstance(effect, NotEstimable):
            power = effect
        elif isinstance(n, NotEstimable):
            power = n
        else:
            power = self.power(effect, n)
        return Power(*shown, total, power, solved, self.settings)

    def _least(self, effect: float, power: float) -> int | NotEstimable:
        if not self.monotone:
            return self._scan(effect, power)
        low, high = self.least_n - 1, self.least_n
        while self.power(effect, high) < power:
            low, high = high, 2 * high
            if high > LARGEST:
                return NotEstimable(f"more than {LARGEST} runs; the effect is too small")
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.power(effect, middle) >= power else (middle, high)
        return high

    def _scan(self, effect: float, power: float) -> int | NotEstimable:
        """The least n from which on ten numbers in a row have the power."""
        row = 0
        for n in range(self.least_n, EXACT_UP_TO + 1):
            row = row + 1 if self.power(effect, n) >= power else 0
            if row == 10:
                return n - 9
        return NotEstimable(f"more than {EXACT_UP_TO} runs, up to which the exact test is computed")

    def _smallest(self, n: int, power: float) -> float | NotEstimable:
        none, largest = self.bounds
        if self.power(largest, n) < power:
            return NotEstimable(f"no effect has power {power:g} with {n} {self.n_of}")
        return root(lambda effect: self.power(effect, n) - power, none, largest)


EXACT_UP_TO = 400
"""Runs a group up to which the power of exact tests is searched."""


def power_two_proportions(
    base: float,
    other: float | None = None,
    *,
    n: int | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    test: Literal["arcsine", "fisher"] = "fisher",
    larger: bool = True,
) -> Power:
    """Two shares of successes, `n` runs in each group, two-sided. The effect is the other share.

    ``fisher`` sums the probability of every table that Fisher's test rejects, exactly; its power does not rise with
    every run, so n is the least from which on ten in a row suffice. ``arcsine`` is Cohen's (1988) normal
    approximation, which is poor near 0 and 1. `larger` says on which side of `base` an effect is looked for.
    """
    _check_share("base", base)
    if other is not None:
        _check_share("other", other)
    if test not in ("arcsine", "fisher"):
        raise InvalidInput(f"test {test!r} is unknown; choose arcsine or fisher")

    def arcsine(share: float, runs: float) -> float:
        h = 2 * math.asin(math.sqrt(share)) - 2 * math.asin(math.sqrt(base))
        return _normal_power(h * math.sqrt(runs / 2), alpha)

    def fisher(share: float, runs: float) -> float:
        return power_of_fisher(base, share, int(runs), alpha)

    function = arcsine if test == "arcsine" else fisher
    name = "two proportions, arcsine" if test == "arcsine" else "two proportions, Fisher's exact test"
    bounds = (base, 1.0 if larger else 0.0)
    problem = _Problem(
        name, alpha, "other share", "a group", 2, 2, {"base share": base}, function, bounds, test == "arcsine"
    )
    return problem.solve(other, n, power)


def power_one_proportion(
    constant: float,
    share: float | None = None,
    *,
    n: int | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    alternative: Literal["two-sided", "larger", "smaller"] = "two-sided",
) -> Power:
    """One share of successes against a constant, by the exact binomial test. The effect is the true share.

    Two-sided rejects α/2 in each tail, as the Clopper-Pearson interval does. For n the least is given from which
    on ten in a row suffice. An effect is looked for above the constant unless the alternative is ``smaller``.
    """
    _check_share("constant", constant)
    if share is not None:
        _check_share("share", share)
    if alternative not in ("two-sided", "larger", "smaller"):
        raise InvalidInput(f"alternative {alternative!r} is unknown; choose two-sided, larger or smaller")

    def function(true: float, runs: float) -> float:
        return power_of_binomial(constant, true, int(runs), alpha, alternative)

    bounds = (constant, 0.0 if alternative == "smaller" else 1.0)
    name = f"one proportion, exact binomial test, {alternative}"
    problem = _Problem(name, alpha, "true share", "runs", 1, 1, {"constant": constant}, function, bounds, False)
    return problem.solve(share, n, power)


def power_anova(
    groups: int, f: float | None = None, *, n: int | None = None, power: float | None = None, alpha: float = 0.05
) -> Power:
    """One-way analysis of variance with `n` runs in each group; f is the standard deviation of the means over σ.

    Cohen (1988): noncentral F with λ = f² · all runs.
    """
    if groups < 2:
        raise InvalidInput(f"groups is {groups}; a comparison needs two")
    _check_positive("f", f)

    def function(effect: float, runs: float) -> float:
        df1, df2, total = groups - 1, groups * (runs - 1), groups * runs
        critical = float(stats.f.isf(alpha, df1, df2))
        return 1 - float(ncfdtr(df1, df2, effect**2 * total, critical))

    problem = _Problem("one-way ANOVA", alpha, "f", "a group", 2, groups, {"groups": groups}, function, (0.0, 100.0))
    return problem.solve(f, n, power)


def power_correlation(
    r: float | None = None, *, n: int | None = None, power: float | None = None, alpha: float = 0.05
) -> Power:
    """A correlation against 0, two-sided, by Fisher's z with variance 1 / (n − 3). The effect is |r|."""
    if r is not None and not 0 < abs(r) < 1:
        raise InvalidInput(f"r is {r}; it must lie between -1 and 1, and not be 0")

    def function(effect: float, runs: float) -> float:
        return _normal_power(math.atanh(abs(effect)) * math.sqrt(runs - 3), alpha)

    problem = _Problem("correlation, Fisher's z", alpha, "r", "runs", 4, 1, {}, function, (0.0, 1 - 1e-12))
    return problem.solve(r, n, power)


def power_odds_ratio(
    base: float,
    odds_ratio: float | None = None,
    *,
    n: int | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    share: float = 0.5,
    larger: bool = True,
) -> Power:
    """An odds ratio of a yes-or-no factor, two-sided, by Wald's test of its logarithm; `n` counts all runs.

    `base` is the share of successes without the factor, `share` that of runs that have it. The variance of the log
    odds ratio is Σ 1 / (expected count) over the four cells, under the alternative.
    """
    _check_share("base", base)
    if not 0 < base < 1 or not 0 < share < 1:
        raise InvalidInput(f"base is {base} and share is {share}; both must lie between 0 and 1")
    _check_positive("odds_ratio", odds_ratio)

    def function(ratio: float, runs: float) -> float:
        odds = ratio * base / (1 - base)
        other = odds / (1 + odds)
        variance = 1 / (share * other * (1 - other)) + 1 / ((1 - share) * base * (1 - base))
        return _normal_power(math.log(ratio) * math.sqrt(runs / variance), alpha)

    settings = {"base share": base, "share with factor": share}
    best = _best_ratio(function, larger)
    problem = _Problem("odds ratio, Wald", alpha, "odds ratio", "runs in all", 4, 1, settings, function, (1.0, best))
    return problem.solve(odds_ratio, n, power)


def _best_ratio(power: Callable[[float, float], float], larger: bool) -> float:
    """The odds ratio of highest power: Wald's test loses power again where a cell empties (Hauck and Donner 1977)."""
    ratios = [math.exp((1 if larger else -1) * step / 50) for step in range(1, 1000)]
    runs = 1.0
    while max(power(ratio, runs) for ratio in ratios[::50]) < 0.5:
        runs *= 2
    return max(ratios, key=lambda ratio: power(ratio, runs))


def _given(value: float | None) -> float:
    assert value is not None  # two of three are given, which is checked before
    return value


def _normal_power(shift: float, alpha: float) -> float:
    critical = float(stats.norm.isf(alpha / 2))
    return float(stats.norm.sf(critical - abs(shift)) + stats.norm.cdf(-critical - abs(shift)))


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise InvalidInput(f"{name} is {value}; a share lies in 0..1")


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not 0 < value < math.inf:
        raise InvalidInput(f"{name} is {value}; it must be positive")
