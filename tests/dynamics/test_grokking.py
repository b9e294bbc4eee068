"""The detector on curves whose story is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.dynamics import GradualDrop, Grokked, NeverFitted, NoDrop, NoPlateau, detect_grokking
from grokkit.scheme import InvalidInput

EPOCHS = np.arange(1000)


def curves(fits=50, leaves=600, takes=20, level=2.0, final=1e-4):
    """Training is fitted from one epoch on; the test loss falls from its level, on a log scale, between two epochs."""
    training = np.where(fits > EPOCHS, 1.0, 1e-8)
    share = np.clip((EPOCHS - leaves) / takes, 0, 1)
    return training, level * (final / level) ** share


def test_a_run_that_groks():
    training, test = curves()
    found = detect_grokking(training, test)
    assert isinstance(found, Grokked)
    assert found.plateau.first == 50 and found.plateau.level == 2.0
    assert test[int(found.plateau.last)] > 0.1 >= test[int(found.plateau.last) + 1]
    assert found.epoch == np.flatnonzero(test <= 0.1)[0]  # a tenth of the level would be 0.2
    assert found.leaves == np.flatnonzero(test >= 1.0)[-1]


@given(st.integers(0, 300), st.integers(1, 60), st.floats(0.2, 50), st.integers(0, 10**6))
def test_noise_on_the_plateau_does_not_hide_the_drop(fits, takes, level, seed):
    training, test = curves(fits, fits + 400, takes, level)
    noisy = test * np.random.default_rng(seed).uniform(0.7, 1.3, len(test))
    found = detect_grokking(training, noisy)
    assert isinstance(found, Grokked)
    assert fits + 400 - 10 <= found.leaves <= found.epoch <= fits + 400 + takes


def test_records_that_are_far_apart():
    training, test = curves()
    found = detect_grokking(training[::10], test[::10], epochs=EPOCHS[::10])
    assert isinstance(found, Grokked) and found.plateau.first == 50 and 600 <= found.epoch <= 620


def test_a_run_that_never_fits():
    training, test = curves()
    found = detect_grokking(training + 1e-3, test)
    assert isinstance(found, NeverFitted) and found.lowest == pytest.approx(1e-3, rel=1e-4)
    assert isinstance(detect_grokking([np.nan] * 5, [1.0] * 5), NeverFitted)


@pytest.mark.parametrize("leaves", [0, 40, 130])
def test_a_run_that_generalizes_at_once(leaves):
    found = detect_grokking(*curves(leaves=leaves))
    assert isinstance(found, NoPlateau) and found.fitted_at == 50 and found.longest < 100


def test_the_shortest_plateau_counts():
    """99 epochs are not enough and 100 are: the source's bound."""
    for high, kind in ((99, NoPlateau), (100, Grokked)):
        test = np.where(50 + high > EPOCHS, 1.0, 1e-3)
        assert isinstance(detect_grokking(curves()[0], test), kind)


def test_a_run_that_only_memorizes():
    found = detect_grokking(*curves(final=0.5))
    assert isinstance(found, NoDrop) and found.lowest == pytest.approx(0.5) and found.plateau.last == 999


def test_a_fall_that_is_slow_against_the_wait():
    found = detect_grokking(*curves(leaves=300, takes=690))
    assert isinstance(found, GradualDrop) and found.sluggishness > 0.25
    assert isinstance(detect_grokking(*curves(leaves=300, takes=690), abruptness=3.0), Grokked)


@given(st.floats(20, 200), st.floats(0, 3))
def test_an_exponential_decay_is_not_grokking(time, decades):
    test = 10**decades * np.exp(-np.arange(3000) / time)
    found = detect_grokking(np.full(3000, 1e-9), test)
    assert isinstance(found, (GradualDrop, NoPlateau))


def test_an_interrupted_plateau_starts_anew():
    training, test = curves()
    training[120] = 1.0
    found = detect_grokking(training, test)
    assert isinstance(found, Grokked) and found.plateau.first == 121
    training[::90] = 1.0
    assert isinstance(detect_grokking(training, test), NoPlateau)


def test_a_test_loss_that_is_not_a_number_is_neither_low_nor_high():
    training, test = curves()
    test[601:] = np.nan
    found = detect_grokking(training, test)
    assert isinstance(found, NoDrop) and found.plateau.last == 600


@pytest.mark.parametrize("call", [
    lambda: detect_grokking([], []),
    lambda: detect_grokking([1.0, 2.0], [1.0]),
    lambda: detect_grokking([1.0, 2.0], [1.0, 2.0], epochs=[1.0]),
    lambda: detect_grokking([1.0, 2.0], [1.0, 2.0], epochs=[1.0, 1.0]),
])  # fmt: skip
def test_bad_input(call):
    with pytest.raises(InvalidInput):
        call()
