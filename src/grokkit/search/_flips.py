"""Search in flip graphs: rounds of walks from pools, up a ladder of formats, until a scheme of the wanted rank is
found.

A search is a sequence of rounds. In a round every walker makes a fixed number of flips from a scheme of the pool; the
schemes that they come to go into the pool in the walkers' order. What a round does depends on the seed, the number of
the round and the pool, so the same seed and number of walkers give the same search with any number of workers, on any
engine, interrupted or not.

A format starts from the schemes of a smaller one, extended, which starts from those of a smaller one still: a ladder.
A search that does not come further begins anew with another ladder. Source: Kauers and Moosbauer (2022), "Flip graphs
for matrix multiplication"; Arai, Ichikawa and Hukushima (2024), "Adaptive flip graph algorithm for matrix
multiplication"; Kauers and Wood (2025), "Exploring the meta flip graph for matrix multiplication".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, final

import numpy as np

from grokkit.scheme import InvalidInput, MatrixProduct, Scheme, Target, best_known, suggestion
from grokkit.search._packed import RINGS, Packed, check_packable, holds, pack, projected
from grokkit.search._pool import INTERVALS, Pool
from grokkit.search._symmetric import cube_counts, symmetric_start, transposed_third
from grokkit.search._walk import HEADROOM, walk
from grokkit.search._work import Engine

Format: TypeAlias = tuple[int, ...]
"""n, m and p; empty for a target that is no matrix product."""
START: Final = 27
"""Formats of at most this many products by the standard algorithm start from that, without a ladder."""
LARGEST_ODDS: Final = 5
"""How much likelier a step of the ladder grows the largest letter than one that is smaller by one."""
SYMMETRIC_STARTS: Final = 32
SYMMETRIC_HEADROOM: Final = 4
SYMMETRIC_PATIENCE: Final = 0.2
"""Of symmetric searches: starts of a pool; room for plus transitions, which add three products; share of patience."""
PROJECTIONS: Final = 4
"""Times that a scheme of another format is projected, each with other indices."""


@final
@dataclass(frozen=True)
class FlipSettings:
    """How pools are walked. The defaults found every scheme that docs/measurements.md lists.

    Attributes
    ----------
    walkers:
        Walks in a round.
    steps:
        Flips that each tries in a round.
    capacity:
        Schemes of each rank that a pool holds.
    fresh:
        Share of walks that start at any rank of the pool, instead of the lowest.
    breadth:
        Schemes of the lowest rank that a step of the ladder collects before the next is taken.
    patience:
        Rounds in which neither the rank falls nor, below `breadth`, a new scheme of the lowest rank appears, before a
        step of the ladder is left, or the last one given up and another ladder taken.
    """

    walkers: int = 16
    steps: int = 200_000
    capacity: int = 300
    fresh: float = 0.5
    breadth: int = 20
    patience: int = 40

    def __post_init__(self) -> None:
        for name in ("walkers", "steps", "capacity", "breadth", "patience"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; at least 1 is needed")
        if not 0 <= self.fresh <= 1:
            raise InvalidInput(f"fresh is {self.fresh}; a share from 0 to 1 is needed")


@final
@dataclass(frozen=True)
class Slice:
    """The walks of one worker in one round."""

    schemes: list[Packed]
    random: np.ndarray
    intervals: np.ndarray
    ring: str
    entries: int
    steps: int
    target: int
    symmetric: bool = False

    @property
    def splits(self) -> bool:
        return True

    def run(self, threads: int = 1) -> Done:
        """Walk, here."""
        started = time.process_time()
        walked = walk(
            self.schemes,
            self.random,
            self.intervals,
            ring=self.ring,
            entries=self.entries,
            steps=self.steps,
            target=self.target,
            headroom=SYMMETRIC_HEADROOM if self.symmetric else HEADROOM,
            symmetric=self.symmetric,
            threads=threads,
        )
        seconds = time.process_time() - started
        return Done(walked.schemes, int(walked.tried.sum()), int(walked.flipped.sum()), seconds)


@final
@dataclass(frozen=True)
class Done:
    """What a slice came to, and the processor time that it took, in seconds."""

    schemes: list[Packed]
    tried: int
    flipped: int
    seconds: float


TRACE: Final = 512
"""Rounds of which a trace is kept; beyond, every second one is dropped, again and again."""


@final
@dataclass
class Counts:
    """What a search has spent."""

    rounds: int = 0
    tried: int = 0
    flipped: int = 0
    seconds: float = 0.0
    ladders: int = 0
    history: list[tuple[int, int]] = field(default_factory=list)
    """(flips tried, lowest rank of the format until then), at each fall."""
    trace: list[tuple[int, list[int]]] = field(default_factory=list)
    """(flips tried, the rank that each walker came to), of rounds at the search's own format, evenly spaced."""
    stride: int = 1
    """Rounds at that format from one entry of the trace to the next."""
    own: int = 0
    """Rounds at that format."""

    def note(self, ranks: list[int]) -> None:
        """Take a round at the search's own format into the trace."""
        if self.own % self.stride == 0:
            self.trace.append((self.tried, ranks))
            if len(self.trace) > TRACE:
                self.trace, self.stride = self.trace[::2], 2 * self.stride
        self.own += 1


@final
class FlipSearch:
    """One search for schemes of a format over GF(2), GF(3) or with coefficients -1, 0, 1.

    Each call of `round` makes one round and gives back the new schemes of the format of the lowest rank so far.

    A symmetric search, of a square format, keeps to schemes that the rotation of their factors maps to themselves;
    its pool holds them with C transposed, the cubes first. How many cubes there are (as many as the goal modulo 3
    allows) and which is drawn anew in every ladder, which here is a single step.
    """

    def __init__(
        self,
        target: Target,
        ring: str,
        seed: int,
        settings: FlipSettings | None = None,
        parents: Sequence[Scheme] = (),
        goal: int = 0,
        symmetric: bool = False,
    ):
        if ring not in RINGS:
            raise InvalidInput(f"ring {ring!r} is not understood here{suggestion(ring, RINGS)}")
        check_packable(target, target.nonzeros)
        self.target, self.ring, self.seed, self.goal = target, ring, seed, goal
        self.settings = settings or FlipSettings()
        self.parents: list[tuple[Target, Packed]] = []
        for scheme in parents:
            packed = pack(scheme, ring)
            if packed is None or type(scheme.target) is not type(target):
                raise InvalidInput(f"{scheme.name} over {scheme.ring}: no start for walks over {ring}")
            self.parents.append((scheme.target, packed))
        self.symmetric, self.cubes = symmetric, 0
        self.format: Format = target.format if isinstance(target, MatrixProduct) else ()
        if symmetric and (self.parents or not symmetric_cubes(target, goal)):
            raise InvalidInput(f"{target.name} of rank {goal}: no symmetric start")
        self.counts = Counts()
        self.best: int | None = None
        self._begin()

    @property
    def name(self) -> str:
        """The ring, and whether walks are symmetric."""
        return f"{self.ring}, symmetric" if self.symmetric else self.ring

    def _begin(self) -> None:
        """A new ladder."""
        generator = self._generator(0)
        if self.symmetric:
            counts = np.array(symmetric_cubes(self.target, self.goal))
            odds = counts**-2.0  # the fewer the better: measured in docs/measurements.md
            self.cubes = int(generator.choice(counts, p=odds / odds.sum()))
            self.ladder, self.rung, self.idle = [self.format], 0, 0
            self.pool = self.pool_of(self.ladder[0])
            for _ in range(SYMMETRIC_STARTS):
                parts = symmetric_start(self.format[0], self.ring, self.cubes, generator)
                self.pool.add(np.concatenate(parts, axis=1), generator)
            return
        self.ladder = [self.format] if self.parents or not self.format else ladder(self.format, generator)
        self.rung = -1
        self.pool = self.pool_of(self.ladder[0])
        for source, packed in self.parents:
            for _ in range(PROJECTIONS):
                self.pool.add(self._projected(packed, source, generator), generator)
        self.pool.start()
        self._take_rung()

    def _take_rung(self) -> None:
        self.rung += 1
        self.idle = 0
        if self.rung:
            before, generator = self.pool, self._generator(1 + self.rung)
            self.pool = self.pool_of(self.ladder[self.rung])
            for packed in before.leaders:
                for _ in range(PROJECTIONS):
                    self.pool.add(self._projected(packed, before.target, generator), generator)

    def pool_of(self, form: Format) -> Pool:
        """An empty pool."""
        target = MatrixProduct(*form) if form else self.target
        return Pool(target, self.ring, self.settings.capacity, self.settings.fresh)

    def _projected(self, packed: Packed, source: Target, generator: np.random.Generator) -> Packed:
        """A scheme as a start for the pool's target."""
        if isinstance(source, MatrixProduct) and isinstance(self.pool.target, MatrixProduct):
            return projected(packed, source, self.pool.target, self.ring, generator)
        if source != self.pool.target:
            raise InvalidInput(f"a scheme for {source.name} is no start for {self.pool.target.name}")
        return packed

    def _generator(self, purpose: int) -> np.random.Generator:
        """Random numbers that depend on the seed, what they are for, the ladder and the round."""
        return np.random.default_rng([self.seed, purpose, self.counts.ladders, self.counts.rounds])

    @property
    def last(self) -> bool:
        """Whether the search is at its own format."""
        return self.rung == len(self.ladder) - 1

    def whole(self, packed: Packed) -> Packed:
        """A scheme of the pool as one of the format."""
        return transposed_third(packed, self.format[0]) if self.symmetric else packed

    def round(self, engine: Engine, workers: int = 1) -> list[Packed]:
        """One round: the new schemes of the format of the lowest rank so far, which hold over the ring."""
        generator = self._generator(1000)
        schemes, numbers = self.pool.draw(self.settings.walkers, generator)
        random = generator.integers(0, 2**64, self.settings.walkers, dtype=np.uint64)
        intervals = np.array(INTERVALS)[numbers]
        # below the goal the walks end there; once it is reached they go on, to find more schemes of that rank
        target = self.goal if self.last and (self.pool.best or 0) > self.goal else 0
        common: dict[str, Any] = {
            "ring": self.ring,
            "entries": max(self.pool.target.shape),
            "steps": self.settings.steps,
            "target": max(0, target - self.cubes),
            "symmetric": self.symmetric,
        }
        walked = [packed[:, self.cubes :] for packed in schemes]
        parts = np.array_split(np.arange(self.settings.walkers), max(1, min(workers, self.settings.walkers)))
        done = engine([Slice([walked[i] for i in part], random[part], intervals[part], **common) for part in parts])
        self.counts.rounds += 1
        before, fresh = self.pool.best, []
        ranks: list[int] = []
        results = (packed for each in done for packed in each.schemes)
        for number, start, moved in zip(numbers, schemes, results, strict=True):
            packed = np.concatenate([start[:, : self.cubes], moved], axis=1)
            lowest = self.pool.best
            new = self.pool.add(packed, generator)
            rank = packed.shape[1]
            ranks.append(rank)
            won = new and lowest is not None and rank <= lowest
            self.pool.learn(int(number), won and (rank < lowest or len(self.pool.leaders) < self.settings.breadth))
            if won:
                fresh.append(packed)
        for each in done:
            self.counts.tried += each.tried
            self.counts.flipped += each.flipped
            self.counts.seconds += each.seconds
        if self.last:
            self.counts.note(ranks)
        lowest = self.pool.best
        assert lowest is not None
        fresh = [packed for packed in fresh if packed.shape[1] == lowest]
        for packed in fresh:
            if not holds(self.whole(packed), self.pool.target, self.ring):
                raise AssertionError(f"a walk left {self.pool.target.name} over {self.ring}; please report this")
        grew = bool(fresh) and len(self.pool.leaders) < self.settings.breadth
        self.idle = 0 if lowest != before or grew else self.idle + 1
        found = [self.whole(packed) for packed in fresh] if self.last else []
        if found and (self.best is None or lowest < self.best):
            self.best = lowest
            self.counts.history.append((self.counts.tried, lowest))
        elif self.best is not None and lowest > self.best:
            found = []
        self._move_on(lowest)
        return found

    def _move_on(self, lowest: int) -> None:
        """Take the next step of the ladder, or another ladder, where this one has given what it can."""
        if not self.last:
            known = known_rank(self.ladder[self.rung], self.ring)
            broad = len(self.pool.leaders) >= self.settings.breadth
            if self.idle >= self.settings.patience or (broad and known is not None and lowest <= known):
                self._take_rung()
        elif self.idle >= (SYMMETRIC_PATIENCE if self.symmetric else 1) * self.settings.patience:
            self.give_up()

    def give_up(self) -> None:
        """Leave this ladder and begin another."""
        self.counts.ladders += 1
        self._begin()


def known_rank(form: Format, ring: str) -> int | None:
    """The best known rank of a format over a ring of walks; None where none is listed."""
    n, m, p = form
    return best_known((n, m, p)).get(ring)


def symmetric_cubes(target: Target, goal: int) -> list[int]:
    """How many cubes a symmetric scheme of a target may have; none where it has no such symmetry."""
    return list(cube_counts(target, goal)) if isinstance(target, MatrixProduct) else []


def ladder(form: Format, generator: np.random.Generator) -> list[Format]:
    """Formats from a small one to the given one, each with one letter larger by one than the one before.

    Which letter grew is drawn: mostly a largest one, now and then one that is smaller by one.
    """
    steps = [form]
    while np.prod(steps[0]) > START:
        now = steps[0]
        odds = np.array([(size > 2) * {0: LARGEST_ODDS, 1: 1}.get(max(now) - size, 0) for size in now], dtype=float)
        at = int(generator.choice(3, p=odds / odds.sum()))
        below = list(now)
        below[at] -= 1
        steps.insert(0, tuple(below))
    return steps
