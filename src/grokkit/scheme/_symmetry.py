"""Sandwiching: change of basis of the three matrix spaces, applied exactly to a scheme."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from grokkit.scheme import _rational as exact
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._rational import Matrix
from grokkit.scheme._scheme import Provenance, Scheme
from grokkit.scheme._target import MatrixProduct


def slot_matrices(scheme: Scheme) -> tuple[list[Matrix], list[Matrix], list[Matrix]]:
    """For each slot the factor vectors as exact matrices: u (n × m), v (m × p), w (n × p)."""
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name}: sandwiching acts on schemes for matrix products")
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
    where the result has no denominators and Q elsewhere.

    Raises `InvalidInput` for a singular or ill-shaped matrix. Source: de Groote (1978), "On varieties
    of optimal algorithms for the computation of bilinear mappings".
    """
    if scheme.ring.characteristic:
        raise InvalidInput(f"{scheme.name}: sandwiching over {scheme.ring} is not available; it acts over Q")
    u, v, w = slot_matrices(scheme)
    sizes = scheme.target.format  # type: ignore[attr-defined]  # slot_matrices admits matrix products only
    gauge = []
    for name, given, size in zip("PQR", (P, Q, R), sizes, strict=True):
        square = exact.matrix(given)
        if len(square) != size or any(len(row) != size for row in square):
            raise InvalidInput(f"{name} must be {size} x {size}")
        inverse = exact.inverse(square)
        if inverse is None:
            raise InvalidInput(f"{name} is singular; an invertible matrix is needed")
        gauge.append((square, inverse))
    (p, p_inv), (q, q_inv), (r, r_inv) = gauge
    outputs = _flat(_both(p, x, r_inv) for x in w)
    return Scheme.from_rationals(
        scheme.target,
        _flat(_both(exact.transpose(p_inv), x, exact.transpose(q)) for x in u),
        _flat(_both(exact.transpose(q_inv), x, exact.transpose(r)) for x in v),
        [[row[k] for row in outputs] for k in range(scheme.target.shape[2])],
        provenance=Provenance("sandwiching", configuration={"base": scheme.digest}),
    )


def _both(left: Matrix, x: Matrix, right: Matrix) -> Matrix:
    return exact.multiply(exact.multiply(left, x), right)


def _flat(matrices: Iterable[Matrix]) -> list[list[Fraction]]:
    return [[value for row in x for value in row] for x in matrices]
