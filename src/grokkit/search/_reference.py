"""One walk in the flip graph in plain Python: the native walk (native/src/flips/walk.h), step for step and bit for bit.

It is the oracle of the native core's tests, and what runs where there is no native core, some thousand times slower.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

import numpy as np
from jaxtyping import Shaped

Value: TypeAlias = tuple[int, int]
"""Bits where a coefficient is 1, and where it is -1."""

WORD: Final = 2**64 - 1
LARGEST_RANK: Final = 1024
PLUS_ATTEMPTS: Final = 200


class Random:
    """splitmix64."""

    def __init__(self, state: int):
        self.state = state

    def next(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & WORD
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & WORD
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & WORD
        return z ^ z >> 31

    def below(self, bound: int) -> int:
        return (self.next() >> 32) * bound >> 32


def negative(x: Value) -> Value:
    return x[1], x[0]


def weight(x: Value) -> int:
    return x[0].bit_count() + x[1].bit_count()


def add(ring: str, a: Value, b: Value) -> Value | None:
    """The sum, or None where it leaves -1, 0, 1 over the integers."""
    if ring == "GF(2)":
        return a[0] ^ b[0], 0
    if ring == "GF(3)":
        a0, b0 = ~(a[0] | a[1]), ~(b[0] | b[1])
        return (a[0] & b0) | (a0 & b[0]) | (a[1] & b[1]), (a[1] & b0) | (a0 & b[1]) | (a[0] & b[0])
    if (a[0] & b[0]) | (a[1] & b[1]):
        return None
    return (a[0] & ~b[1]) | (b[0] & ~a[1]), (a[1] & ~b[0]) | (b[1] & ~a[0])


def key_of(ring: str, x: Value, packed_keys: bool) -> int:
    """The same for a value and its negative."""
    if ring == "GF(2)":
        return x[0]
    every = x[0] | x[1]
    if x[1] & every & -every:
        x = negative(x)
    if packed_keys:
        return x[0] | x[1] << 32
    minus = x[1] * 0x9E3779B97F4A7C15 & WORD
    mixed = x[0] ^ minus ^ minus >> 31
    return mixed | (mixed == 0 and every != 0)


@final
@dataclass
class Found:
    """Where a walk came to; see `grokkit.search._walk.Walked`."""

    packed: Shaped[np.ndarray, "3 _ 2"]
    tried: int
    flipped: int
    reached: dict[int, int] = field(default_factory=dict)


class _Walk:
    def __init__(
        self,
        packed: np.ndarray,
        random: int,
        ring: str,
        packed_keys: bool,
        acceptance: list[int] | None,
        symmetric: bool = False,
    ):
        self.symmetric, self.turns = symmetric, 3 if symmetric else 1
        self.random, self.ring, self.packed_keys, self.acceptance = Random(random), ring, packed_keys, acceptance
        self.signs = ring != "GF(2)"
        self.values: list[list[Value]] = [[(int(x[0]), int(x[1])) for x in side] for side in packed]
        self.keys = [[key_of(ring, x, packed_keys) for x in side] for side in self.values]
        self.active: list[tuple[int, int]] = []
        self.place: dict[tuple[int, int], int] = {}
        self.flipped = self.weight = self.best_weight = 0
        self.best = LARGEST_RANK + 1
        self.best_values = self.values
        self.reached: dict[int, int] = {}

    @property
    def rank(self) -> int:
        return len(self.values[0])

    def turned(self, f: int, i: int, turn: int) -> tuple[int, int]:
        """Where factor f of product i lies after `turn` rotations, of a symmetric scheme."""
        return (f + turn) % 3, i - i % 3 + (i % 3 + turn) % 3

    def one_orbit(self, i: int, j: int) -> bool:
        return self.symmetric and i // 3 == j // 3

    def set_all(self, f: int, i: int, x: Value) -> None:
        for turn in range(self.turns):
            self.set(*(self.turned(f, i, turn) if turn else (f, i)), x)

    def set(self, f: int, i: int, x: Value) -> None:
        self.values[f][i] = x
        self.keys[f][i] = key_of(self.ring, x, self.packed_keys)

    def keep(self, step: int) -> None:
        if self.rank < self.best:
            last = self.rank if self.best > LARGEST_RANK else self.best - 1
            self.reached |= dict.fromkeys(range(self.rank, last + 1), step)
        self.best, self.best_weight = self.rank, self.weight
        self.best_values = [list(side) for side in self.values]

    def activate(self, f: int, i: int) -> None:
        self.place[f, i] = len(self.active)
        self.active.append((f, i))

    def deactivate(self, f: int, i: int) -> None:
        place, moved = self.place.pop((f, i)), self.active.pop()
        if moved != (f, i):
            self.active[place] = moved
            self.place[moved] = place

    def change(self, f: int, i: int, x: Value) -> bool:
        """Replace a factor; true if another product now shares two factors with this one."""
        before, after = self.keys[f][i], key_of(self.ring, x, self.packed_keys)
        self.values[f][i] = x
        if before == after:
            return False
        g = (f + 1) % 3
        h = 3 - f - g
        left = [j for j, key in enumerate(self.keys[f]) if key == before and j != i]
        joined = [j for j, key in enumerate(self.keys[f]) if key == after]
        self.keys[f][i] = after
        if len(left) == 1:
            self.deactivate(f, left[0])
        if not joined and left:
            self.deactivate(f, i)
        if joined and not left:
            self.activate(f, i)
        if len(joined) == 1:
            self.activate(f, joined[0])
        return any(self.keys[g][i] == self.keys[g][j] or self.keys[h][i] == self.keys[h][j] for j in joined)

    def flip(self) -> None:
        chance = self.random.next()
        f, i = self.active[(chance >> 32) * len(self.active) >> 32]
        partners = [j for j, key in enumerate(self.keys[f]) if key == self.keys[f][i] and j != i]
        j = partners[(chance >> 8 & 0xFFFFFF) * len(partners) >> 24]
        if self.one_orbit(i, j):
            return
        g = (f + 1 + (chance & 1)) % 3
        h = 3 - f - g
        second, third = self.values[g][j], self.values[h][i]
        if self.signs:
            opposite = self.values[f][i] != self.values[f][j]
            if opposite and self.values[f][i] != negative(self.values[f][j]):
                return
            minus = bool(chance & 2)
            if minus:
                second = negative(second)
            if minus == opposite:
                third = negative(third)
        v, w = add(self.ring, self.values[g][i], second), add(self.ring, self.values[h][j], third)
        if v is None or w is None:
            return
        if self.acceptance is not None:
            gained = weight(v) + weight(w) - weight(self.values[g][i]) - weight(self.values[h][j])
            if gained > 0 and self.random.next() >= self.acceptance[min(gained, 64) - 1]:
                return
            self.weight += gained * self.turns
        self.flipped += 1
        meets = False
        for turn in range(self.turns):
            meets |= self.change(*(self.turned(g, i, turn) if turn else (g, i)), v)
            meets |= self.change(*(self.turned(h, j, turn) if turn else (h, j)), w)
        if meets or not any(v) or not any(w):
            self.tidy()

    def remove(self, i: int) -> None:
        """Remove a product; of a symmetric scheme its orbit."""
        first = i - i % 3 if self.symmetric else i
        for side in (*self.values, *self.keys):
            last = side[len(side) - self.turns :]
            del side[len(side) - self.turns :]
            if first < len(side):
                side[first : first + self.turns] = last  # type: ignore[assignment]

    def equal_up_to_sign(self, f: int, i: int, j: int) -> int:
        """1 for equal values, -1 for opposite ones, 0 for others."""
        if self.values[f][i] == self.values[f][j]:
            return 1
        return -1 if self.signs and self.values[f][i] == negative(self.values[f][j]) else 0

    def merge_one(self) -> bool:
        for f in range(3):
            g, h = (f + 1) % 3, (f + 2) % 3
            for i in range(self.rank):
                for j in range(i + 1, self.rank):
                    if self.keys[f][i] != self.keys[f][j] or self.keys[g][i] != self.keys[g][j]:
                        continue
                    if self.one_orbit(i, j):
                        continue
                    sign = self.equal_up_to_sign(f, i, j) and (
                        self.equal_up_to_sign(f, i, j) * self.equal_up_to_sign(g, i, j)
                    )
                    if not sign:
                        continue
                    other = self.values[h][j] if sign > 0 else negative(self.values[h][j])
                    total = add(self.ring, self.values[h][i], other)
                    if total is None:
                        continue
                    self.set_all(h, i, total)
                    self.remove(j)
                    return True
        return False

    def tidy(self) -> None:
        while True:
            i = 0
            while i < self.rank:
                if all(any(self.values[f][i]) for f in range(3)):
                    i += self.turns
                else:
                    self.remove(i)
            if not self.merge_one():
                break
        self.list_shared()

    def list_shared(self) -> None:
        self.active, self.place = [], {}
        for f in range(3):
            shared = Counter(self.keys[f])
            for i, key in enumerate(self.keys[f]):
                if shared[key] > 1:
                    self.activate(f, i)
        self.weight = sum(weight(x) for side in self.values for x in side)

    def plus(self) -> None:
        if not 2 * self.turns <= self.rank <= LARGEST_RANK - self.turns:
            return
        for _ in range(PLUS_ATTEMPTS):
            i, j = self.random.below(self.rank), self.random.below(self.rank)
            chance = self.random.next()
            if i == j or self.one_orbit(i, j):
                continue
            f = (chance >> 32) * 3 >> 32
            g = (f + 1 + (chance & 1)) % 3
            h = 3 - f - g
            if any(self.keys[side][i] == self.keys[side][j] for side in range(3)):
                continue
            u1, v1, w1 = (self.values[side][i] for side in (f, g, h))
            u2, v2, w2 = (self.values[side][j] for side in (f, g, h))
            v = add(self.ring, v1, v2)
            w = add(self.ring, w2, negative(w1) if self.signs else w1)
            u = add(self.ring, u2, negative(u1) if self.signs else u1)
            if v is None or w is None or u is None:
                continue
            k = self.rank
            for side in range(3):
                self.values[side] += [(0, 0)] * self.turns
                self.keys[side] += [0] * self.turns
            for side, at, x in ((g, i, v), (f, j, u1), (h, j, w), (f, k, u), (g, k, v2), (h, k, w2)):
                self.set_all(side, at, x)
            self.tidy()
            return


def reference_walk(
    packed: Shaped[np.ndarray, "3 _ 2"],
    random: int,
    *,
    ring: str,
    packed_keys: bool,
    steps: int,
    target: int,
    headroom: int,
    interval: int,
    acceptance: list[int] | None,
    symmetric: bool = False,
) -> Found:
    """The walk of one packed scheme; the arguments are those of `grokkit.search._walk.walk`, for a single walk."""
    walk = _Walk(packed, random, ring, packed_keys, acceptance, symmetric)
    walk.tidy()
    walk.keep(0)
    step = last = 0
    while step < steps and walk.best > target:
        step += 1
        if walk.active:
            walk.flip()
        if walk.rank < walk.best:
            walk.keep(step)
            last = step
        elif acceptance is not None and walk.rank == walk.best and walk.weight < walk.best_weight:
            walk.keep(step)
        if step - last >= interval or not walk.active:
            last = step
            if walk.rank == walk.best and acceptance is None:
                walk.keep(step)
            if walk.rank < walk.best + headroom:
                walk.plus()
            if not walk.active:
                break
            if walk.rank < walk.best:
                walk.keep(step)
    if walk.rank == walk.best and acceptance is None:
        walk.keep(step)
    best = np.array(walk.best_values, dtype=np.uint64).reshape(3, walk.best, 2)
    return Found(best, step, walk.flipped, walk.reached)


def greedy_additions(variables: list[tuple[int, int]], random: Random) -> int:
    """Additions of a linear map after greedy elimination of pairs: native/src/flips/additions.h, number for number.

    A variable is the rows in which its coefficient is 1, and those in which it is -1, as bits; all of them are nonzero.
    """
    live = list(variables)
    rows = 0
    for plus, minus in live:
        rows |= plus | minus
    made = 0
    while len(live) < 8 * 128:
        most, ties, chosen = 1, 0, (0, 0, False)
        for i, (p, m) in enumerate(live):
            if not p | m:
                continue
            for j in range(i + 1, len(live)):
                q, n = live[j]
                for opposite, here in ((False, (p & q | m & n).bit_count()), (True, (p & n | m & q).bit_count())):
                    if here < 2 or here < most:
                        continue
                    ties = 1 if here > most else ties + 1
                    if here > most or random.below(ties) == 0:
                        chosen = i, j, opposite
                    most = here
        if most < 2:
            break
        i, j, opposite = chosen
        (p, m), (q, n) = live[i], live[j]
        plus, minus = p & (n if opposite else q), m & (q if opposite else n)
        live[i] = p & ~plus, m & ~minus
        live[j] = (q & ~minus, n & ~plus) if opposite else (q & ~plus, n & ~minus)
        live.append((plus, minus))
        made += 1
    return made + sum((p | m).bit_count() for p, m in live) - rows.bit_count()


def additions_of(values: list[list[Value]], entries: tuple[int, int, int], random: Random) -> int:
    """Additions of a scheme, by one greedy elimination of each map and of its transpose."""
    total, last = len(values[0]), 0
    for side, length in zip(values, entries, strict=True):
        columns = [
            (
                sum((x[0] >> e & 1) << r for r, x in enumerate(side)),
                sum((x[1] >> e & 1) << r for r, x in enumerate(side)),
            )
            for e in range(length)
        ]
        by_rows = greedy_additions([x for x in columns if any(x)], random)
        used = 0
        for x in side:
            used |= x[0] | x[1]
        filled = [x for x in side if any(x)]
        by_columns = greedy_additions(filled, random) + used.bit_count() - len(filled)
        total += min(by_rows, by_columns)
        last = used
    return total - last.bit_count()


def reference_cheapen(
    packed: Shaped[np.ndarray, "3 _ 2"],
    random: int,
    entries: tuple[int, int, int],
    steps: int,
    flips: int,
    acceptance: list[int],
) -> tuple[Shaped[np.ndarray, "3 _ 2"], int]:
    """One walk towards fewer additions: native/src/flips/cheapen.h, number for number."""
    walk = _Walk(packed, random, "ternary", max(entries) <= 32, None)
    walk.tidy()
    cost = cheapest = additions_of(walk.values, entries, walk.random)
    best = [list(side) for side in walk.values]
    for _ in range(steps):
        if not walk.active:
            break
        before = [list(side) for side in walk.values]
        for _ in range(1 + walk.random.below(flips)):
            if not walk.active:
                break
            walk.flip()
        now = additions_of(walk.values, entries, walk.random) if walk.rank <= len(best[0]) else None
        if now is None or (now > cost and walk.random.next() >= acceptance[min(now - cost, 64) - 1]):
            walk.values = before
            walk.keys = [[key_of("ternary", x, walk.packed_keys) for x in side] for side in before]
            walk.list_shared()
            continue
        cost = now
        if walk.rank < len(best[0]) or cost < cheapest:
            cheapest, best = cost, [list(side) for side in walk.values]
    return np.array(best, dtype=np.uint64).reshape(3, len(best[0]), 2), cheapest
