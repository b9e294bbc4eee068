"""A priori bounds on the rounding error of a scheme applied recursively."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np

from grokkit.scheme._counts import growth_factor
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._scheme import Scheme
from grokkit.scheme._target import MatrixProduct


@final
@dataclass(frozen=True)
class ErrorBound:
    """‖Ĉ − C‖max ≤ `factor` · ‖A‖max · ‖B‖max, for every A and B that neither overflow nor underflow."""

    factor: float
    levels: int
    inner: int
    """Inner dimension of the whole product, K."""
    leaf_inner: int
    """Inner dimension of the products at the lowest level."""
    depth: int
    """Most roundings that any term of the result passes through."""
    unit_roundoff: float


def unit_roundoff(dtype: Any) -> float:
    """u of a floating-point or complex dtype: 2⁻²⁴ for float32, 2⁻⁵³ for float64."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "fc":
        raise InvalidInput(f"{dtype} is not a floating-point type; integer products are exact")
    return float(np.finfo(dtype).eps) / 2


def error_bound(scheme: Scheme, levels: int, inner: int, dtype: Any = np.float64) -> ErrorBound:
    """Rigorous bound on the largest error of `levels` recursive steps of a scheme.

    Parameters
    ----------
    scheme, levels:
        The algorithm; 0 levels is the classical product.
    inner:
        Inner dimension K of the product (padded up to a multiple of m^levels). The error is that against what
        the scheme computes in exact arithmetic.
    dtype:
        Floating-point or complex type of the operands; sums run in this type, in any order.

    With round-to-nearest every term u…v…w a b of the expanded result is multiplied by at most D factors
    (1 + δ), |δ| ≤ unit roundoff: one for each addition or inexact scaling on its path. The sum of the
    terms' magnitudes is at most K₀ e^L ‖A‖max ‖B‖max, with e = `growth_factor` and K₀ the inner dimension
    of the leaf. Hence factor = γ_D K₀ e^L with γ_D = D u / (1 − D u). This is the bound of Ballard,
    Benson, Druinsky, Lipshitz and Schwartz (2016, Theorem 2) with the second-order term kept, after
    Higham (2002, "Accuracy and Stability of Numerical Algorithms", chapter 23).

    >>> from grokkit.scheme.catalog import catalog
    >>> error_bound(catalog["strassen"], levels=1, inner=2).depth
    6
    """
    return composed_error_bound([(scheme, levels)], inner, dtype)


def composed_error_bound(
    steps: Sequence[tuple[Scheme, int]], inner: int, dtype: Any = np.float64, *, further: int = 0
) -> ErrorBound:
    """The bound of `error_bound` for several schemes, one inside another.

    `steps` holds each scheme with its number of levels, from the outermost inwards. Growth factors multiply and
    roundings add up, as every product of one scheme is computed by the next. `further` roundings are added to every
    path, for a program that forms some sums in longer chains than one level after another.
    """
    leaf, depth, growth, total = max(_whole("inner", inner), 1), _whole("further", further), Fraction(1), 0
    for scheme, count in steps:
        if not isinstance(scheme.target, MatrixProduct):
            raise InvalidInput(f"{scheme.name}: error bounds are for schemes of matrix products only")
        if scheme.ring.complex:
            raise InvalidInput(f"{scheme.name}: schemes over {scheme.ring} are not executed and have no error bound")
        levels = _whole("levels", count)
        leaf = -(-leaf // scheme.target.m**levels)
        depth += levels * _roundings(scheme)
        growth *= growth_factor(scheme) ** levels
        total += levels
    u = unit_roundoff(dtype)
    depth += leaf + (3 if np.dtype(dtype).kind == "c" else 0)
    if depth * u >= 1:
        raise InvalidInput(f"no bound: {depth} roundings of size {u:.1g} leave no correct digit")
    gamma = Fraction(u) * depth / (1 - Fraction(u) * depth)
    try:
        factor = math.nextafter(float(gamma * leaf * growth), math.inf)
    except OverflowError:
        factor = math.inf
    return ErrorBound(factor, total, int(inner), leaf, depth, u)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise InvalidInput(f"{name} is {value!r}; a whole number of at least 0 is needed")
    return int(value)


def _roundings(scheme: Scheme) -> int:
    """Most roundings that one level adds to a term: additions and scalings of A, of B and of C."""
    sides = [
        _row_roundings(matrix, denominator)
        for matrix, denominator in zip((scheme.U, scheme.V, scheme.W), scheme.denominators, strict=True)
    ]
    used = scheme.W != 0
    per_output = sides[2][:, None] + (sides[0] + sides[1])[None, :]
    return int(np.where(used, per_output, 0).max(initial=0))


def _row_roundings(matrix: np.ndarray, denominator: int) -> np.ndarray:
    """For each linear combination: additions, a scaling if a coefficient is not ±1, and its rounding."""
    counts = []
    for row in matrix:
        values = [int(value) for value in row if value]
        scaled = any(abs(value) != denominator for value in values)
        inexact = scaled and (denominator & (denominator - 1) or max(map(abs, values)) >= 2**11)
        counts.append(max(len(values) - 1, 0) + bool(scaled) + bool(inexact))
    return np.array(counts, dtype=np.int64)
