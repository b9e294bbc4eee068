"""Where the entries of two targets go in the target that they compose to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from jaxtyping import Int64

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._target import MatrixProduct, Target
from grokkit.scheme._targets import CyclicConvolution, PolynomialProduct, ToeplitzProduct

Places: TypeAlias = Int64[np.ndarray, "_ _"]
"""Entry (k, l): where entry l inside block k of an operand is in the whole operand."""
Composition: TypeAlias = tuple[Target, tuple[Places, Places, Places]]


def composed(outer: Target, inner: Target) -> Composition:
    """The target computed by `outer` on blocks and `inner` inside its products, and the places in a, b and c.

    Blocks may overlap in c of polynomials and in a of Toeplitz products: what goes to one place is added up. Raises
    `InvalidInput` for two targets that do not compose.
    """
    rule = _RULES.get(type(outer)) if type(outer) is type(inner) else None
    if rule is None:
        raise InvalidInput(
            f"{outer.name} and {inner.name} do not compose: two matrix products do, two polynomial products, two "
            "Toeplitz products, and cyclic convolutions of coprime lengths"
        )
    return rule(outer, inner)


def _matrices(outer: MatrixProduct, inner: MatrixProduct) -> Composition:
    """A matrix of blocks, all flattened row by row."""

    def blocks(rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
        i, j, k, l = np.indices((rows[0], columns[0], rows[1], columns[1]))  # noqa: E741
        flat = (i * rows[1] + k) * (columns[0] * columns[1]) + j * columns[1] + l
        return flat.reshape(rows[0] * columns[0], rows[1] * columns[1])

    n, m, p = zip(outer.format, inner.format, strict=True)
    target = MatrixProduct(n[0] * n[1], m[0] * m[1], p[0] * p[1])
    return target, (blocks(n, m), blocks(m, p), blocks(n, p))


def _shifted(outer: int, inner: int, step: int) -> np.ndarray:
    """Blocks of `inner` entries, each `step` after the one before."""
    return step * np.arange(outer)[:, None] + np.arange(inner)


def _polynomials(outer: PolynomialProduct, inner: PolynomialProduct) -> Composition:
    """Polynomials in y = xⁿ whose coefficients are polynomials in x of n terms; products of these overlap in c."""
    step = _square(outer, inner)
    target = PolynomialProduct(outer.n * step, outer.m * step)
    a, b, c = (_shifted(wide, narrow, step) for wide, narrow in zip(outer.shape, inner.shape, strict=True))
    return target, (a, b, c)


def _toeplitz(outer: ToeplitzProduct, inner: ToeplitzProduct) -> Composition:
    """A Toeplitz matrix of n × n Toeplitz blocks, in which neighbouring blocks share entries."""
    step = _square(outer, inner)
    target = ToeplitzProduct(outer.n * step, outer.m * step)
    a, b, c = (_shifted(wide, narrow, step) for wide, narrow in zip(outer.shape, inner.shape, strict=True))
    return target, (a, b, c)


def _square(outer: PolynomialProduct | ToeplitzProduct, inner: PolynomialProduct | ToeplitzProduct) -> int:
    if inner.n != inner.m:
        remedy = f"; {inner.name} on blocks and {outer.name} inside does" if outer.n == outer.m else ""
        raise InvalidInput(
            f"{outer.name} with {inner.name} inside does not compose: the inner sizes {inner.n} and {inner.m} must "
            f"agree{remedy}"
        )
    return inner.n


def _cyclic(outer: CyclicConvolution, inner: CyclicConvolution) -> Composition:
    """Entry i of length n·m, n and m coprime, is entry (i mod n, i mod m): Agarwal and Cooley (1977)."""
    n, m = outer.n, inner.n
    if (common := math.gcd(n, m)) > 1:
        raise InvalidInput(
            f"{outer.name} and {inner.name} do not compose: cyclic convolutions do for coprime lengths, and {n} and "
            f"{m} share the factor {common}"
        )
    places = np.zeros((n, m), dtype=np.int64)
    i = np.arange(n * m)
    places[i % n, i % m] = i
    return CyclicConvolution(n * m), (places, places, places)


_RULES: Final[Mapping[type[Target], Callable[[Any, Any], Composition]]] = {
    MatrixProduct: _matrices,
    PolynomialProduct: _polynomials,
    ToeplitzProduct: _toeplitz,
    CyclicConvolution: _cyclic,
}
