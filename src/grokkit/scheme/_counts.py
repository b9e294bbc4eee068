"""Arithmetic counts and error-growth factors of a scheme."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import final

import numpy as np

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._scheme import Scheme


@final
@dataclass(frozen=True)
class Additions:
    """Additions and subtractions of one step of a scheme, computed as written (no common subexpressions)."""

    a: int
    """in the linear combinations of A"""
    b: int
    """in the linear combinations of B"""
    c: int
    """in the outputs"""

    @property
    def total(self) -> int:
        return self.a + self.b + self.c


def _row_additions(matrix: np.ndarray) -> int:
    nonzeros = (matrix != 0).sum(axis=1)
    return int(np.maximum(nonzeros - 1, 0).sum())


def additions(scheme: Scheme) -> Additions:
    """Additions of one step, each linear combination formed term by term.

    >>> from grokkit.scheme.catalog import catalog
    >>> additions(catalog["strassen"]).total
    18
    """
    return Additions(_row_additions(scheme.U), _row_additions(scheme.V), _row_additions(scheme.W))


def scalings(scheme: Scheme) -> int:
    """Multiplications by a constant other than 0, 1 and -1 in one step."""
    count = 0
    for array, denominator in zip((scheme.U, scheme.V, scheme.W), scheme.denominators, strict=True):
        count += int(((array != 0) & (array != denominator) & (array != -denominator)).sum())
    return count


def growth_factor(scheme: Scheme) -> Fraction:
    """max_k Σ_r ‖u_r‖₁ ‖v_r‖₁ |w_kr|: how much one step can amplify rounding errors, in the max norm.

    The factor e of Ballard, Benson, Druinsky, Lipshitz and Schwartz (2016), "Improving the numerical
    stability of fast matrix multiplication". Exact.

    >>> from grokkit.scheme.catalog import catalog
    >>> growth_factor(catalog["strassen"])
    Fraction(12, 1)
    """
    if scheme.ring.complex:
        raise InvalidInput(f"{scheme.name}: growth factors over {scheme.ring} are not computed")
    u = [sum(abs(int(value)) for value in row) for row in scheme.U]
    v = [sum(abs(int(value)) for value in row) for row in scheme.V]
    rows = [sum(ur * vr * abs(int(value)) for ur, vr, value in zip(u, v, row, strict=True)) for row in scheme.W]
    du, dv, dw = scheme.denominators
    return Fraction(max(rows, default=0), du * dv * dw)


def frobenius_growth(scheme: Scheme) -> float:
    """Σ_r ‖u_r‖₂ ‖v_r‖₂ ‖w_r‖₂: the growth factor in the Frobenius norm.

    It is unchanged by orthogonal sandwiching (Dumas, Pernet and Sedoglavic 2024, "Strassen's algorithm
    is not optimally accurate").

    >>> from grokkit.scheme.catalog import catalog
    >>> round(frobenius_growth(catalog["strassen"]), 2)
    14.83
    """
    u, v, w = scheme.floats()
    return float((np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1) * np.linalg.norm(w, axis=0)).sum())


def typical_growth(scheme: Scheme) -> float:
    """√(Σ_r ‖u_r‖² ‖v_r‖² ‖w_r‖² / nmp): how much one step amplifies rounding errors of random entries, normwise.

    For independent entries of mean zero the errors of the products are independent with variances in proportion
    to ‖u_r‖² ‖v_r‖², and they add up in C with weights w²; the classical product is the case nmp of nmp ones.

    >>> from grokkit.scheme.catalog import catalog
    >>> typical_growth(catalog["strassen"]), round(typical_growth(catalog["winograd"]), 3)
    (2.0, 2.646)
    """
    u, v, w = scheme.floats()
    products = (u**2).sum(axis=1) * (v**2).sum(axis=1) * (w**2).sum(axis=0)
    return float(np.sqrt(products.sum() / scheme.target.nonzeros))
