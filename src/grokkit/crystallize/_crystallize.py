"""The pipeline: float factors in, proven schemes or reasons out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final, Literal, final

import numpy as np
from threadpoolctl import threadpool_limits

from grokkit.crystallize._gauge import (
    Sparsification,
    another_gauge,
    frame_gauge,
    minimum_norm,
    pivot_scales,
    sparsify,
)
from grokkit.crystallize._polish import Polish, polish
from grokkit.crystallize._problem import Factors, Problem, squared
from grokkit.crystallize._rationalize import rationalize
from grokkit.crystallize._rounding import SOLVED, round_progressively
from grokkit.scheme import (
    TERNARY,
    Certificate,
    InvalidInput,
    MatrixProduct,
    Provenance,
    Refuted,
    Scheme,
    Target,
    lattice_distance,
    nearest,
    suggestion,
    verify,
)

Matrix = tuple[tuple[float, ...], ...]
METHODS: Final = ("plain", "scaled", "full", "rational")
CONVERGED: Final = 1e-6
"""Mean squared error (unit Gaussian operands) below which a network counts as having learned the map."""
CHUNK: Final = 256
"""Runs processed together."""
DIVERGED: Final = "input: weights are not finite (the run diverged)"
LARGEST_SLOTS: Final = 4096
LARGEST_RUN: Final = 2**30
"""Bytes that one run may need."""
CHUNK_BYTES: Final = 2**28
"""Bytes for the runs that are processed together."""


@final
@dataclass(frozen=True)
class Path:
    """How one run went through the pipeline."""

    mse_before: float
    """Mean squared error per output, before anything was done, for operands with unit Gaussian entries."""
    distance_before: float
    """Lattice distance of the factors as given."""
    mse_after_polish: float | None = None
    """The same after polishing; None if none was needed or the method has none."""
    polish_cycles: int = 0
    """Ridge cycles after the first descent; 0 if the descent sufficed."""
    polish_moved: float | None = None
    """How far polishing moved the factors: norm of the change over their norm, slots balanced."""
    gauge: Literal["none", "scales", "frame", "sparse", "thinned"] = "none"
    """What fixed the gauge in which the run became exact, or was last tried."""
    gauge_condition: float | None = None
    """Largest condition number of the sandwiching (P, Q, R) applied by a frame."""
    sandwich: tuple[Matrix, Matrix, Matrix] | None = None
    """The sandwiching (P, Q, R) from the trained network's basis to the scheme's, of determinant ±1."""
    rounds: int = 0
    """Rounds of progressive rounding in the last try, or choices of rational values in all."""
    tries: int = 0
    """Gauges tried."""

    @property
    def converged_before_polish(self) -> bool:
        """Whether training alone had learned the map (mean squared error below 1e-6)."""
        return self.mse_before < CONVERGED


@final
@dataclass(frozen=True)
class CrystallizedRun:
    """Outcome for one run: a proven scheme, or the stage and number that failed."""

    run: int
    scheme: Scheme | None
    certificate: Certificate | None
    reason: str
    """Empty where there is a scheme."""
    path: Path

    @property
    def exact(self) -> bool:
        return self.certificate is not None


@final
@dataclass(frozen=True)
class Crystallization:
    """Outcomes of all runs, in the order of the factors."""

    runs: tuple[CrystallizedRun, ...]
    target: Target
    method: str
    seed: int

    @property
    def exact(self) -> int:
        """Number of runs with a proven scheme."""
        return sum(run.exact for run in self.runs)

    @property
    def converged_before_polish(self) -> int:
        """Number of runs that training alone had brought below a mean squared error of 1e-6."""
        return sum(run.path.converged_before_polish for run in self.runs)

    @property
    def schemes(self) -> list[Scheme]:
        """The proven schemes."""
        return [run.scheme for run in self.runs if run.scheme is not None and run.exact]

    def __iter__(self) -> Iterator[CrystallizedRun]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, index: int) -> CrystallizedRun:
        return self.runs[index]


@final
@dataclass
class _State:
    """What is known about a run while it is in the pipeline."""

    path: Path
    reason: str = ""
    values: np.ndarray | None = field(default=None)
    """Lattice values (slots × width) once rounding is exact in float64."""
    scheme: Scheme | None = field(default=None)
    """Instead of lattice values: a scheme with rational ones, proven already."""


def crystallize(
    factors: Any,
    target: Target | str | None = None,
    *,
    method: str = "full",
    lattice: Sequence[float] = TERNARY,
    seed: int = 0,
    tries: int = 8,
    provenance: Provenance | None = None,
    progress: Callable[[int], None] | None = None,
) -> Crystallization:
    """Turn float factors into exact, proven schemes.

    Parameters
    ----------
    factors:
        (U, V, W) with a leading run axis: U (runs × slots × n·m), V (runs × slots × m·p),
        W (runs × n·p × slots). One run may come without the run axis. Anything with a `factors`
        attribute of that kind, such as a `Population`, is accepted. A run that holds infinities or NaN fails at
        stage ``input``; the others go on.
    target:
        What the factors should compute; by default the matrix product whose format fits their widths.
    method:
        ``"plain"``: clamp and round, the published protocol. ``"scaled"``: first fix the scale of each
        slot. ``"full"``: polish to a solution (Levenberg-Marquardt), fix the gauge through scaling and
        sandwiching, round progressively; on failure start again from another gauge. ``"rational"``: polish, make as
        many exact zeros as the equations admit, and choose rational values for the rest, without a lattice: for maps
        that need denominators such as 3, and formats beyond some <3,3,3>.
    lattice:
        Allowed coefficients, dyadic rationals. Not used by ``"rational"``.
    seed:
        Run i draws its randomness from (seed, i) alone, so that its result depends on no other run.
    tries:
        Gauges tried by ``"full"`` and ``"rational"`` before they give up.
    progress:
        Called with the number of runs just finished.

    Every scheme that comes back has been proven by `verify`; its `Path` says what training had reached
    and what was added. Slots that compute nothing are left out of it. No known coefficients enter anywhere:
    this package does not import the catalog. Raises `InvalidInput` for shapes that fit no target, a single
    network with entries that are not finite, or a lattice that is not dyadic.
    """
    if method not in METHODS:
        raise InvalidInput(f"method {method!r}{suggestion(method, METHODS)}")
    if tries < 1:
        raise InvalidInput(f"tries is {tries}; at least 1 is needed")
    _check_lattice(lattice)
    x, problem = _stack(factors, target)
    diverged = np.logical_not(np.isfinite(x).all(axis=(1, 2)))
    x[diverged] = 0.0  # in their place, so that the others keep their numbers and so their randomness
    outcomes: list[CrystallizedRun] = []
    # absurdly large factors may overflow; they then fail to round or to solve, with a reason
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(over="ignore", invalid="ignore"):
        together = min(CHUNK, max(1, CHUNK_BYTES // _bytes_a_run(problem.target, problem.slots)))
        for start in range(0, len(x), together):
            chunk = x[start : start + together]
            generators = [_generator(seed, start + i) for i in range(len(chunk))]
            states = _initial(problem, chunk, lattice)
            if method == "full":
                _full(problem, chunk, lattice, generators, states, tries)
            elif method == "rational":
                _rational(problem, chunk, generators, states, tries)
            else:
                _round_once(problem, chunk, lattice, states, scaled=method == "scaled")
            for i in np.flatnonzero(diverged[start : start + together]):
                states[i] = _State(Path(np.inf, np.inf), DIVERGED)
            for i, state in enumerate(states):
                origin = provenance or Provenance(
                    "crystallized",
                    seed=seed,
                    configuration={"method": method, "run": start + i, "lattice": list(lattice), "tries": tries},
                )
                outcomes.append(_prove(problem, start + i, state, origin))
            if progress is not None:
                progress(len(chunk))
    return Crystallization(tuple(outcomes), problem.target, method, seed)


def _generator(seed: int, run: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(run,)))


def _check_lattice(lattice: Sequence[float]) -> None:
    values = [float(value) for value in lattice]
    dyadic = all(np.isfinite(value) and value * 1024 == round(value * 1024) for value in values)
    if len(values) < 2 or 0.0 not in values or not dyadic:
        raise InvalidInput(f"lattice {list(lattice)!r}: it needs 0 and other multiples of 1/1024")


def _stack(factors: Any, target: Target | str | None) -> tuple[Factors, Problem]:
    """Factors as one float64 array (runs × slots × width), checked against the target."""
    given = getattr(factors, "factors", factors)
    if len(given) != 3:
        raise InvalidInput(f"factors: {len(given)} arrays; U, V and W are needed")
    arrays = []
    for name, value in zip("UVW", given, strict=True):
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise InvalidInput(f"{name}: dtype {array.dtype}; real numbers are needed")
        array = array.astype(np.float64)
        if array.ndim == 2:
            array = array[None]
        if array.ndim != 3:
            raise InvalidInput(f"{name}: shape {array.shape}; (runs, rows, columns) or (rows, columns) is needed")
        if len(array) == 1 and not np.isfinite(array).all():
            _, row, column = np.argwhere(~np.isfinite(array))[0]
            raise InvalidInput(f"{name}[{row}, {column}] is {array[0, row, column]}; finite numbers are needed")
        arrays.append(array)
    u, v, w = arrays
    runs, slots = u.shape[:2]
    if v.shape[:2] != (runs, slots) or (w.shape[0], w.shape[2]) != (runs, slots):
        raise InvalidInput(
            f"U {u.shape}, V {v.shape} and W {w.shape} disagree: "
            "(runs, slots, n·m), (runs, slots, m·p) and (runs, n·p, slots) are needed"
        )
    if not 1 <= slots <= LARGEST_SLOTS:
        raise InvalidInput(f"{slots} slots; 1 to {LARGEST_SLOTS} can be crystallized")
    widths = u.shape[2], v.shape[2], w.shape[1]
    if target is None:
        target = MatrixProduct.from_shape(*widths)
    elif isinstance(target, str):
        target = MatrixProduct.parse(target)
    if target.shape != widths:
        raise InvalidInput(f"factors of widths {widths} do not fit {target.name}, which needs {target.shape}")
    needed = _bytes_a_run(target, slots)
    if needed > LARGEST_RUN:
        raise InvalidInput(
            f"factors of {target.name[:-1]};{slots}>: a run needs {needed / 2**30:.1f} GiB; "
            f"{LARGEST_RUN / 2**30:.0f} GiB is admitted"
        )
    return np.concatenate([u, v, w.swapaxes(1, 2)], axis=2), Problem(target, slots)


def _bytes_a_run(target: Target, slots: int) -> int:
    """Memory that one run needs, roughly: residuals, pairs of factors, and a normal matrix with its copy."""
    a, b, c = target.shape
    side = min(a * b * c, slots * (a + b + c))
    return 8 * (4 * a * b * c + 3 * slots * (a * b + a * c + b * c) + 2 * side * side)


def _initial(problem: Problem, x: Factors, lattice: Sequence[float]) -> list[_State]:
    mse = squared(problem.residual(x)) / problem.c
    distance = lattice_distance(x.reshape(len(x), -1), lattice)
    return [_State(Path(float(m), float(d))) for m, d in zip(mse, distance, strict=True)]


def _round_once(problem: Problem, x: Factors, lattice: Sequence[float], states: list[_State], scaled: bool) -> None:
    """Rounding in the gauge as given, or after fixing slot scales."""
    if scaled:
        x, _ = pivot_scales(problem, x)
    rounded = nearest(x, lattice)
    distance = lattice_distance(x.reshape(len(x), -1), lattice)
    for state, values, delta in zip(states, rounded, distance, strict=True):
        state.path = replace(state.path, gauge="scales" if scaled else "none", tries=1)
        state.values = values
        state.reason = f"rounding: lattice distance {delta:.3g}"


def _full(
    problem: Problem,
    x: Factors,
    lattice: Sequence[float],
    generators: list[np.random.Generator],
    states: list[_State],
    tries: int,
) -> None:
    """Keep what rounds as it is; polish the rest and try one gauge after another."""
    _round_once(problem, x, lattice, states, scaled=False)
    exact = problem.loss(nearest(x, lattice)) == 0
    rest = [i for i in range(len(x)) if not exact[i]]
    for i in rest:
        states[i].values = None
    _polish_and_fix(problem, x[rest], lattice, [generators[i] for i in rest], [states[i] for i in rest], tries)


def _rational(
    problem: Problem, x: Factors, generators: list[np.random.Generator], states: list[_State], tries: int
) -> None:
    """Polish, then make each solution rational on its own."""
    polished = _polish(problem, x, generators, states)
    for run in np.flatnonzero(polished.solved):
        result = rationalize(problem, polished.x[run], generators[run], prefer="ternary", gauges=tries)
        state = states[run]
        state.path = replace(state.path, gauge="thinned", rounds=result.pins, tries=result.gauges)
        state.scheme = result.scheme
        if result.scheme is None:
            left = f", {result.nonzeros} entries not zero" if result.nonzeros is not None else ""
            state.reason = f"{result.stage}: no exact rationals in {result.gauges} gauges{left}"


def _polish(problem: Problem, x: Factors, generators: list[np.random.Generator], states: list[_State]) -> Polish:
    """Polished factors, and what that took in the states."""
    polished = polish(problem, x, generators)
    for run, state in enumerate(states):
        state.reason = ""
        state.path = replace(
            state.path,
            mse_after_polish=float(polished.loss[run]) / problem.c,
            polish_cycles=int(polished.cycles[run]),
            polish_moved=float(polished.moved[run]),
        )
        if not polished.solved[run]:
            state.reason = f"polish: not converged, mean squared error {state.path.mse_after_polish:.3g}"
    return polished


def _polish_and_fix(
    problem: Problem,
    x: Factors,
    lattice: Sequence[float],
    generators: list[np.random.Generator],
    states: list[_State],
    tries: int,
) -> None:
    polished = _polish(problem, x, generators, states)
    open_runs = np.flatnonzero(polished.solved)
    for attempt_gauge in (_try_scales, _try_frames):
        open_runs = open_runs[~attempt_gauge(problem, polished.x, open_runs, lattice, states)]
    settled = polished.x.copy()
    settled[open_runs] = minimum_norm(problem, polished.x[open_runs], SOLVED)
    for attempt in range(1, tries + 1):
        if not len(open_runs):
            return
        start = settled[open_runs]
        if attempt > 1:
            start = np.concatenate(
                [another_gauge(problem, start[i : i + 1], generators[run]) for i, run in enumerate(open_runs)]
            )
        open_runs = open_runs[~_try_sparse(problem, start, open_runs, lattice, generators, states, attempt + 3)]


def _try_scales(
    problem: Problem, x: Factors, runs: np.ndarray, lattice: Sequence[float], states: list[_State]
) -> np.ndarray:
    """Fix scales only: factors that polishing brought to an exact basis stay in it."""
    scaled, _ = pivot_scales(problem, x[runs])
    rounded = nearest(scaled, lattice)
    exact = problem.loss(rounded) == 0
    for i, run in enumerate(runs):
        states[run].path = replace(states[run].path, gauge="scales", tries=2)
        if exact[i]:
            states[run].values = rounded[i]
    return exact


def _try_frames(
    problem: Problem, x: Factors, runs: np.ndarray, lattice: Sequence[float], states: list[_State]
) -> np.ndarray:
    """Sandwich by projective frames, fix scales, round. Returns which of `runs` became exact."""
    gauge = frame_gauge(problem, x[runs])
    scaled, _ = pivot_scales(problem, gauge.x)
    rounded = nearest(scaled, lattice)
    exact = gauge.found & (problem.loss(rounded) == 0)
    for i, run in enumerate(runs):
        states[run].path = replace(
            states[run].path,
            gauge="frame",
            gauge_condition=_finite(gauge.condition[i]),
            sandwich=_unimodular(gauge.sandwich[i]),
            tries=3,
        )
        if exact[i]:
            states[run].values = rounded[i]
    return exact


def _unimodular(gauge: tuple[np.ndarray, np.ndarray, np.ndarray] | None) -> Any:
    """P, Q and R as tuples, each divided by |det|^(1/size): their scale has no effect."""
    if gauge is None:
        return None
    scaled = [g / abs(np.linalg.det(g)) ** (1 / len(g)) for g in gauge]
    return tuple(tuple(tuple(float(x) for x in row) for row in g) for g in scaled)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _try_sparse(
    problem: Problem,
    x: Factors,
    runs: np.ndarray,
    lattice: Sequence[float],
    generators: list[np.random.Generator],
    states: list[_State],
    tried: int,
) -> np.ndarray:
    """Slide to a sparse solution, round progressively. Returns which of `runs` became exact."""
    sparse, loss = sparsify(problem, x, Sparsification())
    kept = loss < SOLVED
    done = np.zeros(len(runs), dtype=bool)
    rounding = round_progressively(problem, sparse[kept], lattice, [generators[run] for run in runs[kept]])
    done[kept] = rounding.done
    for i, run in enumerate(runs):
        states[run].path = replace(states[run].path, gauge="sparse", gauge_condition=None, sandwich=None, tries=tried)
        if not kept[i]:
            states[run].reason = f"gauge: equations lost, sum of squares {loss[i]:.3g}"
    for i, run in enumerate(runs[kept]):
        states[run].path = replace(states[run].path, rounds=int(rounding.rounds[i]))
        if rounding.done[i]:
            states[run].values = rounding.x[i]
        else:
            states[run].reason = f"rounding: {rounding.unfixed[i]} of {problem.unknowns} entries could not be fixed"
    return done


def _prove(problem: Problem, run: int, state: _State, provenance: Provenance) -> CrystallizedRun:
    """Exact scheme and certificate from lattice values, or the reason why there is none."""
    if state.scheme is not None:
        scheme = state.scheme.with_provenance(provenance)
        return CrystallizedRun(run, scheme, verify(scheme), "", state.path)
    if state.values is None:
        return CrystallizedRun(run, None, None, state.reason, state.path)
    parts = problem.split(state.values)
    used = np.logical_and.reduce([part.any(axis=1) for part in parts])
    u, v, w = ([[Fraction(float(value)) for value in row] for row in part[used]] for part in parts)
    outputs = [[row[k] for row in w] for k in range(problem.c)]
    scheme = Scheme.from_rationals(problem.target, u, v, outputs, provenance=provenance)
    try:
        return CrystallizedRun(run, scheme, verify(scheme), "", state.path)
    except Refuted as error:
        reason = f"{state.reason}; {error.wrong} of {error.equations} equations fail"
        return CrystallizedRun(run, None, None, reason, state.path)
