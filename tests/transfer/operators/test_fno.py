"""The learned operators: their layers by definition, determinism, the laws that no training can break."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.transfer.operators import (
    Grid,
    Multiplier,
    NeuralOperator,
    OperatorConfig,
    RingConvolution,
    SpectralConvolution,
    TrainingSettings,
    embed,
    random_coefficients,
    synthesize,
    train_operator,
)

DOUBLE = torch.float64
SEEDS = st.integers(0, 2**32 - 1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(SEEDS, st.integers(1, 5), st.integers(0, 9))
def test_the_spectral_layer_is_a_multiplier(seed, modes, more):
    layer = SpectralConvolution(2, 3, modes, 1, generator(seed), DOUBLE)
    half = layer.weight.detach().numpy().transpose(1, 0, 2)
    half[..., 0] = half[..., 0].real  # all that acts on the mean of a real field
    symbol = np.concatenate([half[..., :0:-1].conj(), half], axis=-1)
    grid = Grid(2 * modes + 1 + more)
    field = np.random.default_rng(seed).standard_normal((4, 2, grid.nodes))
    result = layer(torch.tensor(field)).detach().numpy()
    np.testing.assert_allclose(result, Multiplier(symbol)(field, grid), atol=1e-10)


def test_the_spectral_layer_on_two_axes_by_definition():
    modes, nodes = 2, (7, 6)
    layer = SpectralConvolution(1, 1, modes, 2, generator(), DOUBLE)
    weight = layer.weight.detach().numpy()[0, 0]
    field = np.random.default_rng(0).standard_normal(nodes)
    i, j = np.arange(nodes[0])[:, None], np.arange(nodes[1])
    result = np.zeros(nodes)
    for k in range(-modes, modes + 1):
        for m in range(modes + 1):
            wave = np.exp(2j * np.pi * (k * i / nodes[0] + m * j / nodes[1]))
            coefficient = (field * wave.conj()).mean() * weight[modes + k, m]
            result += (1 if m == 0 else 2) * np.real(coefficient * wave)
    found = layer(torch.tensor(field)[None, None]).detach().numpy()[0, 0]
    # the column m = 0 holds both signs of k; a real field takes the Hermitian part of its weights
    np.testing.assert_allclose(found, result, atol=1e-12)


@pytest.mark.parametrize("axes", [1, 2])
def test_the_spectral_layer_does_not_know_the_grid(axes):
    layer = SpectralConvolution(1, 1, 3, axes, generator(), DOUBLE)
    coarse, fine = Grid(8), Grid(20)

    def refine(field):
        for axis in range(-axes, 0):
            field = embed(field, coarse, fine, axis)
        return field

    field = np.random.default_rng(0).standard_normal((2, 1, *[8] * axes))
    result = layer(torch.tensor(refine(field))).detach().numpy()
    np.testing.assert_allclose(result, refine(layer(torch.tensor(field)).detach().numpy()), atol=1e-12)


@given(SEEDS, st.integers(1, 2), st.integers(1, 3))
def test_messages_by_definition_and_over_kept_distances(seed, reach, hop):
    layer = RingConvolution(2, 3, reach, 1, generator(seed), DOUBLE)
    weight = layer.weight.detach().numpy()
    nodes = 2 * reach * hop + 1 + seed % 5
    field = np.random.default_rng(seed).standard_normal((2, 2, nodes))
    result = sum(
        np.einsum("oi,bin->bon", weight[..., reach + step], np.roll(field, -step * hop, axis=-1))
        for step in range(-reach, reach + 1)
    )
    np.testing.assert_allclose(layer(torch.tensor(field), hop).detach().numpy(), result, atol=1e-12)


@pytest.mark.parametrize("axes", [1, 2])
def test_kept_distances_are_the_coarse_network_on_every_coset(axes):
    module = NeuralOperator(OperatorConfig(kind="ring", modes=1, width=4, axes=axes, double=True), seed=0)
    field = torch.randn(1, 1, *[12] * axes, dtype=DOUBLE, generator=generator())
    fine = module(field, hop=3)
    every = (..., *[slice(1, None, 3)] * axes)
    torch.testing.assert_close(fine[every], module(field[every]), rtol=0, atol=1e-12)


@settings(max_examples=10)
@given(st.sampled_from(["spectral", "ring"]), st.integers(0, 9), st.integers(1, 2))
def test_a_network_commutes_with_translation(kind, shift, axes):
    module = NeuralOperator(OperatorConfig(kind=kind, modes=2, width=4, axes=axes, double=True), seed=1)
    field = torch.randn(2, 1, *[9] * axes, dtype=DOUBLE, generator=generator(1))
    moved = module(torch.roll(field, shift, dims=-1))
    torch.testing.assert_close(moved, torch.roll(module(field), shift, dims=-1), rtol=0, atol=1e-12)


def pairs(seed, nodes, count=64):
    k = np.arange(-3, 4)
    coefficients = random_coefficients((count, 1), 3, np.random.default_rng(seed))
    return synthesize(coefficients, nodes).real, synthesize(coefficients * np.exp(-0.4j * k), nodes).real


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("kind", ["spectral", "ring"])
def test_the_same_seed_gives_the_same_weights(kind, double):
    config = OperatorConfig(kind=kind, modes=3, width=4, double=double)
    settings = TrainingSettings(steps=30, batch=16)
    first, again, other = (train_operator(config, *pairs(0, 9), seed=seed, settings=settings) for seed in (5, 5, 6))
    x = pairs(1, 9)[0]
    np.testing.assert_array_equal(first(x), again(x))
    np.testing.assert_array_equal(first.losses, again.losses)
    assert np.abs(first(x) - other(x)).max() > 1e-3
    assert first.losses[-5:].mean() < first.losses[:5].mean()
    assert first.module.lift.weight.dtype is (torch.float64 if double else torch.float32)
    told = json.loads(json.dumps(first.to_json()))
    assert told["seed"] == 5 and told["nodes"] == 9 and told["config"]["kind"] == kind
    counted = sum(torch.view_as_real(p).numel() if p.is_complex() else p.numel() for p in first.module.parameters())
    assert first.parameters == told["parameters"] == counted


def test_it_is_the_layer_of_the_reference_implementation():
    """neuraloperator's spectral convolution with our weights: both keep the modes centred, in the forward scale.

    Two axes on even grids alone: neuraloperator 2.0.0 undoes its fftshift with a second fftshift, which on an odd axis
    moves every mode by one. `test_the_spectral_layer_on_two_axes_by_definition` has odd grids.
    """
    layers = pytest.importorskip("neuralop.layers.spectral_convolution")
    for axes, modes in ((1, 4), (2, 3)):
        ours = SpectralConvolution(2, 3, modes, axes, generator(), torch.float32)
        theirs = layers.SpectralConv(2, 3, tuple([2 * modes + 1] * axes), bias=False)
        with torch.no_grad():
            held = theirs.weight.to_tensor() if hasattr(theirs.weight, "to_tensor") else theirs.weight.tensor
            held.copy_(ours.weight)
        for nodes in (10, 16, 32, *((9, 33) if axes == 1 else ())):
            field = torch.randn(2, 2, *[nodes] * axes, generator=generator())
            torch.testing.assert_close(ours(field), theirs(field), rtol=1e-5, atol=1e-5)


X = np.ones((4, 1, 9))
OBLONG = np.ones((4, 1, 16, 17))
SMALL = OperatorConfig(modes=4, width=2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: OperatorConfig(width=0), "width: 0"),
        (lambda: OperatorConfig(axes=3), "1 or 2 axes"),
        (lambda: OperatorConfig(kind="other"), "known"),
        (lambda: TrainingSettings(steps=0), "at least 1"),
        (lambda: TrainingSettings(rate=float("nan")), "finite"),
        (lambda: train_operator(SMALL, X * np.nan, X, 0), "not finite"),
        (lambda: train_operator(SMALL, X, X * np.inf, 0), "not finite"),
        (lambda: train_operator(SMALL, X[:0], X[:0], 0), "there are none"),
        (lambda: train_operator(SMALL, X[..., :8], X[..., :8], 0), "at least 9 nodes"),
        (lambda: train_operator(OperatorConfig(inputs=2), X, X, 0), "on 1 axes are needed"),
        (lambda: train_operator(OperatorConfig(axes=2), OBLONG, OBLONG, 0), "every axis"),
        (lambda: NeuralOperator(SMALL, 0)(torch.ones(2, 1, 8)), "at least 9 nodes"),
        (lambda: NeuralOperator(SMALL, 0)(torch.ones(2, 2, 9)), "shape"),
        (lambda: NeuralOperator(OperatorConfig(kind="ring", modes=2), 0)(torch.ones(2, 1, 9), hop=3), "at least 13"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
