"""Noise scale, diffusion and variation: exact expectations over all outcomes, closed forms, coverage."""

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch

from grokkit.dynamics import (
    Estimate,
    Loss,
    Undefined,
    gradient_noise_scale,
    gradient_variation,
    noise_scale_by_two_sizes,
    noise_scale_of,
    noise_scale_of_two_sizes,
    normalized_diffusion,
)
from grokkit.dynamics._noise import _leave_one_out
from grokkit.dynamics._values import jackknife, ratio
from grokkit.scheme import InvalidInput

ATOMS = torch.tensor([[1.0, 2.0], [-0.5, 0.3], [0.2, -1.0]], dtype=torch.float64)
"""Gradients that are equally likely: everything about their law is known."""
MEAN = ATOMS.mean(dim=0)
SQUARE = float(MEAN @ MEAN)
TRACE = float(((ATOMS - MEAN) ** 2).sum(dim=1).mean())


def test_both_parts_are_unbiased_exactly():
    scales = [noise_scale_of(ATOMS[list(rows)]) for rows in product(range(3), repeat=4)]
    assert np.mean([scale.trace.value for scale in scales]) == pytest.approx(TRACE)
    assert np.mean([scale.squared_gradient.value for scale in scales]) == pytest.approx(SQUARE)


def test_two_sizes_are_unbiased_exactly():
    def squared(rows):
        return float((ATOMS[list(rows)].mean(dim=0) ** 2).sum())

    outcomes = list(product(range(3), repeat=4))
    small = [(squared(rows[:2]) + squared(rows[2:])) / 2 for rows in outcomes]
    scale = noise_scale_of_two_sizes(small, [squared(rows) for rows in outcomes], 2, 4)
    assert scale.trace.value == pytest.approx(TRACE)
    assert scale.squared_gradient.value == pytest.approx(SQUARE)
    assert isinstance(scale.value, Estimate) and scale.value.value == pytest.approx(TRACE / SQUARE)


def test_leaving_one_out_in_closed_form():
    gradients = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    traces, squares = _leave_one_out(gradients)
    for i in range(6):
        rest = torch.cat([gradients[:i], gradients[i + 1 :]]).numpy()
        trace = rest.var(axis=0, ddof=1).sum()
        assert traces[i + 1] == pytest.approx(trace)
        assert squares[i + 1] == pytest.approx((rest.mean(axis=0) ** 2).sum() - trace / 5)


def test_the_jackknife_of_a_mean_is_its_variance():
    x = np.random.default_rng(0).standard_normal((12, 2))
    left_out = (x.sum(axis=0) - x) / 11
    assert np.allclose(jackknife(left_out), np.cov(x, rowvar=False) / 12)


def test_linear_regression_in_closed_form(regression):
    scale = gradient_noise_scale(regression.loss, regression.batch)
    trace = regression.trace * regression.n / (regression.n - 1)
    assert scale.trace.value == pytest.approx(trace)
    assert scale.squared_gradient.value == pytest.approx(regression.square - trace / regression.n)


def test_intervals_cover_the_truth():
    """Of 400 intervals at 95 %, with 200 samples each; the normal theory behind them is asymptotic."""
    rng, covered = np.random.default_rng(3), {"value": 0, "trace": 0, "squared_gradient": 0}
    truth = {"value": TRACE / SQUARE, "trace": TRACE, "squared_gradient": SQUARE}
    for _ in range(400):
        scale = noise_scale_of(ATOMS[rng.integers(0, 3, 200)])
        for name, value in truth.items():
            found = getattr(scale, name)
            assert isinstance(found, Undefined) == (name == "value" and scale.squared_gradient.value <= 0)
            covered[name] += isinstance(found, Undefined) or found.low <= value <= found.high
    assert all(0.90 <= count / 400 <= 0.99 for count in covered.values()), covered


def test_fiellers_interval_is_where_the_difference_is_not_significant():
    covariance, n = np.array([[0.04, 0.01], [0.01, 0.02]]), 10
    quantile = 2.2621571628
    for below in (1.0, 0.2):  # the second does not differ from zero
        found = ratio(0.9, below, covariance, n, "it")
        assert isinstance(found, Estimate)
        for r in np.linspace(0, 20, 400):
            error = math.sqrt(covariance[0, 0] - 2 * r * covariance[0, 1] + r * r * covariance[1, 1])
            inside = abs(0.9 - r * below) <= quantile * error
            assert inside == (found.low <= r <= found.high)
        assert math.isinf(found.high) == (below == 0.2)
    assert isinstance(ratio(0.9, -0.1, covariance, n, "it"), Undefined)
    everything = ratio(0.1, 0.1, covariance, n, "it")
    assert isinstance(everything, Estimate) and (everything.low, everything.high) == (0.0, math.inf)


def test_a_stationary_point_has_no_noise_scale(strassen):
    scale = gradient_noise_scale(strassen.loss, strassen.batch)
    assert isinstance(scale.value, Undefined) and scale.trace.value == 0
    symmetric = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    assert isinstance(noise_scale_of(symmetric).value, Undefined)


def test_two_sizes_of_a_loss(regression):
    rng = torch.Generator().manual_seed(0)
    batches = []
    for _ in range(300):
        rows = torch.randint(0, regression.n, (8,), generator=rng)
        batches.append((regression.batch[0][rows], regression.batch[1][rows]))
    scale = noise_scale_by_two_sizes(regression.loss, batches, 2)
    assert scale.trace.low <= regression.trace <= scale.trace.high
    assert scale.squared_gradient.low <= regression.square <= scale.squared_gradient.high
    for wrong, small in ((batches[:1], 2), (batches, 3), (batches, 8)):
        with pytest.raises(InvalidInput):
            noise_scale_by_two_sizes(regression.loss, wrong, small)


@pytest.mark.parametrize("call", [
    lambda: noise_scale_of_two_sizes([1.0], [1.0], 1, 2),
    lambda: noise_scale_of_two_sizes([1.0, 2.0], [1.0], 1, 2),
    lambda: noise_scale_of_two_sizes([1.0, 2.0], [1.0, 1.0], 2, 2),
    lambda: noise_scale_of(ATOMS[:2]),
])  # fmt: skip
def test_what_two_sizes_refuse(call):
    with pytest.raises(InvalidInput):
        call()


def test_diffusion_is_the_covariance_over_all_batches():
    """Of two different samples out of five: every batch once, exactly."""
    x = torch.tensor([0.3, -1.0, 2.0, 0.7, 0.1], dtype=torch.float64)
    loss = Loss(lambda p, x: (p["w"] * torch.stack([x, x * x])).sum(), {"w": torch.ones(2, dtype=torch.float64)})
    gradients = torch.stack([x, x * x], dim=1).numpy()
    means = np.array([gradients[list(rows)].mean(axis=0) for rows in combinations(range(5), 2)])
    found = normalized_diffusion(loss, x, learning_rate=0.1, batch_size=2, dataset=5)
    sigma = means.var(axis=0).sum() / 2
    assert found.sigma_squared.value == pytest.approx(sigma)
    assert found.gamma.value == pytest.approx(0.1 / 2 * sigma)
    assert normalized_diffusion(loss, x, learning_rate=0.1, batch_size=5, dataset=5).gamma.value == 0
    apart = normalized_diffusion(loss, x, learning_rate=0.1, batch_size=2)
    assert apart.per_sample.value == pytest.approx(2 * apart.gamma.value)
    assert apart.per_sample.value == pytest.approx(0.1 / 2 * gradients.var(axis=0, ddof=1).sum() / 2)
    for options in ({"learning_rate": 0.0, "batch_size": 2}, {"learning_rate": 0.1, "batch_size": 6, "dataset": 5}):
        with pytest.raises(InvalidInput):
            normalized_diffusion(loss, x, **options)


def test_the_diffusion_of_a_zero_gradient_is_zero(strassen):
    found = normalized_diffusion(strassen.loss, strassen.batch, learning_rate=1e-3, batch_size=8)
    assert (found.gamma.value, found.gamma.low, found.gamma.high) == (0, 0, 0)


def cloud(gradients):
    """A loss whose samples have these gradients."""
    loss = Loss(lambda p, g: (p["w"] * g).sum(), {"w": torch.zeros(gradients.shape[1], dtype=gradients.dtype)})
    return loss, gradients


def test_variation_of_batches_of_one_is_that_of_the_norms():
    found = gradient_variation(*cloud(ATOMS), [1], draws=4000).coefficients[0]
    norms = ATOMS.norm(dim=1).numpy()
    truth = norms.std() / norms.mean()
    assert isinstance(found, Estimate) and abs(found.value - truth) < 4 * found.standard_error
    assert isinstance(gradient_variation(*cloud(ATOMS), [1, 2]).exponent, Undefined)


def test_the_standard_error_of_a_coefficient_is_that_of_repetitions():
    found = [
        gradient_variation(*cloud(ATOMS), [2], draws=200, generator=np.random.default_rng(seed)).coefficients[0]
        for seed in range(200)
    ]
    values = np.array([estimate.value for estimate in found])
    assert np.mean([estimate.standard_error for estimate in found]) == pytest.approx(values.std(), rel=0.15)


def test_the_exponent_tells_signal_from_noise():
    sizes = [16, 32, 64, 128, 256]
    noise = torch.randn(500, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise -= noise.mean(dim=0)
    signal = gradient_variation(*cloud(noise + 5), sizes, draws=2000).exponent
    assert isinstance(signal, Estimate) and signal.low <= -0.5 <= signal.high and signal.standard_error < 0.05
    still = gradient_variation(*cloud(noise), sizes, draws=2000).exponent
    assert isinstance(still, Estimate) and still.low <= 0 <= still.high and still.standard_error < 0.05


def test_the_variation_of_zero_and_of_equal_gradients_is_undefined(strassen):
    found = gradient_variation(strassen.loss, strassen.batch, [1, 2, 4])
    assert isinstance(found.exponent, Undefined) and "every gradient is zero" in found.exponent.reason
    equal = gradient_variation(*cloud(torch.ones(6, 2)), [1, 2, 4])
    assert [float(one) for one in equal.coefficients] == [0, 0, 0]
    assert isinstance(equal.exponent, Undefined) and "do not vary" in equal.exponent.reason
    for options in ({"batch_sizes": []}, {"batch_sizes": [2, 2]}, {"batch_sizes": [2], "draws": 2}):
        with pytest.raises(InvalidInput):
            gradient_variation(strassen.loss, strassen.batch, **options)


def test_a_population_is_a_loop_over_its_runs(population):
    losses, batch = population.losses, population.batch
    scales = gradient_noise_scale(losses, batch)
    diffusions = normalized_diffusion(losses, batch, learning_rate=0.1, batch_size=3)
    variations = gradient_variation(losses, batch, [1, 2, 4])
    for run, loss in enumerate(losses):
        own = losses.batch_of(batch, run)
        assert scales[run].trace.value == pytest.approx(gradient_noise_scale(loss, own).trace.value)
        alone = normalized_diffusion(loss, own, learning_rate=0.1, batch_size=3)
        assert diffusions[run].gamma.value == pytest.approx(alone.gamma.value)
        assert diffusions[run].gamma.low == pytest.approx(alone.gamma.low)
        assert float(variations[run].exponent) == pytest.approx(
            float(gradient_variation(loss, own, [1, 2, 4]).exponent)
        )
