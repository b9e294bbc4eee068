"""Alternative bases: a scheme split into changes of basis, done once, and a sparser scheme that recursion repeats.

U = U' φ, V = V' ψ and W = ν W' with invertible φ, ψ, ν: the recursion multiplies φ(A) and ψ(B) by the sparse factors
and transforms back once at the end, so that only the additions of U', V' and W' are repeated at every level
(Karstadt and Schwartz 2017, "Matrix multiplication, a little faster": 12 additions for <2,2,2;7>, the least possible).

The sparsest U' is found exactly where that is within reach: its columns are vectors of the column space of U, chosen
independent. By the exchange property of matroids, taking the sparsest vector that is independent of those already
taken is optimal, and every sparsest vector vanishes on a set of rows whose rank is one less than full (Beniamini and
Schwartz 2019, "Faster matrix multiplication via sparse decomposition").
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, final

from grokkit.scheme import _rational as exact
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._rational import Matrix
from grokkit.scheme._scheme import Scheme

MAX_SUBSETS: Final = 2_000_000
"""Most sets of rows that are tried for one factor."""


@final
@dataclass(frozen=True)
class AlternativeBasis:
    """A scheme as changes of basis around sparse factors: U = u φ, V = v ψ, W = ν w.

    u is (rank × nm), φ (nm × nm); v (rank × mp), ψ (mp × mp); w (np × rank), ν (np × np); all exact.
    """

    scheme: Scheme
    u: Matrix
    phi: Matrix
    v: Matrix
    psi: Matrix
    w: Matrix
    nu: Matrix

    @property
    def additions(self) -> int:
        """Additions of one recursive step, without those of the three changes of basis, which are done once."""
        return sum(_additions(rows) for rows in (self.u, self.v, self.w))

    @property
    def basis_additions(self) -> int:
        """Additions of one step of the three changes of basis."""
        return sum(_additions(rows) for rows in (self.phi, self.psi, self.nu))

    @property
    def nonzeros(self) -> tuple[int, int, int]:
        """Nonzero coefficients of the sparse factors."""
        a, b, c = (sum(bool(value) for row in rows for value in row) for rows in (self.u, self.v, self.w))
        return a, b, c


def alternative_basis(scheme: Scheme) -> AlternativeBasis:
    """The sparsest factors of a scheme in other bases of its three spaces; proven to multiply back to the scheme.

    Raises `InvalidInput` for schemes over GF(p), for those that do not use a whole space, and where the search is out
    of reach: it tries every set of nm − 1 of the rank's rows.

    >>> from grokkit.scheme.catalog import catalog
    >>> found = alternative_basis(catalog["strassen"])
    >>> found.additions, found.nonzeros
    (12, (10, 10, 10))
    """
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name}: alternative bases are found over Q, not over {scheme.ring}")
    u, v, w = scheme.fractions()
    columns = [list(column) for column in zip(*w, strict=True)]
    (sparse_u, phi), (sparse_v, psi), (sparse_w, nu) = (
        _sparsest(rows, f"{scheme.name}: {name}") for rows, name in ((u, "U"), (v, "V"), (columns, "W"))
    )
    return AlternativeBasis(scheme, sparse_u, phi, sparse_v, psi, exact.transpose(sparse_w), exact.transpose(nu))


def _additions(rows: Matrix) -> int:
    return sum(max(sum(map(bool, row)) - 1, 0) for row in rows)


def _sparsest(rows: Sequence[Sequence[Fraction]], what: str) -> tuple[Matrix, Matrix]:
    """(X, φ) with rows = X φ, φ square and invertible, and X as sparse as can be."""
    size = len(rows[0]) if rows else 0
    matrix = exact.matrix(rows)
    if exact.rank(matrix) < size:
        raise InvalidInput(f"{what} does not use its whole space; leave out the slots and entries that are zero")
    distinct = sorted({exact.primitive(row) for row in matrix if any(row)})
    if math.comb(len(distinct), size - 1) > MAX_SUBSETS:
        raise InvalidInput(
            f"{what}: {math.comb(len(distinct), size - 1)} sets of {size - 1} rows to try, more than {MAX_SUBSETS}"
        )
    vectors: dict[tuple[int, ...], int] = {}
    for chosen in itertools.combinations(distinct, size - 1):
        x = _kernel_vector(chosen, size)
        if x is not None and x not in vectors:
            vectors[x] = sum(1 for row in matrix if sum(p * q for p, q in zip(row, x, strict=True)))
    basis: list[tuple[int, ...]] = []
    for x, _ in sorted(vectors.items(), key=lambda item: (item[1], sum(map(abs, item[0])), item[0])):
        if exact.rank(exact.matrix([*basis, x])) > len(basis):
            basis.append(x)
        if len(basis) == size:
            break
    columns = exact.transpose(exact.matrix(basis))
    inverse = exact.inverse(columns)
    assert inverse is not None
    sparse = exact.multiply(matrix, columns)
    if exact.multiply(sparse, inverse) != matrix:
        raise AssertionError("internal error: an alternative basis does not multiply back")
    return sparse, inverse


def _kernel_vector(rows: Sequence[Sequence[int]], size: int) -> tuple[int, ...] | None:
    """The vector that is orthogonal to size − 1 rows, coprime integers; None if they are dependent."""
    echelon, pivots = exact.reduced(exact.matrix(rows)) if rows else ([], [])
    if len(pivots) < size - 1:
        return None
    free = next(column for column in range(size) if column not in pivots)
    x = [Fraction(0)] * size
    x[free] = Fraction(1)
    for row, pivot in zip(echelon, pivots, strict=False):
        x[pivot] = -row[free]
    return exact.primitive(x)
