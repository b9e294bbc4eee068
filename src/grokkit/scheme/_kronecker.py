"""Kronecker products and powers of schemes: exact expansion to larger formats."""

from __future__ import annotations

from typing import Final

import numpy as np

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short
from grokkit.scheme._ring import Q, Qi, Ring
from grokkit.scheme._scheme import MAX_FACTOR_ENTRIES, Provenance, Scheme, magnitude
from grokkit.scheme._target import MatrixProduct

MAX_LEVELS: Final = 1024


def format_of(scheme: Scheme) -> tuple[int, int, int]:
    """(n, m, p) of a scheme for matrix products. Raises `InvalidInput` for another target."""
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name}: only schemes for matrix products can be expanded and composed")
    return scheme.target.format


def common_ring(a: Scheme, b: Scheme) -> Ring:
    """The ring of what is composed of both. Raises `InvalidInput` for different characteristics."""
    if a.ring == b.ring:
        return a.ring
    if a.ring.characteristic or b.ring.characteristic:
        raise InvalidInput(f"schemes over {a.ring} and {b.ring} do not compose")
    return Qi if a.ring.complex or b.ring.complex else Q


def _interleave(x: np.ndarray, y: np.ndarray, outer: tuple[int, int], inner: tuple[int, int]) -> np.ndarray:
    """Kronecker product of two (rank × rows·columns) factors, as flattenings of the block matrix."""
    (r1, r2), (n1, m1), (n2, m2) = (len(x), len(y)), outer, inner
    if max(r1 * r2 * n1 * n2 * m1 * m2, 1) > MAX_FACTOR_ENTRIES:
        raise InvalidInput(
            f"the product has factors of {r1 * r2} x {n1 * n2 * m1 * m2} entries, more than are stored; "
            "use fewer levels"
        )
    if magnitude(x) * magnitude(y) >= 2**63:
        x, y = x.astype(object), y.astype(object)
    blocks = x.reshape(r1, 1, n1, 1, m1, 1) * y.reshape(1, r2, 1, n2, 1, m2)
    return blocks.reshape(r1 * r2, n1 * n2 * m1 * m2)


def compose(outer: Scheme, inner: Scheme) -> Scheme:
    """The Kronecker product: `outer` on blocks, `inner` inside each of its products.

    For <n,m,p;r> and <n',m',p';r'> the result is <nn',mm',pp';rr'>; slot (s, t) is number s·r' + t.
    It is exact if both are. Denominators multiply; Z with Q gives Q.

    >>> from grokkit.scheme.catalog import catalog, standard
    >>> compose(catalog["strassen"], standard(1, 2, 3)).name
    '<2,4,6;42>'
    """
    n1, m1, p1 = format_of(outer)
    n2, m2, p2 = format_of(inner)
    ring = common_ring(outer, inner)
    d = [x * y for x, y in zip(outer.denominators, inner.denominators, strict=True)]
    return Scheme(
        MatrixProduct(n1 * n2, m1 * m2, p1 * p2),
        _interleave(outer.U, inner.U, (n1, m1), (n2, m2)),
        _interleave(outer.V, inner.V, (m1, p1), (m2, p2)),
        _interleave(outer.W.T, inner.W.T, (n1, p1), (n2, p2)).T,
        (d[0], d[1], d[2]),
        ring,
        Provenance("Kronecker product", configuration={"outer": outer.digest, "inner": inner.digest}),
    )


def expand(scheme: Scheme, levels: int) -> Scheme:
    """The exact Kronecker power: `levels` recursive steps of a scheme as one scheme.

    ``expand(s, 1)`` is s; ``expand(s, 0)`` is the scalar product <1,1,1;1>. A rank-r scheme for <n,m,p>
    becomes a rank-r^levels scheme for <n^levels, m^levels, p^levels>, with no retraining and no rounding.

    >>> from grokkit.scheme.catalog import catalog
    >>> expand(catalog["strassen"], 2).name
    '<4,4,4;49>'
    """
    if isinstance(levels, bool) or not isinstance(levels, int | np.integer) or levels < 0:
        raise InvalidInput(f"levels is {short(levels)}; a whole number of at least 0 is needed")
    if levels == 1:
        return scheme
    format_of(scheme)
    if levels > MAX_LEVELS:
        raise InvalidInput(f"levels is {short(levels)}; at most {MAX_LEVELS} are expanded")
    if levels * np.log2(max(scheme.rank, 1)) > 32:
        raise InvalidInput(f"{scheme.name} to the power {levels} has {scheme.rank}^{levels} products: too many")
    one = np.ones((1, 1), dtype=np.int64)
    result = Scheme(MatrixProduct(1, 1, 1), one, one, one, ring=scheme.ring)
    for _ in range(levels):
        result = compose(scheme, result)
    return result.with_provenance(
        Provenance("Kronecker power", configuration={"base": scheme.digest, "levels": int(levels)})
    )
