"""`find_scheme`: a scheme of a wanted rank over a wanted ring, from nothing, proven or not counted."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from grokkit.scheme import (
    Certificate,
    InvalidInput,
    MatrixProduct,
    Provenance,
    Ring,
    Scheme,
    Target,
    parse_target,
    save,
    standard_scheme,
    suggestion,
    undone_if_empty,
    verify,
)
from grokkit.search._bounds import known_rank_of, lower_bound
from grokkit.search._flips import FlipSearch, FlipSettings, symmetric_cubes
from grokkit.search._lifting import lift
from grokkit.search._numeric import NumericSearch, NumericSettings
from grokkit.search._packed import Packed, pack, to_scheme
from grokkit.search._state import read_state, write_state
from grokkit.search._work import Engine, in_threads

RINGS: Final = ("ternary", "Z", "Q", "GF(2)", "GF(3)")
WALKS: Final = {
    "GF(2)": (("GF(2)", True), ("GF(2)", False)),
    "GF(3)": (("GF(3)", True), ("GF(3)", False)),
    "ternary": (("GF(2)", True), ("ternary", False), ("GF(2)", False)),
    "Z": (("GF(2)", True), ("GF(2)", False), ("ternary", False)),
    "Q": (("GF(2)", True), ("GF(2)", False), ("ternary", False), ("GF(3)", False)),
}
"""For a scheme over each ring, over which rings walks are made and whether symmetric ones, a round of each in turn.

Those over GF(p) are lifted. Symmetric walks are made for square formats only.
"""
ROUTES: Final = ("auto", "flip", "numeric")
LIFTS_A_ROUND: Final = 2
LIFTS_A_LADDER: Final = 25
"""Schemes of one ladder that are lifted without success before it is left: that a lift is obstructed is inherited."""
SAVE_EVERY: Final = 10.0
"""Seconds between two states on disk."""


@final
@dataclass
class SearchResult:
    """What a search came to.

    Attributes
    ----------
    found:
        Whether a scheme of the wanted rank (or lower) over the wanted ring was found and proven.
    scheme, certificate:
        The best scheme; at worst the standard algorithm.
    schemes:
        All schemes of the best rank, if more than one was asked for.
    goal:
        The rank that was wanted.
    cpu_seconds:
        Processor time, of all workers, in this call and the interrupted ones that it goes on from.
    tried, flipped:
        Flips that were tried and done.
    liftings:
        How often lifting ended how.
    starts:
        How many numerical starts ended at which stage: ``anneal``, ``sparsify``, ``thin``, ``pin`` failed there,
        ``ternary``, ``Z`` and ``Q`` are exact.
    history:
        For each ring of walks, (flips tried, rank) at each fall of the lowest rank of the format.
    complete:
        Whether the search ended by itself, found or out of its budget: not by an interruption.
    """

    found: bool
    scheme: Scheme
    certificate: Certificate
    goal: int
    seed: int
    rounds: int
    ladders: int
    cpu_seconds: float
    tried: int
    flipped: int
    liftings: dict[str, int] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    history: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    schemes: list[Scheme] = field(default_factory=list)
    complete: bool = True

    @property
    def rank(self) -> int:
        return self.scheme.rank


Progress = Callable[["SearchResult"], None]


def find_scheme(
    target: str | Target,
    rank: int | None = None,
    ring: str = "Z",
    *,
    route: str = "auto",
    budget: float = 60.0,
    rounds: int | None = None,
    workers: int = 1,
    engine: Engine | None = None,
    seed: int = 0,
    settings: FlipSettings | None = None,
    numeric: NumericSettings | None = None,
    start: Sequence[Scheme] = (),
    want: int = 1,
    symmetric: bool | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Search a scheme for a bilinear map, from nothing: by walks in flip graphs and lifting, or from random weights.

    Parameters
    ----------
    target:
        A format to 8x8x8, such as ``"3x3x3"``, or another map: ``"poly:3"``, ``"cyclic:4"``, ``"complex"``,
        ``"quaternion"``, ``"toeplitz:3"`` (see `grokkit.scheme.parse_target`), or a `Target`.
    rank:
        The rank to reach; by default the lowest on record for the ring.
    ring:
        ``ternary`` (Z with coefficients -1, 0, 1), ``Z``, ``Q``, ``GF(2)`` or ``GF(3)``.
    route:
        ``flip``: walks. ``numeric``: random weights, annealed, made rational. ``auto``: walks, and both in turn for
        schemes over Q.
    budget:
        Seconds of wall-clock time; the round that is under way is finished.
    rounds:
        Ends the search after this many rounds, too: then the result is the same on any machine.
    workers:
        Threads, or processes of another `engine`. Changes nothing but time.
    settings, numeric:
        How pools are walked, and how numerical starts are made.
    start:
        Schemes, of any formats, to start from instead of the standard algorithm: extended and restricted as needed.
    want:
        Different schemes of that rank to find before the search ends.
    symmetric:
        Only walks among schemes that rotation maps to themselves (True), none of them (False), or both in turn.
    out:
        A directory for the best schemes and the state of the search, which goes on from there when called again.
    progress:
        Called after every round with what there is.

    Raises `InvalidInput` for a rank below a proven lower bound, and for a directory that holds another search.
    Interrupted by Ctrl-C, the search returns what it has (`SearchResult.complete` is then False).

    >>> find_scheme("2x2x2", 7, "ternary", seed=1).scheme.name
    '<2,2,2;7>'
    """
    target = parse_target(target) if isinstance(target, str) else target
    if ring not in RINGS:
        raise InvalidInput(f"ring {ring!r} is not understood here{suggestion(ring, RINGS)}")
    if route not in ROUTES:
        raise InvalidInput(f"route {route!r} is not understood; use {', '.join(ROUTES)}")
    goal = _goal(target, rank, ring)
    if not budget > 0:
        raise InvalidInput(f"budget is {budget:g} s; a positive time is needed")
    if workers < 1 or want < 1 or (rounds is not None and rounds < 1):
        raise InvalidInput("workers, want and rounds must be at least 1")
    run = _Run(
        target,
        goal,
        ring,
        seed,
        route,
        settings or FlipSettings(),
        numeric or NumericSettings(),
        start,
        want,
        symmetric,
    )
    if out is None:
        return run.go(budget, rounds, workers, engine or in_threads(workers), progress, None)
    with undone_if_empty(out):
        return run.go(budget, rounds, workers, engine or in_threads(workers), progress, out)


def _goal(target: Target, rank: int | None, ring: str) -> int:
    bound, why = lower_bound(target, ring)
    if rank is None:
        known = known_rank_of(target, ring)
        if known is None:
            raise InvalidInput(f"{target.name}: no rank over {ring} is on record for this format; say which to reach")
        return known
    if rank < bound:
        raise InvalidInput(
            f"{target.name}: no scheme of rank {rank} over {ring} exists, at least {bound} products are needed ({why})"
        )
    return rank


@final
class _Run:
    """A search between rounds: everything that is written to disk, and what makes a round of it."""

    def __init__(
        self,
        target: Target,
        goal: int,
        ring: str,
        seed: int,
        route: str,
        settings: FlipSettings,
        numeric: NumericSettings,
        start: Sequence[Scheme],
        want: int,
        symmetric: bool | None,
    ):
        self.target, self.goal, self.ring, self.seed, self.route, self.want = target, goal, ring, seed, route, want
        self.settings, self.numeric_settings = settings, numeric
        self.start, self.symmetric = [scheme.digest for scheme in start], symmetric
        self.walks = [] if route == "numeric" else self._walks(start)
        self.numeric: NumericSearch | None = None
        if route == "numeric" or (route == "auto" and ring == "Q" and not start and symmetric is None):
            self.numeric = self._numeric(start)
        self.rounds = 0
        self.seconds = 0.0
        self.liftings: Counter[str] = Counter()
        self.failed_lifts = [0] * len(self.walks)
        self.ladders = [0] * len(self.walks)
        base = standard_scheme(target)
        if Ring.parse("Z" if ring == "ternary" else ring).characteristic:
            base = Scheme(target, base.U, base.V, base.W, ring=Ring.parse(ring), provenance=base.provenance)
        self.schemes: list[Scheme] = [base]
        self.certificate = verify(base)

    def _walks(self, start: Sequence[Scheme]) -> list[FlipSearch]:
        fitting = [
            (walked, turned)
            for walked, turned in WALKS[self.ring]
            if all(pack(scheme, walked) is not None for scheme in start)
            and (self.symmetric is None or self.symmetric == turned)
            and (not turned or (not start and symmetric_cubes(self.target, self.goal)))
        ]
        if not fitting and self.symmetric:
            raise InvalidInput(f"{self.target.name} of rank {self.goal} over {self.ring}: no symmetric start")
        if not fitting:
            listed = ", ".join(f"{scheme.name} over {scheme.ring}" for scheme in start)
            rings = " or ".join(dict.fromkeys(walked for walked, _ in WALKS[self.ring]))
            raise InvalidInput(f"{listed}: no start for walks over {rings}")
        return [
            FlipSearch(self.target, walked, self.seed, self.settings, start, self.goal, turned)
            for walked, turned in fitting
        ]

    def _numeric(self, start: Sequence[Scheme]) -> NumericSearch | None:
        if start or self.symmetric is not None:
            raise InvalidInput("the numerical route starts from random weights; leave out the starts and the symmetry")
        try:
            return NumericSearch(self.target, self.goal, self.ring, self.seed, self.numeric_settings)
        except InvalidInput:
            if self.route == "numeric":
                raise
            return None  # too large: walks alone

    def identity(self) -> dict[str, Any]:
        """What must agree for a search to go on from a directory."""
        return {
            **self.target.to_json(),
            "ring": self.ring,
            "seed": self.seed,
            "route": self.route,
            "settings": {name: getattr(self.settings, name) for name in self.settings.__dataclass_fields__},
            "numeric": {
                name: getattr(self.numeric_settings, name) for name in self.numeric_settings.__dataclass_fields__
            },
            "start": self.start,
            "symmetric": self.symmetric,
        }

    @property
    def found(self) -> bool:
        return self.schemes[0].rank <= self.goal and len(self.schemes) >= self.want

    def go(
        self,
        budget: float,
        rounds: int | None,
        workers: int,
        engine: Engine,
        progress: Progress | None,
        out: Path | None,
    ) -> SearchResult:
        if out is not None:
            read_state(self, out)
        started = saved = time.monotonic()
        complete = True
        try:
            while not self.found and time.monotonic() - started < budget and (rounds is None or self.rounds < rounds):
                self.round(engine, workers)
                if progress is not None:
                    progress(self.result())
                if out is not None and time.monotonic() - saved > SAVE_EVERY:
                    write_state(self, out)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            complete = False
        result = self.result(complete)
        if out is not None:
            write_state(self, out)
            for number, scheme in enumerate(self.schemes):
                save(scheme, out / scheme_name(scheme, number), verify(scheme))
        return result

    def round(self, engine: Engine, workers: int) -> None:
        """A round of walks, over one of the rings in turn, and the liftings of what it found; or of random starts."""
        at = self.rounds % (len(self.walks) + (self.numeric is not None))
        if at == len(self.walks):
            self._numeric_round(engine, workers)
            return
        walks = self.walks[at]
        before = walks.counts.seconds
        fresh = walks.round(engine, workers)
        self.seconds += walks.counts.seconds - before
        self.rounds += 1
        if walks.counts.ladders != self.ladders[at]:
            self.ladders[at], self.failed_lifts[at] = walks.counts.ladders, 0
        lifted = 0
        for packed in fresh:
            if not self._wanted(packed.shape[1]):
                continue
            if walks.ring == self.ring or (walks.ring == "ternary" and self.ring in ("Z", "Q")):
                self._take(to_scheme(packed, self.target, walks.ring, self._provenance(walks)))
            elif lifted < LIFTS_A_ROUND:
                lifted += 1
                self._lift(packed, walks, at)
        if self.failed_lifts[at] >= LIFTS_A_LADDER:
            walks.give_up()

    def _numeric_round(self, engine: Engine, workers: int) -> None:
        assert self.numeric is not None
        before = self.numeric.counts.seconds
        fresh = self.numeric.round(engine, workers)
        self.seconds += self.numeric.counts.seconds - before
        self.rounds += 1
        for scheme in fresh:
            if self._wanted(scheme.rank) and self._fits(scheme):
                self._take(scheme)

    def _fits(self, scheme: Scheme) -> bool:
        """Whether a scheme in characteristic 0 is one over the wanted ring."""
        return scheme.ternary if self.ring == "ternary" else self.ring == "Q" or str(scheme.ring) == "Z"

    def _wanted(self, rank: int) -> bool:
        best = self.schemes[0].rank
        return rank < best or (rank == best <= self.goal and len(self.schemes) < self.want)

    def _lift(self, packed: Packed, walks: FlipSearch, at: int) -> None:
        started = time.process_time()
        prefer = self.ring if self.ring in ("ternary", "Z") else "Q"
        lifting = lift(to_scheme(packed, self.target, walks.ring), seed=self.seed, tries=8, prefer=prefer)
        self.seconds += time.process_time() - started
        self.liftings[lifting.outcome] += 1
        scheme = lifting.scheme
        if scheme is None or not self._fits(scheme):
            self.failed_lifts[at] += 1
            return
        self._take(scheme.with_provenance(self._provenance(walks, lifting.outcome)))

    def _take(self, scheme: Scheme) -> None:
        certificate = verify(scheme)
        if scheme.rank < self.schemes[0].rank:
            self.schemes, self.certificate = [scheme], certificate
        elif scheme not in self.schemes:
            self.schemes.append(scheme)

    def _provenance(self, walks: FlipSearch, lifted: str = "") -> Provenance:
        configuration: dict[str, Any] = self.identity() | {
            "goal": self.goal,
            "round": self.rounds,
            "walks": walks.name,
            "ladder": ["x".join(map(str, form)) for form in walks.ladder],
        }
        if lifted:
            configuration["lifted"] = lifted
        return Provenance("flip graph", seed=self.seed, configuration=configuration)

    def result(self, complete: bool = True) -> SearchResult:
        """What there is."""
        best = self.schemes[0]
        return SearchResult(
            found=self.found,
            scheme=best,
            certificate=self.certificate,
            goal=self.goal,
            seed=self.seed,
            rounds=self.rounds,
            ladders=sum(walks.counts.ladders for walks in self.walks),
            cpu_seconds=self.seconds,
            tried=sum(walks.counts.tried for walks in self.walks),
            flipped=sum(walks.counts.flipped for walks in self.walks),
            liftings=dict(self.liftings),
            starts=dict(self.numeric.counts.stages) if self.numeric is not None else {},
            history={walks.name: list(walks.counts.history) for walks in self.walks},
            schemes=list(self.schemes),
            complete=complete,
        )


def scheme_name(scheme: Scheme, number: int = 0) -> str:
    """The name of a scheme's file: format, rank, and a number from the second on."""
    if isinstance(scheme.target, MatrixProduct):
        what = "x".join(map(str, scheme.target.format))
    else:
        what = re.sub(r"[^a-z0-9]+", "-", scheme.target.name.lower()).strip("-")
    return f"{what}-{scheme.rank}{f'-{number}' if number else ''}.json"
