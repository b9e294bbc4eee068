"""The cheapest known construction of a format: dynamic programming over a collection of schemes.

A format is built from others by a direct sum along one axis, by a Kronecker product, by leaving out rows or columns
of a larger format, and by any order of its three letters; every format has the standard algorithm to begin with.
Ranks do not depend on the order of the letters, so the table holds formats with n ≤ m ≤ p only.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Final, TypeAlias, final

import numpy as np

from grokkit.scheme._composition import AXES, direct_sum, restricted
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._kronecker import compose, format_of
from grokkit.scheme._ring import Ring
from grokkit.scheme._scheme import Provenance, Scheme
from grokkit.scheme._standard import standard
from grokkit.scheme._symmetry import with_format
from grokkit.scheme._target import MatrixProduct

Format: TypeAlias = tuple[int, int, int]
MAX_SIDE: Final = 16
"""Largest side of a format that is planned."""


@final
@dataclass(frozen=True)
class Construction:
    """How to build a scheme of a format.

    Attributes
    ----------
    format, rank:
        What is built: its letters in the order asked for, and the number of products.
    rule:
        ``scheme`` (one that is at hand), ``standard``, ``sum`` (direct sum along `axis`), ``product`` (Kronecker),
        ``restriction`` (of a larger format) or ``order`` (the letters in another order).
    parts:
        What it is built from; empty for a scheme and the standard algorithm.
    """

    format: Format
    rank: int
    rule: str
    parts: tuple[Construction, ...] = ()
    axis: str = ""
    scheme: Scheme | None = None
    ring: Ring | None = None

    @property
    def name(self) -> str:
        n, m, p = self.format
        return f"<{n},{m},{p};{self.rank}>"

    def lineage(self) -> list[str]:
        """The tree of constructions, a line each, parts indented under what they make."""
        return [f"{'  ' * depth}{text}" for depth, text in self._lines(0)]

    def _lines(self, depth: int) -> Iterator[tuple[int, str]]:
        if self.rule == "scheme":
            assert self.scheme is not None
            origin = "as it is" if format_of(self.scheme) == self.format else f"from {self.scheme.name}"
            yield depth, f"{self.name}: {self.scheme.provenance.method}, sha256 {self.scheme.digest[:12]}, {origin}"
        elif self.rule == "standard":
            yield depth, f"{self.name}: the standard algorithm"
        else:
            joint = f" + (along {self.axis}) " if self.rule == "sum" else " (x) "
            before = {"restriction": "part of ", "order": "the letters of "}.get(self.rule, "")
            yield depth, f"{self.name} = {before}{joint.join(part.name for part in self.parts)}"
            for at, part in enumerate(self.parts):
                if part not in self.parts[:at]:
                    yield from part._lines(depth + 1)

    def build(self) -> Scheme:
        """The scheme itself. It is as exact as its parts are; `grokkit.verify` proves it."""
        built = self._built({})
        configuration = {"lineage": self.lineage()}
        return built.with_provenance(Provenance("construction", configuration=configuration))

    def _built(self, known: dict[Construction, Scheme]) -> Scheme:
        """The scheme; equal parts are built once."""
        if self not in known:
            known[self] = self._made(known)
        return known[self]

    def _made(self, known: dict[Construction, Scheme]) -> Scheme:
        if self.rule == "standard":
            return _over(standard(*self.format), self.ring)
        if self.rule == "scheme":
            assert self.scheme is not None
            return _over(with_format(self.scheme, self.format), self.ring)
        parts = [part._built(known) for part in self.parts]
        n, m, p = self.format
        if self.rule == "sum":
            return direct_sum(parts[0], parts[1], self.axis)
        if self.rule == "product":
            return compose(parts[0], parts[1])
        if self.rule == "order":
            return with_format(parts[0], (n, m, p))
        return restricted(parts[0], range(n), range(m), range(p))


def _over(scheme: Scheme, ring: Ring | None) -> Scheme:
    """The scheme with its coefficients taken modulo p, where the ring is GF(p)."""
    if ring is None or not ring.characteristic or scheme.ring == ring:
        return scheme
    p = ring.characteristic
    u, v, w = (
        x.astype(object) * pow(d, -1, p) % p
        for x, d in zip((scheme.U, scheme.V, scheme.W), scheme.denominators, strict=True)
    )
    return Scheme(scheme.target, u, v, w, ring=ring, provenance=scheme.provenance)


def construct(target: str | MatrixProduct | Format, schemes: Iterable[Scheme], ring: str = "Q") -> Construction:
    """The cheapest construction of a format, with every side at most 16, from some schemes; it is not yet built.

    Parameters
    ----------
    target:
        The format, such as ``"4x5x6"``.
    schemes:
        What it may be built from, besides the standard algorithm. They should be proven.
    ring:
        ``Q`` admits all schemes with rational coefficients, ``Z`` those with integer ones, ``ternary`` those with
        coefficients -1, 0 and 1 (which no rule here leaves), ``GF(p)`` all that make sense modulo p.

    Raises `InvalidInput` for a larger format or an unknown ring.
    """
    wanted = _wanted(target)
    table = plans(schemes, ring, max(wanted))
    return _in_order(table[_sorted(wanted)], wanted)


def plans(schemes: Iterable[Scheme], ring: str = "Q", limit: int = MAX_SIDE) -> Mapping[Format, Construction]:
    """The cheapest construction of every format n ≤ m ≤ p ≤ `limit` (at most 16); see `construct`."""
    if not 1 <= limit <= MAX_SIDE:
        raise InvalidInput(f"formats with sides up to {limit}; 1 to {MAX_SIDE} are planned")
    over = Ring.parse(ring) if ring not in ("ternary",) else Ring.parse("Z")
    formats = list(itertools.combinations_with_replacement(range(1, limit + 1), 3))
    formats.sort(key=lambda form: form[0] * form[1] * form[2])
    best: dict[Format, Construction] = {
        form: Construction(form, form[0] * form[1] * form[2], "standard", ring=over) for form in formats
    }
    waiting = [scheme for scheme in schemes if _admitted(scheme, ring, over)]
    while waiting:
        scheme = waiting.pop()
        form = _sorted(format_of(scheme, "a construction"))
        if form not in best or scheme.rank < best[form].rank:
            if form in best:
                best[form] = Construction(form, scheme.rank, "scheme", scheme=scheme, ring=over)
            waiting += _smaller(scheme)
    changed = True
    while changed:
        changed = False
        for form in formats:
            for candidate in _candidates(form, best, over):
                if candidate.rank < best[form].rank:
                    best[form] = candidate
                    changed = True
    return {form: _resolved(form, best) for form in formats}


def _smaller(scheme: Scheme) -> Iterator[Scheme]:
    """The scheme without one row or column of its matrices, along each axis the one that leaves the fewest products."""
    sizes = format_of(scheme)
    u, v, w = (
        x.reshape(-1, *shape) != 0
        for x, shape in zip((scheme.U, scheme.V, scheme.W.T), MatrixProduct(*sizes).sides(), strict=True)
    )
    # where each slot has entries along n, m and p, in the two factors that each letter belongs to
    supports = ((u.any(2), w.any(2)), (u.any(1), v.any(2)), (v.any(1), w.any(1)))
    for axis, size in enumerate(sizes):
        if size > 1:
            dead = np.logical_or.reduce([x & (x.sum(axis=1) == 1)[:, None] for x in supports[axis]])
            out = int(dead.sum(axis=0).argmax())
            kept = [[i for i in range(other) if at != axis or i != out] for at, other in enumerate(sizes)]
            yield restricted(scheme, *kept)


def _admitted(scheme: Scheme, ring: str, over: Ring) -> bool:
    if over.characteristic:
        if not scheme.ring.rational:
            return scheme.ring == over
        return all(d % over.characteristic for d in scheme.denominators)
    if not scheme.ring.rational or (ring == "ternary" and not scheme.ternary):
        return False
    return over.fractions or scheme.denominators == (1, 1, 1)


def _candidates(form: Format, best: Mapping[Format, Construction], ring: Ring) -> Iterator[Construction]:
    """Constructions of a format from the best of others. Parts stand for their formats; `_resolved` fills them in."""
    for at in range(3):
        for k in range(1, form[at] // 2 + 1):
            yield _joined(form, "sum", [_with(form, at, k), _with(form, at, form[at] - k)], best, ring, AXES[at])
        larger = _with(form, at, form[at] + 1)
        if _sorted(larger) in best:
            yield _joined(form, "restriction", [larger], best, ring)
    n, m, p = form
    for a, b, c in itertools.product(_divisors(n), _divisors(m), _divisors(p)):
        inner = (n // a, m // b, p // c)
        if (a, b, c) != (1, 1, 1) and inner != (1, 1, 1):
            yield _joined(form, "product", [(a, b, c), inner], best, ring)


def _joined(
    form: Format, rule: str, parts: list[Format], best: Mapping[Format, Construction], ring: Ring, axis: str = ""
) -> Construction:
    ranks = [best[_sorted(part)].rank for part in parts]
    rank = ranks[0] * ranks[1] if rule == "product" else sum(ranks)
    stubs = tuple(Construction(part, r, "stub") for part, r in zip(parts, ranks, strict=True))
    return Construction(form, rank, rule, stubs, axis, ring=ring)


def _with(form: Format, at: int, size: int) -> Format:
    n, m, p = (size if i == at else x for i, x in enumerate(form))
    return n, m, p


def _resolved(form: Format, best: Mapping[Format, Construction]) -> Construction:
    """A construction with its parts filled in, all the way down."""
    found = best[form]
    parts = tuple(_in_order(_resolved(_sorted(part.format), best), part.format) for part in found.parts)
    return Construction(form, found.rank, found.rule, parts, found.axis, found.scheme, found.ring)


def _in_order(construction: Construction, form: Format) -> Construction:
    """The same construction for the format's letters in another order."""
    if construction.format == form:
        return construction
    if construction.rule in ("scheme", "standard"):
        return replace(construction, format=form)
    return Construction(form, construction.rank, "order", (construction,), ring=construction.ring)


def _sorted(form: Iterable[int]) -> Format:
    n, m, p = sorted(form)
    return n, m, p


@cache
def _divisors(number: int) -> tuple[int, ...]:
    return tuple(d for d in range(1, number + 1) if number % d == 0)


def _wanted(target: str | MatrixProduct | Format) -> Format:
    if isinstance(target, str):
        target = MatrixProduct.parse(target)
    form = target.format if isinstance(target, MatrixProduct) else MatrixProduct(*target).format
    if max(form) > MAX_SIDE:
        raise InvalidInput(f"format <{','.join(map(str, form))}>: sides up to {MAX_SIDE} are planned")
    return form


@cache
def _table_of_best() -> Mapping[Format, Mapping[str, int]]:
    text = (resources.files("grokkit.scheme") / "data" / "best_ranks.csv").read_text(encoding="ascii")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    table = {}
    for row in rows:
        form = _sorted(int(side) for side in row.pop("format").split("x"))
        table[form] = {ring: int(rank) for ring, rank in row.items() if rank}
    return table


def best_known(target: str | MatrixProduct | Format) -> Mapping[str, int]:
    """The lowest ranks on record for a format, by ring: ``Q``, ``Z``, ``ternary``, ``GF(2)`` and ``GF(3)``.

    Formats with sides up to 6 are listed (2 ≤ n ≤ m ≤ p in any order), as of August 2026; the sources are in the table,
    `data/best_ranks.csv`. Empty for other formats.

    >>> best_known("3x3x3")["Q"], best_known("4x4x4")["GF(2)"]
    (23, 47)
    """
    return dict(_table_of_best().get(_sorted(_wanted(target)), {}))
