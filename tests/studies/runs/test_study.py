"""Protocols: what they admit, refuse, and come to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.studies.runs import OUTCOMES, Study
from grokkit.training import TrainConfig

PROTOCOLS = Path(__file__).parents[3] / "studies"
SMALL = {
    "title": "small",
    "question": "does it?",
    "preset": "source",
    "configuration": {"epochs": 2, "samples": 40},
    "factors": {"batch_size": [10, 20]},
}


def study(**changes):
    return Study.from_mapping(SMALL | changes)


def test_a_full_factorial_and_explicit_cells():
    made = study(
        factors={"batch_size": [10, 20], "init": ["tied", "symmetric"]},
        cells=[{"name": "plain descent", "optimizer": "sgd", "learning-rate": 1}],
        seeds=2,
        runs=3,
    )
    assert [cell.name for cell in made.cells] == [
        "batch_size=10, init=tied",
        "batch_size=10, init=symmetric",
        "batch_size=20, init=tied",
        "batch_size=20, init=symmetric",
        "plain descent",
    ]
    assert made.factor_names == ("batch_size", "init", "optimizer", "learning_rate")
    assert made.cells[0].factors == {"batch_size": 10, "init": "tied", "optimizer": "adamw", "learning_rate": 1e-3}
    assert made.cells[4].factors["learning_rate"] == 1.0
    assert all(cell.config.runs == 6 for cell in made.cells)
    assert made.total_runs == 30
    assert made.cells[1].config.epochs == 2


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20))
def test_shards_hold_every_run_once(seeds, runs, size):
    made = study(seeds=seeds, runs=runs, shard_size=size)
    numbers = [
        (shard.cell.number, run) for shard in made.shards for run in range(shard.first, shard.first + shard.runs)
    ]
    assert sorted(numbers) == [(cell, run) for cell in range(2) for run in range(seeds * runs)]
    assert [shard.number for shard in made.shards] == list(range(len(made.shards)))


outcomes = st.lists(st.sampled_from(sorted(OUTCOMES)), unique=True)


@given(
    st.integers(0, 2**63 - 1), st.integers(1, 50), outcomes, st.booleans(), st.sampled_from(["independent", "common"])
)
def test_reading_what_is_written_is_the_identity(seed, seeds, kept, weights, randomness):
    made = study(seed=seed, seeds=seeds, outcomes=kept, keep_weights=weights, randomness=randomness)
    again = Study.from_mapping(json.loads(json.dumps(made.to_json())))
    assert again == made
    assert again.digest == made.digest


def test_the_digest_is_of_the_content(tmp_path):
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text(
        'title = "t"\nquestion = "q"\nkeep-weights = true\n[factors]\nbatch-size = [1, 2]\n[configuration]\nsteps = 9\n'
    )
    other.write_text(
        '# the same\nquestion = "q"\ntitle = "t"\nkeep_weights = true\n'
        "[configuration]\nsteps = 9\nclip = 1\n[factors]\nbatch_size = [1, 2]\n"
    )
    assert Study.from_toml(one).digest == Study.from_toml(other).digest
    for changes in ({"seeds": 6}, {"question": "?"}, {"seed": 1}, {"shard_size": 8}, {"factors": {"steps": [1]}}):
        assert Study.from_toml(one, **changes).digest != Study.from_toml(one).digest


def test_cells_are_independent_or_share_their_random_numbers():
    independent = {cell.config.seed for cell in study().cells}
    common = {cell.config.seed for cell in study(randomness="common").cells}
    assert len(independent) == 2 and len(common) == 1
    assert study(seed=1).cells[0].config.seed not in independent
    # more levels, seeds or trajectory points leave the runs of a cell as they are
    more = study(factors={"batch_size": [5, 10, 20]}, seeds=50)
    assert {cell.config.seed for cell in more.cells} > independent
    finer = study(configuration={"epochs": 2, "samples": 40, "log_points": 9})
    assert {cell.config.seed for cell in finer.cells} == independent


def test_the_protocols_of_the_source():
    a, b = (Study.from_toml(PROTOCOLS / f"protocol-{letter}.toml") for letter in "ab")
    assert a.factors == {"batch_size": (8, 16, 32, 64, 128)}
    assert b.factors == {"batch_size": (8, 16, 24, 32, 48, 64, 96, 128)}
    assert a.total_runs + b.total_runs == 195
    for made in (a, b):
        assert (made.seeds, made.runs) == (5, 3)
        expected = TrainConfig.preset("source", runs=15, shard_size=64)
        assert made.cells[0].config.replace(batch_size=32, seed=0) == expected
        assert {"exact_plain", "exact_full"} < set(made.outcomes)
    assert not {cell.config.seed for cell in a.cells} & {cell.config.seed for cell in b.cells}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fators": {}}, "unknown name 'fators'; did you mean factors?"),
        ({"factors": {"batch_sise": [1]}}, "[factors]: unknown name 'batch_sise'; did you mean batch_size?"),
        ({"configuration": {"epoch": 1}}, "unknown field 'epoch'; did you mean epochs?"),
        ({"outcomes": ["exact_fuli"]}, "outcomes: unknown name 'exact_fuli'; did you mean exact_full?"),
        ({"metrics": ["test_los"]}, "metrics: unknown name 'test_los'; did you mean test_loss?"),
        ({"cells": [{"optimiser": "sgd"}]}, "[[cells]] 0: unknown name 'optimiser'; did you mean optimizer?"),
        ({"stopping": {"rul": "fixed"}}, "[stopping]: unknown name 'rul'; did you mean rule?"),
        ({"stopping": {"rule": "soon"}}, "[stopping]: rule is 'soon'; use one of fixed"),
        ({"analysis": {"text": "t", "response": "converged"}}, "[analysis]: no factors"),
        ({"analysis": {"text": "t", "response": "exact", "factors": []}}, "[analysis] response: unknown name 'exact'"),
        (
            {"analysis": {"text": "t", "response": "converged", "factors": ["slots"]}},
            "[analysis] factors: unknown name 'slots'; use one of batch_size",
        ),
        ({"factors": {}}, "no factors and no cells"),
        ({"factors": {"batch_size": []}}, "[factors]: batch_size has no levels"),
        ({"factors": {"batch_size": [8, 8]}}, "[factors]: batch_size has a level twice"),
        ({"factors": {"batch_size": 8}}, "[factors]: batch_size is '8', not a list of levels"),
        ({"factors": {"batch_size": [[8]]}}, "a number or text is needed"),
        ({"factors": {"batch_size": ["many"]}}, "batch_size is 'many', not int"),
        (
            {"factors": {"batch_size": [10, 1000]}},
            "cell batch_size=1000: batch_size 1000 exceeds samples 40",
        ),
        ({"factors": {"seed": [1, 2]}}, "[factors]: seed is set by the study"),
        ({"configuration": {"runs": 5}}, "[configuration]: runs is set by the study"),
        ({"cells": [{"shard_size": 5}]}, "[[cells]] 0: shard_size is set by the study"),
        ({"cells": [{"batch_size": 10}]}, "is the same as batch_size=10; keep one"),
        ({"cells": [{"name": "x", "epochs": 3}, {"name": "x", "epochs": 4}]}, "two cells are named 'x'"),
        ({"cells": [{"name": 1, "epochs": 3}]}, "name is 1, not text"),
        ({"seeds": 0}, "seeds is 0; 1 to"),
        ({"runs": 0}, "runs is 0; 1 to"),
        ({"seeds": 10**7, "runs": 10**6}, "runs are admitted"),
        ({"seed": -1}, "seed is -1; 0 to"),
        ({"seeds": "five"}, "seeds is 'five', not a whole number"),
        ({"title": " "}, "title and question"),
        ({"preset": "sorce"}, "preset 'sorce'; did you mean source?"),
        ({"randomness": "none"}, "randomness is 'none'"),
        ({"outcomes": ["converged", "converged"]}, "outcomes: a name is given twice"),
        ({"outcomes": [1]}, "outcomes: '1' is not a name"),
        ({"outcomes": ["expands_full"], "configuration": {"format": "2x2x3", "samples": 40}}, "is of square formats"),
    ],
)
def test_bad_protocols_are_one_line(changes, message):
    with pytest.raises(InvalidInput) as caught:
        study(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "not valid TOML"),
        ('title = "t"', "no question"),
        ('title = "t"\nquestion = "q"\nshard_size = 1\nshard-size = 2', "shard_size is given twice"),
        ("\ufeff", "not valid TOML"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    path = tmp_path / "study.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidInput, match=message) as caught:
        Study.from_toml(path)
    assert str(caught.value).startswith(f"{path}: ")
