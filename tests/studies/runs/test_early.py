"""Features of the first part of training, against their definition."""

from __future__ import annotations

import numpy as np
import pytest

from grokkit.scheme import InvalidInput
from grokkit.studies.runs import Study, early_features, run_study
from grokkit.studies.statistics import NotEstimable, predict_success

STUDY = Study.from_mapping(
    {
        "title": "Early",
        "question": "What do the first steps say?",
        "configuration": {"steps": 200, "retrain_steps": 0, "prune_to": 0, "samples": 64, "log_points": 40},
        "factors": {"batch_size": [4, 16, 32], "learning_rate": [0.003, 0.03]},
        "seeds": 2,
        "runs": 2,
        "outcomes": ["converged"],
        "metrics": ["train_loss", "test_loss", "lattice_distance", "gradient_norm", "slot_norms"],
    }
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return run_study(STUDY, tmp_path_factory.mktemp("early") / "r", engine="threads")


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_each_feature_is_what_it_says(runs, share):
    found = early_features(runs, share)
    assert all(len(column) == len(runs) and np.isfinite(column).all() for column in found.values())
    rows = runs.table().to_pylist()
    for at in (0, 7, len(rows) - 1):
        steps = np.array(rows[at]["trajectory_step"])
        last = np.flatnonzero(steps <= share * steps[-1])[-1]
        loss = np.log10(rows[at]["trajectory_train_loss"])
        assert found["loss"][at] == pytest.approx(loss[last])
        assert found["lattice distance"][at] == pytest.approx(rows[at]["trajectory_lattice_distance"][last])
        assert found["slot norm"][at] == pytest.approx(np.mean(rows[at]["trajectory_slot_norms"][last]))
        rise = np.polyfit(steps[: last + 1] / steps[last], loss[: last + 1], 1)[0]
        assert found["slope of loss"][at] == pytest.approx(rise)


def test_they_feed_a_prediction(runs):
    found = early_features(runs, 0.25)
    table = runs.table(["test_loss", "cell"]).to_pydict()
    low = np.array(table["test_loss"]) < np.median(table["test_loss"])
    prediction = predict_success(found, low, table["cell"], resamples=100, folds=3)
    assert isinstance(prediction.rows, NotEstimable) or prediction.n == len(runs)


def test_what_cannot_be_looked_at(runs, tmp_path):
    for share in (0.0, 1.5):
        with pytest.raises(InvalidInput, match="a part of training"):
            early_features(runs, share)
    with pytest.raises(InvalidInput, match="raise log_points"):
        early_features(runs, 0.001)
    bare = STUDY.replace(metrics=["test_loss"], seeds=1, runs=1, factors={"batch_size": [8]})
    with pytest.raises(InvalidInput, match="keeps no train_loss"):
        early_features(run_study(bare, tmp_path / "r", engine="threads"), 0.5)
