"""Numbers that no change of bases, slot order or scales alters, and what they say of the solutions nearby."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from grokkit.scheme import _rational as exact
from grokkit.scheme._equivalence import Undecided, stabilizer
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._ring import MAX_CHARACTERISTIC, is_prime
from grokkit.scheme._scheme import Scheme
from grokkit.scheme._symmetry import slot_matrices
from grokkit.scheme._target import MatrixProduct, Target

PRIME: Final = 2**22 - 3
"""The Jacobian's rank is computed modulo this prime; it can only be too small there, with odds of some 10⁻⁶."""
PANEL: Final = 32
"""Columns that are eliminated at a time."""
MAX_JACOBIAN: Final = 2**25
"""Largest number of entries of a Jacobian that is eliminated."""


@final
@dataclass(frozen=True)
class Invariants:
    """What `invariants` computes.

    Attributes
    ----------
    ranks:
        How often each triple of matrix ranks (of u, v, w) occurs among the slots, sorted. For targets other than
        matrix products vectors have rank 1, or 0 where they are zero.
    parameters:
        Entries of U, V and W: for matrix products r (nm + mp + np).
    jacobian_rank:
        Rank of the derivative of all tensor equations at the scheme.
    gauge:
        Dimension of the orbit's group: 2 r scalings and the target's own `symmetry_dimension`, for matrix products
        (n² − 1) + (m² − 1) + (p² − 1) from PGL(n) × PGL(m) × PGL(p).
    excess:
        parameters − jacobian_rank − gauge. At 0 the solutions near the scheme are its orbit and nothing else: it is
        isolated up to gauge. Above, it bounds the dimension of a family from above. (Below 0 the group acts with a
        stabilizer of positive dimension.)
    stabilizer:
        Order of the group of sandwichings over Q that map the scheme to itself; None where it is not decided, and for
        targets other than matrix products.
    """

    ranks: tuple[tuple[tuple[int, int, int], int], ...]
    parameters: int
    jacobian_rank: int
    gauge: int
    stabilizer: int | None

    @property
    def tangent_dimension(self) -> int:
        """Dimension of the space of first-order deformations: parameters − jacobian_rank."""
        return self.parameters - self.jacobian_rank

    @property
    def excess(self) -> int:
        return self.tangent_dimension - self.gauge


def invariants(scheme: Scheme) -> Invariants:
    """Ranks, Jacobian, gauge and, for matrix products, stabilizer of a scheme.

    For <2,2,2;7>: 84 parameters, Jacobian rank 61, so 23 dimensions of first-order deformations; 14 scalings and 9
    from PGL(2)³ account for all of them, so near Strassen's scheme there are only its own gauge copies, as de Groote
    (1978) proves globally. The Jacobian's rank is exact: it is computed modulo 2²² − 3 where that gives
    full agreement with the gauge from below, and the orbit bounds it from above.

    >>> from grokkit.scheme.catalog import catalog
    >>> found = invariants(catalog["strassen"])
    >>> found.parameters, found.jacobian_rank, found.gauge, found.excess, found.stabilizer
    (84, 61, 23, 0, 6)
    """
    if scheme.ring.complex:
        raise InvalidInput(f"{scheme.name}: invariants over {scheme.ring} are not computed")
    derivative = jacobian_rank(scheme)  # first: it declines large schemes
    group = stabilizer(scheme)
    return Invariants(
        tuple(sorted(Counter(_slot_ranks(scheme)).items())),
        scheme.rank * sum(scheme.target.shape),
        derivative,
        2 * scheme.rank + symmetry_dimension(scheme.target, scheme.ring.characteristic),
        None if isinstance(group, Undecided) else len(group),
    )


def _slot_ranks(scheme: Scheme) -> list[tuple[int, int, int]]:
    if not isinstance(scheme.target, MatrixProduct):
        nonzero = ((x != 0).any(axis=1).tolist() for x in (scheme.U, scheme.V, scheme.W.T))
        return [(int(a), int(b), int(c)) for a, b, c in zip(*nonzero, strict=True)]
    sides = slot_matrices(scheme)
    if scheme.ring.characteristic:
        return [
            (_rank_modulo(np.array(a), q), _rank_modulo(np.array(b), q), _rank_modulo(np.array(c), q))
            for q in (scheme.ring.characteristic,)
            for a, b, c in zip(*(_integers(side) for side in sides), strict=True)
        ]
    return [(exact.rank(a), exact.rank(b), exact.rank(c)) for a, b, c in zip(*sides, strict=True)]


def _integers(side: list[exact.Matrix]) -> list[list[list[int]]]:
    return [[[int(value) for value in row] for row in matrix] for matrix in side]


def symmetry_dimension(target: Target, characteristic: int = 0) -> int:
    """Dimension of the group of changes of basis of a, b and c that keep a target, less the 2 that only scale slots.

    For matrix products it is n² + m² + p² − 3 (de Groote 1978). For others it is that of the Lie algebra, all (X, Y, Z)
    with X·T + Y·T + Z·T = 0 for the tensor T: its linear equations are eliminated modulo 2²² − 3, or over GF(p).
    Scalings of a, b and c by λ, μ and ν with λμν = 1 lie in it and are scalings of all slots. The target has to use
    all of its three spaces, as every target here does.

    >>> from grokkit.scheme import PolynomialProduct, QuaternionProduct
    >>> symmetry_dimension(PolynomialProduct(2)), symmetry_dimension(QuaternionProduct())
    (3, 9)
    """
    if isinstance(target, MatrixProduct):
        return sum(side * side - 1 for side in target.format)
    a, b, c = target.shape
    unknowns = a * a + b * b + c * c
    if unknowns * a * b * c > MAX_JACOBIAN:
        raise InvalidInput(f"{target.name}: the equations of its symmetries have more entries than are eliminated")
    tensor = target.tensor()
    rows = []
    for axis, size in enumerate(target.shape):
        layers = np.moveaxis(tensor, axis, 0)
        for source in range(size):
            for place in range(size):
                moved = np.zeros_like(layers)
                moved[place] = layers[source]
                rows.append(np.moveaxis(moved, 0, axis).ravel())
    return unknowns - _rank_modulo(np.array(rows), characteristic or PRIME) - 2


def jacobian_rank(scheme: Scheme) -> int:
    """Rank of the derivative of (U, V, W) ↦ Σ_r u_r ⊗ v_r ⊗ w_r, as a matrix of prod(shape) × r·sum(shape).

    Over Q it is computed modulo 2²² − 3 (or the next smaller prime that divides no denominator); over GF(p), modulo p.
    A rank modulo a prime never exceeds that over Q, and is smaller only where the prime divides all of its largest
    minors.
    """
    a, b, c = scheme.target.shape
    if a * b * c * scheme.rank * (a + b + c) > MAX_JACOBIAN:
        raise InvalidInput(f"{scheme.name}: its Jacobian has more entries than are eliminated")
    prime = scheme.ring.characteristic or next(
        q for q in range(PRIME, 2, -2) if is_prime(q) and all(d % q for d in scheme.denominators)
    )
    u, v, w = (
        np.array([[int(x) * pow(int(d), -1, prime) % prime for x in row] for row in matrix], dtype=np.int64)
        for matrix, d in zip((scheme.U, scheme.V, scheme.W.T), scheme.denominators, strict=True)
    )
    rows = []
    for r in range(scheme.rank):
        x, y, z = u[r], v[r], w[r]
        yz, xz, xy = (np.outer(left, right) % prime for left, right in ((y, z), (x, z), (x, y)))
        whole = slice(None)
        rows.extend(_placed((a, b, c), (i, whole, whole), yz) for i in range(a))
        rows.extend(_placed((a, b, c), (whole, j, whole), xz) for j in range(b))
        rows.extend(_placed((a, b, c), (whole, whole, k), xy) for k in range(c))
    return _rank_modulo(np.array(rows).reshape(len(rows), a * b * c), prime)


def _placed(shape: tuple[int, int, int], where: tuple[int | slice, ...], values: np.ndarray) -> np.ndarray:
    block = np.zeros(shape, dtype=np.int64)
    block[where] = values
    return block.ravel()


def _rank_modulo(matrix: np.ndarray, prime: int) -> int:
    """Rank of an integer matrix modulo a prime below 2³¹, by elimination in panels of columns.

    Modulo primes below 2²² what a panel changes in the columns after it is one product of matrices in float64, exact
    because sums of `PANEL` products stay below 2⁵³; modulo others it is done row by row, in integers.
    """
    assert prime < MAX_CHARACTERISTIC or prime == PRIME
    fast = prime <= PRIME
    rest = matrix.astype(np.int64) % prime
    rest = rest.astype(np.float64) if fast else rest
    rank = 0
    while rest.shape[1] and len(rest):
        panel, rest = rest[:, :PANEL].astype(np.int64), rest[:, PANEL:]
        factors = np.zeros((len(panel), PANEL), dtype=np.int64)
        found = 0
        for column in range(panel.shape[1]):
            pivots = np.flatnonzero(panel[found:, column])
            if not len(pivots):
                continue
            swap = [found, found + int(pivots[0])]
            for array in (panel, factors, rest):
                array[swap] = array[swap[::-1]]
            below = panel[found + 1 :, column] * pow(int(panel[found, column]), -1, prime) % prime
            panel[found + 1 :, column:] -= below[:, None] * panel[found, column:] % prime
            panel[found + 1 :, column:] %= prime
            factors[found + 1 :, found] = below
            found += 1
            if found == len(panel):
                break
        rank += found
        for row in range(1, found):
            known = factors[row, :row]
            if fast:
                rest[row] = np.mod(rest[row] - known.astype(np.float64) @ rest[:row], prime)
            else:
                for at in np.flatnonzero(known):
                    rest[row] = (rest[row] - known[at] * rest[at] % prime) % prime
        top, rest = rest[:found], rest[found:]
        if fast:
            rest = rest - factors[found:, :found].astype(np.float64) @ top
            rest -= np.floor(rest * (1 / prime)) * prime
            rest[rest < 0] += prime  # the quotient was rounded
            rest[rest >= prime] -= prime
        else:
            for at in range(found):
                rest = (rest - factors[found:, at, None] * top[at] % prime) % prime
    return rank
