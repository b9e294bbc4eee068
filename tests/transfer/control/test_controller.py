"""The sign of the controller, its callback, and what it does under drift."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from grokkit.scheme import InvalidInput
from grokkit.transfer.control import (
    DriftingGraph,
    DriftingSources,
    LayerWatch,
    SparseAutoencoder,
    SparsityCallback,
    SparsityController,
    learn_graph,
    run_drift,
)
from grokkit.transfer.control.figures import controller_traces

torch.set_num_threads(1)
PSI = st.floats(0, 1)


@given(PSI, PSI, st.floats(0.05, 0.95), st.floats(0.01, 1))
def test_relaxing_falls_and_the_published_sign_rises_as_features_collapse(low, high, threshold, width):
    low, high = sorted((low, high))
    relax, source = (SparsityController(0.5, threshold, width, policy) for policy in ("relax", "source"))
    assert relax.strength(low) <= relax.strength(high)
    assert source.strength(low) >= source.strength(high)
    assert relax.strength(low) + source.strength(low) == pytest.approx(1.0)
    assert relax.strength(threshold) == source.strength(threshold) == 0.5


def test_at_collapse_one_gives_up_the_pressure_and_the_other_doubles_it():
    assert SparsityController(1.0, 0.5, 0.05).strength(0.0) < 1e-8
    assert SparsityController(1.0, 0.5, 0.05, "source").strength(0.0) > 2 - 1e-8
    assert SparsityController(1.0, 0.5, 0.05, "fixed").strength(0.0) == 1.0


@pytest.mark.parametrize("arguments", [(-1.0, 0.5, 0.1), (1.0, 0.0, 0.1), (1.0, 1.0, 0.1), (1.0, 0.5, 0.0)])
def test_settings_that_are_none(arguments):
    with pytest.raises(InvalidInput):
        SparsityController(*arguments)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))


def test_callback_on_any_module_gives_the_penalty_it_says():
    model = network()
    x = torch.randn(7, 3)
    before = model(x)
    with SparsityCallback(model, "1", SparsityController(0.3, 0.5, 0.2)) as callback:
        assert torch.equal(model(x), before)
        penalty = callback.penalty()
        expected = callback.controller.strength(callback.psi) * model[1](model[0](x)).abs().mean()
        assert float(penalty.detach()) == pytest.approx(float(expected.detach()))
        penalty.backward()
        assert model[0].weight.grad.abs().sum() > 0
        assert model[2].weight.grad is None
        assert callback.features().width == 5
        assert callback.features().psi == pytest.approx(callback.trace[0]["psi"])
    assert not model[1]._forward_hooks


def test_dead_features_count_as_zero_for_the_callback():
    model = network()
    with torch.no_grad():
        model[0].bias.fill_(-100)
    with SparsityCallback(model, "1", SparsityController(0.3, 0.5, 0.05)) as callback:
        model(torch.randn(4, 3))
        assert float(callback.penalty().detach()) == 0
        assert callback.trace[0] == {"psi": 0.0, "smoothed": 0.0, "strength": pytest.approx(0, abs=1e-8)}
        with pytest.raises(InvalidInput, match="zero"):
            callback.features()


def test_callbacks_refuse_in_one_line():
    model = network()
    with pytest.raises(InvalidInput, match="no layer 'nowhere'"):
        LayerWatch(model, "nowhere")
    callback = SparsityCallback(model, "1", SparsityController(0.3, 0.5, 0.1))
    with pytest.raises(InvalidInput, match="has not run"):
        callback.penalty()
    model(torch.full((2, 3), float("nan")))
    with pytest.raises(InvalidInput, match="NaN"):
        callback.penalty()
    with pytest.raises(InvalidInput, match="memory"):
        SparsityCallback(model, "1", SparsityController(0.3, 0.5, 0.1), memory=1.0)


def test_autoencoder_reads_its_code_and_ignores_decoder_norms():
    model = SparseAutoencoder(4, 9, generator=torch.Generator().manual_seed(0))
    x = torch.randn(5, 4)
    before = model(x)
    with torch.no_grad():
        model.decoder *= 3
    assert torch.allclose(model(x), before, atol=1e-6)
    assert model.width == 9


@pytest.fixture(scope="module")
def drifts():
    return {
        policy: [run_drift(SparsityController(0.45, 0.8, 0.1, policy), seed, steps=600, every=25) for seed in range(3)]
        for policy in ("fixed", "relax", "source")
    }


def test_under_drift_only_the_relaxing_controller_keeps_its_features(drifts):
    for fixed, relax, source in zip(*drifts.values(), strict=True):
        assert source.collapsed and not relax.collapsed
        assert relax.after > fixed.after
        assert relax.explained_after > 0.5 > max(fixed.explained_after, source.explained_after)
        assert relax.strength[-1] < 0.45 < source.strength[-1]


def test_a_run_is_its_seed(drifts):
    again = run_drift(SparsityController(0.45, 0.8, 0.1), 1, steps=600, every=25)
    assert np.array_equal(again.psi, drifts["relax"][1].psi)


def test_traces_are_drawn(drifts):
    made = controller_traces([run for runs in drifts.values() for run in runs], threshold=0.8)
    assert [len(axis.lines) >= 9 for axis in made.axes] == [True] * 3
    with pytest.raises(InvalidInput):
        controller_traces([])


def test_stream_weakens_when_it_says():
    stream = DriftingSources()
    assert [round(stream.amplitude(t), 9) for t in (0, 0.4, 0.5, 0.6, 1)] == [1, 1, 0.6, 0.2, 0.2]
    start = stream.dictionary(0, 3)
    assert torch.allclose(start.norm(dim=0), torch.ones(16))
    assert torch.equal(start, stream.dictionary(0, 3))
    assert not torch.allclose(start, stream.dictionary(1, 3), atol=0.05)
    with pytest.raises(InvalidInput, match="onset"):
        DriftingSources(onset=0.7)


@pytest.mark.parametrize("seed", range(3))
def test_graph_stays_connected_only_under_the_relaxing_controller(seed):
    fixed, relax, source = (
        learn_graph(SparsityController(0.2, 0.1, 0.04, policy), seed, steps=2500)
        for policy in ("fixed", "relax", "source")
    )
    assert relax.connected_before > 0.8 and relax.connected_after > 0.8
    assert fixed.connected_before > 0.8 and fixed.connected_after == 0
    assert source.connected_after == 0
    assert relax.error_after < fixed.error_after < source.error_after
    assert (relax.algebraic[relax.components == 1] > 1e-9).all()


def test_true_graphs_are_connected_stable_and_weaken():
    from grokkit.transfer.control import connectivity

    system = DriftingGraph()
    early, late = system.weights(0, 0), system.weights(1, 0)
    for weights in (early, late):
        assert connectivity(weights).connected
        assert connectivity(weights).edges >= system.nodes
    assert early.sum(axis=1) == pytest.approx(0.6)
    assert late.sum(axis=1) == pytest.approx(0.24)
    assert ((early > 0) != (late > 0)).any()
    with pytest.raises(InvalidInput):
        DriftingGraph(nodes=3)
