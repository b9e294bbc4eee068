"""Canonical forms: one representative of all schemes that differ in slot order, signs and scales, or in bases too."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import numpy as np

from grokkit.scheme import _rational as exact
from grokkit.scheme._equivalence import Undecided, frames_of
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._kronecker import format_of
from grokkit.scheme._rational import Matrix
from grokkit.scheme._scheme import Provenance, Scheme, magnitude
from grokkit.scheme._symmetry import symmetric_forms
from grokkit.scheme._target import MatrixProduct
from grokkit.scheme._words import suggestion

CANONICAL_BUDGET: Final = 20_000
"""Bases that are tried for a canonical form over the whole group before the answer is `Undecided`."""

Slot = tuple[tuple[int, ...], tuple[int, ...], tuple[Fraction, ...]]


def canonical(scheme: Scheme, group: str = "slots") -> Scheme | Undecided:
    """A representative that all schemes of one class share; two schemes are of one class exactly if theirs are equal.

    Parameters
    ----------
    group:
        ``slots``: slot order, signs and scales (always decided, over every ring). ``bases``: sandwiching as well,
        over Q. ``all``: rotation and transposition as well, where the format allows them.

    For ``slots``, each slot's u and v become coprime integers with a positive first entry (over GF(p): first
    entry 1), w takes the rest, and the slots are sorted; slots with a zero factor, which compute nothing, are left
    out. For the other groups the least of the forms is taken, in a fixed order, over all bases in which chosen
    directions of the rank-one factors are the standard frame; `Undecided` where these directions do not span a frame,
    or where more than 20,000 bases would have to be tried.

    >>> from grokkit.scheme.catalog import catalog
    >>> canonical(catalog["strassen"], "bases") == canonical(catalog["winograd"], "bases")
    True
    """
    if group not in ("slots", "bases", "all"):
        raise InvalidInput(f"group {group!r} is not known{suggestion(group, ('slots', 'bases', 'all'))}")
    if scheme.ring.complex:
        return Undecided(f"ring {scheme.ring}; canonical forms are made over Z, Q and GF(p)")
    if group == "slots":
        return _built(scheme, _slots(scheme))
    if not isinstance(scheme.target, MatrixProduct):
        return Undecided(f"target {scheme.target.name}; bases are compared for matrix products only")
    if not scheme.ring.rational:
        return Undecided(f"ring {scheme.ring}; bases are compared over Q only")
    forms = [scheme]
    if group == "all":
        every = [form for _, form in symmetric_forms(scheme)]
        least = min(form.target.name for form in every)
        forms = [form for form in every if form.target.name == least]
    best: tuple[tuple[Slot, ...], Scheme] | None = None
    for form in forms:
        bases = frames_of(form)
        if isinstance(bases, Undecided):
            return bases
        if math.prod(map(len, bases)) * len(forms) > CANONICAL_BUDGET:
            return Undecided(f"{math.prod(map(len, bases))} bases to compare, more than {CANONICAL_BUDGET}")
        factors = _Factors(form)
        for p, q, r in itertools.product(*bases):
            slots = factors.slots_in(p, q, r)
            if best is None or slots < best[0]:
                best = slots, form
    assert best is not None
    return _built(best[1], best[0])


class _Factors:
    """The factors of a scheme as integer matrices, for trying many bases quickly."""

    def __init__(self, scheme: Scheme):
        shapes = MatrixProduct(*format_of(scheme)).sides()
        live = np.logical_and.reduce([(x != 0).any(axis=1) for x in (scheme.U, scheme.V, scheme.W.T)])
        self.sides = [
            x[live].reshape(-1, *shape) for x, shape in zip((scheme.U, scheme.V, scheme.W.T), shapes, strict=True)
        ]
        self.scale = math.prod(scheme.denominators)

    def slots_in(self, p: Matrix, q: Matrix, r: Matrix) -> tuple[Slot, ...]:
        """The slots of the sandwiched scheme in lowest terms, sorted.

        Inverses are taken as adjugates, which are integers; what they are too large by goes into the scale of w.
        """
        whole = [np.array([[int(x) for x in row] for row in matrix], dtype=object) for matrix in (p, q, r)]
        determinants = [exact.determinant(matrix) for matrix in (p, q, r)]
        adjugates = [_adjugate(matrix, det) for matrix, det in zip((p, q, r), determinants, strict=True)]
        lefts = (adjugates[0].T, adjugates[1].T, whole[0])
        rights = (whole[1].T, whole[2].T, adjugates[2])
        bound = max(
            magnitude(x) * magnitude(left) * magnitude(right) * x.shape[1] * x.shape[2]
            for left, x, right in zip(lefts, self.sides, rights, strict=True)
        )
        kind = np.int64 if bound < 2**62 else object
        moved = [
            (left.astype(kind) @ x.astype(kind) @ right.astype(kind)).reshape(len(x), -1)
            for left, x, right in zip(lefts, self.sides, rights, strict=True)
        ]
        scale = Fraction(1, self.scale) / math.prod(determinants)
        content = [_signed_content(x) for x in moved[:2]]
        u, v = ((x // size[:, None]).tolist() for x, size in zip(moved[:2], content, strict=True))
        sizes = (content[0].astype(object) * content[1]).tolist()
        slots = [
            (tuple(a), tuple(b), tuple(scale * size * value for value in c))
            for a, b, c, size in zip(u, v, moved[2].tolist(), sizes, strict=True)
        ]
        return tuple(sorted(slots))


def _adjugate(matrix: Matrix, determinant: Fraction) -> np.ndarray:
    inverse = exact.inverse(matrix)
    assert inverse is not None
    return np.array([[int(value * determinant) for value in row] for row in inverse], dtype=object)


def _signed_content(rows: np.ndarray) -> np.ndarray:
    """For each row the greatest common divisor of its entries, with the sign of the first that is not zero."""
    first = rows[np.arange(len(rows)), (rows != 0).argmax(axis=1)]
    return np.gcd.reduce(rows, axis=1) * np.where(first < 0, -1, 1)


def _slots(scheme: Scheme) -> tuple[Slot, ...]:
    """The slots in lowest terms, sorted; those that compute nothing left out."""
    if scheme.ring.characteristic:
        return tuple(sorted(_slots_modulo(scheme, scheme.ring.characteristic)))
    u, v, w = scheme.fractions()
    slots = []
    for a, b, c in zip(u, v, zip(*w, strict=True) if w else [], strict=True):
        if any(a) and any(b) and any(c):
            x, y = exact.primitive(a), exact.primitive(b)
            scale = _scale(a, x) * _scale(b, y)
            slots.append((x, y, tuple(scale * value for value in c)))
    return tuple(sorted(slots))


def _scale(row: list[Fraction], point: tuple[int, ...]) -> Fraction:
    return next(value / whole for value, whole in zip(row, point, strict=True) if whole)


def _slots_modulo(scheme: Scheme, p: int) -> Iterator[Slot]:
    for a, b, c in zip(scheme.U.tolist(), scheme.V.tolist(), scheme.W.T.tolist(), strict=True):
        if any(a) and any(b) and any(c):
            lead_a, lead_b = next(filter(None, a)), next(filter(None, b))
            x = tuple(value * pow(lead_a, -1, p) % p for value in a)
            y = tuple(value * pow(lead_b, -1, p) % p for value in b)
            yield x, y, tuple(Fraction(value * lead_a * lead_b % p) for value in c)


def _built(scheme: Scheme, slots: tuple[Slot, ...]) -> Scheme:
    columns = list(zip(*(w for _, _, w in slots), strict=True)) if slots else [()] * scheme.target.shape[2]
    return Scheme.from_rationals(
        scheme.target,
        [u for u, _, _ in slots],
        [v for _, v, _ in slots],
        columns,
        ring=scheme.ring if scheme.ring.characteristic else None,
        provenance=Provenance("canonical form", configuration={"base": scheme.digest}),
    )
