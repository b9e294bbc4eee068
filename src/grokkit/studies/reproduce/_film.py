"""One network on its way from random weights to an exact scheme, recorded frame by frame."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from jaxtyping import Bool, Float, Int

from grokkit.crystallize import CrystallizedRun, Problem, crystallize
from grokkit.crystallize._gauge import sandwich_factors
from grokkit.crystallize._polish import polish
from grokkit.scheme import InvalidInput, Scheme, UnreadableFile, nearest, read_npz, write_atomically
from grokkit.training import TrainConfig, Trajectory
from grokkit.training._engine import Engine, make_engine
from grokkit.training._shard import shard_runs

FILE: Final = "film.npz"
VERSION: Final = 1
ACTS: Final = ("training", "pruning", "polish", "reflection", "gauge fix", "scaling", "rounding", "proof")
RUNS: Final = 16
"""Networks trained together."""
MOST: Final = 64
"""Networks trained before the search for one that can be shown is given up."""
POINTS: Final = 56
TURNING: Final = 36
"""Frames of the continuous sandwiching."""
SCALING: Final = 12
ROUNDING: Final = 6


@final
@dataclass(frozen=True)
class Film:
    """Weights of one run by frame.

    Laws: `map_moved` stays at rounding level through reflection, gauge fix and scaling; the last frame holds the
    scheme's coefficients.
    """

    weights: Float[np.ndarray, "frames slots width"]
    """u, v and w of each slot side by side; NaN once a slot is pruned."""
    act: Int[np.ndarray, " frames"]
    """Index into `ACTS`."""
    step: Int[np.ndarray, " frames"]
    """Optimizer steps done."""
    mse: Float[np.ndarray, " frames"]
    """Expected squared error per output, for operands with unit Gaussian entries."""
    distance: Float[np.ndarray, " frames"]
    """Largest distance of a weight to {-1, 0, 1}."""
    residual: Float[np.ndarray, " frames"]
    """Largest error of the 64 tensor equations."""
    map_moved: Float[np.ndarray, " frames"]
    """Largest change of a coefficient of the bilinear map since the polish ended; NaN before."""
    sandwich: Float[np.ndarray, "3 2 2"]
    """P, Q and R, of determinant 1 or -1."""
    about: dict[str, Any]
    """Seed, run, configuration, digest of the scheme, and how many networks were trained for it."""


def make_film(folder: str | os.PathLike[str], seed: int = 0) -> None:
    """Train a few networks, follow the first that a sandwiching makes exact, and write ``film.npz`` into a folder.

    A film of the same seed that is there already is kept. Raises `InvalidInput` if none of `MOST` networks will do.
    """
    path = Path(folder) / FILE
    there = load_film(folder)
    if there is not None and there.about["seed"] == seed:
        return
    stream = io.BytesIO()
    made = film(seed)
    arrays = {name: getattr(made, name) for name in _ARRAYS}
    np.savez_compressed(stream, about=np.array(json.dumps({"film": VERSION, **made.about}, sort_keys=True)), **arrays)
    write_atomically(path, stream.getvalue())


def load_film(folder: str | os.PathLike[str]) -> Film | None:
    """The film of a folder, or None if it has none. Raises `UnreadableFile` for one that is damaged."""
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    remedy = "delete it; grokkit reproduce makes it again"
    try:
        arrays = read_npz(path)
        about = json.loads(str(arrays.pop("about")))
        if about.pop("film") != VERSION:
            raise UnreadableFile(f"{path}: a film of another version; {remedy}")
        frames = len(arrays["act"])
        fits = (
            sorted(arrays) == sorted(_ARRAYS)
            and all(len(arrays[name]) == frames for name in _ARRAYS if name != "sandwich")
            and arrays["weights"].shape[2] == 12
            and arrays["sandwich"].shape == (3, 2, 2)
            and bool((np.diff(arrays["act"]) >= 0).all())
        )
        if not fits:
            raise UnreadableFile(f"{path}: its arrays do not fit together; {remedy}")
        return Film(**{name: arrays[name] for name in _ARRAYS}, about=about)
    except UnreadableFile as error:
        raise UnreadableFile(f"{error}" if remedy in str(error) else f"{error}; {remedy}") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UnreadableFile(f"{path}: damaged ({type(error).__name__}); {remedy}") from None


_ARRAYS: Final = ("weights", "act", "step", "mse", "distance", "residual", "map_moved", "sandwich")


def film(seed: int = 0) -> Film:
    """Train networks of the preset ``default``, and record one that becomes exact by a change of basis."""
    config = TrainConfig.preset("default", runs=MOST, shard_size=RUNS, seed=seed)
    for shard in range(config.shards):
        runs = shard_runs(config, shard)
        engine = make_engine(config, runs)
        recorded = _Recorded(engine)
        problem = Problem(config.target, config.final_slots)
        outcome = crystallize(_factors(problem, recorded.final), config.target, seed=seed)
        exact = [run for run in outcome if _shows_everything(run)]
        if exact:
            about = {
                "seed": seed,
                "run": int(runs[exact[0].run]),
                "trained": int((shard + 1) * RUNS),
                "exact": outcome.exact,
                "of": len(outcome),
                "configuration": config.to_json(),
            }
            return _assemble(problem, recorded, exact[0], seed, about)
    raise InvalidInput(f"none of {MOST} networks of seed {seed} became exact by a change of basis; try another seed")


def _shows_everything(run: CrystallizedRun) -> bool:
    path = run.path
    return run.exact and path.gauge == "frame" and path.sandwich is not None and path.polish_cycles == 0


def _factors(problem: Problem, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    u, v, w = problem.split(x)
    return u, v, w.swapaxes(1, 2)


@final
class _Recorded:
    """Weights of all runs at logarithmically spaced steps, and which slots pruning kept."""

    def __init__(self, engine: Engine):
        config = engine.config
        log = Trajectory.empty(config.replace(log_points=POINTS), 1)
        self.steps, self.pruned = log.steps, log.pruned
        self.frames: list[np.ndarray] = []
        self.kept = np.tile(np.arange(config.slots), (len(engine.runs), 1))
        done = False
        for step, pruned in zip(log.steps, log.pruned, strict=True):
            if pruned and not done:
                self.kept, done = engine.prune(), True
            engine.advance(int(step))
            self.frames.append(engine.weights().copy())
        self.final = self.frames[-1]

    def of(self, run: int, slots: int) -> Float[np.ndarray, "frames slots width"]:
        """One run's weights, every slot in the place where it began."""
        placed = np.full((len(self.frames), slots, self.final.shape[2]), np.nan)
        for at, frame in enumerate(self.frames):
            placed[at, self.kept[run] if self.pruned[at] else np.arange(slots)] = frame[run]
        return placed


def _assemble(problem: Problem, recorded: _Recorded, run: CrystallizedRun, seed: int, about: dict[str, Any]) -> Film:
    assert run.path.sandwich is not None
    assert run.scheme is not None
    trained = recorded.final[run.run : run.run + 1]
    gauge = np.array(run.path.sandwich)
    iterates = _polishing(problem, trained, seed, run.run)
    polished = iterates[-1][None]
    first, turning = _gauge_path(gauge, TURNING)
    leads = _leads(problem, sandwich_factors(problem, polished, *turning[-1]), run.scheme)
    signs, sizes = np.sign(leads), np.abs(leads)
    moving = [_scale(problem, sandwich_factors(problem, polished, *g), signs) for g in turning]
    scaling = [_scale(problem, moving[-1], sizes**share) for share in np.linspace(0, 1, SCALING + 1)[1:]]
    exact = nearest(scaling[-1])
    rounding = [scaling[-1] + share * (exact - scaling[-1]) for share in np.linspace(0, 1, ROUNDING + 1)[1:]]
    _check(problem, run, exact[0])
    first_frame = _scale(problem, sandwich_factors(problem, polished, *first), signs)
    training = recorded.of(run.run, recorded.frames[0].shape[1])
    kept, slots = recorded.kept[run.run], training.shape[1]
    parts = [
        ("training", training[~recorded.pruned]),
        ("pruning", training[recorded.pruned]),
        ("polish", _place(iterates, kept, slots)),
        ("reflection", _place(first_frame, kept, slots)),
        ("gauge fix", _place(np.concatenate(moving[1:]), kept, slots)),
        ("scaling", _place(np.concatenate(scaling), kept, slots)),
        ("rounding", _place(np.concatenate(rounding), kept, slots)),
        ("proof", _place(exact, kept, slots)),
    ]
    weights = np.concatenate([frames for _, frames in parts])
    act = np.concatenate([np.full(len(frames), ACTS.index(name)) for name, frames in parts])
    steps = np.concatenate([recorded.steps, np.full(len(weights) - len(recorded.steps), recorded.steps[-1])])
    known = np.nan_to_num(weights)
    tensor = problem.target.tensor().astype(np.float64)
    maps = np.einsum("fri,frj,frk->fijk", *Problem(problem.target, slots).split(known))
    reference = maps[np.flatnonzero(act == ACTS.index("polish"))[-1]]
    moved = np.abs(maps - reference).max(axis=(1, 2, 3))
    about = about | {
        "digest": run.scheme.digest,
        "equations": run.certificate.equations if run.certificate else 0,
        "reflected": [name for name, g in zip("PQR", gauge, strict=True) if np.linalg.det(g) < 0],
        "condition": run.path.gauge_condition,
        "formulas": str(run.scheme),
    }
    return Film(
        weights,
        act,
        steps,
        ((maps - tensor) ** 2).sum(axis=(1, 2, 3)) / problem.c,
        np.abs(known - nearest(known)).max(axis=(1, 2)),
        np.abs(maps - tensor).max(axis=(1, 2, 3)),
        np.where(act > ACTS.index("polish"), moved, np.nan),
        gauge,
        about,
    )


def _polishing(problem: Problem, x: np.ndarray, seed: int, run: int) -> Float[np.ndarray, "iterates slots width"]:
    """Levenberg-Marquardt's iterates, from the balanced factors to the solution."""
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(run,)))
    solution = polish(problem, x, [generator]).x[0]
    iterates = []
    for count in range(41):
        iterates.append(polish(problem, x, [generator], iterations=count, most_cycles=0).x[0])
        if np.array_equal(iterates[-1], solution):
            break
    return np.array(iterates)


def _leads(problem: Problem, x: np.ndarray, scheme: Scheme) -> Float[np.ndarray, "2 slots"]:
    """What u and v of each slot are divided by to become the scheme's: read off at their largest entries."""
    leads = []
    for part, wanted in zip(problem.split(x[0]), scheme.floats()[:2], strict=False):
        at = np.arange(problem.slots), np.abs(part).argmax(axis=1)
        leads.append(part[at] / wanted[at])
    return np.array(leads)


def _scale(problem: Problem, x: np.ndarray, by: Float[np.ndarray, "2 slots"]) -> np.ndarray:
    """u and v of each slot divided by a number each, w multiplied by both: the map is unchanged."""
    u, v, w = problem.split(x)
    p, q = by[0][None, :, None], by[1][None, :, None]
    return np.concatenate([u / p, v / q, w * (p * q)], axis=2)


Gauge = tuple[np.ndarray, np.ndarray, np.ndarray]


def _gauge_path(gauge: np.ndarray, frames: int) -> tuple[Gauge, list[Gauge]]:
    """A reflection (or the identity) of each of P, Q, R, and a continuous path from there to the gauge itself.

    Matrices of negative determinant cannot be reached from the identity: diag(1, -1) is applied first. The rest is a
    rotation by an angle times a stretch (polar decomposition): the path takes a share of the angle, and the same power
    of the stretch. A gauge and its negative act alike, so that the smaller angle is turned.
    """
    legs = [_leg(g) for g in gauge]
    path = []
    for share in np.linspace(0, 1, frames + 1):
        p, q, r = (_rotation(share * angle) @ _power(stretch, share) @ mirror for mirror, angle, stretch in legs)
        path.append((p, q, r))
    return (legs[0][0], legs[1][0], legs[2][0]), path


def _leg(g: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Mirror, angle and stretch with ± g = rotation(angle) · stretch · mirror."""
    mirror = np.diag([1.0, -1.0]) if np.linalg.det(g) < 0 else np.eye(2)
    left, values, right = np.linalg.svd(g @ mirror)
    turn = left @ right
    angle = float(np.arctan2(turn[1, 0], turn[0, 0]))
    if abs(angle) > np.pi / 2:
        angle -= np.copysign(np.pi, angle)
    return mirror, angle, right.T @ np.diag(values) @ right


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _power(stretch: np.ndarray, share: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(stretch)
    return (vectors * values**share) @ vectors.T


def _place(x: np.ndarray, kept: Int[np.ndarray, " kept"], slots: int) -> Float[np.ndarray, "frames slots width"]:
    placed = np.full((len(x), slots, x.shape[2]), np.nan)
    placed[:, kept] = x
    return placed


def _check(problem: Problem, run: CrystallizedRun, exact: np.ndarray) -> None:
    """The recorded gauge, applied to the polished weights and rounded, must give the proven scheme."""
    assert run.scheme is not None
    u, v, w = run.scheme.floats()
    if not np.array_equal(exact, np.concatenate([u, v, w.T], axis=1)):
        raise AssertionError("the recorded change of basis does not lead to the proven scheme")


def same_map(made: Film) -> Bool[np.ndarray, " frames"]:
    """Frames of the gauge fix (reflection, turning, scaling)."""
    return (made.act >= ACTS.index("reflection")) & (made.act <= ACTS.index("scaling"))
