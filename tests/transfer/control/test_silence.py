"""The freeze is exact, resumes on drift, and follows its thresholds; two levels against the closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from grokkit.scheme import InvalidInput
from grokkit.transfer.control import (
    Hysteresis,
    SilenceCallback,
    TwoLevel,
    activation_entropy,
    entropy_gap,
    pt_violation,
    topological_entropy,
)
from grokkit.transfer.control.figures import two_level_spectrum

torch.set_num_threads(1)


@given(st.lists(st.floats(-3, 3), max_size=40), st.floats(-2, 2))
def test_without_hysteresis_frozen_exactly_while_below(gaps, below):
    gate = Hysteresis(below)
    assert [gate.update(gap) for gap in gaps] == [gap < below for gap in gaps]


@given(st.lists(st.floats(-3, 3), max_size=40), st.floats(-2, 1), st.floats(0, 1))
def test_hysteresis_changes_only_at_its_ends(gaps, below, more):
    gate, frozen = Hysteresis(below, below + more), False
    for gap in gaps:
        now = gate.update(gap)
        if gap < below:
            assert now
        elif gap >= gate.resume:
            assert not now
        else:
            assert now == frozen
        frozen = now


def test_gap_is_entropy_less_the_stated_topological_entropy():
    ring = np.roll(np.eye(5), 1, axis=1)
    h = np.random.default_rng(0).standard_normal((9, 5))
    gap = entropy_gap(h, graph=ring)
    assert gap.cycles == 1
    assert gap.value == pytest.approx(activation_entropy(h) - math.log(2))
    assert topological_entropy(0) == 0
    with pytest.raises(InvalidInput):
        topological_entropy(-1)


def narrow_and_wide():
    generator = torch.Generator().manual_seed(3)
    direction = torch.randn(1, 6, generator=generator)
    return torch.randn(64, 1, generator=generator) @ direction, torch.randn(64, 6, generator=generator)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_parameters_and_state_are_bit_identical_while_frozen_and_move_after_drift(optimizer):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 1))
    options = {"momentum": 0.9} if optimizer is torch.optim.SGD else {}
    steps = optimizer(model.parameters(), lr=0.01, weight_decay=0.1, **options)
    narrow, wide = narrow_and_wide()
    stepped, frozen = [], []
    with SilenceCallback(model, "0", steps, below=0.5, resume=0.8) as silence:
        for x in [wide] * 4 + [narrow] * 6 + [wide] * 4:
            before = [p.detach().clone() for p in model.parameters()]
            state = [v.clone() for s in steps.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
            steps.zero_grad()
            functional.mse_loss(model(x), torch.ones(64, 1)).backward()
            stepped.append(silence.step())
            frozen.append(bool(silence.rows[-1]["frozen"]))
            same = all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
            assert same != stepped[-1]
            if not stepped[-1]:
                now = [v for s in steps.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
                assert all(torch.equal(a, b) for a, b in zip(state, now, strict=True))
    assert stepped == [True] * 4 + [False] * 6 + [True] * 4
    assert frozen == [not step for step in stepped]


def test_a_closure_is_passed_on():
    model = nn.Linear(6, 6)
    optimizer = torch.optim.LBFGS(model.parameters())
    _, wide = narrow_and_wide()
    with SilenceCallback(model, "", optimizer, below=-9.0) as silence:

        def closure():
            optimizer.zero_grad()
            value = functional.mse_loss(model(wide), wide)
            value.backward()
            return value

        before = float(closure().detach())
        assert silence.step(closure)
        assert float(closure().detach()) < before


def test_thresholds_and_gaps_that_are_none():
    with pytest.raises(InvalidInput, match="below <= resume"):
        Hysteresis(1.0, 0.5)
    with pytest.raises(InvalidInput, match="finite"):
        Hysteresis(1.0).update(math.nan)


@given(st.floats(0.1, 10), st.floats(0, 20))
def test_two_levels_have_the_closed_spectrum_and_keep_pt(coupling, gain):
    level = TwoLevel(coupling, gain)
    assume(abs(gain - coupling) > 1e-6 * coupling)
    found = np.linalg.eigvals(level.matrix())
    expected = level.closed_form()
    error = min(np.abs(found - expected).max(), np.abs(found[::-1] - expected).max())
    assert error < 1e-7 * (coupling + gain)
    assert level.real == (np.abs(found.imag).max() < 1e-5 * coupling) or abs(gain / coupling - 1) < 1e-4
    assert pt_violation(level.matrix()) == 0


@given(st.floats(0.1, 10), st.floats(0, 20))
def test_the_spectrum_is_real_exactly_up_to_the_coupling(coupling, gain):
    level = TwoLevel(coupling, gain)
    assert level.real == (gain <= coupling) == bool((level.closed_form().imag == 0).all())


@given(st.floats(0.1, 10), st.floats(0, 20))
def test_overlap_of_eigenvectors(coupling, gain):
    assume(abs(gain / coupling - 1) > 1e-3)
    level = TwoLevel(coupling, gain)
    _, vectors = np.linalg.eig(level.matrix())
    assert abs(np.vdot(vectors[:, 0], vectors[:, 1])) == pytest.approx(level.overlap, abs=1e-6)


def test_at_the_exceptional_point_both_levels_are_one():
    level = TwoLevel(2.0, 2.0)
    assert level.real and level.overlap == 1 and not level.closed_form().any()
    assert np.linalg.matrix_rank(level.matrix()) == 1
    assert not (level.matrix() @ level.matrix()).any()


def test_matrices_without_pt_symmetry_and_bad_ones():
    assert pt_violation(np.array([[1j, 1], [1, 1j]])) > 0.5
    for bad in (np.zeros((2, 2)), np.ones((2, 3)), np.array([[np.nan, 1], [1, 0]])):
        with pytest.raises(InvalidInput):
            pt_violation(bad)
    for coupling, gain in ((0.0, 1.0), (1.0, -1.0), (math.inf, 1.0)):
        with pytest.raises(InvalidInput):
            TwoLevel(coupling, gain)


def test_spectrum_is_drawn():
    assert len(two_level_spectrum().axes) == 2
