"""Claims about worlds: rules on simulated measurements of every kind, models on known maps, small protocols."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

import torch

from grokkit.studies.ledger import Context, Figure, Measurement, rule_on
from grokkit.studies.ledger._rules_worlds import WORLDS
from grokkit.studies.ledger.protocols import fields, symmetries, worlds
from grokkit.studies.ledger.protocols._world_models import (
    field_of,
    modes_of,
    over_seeds,
    train_network,
    train_spectral_model,
    train_state_model,
)
from grokkit.tasks import HamiltonianField, Kepler, Wave, judge

torch.set_num_threads(1)

HIGH, LOW, WIDE = (50.0, 30.0, 80.0, 8), (1.2, 1.1, 1.3, 8), (12.0, 3.0, 50.0, 4)
SMALL, LARGE = (1e-4, 1e-5, 5e-4, 8), (1.0, 0.9, 1.1, 8)
BROKEN = Figure(None, reason="1 of 8 seeds has no finite value")
SYMMETRIC = {
    "orbit, gain": HIGH,
    "orbit, commutes better": HIGH,
    "wave, gain": HIGH,
    "wave, defect": SMALL,
    "parity, accuracy": (1.0, 1.0, 1.0, 8),
}

CASES = [
    ("T01", {"gain at 2048": HIGH, "growth at 2048": LARGE}, "reproduced"),
    ("T01", {"gain at 2048": HIGH, "growth at 2048": HIGH}, "refuted"),
    ("T01", {"gain at 2048": LOW, "growth at 2048": LARGE}, "refuted"),
    ("T01", {"gain at 2048": WIDE, "growth at 2048": LARGE}, "open"),
    ("T01", {"gain at 2048": HIGH}, "open"),
    ("T02", {"gain": HIGH, "gain, larger orbits": HIGH, "gain, longer orbits": HIGH}, "reproduced"),
    ("T02", {"gain": HIGH, "gain, larger orbits": HIGH, "gain, longer orbits": LOW}, "refuted"),
    ("T02", {"gain": HIGH, "gain, larger orbits": LOW, "gain, longer orbits": HIGH}, "refuted"),
    ("T02", {"gain": HIGH, "gain, larger orbits": WIDE, "gain, longer orbits": HIGH}, "open"),
    ("T03", {"gain": HIGH}, "reproduced"),
    ("T03", {"gain": LOW}, "refuted"),
    ("T03", {"gain": WIDE}, "open"),
    ("T03", {"gain": BROKEN}, "undefined"),
    ("T04", {"gain": HIGH}, "reproduced"),
    ("T04", {"gain": LOW}, "refuted"),
    ("T04", {"gain": WIDE}, "open"),
    ("T05", {"gain": HIGH}, "reproduced"),
    ("T05", {"gain": LOW}, "refuted"),
    ("T05", {"gain": WIDE}, "open"),
    ("T06", {"gain": HIGH, "error": SMALL}, "reproduced"),
    ("T06", {"gain": HIGH, "error": (0.01, 0.005, 0.02, 8)}, "refuted"),
    ("T06", {"gain": (1.0, 1.0, 1.0, 8), "error": LARGE}, "refuted"),  # predicting zero
    ("T06", {"gain": HIGH, "error": (1e-3, 1e-4, 1e-2, 8)}, "open"),
    ("X08", SYMMETRIC, "refuted"),
    ("X08", SYMMETRIC | {"orbit, commutes better": LOW}, "reproduced"),
    ("X08", SYMMETRIC | {"wave, gain": LOW}, "reproduced"),
    ("X08", SYMMETRIC | {"wave, defect": LARGE}, "reproduced"),
    ("X08", SYMMETRIC | {"parity, accuracy": (0.5, 0.48, 0.52, 8)}, "reproduced"),
    ("X08", SYMMETRIC | {"parity, accuracy": (0.9, 0.6, 1.2, 4)}, "open"),
]


def number(value: Figure | tuple[float, ...]) -> Figure:
    return value if isinstance(value, Figure) else Figure(value[0], value[1], value[2], int(value[3]))


@pytest.mark.parametrize(("claim", "values", "verdict"), CASES)
def test_the_verdict_follows_from_the_measurement(claim, values, verdict):
    made = {name: number(value) for name, value in values.items()}
    ruling = rule_on(claim, Measurement(claim, made, scale="full"))
    assert ruling.verdict == verdict, str(ruling)


def test_every_rule_is_tried_both_ways():
    tried: dict[str, set[str]] = {}
    for claim, _, verdict in CASES:
        tried.setdefault(claim, set()).add(verdict)
    assert set(tried) == set(WORLDS)
    assert all({"reproduced", "refuted", "open"} <= found for found in tried.values())


def test_a_linear_network_finds_a_linear_map():
    generator = np.random.default_rng(0)
    x, matrix = generator.standard_normal((500, 4)), generator.standard_normal((4, 3))
    learned = train_network(x, x @ matrix + 2.0, 0, 1500, hidden=())
    fresh = generator.standard_normal((50, 4))
    np.testing.assert_allclose(learned(fresh), fresh @ matrix + 2.0, atol=0.05)


def test_the_same_seed_trains_the_same_and_moves_no_other_generator():
    x = np.random.default_rng(0).standard_normal((300, 2))
    state = torch.random.get_rng_state()
    first, again, other = (train_network(x, x**2, seed, 20)(x) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)
    untrained = train_network(x, x**2, 3, 0)(x)
    assert ((first - x**2) ** 2).mean() < ((untrained - x**2) ** 2).mean()


def test_modes_and_fields_are_each_others_inverse_on_any_grid():
    states = HamiltonianField(32).generate(3, 1, 0).states[:, 0]  # modes up to 6
    np.testing.assert_allclose(field_of(modes_of(states, 8), 32), states, atol=1e-12)
    fine = field_of(modes_of(states, 8), 64)
    np.testing.assert_allclose(fine[:, :, ::2], states, atol=1e-12)


def test_models_learn_their_worlds():
    orbit = Kepler()
    train, test = orbit.generate(200, 40, 0), orbit.generate(64, 40, 1)
    assert judge(orbit, train_state_model(orbit, train, 0, 1500), train, test).counts
    ring = HamiltonianField(16)
    train, test = ring.generate(64, 20, 0), ring.generate(16, 20, 1)
    assert judge(ring, train_spectral_model(train, 6, 0, 1500), train, test).counts


def test_means_over_seeds():
    found = over_seeds([1e-4, 1e-3, 1e-2], "error")
    assert found.value == pytest.approx(1e-3) and found.n == 3
    assert found.value and found.low and found.high
    assert np.log(found.high / found.value) == pytest.approx(np.log(found.value / found.low))
    assert over_seeds([0.0, 0.0], "error") == Figure(0.0, 0.0, 0.0, 2, "error")
    broken = over_seeds([1.0, np.inf], "error")
    assert broken.value is None and "1 of 2 seeds" in broken.reason


def test_commuting_is_measured():
    """The world itself commutes with rotations; keeping the first coordinate alone does not."""
    orbit = Kepler()
    test = orbit.generate(4, 5, 0)
    angles = np.random.default_rng(0).uniform(0, 6, 20)
    assert symmetries._rotation_defect(orbit.step, test, angles) < 1e-20
    assert symmetries._rotation_defect(lambda s, _: s * [1, 0, 0, 0], test, angles) > 1.0
    moved = symmetries._shifted(np.cos(np.arange(16) * np.pi / 8)[None, None], np.array([np.pi / 2]))
    np.testing.assert_allclose(moved[0, 0], np.sin(np.arange(16) * np.pi / 8), atol=1e-12)


@pytest.fixture
def context(tmp_path, monkeypatch):
    monkeypatch.setitem(worlds.SEEDS, "quick", 2)
    monkeypatch.setitem(worlds.STEPS, "quick", 200)
    monkeypatch.setitem(fields.OPERATOR_STEPS, "quick", 20)
    return Context("quick", tmp_path)


def test_worlds_are_measured_beside_their_baselines(context):
    (protocol,) = worlds.PROTOCOLS
    found = protocol.measure(context)
    assert set(found) == {"T02", "T03", "T04", "T05"}
    for claim, each in found.items():
        assert set(WORLDS[claim].figures) <= set(each.figures)
        assert all(figure.n == 2 for figure in each.figures.values())
        assert {"zero", "linear", "oracle"} <= set(each.baselines)
        assert each.baselines["oracle"].value is not None and each.baselines["oracle"].value < 1e-20
        assert "2 seeds" in each.seeds
        assert rule_on(claim, each).reason
        assert Measurement.from_json(each.to_json()) == each
    assert {"persistence", "persistence, 40 steps"} <= set(found["T02"].baselines)
    assert {"energy drift, 40 steps", "error, 10 steps"} <= set(found["T03"].figures)
    product = found["T05"].baselines["bilinear least squares"].value
    assert product is not None and product < 1e-20
    assert worlds._products(context) == found["T05"]


def test_fields_are_carried_to_finer_grids(context, monkeypatch):
    monkeypatch.setitem(worlds.STEPS, "quick", 1000)
    (protocol,) = fields.PROTOCOLS
    found = protocol.measure(context)
    wave, field = found["T01"], found["T06"]
    for claim, each in found.items():
        assert set(WORLDS[claim].figures) <= set(each.figures)
        assert all(figure.n in (2, None) for figure in (each.figures | each.baselines).values())
    assert [f"gain at {nodes}" in wave.figures for nodes in fields.GRIDS] == [True] * 4
    solution = wave.baselines["linear at 2048"].value
    assert solution is not None and solution < 1e-24
    grown = wave.figures["growth at 2048"].value
    assert grown == pytest.approx(1.0, abs=0.3)  # weights of modes know no grid, trained or not
    error, fine = field.figures["error"].value, field.figures["error at 128"].value
    assert error is not None and fine is not None
    assert error < 0.01 and fine < 0.05
    assert field.baselines["linear"].value is not None and field.baselines["linear"].value < 1e-15


def test_symmetries_are_measured(context):
    (protocol,) = symmetries.PROTOCOLS
    found = protocol.measure(context)["X08"]
    assert set(WORLDS["X08"].figures) <= set(found.figures)
    learned, drawn = found.figures["orbit, defect"].value, found.baselines["orbit, defect, untrained"].value
    assert learned is not None and drawn is not None and learned < drawn
    assert found.baselines["parity, chance"].value == 0.5


def test_the_wave_of_the_operators_is_the_wave_of_the_worlds():
    """The state that is rolled out is the state of the exact world on the grid of training."""
    from grokkit.transfer.operators import WaveFields

    pairs = WaveFields().pairs(16, 3, 0)
    np.testing.assert_allclose(Wave(16, 2 * np.pi).step(pairs.before, {}), pairs.after, atol=1e-12)
