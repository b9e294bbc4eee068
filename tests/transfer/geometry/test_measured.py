"""The law of gradient variation, drift of spectra, gaps: against closed forms and slow oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokkit import dynamics as gd
from grokkit.scheme import InvalidInput
from grokkit.transfer.geometry import (
    FisherCallback,
    LeastSquaresGap,
    gap_exponent,
    published_bound,
    spectrum_drift,
    variation_law,
)
from grokkit.transfer.geometry.figures import spectrum_drift_figure, variation_figure

torch.set_num_threads(1)
SIZES = (16, 64, 256, 1024)


def shifted(mean, d=20, samples=2000, seed=0):
    """Samples whose gradients are isotropic Gaussian of unit variance, and a mean along the first axis."""
    x = torch.tensor(np.random.default_rng(seed).standard_normal((samples, d)))
    x = x - x.mean(dim=0)
    x[:, 0] -= mean
    return gd.Loss(lambda p, x: 0.5 * ((p["w"] - x) ** 2).sum(), {"w": torch.zeros(d, dtype=torch.float64)}), x


@pytest.mark.parametrize("seed", range(3))
def test_where_the_mean_dominates_variation_is_signal_over_root_b(seed):
    law = variation_law(*shifted(20.0, seed=seed), SIZES, draws=1000)
    assert law.signal == pytest.approx(1 / 20, rel=0.1)
    assert law.crossover == pytest.approx(20 / 400, rel=0.1)
    for size, found in zip(SIZES, law.measured.coefficients, strict=True):
        assert abs(found.value - law.predicted(size)) < 5 * found.standard_error
    assert abs(law.beyond().value + 0.5) < 5 * law.beyond().standard_error


@pytest.mark.parametrize("seed", range(3))
def test_where_noise_dominates_variation_is_the_floor_at_any_size(seed):
    law = variation_law(*shifted(1e-3, seed=seed), SIZES, draws=1000)
    assert law.floor == pytest.approx(1 / math.sqrt(40), rel=0.05)
    assert all(law.predicted(size) == law.floor for size in SIZES)
    for found in law.measured.coefficients:
        assert found.value == pytest.approx(law.floor, rel=0.15)
    assert isinstance(law.beyond(), gd.Undefined)


def test_limits_are_the_dense_formulas():
    loss, x = shifted(2.0, d=3, samples=40)
    law = variation_law(loss, x, SIZES, draws=20)
    gradients = -x.numpy()
    mean, sigma = gradients.mean(axis=0), np.cov(gradients.T, bias=True)
    assert law.signal == pytest.approx(math.sqrt(mean @ sigma @ mean) / (mean @ mean))
    assert law.floor == pytest.approx(1 / math.sqrt(2 * np.trace(sigma) ** 2 / np.trace(sigma @ sigma)))
    assert law.crossover == pytest.approx(np.trace(sigma) / (mean @ mean))


def test_at_an_exact_solution_nothing_varies():
    loss = gd.Loss(lambda p, x: 0.5 * (p["w"] * x) ** 2, {"w": torch.zeros(1, dtype=torch.float64)[0]})
    law = variation_law(loss, torch.ones(8, dtype=torch.float64), SIZES, draws=10)
    assert isinstance(law.signal, gd.Undefined) and isinstance(law.floor, gd.Undefined)
    assert all(isinstance(found, gd.Undefined) for found in law.measured.coefficients)
    assert isinstance(law.predicted(16), gd.Undefined)


SPECTRA = st.lists(st.lists(st.floats(0, 10), min_size=3, max_size=3), min_size=2, max_size=5)


@given(SPECTRA, st.floats(0.1, 10), st.permutations(range(3)))
def test_drift_ignores_scale_and_order_and_lies_between_zero_and_one(rows, scale, order):
    spectra = np.round(np.array(rows), 3)
    epochs = np.arange(len(rows))
    found = spectrum_drift(epochs, spectra)
    assert ((found.relative >= 0) & (found.relative <= 1 + 1e-12)).all()
    assert np.allclose(spectrum_drift(epochs, scale * spectra[:, order]).relative, found.relative)
    assert not spectrum_drift(epochs, np.ones((len(rows), 3))).relative.any()


def test_drift_per_epoch_by_hand():
    found = spectrum_drift(np.array([0.0, 2.0, 12.0]), np.array([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0]]))
    assert found.relative.tolist() == [0, 0.1] and found.epochs.tolist() == [1, 7]
    assert found.between(0, 2) == 0 and found.between(0, 10) == 0.05
    with pytest.raises(InvalidInput, match="no interval"):
        found.between(20, 30)
    for epochs, spectra in (([0.0], [[1.0]]), ([1.0, 0.0], [[1.0], [1.0]]), ([0.0, 1.0], [[1.0], [math.nan]])):
        with pytest.raises(InvalidInput):
            spectrum_drift(np.array(epochs), np.array(spectra))


@pytest.mark.parametrize("likelihood", [None, "categorical"])
def test_callback_records_the_spectrum_and_moves_nothing(likelihood):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2).double()
    loss = gd.from_module(model, torch.nn.functional.cross_entropy)
    batch = (torch.randn(6, 3).double(), torch.randint(0, 2, (6,)))
    callback = FisherCallback(every=2, likelihood=likelihood)
    expected = []
    for epoch in range(5):
        before = loss.vector()
        callback.record(epoch, loss, batch)
        assert torch.equal(before, loss.vector())
        if epoch % 2 == 0:
            dense = gd.fisher(loss, batch, likelihood=likelihood).dense()
            expected.append(torch.linalg.eigvalsh(dense).flip(0).numpy())
        with torch.no_grad():
            model.weight *= 1.5
    assert callback.epochs == [0, 2, 4]
    for found, full in zip(callback.spectra, expected, strict=True):
        assert np.allclose(found, full[: len(found)], atol=1e-12) and np.allclose(full[len(found) :], 0, atol=1e-12)
    assert callback.drift().trace == pytest.approx([each.sum() for each in expected])
    with pytest.raises(InvalidInput, match="forward"):
        callback.record(2, loss, batch)
    with pytest.raises(InvalidInput):
        FisherCallback(every=0)


@pytest.mark.parametrize(("n", "p"), [(60, 5), (60, 30)])
def test_least_squares_gap_is_its_closed_form(n, p):
    exact = LeastSquaresGap(n, p, 0.7)
    generator = np.random.default_rng(p)
    draws = np.array([exact.draw(generator, 500) for _ in range(300)])
    assert abs(draws.mean() - exact.value) < 4 * draws.std() / math.sqrt(len(draws))


def test_the_gap_grows_with_p_where_the_published_bound_falls():
    sizes = (4, 8, 16, 32)
    generator = np.random.default_rng(0)
    gaps = np.array([[LeastSquaresGap(2000, p).draw(generator) for _ in range(30)] for p in sizes])
    exponent = gap_exponent(sizes, gaps)
    assert isinstance(exponent, gd.Estimate) and exponent.value > 0.3
    exact = gap_exponent(sizes, np.array([[LeastSquaresGap(2000, p).value] for p in sizes]))
    assert exact.value == pytest.approx(1, abs=0.02)
    assert published_bound(1821) == pytest.approx(0.00014, rel=0.01)
    assert LeastSquaresGap(10, 3, 0.0).value == 0 < published_bound(3)  # no noise, no gap: the bound fails


def test_exponents_that_do_not_exist():
    assert isinstance(gap_exponent([1, 2, 4], np.array([[1.0], [0.0], [1.0]])), gd.Undefined)
    power = gap_exponent([1, 4, 16], np.array([[8.0], [4.0], [2.0]]))
    assert power.value == pytest.approx(-0.5)
    for sizes, gaps in (([1, 2], np.ones((2, 1))), ([1, 2, 3], np.ones((2, 1))), ([1, 2, 3], np.full((3, 1), np.nan))):
        with pytest.raises(InvalidInput):
            gap_exponent(sizes, gaps)
    with pytest.raises(InvalidInput):
        LeastSquaresGap(5, 4)
    with pytest.raises(InvalidInput):
        published_bound(0)


def test_figures_are_drawn():
    values = 2.0 * np.array([1, 4, 16.0]) ** -0.5 * np.ones((3, 1))
    made = variation_figure((1, 4, 16), {"some": values})
    assert any("-0.50" in text.get_text() for text in made.axes[0].get_legend().get_texts())
    with pytest.raises(InvalidInput):
        variation_figure((1, 4), {"some": values})
    run = {
        "down": 50,
        "curves": [[0, 50], [1, 1], [1, 0.1]],
        "epochs": [10, 30],
        "relative": [0.1, 0.2],
        "trace": [1, 2, 1],
    }
    assert len(spectrum_drift_figure([run, {"down": None}]).axes) == 3
    with pytest.raises(InvalidInput):
        spectrum_drift_figure([{"down": None}])
