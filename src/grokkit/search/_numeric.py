"""The numerical route: random weights, annealed to a solution of the tensor equations, made rational, proven.

Every start is a trial of its own: it depends on the seed and its number alone, and what it came to is counted by the
stage that it reached. So the shares of a search are shares of independent trials.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from grokkit.crystallize import Problem, anneal, rationalize
from grokkit.scheme import InvalidInput, Provenance, Scheme, Target
from grokkit.search._work import Engine

RINGS: Final = ("ternary", "Z", "Q")
SPREAD: Final = 0.5
"""Standard deviation of the weights that a start begins with."""
MOST_UNKNOWNS: Final = 6000
"""Of the tensor equations: the normal matrix of a step has its square, here 288 MB."""


@final
@dataclass(frozen=True)
class NumericSettings:
    """How numerical starts are made.

    Attributes
    ----------
    starts:
        Starts of a round.
    cycles:
        Falls of the ridge before a start that does not converge is given up.
    gauges:
        Bases in which a solution is made sparse and rational.
    attempts:
        Choices of values in each.
    """

    starts: int = 4
    cycles: int = 12
    gauges: int = 2
    attempts: int = 8

    def __post_init__(self) -> None:
        for name in ("starts", "cycles", "gauges", "attempts"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; at least 1 is needed")


@final
@dataclass(frozen=True)
class Trial:
    """What one start came to."""

    number: int
    stage: str
    """The stage that failed, ``anneal``, ``sparsify``, ``thin`` or ``pin``; else ``exact``."""
    scheme: Scheme | None
    cycles: int
    seconds: float
    """Processor time."""


@final
@dataclass(frozen=True)
class Start:
    """One start of a numerical search."""

    target: Target
    rank: int
    seed: int
    number: int
    prefer: str
    settings: NumericSettings = field(default_factory=NumericSettings)

    @property
    def splits(self) -> bool:
        return False

    def run(self, threads: int = 1) -> Trial:
        """From random weights to a proven scheme, or to the stage that failed."""
        began = time.thread_time()
        problem = Problem(self.target, self.rank)
        generator = np.random.default_rng([self.seed, self.number])
        weights = SPREAD * generator.standard_normal((self.rank, problem.width))
        annealed = anneal(problem, weights, generator, cycles=self.settings.cycles)
        stage, scheme = "anneal", None
        if annealed.solved:
            rational = rationalize(
                problem,
                annealed.x,
                generator,
                prefer=self.prefer,
                gauges=self.settings.gauges,
                attempts=self.settings.attempts,
                provenance=self._provenance(),
            )
            stage, scheme = rational.stage, rational.scheme
        return Trial(self.number, stage, scheme, annealed.cycles, time.thread_time() - began)

    def _provenance(self) -> Provenance:
        settings = {name: getattr(self.settings, name) for name in self.settings.__dataclass_fields__}
        return Provenance(
            "numerical",
            seed=self.seed,
            configuration={"start": self.number, "rank": self.rank, "prefer": self.prefer, "settings": settings},
        )


@final
@dataclass
class NumericCounts:
    """What a numerical search has spent, and how far its starts came."""

    rounds: int = 0
    starts: int = 0
    cycles: int = 0
    seconds: float = 0.0
    stages: Counter[str] = field(default_factory=Counter)
    """How many starts ended at each stage; ``ternary``, ``Z`` and ``Q`` are the exact ones."""


@final
class NumericSearch:
    """Schemes of one rank from random weights: rounds of independent starts.

    `ring` is ``ternary``, ``Z`` or ``Q``: attempts at rational values end once they are of that kind, and whatever is
    exact is handed on.
    """

    name = "numerical"

    def __init__(self, target: Target, rank: int, ring: str, seed: int, settings: NumericSettings | None = None):
        if ring not in RINGS:
            raise InvalidInput(f"ring {ring!r}: the numerical route finds schemes over {', '.join(RINGS)}")
        unknowns = rank * sum(target.shape)
        if unknowns > MOST_UNKNOWNS:
            raise InvalidInput(
                f"{target.name} of rank {rank} has {unknowns} unknowns; the numerical route takes {MOST_UNKNOWNS}"
            )
        self.target, self.rank, self.ring, self.seed = target, rank, ring, seed
        self.settings = settings or NumericSettings()
        self.counts = NumericCounts()

    def round(self, engine: Engine, workers: int = 1) -> list[Scheme]:
        """One round: the exact schemes that its starts came to, in their order."""
        numbers = range(self.counts.starts, self.counts.starts + self.settings.starts)
        starts = [Start(self.target, self.rank, self.seed, at, self.ring, self.settings) for at in numbers]
        found = []
        for trial in engine(starts):
            self.counts.starts += 1
            self.counts.cycles += trial.cycles
            self.counts.seconds += trial.seconds
            kind = trial.stage
            if trial.scheme is not None:
                kind = "ternary" if trial.scheme.ternary else str(trial.scheme.ring)
                found.append(trial.scheme)
            self.counts.stages[kind] += 1
        self.counts.rounds += 1
        return found
