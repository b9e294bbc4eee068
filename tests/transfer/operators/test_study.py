"""Zero-shot transfer on worlds, by operators that are really trained: what carries over, and what does not."""

import json

import numpy as np
import pytest

from grokkit.scheme import InvalidInput
from grokkit.transfer.operators import (
    CyclotronFields,
    FieldProblem,
    Grid,
    Multiplier,
    OperatorConfig,
    TrainingSettings,
    WaveFields,
    bound_by_resolution,
    error_by_resolution,
    fields_side_by_side,
    random_coefficients,
    study_transfer,
)

SETTINGS = TrainingSettings(steps=400)
SPECTRAL = OperatorConfig(modes=7, width=12)
MESSAGES = OperatorConfig(modes=3, width=12)


@pytest.fixture(scope="module")
def wave():
    return study_transfer(
        WaveFields(), (16, 32, 64, 256), (0, 1), spectral=SPECTRAL, messages=MESSAGES, settings=SETTINGS
    )


@pytest.fixture(scope="module")
def cyclotron():
    return study_transfer(
        CyclotronFields(), (16, 32, 64, 256), (0,), spectral=SPECTRAL, messages=MESSAGES, settings=SETTINGS
    )


@pytest.mark.parametrize("problem", [WaveFields(), CyclotronFields(), CyclotronFields(drift=0.4)])
def test_the_same_fields_are_posed_on_every_grid(problem):
    coarse, fine = problem.pairs(16, 3, 5), problem.pairs(48, 3, 5)
    every = (..., *[slice(None, None, 3)] * problem.axes)
    np.testing.assert_allclose(fine.before[every], coarse.before, atol=1e-11)
    np.testing.assert_allclose(fine.after[every], coarse.after, atol=1e-11)
    assert coarse.before.shape == (3, problem.channels, *[16] * problem.axes) and isinstance(problem, FieldProblem)


def test_a_wave_step_is_the_symbol_of_the_wave_equation():
    """u(t + τ) = 2 cos(k τ) u(t) − u(t − τ), with the spacing of 16 nodes for τ; the mean too, where k is 0."""
    pairs = WaveFields(modes=7).pairs(64, 5, 0)
    k = np.arange(-7, 8)
    advance = Multiplier((2 * np.cos(k * 2 * np.pi / 16)).astype(complex))
    ahead = advance(pairs.before[:, 0], pairs.grid) - pairs.before[:, 1]
    np.testing.assert_allclose(pairs.after[:, 0], ahead, atol=1e-11)
    np.testing.assert_array_equal(pairs.after[:, 1], pairs.before[:, 0])


def test_an_extended_wave_keeps_the_spacing():
    pairs = WaveFields(extended=True).pairs(64, 4, 0)
    assert pairs.grid.length == pytest.approx(8 * np.pi)
    now, earlier = pairs.before[:, 0], pairs.before[:, 1]
    np.testing.assert_allclose(pairs.after[:, 0], np.roll(now, 1, -1) + np.roll(now, -1, -1) - earlier, atol=1e-11)


def test_a_cyclotron_step_turns_the_density():
    pairs = CyclotronFields(frequency=1.5, dt=0.4).pairs(32, 5, 0)
    turned = Multiplier.of(lambda k: np.exp(-1j * k * 1.5 * 0.4), modes=5)
    np.testing.assert_allclose(pairs.after[:, 0], turned(pairs.before[:, 0], Grid(32)), atol=1e-11)


@pytest.mark.parametrize("name", ["wave", "cyclotron"])
def test_the_trained_operator_transfers_and_beats_persistence(name, request):
    study = request.getfixturevalue(name)
    learned, persistence = (np.array(study.errors[row]) for row in ("Fourier operator", "persistence"))
    assert (learned[1] <= 1.2 * learned[0]).all()
    assert (learned < 0.1 * persistence).all()
    for nodes in study.nodes:
        assert study.error("multiplier", nodes).value < 1e-24


@pytest.mark.parametrize("name", ["wave", "cyclotron"])
def test_wrong_embeddings_fail_and_kept_distances_do_not(name, request):
    study = request.getfixturevalue(name)
    for nodes in (32, 64, 256):
        for row in ("messages, kept hops", "multiplier, kept taps", "multiplier, tail padding"):
            assert study.error(row, nodes).value > 0.05
        assert study.growth("messages, kept hops", nodes).value > 5
        assert study.growth("messages, kept distances", nodes).value < 1.2
    assert study.error("multiplier, tail padding", 16).value < 1e-24


def test_where_the_domain_grows_with_the_nodes_it_is_the_other_way_round():
    """The topology in nodes is kept, and right; modes of the old domain are the wrong ones."""
    study = study_transfer(
        WaveFields(extended=True),
        (16, 32),
        (0,),
        spectral=SPECTRAL,
        messages=MESSAGES,
        settings=TrainingSettings(steps=250),
    )
    assert study.growth("messages, kept hops", 32).value < 2
    for row in ("Fourier operator", "multiplier", "messages, kept distances"):
        assert study.error(row, 32).value > 0.05


def test_fields_on_two_axes_with_grids_that_are_used():
    study = study_transfer(
        CyclotronFields(drift=0.4),
        (16, 32),
        (0,),
        spectral=OperatorConfig(modes=5, width=6, axes=2),
        messages=OperatorConfig(modes=2, width=6, axes=2),
        settings=TrainingSettings(steps=150, batch=32),
        training_fields=128,
        fields=40,
    )
    assert study.growth("Fourier operator", 32).value <= 1.2
    assert study.error("Fourier operator", 32).value < 0.2 * study.error("persistence", 32).value
    assert study.growth("messages, kept hops", 32).value > 5 and "multiplier" not in study.rows
    assert len(error_by_resolution(study).axes) == 1


def test_a_study_tells_all(wave):
    told = json.loads(json.dumps(wave.to_json()))
    assert told["seeds"] == [0, 1] and told["nodes"] == [16, 32, 64, 256] and told["trained_on"] == 16
    assert told["errors"]["zero"][0]["value"] == pytest.approx(1) and told["errors"]["multiplier"][1]["n"] == 2
    assert told["parameters"]["multiplier"] == 4 * 11
    lines = str(wave).splitlines()
    assert len(lines) == 1 + len(wave.rows) and lines[1].startswith("Fourier operator")


def test_figures_show_the_figures(wave):
    made = error_by_resolution(wave)
    left, right = made.axes
    drawn = {each.get_label(): each.lines[0].get_ydata() for axis in (left, right) for each in axis.containers}
    assert set(drawn) == set(wave.rows)
    np.testing.assert_allclose(drawn["multiplier"], [wave.error("multiplier", nodes).value for nodes in wave.nodes])
    fields = random_coefficients((20,), 12, np.random.default_rng(0))
    bound = bound_by_resolution(Multiplier(np.ones(25, dtype=complex)), fields, range(1, 12)).axes[0]
    published, operator, error = (line.get_ydata() for line in bound.lines)
    np.testing.assert_allclose(published, 5 * np.asarray(operator))
    np.testing.assert_allclose(error, operator)  # the identity loses exactly the tail


def test_fields_side_by_side_has_a_panel_for_each():
    grids = [Grid(16), Grid(32)]
    lines = [np.sin(grid.positions) for grid in grids]
    made = fields_side_by_side(grids, {"truth": lines, "half": [each / 2 for each in lines]})
    assert len(made.axes) == 4
    np.testing.assert_array_equal(made.axes[3].lines[1].get_ydata(), lines[1] / 2)
    planes = [np.outer(each, each) for each in lines]
    assert len(fields_side_by_side(grids, {"truth": planes}).axes) == 3  # with the color bar
    with pytest.raises(InvalidInput, match="one field a grid"):
        fields_side_by_side(grids, {"truth": lines[:1]})


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: WaveFields().pairs(24, 1, 0), "multiple"),
        (lambda: WaveFields().pairs(8, 1, 0), "multiple"),
        (lambda: WaveFields(modes=8), "1 to 7"),
        (lambda: CyclotronFields(dt=0.0), "positive"),
        (lambda: study_transfer(WaveFields(), (32,), (0,)), "grid of training"),
        (lambda: study_transfer(WaveFields(), (16,), (0, 0)), "none twice"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_an_unknown_row_is_named(wave):
    with pytest.raises(InvalidInput, match="no error of 'other'"):
        wave.error("other", 16)
