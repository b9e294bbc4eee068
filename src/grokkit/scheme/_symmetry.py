"""The symmetries of schemes for matrix products, applied exactly: bases, transpose, rotation, slots and scales."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

from grokkit.scheme import _rational as exact
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._kronecker import format_of
from grokkit.scheme._rational import Matrix
from grokkit.scheme._scheme import Provenance, Scheme
from grokkit.scheme._target import MatrixProduct


def slot_matrices(scheme: Scheme) -> tuple[list[Matrix], list[Matrix], list[Matrix]]:
    """For each slot the factor vectors as exact matrices: u (n × m), v (m × p), w (n × p)."""
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name}: sandwiching is for schemes of matrix products only")
    result = []
    for side, (array, denominator) in enumerate(
        zip((scheme.U, scheme.V, scheme.W.T), scheme.denominators, strict=True)
    ):
        _, columns = scheme.target.sides()[side]
        result.append(
            [
                tuple(
                    tuple(Fraction(int(value), denominator) for value in row[start : start + columns])
                    for start in range(0, len(row), columns)
                )
                for row in array
            ]
        )
    return result[0], result[1], result[2]


def sandwiched(scheme: Scheme, P: Any, Q: Any, R: Any) -> Scheme:
    """The same algorithm in other bases: it computes P C R⁻¹ from P A Q⁻¹ and Q B R⁻¹.

    P (n × n), Q (m × m) and R (p × p) are invertible, with integers or `Fraction`s. Factors become
    u → P⁻ᵀ u Qᵀ, v → Q⁻ᵀ v Rᵀ, w → P w R⁻¹. Laws: the result is exact if the scheme is, and
    sandwiching by (P₂P₁, Q₂Q₁, R₂R₁) is sandwiching by (P₁,Q₁,R₁), then by (P₂,Q₂,R₂). The ring is Z
    where the result has no denominators and Q elsewhere; over GF(p) everything is taken modulo p.

    Raises `InvalidInput` for a singular or ill-shaped matrix. Source: de Groote (1978), "On varieties
    of optimal algorithms for the computation of bilinear mappings".
    """
    if scheme.ring.complex:
        raise InvalidInput(f"{scheme.name}: sandwiching over {scheme.ring} is not available")
    u, v, w = slot_matrices(scheme)
    characteristic = scheme.ring.characteristic
    sizes = scheme.target.format  # type: ignore[attr-defined]  # slot_matrices admits matrix products only
    gauge = []
    for name, given, size in zip("PQR", (P, Q, R), sizes, strict=True):
        square = exact.matrix(given)
        if len(square) != size or any(len(row) != size for row in square):
            raise InvalidInput(f"{name} must be {size} x {size}")
        inverse = exact.inverse(square)
        if inverse is None or (characteristic and not _invertible_modulo(square, characteristic)):
            where = f" over {scheme.ring}" if characteristic else ""
            raise InvalidInput(f"{name} is singular{where}; an invertible matrix is needed")
        gauge.append((square, inverse))
    (p, p_inv), (q, q_inv), (r, r_inv) = gauge
    outputs = _flat(_both(p, x, r_inv) for x in w)
    sides = (
        _flat(_both(exact.transpose(p_inv), x, exact.transpose(q)) for x in u),
        _flat(_both(exact.transpose(q_inv), x, exact.transpose(r)) for x in v),
        [[row[k] for row in outputs] for k in range(scheme.target.shape[2])],
    )
    provenance = Provenance("sandwiching", configuration={"base": scheme.digest})
    if not characteristic:
        return Scheme.from_rationals(scheme.target, *sides, provenance=provenance)
    u_, v_, w_ = (
        [[x.numerator * pow(x.denominator, -1, characteristic) for x in row] for row in side] for side in sides
    )
    return Scheme(scheme.target, u_, v_, w_, ring=scheme.ring, provenance=provenance)


def _invertible_modulo(a: Matrix, p: int) -> bool:
    """Whether a matrix has entries modulo p, and an inverse there."""
    return all(x.denominator % p for row in a for x in row) and exact.determinant(a).numerator % p != 0


def transposed(scheme: Scheme) -> Scheme:
    """The scheme for <p,m,n> by Cᵀ = Bᵀ Aᵀ: u → vᵀ, v → uᵀ, w → wᵀ. It is its own inverse.

    >>> from grokkit.scheme.catalog import standard
    >>> transposed(standard(2, 3, 4)).name
    '<4,3,2;24>'
    """
    n, m, p = format_of(scheme, "transposition")
    du, dv, dw = scheme.denominators
    return Scheme(
        MatrixProduct(p, m, n),
        _turned(scheme.V, m, p),
        _turned(scheme.U, n, m),
        _turned(scheme.W.T, n, p).T,
        (dv, du, dw),
        scheme.ring,
        Provenance("transposition", configuration={"base": scheme.digest}),
    )


def rotated(scheme: Scheme) -> Scheme:
    """The scheme for <m,p,n> by the symmetry of trace(A B C): u → v, v → wᵀ, w → uᵀ. Three times is the identity.

    >>> from grokkit.scheme.catalog import standard
    >>> rotated(standard(2, 3, 4)).name
    '<3,4,2;24>'
    """
    n, m, p = format_of(scheme, "rotation")
    du, dv, dw = scheme.denominators
    return Scheme(
        MatrixProduct(m, p, n),
        scheme.V,
        _turned(scheme.W.T, n, p),
        _turned(scheme.U, n, m).T,
        (dv, dw, du),
        scheme.ring,
        Provenance("rotation", configuration={"base": scheme.digest}),
    )


def symmetric_forms(scheme: Scheme) -> list[tuple[str, Scheme]]:
    """The six schemes that rotation and transposition make of one, each with the name of what makes it."""
    forms = []
    for text, base in (("", scheme), ("transposed", transposed(scheme))):
        for turns in range(3):
            name = ", then ".join(part for part in (text, ("", "rotated", "rotated twice")[turns]) if part)
            forms.append((name or "as it is", base))
            base = rotated(base)
    return forms


def with_format(scheme: Scheme, format: tuple[int, int, int]) -> Scheme:  # noqa: A002
    """The scheme with its format's letters in another order: the first of its symmetric forms of that format.

    Raises `InvalidInput` if no order of the letters gives it.

    >>> from grokkit.scheme.catalog import standard
    >>> with_format(standard(2, 3, 4), (3, 2, 4)).name
    '<3,2,4;24>'
    """
    for _, form in symmetric_forms(scheme):
        if format_of(form) == tuple(format):
            return form
    shown = ",".join(map(str, format))
    raise InvalidInput(f"{scheme.name}: no order of its letters is <{shown}>")


def rescaled(scheme: Scheme, scales: Iterable[tuple[Any, Any, Any]]) -> Scheme:
    """The scheme with the factors of each slot scaled by (λ, μ, ν), whose product must be 1; exact numbers.

    Raises `InvalidInput` for another number of scales than slots, or where λμν is not 1 in the ring.
    """
    triples = [tuple(exact.rational(value) for value in triple) for triple in scales]
    if len(triples) != scheme.rank:
        raise InvalidInput(f"{len(triples)} triples of scales for {scheme.rank} slots")
    p = scheme.ring.characteristic
    for r, triple in enumerate(triples):
        product = triple[0] * triple[1] * triple[2] if len(triple) == 3 else Fraction(0)
        if product != 1 and (not p or product.denominator != 1 or product.numerator % p != 1):
            raise InvalidInput(f"slot {r + 1}: the scales ({', '.join(map(str, triple))}) do not multiply to 1")
    u, v, w = scheme.fractions()
    return Scheme.from_rationals(
        scheme.target,
        [[triple[0] * x for x in row] for triple, row in zip(triples, u, strict=True)],
        [[triple[1] * x for x in row] for triple, row in zip(triples, v, strict=True)],
        [[triple[2] * x for triple, x in zip(triples, row, strict=True)] for row in w],
        ring=scheme.ring if p else None,
        provenance=Provenance("scaling", configuration={"base": scheme.digest}),
    )


def _turned(rows: np.ndarray, height: int, width: int) -> np.ndarray:
    """Each row, a height × width matrix, transposed."""
    return rows.reshape(-1, height, width).transpose(0, 2, 1).reshape(-1, height * width)


def _both(left: Matrix, x: Matrix, right: Matrix) -> Matrix:
    return exact.multiply(exact.multiply(left, x), right)


def _flat(matrices: Iterable[Matrix]) -> list[list[Fraction]]:
    return [[value for row in x for value in row] for x in matrices]
