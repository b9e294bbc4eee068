"""Proven lower bounds on ranks, so that a search for what cannot exist is refused."""

from __future__ import annotations

from grokkit.scheme import MatrixProduct


def lower_bound(target: MatrixProduct, ring: str) -> tuple[int, str]:
    """Products that every scheme of a format needs over a ring, and where that is proven.

    The best of: the dimensions of A, B and C; the exact ranks of <1,m,p>, <2,2,2>, <2,2,3>, <2,2,4> over any field
    and of <2,2,p> and <2,3,3> over GF(2); Bläser's bounds for squares.

    >>> lower_bound(MatrixProduct(2, 2, 2), "Z")
    (7, 'Winograd 1971')
    """
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
