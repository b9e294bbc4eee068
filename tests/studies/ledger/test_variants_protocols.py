"""Claims on grokking, minima, noise, caches and rivals: rules on simulated outcomes, protocols run small."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("statsmodels")
pytest.importorskip("sklearn")
pytest.importorskip("torch")

import torch

from grokkit.dynamics import Grokked, NoPlateau
from grokkit.scheme import MatrixProduct, expand
from grokkit.scheme.catalog import catalog
from grokkit.studies.ledger import Context, Figure, Measurement, Verdict, rule_on
from grokkit.studies.ledger._measurement import UNMEASURED
from grokkit.studies.ledger._rules_variants import VARIANTS
from grokkit.studies.ledger.protocols import (
    _descent,
    caches,
    grokking,
    hardware,
    memory,
    minima,
    rivals,
    weight_noise,
)

NO, YES, WIDE = (0.0, 0.0, 0.03, 120), (0.9, 0.85, 0.95, 120), (0.4, 0.0, 0.8, 6)
NONE = Figure(None, reason="no run falls after a plateau")
SEES = {grokking.SEES: True}
AT_32, AT_512, EPOCH = "grokked, B = 32", "grokked, B = 512", "epoch, B = 32"
FULL, LATE = "success without noise, equal outputs", "success with most noise, equal outputs"
STRONG, WEAK = "threshold, equal outputs", "threshold, one weak output"
RATIO = "threshold, one weak output over all weak"
THRESHOLDS = {STRONG: (0.01, 0.009, 0.011, 32), WEAK: (0.003, 0.002, 0.004, 32), RATIO: (1.2, 1.0, 1.4, 32)}
ROBUST, FILE = "keeps rank 7, noise 0.01", "published robust weights compute the product"
L1, L2, SLOW, BEST = (
    "B that fills 32 KiB",
    "B that fills 256 KiB",
    "time at 1024 over 128",
    "learned at best inside less outside",
)
INSIDE = {L1: 50.0, L2: 100.0, SLOW: (1.2, 1.1, 1.3, 9), BEST: (0.3, 0.2, 0.4, 90)}

CASES = [
    ("S10", {AT_32: YES, AT_512: NO, EPOCH: (450, 420, 480, 90)}, SEES, "reproduced"),
    ("S10", {AT_32: YES, AT_512: NO, EPOCH: (4500, 4200, 4800, 90)}, SEES, "refuted"),
    ("S10", {AT_32: YES, AT_512: YES, EPOCH: (450, 420, 480, 90)}, SEES, "refuted"),
    ("S10", {AT_32: NO, AT_512: NO, EPOCH: NONE}, SEES, "refuted"),
    ("S10", {AT_32: WIDE, AT_512: NO, EPOCH: (450, 420, 480, 3)}, SEES, "open"),
    ("S10", {AT_32: NO, AT_512: NO, EPOCH: NONE}, {grokking.SEES: False}, "open"),
    ("S13", {"low loss, as published": YES, "the algorithm, 7 slots": NO}, {}, "reproduced"),
    ("S13", {"low loss, as published": YES, "the algorithm, 7 slots": YES}, {}, "refuted"),
    ("S13", {"low loss, as published": NO, "the algorithm, 7 slots": NO}, {}, "refuted"),
    ("S13", {"low loss, as published": WIDE, "the algorithm, 7 slots": NO}, {}, "open"),
    ("S13", {"low loss, as published": YES, "the algorithm, 7 slots": Figure(None, reason="no runs")}, {}, "undefined"),
    (
        "S14",
        {"auc, distance": (0.8, 0.7, 0.9, 30), "distance, exact less others": (-1, -2, -0.5, 30)},
        {},
        "reproduced",
    ),
    ("S14", {"auc, distance": (0.5, 0.46, 0.54, 30), "distance, exact less others": (0, -1, 1, 30)}, {}, "refuted"),
    ("S14", {"auc, distance": (0.8, 0.7, 0.9, 30), "distance, exact less others": (1, 0.5, 2, 30)}, {}, "refuted"),
    ("S14", {"auc, distance": (0.6, 0.4, 0.8, 30), "distance, exact less others": (-1, -2, -0.5, 30)}, {}, "open"),
    ("S14", {"auc, distance": NONE, "distance, exact less others": NONE}, {}, "undefined"),
    ("S15", {FULL: YES, LATE: NO} | THRESHOLDS, {}, "reproduced"),
    ("S15", {FULL: YES, LATE: YES} | THRESHOLDS, {}, "refuted"),
    ("S15", {FULL: YES, LATE: NO} | THRESHOLDS | {WEAK: (0.02, 0.015, 0.025, 32)}, {}, "refuted"),
    ("S15", {FULL: YES, LATE: NO} | THRESHOLDS | {RATIO: (6.0, 5.0, 7.0, 32)}, {}, "refuted"),
    ("S15", {FULL: YES, LATE: NO} | THRESHOLDS | {WEAK: (0.01, 0.009, 0.02, 32)}, {}, "open"),
    ("S16", {ROBUST: YES}, {FILE: "not at hand"}, "reproduced"),
    ("S16", {ROBUST: YES}, {FILE: True}, "reproduced"),
    ("S16", {ROBUST: YES}, {FILE: False}, "refuted"),
    ("S16", {ROBUST: NO}, {FILE: "not at hand"}, "refuted"),
    ("S16", {ROBUST: WIDE}, {FILE: True}, "open"),
    ("M02", INSIDE, {}, "reproduced"),
    ("M02", INSIDE | {L1: 90.0}, {}, "refuted"),
    ("M02", INSIDE | {SLOW: (0.2, 0.1, 0.3, 9)}, {}, "refuted"),
    ("M02", INSIDE | {BEST: (0.0, -0.2, 0.2, 9)}, {}, "open"),
    ("X02", {}, {"compared with fine-tuning": True}, "refuted"),
    ("X02", {}, {"compared with fine-tuning": False}, "reproduced"),
    ("X03", {}, {"measured on a GPU": True}, "refuted"),
    ("X03", {}, {"measured on a GPU": False}, "reproduced"),
    ("X03", {}, {UNMEASURED: "there is no GPU"}, "open"),
    ("X04", {}, {"compared with meta-learning": True}, "refuted"),
    ("X04", {}, {"compared with meta-learning": False}, "reproduced"),
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
    assert set(tried) == set(VARIANTS)
    assert all({"reproduced", "refuted"} <= found for found in tried.values())


def small(monkeypatch, module, **counts):
    for name, count in counts.items():
        monkeypatch.setattr(module, name, {"quick": count, "full": count})


def measure(module, name, tmp_path, **options):
    """What a protocol finds; it survives JSON, and its rule finds what it asks for."""
    protocol = next(each for each in module.PROTOCOLS if each.name == name)
    found = protocol.measure(Context("quick", tmp_path, **options))
    for claim, each in found.items():
        assert Measurement.from_json(each.to_json()) == each
        assert set(VARIANTS[claim].figures) <= set(each.figures) and set(VARIANTS[claim].facts) <= set(each.facts)
        assert each.note.endswith(".") and each.seeds.startswith("root seed")
    return found


def value(measurement, name):
    number = measurement.figures[name].value
    assert number is not None, name
    return number


# Grokking


def test_only_15_samples_leave_room_for_a_plateau(tmp_path, monkeypatch):
    small(monkeypatch, grokking, RUNS=8, LONG=12_000, CONTROLS=0)
    monkeypatch.setattr(grokking, "PUBLISHED", 30)
    monkeypatch.setattr(grokking, "ENOUGH", 1000)
    monkeypatch.setattr(grokking, "LARGE", 50)
    monkeypatch.setattr(grokking, "RECORDS", 500)
    found = measure(grokking, "grokking", tmp_path)["S10"]
    assert value(found, "plateau, 15 samples") > 0
    for name in ("B = 32", "B = 512", "20 samples", "32 samples"):
        assert value(found, f"plateau, {name}") == 0
    assert found.figures["epoch, B = 32"].value is None
    assert found.facts[grokking.SEES] is False  # no control was run, so nothing is decided
    assert rule_on("S10", found).verdict == Verdict.OPEN


@pytest.mark.parametrize("samples", [15, 16])
def test_16_generic_samples_determine_the_map(samples):
    rng = np.random.default_rng(samples)
    a, b = rng.standard_normal((2, samples, 2, 2))
    products = np.einsum("sij,skl->sijkl", a, b).reshape(samples, 16)
    assert (np.linalg.matrix_rank(products) == 16) == (samples == 16)


def test_the_control_groks_and_shuffled_labels_do_not(monkeypatch):
    true = grokking._addition(grokking.SEED, False)
    assert isinstance(true, Grokked)
    monkeypatch.setattr(grokking, "ADDITION_EPOCHS", 350)
    assert not isinstance(grokking._addition(grokking.SEED, True), Grokked | NoPlateau)


# Minima


def test_minima_of_seven_slots_are_strassens_algorithm(monkeypatch):
    monkeypatch.setattr(minima, "LONGER", 1000)
    found = minima._unpruned(7, 8, minima.SEED)
    assert found["low loss, 7 slots"].n == 8
    for name in ("exact, 7 slots", "the algorithm, 7 slots"):
        assert found[name].value == 1
    moved, untrained = found["moved, 7 slots"].value, minima._untrained(8, minima.SEED).value
    assert moved is not None and untrained is not None
    assert moved < 1e-3 < untrained


def test_where_no_run_generalizes_there_are_no_minima(tmp_path, monkeypatch):
    small(monkeypatch, minima, RUNS=4)
    monkeypatch.setattr(minima, "EPOCHS", 10)
    monkeypatch.setattr(minima, "LONGER", 10)
    found = measure(minima, "minima", tmp_path)["S13"]
    assert value(found, "failing, as published") == 1
    assert value(found, "low loss, as published") == 0
    assert found.figures["the algorithm, 7 slots"].value is None
    assert set(found.baselines) == {"moved, untrained"}


def test_distance_to_the_lattice_beside_the_loss(tmp_path, monkeypatch):
    small(monkeypatch, minima, CELL_RUNS=8)
    monkeypatch.setattr(minima, "STEPS", 1500)
    monkeypatch.setattr(minima, "L1", (0.0, 0.03, 0.1))
    monkeypatch.setattr(minima, "DECAYS", (0.01, 0.03))
    monkeypatch.setattr(minima, "BATCHES", (32,))
    found = measure(minima, "lattice", tmp_path)["S14"]
    assert found.figures["exact"].n == 8 * len(minima.L1) * len(minima.DECAYS)
    assert set(found.baselines) == {"base rate", "loss only"}
    assert value(found, "smallest share of a condition") <= value(found, "exact")
    assert found.figures["distance, exact less others, without L1"].what.endswith("without L1")
    assert value(found, "exact") <= value(found, "largest share of a condition")


def test_where_no_run_is_exact_nothing_correlates(tmp_path, monkeypatch):
    small(monkeypatch, minima, CELL_RUNS=4)
    monkeypatch.setattr(minima, "STEPS", 20)
    monkeypatch.setattr(minima, "L1", (0.0, 0.03))
    found = measure(minima, "lattice", tmp_path)["S14"]
    assert value(found, "exact") == 0
    assert rule_on("S14", found).verdict == Verdict.UNDEFINED


# Noise


def test_the_gradient_by_hand_is_that_of_autograd():
    target = torch.from_numpy(_descent.target_matrix(MatrixProduct(2, 2, 2)))
    weights = _descent.start(3, 5, 12, 0).double().requires_grad_()
    (by_autograd,) = torch.autograd.grad(_descent.loss(weights, target, (4, 4)).sum(), weights)
    assert torch.allclose(by_autograd, _descent.gradient(weights.detach(), target, (4, 4)))


def test_the_loss_is_the_expected_squared_error():
    generator = torch.Generator().manual_seed(1)
    weights = _descent.start(1, 5, 12, 0).double()[0]
    a, b = torch.randn(2, 200_000, 2, 2, generator=generator, dtype=torch.float64)
    u, v, w = _descent.split(weights, (4, 4))
    wrong = ((a.flatten(1) @ u.T) * (b.flatten(1) @ v.T)) @ w - (a @ b).flatten(1)
    target = torch.from_numpy(_descent.target_matrix(MatrixProduct(2, 2, 2)))
    assert float(wrong.square().mean()) == pytest.approx(float(_descent.loss(weights, target, (4, 4))), rel=0.02)


def test_strassen_has_no_loss():
    u, v, w = catalog["strassen"].floats()
    weights = torch.from_numpy(np.concatenate([u, v, w.T], axis=1).astype(np.float64))
    target = torch.from_numpy(_descent.target_matrix(MatrixProduct(2, 2, 2)))
    assert float(_descent.loss(weights, target, (4, 4))) == 0


def test_thresholds_lie_between_success_and_failure():
    levels = weight_noise.LEVELS
    learned = np.zeros((len(levels), 4), dtype=bool)
    learned[:4, 0] = True  # fails from level 4 on
    learned[:1, 1] = True  # fails at the first
    learned[:, 2] = True  # never fails
    first, second, third = weight_noise.thresholds(learned)  # the last never learns and does not count
    assert levels[3] < first < levels[4]
    assert (second, third) == (levels[1] / 2, levels[-1])


def test_noise_in_the_weights(tmp_path, monkeypatch):
    small(monkeypatch, weight_noise, RUNS=6, STEPS=1000, ROBUST_RUNS=12)
    monkeypatch.delenv("GROKKIT_TEST_DATA", raising=False)
    found = measure(weight_noise, "weight-noise", tmp_path)
    noise, robust = found["S15"], found["S16"]
    assert value(noise, "smallest singular value, equal outputs") == pytest.approx(2**0.5)
    assert value(noise, "smallest singular value, one weak output") == pytest.approx(weight_noise.WEAK * 2**0.5)
    assert value(noise, "success with most noise, equal outputs") == 0
    assert value(robust, "keeps rank 7, noise 0.0") > 0.5 > value(robust, "keeps rank 7, noise 0.1")
    assert robust.baselines["keeps rank 7, untrained"].value == 0
    assert str(robust.facts[FILE]).startswith("not at hand")


def test_a_published_file_counts(tmp_path, monkeypatch):
    u, v, w = (torch.from_numpy(side.astype(np.float32)) for side in catalog["strassen"].floats())
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for scale, computes in ((1.0, True), (0.01, False)):
        torch.save({"U": scale * u, "V": v, "W": w}, folder / weight_noise.ROBUST_FILE)
        facts, share = weight_noise._published(Context("quick", tmp_path, data=tmp_path))
        assert facts == {FILE: computes} and share is not None
    (folder / weight_noise.ROBUST_FILE).write_bytes(b"no weights")
    facts, share = weight_noise._published(Context("quick", tmp_path, data=tmp_path))
    assert str(facts[FILE]).startswith("refused") and share is None


# Caches


def test_batches_beside_caches(tmp_path, monkeypatch):
    small(monkeypatch, caches, RUNS=6, ROUNDS=3)
    monkeypatch.setattr(caches, "BATCHES", (64, 256, 512))
    monkeypatch.setattr(caches, "TIMED", (32, 128, 1024, 8192))
    monkeypatch.setattr(caches, "REPEATS", 3)
    monkeypatch.setattr(caches, "STEPS", 500)
    monkeypatch.setattr(caches, "cache_sizes", lambda: {"L1": 32 * 1024})
    found = measure(caches, "caches", tmp_path)["M02"]
    per_sample = value(found, "per sample")
    filled = value(found, L1)
    assert 384 + 768 + per_sample * filled == pytest.approx(32 * 1024)
    assert value(found, "B that fills L1 of this machine") == filled
    assert rule_on("M02", found).verdict == Verdict.REFUTED


def test_a_machine_that_does_not_tell_its_caches(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CACHES", tmp_path / "nothing")
    found = caches.PROTOCOLS[0].measure(Context("quick", tmp_path))["M02"]
    assert "not known here" in str(found.facts[UNMEASURED])
    assert rule_on("M02", found).verdict == Verdict.OPEN


# Rivals


def test_the_kronecker_square_is_the_expansion():
    u, v, w = (np.asarray(side, dtype=np.float64) for side in catalog["strassen"].floats())
    large = expand(catalog["strassen"], 2)
    expected = np.concatenate([large.floats()[0], large.floats()[1], large.floats()[2].T], axis=1)
    square = rivals.kronecker_square(u, v, w)
    assert sorted(square.tolist()) == sorted(expected.tolist())
    assert float(rivals._relative(square[None])[0]) == 0


def test_fine_tuning(tmp_path, monkeypatch):
    small(monkeypatch, rivals, SEEDS=4, FINE_STEPS=60)
    monkeypatch.setattr(rivals, "TRAINED", (50, 400))
    found = measure(rivals, "fine-tuning", tmp_path)["X02"]
    for epochs in (50, 400):
        before, after = (value(found, f"{when}, 2x2 after {epochs} epochs") for when in ("before", "after"))
        assert after < before
    assert value(found, "after, random start") > value(found, "after, 2x2 after 400 epochs")
    assert found.facts["compared with fine-tuning"] is True or found.figures["exact, expanded"].value is None


def test_fine_tuning_that_could_not_be_compared(tmp_path, monkeypatch):
    small(monkeypatch, rivals, SEEDS=2, FINE_STEPS=2)
    monkeypatch.setattr(rivals, "TRAINED", (1, 2))  # no network of 2x2 is ready to be expanded
    found = measure(rivals, "fine-tuning", tmp_path)["X02"]
    assert found.facts["compared with fine-tuning"] is False


def test_meta_learning(tmp_path, monkeypatch):
    small(monkeypatch, rivals, SEEDS=3, META_STEPS=40)
    monkeypatch.setattr(rivals, "LONGER", 50)
    found = measure(rivals, "meta-learning", tmp_path)["X04"]
    ten = [value(found, f"{kind}, unseen bases, 10 steps") for kind in ("meta-learned", "plain")]
    assert ten[0] < ten[1]
    assert value(found, "gain, unseen bases, 10 steps") > 0
    assert rule_on("X04", found).verdict == Verdict.REFUTED


def test_the_meta_gradient_by_differences():
    generator = torch.Generator().manual_seed(0)
    weights = _descent.start(1, 4, 12, 0).double()
    targets = rivals.products_in_bases(3, generator).double()[None]

    def objective(at):
        found = rivals.adapted(at[:, None].expand(-1, 3, -1, -1), targets, rivals.INNER)
        return float(_descent.loss(found, targets, (4, 4)).mean())

    along = torch.randn(weights.shape, generator=generator, dtype=torch.float64)
    slope = (objective(weights + 1e-6 * along) - objective(weights - 1e-6 * along)) / 2e-6
    exact = float((rivals.meta_gradient()(weights, targets) * along).sum())
    assert exact == pytest.approx(slope, rel=1e-5)


def test_products_in_bases_are_products():
    generator = torch.Generator().manual_seed(3)
    target = rivals.products_in_bases(1, generator)[0].reshape(4, 4, 4).numpy()
    for side in range(3):  # each flattening of the product has rank 4, in all bases
        assert np.linalg.matrix_rank(np.moveaxis(target, side, 0).reshape(4, 16), tol=1e-4) == 4
    # with A = e_i f_j and B = e_k f_l the product has rank 1 at most
    c = target[1, 2].reshape(2, 2)
    assert abs(np.linalg.det(c)) < 1e-5


# Hardware


def test_without_a_gpu_it_stays_open(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "gpu", lambda: None)
    found = hardware.PROTOCOLS[0].measure(Context("quick", tmp_path))["X03"]
    assert "grokkit claims X03 --run --full" in str(found.facts[UNMEASURED])
    assert rule_on("X03", found).verdict == Verdict.OPEN


def test_the_comparison_of_devices(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "gpu", lambda: "cpu")
    monkeypatch.setattr(hardware, "STEPS", 20)
    small(monkeypatch, hardware, RUNS=4)
    found = measure(hardware, "hardware", tmp_path)["X03"]
    one, other = (found.figures[f"learned, {name}"] for name in ("GPU", "processor"))
    assert (one.value, one.interval, one.n) == (other.value, other.interval, other.n)
    assert found.facts["measured on a GPU"] is False  # the processor is no GPU
