"""The protocols on structure, run small, beside slow or closed-form oracles."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from grokkit.execution import recursive_product
from grokkit.scheme import InvalidInput, Refuted, Scheme, expand
from grokkit.scheme.catalog import catalog
from grokkit.studies import _bench_matmul
from grokkit.studies._bench_peak import Peak
from grokkit.studies.ledger import Context, Measurement, Verdict, rule_on
from grokkit.studies.ledger._measurement import UNMEASURED
from grokkit.studies.ledger.protocols import (
    carry_over,
    discovery,
    expansion,
    memory,
    noise,
    products,
    solutions,
    uniqueness,
    variety,
)

STRASSEN = catalog["strassen"]


def measure(module, tmp_path, name=None, **options):
    """The measurements of a module's protocol, each of which survives JSON."""
    protocol = next(each for each in module.PROTOCOLS if name in (None, each.name))
    found = protocol.measure(Context("quick", tmp_path, **options))
    for measurement in found.values():
        assert Measurement.from_json(measurement.to_json()) == measurement
        assert measurement.scale == "quick" and measurement.note.endswith(".")
    return found


def value(measurement, name):
    number = measurement.figures[name].value
    assert number is not None
    return number


def small(monkeypatch, module, **counts):
    for name, count in counts.items():
        monkeypatch.setattr(module, name, {"quick": count, "full": count})


@pytest.fixture(scope="module")
def expanded(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        small(patch, expansion, PAIRS=10)
        return measure(expansion, tmp_path_factory.mktemp("expansion"))


def test_errors_of_expansion(expanded):
    found = expanded["E01"]
    for law, most in (("uniform [0, 1]", 2e-6), ("Gaussian", 5e-6)):
        errors = [value(found, f"Strassen, {law}, {size}") for size in (2, 4, 8, 16, 32, 64)]
        assert all(x < y for x, y in itertools.pairwise(errors)) and errors[-1] < most
    # with Gaussian entries the stated bound does not hold at 64
    assert found.figures["Strassen, Gaussian, 64"].interval[0] > 2e-6
    assert rule_on("E01", found).verdict == Verdict.REPRODUCED
    assert "refuted for matrices Gaussian" in rule_on("E01", found).reason


def test_one_figure_of_the_errors_again(expanded):
    rng = np.random.default_rng(np.random.SeedSequence(expansion.SEED, spawn_key=(0, 8, 3)))
    a, b = (rng.standard_normal((8, 8)).astype(np.float32) for _ in range(2))
    error = recursive_product(STRASSEN, a, b).astype(np.float64) - a.astype(np.float64) @ b.astype(np.float64)
    low, high = expanded["E01"].figures["Strassen, Gaussian, 8"].interval
    assert low / 2 < np.linalg.norm(error) / np.linalg.norm(a.astype(float) @ b.astype(float)) < 2 * high


def test_commutation_is_algebra(expanded):
    found = expanded["E03"]
    assert found.facts["commutes exactly over the integers"] is True
    assert found.facts["the classical product does, too"] is True
    assert set(found.baselines) == {f"classical, {size}" for size in (4, 8, 16, 32, 64)}
    assert rule_on("E03", found).verdict == Verdict.TAUTOLOGICAL
    # not only correct algorithms commute: any bilinear map, used at every level, does
    assert found.facts["random coefficients do, too"] is True
    assert expansion._commutes_exactly(Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, _off(STRASSEN.W)), 0)


def _off(matrix):
    changed = matrix.copy()
    changed[0, 0] += 1
    return changed


def test_permuted_slots(expanded):
    found = expanded["E04"]
    assert value(found, "exact, coherent") == 5040
    u, v, w = STRASSEN.floats()
    target = STRASSEN.target.tensor()
    for side in "UVW":
        assert value(found, f"exact, {side} alone") == 1
    errors = []
    for order in list(itertools.permutations(range(7)))[1:]:
        wrong = np.einsum("ra,rb,cr->abc", u, v[list(order)], w) - target
        errors.append(math.sqrt((wrong**2).sum() / (target**2).sum()))
    assert value(found, "error, V alone") == pytest.approx(np.mean(errors))
    assert rule_on("E04", found).verdict == Verdict.REFUTED


def test_stated_properties_against_dense_algebra(expanded):
    found = expanded["E05"]
    shift = 0.0
    for levels in (2, 3, 4):
        for base, large in zip(STRASSEN.floats(), expand(STRASSEN, levels).floats(), strict=True):
            few, many = (np.linalg.svd(each, compute_uv=False) for each in (base, large))
            shift = max(shift, np.abs(few / few[0] - (many / many[0])[: len(few)]).max())
    assert value(found, "spectrum_in_order") == pytest.approx(shift) and shift > 0.5
    assert value(found, "spectrum_contained") < 1e-9 and value(found, "isometry") < 1e-9
    assert value(found, "norm growth") == pytest.approx(math.sqrt(12))  # 12 coefficients of ±1
    assert rule_on("E05", found).verdict == Verdict.REFUTED


def test_the_bound_holds(expanded):
    found = expanded["E08"]
    assert all(0 < value(found, name) < 1 for name in found.figures if name != "growth")
    assert rule_on("E08", found).verdict == Verdict.REFUTED


def test_uniqueness(tmp_path, monkeypatch):
    small(monkeypatch, uniqueness, RUNS=6)
    found = measure(uniqueness, tmp_path)["E06"]
    assert found.facts["base scheme unique up to bases"] is True
    assert found.facts["rival has the same spectra"] is True
    assert found.facts["block recursion is linear in the weights"] is False
    assert value(found, "classes") >= 2
    assert rule_on("E06", found).verdict == Verdict.REFUTED


def test_discovery_beside_untrained_networks(tmp_path, monkeypatch):
    small(monkeypatch, discovery, RUNS=6)
    found = measure(discovery, tmp_path, "discovery")["E09"]
    assert value(found, "rank 7 and ternary, trained") == 1
    assert value(found, "confidence, trained") > 0.99
    assert value(found, "confidence, untrained") < 0.5
    assert set(found.baselines) < set(found.figures)


def test_weight_files_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("GROKKIT_TEST_DATA", raising=False)
    found = measure_unmeasured(tmp_path)
    assert "--data or GROKKIT_TEST_DATA" in found.facts[UNMEASURED]
    (tmp_path / "checkpoints").mkdir()
    assert UNMEASURED in measure_unmeasured(tmp_path, data=tmp_path).facts
    assert rule_on("E07", found).verdict == Verdict.OPEN


def measure_unmeasured(tmp_path, **options):
    protocol = next(each for each in discovery.PROTOCOLS if each.name == "checkpoints")
    return protocol.measure(Context("quick", tmp_path, **options))["E07"]


def test_weight_files(tmp_path):
    torch = pytest.importorskip("torch")
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    factors = {name: torch.tensor(side) for name, side in zip("UVW", STRASSEN.floats(), strict=True)}
    torch.save(factors, folder / "exact.pt")
    found = measure(discovery, tmp_path, "checkpoints", data=tmp_path)["E07"]
    assert rule_on("E07", found).verdict == Verdict.REPRODUCED, rule_on("E07", found)
    turn = torch.tensor([[math.cos(0.5), math.sin(0.5)], [-math.sin(0.5), math.cos(0.5)]], dtype=torch.float64)
    moved = dict(factors)
    moved["U"] = (turn @ factors["U"].reshape(7, 2, 2)).reshape(7, 4)
    moved["W"] = (turn @ factors["W"].T.reshape(7, 2, 2)).reshape(7, 4).T
    torch.save(moved, folder / "turned.pt")
    (folder / "broken.pt").write_bytes(b"no weights")
    found = measure(discovery, tmp_path, "checkpoints", data=tmp_path)["E07"]
    assert found.facts["exact.pt"] == "exact as shipped"
    assert found.facts["turned.pt"] == "does not round to an exact algorithm; crystallizes"
    assert str(found.facts["broken.pt"]).startswith("refused: ")
    assert value(found, "exact") == pytest.approx(1 / 3)
    assert rule_on("E07", found).verdict == Verdict.REFUTED


def test_the_published_weight_files(tmp_path, test_data):
    found = measure(discovery, tmp_path, "checkpoints", data=test_data)["E07"]
    assert found.figures["exact"].n == 13
    assert value(found, "exact") == pytest.approx(4 / 13)


def test_the_variety(tmp_path, monkeypatch):
    small(monkeypatch, variety, RUNS=8, SAMPLES=60)
    found = measure(variety, tmp_path)
    assert {claim: str(rule_on(claim, each).verdict) for claim, each in found.items()} == {
        "G01": "reproduced",
        "P01": "refuted",
        "P02": "refuted",
        "P03": "undefined",
        "P04": "refuted",
    }
    assert value(found["P01"], "tangent dimension") == value(found["P01"], "smallest dimension") == 23
    assert value(found["P02"], "stabilizer") == 6
    assert found["G01"].facts["sandwiching leaves the map unchanged"] is True


def test_random_copies_are_exact_and_scales_multiply_to_one():
    rng = np.random.default_rng(0)
    for _ in range(5):
        copy = variety._random_copy(STRASSEN, rng)
        assert variety._proven(copy)
        x, y, z = variety._scales(rng)
        assert x * y * z == Fraction(1)


def test_scalings_that_keep_unit_coefficients():
    assert variety._ternary_dimension(STRASSEN) == 0
    empty = Scheme(STRASSEN.target, STRASSEN.U * 0, STRASSEN.V * 0, STRASSEN.W)
    assert variety._ternary_dimension(empty) == 7  # only u and v: each slot keeps one free scale


@pytest.mark.parametrize(
    "name", ["2x2x2:7", "2x2x3:11", "complex:3", "quaternion:8", "poly:2:3", "cyclic:3:4", "toeplitz:2:3"]
)
def test_any_scheme_expands_exactly(name):
    scheme = (
        next(catalog[each] for each in catalog if each.replace("-", ":") == name or catalog[each].target.name == name)
        if name not in catalog
        else catalog[name]
    )
    assert carry_over.expands_exactly(scheme, 0)


def test_a_wrong_scheme_does_not_expand():
    wrong = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, _off(STRASSEN.W))
    with pytest.raises(Refuted):
        carry_over.expands_exactly(wrong, 0)
    x, y = (np.arange(1, 17, dtype=object) for _ in range(2))
    right = carry_over._schoolbook(STRASSEN.target, x, y, 2)
    assert (carry_over._recursive(STRASSEN, x, y, 2) == right).all()
    assert not (carry_over._recursive(wrong, x, y, 2) == right).all()


def test_schoolbook_is_the_tensor_power():
    target = catalog["complex"].target if "complex" in catalog else STRASSEN.target
    rng = np.random.default_rng(1)
    x, y = (rng.integers(-5, 6, side**2).astype(object) for side in target.shape[:2])
    tensor = target.tensor()
    power = np.einsum("abc,ABC->aAbBcC", tensor, tensor).reshape([side**2 for side in target.shape])
    dense = np.einsum("abc,a,b->c", power, x.astype(float), y.astype(float))
    assert (carry_over._schoolbook(target, x, y, 2).astype(float) == dense).all()


def test_carry_over(tmp_path, monkeypatch):
    small(monkeypatch, carry_over, TARGETS=("poly:2", "complex"))
    monkeypatch.setattr(carry_over, "TRAINED", 4)
    found = measure(carry_over, tmp_path)["X07"]
    assert value(found, "carried over") == 1 and found.figures["carried over"].n == 3
    assert rule_on("X07", found).verdict == Verdict.REPRODUCED


def test_noise_against_the_closed_form(tmp_path, monkeypatch):
    small(monkeypatch, noise, TRIALS=400, RUNS=4)
    found = measure(noise, tmp_path)["N01"]
    for sigma in noise.SIGMAS:
        share = found.figures[f"exact weights, {sigma}"]
        expected = found.baselines[f"closed form, {sigma}"].value
        assert expected is not None and share.value is not None
        spread = math.sqrt(max(expected * (1 - expected), 1e-4) / 400)
        assert abs(share.value - expected) < 5 * spread
    assert noise.closed_form(0.15) == pytest.approx(0.945, abs=1e-3)
    assert noise.closed_form(0.2) == pytest.approx(0.439, abs=1e-3)
    assert rule_on("N01", found).verdict == Verdict.REFUTED


def test_memory(tmp_path):
    pytest.importorskip("torch")
    found = measure(memory, tmp_path)["M01"]
    assert value(found, "parameters") == 96 * 4 and value(found, "optimizer") == 2 * 96 * 4
    # operands, goal, three rows of slots, output, and gradients of the last four: at least these are made
    assert 4 * (4 + 4 + 4 + 8 + 8 + 8 + 4) <= value(found, "per sample") <= 4 * 128
    assert value(found, "counted at 128") == pytest.approx(41.125)


def test_caches(tmp_path, monkeypatch):
    for name, (kind, level, size) in {
        "index0": ("Data", "1", "32K"),
        "index1": ("Instruction", "1", "64K"),
        "index2": ("Unified", "2", "1M"),
        "index3": ("Unified", "3", "odd"),
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        for file, text in (("type", kind), ("level", level), ("size", size)):
            (folder / file).write_text(text + "\n")
    (tmp_path / "index4").mkdir()
    monkeypatch.setattr(memory, "CACHES", tmp_path)
    assert memory.cache_sizes() == {"L1": 2**15, "L2": 2**20}


def test_products(tmp_path, monkeypatch):
    small(monkeypatch, products, SIZES=(64,))
    monkeypatch.setattr(products, "SECONDS", 0.05)
    # the machine's peak is not among the figures, and takes seconds to measure
    monkeypatch.setattr(_bench_matmul, "measured_peak", lambda dtype, threads, *rest: Peak(dtype, threads, 1.0, "none"))
    found = measure(products, tmp_path)
    for claim in ("B01", "B02", "B03", "B04"):
        assert found[claim].figures["speedup at 64, one thread"].n == 15
        assert "numpy" in str(found[claim].facts["BLAS"])
        ruling = rule_on(claim, found[claim])
        assert ruling.verdict == Verdict.OPEN and "quick measurement has no figure 'speedup at" in ruling.reason


def test_six_slots(tmp_path, monkeypatch):
    small(monkeypatch, solutions, SIX_SLOT_RUNS=12)
    found = measure(solutions, tmp_path, "six-slots")["S04"]
    assert value(found, "converged, 6") == value(found, "exact, 6") == 0
    assert value(found, "converged, 7") > 0.5
    assert value(found, "smallest loss, 6") > 0.1
    assert rule_on("S04", found).verdict == Verdict.OPEN  # 12 networks are too few to say that none can


def test_solutions_by_batch_size(tmp_path, monkeypatch):
    small(monkeypatch, solutions, BATCH_RUNS=5)
    found = measure(solutions, tmp_path, "solutions")["A09"]
    assert value(found, "classes") == 1
    assert found.facts["one class at every batch size"] is True
    assert found.facts["one dimension at every batch size"] is True


def test_convergence(tmp_path, monkeypatch):
    small(monkeypatch, solutions, CONVERGENCE_RUNS=6)
    monkeypatch.setattr(solutions, "EPOCHS", 150)
    found = measure(solutions, tmp_path, "convergence")["S17"]
    assert value(found, "crystallizes, AdamW") == 1
    assert rule_on("S17", found).verdict == Verdict.REFUTED


def test_a_population_without_a_solution_is_told(monkeypatch):
    from grokkit.studies.ledger.protocols._networks import networks

    with pytest.raises(InvalidInput, match="no network of this population converged"):
        _ = networks("default", 2, 0, steps=1, retrain_steps=1).scheme


def test_other_seeds_give_other_runs(tmp_path, monkeypatch):
    small(monkeypatch, uniqueness, RUNS=3)
    first, again, other = (measure(uniqueness, tmp_path, seed=seed)["E06"] for seed in (0, 0, 1))
    assert first == again
    assert other.seeds != first.seeds
