"""Proven lower bounds on ranks, so that a search for what cannot exist is refused."""

from __future__ import annotations

from typing import Final

from grokkit.scheme import (
    ComplexProduct,
    CyclicConvolution,
    MatrixProduct,
    PolynomialProduct,
    QuaternionProduct,
    Target,
    ToeplitzProduct,
    best_known,
)

BINARY: Final = {3: 6, 4: 9, 5: 13, 6: 17, 7: 22}
"""Products that polynomials of so many terms need over GF(2), and so over Z, which all reduce modulo 2."""


def lower_bound(target: Target, ring: str) -> tuple[int, str]:
    """Products that every scheme of a target needs over a ring, and where that is proven.

    The best of: the dimensions of A, B and C; the exact ranks of <1,m,p>, <2,2,2>, <2,2,3>, <2,2,4> over any field
    and of <2,2,p> and <2,3,3> over GF(2); Bläser's bounds for squares.

    >>> lower_bound(MatrixProduct(2, 2, 2), "Z")
    (7, 'Winograd 1971')
    """
    if not isinstance(target, MatrixProduct):
        dimension = (max(target.shape), "the dimension of one of the three spaces")
        return max(dimension, _proven_of(target, ring) or dimension)
    small, middle, large = sorted(target.format)
    bounds = [(middle * large, "the dimension of one of the matrices")]
    if small == 1:
        return middle * large, "each of the products of a matrix and a vector is needed"
    if (small, middle) == (2, 2):
        proven = {2: (7, "Winograd 1971"), 3: (11, "Alekseyev 1985"), 4: (14, "Alekseev and Smirnov 2013")}
        if large in proven:
            bounds.append(proven[large])
        if ring == "GF(2)":
            bounds.append((-(-7 * large // 2), "Hopcroft and Kerr 1971"))
    if (small, middle, large) == (2, 3, 3) and ring == "GF(2)":
        bounds.append((15, "Hopcroft and Kerr 1971"))
    if small == middle == large:
        bounds.append((-(-(5 * small * small - 6 * small) // 2), "Bläser 1999"))
        if small == 3:
            bounds.append((19, "Bläser 2003"))
    return max(bounds)


def known_rank_of(target: Target, ring: str) -> int | None:
    """The lowest rank on record for a target over a ring; None where none is listed."""
    if isinstance(target, MatrixProduct):
        return best_known(target).get(ring) if max(target.format) <= 16 else None
    proven = _proven_of(target, ring)
    return proven[0] if proven else None


def _proven_of(target: Target, ring: str) -> tuple[int, str] | None:
    """The exact rank of a target other than a matrix product, where it is known, and who proved it."""
    if isinstance(target, PolynomialProduct | ToeplitzProduct):  # a tensor and the same with its sides exchanged
        n, m = target.sizes
        if min(n, m) == 1 or (n, m) == (2, 2) or ring == "Q":
            return n + m - 1, "the dimension of the product; evaluation at as many points reaches it (Toom 1963)"
        if n == m and n in BINARY and ring in ("GF(2)", "Z", "ternary"):
            return BINARY[n], "modulo 2: Barbulescu, Detrey, Estibals and Zimmermann 2012"
    elif isinstance(target, CyclicConvolution) and ring == "Q":
        divisors = sum(target.n % k == 0 for k in range(1, target.n + 1))
        return 2 * target.n - divisors, "Winograd 1978"
    elif isinstance(target, ComplexProduct):
        return 3, "Munro 1971"
    elif isinstance(target, QuaternionProduct) and ring in ("Q", "Z", "ternary"):
        return 8, "de Groote 1975 over Q; found here with coefficients -1, 0, 1"
    return None
