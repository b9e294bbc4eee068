"""The logistic likelihood, plain or with Firth's penalty, maximized by Newton steps; profiles of one coefficient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import chi2

from grokkit.studies.statistics._root import root
from grokkit.studies.statistics._values import LEVEL

STEPS = 200
SCORING_STEPS = 10
"""Steps with the information as curvature, cheap and mostly enough; after them, the penalty's own is added."""
LARGEST_STEP = 5.0
RESTARTS = 10


class NoMaximum(ArithmeticError):
    """Newton's method did not reach a maximum of the likelihood."""


@final
@dataclass(frozen=True)
class Fit:
    """A maximum: coefficients, the likelihood there and the covariance (the inverse information)."""

    coefficients: Float[np.ndarray, " terms"]
    log_likelihood: float
    """Penalized where the penalty is on."""
    covariance: Float[np.ndarray, "terms terms"]


@final
@dataclass(frozen=True)
class Likelihood:
    """log L(β) of a logistic model; with `firth`, plus half the log determinant of the information.

    Firth (1993), "Bias reduction of maximum likelihood estimates"; Heinze and Schemper (2002), "A solution to the
    problem of separation in logistic regression". The columns should be of order one.
    """

    matrix: Float[np.ndarray, "runs terms"]
    success: Int[np.ndarray, " runs"]
    firth: bool

    def value(self, beta: Float[np.ndarray, " terms"]) -> float:
        """log L(β); −inf where the information is singular and the penalty is on."""
        margin = (2 * self.success - 1) * (self.matrix @ beta)
        value = -float(np.logaddexp(0.0, -margin).sum())
        if self.firth:
            sign, logarithm = np.linalg.slogdet(self._information(beta)[1])
            return value + 0.5 * float(logarithm) if sign > 0 else -math.inf
        return value

    def maximize(self, start: Float[np.ndarray, " terms"] | None = None, fixed: int | None = None) -> Fit:
        """The maximum, over all coefficients or with that at `fixed` kept at its start.

        Raises `NoMaximum` if there is none in reach, as under separation without the penalty.
        """
        terms = self.matrix.shape[1]
        beta = np.zeros(terms) if start is None else start.copy()
        free = np.array([at for at in range(terms) if at != fixed], dtype=int)
        value = self.value(beta)
        for taken in range(STEPS):
            score, information = self._score(beta)
            curvature = self._curvature(beta, information) if self.firth and taken >= SCORING_STEPS else information
            try:
                step = np.linalg.solve(curvature[np.ix_(free, free)], score[free]) if len(free) else np.zeros(0)
                if step @ score[free] < 0:  # the penalized likelihood is not concave here
                    step = np.linalg.solve(information[np.ix_(free, free)], score[free])
            except np.linalg.LinAlgError:
                raise NoMaximum("the information is singular") from None
            largest = float(np.abs(step).max(initial=0.0))
            cap = LARGEST_STEP + float(np.abs(beta).max())
            if largest > cap:
                step *= cap / largest
            gain = float(step @ score[free])
            if gain < 1e-11 * max(1.0, abs(value)) and largest < 1e-6 * max(1.0, float(np.abs(beta).max())):
                beta[free] += step
                return Fit(beta, self.value(beta), np.linalg.inv(information))
            found = self._uphill(beta, free, step, value)
            if found is None:
                raise NoMaximum("no step raises the likelihood")
            beta, value = found
        raise NoMaximum(f"no maximum after {STEPS} Newton steps")

    def _uphill(
        self, beta: Float[np.ndarray, " terms"], free: Int[np.ndarray, " free"], step: np.ndarray, value: float
    ) -> tuple[Float[np.ndarray, " terms"], float] | None:
        """The step, halved until the likelihood does not fall."""
        for _ in range(40):
            moved = beta.copy()
            moved[free] += step
            reached = self.value(moved)
            if reached >= value - 1e-11 * max(1.0, abs(value)):
                return moved, reached
            step = step / 2
        return None

    def profile_bounds(self, fit: Fit, at: int) -> tuple[float, float]:
        """95 % interval of one coefficient: where twice the drop of the profile stays below the χ² quantile.

        A bound is infinite if the profile does not fall that far within 10⁶ standard errors, or cannot be followed.
        """
        drop = float(chi2.isf(1 - LEVEL, 1)) / 2
        error = math.sqrt(fit.covariance[at, at])
        return self._bound(fit, at, -error, drop), self._bound(fit, at, error, drop)

    def maximize_with_nulls(self) -> tuple[Fit, tuple[float, ...]]:
        """The maximum, and for each coefficient the likelihood ratio statistic of its being 0.

        The penalized likelihood of separated data may have several maxima. If one with a coefficient at 0 is
        higher than the maximum found, the search starts again from there.
        """
        fit = self.maximize()
        for _ in range(RESTARTS):
            nulls = [self._null(fit, at) for at in range(self.matrix.shape[1])]
            best = max(nulls, key=lambda null: null.log_likelihood)
            if best.log_likelihood <= fit.log_likelihood + 1e-8 * max(1.0, abs(fit.log_likelihood)):
                return fit, tuple(max(0.0, 2 * (fit.log_likelihood - null.log_likelihood)) for null in nulls)
            fit = self.maximize(best.coefficients)
        raise NoMaximum(f"no highest maximum after {RESTARTS} starts")

    def _null(self, fit: Fit, at: int) -> Fit:
        start = fit.coefficients.copy()
        start[at] = 0.0
        return self.maximize(start, fixed=at)

    def _bound(self, fit: Fit, at: int, step: float, drop: float) -> float:
        best = float(fit.coefficients[at])
        warm = {0.0: fit.coefficients}

        def excess(offset: float) -> float:
            nearest = warm[min(warm, key=lambda each: abs(each - offset))].copy()
            nearest[at] = best + offset
            found = self.maximize(nearest, fixed=at)
            warm[offset] = found.coefficients
            return fit.log_likelihood - found.log_likelihood - drop

        inner, outer = 0.0, 2 * step
        try:
            while excess(outer) < 0:
                inner, outer = outer, 2 * outer
                if abs(outer) > 1e6 * abs(step):
                    return math.copysign(math.inf, step)
        except NoMaximum:
            return math.copysign(math.inf, step)
        return best + root(excess, inner, outer, 1e-9 * abs(step))

    def _information(
        self, beta: Float[np.ndarray, " terms"]
    ) -> tuple[Float[np.ndarray, " runs"], Float[np.ndarray, "terms terms"]]:
        eta = np.clip(self.matrix @ beta, -700, 700)
        chance = 1 / (1 + np.exp(-eta))
        return chance, (self.matrix * (chance * (1 - chance))[:, None]).T @ self.matrix

    def _curvature(
        self, beta: Float[np.ndarray, " terms"], information: Float[np.ndarray, "terms terms"]
    ) -> Float[np.ndarray, "terms terms"]:
        """Minus the second derivatives of the penalized log likelihood."""
        chance, _ = self._information(beta)
        weight = chance * (1 - chance)
        inverse = np.linalg.inv(information)
        leverage = ((self.matrix @ inverse) * self.matrix).sum(axis=1)
        once = weight * (1 - 2 * chance)
        twice = weight * (1 - 6 * weight)
        change = np.stack(
            [inverse @ ((self.matrix * (once * column)[:, None]).T @ self.matrix) for column in self.matrix.T]
        )
        bend = 0.5 * ((self.matrix * (leverage * twice)[:, None]).T @ self.matrix)
        return information - bend + 0.5 * np.einsum("jab,kba->jk", change, change)

    def _score(
        self, beta: Float[np.ndarray, " terms"]
    ) -> tuple[Float[np.ndarray, " terms"], Float[np.ndarray, "terms terms"]]:
        chance, information = self._information(beta)
        residual = self.success - chance
        if self.firth:
            try:
                solved = np.linalg.solve(information, self.matrix.T)
            except np.linalg.LinAlgError:
                raise NoMaximum("the information is singular") from None
            leverage = chance * (1 - chance) * (self.matrix * solved.T).sum(axis=1)
            residual = residual + leverage * (0.5 - chance)
        return self.matrix.T @ residual, information
