"""Batch size and signs of discretization: rules on outcomes of every kind, instruments by hand, small measurements."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("statsmodels")

import torch

from grokkit.scheme.catalog import catalog
from grokkit.studies.ledger import Context, Figure, Measurement
from grokkit.studies.ledger._rules_batch import BATCH
from grokkit.studies.ledger.protocols import batch, discretization, minima

NONE = (0.0, 0.0, 0.02, 200)
SOME = (0.5, 0.4, 0.6, 200)
MOST = (0.95, 0.9, 0.99, 200)
WIDE = (0.5, 0.0, 1.0, 3)
SMALL = (-0.5, -0.6, -0.4, 200)
SEPARATED = {"batch size is separated from steps, samples and rate": True}
CASES = [
    ("A04", {"best cell": NONE}, {}, "refuted"),
    ("A04", {"best cell": SOME}, {}, "reproduced"),
    ("A04", {"best cell": WIDE}, {}, "open"),
    ("A05", {"near 1": MOST, "auc": SOME}, {}, "reproduced"),
    ("A05", {"near 1": NONE, "auc": SOME}, {}, "refuted"),
    ("A05", {"near 1": MOST, "auc": MOST}, {}, "refuted"),
    ("A05", {"near 1": MOST, "auc": WIDE}, {}, "open"),
    ("A06", {"auc": MOST, "gain": SOME}, {}, "reproduced"),
    ("A06", {"auc": NONE, "gain": SOME}, {}, "refuted"),
    ("A06", {"auc": MOST, "gain": SMALL}, {}, "refuted"),
    ("A06", {"auc": WIDE, "gain": SOME}, {}, "open"),
    ("A07", {"inside less outside": SMALL, "auc": MOST}, {}, "reproduced"),
    ("A07", {"inside less outside": SOME, "auc": MOST}, {}, "refuted"),
    ("A07", {"inside less outside": SMALL, "auc": NONE}, {}, "refuted"),
    ("A07", {"inside less outside": (0.0, -1.0, 1.0, 9), "auc": MOST}, {}, "open"),
    ("A08", {"spread inside": NONE}, {"the largest step lies inside": True}, "reproduced"),
    ("A08", {"spread inside": NONE}, {"the largest step lies inside": False}, "refuted"),
    ("A08", {"spread inside": MOST}, {"the largest step lies inside": True}, "refuted"),
    ("A10", {"auc": MOST, "gain": SOME}, {}, "reproduced"),
    ("A10", {"auc": NONE, "gain": SOME}, {}, "refuted"),
    ("X05", {"eta squared, equal samples": MOST, "eta squared, rate linear in B": NONE}, SEPARATED, "refuted"),
    ("X05", {"eta squared, equal samples": NONE, "eta squared, rate linear in B": MOST}, SEPARATED, "reproduced"),
    ("X05", {"eta squared, equal samples": WIDE, "eta squared, rate linear in B": SOME}, SEPARATED, "open"),
    ("X06", {"full, converged": MOST, "plain, converged": NONE}, {}, "refuted"),
    ("X06", {"full, converged": SOME, "plain, converged": NONE}, {}, "reproduced"),
    ("X06", {"full, converged": WIDE, "plain, converged": NONE}, {}, "open"),
]


@pytest.mark.parametrize(("claim", "values", "facts", "verdict"), CASES)
def test_the_verdict_follows_from_the_measurement(claim, values, facts, verdict):
    figures = {name: Figure(value, low, high, n) for name, (value, low, high, n) in values.items()}
    ruling = BATCH[claim](Measurement(claim, figures, facts, scale="full"))
    assert str(ruling.verdict) == verdict, ruling


def test_every_rule_is_tried_both_ways():
    for claim in BATCH:
        assert {"reproduced", "refuted"} <= {verdict for each, _, _, verdict in CASES if each == claim}, claim


def weights(slots, seed):
    generator = np.random.default_rng(seed)
    return tuple(generator.standard_normal(shape) for shape in ((slots, 4), (slots, 4), (4, slots)))


def test_sample_gradients_are_those_of_autograd():
    u, v, w = weights(7, 1)
    found = batch.sample_gradients(u, v, w, 5, samples=6)
    generator = np.random.default_rng(5)
    a, b = (torch.as_tensor(x) for x in generator.standard_normal((2, 6, 4)))
    c = (a.reshape(-1, 2, 2) @ b.reshape(-1, 2, 2)).reshape(6, 4)
    for sample in range(6):
        parts = [torch.as_tensor(x).requires_grad_() for x in (u, v, w)]
        out = ((parts[0] @ a[sample]) * (parts[1] @ b[sample])) @ parts[2].T
        ((out - c[sample]) ** 2).mean().backward()
        wanted = torch.cat([parts[0].grad.ravel(), parts[1].grad.ravel(), parts[2].grad.ravel()])
        np.testing.assert_allclose(found[sample], wanted.numpy(), rtol=1e-10, atol=1e-12)


def test_curvature_and_loss_against_autograd():
    u, v, w = weights(7, 2)
    flat = torch.as_tensor(np.concatenate([u.ravel(), v.ravel(), w.ravel()]))
    target = torch.as_tensor(
        np.einsum("ri,rj,kr->ijk", *(np.array(x, float) for x in (STRASSEN.U, STRASSEN.V, STRASSEN.W)))
    )

    def loss(x):
        parts = x[:28].reshape(7, 4), x[28:56].reshape(7, 4), x[56:].reshape(4, 7)
        return ((torch.einsum("ri,rj,kr->ijk", *parts) - target) ** 2).sum() / 4

    assert discretization.expected_loss(u, v, w) == pytest.approx(float(loss(flat)))
    trace = float(torch.autograd.functional.hessian(loss, flat).trace())
    assert discretization.curvature(u, v, w) == pytest.approx(trace / 84)


STRASSEN = catalog["strassen"]


def test_at_strassen_s_scheme():
    exact = tuple(np.array(x, dtype=np.float64) for x in (STRASSEN.U, STRASSEN.V, STRASSEN.W))
    assert discretization.expected_loss(*exact) == 0.0
    assert discretization.curvature(*exact) * 84 == pytest.approx(120)  # twice 240 for half the sum of squares, over 4
    assert batch.spectrum(*exact, 0) == (1.0, 0.0)  # no gradient, so no condition


def test_auc_by_hand():
    found = batch.auc([1, 2, 3, 4] * 10, [1, 1, 0, 0] * 10, "small scores succeed")
    assert found.value == 1.0
    assert batch.auc([1, 2, 3, 4] * 10, [0, 0, 1, 1] * 10, "the other way").value == 0.0
    assert batch.auc([1, 2], [1, 1], "one class").value is None


@pytest.fixture
def context(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "RUNS", {"quick": 3})
    monkeypatch.setattr(batch, "BATCHES", (32, 64, 256))
    monkeypatch.setattr(batch, "EPOCHS", 20)
    monkeypatch.setattr(discretization, "RUNS", {"quick": 3})
    monkeypatch.setattr(discretization, "POLISHED", {"quick": 24})
    for name, value in (("L1", (0.0, 0.03)), ("DECAYS", (0.01,)), ("BATCHES", (32, 128)), ("STEPS", 600)):
        assert hasattr(minima, name)
        monkeypatch.setattr(discretization, name, value)
    return Context(scale="quick", out=tmp_path, engine="threads")


@pytest.mark.parametrize("protocol", [*batch.PROTOCOLS[1:], *discretization.PROTOCOLS], ids=lambda each: each.name)
def test_measured(protocol, context):
    found = protocol.measure(context)
    assert set(found) == set(protocol.claims)
    for claim, each in found.items():
        rule = BATCH[claim]
        assert set(rule.figures) <= set(each.figures) and set(rule.facts) <= set(each.facts), claim
        assert Measurement.from_json(each.to_json()) == each
        rule(each)


def test_designs_differ_in_what_they_keep():
    for size in (8, 128):
        samples, steps, linear, root = (batch.config_of(name, size, 2, 0) for name in batch.DESIGNS)
        assert samples.epochs == linear.epochs == root.epochs == batch.EPOCHS
        assert (steps.epochs, steps.steps) == (0, 31250)
        assert linear.learning_rate == pytest.approx(1e-3 * size / 32)
        assert root.learning_rate == pytest.approx(1e-3 * (size / 32) ** 0.5)


def test_the_phase_diagram_is_crossed(context, monkeypatch):
    study = type(context).study
    small = {"factors": {"batch_size": [64, 256], "epochs": [5, 10]}}
    monkeypatch.setattr(
        type(context),
        "study",
        lambda self, name, **changes: study(self, name, **(changes | small | {"seeds": 1, "runs": 2})),
    )
    found = batch.phase(context)["A04"]
    assert found.figures["exact"].n == 8 and found.figures["best cell"].n == 2
    assert "of 4 cells" in str(found.facts["contours"])
