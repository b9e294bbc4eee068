"""Fusion on the cyclotron, at frequencies that no training saw, over three seeds."""

import json

import numpy as np
import pytest

from grokkit.scheme import InvalidInput
from grokkit.transfer.fusion import ROWS, FusionConfig, fusion_by_frequency, study_fusion

SHORT = {"steps": 600, "gate_samples": 256, "test_samples": 512}


@pytest.fixture(scope="module")
def shared():
    """Both experts over the whole range."""
    return study_fusion(FusionConfig(**SHORT), (0, 1, 2))


@pytest.fixture(scope="module")
def split():
    """Each expert over its part of the range."""
    return study_fusion(FusionConfig(first_range=(0.9, 1.4), second_range=(1.7, 2.2), **SHORT), (0, 1, 2))


def test_the_gate_is_within_five_percent_of_the_oracle(shared, split):
    for study in (shared, split):
        for run in study.runs:
            assert 1 - 1e-12 <= run.over_oracle <= 1.05


def test_fusion_beats_every_other_mixture_where_the_experts_share_the_range_out(split):
    assert split.wins == 3 and split.over_better.high < 1
    for row in ("constant one half", "best constant", "published criterion", "persistence", "zero", "linear"):
        assert split.ratio("fused", row).value < 0.9
    # the weight falls from the expert of low frequencies to the other
    for run in split.runs:
        assert run.gate_weights[0] > 0.75 and run.gate_weights[-1] < 0.2


def test_fusion_is_no_worse_than_the_better_expert(shared):
    for run in shared.runs:
        assert run.over_better <= 1.01
        assert run.average("fused") < min(run.average("persistence"), run.average("zero"))


def test_the_oracle_is_the_best_weight_at_each_frequency(shared, split):
    for study in (shared, split):
        for run in study.runs:
            for row in ("first expert", "second expert", "fused", "published criterion", "constant one half"):
                assert (run.errors["oracle gate"] <= run.errors[row] * (1 + 1e-9)).all()
            assert ((run.published_weights >= 0) & (run.published_weights <= 1)).all()


def test_frequencies_are_held_out(shared):
    config = shared.config
    assert len(config.known) == 14 and len(config.held_out) == 13
    assert np.abs(config.held_out[:, None] - config.known).min() > 0.04
    for run in shared.runs:
        np.testing.assert_array_equal(run.frequencies, config.held_out)


def test_a_run_repeats_with_its_seed(split):
    again = study_fusion(split.config, (1,)).runs[0]
    for row in ROWS:
        np.testing.assert_array_equal(again.errors[row], split.runs[1].errors[row])


def test_a_study_tells_all(shared):
    told = json.loads(json.dumps(shared.to_json()))
    assert told["seeds"] == [0, 1, 2] and set(told["errors"]) == set(ROWS) and told["errors"]["fused"]["n"] == 3
    assert told["wins"] == shared.wins and len(told["rows"]) == 3
    assert told["rows"][0]["experts"][1]["width"] == 16
    assert len(str(shared).splitlines()) == len(ROWS) + 3


def test_the_figure_shows_the_weights(shared):
    weights, errors = fusion_by_frequency(shared).axes
    drawn = {line.get_label(): line.get_ydata() for line in weights.lines}
    np.testing.assert_allclose(drawn["fused"], np.mean([run.gate_weights for run in shared.runs], axis=0))
    np.testing.assert_allclose(drawn["oracle gate"], np.mean([run.optimal_weights for run in shared.runs], axis=0))
    assert len(errors.lines) == 6


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: FusionConfig(frequencies=2), "at least 3"),
        (lambda: FusionConfig(first_range=(2.0, 1.0)), "rising"),
        (lambda: FusionConfig(first_range=(1.51, 1.52), frequencies=3), "holds none"),
        (lambda: FusionConfig(widths=(0, 4)), "widths"),
        (lambda: study_fusion(FusionConfig(), ()), "at least one"),
        (lambda: study_fusion(FusionConfig(), (1, 1)), "none twice"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_an_unknown_row_is_named(shared):
    with pytest.raises(InvalidInput, match="'other'"):
        shared.error("other")
