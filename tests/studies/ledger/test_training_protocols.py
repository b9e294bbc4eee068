"""Claims about training: rules on simulated measurements of every kind, and protocols run at a small scale."""

from __future__ import annotations

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("statsmodels")

from grokkit.studies.ledger import Context, Figure, Measurement, rule_on
from grokkit.studies.ledger._rules_training import TRAINING
from grokkit.studies.ledger.protocols import training

NO, YES, WIDE = (0.0, 0.0, 0.02, 195), (0.7, 0.64, 0.75, 195), (0.3, 0.0, 0.7, 6)
NONE = (0.0, -0.03, 0.03, 400)

CASES = [
    ("S01", {"exact": NO}, {}, "refuted"),
    ("S01", {"exact": YES}, {}, "reproduced"),
    ("S01", {"exact": WIDE}, {}, "open"),
    ("S02", {"exact, inside": YES, "exact, outside": NO}, {}, "reproduced"),
    ("S02", {"exact, inside": YES, "exact, outside": YES}, {}, "refuted"),
    ("S02", {"exact, inside": NO, "exact, outside": NO}, {}, "refuted"),
    ("S02", {"exact, inside": WIDE, "exact, outside": NO}, {}, "open"),
    ("S03", {"rank 7, no pruning": NO}, {}, "reproduced"),
    ("S03", {"rank 7, no pruning": YES}, {}, "refuted"),
    ("S03", {"rank 7, no pruning": WIDE}, {}, "open"),
    ("S05", {"learned, 9 slots, no pruning": YES, "exact, 9 slots, no pruning": NO}, {}, "reproduced"),
    ("S05", {"learned, 9 slots, no pruning": NO, "exact, 9 slots, no pruning": NO}, {}, "refuted"),
    ("S06", {"exact, as published": YES, "exact, 2000 epochs": YES}, {}, "reproduced"),
    ("S06", {"exact, as published": NO, "exact, 2000 epochs": NO}, {}, "refuted"),
    ("S06", {"exact, as published": NO, "exact, 2000 epochs": WIDE}, {}, "open"),
    ("S07", {"exact gained by decay": (0.4, 0.3, 0.5, 400)}, {}, "reproduced"),
    ("S07", {"exact gained by decay": NONE}, {}, "refuted"),
    ("S07", {"exact gained by decay": (0.0, -0.2, 0.2, 40)}, {}, "open"),
    ("S08", {"exact gained by start": (0.4, 0.3, 0.5, 400)}, {}, "reproduced"),
    ("S08", {"exact gained by start": NONE}, {}, "refuted"),
    ("S09", {"within 0.1": NO}, {}, "refuted"),
    ("S09", {"within 0.1": (1.0, 0.98, 1.0, 195)}, {}, "reproduced"),
    ("S11", {"variation": (0.012, 0.010, 0.014, 195)}, {}, "reproduced"),
    ("S11", {"variation": (0.25, 0.22, 0.28, 195)}, {}, "refuted"),
    ("S11", {"variation": Figure(None, reason="all runs are equal")}, {}, "undefined"),
    ("S12", {"exact": NO}, {}, "refuted"),
    ("S12", {"exact": YES}, {}, "reproduced"),
    ("A01", {"eta squared": (0.24, 0.15, 0.33, 195)}, {}, "reproduced"),
    ("A01", {"eta squared": (0.04, 0.0, 0.06, 195)}, {}, "refuted"),
    ("A01", {"eta squared": (0.3, 0.0, 0.6, 15)}, {}, "open"),
    ("A02", {"eta squared": (0.04, 0.01, 0.09, 195)}, {}, "reproduced"),
    ("A02", {"eta squared": (0.0, 0.0, 0.015, 195)}, {}, "refuted"),
    ("A03", {"p": 0.4, "eta squared": (0.01, 0.0, 0.03, 450)}, {}, "reproduced"),
    ("A03", {"p": 0.001, "eta squared": (0.2, 0.1, 0.3, 450)}, {}, "refuted"),
    ("A03", {"p": 0.05, "eta squared": (0.13, 0.0, 0.3, 45)}, {}, "open"),
    ("A11", {"flips, native, float64": (0.3, 0.2, 0.4, 80), "flips, torch, float32": NO}, {}, "reproduced"),
    (
        "A11",
        {"flips, native, float64": (0.0, 0.0, 0.005, 800), "flips, torch, float32": (0, 0, 0.005, 800)},
        {},
        "refuted",
    ),
    ("L01", {"exact, 23": NO}, {}, "reproduced"),
    ("L01", {"exact, 23": YES}, {}, "refuted"),
    ("L01", {"exact, 23": WIDE}, {}, "open"),
    ("X01", {}, {"odds ratios are measured": True}, "refuted"),
    ("X01", {}, {"odds ratios are measured": False}, "reproduced"),
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
    assert set(tried) == set(TRAINING)
    assert all(len(found) > 1 for found in tried.values())


@pytest.fixture
def context(tmp_path):
    return Context("quick", tmp_path, engine="threads")


def test_both_protocols(context):
    found = training.protocols_a_and_b(context)
    assert set(found) == {"S01", "S02", "S09", "S11", "A01", "A02", "A03"}
    assert found["S01"].figures["exact"].n == 195
    inside, outside = (found["S02"].figures[f"exact, {where}"].n for where in ("inside", "outside"))
    assert (inside, outside) == (135, 60)
    assert found["S01"].baselines["crystallizes, untrained"].n == 120
    assert found["A01"].figures["F"].value is not None
    assert str(rule_on("S01", found["S01"]).verdict) == "refuted"
    assert training.protocols_a_and_b(context) == found  # from the stored runs


def test_the_ablation_is_one_setting_at_a_time(context, monkeypatch):
    few = {name: training.VARIANTS[name] | {"epochs": 5} for name in training.VARIANTS}
    monkeypatch.setattr(training, "VARIANTS", {name: few[name] | {"log_points": 10 + i} for i, name in enumerate(few)})
    found = training.ablation(context)
    assert set(found) == {"S03", "S05", "S06", "S07", "S08", "X01"}
    assert "exact, 9 slots, no pruning" in found["S05"].figures
    assert "rank 7, no pruning" in found["S03"].figures
    assert not any("9 slots" in name for name in found["S03"].figures)
    for claim, measurement in found.items():
        assert set(TRAINING[claim].figures) <= set(measurement.figures) | set()
    assert len(found["X01"].figures) == len(few) - 1
