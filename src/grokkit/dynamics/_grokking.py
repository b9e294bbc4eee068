"""Whether, and when, a run grokked: a plateau of memorizing, then an abrupt drop of the test loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Real

from grokkit.scheme import InvalidInput

Curve = Real[np.ndarray, " records"] | Sequence[float]


@final
@dataclass(frozen=True)
class Plateau:
    """Successive records with a training loss below `fitted` and a test loss above `unsolved`."""

    first: float
    """In epochs, as `last`."""
    last: float
    level: float
    """The median test loss."""

    @property
    def length(self) -> float:
        """In epochs, both ends included."""
        return self.last - self.first + 1


@final
@dataclass(frozen=True)
class Grokked:
    """A plateau, then an abrupt drop."""

    epoch: float
    """The first at which the test loss is down."""
    plateau: Plateau
    leaves: float
    """The last epoch before at which the test loss is at least half the plateau's level."""


@final
@dataclass(frozen=True)
class NeverFitted:
    """The training loss never fell below `fitted`."""

    lowest: float
    """The lowest training loss."""


@final
@dataclass(frozen=True)
class NoPlateau:
    """The training data was fitted, but never for long enough with a high test loss: it generalized at once, or the
    training loss does not stay down."""

    fitted_at: float
    longest: float
    """The longest plateau, in epochs; 0 for none."""


@final
@dataclass(frozen=True)
class NoDrop:
    """A plateau, after which the test loss never comes down."""

    plateau: Plateau
    lowest: float
    """The lowest test loss after the plateau's first epoch."""


@final
@dataclass(frozen=True)
class GradualDrop:
    """A plateau, after which the test loss comes down too slowly to be called abrupt."""

    epoch: float
    plateau: Plateau
    leaves: float
    sluggishness: float
    """The time of the fall over the time of the wait; above `abruptness`."""


Grokking = Grokked | NeverFitted | NoPlateau | NoDrop | GradualDrop


def detect_grokking(
    training: Curve,
    test: Curve,
    *,
    epochs: Curve | None = None,
    fitted: float = 1e-6,
    unsolved: float = 0.1,
    shortest: float = 100,
    drop: float = 0.1,
    abruptness: float = 0.25,
) -> Grokking:
    """What the losses of one run show, by the source's definition with "abrupt" made precise.

    *Plateau*: the first stretch of successive records with training loss < `fitted` and test loss > `unsolved` that
    lasts at least `shortest` epochs; its level m is the median test loss over it.
    *Down*: the first later record with a test loss of at most `drop` · m and at most `unsolved`.
    *Abrupt*: the fall, from the last record before at which the test loss is at least m/2, takes at most `abruptness`
    of the wait, from the start of the plateau to that record. An exponential decay, whose fall to
    a tenth takes a fixed time, is not abrupt unless it falls by more than four decades on the plateau.

    `epochs` are those of the records, ascending; None: 0, 1, 2, ... A loss that is NaN is neither low nor high.
    Raises `InvalidInput` for curves that differ in length or are empty.
    """
    low, high = np.asarray(training, dtype=np.float64), np.asarray(test, dtype=np.float64)
    at = np.arange(len(low), dtype=np.float64) if epochs is None else np.asarray(epochs, dtype=np.float64)
    if low.ndim != 1 or not len(low) or low.shape != high.shape or low.shape != at.shape:
        raise InvalidInput(
            f"the curves have shapes: training {low.shape}, test {high.shape}, epochs {at.shape}; one length is needed"
        )
    if not (np.diff(at) > 0).all():
        raise InvalidInput("the epochs of the records have to ascend")
    fits = low < fitted
    if not fits.any():
        return NeverFitted(float(np.nan if np.isnan(low).all() else np.nanmin(low)))
    stretches = _stretches(fits & (high > unsolved))
    lengths = [at[last] - at[first] + 1 for first, last in stretches]
    long = [stretch for stretch, length in zip(stretches, lengths, strict=True) if length >= shortest]
    if not long:
        return NoPlateau(float(at[fits.argmax()]), float(max(lengths, default=0.0)))
    first, last = long[0]
    level = float(np.median(high[first : last + 1]))
    plateau = Plateau(float(at[first]), float(at[last]), level)
    later = high[last + 1 :]
    down = np.flatnonzero((later <= drop * level) & (later <= unsolved))
    if not len(down):
        return NoDrop(plateau, float(np.nanmin(high[first:])))
    arrival = last + 1 + int(down[0])
    departure = first + int(np.flatnonzero(high[first:arrival] >= level / 2)[-1])
    fall, wait = at[arrival] - at[departure], at[departure] - at[first]
    if fall <= abruptness * wait:
        return Grokked(float(at[arrival]), plateau, float(at[departure]))
    sluggishness = float(fall / wait) if wait else np.inf
    return GradualDrop(float(at[arrival]), plateau, float(at[departure]), sluggishness)


def _stretches(holds: Bool[np.ndarray, " records"]) -> list[tuple[int, int]]:
    """First and last index of every maximal stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(np.int8)))
    return [(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2], strict=True)]
