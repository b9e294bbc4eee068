"""Effective features, effective rank, Betti numbers: known answers, invariances and refusals."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grokkit.scheme import InvalidInput
from grokkit.transfer.control import (
    activation_entropy,
    connectivity,
    correlation_graph,
    effective_features,
)

MATRICES = arrays(np.float64, (5, 4), elements=st.floats(-10, 10)).filter(lambda a: np.abs(a).max() > 1e-3)


@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_even_activity_over_k_features_counts_k(k):
    activations = np.zeros((6, 8))
    activations[:, :k] = 2.5
    found = effective_features(activations, width=8, strength=0.1)
    assert found.count == pytest.approx(k, rel=1e-12)
    assert found.psi == pytest.approx(k / 8, rel=1e-12)
    assert (found.width, found.strength) == (8, 0.1)


def test_count_of_unequal_shares_is_the_exponential_of_shannons_entropy():
    shares = np.array([0.5, 0.25, 0.25])
    assert effective_features(shares[None]).entropy == pytest.approx(1.5 * math.log(2))


@given(MATRICES, st.permutations(range(4)), st.floats(1e-3, 1e3))
def test_count_ignores_order_scale_and_sign(a, order, scale):
    expected = effective_features(a)
    for same in (a[:, order], scale * a, -a, a[::-1]):
        assert effective_features(same).count == pytest.approx(expected.count, rel=1e-9)
    assert 1 - 1e-12 <= expected.count <= 4 + 1e-12


def test_extreme_scales_neither_overflow_nor_vanish():
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    for scale in (1e-320, 1e300):
        assert effective_features(a * scale).count == pytest.approx(effective_features(a).count, rel=1e-2)
        assert activation_entropy(a * scale) == pytest.approx(activation_entropy(a), rel=1e-2)


def test_samples_may_have_several_axes_and_be_tensors():
    a = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    assert effective_features(a).count == effective_features(a.reshape(6, 4).numpy()).count


@pytest.mark.parametrize("k", [1, 3, 6])
def test_projector_of_rank_k_has_entropy_log_k(k):
    basis = np.linalg.qr(np.random.default_rng(k).standard_normal((6, 6)))[0][:, :k]
    assert activation_entropy(basis @ basis.T) == pytest.approx(math.log(k), abs=1e-12)


@given(MATRICES, st.floats(1e-3, 1e3), st.integers(0, 99))
def test_entropy_ignores_scale_and_rotations_of_both_sides(a, scale, seed):
    generator = np.random.default_rng(seed)
    left, right = (np.linalg.qr(generator.standard_normal((n, n)))[0] for n in a.shape)
    assert activation_entropy(scale * left @ a @ right) == pytest.approx(activation_entropy(a), abs=1e-9)


@given(MATRICES)
def test_entropy_is_that_of_the_dense_density_matrix(a):
    rho = a @ a.T / np.trace(a @ a.T)
    values = np.linalg.eigvalsh(rho)
    values = values[values > 1e-18]
    assert activation_entropy(a) == pytest.approx(-(values * np.log(values)).sum(), abs=1e-6)


@pytest.mark.parametrize("measure", [effective_features, activation_entropy])
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros((3, 2)), "zero"),
        (np.array([[1.0, np.nan]]), "NaN or infinity in 1 of 2"),
        (np.array([[1.0, np.inf]]), "NaN or infinity"),
        (np.ones(3), "samples × features"),
        (np.ones((0, 3)), "shape"),
        ([[1.0], [1.0, 2.0]], "one array"),
    ],
)
def test_bad_activations_are_one_clear_line(measure, bad, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        measure(bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n", [3, 4, 7])
def test_a_cycle_has_one_and_a_tree_no_cycle(n):
    ring = np.roll(np.eye(n), 1, axis=1)
    found = connectivity(ring)
    assert (found.cycles, found.components, found.edges) == (1, 1, n)
    ring[n - 1, 0] = 0
    assert connectivity(ring).cycles == 0
    assert found.algebraic == pytest.approx(2 - 2 * math.cos(2 * math.pi / n))


@given(st.integers(1, 12), st.integers(0, 99), st.floats(0, 1))
def test_betti_numbers_are_those_of_networkx(nodes, seed, density):
    graph = nx.gnp_random_graph(nodes, density, seed=seed)
    found = connectivity(nx.to_numpy_array(graph))
    assert found.components == nx.number_connected_components(graph)
    assert found.cycles == len(nx.cycle_basis(graph))
    assert (found.algebraic > 1e-9) == (found.connected and nodes > 1)


@given(st.integers(1, 20), st.integers(0, 99))
def test_forests_have_no_cycles(nodes, seed):
    generator = np.random.default_rng(seed)
    forest = np.zeros((nodes, nodes))
    for child in range(1, nodes):
        if generator.random() < 0.7:
            forest[child, generator.integers(child)] = generator.standard_normal() + 5
    assert connectivity(forest).cycles == 0


def test_correlation_graph_joins_what_moves_together():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((200, 3))
    a = np.column_stack([x[:, 0], -2 * x[:, 0], x[:, 1], np.full(200, 3.7)])
    expected = np.zeros((4, 4), dtype=bool)
    expected[0, 1] = expected[1, 0] = True
    assert (correlation_graph(a, 0.5) == expected).all()


def test_graphs_that_are_none():
    for call, says in (
        (lambda: connectivity(np.ones((2, 3))), "square"),
        (lambda: connectivity(np.ones((2, 2, 2))), "square"),
        (lambda: connectivity(np.eye(2), threshold=-1.0), "threshold"),
        (lambda: correlation_graph(np.ones((1, 2))), "2 samples"),
        (lambda: correlation_graph(np.ones((3, 2)), 1.0), "between 0 and 1"),
    ):
        with pytest.raises(InvalidInput, match=says):
            call()
