"""From one numerical solution to exact rational factors: sparsify, thin, pin, prove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np
from jaxtyping import Float

from grokkit.crystallize._descent import descend
from grokkit.crystallize._gauge import Sparsification, another_gauge, sparsify
from grokkit.crystallize._outputs import solve_outputs
from grokkit.crystallize._pinning import Pinning, pin
from grokkit.crystallize._problem import Problem
from grokkit.crystallize._rounding import SOLVED
from grokkit.crystallize._thinning import STILL_SOLVED, thin
from grokkit.scheme import MatrixProduct, Provenance, Refuted, Scheme, verify

Stage = Literal["sparsify", "thin", "pin", "exact"]
STAGES: Final[tuple[Stage, ...]] = ("sparsify", "thin", "pin", "exact")
RINGS: Final = ("ternary", "Z", "Q")
KICK: Final = 0.3
SCHEDULE: Final = Sparsification(rounds=40, steps=1, strength=(5e-2, 1e-4), smoothing=(0.5, 1e-3), finish=40)


@final
@dataclass(frozen=True)
class Rationalization:
    """What became of one solution."""

    scheme: Scheme | None
    """A proven scheme, of the wanted kind if one was met, else the last."""
    stage: Stage
    """``exact``, or the stage that failed in the gauge that came farthest: equations lost on sparsifying or thinning,
    or no exact rationals on pinning."""
    gauges: int
    pins: int
    """Attempts at pinning."""
    nonzeros: int | None
    """Entries that thinning left, in the gauge that came farthest."""


def rationalize(
    problem: Problem,
    x: Float[np.ndarray, "slots width"],
    generator: np.random.Generator,
    *,
    prefer: str = "Q",
    gauges: int = 2,
    attempts: int = 8,
    provenance: Provenance | None = None,
) -> Rationalization:
    """Move a solution of the tensor equations to exact rational factors, and prove them.

    The solution slides to a sparse one (reweighted L1), gets as many exact zeros as it can (`thin`) and rational values
    in what is left (`pin`). Nothing counts but a scheme that `verify` proves. `prefer` says which coefficients end the
    attempts: ``ternary``, ``Z`` or any (``Q``). Each gauge after the first starts from another basis, for targets other
    than matrix products from another solution nearby.
    """
    farthest: Stage = "sparsify"
    found: tuple[int, Scheme] | None = None
    nonzeros = None
    pins = gauge = 0
    for gauge in range(1, gauges + 1):
        start = np.asarray(x)[None] if gauge == 1 else _elsewhere(problem, np.asarray(x), generator)
        sparse, loss = sparsify(problem, start, SCHEDULE)
        if not loss[0] < SOLVED:
            continue
        thinned = thin(problem, sparse[0])
        if not thinned.loss < STILL_SOLVED:
            farthest = "thin" if farthest == "sparsify" else farthest
            continue
        if farthest != "exact":
            farthest, nonzeros = "pin", int(thinned.free.sum())
        for number in range(attempts):
            pins += 1
            pinned = pin(problem, thinned.x, thinned.free, generator, number)
            if pinned is None:
                continue
            quality = RINGS.index("ternary" if pinned.ternary else "Z" if pinned.denominator == 1 else "Q")
            if found is not None and quality >= found[0]:
                continue
            scheme = _proven(problem, pinned, provenance)
            if scheme is None:
                continue
            found, farthest = (quality, scheme), "exact"
            if quality <= RINGS.index(prefer):
                return Rationalization(scheme, "exact", gauge, pins, nonzeros)
    return Rationalization(found[1] if found else None, farthest, gauge, pins, nonzeros)


def _elsewhere(problem: Problem, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    if isinstance(problem.target, MatrixProduct):
        return another_gauge(problem, x[None], generator)
    fit = descend(problem, x + KICK * generator.standard_normal(x.shape), 60)
    return fit.x[None]


def _proven(problem: Problem, pinned: Pinning, provenance: Provenance | None) -> Scheme | None:
    """The scheme of rational factors; where its outputs are wrong or no simple rationals, with W solved exactly."""
    for solved in (False, True):
        w = solve_outputs(problem.target, pinned.u, pinned.v) if solved else pinned.w
        if w is None:
            continue
        slots = [slot for slot in zip(pinned.u, pinned.v, w, strict=True) if all(map(any, slot))]
        scheme = Scheme.from_rationals(
            problem.target,
            [u for u, _, _ in slots],
            [v for _, v, _ in slots],
            [[w[k] for _, _, w in slots] for k in range(problem.c)],
            provenance=provenance or Provenance("rationalized"),
        )
        try:
            verify(scheme)
        except Refuted:
            continue
        return scheme
    return None
