import math

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import grokkit as gk
from grokkit.scheme import InvalidInput, Scheme, equivalent, expand, sandwiched
from grokkit.scheme.catalog import catalog, standard
from grokkit.studies import (
    NoExpansion,
    discover_expansion_operator,
    expansion_properties,
    expansion_table,
    invariant_subspace_dim,
    permutation_test,
)

STRASSEN = catalog["strassen"]


def trained_weights(sigma=1e-4, seed=0):
    """Strassen's algorithm in a skew basis, slightly off, as training leaves it."""
    moved = sandwiched(STRASSEN, [[2, 1], [1, 1]], [[1, 1], [0, 2]], [[1, 0], [3, 1]])
    rng = np.random.default_rng(seed)
    return {k: f + sigma * rng.standard_normal(f.shape) for k, f in zip("UVW", moved.floats(), strict=True)}


def test_discovery_from_a_mapping():
    operator, metrics = discover_expansion_operator(trained_weights())
    assert metrics["rank"] == 7
    assert metrics["discrete_values"] == [-1, 0, 1]
    assert metrics["ternary"] and not metrics["shipped_exact"]
    assert metrics["symmetry"]["stabilizer_order"] == 6
    assert metrics["invariant_subspace_dim"] == 7
    assert 0.999 < metrics["confidence"] <= 1
    assert metrics["gauge_used"]["gauge"] == "frame"
    assert metrics["certificate"]["digest"] == metrics["digest"] == operator.scheme.digest
    assert metrics["format"] == [2, 2, 2]
    assert 0 < metrics["mse_before"] < 1e-3
    for name in "UVW":
        assert len(metrics["spectrum_before"][name]) == len(metrics["spectrum_after"][name]) == 4
    assert equivalent(operator.scheme, STRASSEN)


def test_the_operator_multiplies_and_expands():
    operator, _ = gk.discover_expansion_operator(trained_weights())
    a, b = np.arange(91).reshape(7, 13) - 40, np.arange(65).reshape(13, 5) - 30
    for levels in (0, 1, 2, None):
        assert (operator(a, b, levels) == a @ b).all()
    assert operator.expand(3) == expand(operator.scheme, 3)
    assert gk.verify(operator.expand(2)).rank == 49


def test_it_uses_the_discovered_factors_at_every_level(monkeypatch):
    """With another scheme's coefficients the result would differ in its rounding."""
    operator, _ = discover_expansion_operator(trained_weights())
    from grokkit.execution import recursive_product

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((16, 16)), rng.standard_normal((16, 16))
    assert (operator(a, b) == recursive_product(operator.scheme, a, b)).all()
    assert (operator(a, b) != recursive_product(catalog["winograd"], a, b)).any()


def test_exact_weights_are_recognized_as_they_are():
    operator, metrics = discover_expansion_operator(dict(zip("UVW", STRASSEN.floats(), strict=True)))
    assert operator.scheme == STRASSEN
    assert metrics["shipped_exact"]
    assert metrics["confidence"] == 1
    assert metrics["products_explain"] == pytest.approx(1)
    assert metrics["mse_before"] == 0


def test_weights_that_learned_nothing_have_no_confidence():
    rng = np.random.default_rng(0)
    weights = {
        "U": 1e-4 * rng.standard_normal((7, 4)),
        "V": 1e-4 * rng.standard_normal((7, 4)),
        "W": rng.standard_normal((4, 7)),
    }
    _, metrics = discover_expansion_operator(weights)
    assert metrics["confidence"] < 1e-4
    assert metrics["mse_before"] == pytest.approx(2, rel=1e-3)  # what predicting zero gives
    assert metrics["polish_moved"] > 0.5
    assert metrics["products_explain"] < 0.75  # seven random directions of sixteen: 0.44 on average


@pytest.mark.parametrize("kind", ["pt", "npz", "safetensors"])
def test_discovery_from_files(tmp_path, kind):
    path, weights = tmp_path / f"w.{kind}", trained_weights()
    if kind == "pt":
        torch.save({k: torch.from_numpy(v) for k, v in weights.items()}, path)
    elif kind == "npz":
        np.savez(path, **weights)
    else:
        save_file(weights, path)
    operator, metrics = discover_expansion_operator(path)
    assert metrics["rank"] == operator.scheme.rank == 7
    assert discover_expansion_operator(str(path))[0].scheme == operator.scheme


def test_tensors_with_gradients_are_taken():
    weights = {k: torch.nn.Parameter(torch.from_numpy(v)) for k, v in trained_weights().items()}
    assert discover_expansion_operator(weights)[1]["rank"] == 7


def test_weights_that_hold_no_algorithm():
    rng = np.random.default_rng(0)
    with pytest.raises(NoExpansion, match="do not crystallize: polish: not converged") as caught:
        discover_expansion_operator(
            {k: rng.standard_normal(s) for k, s in zip("UVW", ((6, 4), (6, 4), (4, 6)), strict=True)}
        )
    assert caught.value.metrics["slots"] == 6
    assert 0 <= caught.value.metrics["confidence"] <= 1
    assert "rank" not in caught.value.metrics


def test_other_formats():
    scheme = standard(1, 2, 3)
    operator, metrics = discover_expansion_operator(dict(zip("UVW", scheme.floats(), strict=True)))
    assert metrics["format"] == [1, 2, 3]
    assert operator.scheme == scheme
    assert metrics["symmetry"]["stabilizer_order"] is None
    assert "free" in metrics["symmetry"]["reason"]


def test_properties_of_expansion():
    for levels in (2, 3):
        properties = expansion_properties(STRASSEN, levels)
        for name, factor in zip("UVW", STRASSEN.floats(), strict=True):
            values = np.linalg.svd(factor, compute_uv=False)
            row = properties[name]
            assert row["spectrum_contained"] < 1e-12
            assert row["isometry"] < 1e-12
            assert row["norm_ratio"] == pytest.approx(1)
            assert row["scale_ratio"] == pytest.approx((values[0] / values[-1]) ** (levels - 1))
    # the order is not preserved: σ₁σ₂ occurs twice before σ₁σ₃
    assert expansion_properties(STRASSEN)["U"]["spectrum_in_order"] > 0.1


def test_the_invariant_subspace_is_invariant():
    moved = sandwiched(STRASSEN, [[2, 1], [1, 1]], [[1, 1], [0, 2]], [[1, 0], [3, 1]])
    assert invariant_subspace_dim(moved) == invariant_subspace_dim(STRASSEN) == 7
    doubled = Scheme(
        STRASSEN.target,
        np.concatenate([STRASSEN.U, STRASSEN.U[:1]]),
        np.concatenate([STRASSEN.V, STRASSEN.V[:1]]),
        np.concatenate([STRASSEN.W, STRASSEN.W[:, :1]], axis=1),
    )
    assert invariant_subspace_dim(doubled) == 7


def test_expansion_table():
    rows = expansion_table(STRASSEN, (2, 3, 8), pairs=5, seed=1)
    assert [row.size for row in rows] == [2, 3, 8]
    assert [row.levels for row in rows] == [1, 2, 3]
    assert rows[0].stated_relative == 1.21e-7 and rows[1].stated_relative is None
    assert rows[0].commutation is None and rows[2].commutation.value < 1e-5
    for row in rows:
        assert 0 < row.relative.value < 1e-5
        assert row.largest.high <= row.bound.low
        assert row.classical_relative.value <= row.relative.value
        assert row.pairs == row.relative.n == 5
        assert row.to_json()["relative"]["n"] == 5
    again = expansion_table(STRASSEN, (8,), pairs=5, seed=1)
    assert again[0] == rows[2]
    wide = expansion_table(STRASSEN, (8,), dtype=np.float64, pairs=5)
    assert wide[0].relative.value < 1e-14
    rectangular = expansion_table(standard(1, 2, 3), (4,), pairs=3)
    assert rectangular[0].levels == 2
    assert rectangular[0].stated_largest is None


def test_a_wrong_scheme_shows_in_the_table():
    wrong = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, -STRASSEN.W)
    assert expansion_table(wrong, (2,), pairs=3)[0].relative.value == pytest.approx(2, rel=1e-5)


@pytest.mark.parametrize(("sizes", "options"), [((0,), {}), ((4,), {"pairs": 0})])
def test_bad_tables(sizes, options):
    with pytest.raises(InvalidInput):
        expansion_table(STRASSEN, sizes, **options)


def test_slot_order_is_not_part_of_the_algorithm():
    """Together, all 5040 permutations are exact; on U alone, only the identity is."""
    result = permutation_test(STRASSEN)
    assert result.permutations == math.factorial(7)
    assert result.coherent_exact == 5040
    assert result.one_sided_exact == 1
    # sampled check of the closed form for one permutation
    order = [1, 0, 2, 3, 4, 5, 6]
    moved = Scheme(STRASSEN.target, STRASSEN.U[order], STRASSEN.V, STRASSEN.W)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((20000, 4)), rng.standard_normal((20000, 4))
    u, v, w = moved.floats()
    error = ((a @ u.T) * (b @ v.T)) @ w.T - (a.reshape(-1, 2, 2) @ b.reshape(-1, 2, 2)).reshape(-1, 4)
    tensor = np.einsum("ra,rb,cr->abc", u, v, w) - STRASSEN.target.tensor()
    assert (error**2).sum(1).mean() == pytest.approx((tensor**2).sum(), rel=0.1)
    assert 2.0 < result.one_sided_error < 2.4
    with pytest.raises(InvalidInput, match="too many"):
        permutation_test(standard(3, 3, 1))


def test_the_published_checkpoints(test_data):
    """13 files: 4 are textbook coefficients, the others become exact."""
    shipped, crystallized = [], []
    for path in sorted((test_data / "checkpoints").glob("*.pt")):
        operator, metrics = discover_expansion_operator(path)
        (shipped if metrics["shipped_exact"] else crystallized).append(path.stem)
        assert metrics["rank"] == 7
        assert equivalent(operator.scheme, STRASSEN)
    assert shipped == [
        "strassen_discrete_final",
        "strassen_exact",
        "strassen_grokked_weights",
        "training_weights",
    ]
    assert len(crystallized) == 9
