"""The native engine beside torch: the same numbers in float64, the same distribution in float32."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from grokkit import _native
from grokkit.training import PRESETS, TrainConfig
from grokkit.training._engine import make_engine, slots_to_keep

pytestmark = pytest.mark.skipif(_native.load() is None, reason="no native core")
SHAPES = {
    "8 slots": {},
    "6 slots": {"slots": 6, "prune_to": 0},
    "9 slots": {"slots": 9},
    "7 slots": {"slots": 7, "prune_to": 0},
    "3x3 in 27 slots": {"format": "3x3x3", "slots": 27, "prune_to": 23},
    "2x2x3 in 12 slots": {"format": "2x2x3", "slots": 12, "prune_to": 11},
}
STEPS = 2000


def both(config: TrainConfig, runs: int):
    return [make_engine(config.replace(engine=kind), np.arange(runs)) for kind in ("native", "torch")]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("preset", PRESETS)
def test_float64_agrees_over_two_thousand_steps(preset, shape):
    retrain = 500 if preset == "default" else 0
    config = TrainConfig.preset(preset, **SHAPES[shape], dtype="float64", runs=4, shard_size=4)
    config = config.replace(retrain_steps=retrain)
    native, torch = both(config, 4)
    before = min(config.first_steps, STEPS)
    for engine in (native, torch):
        engine.advance(before)
    assert np.abs(native.weights() - torch.weights()).max() < 1e-8
    if config.first_steps > STEPS or not config.prune_to:
        return
    assert np.array_equal(slots_to_keep(config, native.weights()), slots_to_keep(config, torch.weights()))
    for engine in (native, torch):
        engine.prune()
        engine.advance(STEPS)
    assert native.slots == torch.slots == config.prune_to
    assert np.abs(native.weights() - torch.weights()).max() < 1e-8


@pytest.mark.parametrize("preset", PRESETS)
def test_float32_agrees_in_distribution(preset):
    """512 runs of each engine, of different seeds: losses and lattice distances of one law (Kolmogorov-Smirnov)."""
    runs = 512
    config = TrainConfig.preset(preset, dtype="float32", runs=runs, shard_size=runs)
    seen = []
    for seed, kind in enumerate(("native", "torch")):
        engine = make_engine(config.replace(seed=seed, engine=kind), np.arange(runs))
        engine.advance(1000)
        largest, mean = engine.lattice_distances()
        seen.append((np.asarray(engine.losses()[1]), largest, mean))
    for one, other in zip(*seen, strict=True):
        assert stats.ks_2samp(one, other).pvalue > 1e-3
    # the same comparison tells training of half the length apart
    shorter = make_engine(config.replace(seed=2, engine="native"), np.arange(runs))
    shorter.advance(500)
    assert stats.ks_2samp(np.asarray(shorter.losses()[1]), seen[1][0]).pvalue < 1e-6
