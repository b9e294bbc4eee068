"""Claims on noise of gradients, metrics and couplings: rules on simulated outcomes, protocols run small."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

import torch

from grokkit.scheme.catalog import catalog
from grokkit.studies.ledger import Context, Figure, Measurement, Verdict, rule_on
from grokkit.studies.ledger._measurement import UNMEASURED
from grokkit.studies.ledger._rules_geometry import GEOMETRY, GROKS, READINGS, STRETCHES
from grokkit.studies.ledger.protocols import _geometry_models as gm
from grokkit.studies.ledger.protocols import _motion, _transition, coherence, curvature, messages

NO, YES, WIDE = (0.0, 0.0, 0.03, 120), (0.98, 0.96, 1.0, 120), (0.4, 0.0, 0.8, 6)
NONE = Figure(None, reason="there is none")
SMALL, ONE, LARGE, UNSURE = (0.5, 0.4, 0.6, 9), (1.0, 0.97, 1.03, 9), (2.0, 1.5, 3.0, 9), (1.0, 0.2, 5.0, 3)
CONSTANT = {"inside at 4096": YES, "at 16384 over at 4096": ONE, "largest over smallest": (1.05, 1.0, 1.1, 9)}
TABLE = {f"sigma/mu at {size}": stated for size, stated in coherence.TABLE.items()}
TABLE |= {"grokked at 1024": NO, "grokked at 4096": YES, "grokked at 8192": YES}
SEES, BLIND = {GROKS: True}, {GROKS: False}
RAW = {"rank at the solution": 84.0, "parameters": 84.0, "coupling": 1.44e-4}
RAW |= {f"curvature, ridge stretched by {stretch}": -0.5 for stretch in STRETCHES}
GAPS = {"gap over the bound, exact scheme": (3.6, 3, 4, 9), "gap over the bound, cyclotron": (9, 8, 10, 9)}
GAPS |= {"bound at 1821": 0.00014}
RADII = {f"radius, c a {reading}": 3e-8 for reading in READINGS}
SPREADS = ("spreads, exact weights", "spreads, learned weights")
DISTANCE, LOSS = "distance, same start and velocity", "loss of the motion over that of the flow"
DRIFT, NOISE = "drift, drop over plateau", "crossover, drop over plateau"
BY_C, BY_CUTOFF = "readings of c, largest over smallest G", "cutoffs, largest over smallest G"
COUPLED = {BY_C: 1.0, BY_CUTOFF: 1.0, f"coupling, c a {READINGS[0]}": (1.44e-4, 1.435e-4, 1.445e-4, 9)}
COUPLED |= {"coupling at the end over halfway": (1.0, 0.995, 1.005, 9)}
FINDS, FOUND = "bilinear networks find schemes", "exact scheme, message passing"

CASES = [
    ("K01", CONSTANT, {}, "reproduced"),
    ("K01", CONSTANT | {"inside at 4096": NO}, {}, "refuted"),
    ("K01", CONSTANT | {"at 16384 over at 4096": SMALL}, {}, "refuted"),
    ("K01", CONSTANT | {"largest over smallest": LARGE}, {}, "refuted"),
    ("K01", CONSTANT | {"inside at 4096": WIDE}, {}, "refuted"),
    ("K01", CONSTANT | {"inside at 4096": (0.9, 0.6, 1.0, 6)}, {}, "open"),
    ("K01", CONSTANT | {"at 16384 over at 4096": NONE}, {}, "undefined"),
    ("K02", TABLE, SEES, "reproduced"),
    ("K02", TABLE, BLIND, "open"),
    ("K02", TABLE | {"grokked at 4096": NO}, SEES, "refuted"),
    ("K02", TABLE | {"grokked at 4096": WIDE}, SEES, "open"),
    ("K02", TABLE | {"sigma/mu at 2048": (0.063, 0.06, 0.066, 9)}, BLIND, "refuted"),
    ("K03", {"bend": (1.3, 1.1, 1.5, 9), "B that fills 32 MiB": 4096.0}, {}, "reproduced"),
    ("K03", {"bend": (0.0, -0.1, 0.1, 9), "B that fills 32 MiB": 4096.0}, {}, "refuted"),
    ("K03", {"bend": (1.3, 1.1, 1.5, 9), "B that fills 32 MiB": 1e5}, {}, "refuted"),
    ("K03", {"bend": UNSURE, "B that fills 32 MiB": 4096.0}, {}, "open"),
    ("K04", dict.fromkeys(SPREADS, (0.02, 0.01, 0.03, 9)), {}, "reproduced"),
    ("K04", {SPREADS[0]: (0.0, 0.0, 0.0, 9), SPREADS[1]: (0.02, 0.01, 0.03, 9)}, {}, "refuted"),
    ("K04", dict.fromkeys(SPREADS, (0.01, 0.001, 0.1, 3)), {}, "open"),
    ("K05", RAW, {}, "reproduced"),
    ("K05", RAW | {"coupling": 3.0}, {}, "refuted"),
    ("K05", RAW | {"rank at the solution": 61.0}, {}, "undefined"),
    ("K05", RAW | {"curvature, ridge stretched by 10": -0.165}, {}, "undefined"),
    ("K05", RAW | {"coupling": NONE}, {}, "undefined"),
    ("K06", GAPS, {}, "reproduced"),
    ("K06", GAPS | {"gap over the bound, exact scheme": (0.0, -1e-28, 1e-28, 9)}, {}, "refuted"),
    ("K06", GAPS | {"bound at 1821": 0.0005}, {}, "refuted"),
    ("K06", GAPS | {"gap over the bound, cyclotron": UNSURE}, {}, "open"),
    ("K07", RADII, {}, "refuted"),
    ("K07", RADII | {f"radius, c a {READINGS[1]}": 5.7e7}, {}, "reproduced"),
    ("K12", {DISTANCE: (0.01, 0.0, 0.02, 9), LOSS: ONE}, {}, "reproduced"),
    ("K12", {DISTANCE: (1.2, 1.1, 1.3, 9), LOSS: ONE}, {}, "refuted"),
    ("K12", {DISTANCE: (0.01, 0.0, 0.02, 9), LOSS: LARGE}, {}, "open"),
    ("K12", {DISTANCE: (0.01, 0.0, 0.02, 9), LOSS: (1e5, 1e4, 1e6, 9)}, {}, "refuted"),
    ("K13", {DRIFT: SMALL, NOISE: SMALL}, SEES, "reproduced"),
    ("K13", {DRIFT: LARGE, NOISE: SMALL}, SEES, "refuted"),
    ("K13", {DRIFT: SMALL, NOISE: LARGE}, SEES, "refuted"),
    ("K13", {DRIFT: UNSURE, NOISE: SMALL}, SEES, "open"),
    ("K13", {DRIFT: NONE, NOISE: NONE}, BLIND, "open"),
    ("K14", COUPLED, {}, "reproduced"),
    ("K14", COUPLED | {"coupling at the end over halfway": LARGE}, {}, "refuted"),
    ("K14", COUPLED | {BY_C: 1e19}, {}, "undefined"),
    ("K14", COUPLED | {BY_CUTOFF: LARGE}, {}, "undefined"),
    ("K14", COUPLED | {BY_CUTOFF: UNSURE}, {}, "open"),
    ("K14", COUPLED | {BY_C: NONE}, {}, "undefined"),
    ("K14", COUPLED | {f"coupling, c a {READINGS[0]}": 3.0}, {}, "refuted"),
    ("K14", COUPLED | {"coupling at the end over halfway": UNSURE}, {}, "open"),
    ("K15", {FOUND: YES}, {FINDS: True}, "reproduced"),
    ("K15", {FOUND: NO}, {FINDS: True}, "refuted"),
    ("K15", {FOUND: WIDE}, {FINDS: True}, "open"),
    ("K15", {FOUND: NO}, {FINDS: False}, "open"),
    ("K15", {}, {UNMEASURED: "there is no trainer"}, "open"),
]


def number(value: Figure | tuple[float, ...] | float) -> Figure:
    if isinstance(value, Figure):
        return value
    if isinstance(value, tuple):
        return Figure(float(value[0]), float(value[1]), float(value[2]), int(value[3]))
    return Figure(float(value))


@pytest.mark.parametrize(("claim", "values", "facts", "verdict"), CASES)
def test_the_verdict_follows_from_the_measurement(claim, values, facts, verdict):
    made = {name: number(value) for name, value in values.items()}
    ruling = rule_on(claim, Measurement(claim, made, facts, scale="full"))
    assert ruling.verdict == verdict, str(ruling)


def test_every_rule_is_tried_both_ways():
    tried: dict[str, set[str]] = {}
    for claim, _, _, verdict in CASES:
        tried.setdefault(claim, set()).add(verdict)
    assert set(tried) == set(GEOMETRY)
    assert all({"reproduced", "refuted"} <= found for found in tried.values())


@pytest.mark.parametrize("claim", sorted(GEOMETRY))
def test_a_measurement_without_its_figures_leaves_the_claim_open(claim):
    assert rule_on(claim, Measurement(claim)).verdict == Verdict.OPEN


def small(monkeypatch, module, **counts):
    for name, count in counts.items():
        monkeypatch.setattr(module, name, {"quick": count, "full": count})


def measure(module, tmp_path):
    """What a protocol finds; it survives JSON, and its rule finds what it asks for."""
    found = module.PROTOCOLS[0].measure(Context("quick", tmp_path))
    for claim, each in found.items():
        assert Measurement.from_json(each.to_json()) == each
        assert set(GEOMETRY[claim].figures) <= set(each.figures) and set(GEOMETRY[claim].facts) <= set(each.facts)
        assert each.note.endswith(".")
    return found


def value(measurement, name):
    found = measurement.figures[name].value
    assert found is not None, name
    return found


# Noise of gradients


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        small(patch, coherence, SEEDS=2, STEPS=100, OWN_STEPS=10, DRAWS=60, ADDITIONS=0)
        yield measure(coherence, tmp_path_factory.mktemp("noise"))


def test_the_variation_falls_as_the_root_and_differs_between_models(noise):
    found = noise["K01"]
    ratio = found.figures["at 16384 over at 4096"]
    assert ratio.value == pytest.approx(0.5, abs=0.12)
    assert value(found, "largest over smallest") > 2
    models = 2 * (len(coherence.WIDTHS) + len(coherence.SLOTS)) * len(coherence.RATES)
    assert found.figures["inside at 4096"].n == models
    assert found.figures["sigma/mu at 4096, exact scheme"].value is None


def test_nothing_bends_at_4096_and_no_cache_is_filled_there(noise):
    found = noise["K03"]
    assert abs(value(found, "bend")) < 0.3 < value(found, "B that fills 32 MiB") / coherence.CRITICAL / 10
    assert found.baselines["stated bend"].value == pytest.approx(1.32, abs=0.01)
    for name in found.facts:
        assert f"B that fills {name}" in found.figures


def test_without_a_control_nothing_is_said_of_grokking(noise):
    assert noise["K02"].facts == noise["K13"].facts == BLIND
    assert rule_on("K13", noise["K13"]).verdict == Verdict.OPEN
    assert value(noise["K02"], "grokked at 8192") == 0


def test_a_network_that_has_not_fallen_has_no_drop():
    row = gm.addition(1, 50, 25, (64, 256), 10)
    assert row["verdict"] in ("NeverFitted", "NoPlateau", "NoDrop")
    assert "drop" not in row and row["law"].measured.batch_sizes == (64, 256)


def test_a_network_that_groks_moves_faster_as_it_does():
    rows = [
        {"verdict": "Grokked", "plateau": (0.01, 500.0), "drop": (0.02 + 0.001 * turn, 200.0), "after": (0.03, 100.0)}
        for turn in range(3)
    ]
    found = _transition.transition([*rows, {"verdict": "NoDrop"}], "root seed 1", "quick")
    assert value(found, DRIFT) == pytest.approx(2.1, abs=0.01) and value(found, NOISE) == pytest.approx(0.4)
    assert found.figures["grokked"].n == 4 and value(found, "grokked") == 0.75
    assert rule_on("K13", found).verdict == Verdict.REFUTED


# Metrics, couplings, spreads


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        small(patch, curvature, SEEDS=2, STEPS=40)
        patch.setattr(curvature, "WIDTHS", (2, 4, 8))
        patch.setattr(_motion, "TIME", 2.0)
        yield measure(curvature, tmp_path_factory.mktemp("metrics"))


def test_both_spreads_are_zero_at_an_exact_solution(metrics):
    found = metrics["K04"]
    assert value(found, "spreads, exact weights") == 0
    assert value(found, "spreads, first steps") > 0.006
    assert rule_on("K04", found).verdict == Verdict.REFUTED


def test_the_metric_is_singular_and_its_curvature_a_choice(metrics):
    found = metrics["K05"]
    assert (value(found, "rank at the solution"), value(found, "parameters")) == (61, 84)
    assert value(found, "rank, trained") <= 84 - 14  # two scalings of each of 7 slots change nothing
    for stretch in curvature.STRETCHES:  # Gauss's formula for f = u v at (1, 1), as the ridge goes to 0
        limit = -2 * stretch / (1 + stretch) ** 2
        assert value(found, f"curvature, ridge stretched by {stretch:g}") == pytest.approx(limit, rel=1e-3)
    assert rule_on("K05", found).verdict == Verdict.UNDEFINED


def test_the_coupling_is_what_c_is_taken_for(metrics):
    found = metrics["K14"]
    batch, matrix = (value(found, f"coupling, c a {name}") for name in READINGS[:2])
    assert batch / matrix == pytest.approx(16)
    assert value(found, BY_C) == pytest.approx((299_792_458 / 2048) ** 4)
    assert value(found, BY_CUTOFF) > 1
    assert value(found, "coupling at the end over halfway") > 2
    assert rule_on("K14", found).verdict == Verdict.UNDEFINED


def test_the_horizon_is_not_the_stated_one_at_any_reading(metrics):
    found = metrics["K07"]
    assert value(found, f"radius, c a {READINGS[0]}") == pytest.approx(2 * 1.44e-4 * 1821 / 4096**2)
    assert rule_on("K07", found).verdict == Verdict.REFUTED


def test_an_exact_scheme_has_no_gap(metrics):
    found = metrics["K06"]
    assert abs(value(found, "gap over the bound, exact scheme")) < 1e-20
    assert value(found, "exponent, noisy least squares") > 0
    assert rule_on("K06", found).verdict == Verdict.REFUTED


def test_flow_rests_where_motion_swings(metrics):
    swing = math.cos(2) - math.sin(2)  # the motion from 1 with velocity -1, beside the flow e^-t
    assert value(metrics["K12"], DISTANCE) == pytest.approx(abs(math.exp(-2) - swing), abs=0.05)
    assert value(metrics["K12"], "distance, with friction") < 0.02
    assert rule_on("K12", metrics["K12"]).verdict == Verdict.REFUTED


# Message passing


def test_second_differences_of_the_product_are_the_product():
    target = torch.tensor(catalog["strassen"].target.tensor(), dtype=torch.float64)
    weights = gm.strassen_weights()
    part = messages._bilinear_part(lambda x: gm.bilinear(weights, x) + x[0].sum(-1, keepdim=True) ** 2 + 3)
    assert torch.allclose(part, target)


def test_message_passing_is_the_same_for_one_and_for_many():
    weights = gm.message_start(torch.Generator().manual_seed(1))
    (a, b), _ = gm.product_pairs(5, 1)
    many = gm.message_passing(weights, (a, b))
    one = torch.stack([gm.message_passing(weights, (a[row], b[row])) for row in range(5)])
    assert many.shape == (5, 4) and torch.allclose(many, one)
    assert float(many.std()) > 0


def test_message_passing_learns_something_and_no_scheme(tmp_path, monkeypatch):
    small(monkeypatch, messages, STEPS=60, SEEDS=2, RUNS=16)
    found = measure(messages, tmp_path)["K15"]
    assert value(found, "products") == value(found, FOUND) == 0
    assert value(found, "multiplications") > 8
    assert np.isfinite(value(found, "error")) and found.facts[FINDS] is True
    assert found.baselines["exact scheme, bilinear network"].n == 16
