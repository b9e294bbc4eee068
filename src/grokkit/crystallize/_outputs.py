"""The outputs of given products: W from rational U and V, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt
from typing import Final

import numpy as np

from grokkit.scheme import Target

PRIME: Final = 2**127 - 1
LARGEST: Final = isqrt(PRIME // 2)
"""Of numerators and denominators that are found."""


def solve_outputs(
    target: Target, u: Sequence[Sequence[Fraction]], v: Sequence[Sequence[Fraction]]
) -> list[list[Fraction]] | None:
    """Rows w of the slots (r × c) with Σ_r u_ri v_rj w_rk = T_ijk; None if there are none.

    Solved modulo 2¹²⁷ − 1, then reconstructed as rationals: right unless a numerator or denominator exceeds about 2⁶³,
    which only `verify` can tell. Products that the others span get the output zero.
    """
    rank, (a, b, c) = len(u), target.shape
    left = np.array([[_residue(x) for x in row] for row in u], dtype=object).reshape(rank, a)
    right = np.array([[_residue(x) for x in row] for row in v], dtype=object).reshape(rank, b)
    system = np.zeros((a * b, rank + c), dtype=object)
    system[:, :rank] = (left[:, :, None] * right[:, None, :]).reshape(rank, a * b).T % PRIME
    system[:, rank:] = target.tensor().reshape(a * b, c)
    system %= PRIME
    row, pivots = 0, []
    for column in range(rank):
        below = np.flatnonzero(system[row:, column])
        if not len(below):
            continue
        found = row + int(below[0])
        system[[row, found]] = system[[found, row]]
        system[row] = system[row] * pow(int(system[row, column]), -1, PRIME) % PRIME
        others = np.flatnonzero(system[:, column])
        others = others[others != row]
        if len(others):
            system[others] = (system[others] - system[others, column][:, None] * system[row]) % PRIME
        pivots.append(column)
        row += 1
    if system[row:, rank:].any():
        return None
    rows = [[Fraction(0)] * c for _ in range(rank)]
    for number, column in enumerate(pivots):
        for k in range(c):
            value = _reconstructed(int(system[number, rank + k]))
            if value is None:
                return None
            rows[column][k] = value
    return rows


def _residue(value: Fraction) -> int:
    return value.numerator * pow(value.denominator, -1, PRIME) % PRIME


def _reconstructed(residue: int) -> Fraction | None:
    """The fraction with numerator and denominator up to `LARGEST` that has this residue, by half the Euclidean
    algorithm (Wang 1981)."""
    before, here, coefficient_before, coefficient = PRIME, residue, 0, 1
    while here > LARGEST:
        quotient = before // here
        before, here = here, before - quotient * here
        coefficient_before, coefficient = coefficient, coefficient_before - quotient * coefficient
    if coefficient == 0 or abs(coefficient) > LARGEST:
        return None
    return Fraction(here, coefficient)
