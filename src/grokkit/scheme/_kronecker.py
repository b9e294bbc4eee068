"""Kronecker products and powers of schemes: exact expansion to larger targets."""

from __future__ import annotations

from typing import Final

import numpy as np

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short
from grokkit.scheme._places import composed
from grokkit.scheme._ring import Q, Qi, Ring
from grokkit.scheme._scheme import MAX_FACTOR_ENTRIES, Provenance, Scheme, magnitude
from grokkit.scheme._target import MatrixProduct, Target
from grokkit.scheme._targets import CyclicConvolution, PolynomialProduct, ToeplitzProduct

MAX_LEVELS: Final = 1024
_UNITS: Final[dict[type[Target], Target]] = {
    type(unit): unit
    for unit in (MatrixProduct(1, 1, 1), PolynomialProduct(1), ToeplitzProduct(1), CyclicConvolution(1))
}
"""The targets of one product that are their own composition."""


def format_of(scheme: Scheme, what: str = "this") -> tuple[int, int, int]:
    """(n, m, p) of a scheme for matrix products. Raises `InvalidInput` for another target: `what` is not for it."""
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name}: {what} is for schemes of matrix products only")
    return scheme.target.format


def common_ring(a: Scheme, b: Scheme) -> Ring:
    """The ring of what is composed of both. Raises `InvalidInput` for different characteristics."""
    if a.ring == b.ring:
        return a.ring
    if a.ring.characteristic or b.ring.characteristic:
        raise InvalidInput(f"schemes over {a.ring} and {b.ring} do not compose")
    return Qi if a.ring.complex or b.ring.complex else Q


def _kronecker(x: np.ndarray, y: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """The products x_k y_l of every row of x with every row of y, added up at `places`[k, l].

    Row s·len(y) + t is that of rows s and t. Each row of `places` names different places; two rows may share some.
    """
    r1, r2 = len(x), len(y)
    if max(r1 * r2 * size, 1) > MAX_FACTOR_ENTRIES:
        raise InvalidInput(
            f"the product has factors of {r1 * r2} x {size} entries, more than are stored; use fewer levels"
        )
    if 2 * magnitude(x) * magnitude(y) >= 2**63:
        x, y = x.astype(object), y.astype(object)
    out = np.zeros((r1, r2, size), dtype=np.result_type(x, y))
    for k, where in enumerate(places):
        used = np.flatnonzero(x[:, k])
        if len(used):
            out[used[:, None, None], np.arange(r2)[:, None], where] += x[used, k, None, None] * y
    return out.reshape(r1 * r2, size)


def compose(outer: Scheme, inner: Scheme) -> Scheme:
    """The Kronecker product: `outer` on blocks, `inner` inside each of its products.

    For <n,m,p;r> and <n',m',p';r'> the result is <nn',mm',pp';rr'>; slot (s, t) is number s·r' + t.
    It is exact if both are. Denominators multiply; Z with Q gives Q.

    For polynomials of n × m and n' × n' terms, y = x^n' makes polynomials of nn' × mn' terms of them, with the
    overlapping outputs added up; an n × m Toeplitz matrix of n' × n' Toeplitz blocks is nn' × mn'; cyclic
    convolutions of coprime lengths n and n' make one of length nn' (Agarwal and Cooley 1977, "New algorithms for
    digital convolution"). Raises `InvalidInput` for other pairs of targets.

    >>> from grokkit.scheme.catalog import catalog, standard
    >>> compose(catalog["strassen"], standard(1, 2, 3)).name
    '<2,4,6;42>'
    """
    target, places = composed(outer.target, inner.target)
    ring = common_ring(outer, inner)
    d = [x * y for x, y in zip(outer.denominators, inner.denominators, strict=True)]
    u, v, w = (
        _kronecker(x, y, where, size)
        for x, y, where, size in zip(
            (outer.U, outer.V, outer.W.T), (inner.U, inner.V, inner.W.T), places, target.shape, strict=True
        )
    )
    return Scheme(
        target,
        u,
        v,
        w.T,
        (d[0], d[1], d[2]),
        ring,
        Provenance("Kronecker product", configuration={"outer": outer.digest, "inner": inner.digest}),
    )


def expand(scheme: Scheme, levels: int) -> Scheme:
    """The exact Kronecker power: `levels` recursive steps of a scheme as one scheme.

    ``expand(s, 1)`` is s; ``expand(s, 0)`` is the scalar product <1,1,1;1>, or that of polynomials of one term, and so
    on. A rank-r scheme for <n,m,p> becomes a rank-r^levels scheme for <n^levels, m^levels, p^levels>, with no
    retraining and no rounding; one for polynomials of n terms, a rank-r^levels scheme for n^levels terms.

    Raises `InvalidInput` for targets whose powers `compose` does not know, and for what is too large.

    >>> from grokkit.scheme.catalog import catalog
    >>> expand(catalog["strassen"], 2).name
    '<4,4,4;49>'
    """
    if isinstance(levels, bool) or not isinstance(levels, int | np.integer) or levels < 0:
        raise InvalidInput(f"levels is {short(levels)}; a whole number of at least 0 is needed")
    if levels == 1:
        return scheme
    unit = _UNITS.get(type(scheme.target))
    if unit is None:
        raise InvalidInput(f"{scheme.name}: schemes for {scheme.target.description} have no powers but the first")
    if levels > MAX_LEVELS:
        raise InvalidInput(f"levels is {short(levels)}; at most {MAX_LEVELS} are expanded")
    if levels * np.log2(max(scheme.rank, 1)) > 32:
        raise InvalidInput(f"{scheme.name} to the power {levels} has {scheme.rank}^{levels} products: too many")
    one = np.ones((1, 1), dtype=np.int64)
    result = Scheme(unit, one, one, one, ring=scheme.ring)
    for _ in range(levels):
        result = compose(scheme, result)
    return result.with_provenance(
        Provenance("Kronecker power", configuration={"base": scheme.digest, "levels": int(levels)})
    )
