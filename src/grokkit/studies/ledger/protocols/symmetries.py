"""Parity, wave and orbit learned, and how far the learned maps commute with the group of each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols.fields import train_wave
from grokkit.studies.ledger.protocols.worlds import LENGTH, NEEDS, RUNS, STEPS, TESTS, least_gain, seeds_of, told


def symmetries(context: Context) -> dict[str, Measurement]:
    """Claim X08: parity, wave and orbit learned, and how far the learned maps commute with the group of each."""
    from grokkit.studies.ledger.protocols._world_models import over_seeds, train_state_model
    from grokkit.tasks import Kepler, Mean, judge
    from grokkit.transfer.embed import train_parity
    from grokkit.transfer.operators import WaveFields

    kept: dict[str, list[float]] = {}
    right: list[float] = []
    untrained: list[float] = []
    orbit, problem = Kepler(), WaveFields()
    for seed in seeds_of(context):
        context.progress(f"symmetries, seed {seed}")
        angles = np.random.default_rng(seed).uniform(0, 2 * math.pi, TESTS * LENGTH)
        train, test = orbit.generate(RUNS, LENGTH, 3 * seed), orbit.generate(TESTS, LENGTH, 3 * seed + 1)
        model = train_state_model(orbit, train, seed, STEPS[context.scale])
        kept.setdefault("orbit, gain", []).append(least_gain(judge(orbit, model, train, test)))
        kept.setdefault("orbit, defect", []).append(_rotation_defect(model, test, angles))
        untrained.append(_rotation_defect(train_state_model(orbit, train, seed, 0), test, angles))
        wave = train_wave(context, seed, "spectral")
        fine = problem.pairs(256, TESTS, 3 * seed + 1)
        changed = float(((fine.before - fine.after) ** 2).mean())
        kept.setdefault("wave, gain", []).append(changed / float(((wave(fine.before) - fine.after) ** 2).mean()))
        shifts = angles[:TESTS]
        defect = wave(_shifted(fine.before, shifts)) - _shifted(wave(fine.before), shifts)
        kept.setdefault("wave, defect", []).append(float((defect**2).mean()) / changed)
        right.append(train_parity(24, (3, 11, 17), seed=seed).test.value)
    pairs = zip(untrained, kept["orbit, defect"], strict=True)
    kept["orbit, commutes better"] = [before / after for before, after in pairs]
    text = {
        "orbit, commutes better": "failure to commute with rotations before training over that after",
        "orbit, gain": "error of the better of persistence and linear least squares over the network's, Kepler orbits",
        "orbit, defect": "squared failure to commute with rotations by any angle, over the squared change in a step",
        "wave, gain": "error of persistence over the operator's on 256 nodes, trained on 16",
        "wave, defect": "squared failure to commute with shifts by any length, over the squared change in a step",
    }
    figures = {name: over_seeds(values, text[name]) for name, values in kept.items()}
    figures["parity, accuracy"] = Figure.of(
        Mean.of(right), "share of 2,000 fresh rows of 24 bits whose parity of three is right"
    )
    baselines = {
        "parity, chance": Figure(0.5, what="share that a guess has right"),
        "orbit, defect, untrained": over_seeds(untrained, "failure of the same network to commute before training"),
    }
    note = (
        "Rotations of orbits are learned by a network that has nothing of them built in; shifts of waves are built "
        "into a Fourier operator up to its pointwise parts; the group of parity (flips of two bits) is finite. What is "
        "demonstrated is that these tasks are learned and these maps commute, not that a symmetry causes a transfer."
    )
    return {"X08": Measurement("X08", figures, {}, baselines, told(context), context.scale, note)}


def _rotation_defect(model: Any, test: Any, angles: np.ndarray) -> float:
    """Mean ‖f(R s) − R f(s)‖² over the mean squared change of a state in a step."""
    pairs = test.pairs()
    gap = model(_rotated(pairs.now, angles), {}) - _rotated(model(pairs.now, {}), angles)
    return float((gap**2).mean() / ((pairs.next - pairs.now) ** 2).mean())


def _rotated(states: np.ndarray, angles: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angles), np.sin(angles)
    x, y, vx, vy = states.T
    return np.stack([cos * x - sin * y, sin * x + cos * y, cos * vx - sin * vy, sin * vx + cos * vy], axis=1)


def _shifted(fields: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Each field moved along the ring of length 2π."""
    k = np.arange(fields.shape[-1] // 2 + 1)
    turned = np.fft.rfft(fields, axis=-1) * np.exp(-1j * shifts[:, None] * k)[:, None]
    return np.fft.irfft(turned, fields.shape[-1], axis=-1)


PROTOCOLS = (Protocol("symmetries", "Parity, wave and orbit, and their groups", ("X08",), symmetries, NEEDS),)
