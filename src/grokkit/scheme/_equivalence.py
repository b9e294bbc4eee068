"""Deciding whether two schemes are the same algorithm in other bases, exactly over Q.

The method. A sandwiching (P, Q, R) maps the rank-one factors of one scheme to those of the other, and
so the left and right directions of those factors, which are points of six projective spaces, two for
each of P, Q and R. A projective map of a d-dimensional space is fixed by the images of d + 1 points in
general position (a frame). So: color slots and points by everything that sandwiching preserves, refine
the colors until they are stable, pick a frame in each space, try every color-respecting image of it,
keep the maps that send all points to points, and test the triples that remain. If each space has a
frame the search is complete, and its failure proves that the schemes are inequivalent. The identity is
tried before all else, so that schemes that differ in slot order and scales only are always matched.

Where a factor of a slot is zero its scale is free, so such a slot is matched by its other factors alone.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Final, final

from grokkit.scheme import _rational as exact
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._rational import Matrix, Vector
from grokkit.scheme._ring import Ring, Z
from grokkit.scheme._scheme import Scheme
from grokkit.scheme._symmetry import sandwiched, slot_matrices, symmetric_forms
from grokkit.scheme._target import MatrixProduct

FRAME_BUDGET: Final = 100_000
"""Images of a frame that are tried in one space before the answer is `Undecided`."""
TRIPLE_BUDGET: Final = 20_000
"""Triples (P, Q, R) that are tested before the answer is `Undecided`."""

# Each space of points: (name, factor side, whether the left or right direction, index in (P, Q, R),
# whether points move by the matrix itself or by its inverse transpose).
_SPACES: Final = (
    ("U left", 0, 0, 0, False),
    ("W left", 2, 0, 0, True),
    ("U right", 0, 1, 1, True),
    ("V left", 1, 0, 1, False),
    ("V right", 1, 1, 2, True),
    ("W right", 2, 1, 2, False),
)
Point = tuple[int, ...]
SlotClass = tuple[Point, Point, Point, Fraction]
"""A slot up to scales λμν = 1: the points of u, v and w, and the factor that is left over (0 if one is zero)."""


@final
@dataclass(frozen=True)
class Equivalence:
    """Scheme `b` is scheme `a` in other bases, exactly.

    Slot s of `a` becomes slot ``permutation[s]`` of `b`: with (λ, μ, ν) = ``scales[s]``, λμν = 1,

        b.u = λ P⁻ᵀ a.u Qᵀ,   b.v = μ Q⁻ᵀ a.v Rᵀ,   b.w = ν P a.w R⁻¹.

    P, Q and R are invertible and rational, each scaled to coprime integers. `equivalent` returns only
    what it has checked entry by entry. `ring` is that of `b`: integer factors may be stored over Q. `form` says which
    of the symmetric forms of `a` is meant, where rotation and transposition were tried.
    """

    P: Matrix
    Q: Matrix
    R: Matrix
    permutation: tuple[int, ...]
    scales: tuple[tuple[Fraction, Fraction, Fraction], ...]
    ring: Ring = Z
    form: str = "as it is"

    def apply(self, a: Scheme) -> Scheme:
        """Carry scheme `a` over. Law: ``equivalent(a, b).apply(a) == b``."""
        if self.form != "as it is":
            a = dict(symmetric_forms(a))[self.form]
        moved = sandwiched(a, self.P, self.Q, self.R)
        u, v, w = moved.fractions()
        order = sorted(range(a.rank), key=self.permutation.__getitem__)
        return Scheme.from_rationals(
            a.target,
            [[self.scales[s][0] * x for x in u[s]] for s in order],
            [[self.scales[s][1] * x for x in v[s]] for s in order],
            [[self.scales[s][2] * row[s] for s in order] for row in w],
            ring=self.ring if self.ring.fractions else None,
        )

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        def show(a: Matrix) -> str:
            return "[" + "; ".join(" ".join(str(x) for x in row) for row in a) + "]"

        order = " ".join(str(s + 1) for s in self.permutation)
        first = "" if self.form == "as it is" else f"{self.form}, then "
        return f"equivalent: {first}P = {show(self.P)}, Q = {show(self.Q)}, R = {show(self.R)}, slots -> {order}"


@final
@dataclass(frozen=True)
class Inequivalent:
    """No sandwiching maps one scheme to the other. `invariant` names what differs."""

    invariant: str

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"inequivalent: {self.invariant}"


@final
@dataclass(frozen=True)
class Undecided:
    """The method cannot tell; `reason` says why. It is neither a yes nor a no."""

    reason: str

    def __bool__(self) -> bool:
        raise TypeError(f"undecided, so neither true nor false: {self.reason}")

    def __str__(self) -> str:
        return f"undecided: {self.reason}"


def equivalent(a: Scheme, b: Scheme, symmetric: bool = False) -> Equivalence | Inequivalent | Undecided:
    """Whether sandwiching, slot permutation and slot scaling map scheme `a` to scheme `b`, over Q.

    With `symmetric`, rotation and transposition are tried as well, where they keep the format.

    Decided for all pairs whose rank-one factors span a projective frame in each of the three spaces, and
    for all that agree up to slot order and scales; by de Groote (1978) all exact <2,2,2;7> schemes form
    one orbit, and each pair is matched here constructively. Targets other than matrix products are `Undecided`.

    >>> from grokkit.scheme.catalog import catalog
    >>> bool(equivalent(catalog["strassen"], catalog["winograd"]))
    True
    """
    if not isinstance(a.target, MatrixProduct) or not isinstance(b.target, MatrixProduct):
        return Undecided(f"targets {a.target.name} and {b.target.name}; only matrix products are compared")
    if not symmetric:
        return _equivalent(a, b)
    verdicts: list[Inequivalent | Undecided] = []
    for name, form in symmetric_forms(a):
        if form.target == b.target:
            verdict = _equivalent(form, b)
            if isinstance(verdict, Equivalence):
                return replace(verdict, form=name)
            verdicts.append(verdict)
    if not verdicts:
        return Inequivalent(f"targets {a.target.name} and {b.target.name}")
    return next((verdict for verdict in verdicts if isinstance(verdict, Undecided)), verdicts[0])


def _equivalent(a: Scheme, b: Scheme) -> Equivalence | Inequivalent | Undecided:
    """The answer for sandwiching, slot permutation and slot scaling alone."""
    if a.target != b.target:
        return Inequivalent(f"targets {a.target.name} and {b.target.name}")
    if a.rank != b.rank:
        return Inequivalent(f"ranks {a.rank} and {b.rank}")
    if not (a.ring.rational and b.ring.rational):
        return Undecided(f"rings {a.ring} and {b.ring}; equivalence is decided over Q only")
    geometry_a, geometry_b = _Geometry(a), _Geometry(b)
    n, m, p = (exact.identity(size) for size in geometry_a.sizes)
    found = _matched(geometry_a, geometry_b, n, m, p)
    if found is None:
        search = _Search(geometry_a, geometry_b)
        if search.difference:
            return Inequivalent(search.difference)
        found = next(search.matches(), None)
        if found is None:
            return Undecided(search.gap) if search.gap else Inequivalent("no image of a frame extends to all slots")
    if found.apply(a) != b:
        raise AssertionError("internal error: a match was found that does not carry a to b")
    return found


def stabilizer(a: Scheme) -> list[Equivalence] | Undecided:
    """All sandwichings that map a scheme to itself up to slot order and scales, as a list.

    Its length is the order of the stabilizer in PGL(n) × PGL(m) × PGL(p) over Q.
    """
    if not isinstance(a.target, MatrixProduct):
        return Undecided(f"target {a.target.name}; only matrix products have this symmetry")
    if not a.ring.rational:
        return Undecided(f"ring {a.ring}; symmetry is computed over Q only")
    geometry = _Geometry(a)
    search = _Search(geometry, geometry)
    found = list(search.matches())
    return Undecided(search.gap) if search.gap else found


def frames_of(a: Scheme) -> tuple[list[Matrix], list[Matrix], list[Matrix]] | Undecided:
    """For each of P, Q and R the bases in which some directions of the rank-one factors are the standard frame.

    Which directions are taken depends on nothing that a sandwiching changes: those of the colors that leave the
    fewest ordered frames. So the bases of a sandwiched scheme are those of the scheme, followed by the inverse.
    """
    geometry = _Geometry(a)
    ((_, colors),) = _refine([geometry])
    bases = []
    for which, size in enumerate(geometry.sizes):
        found = _canonical_frames(geometry, colors, which, size)
        if isinstance(found, Undecided):
            return found
        bases.append(found)
    return bases[0], bases[1], bases[2]


def _canonical_frames(
    geometry: _Geometry, colors: dict[tuple[int, Point], int], which: int, size: int
) -> list[Matrix] | Undecided:
    if size == 1:
        return [exact.identity(1)]
    choices = []
    for space, (_, _, _, index, direct) in enumerate(_SPACES):
        if index == which:
            classes: dict[int, list[Point]] = defaultdict(list)
            for x in geometry.points[space]:
                classes[colors[space, x]].append(x)
            for sequence in itertools.combinations_with_replacement(sorted(classes), size + 1):
                cost = math.prod(len(classes[color]) for color in sequence)
                if all(len(classes[color]) >= count for color, count in Counter(sequence).items()):
                    choices.append((cost, space, direct, sequence, classes))
    choices.sort(key=lambda choice: choice[:4])
    tried = 0
    for cost, _, direct, sequence, classes in choices:
        if tried + cost > FRAME_BUDGET:
            return Undecided(f"more than {FRAME_BUDGET} frames for {'PQR'[which]}")
        tried += cost
        found = []
        for points in itertools.product(*(classes[color] for color in sequence)):
            if len(set(points)) == len(points):
                frame = _frame_matrix(points)
                if frame is not None:
                    forward = _inverse(frame)
                    found.append(exact.primitive_matrix(forward if direct else exact.transpose(frame)))
        if found:
            return found
    return Undecided(
        f"the rank-one factors leave {'PQR'[which]} free: no {size + 1} of their directions are in general position"
    )


@final
class _Geometry:
    """Directions of a scheme's rank-one factors, and the colors of slots and points."""

    def __init__(self, scheme: Scheme):
        if not isinstance(scheme.target, MatrixProduct):
            raise InvalidInput(f"{scheme.name}: only schemes for matrix products are compared")
        self.sizes = scheme.target.format
        self.ring = scheme.ring
        self.slots = slot_matrices(scheme)
        self.ranks = [tuple(exact.rank(side[s]) for side in self.slots) for s in range(scheme.rank)]
        # directions[space][slot] is a point, or None where the factor does not have rank one
        self.directions: list[list[Point | None]] = [
            [_direction(self.slots[side][s], right) if self.ranks[s][side] == 1 else None for s in range(scheme.rank)]
            for _, side, right, _, _ in _SPACES
        ]
        self.points = [sorted({x for x in row if x is not None}) for row in self.directions]

    @cached_property
    def slot_classes(self) -> dict[SlotClass, list[int]]:
        """The slots of each class, last first."""
        classes: dict[SlotClass, list[int]] = defaultdict(list)
        for s in reversed(range(len(self.ranks))):
            classes[_slot_class([side[s] for side in self.slots])].append(s)
        return classes

    def initial_colors(self) -> tuple[list[Hashable], dict[tuple[int, Point], Hashable]]:
        return list(self.ranks), {
            (space, point): ("space", space) for space, row in enumerate(self.points) for point in row
        }

    def neighbours(self) -> dict[tuple[int, Point], list[tuple[int, Point]]]:
        """Points of the dual space of the same matrix that annihilate a point: invariant incidence."""
        result: dict[tuple[int, Point], list[tuple[int, Point]]] = {}
        for first, second in ((0, 1), (2, 3), (4, 5)):
            for x in self.points[first]:
                for y in self.points[second]:
                    if sum(p * q for p, q in zip(x, y, strict=True)) == 0:
                        result.setdefault((first, x), []).append((second, y))
                        result.setdefault((second, y), []).append((first, x))
        return result


def _direction(a: Matrix, right: int) -> Point:
    """Column direction (right = 0) or row direction (right = 1) of a rank-one matrix."""
    rows = a if right else exact.transpose(a)
    return exact.primitive(next(row for row in rows if any(row)))


def _key(a: Matrix) -> Point:
    return exact.primitive(value for row in a for value in row)


def _slot_class(factors: Sequence[Matrix]) -> SlotClass:
    u, v, w = (_key(x) for x in factors)
    left_over = Fraction(1)
    for x, point in zip(factors, (u, v, w), strict=True):
        at, value = next(((i, value) for i, value in enumerate(point) if value), (0, 0))
        left_over *= x[at // len(x[0])][at % len(x[0])] / value if value else 0
    return u, v, w, left_over


def _matched(a: _Geometry, b: _Geometry, p: Matrix, q: Matrix, r: Matrix) -> Equivalence | None:
    """The slots of `a` under (P, Q, R) matched with those of `b`, with their scales; None unless all fit exactly."""
    p_inv, q_inv, r_inv = _inverse(p), _inverse(q), _inverse(r)
    sides = (
        (exact.transpose(p_inv), exact.transpose(q)),
        (exact.transpose(q_inv), exact.transpose(r)),
        (p, r_inv),
    )
    free = {key: list(slots) for key, slots in b.slot_classes.items()}
    permutation, scales = [], []
    for s in range(len(a.ranks)):
        moved = [
            exact.multiply(exact.multiply(left, a.slots[side][s]), right) for side, (left, right) in enumerate(sides)
        ]
        slots = free.get(_slot_class(moved))
        if not slots:
            return None
        permutation.append(slots.pop())
        scales.append(_scales([b.slots[side][permutation[-1]] for side in range(3)], moved))
    return Equivalence(p, q, r, tuple(permutation), tuple(scales), b.ring)


def _scales(goal: Sequence[Matrix], factors: Sequence[Matrix]) -> tuple[Fraction, Fraction, Fraction]:
    """(λ, μ, ν) with λμν = 1 that carry the factors of one slot to another of its class."""
    ratios = [_ratio(y, x) for y, x in zip(goal, factors, strict=True)]
    known = [ratio for ratio in ratios if ratio is not None]
    rest = 1 / math.prod(known, start=Fraction(1))  # goes to the first free scale, 1 to the others
    scales = []
    for ratio in ratios:
        scales.append(rest if ratio is None else ratio)
        rest = Fraction(1) if ratio is None else rest
    return scales[0], scales[1], scales[2]


def _refine(geometries: Sequence[_Geometry]) -> list[tuple[list[int], dict[tuple[int, Point], int]]]:
    """Joint color refinement: equal colors across schemes mean equal neighbourhoods so far."""
    state = [geometry.initial_colors() for geometry in geometries]
    neighbours = [geometry.neighbours() for geometry in geometries]
    count = 0
    while True:
        new: list[tuple[list[Hashable], dict[tuple[int, Point], Hashable]]] = []
        for geometry, (slots, points), near in zip(geometries, state, neighbours, strict=True):
            touching: dict[tuple[int, Point], list[Hashable]] = {key: [] for key in points}
            slot_colors: list[Hashable] = []
            for s, color in enumerate(slots):
                seen: list[Hashable] = []
                for space in range(len(_SPACES)):
                    x = geometry.directions[space][s]
                    seen.append(None if x is None else points[space, x])
                    if x is not None:
                        touching[space, x].append(color)
                slot_colors.append((color, tuple(seen)))
            point_colors: dict[tuple[int, Point], Hashable] = {
                key: (
                    color,
                    _multiset(touching[key]),
                    _multiset([points[other] for other in near.get(key, [])]),
                )
                for key, color in points.items()
            }
            new.append((slot_colors, point_colors))
        every = sorted({repr(c) for slots, points in new for c in (*slots, *points.values())})
        number = {text: position for position, text in enumerate(every)}
        numbered = [
            ([number[repr(c)] for c in slots], {key: number[repr(c)] for key, c in points.items()})
            for slots, points in new
        ]
        if len(every) == count:
            return numbered
        count = len(every)
        state = [(list(slots), dict(points)) for slots, points in numbered]


def _multiset(values: list[Hashable]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(map(repr, values)).items()))


@final
class _Search:
    """Every sandwiching from geometry `a` to geometry `b`."""

    def __init__(self, a: _Geometry, b: _Geometry):
        self.a, self.b = a, b
        self.gap = ""
        """Why the search is not complete; empty while it is."""
        (self.slots_a, self.points_a), (self.slots_b, self.points_b) = _refine([a, b])
        self.difference = ""
        if Counter(a.ranks) != Counter(b.ranks):
            self.difference = (
                f"ranks of the factor matrices (u, v, w) over the slots: {_show(a.ranks)} against {_show(b.ranks)}"
            )
        elif Counter(self.slots_a) != Counter(self.slots_b):
            self.difference = "incidence of slots with the directions of their rank-one factors"
        elif Counter(self.points_a.values()) != Counter(self.points_b.values()):
            self.difference = "incidence among the directions of rank-one factors"

    def matches(self) -> Iterator[Equivalence]:
        """All equivalences. After exhaustion, `gap` says whether the search was complete."""
        candidates = [list(self._maps(which)) for which in range(3)]
        tried = 0
        for p, q in itertools.product(candidates[0], candidates[1]):
            if not self._side_fits(0, p, q):
                continue
            for r in candidates[2]:
                tried += 1
                if tried > TRIPLE_BUDGET:
                    self.gap = f"more than {TRIPLE_BUDGET} candidate basis changes"
                    return
                found = _matched(self.a, self.b, p, q, r)
                if found is not None:
                    yield found

    def _side_fits(self, side: int, left: Matrix, right: Matrix) -> bool:
        """Whether (P, Q) maps every u of `a` to some u of `b`, projectively."""
        left_t = exact.transpose(_inverse(left))
        right_t = exact.transpose(right)
        have = {_key(x) for x in self.b.slots[side]}
        return all(_key(exact.multiply(exact.multiply(left_t, x), right_t)) in have for x in self.a.slots[side])

    def _maps(self, which: int) -> Iterator[Matrix]:
        """Candidates for P, Q or R (which = 0, 1, 2): the maps that send points to points of equal color."""
        size = self.a.sizes[which]
        if size == 1:
            yield exact.identity(1)
            return
        frames = []
        for space, (_, _, _, index, direct) in enumerate(_SPACES):
            if index == which:
                frame = self._frame(space, size)
                if frame is not None:
                    cost = 1
                    for x in frame:
                        cost *= self._class_size(space, x)
                    frames.append((cost, space, direct, frame))
        if not frames:
            self.gap = (
                f"the rank-one factors leave {'PQR'[which]} free: "
                f"no {size + 1} of their directions are in general position"
            )
            yield exact.identity(size)
            return
        cost, space, direct, frame = min(frames)
        images = [
            [y for y in self.b.points[space] if self.points_b[space, y] == self.points_a[space, x]] for x in frame
        ]
        source = _frame_matrix(frame)
        assert source is not None
        source_inverse = _inverse(source)
        for tried, image in enumerate(itertools.product(*images)):
            if tried >= FRAME_BUDGET:
                self.gap = f"more than {FRAME_BUDGET} images of a frame for {'PQR'[which]} ({cost} in all)"
                return
            if len(set(image)) < len(image):
                continue
            goal = _frame_matrix(image)
            if goal is None:
                continue
            forward = exact.multiply(goal, source_inverse)
            gauge = forward if direct else exact.transpose(_inverse(forward))
            if self._points_fit(which, gauge):
                yield exact.primitive_matrix(gauge)

    def _points_fit(self, which: int, gauge: Matrix) -> bool:
        dual = exact.transpose(_inverse(gauge))
        for space, (_, _, _, index, direct) in enumerate(_SPACES):
            if index != which:
                continue
            move = gauge if direct else dual
            for x in self.a.points[space]:
                y = exact.primitive(exact.apply(move, [Fraction(value) for value in x]))
                if self.points_b.get((space, y)) != self.points_a[space, x]:
                    return False
        return True

    def _class_size(self, space: int, x: Point) -> int:
        color = self.points_a[space, x]
        return sum(self.points_b[space, y] == color for y in self.b.points[space])

    def _frame(self, space: int, size: int) -> tuple[Point, ...] | None:
        """size + 1 points in general position, from small color classes; None if there are none."""
        points = sorted(self.a.points[space], key=lambda x: (self._class_size(space, x), x))
        basis: list[Point] = []
        for x in points:
            if exact.rank(exact.matrix([*basis, x])) == len(basis) + 1:
                basis.append(x)
            if len(basis) == size:
                break
        if len(basis) < size:
            return None
        for x in points:
            if _frame_matrix([*basis, x]) is not None:
                return (*basis, x)
        for chosen in itertools.islice(itertools.combinations(points, size + 1), FRAME_BUDGET):
            if _frame_matrix(chosen) is not None:
                return chosen
        return None


def _frame_matrix(points: Sequence[Point]) -> Matrix | None:
    """The matrix that sends e_1..e_d and their sum to d + 1 points; None if not in general position."""
    *basis, last = points
    columns = exact.transpose(exact.matrix(basis))
    inverse = exact.inverse(columns)
    if inverse is None:
        return None
    weights: Vector = exact.apply(inverse, [Fraction(value) for value in last])
    if not all(weights):
        return None
    return tuple(tuple(x * weight for x, weight in zip(row, weights, strict=True)) for row in columns)


def _inverse(a: Matrix) -> Matrix:
    inverse = exact.inverse(a)
    assert inverse is not None
    return inverse


def _ratio(goal: Matrix, x: Matrix) -> Fraction | None:
    """The λ with goal = λ x, for projectively equal matrices; None if they are zero."""
    for goal_row, row in zip(goal, x, strict=True):
        for y, value in zip(goal_row, row, strict=True):
            if value:
                return y / value
    return None


def _show(ranks: list[tuple[int, ...]]) -> str:
    return ", ".join(f"{count} x {rank}" for rank, count in sorted(Counter(ranks).items()))
