"""Operators, fusion, growth and control: rules on outcomes of every kind, and small measurements."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from grokkit.studies.ledger import Context, Figure, Measurement
from grokkit.studies.ledger._rules_transfer import TRANSFER
from grokkit.studies.ledger.protocols import conservation, operators

ONE = (1.0, 0.98, 1.01, 8)
LESS = (0.9, 0.85, 0.95, 8)
MORE = (1.4, 1.2, 1.6, 8)
LARGE = (200.0, 150.0, 260.0, 8)
WIDE = (1.0, 0.2, 60.0, 3)
NONE = (0.0, 0.0, 0.0, 200)
SOME = (0.25, 0.2, 0.3, 200)
CHANCE = (0.5, 0.49, 0.51, 8000)
ALL = (1.0, 0.68, 1.0, 8)
TOPOLOGY = {
    "wave, growth, hops": ONE,
    "cyclotron, growth, hops": ONE,
    "wave, growth, distances": LARGE,
    "cyclotron, growth, distances": LARGE,
    "bound broken, compressed kernel": NONE,
}
FUSED = {
    f"over {what}, {name}": LESS
    for what in ("better", "constant one half", "persistence")
    for name in ("shared", "blind", "split")
}
WEIGHTS = {f"published over optimal, {name}": ONE for name in ("shared", "blind", "split")}
GROWN = {"right at every size": ALL, "random": CHANCE, "random core": CHANCE}
TABLE = {"psi kept": ONE, "connected": ONE, "moved while frozen": (0.0, 0.0, 0.0, 9)}
DECIDES = {f"{factor}, {name}": LESS for factor in ("representation",) for name in ("short", "long")} | {
    f"compute, {name}": (0.01, 0.0, 0.02, 8) for name in ("short", "long")
}
BITS = {"random networks keep their outputs, too": True}
CASES = [
    ("K08", TOPOLOGY, {}, "reproduced"),
    ("K08", TOPOLOGY | {"wave, growth, hops": LARGE}, {}, "refuted"),
    ("K08", TOPOLOGY | {"cyclotron, growth, distances": ONE}, {}, "refuted"),
    ("K08", TOPOLOGY | {"bound broken, compressed kernel": SOME}, {}, "refuted"),
    ("K08", TOPOLOGY | {"wave, growth, hops": WIDE}, {}, "open"),
    ("K09", {"ratio": (86.0, 70.0, 100.0, 8)}, {}, "reproduced"),
    ("K09", {"ratio": LARGE}, {}, "refuted"),
    ("K09", {"ratio": (86.0, 10.0, 200.0, 8)}, {}, "open"),
    ("K10", FUSED, {}, "reproduced"),
    ("K10", FUSED | {"over better, blind": MORE}, {}, "refuted"),
    ("K10", FUSED | {"over persistence, shared": LARGE}, {}, "refuted"),
    ("K10", FUSED | {"over better, blind": ONE}, {}, "open"),
    ("K11", WEIGHTS, {}, "reproduced"),
    ("K11", WEIGHTS | {"published over optimal, split": MORE}, {}, "refuted"),
    ("K11", WEIGHTS | {"published over optimal, split": (1.02, 0.9, 1.1, 8)}, {}, "open"),
    ("C01", GROWN, BITS, "tautological"),
    ("C01", GROWN | {"right at every size": (0.0, 0.0, 0.2, 8)}, BITS, "refuted"),
    ("C01", GROWN | {"random": (0.7, 0.69, 0.71, 8000)}, BITS, "refuted"),
    ("C01", GROWN, {"random networks keep their outputs, too": False}, "refuted"),
    ("C02", {"crop after embed": NONE}, {"T applies to its own result": False}, "undefined"),
    ("C02", {"crop after embed": NONE}, {"T applies to its own result": True}, "reproduced"),
    ("C02", {"crop after embed": SOME}, {"T applies to its own result": True}, "refuted"),
    ("C03", {"published strength": (2.0, 2.0, 2.0, 1), "collapsed, source": ALL}, {}, "refuted"),
    ("C03", {"published strength": (0.5, 0.5, 0.5, 1), "collapsed, source": NONE}, {}, "reproduced"),
    ("C03", {"published strength": (0.5, 0.5, 0.5, 1), "collapsed, source": (0.5, 0.2, 0.8, 4)}, {}, "open"),
    ("C04", {"moved while frozen": NONE}, {"choices of S_top freeze the same steps": False}, "undefined"),
    ("C04", {"moved while frozen": NONE}, {"choices of S_top freeze the same steps": True}, "reproduced"),
    ("C04", {"moved while frozen": SOME}, {"choices of S_top freeze the same steps": True}, "refuted"),
    ("C05", {"violation after": NONE}, {"PT symmetry keeps the spectrum real": True}, "reproduced"),
    ("C05", {"violation after": NONE}, {"PT symmetry keeps the spectrum real": False}, "refuted"),
    ("C05", {"violation after": MORE}, {"PT symmetry keeps the spectrum real": True}, "refuted"),
    ("C06", TABLE, {}, "reproduced"),
    ("C06", TABLE | {"psi kept": (0.7, 0.65, 0.75, 9)}, {}, "refuted"),
    ("C06", TABLE | {"psi kept": WIDE}, {}, "open"),
    ("C07", {"change, loss": SOME}, {"readings of I agree": False}, "undefined"),
    ("C07", {"change, loss": SOME}, {"readings of I agree": True}, "refuted"),
    ("C07", {"change, loss": NONE}, {"readings of I agree": True}, "reproduced"),
    ("C08", DECIDES, {"one factor leads in every range": True}, "reproduced"),
    ("C08", DECIDES, {"one factor leads in every range": False}, "undefined"),
    ("C08", DECIDES | {"compute, long": (0.99, 0.98, 1.0, 8)}, {"one factor leads in every range": True}, "refuted"),
]


@pytest.mark.parametrize(("claim", "values", "facts", "verdict"), CASES)
def test_the_verdict_follows_from_the_measurement(claim, values, facts, verdict):
    figures = {name: Figure(value, low, high, n) for name, (value, low, high, n) in values.items()}
    ruling = TRANSFER[claim](Measurement(claim, figures, facts, scale="full"))
    assert str(ruling.verdict) == verdict, ruling


def test_every_rule_is_tried_more_than_one_way():
    tried = {claim: {verdict for each, _, _, verdict in CASES if each == claim} for claim in TRANSFER}
    assert all(len(verdicts) >= 2 for verdicts in tried.values()), tried


@pytest.fixture
def context(tmp_path, monkeypatch):
    for room, name, value in (
        (operators, "SEEDS", {"quick": 2}),
        (operators, "FUSIONS", {"quick": 2}),
        (operators, "EXPERT_STEPS", {"quick": 60}),
        (operators, "BOUND", {"quick": 20}),
        (operators, "NODES", {"quick": (16, 32, 64)}),
        (conservation, "PARITIES", {"quick": 1}),
        (conservation, "CONTROLS", {"quick": 2}),
        (conservation, "MATRICES", {"quick": 3}),
        (conservation, "FACTORIAL", {"quick": 2}),
        (conservation, "RANGES", {"short": ((10, 20), (256, 512)), "long": ((10, 60), (32, 512))}),
    ):
        monkeypatch.setattr(room, name, value)
    return Context(scale="quick", out=tmp_path)


@pytest.mark.parametrize("protocol", [*operators.PROTOCOLS, *conservation.PROTOCOLS], ids=lambda each: each.name)
def test_measured(protocol, context):
    found = protocol.measure(context)
    assert set(found) == set(protocol.claims)
    for claim, each in found.items():
        rule = TRANSFER[claim]
        assert set(rule.figures) <= set(each.figures) and set(rule.facts) <= set(each.facts), claim
        assert str(rule(each).verdict) in {"reproduced", "refuted", "tautological", "undefined", "open"}
        assert Measurement.from_json(each.to_json()) == each


def test_growth_keeps_everything(context):
    algebra = conservation._algebra(context)
    assert algebra.figures["crop after embed"].value == 0.0 and algebra.figures["spectra kept"].value == 1.0
    assert "axis input" in str(algebra.facts["refusal"])


def test_a_freeze_moves_nothing_and_seeds_repeat():
    rows, moved, _, _ = conservation._train(1e9, 3)
    assert moved == 0.0 and all(row["frozen"] for row in rows)
    first, again = conservation._train(-1e9, 3), conservation._train(-1e9, 3)
    assert first[1] == again[1] > 0 and first[0] == again[0]
    assert conservation._train(-1e9, 4)[1] != first[1]


def test_shares_of_variance():
    """Additive effects by hand: carried 0 or 4, compute 0 or 2, data 0 or 1 have shares 16, 4 and 1 of 21."""
    carried, compute, data = np.meshgrid([0, 4], [0, 2], [0, 1], indexing="ij")
    table = np.stack([carried + compute + data] * 3).astype(float)
    found = conservation._shares(table, "some")
    values = {factor: each.value for factor, each in found.items()}
    assert values == pytest.approx({"representation": 16 / 21, "compute": 4 / 21, "data": 1 / 21})
    assert all(each.low == pytest.approx(each.value) == pytest.approx(each.high) for each in found.values())
    assert conservation._share_of(np.ones((2, 2, 2, 2)), 1) == 0.0


def test_a_carried_start_answers_at_once():
    assert conservation._accuracy(True, 5, 256, 0) > 0.99 > 0.7 > conservation._accuracy(False, 5, 256, 0)
