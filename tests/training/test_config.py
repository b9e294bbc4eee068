import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.training import PRESETS, TrainConfig


def test_presets():
    source, default = TrainConfig.preset("source"), TrainConfig.preset("default")
    assert default == TrainConfig()
    # the published protocol, as its documents state it
    assert (source.slots, source.prune_to, source.prune_by) == (8, 7, "norm")
    assert (source.optimizer, source.learning_rate, source.weight_decay) == ("adamw", 1e-3, 1e-4)
    assert 24 <= source.batch_size <= 128
    assert source.epochs >= 1000
    assert source.init == "symmetric"
    assert 1000 <= source.samples <= 2000
    assert 200 <= source.test_samples <= 500
    assert source.total_steps == source.first_steps == 1000 * 32
    assert source.l1 == source.clip == source.weight_noise == 0
    assert TrainConfig.preset("source", batch_size=64).total_steps == 1000 * 16
    assert set(PRESETS) == {"default", "source"}
    with pytest.raises(InvalidInput, match="preset 'none'; use one of default, source"):
        TrainConfig.preset("none")


@given(
    st.fixed_dictionaries(
        {
            "runs": st.integers(1, 10**6),
            "seed": st.integers(0, 2**63 - 1),
            "learning_rate": st.floats(1e-9, 1),
            "optimizer": st.sampled_from(["adamw", "adam", "sgd"]),
            "minibatch": st.sampled_from(["own", "shared"]),
            "samples": st.integers(32, 10**6),
            "weight_noise": st.floats(0, 1),
        }
    )
)
def test_toml_round_trip(tmp_path_factory, fields):
    config = TrainConfig(**fields)
    path = tmp_path_factory.mktemp("config") / "c.toml"
    config.save(path)
    assert TrainConfig.from_toml(path) == config
    assert TrainConfig.from_mapping(config.to_json()) == config


def test_toml_by_hand(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('batch-size = 4\nlearning_rate = 1\nformat = "2x2x3"\nslots = 12\nprune-to = 11\n')
    config = TrainConfig.from_toml(path, runs=3)
    assert (config.batch_size, config.learning_rate, config.target.format, config.runs) == (
        4,
        1.0,
        (2, 2, 3),
        3,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_size = ", "not valid TOML"),
        ("bach_size = 3", "unknown field 'bach_size'; did you mean batch_size"),
        ("batch_size = 3.5", "batch_size is 3.5, not int"),
        ('batch_size = "3"', "batch_size is '3', not int"),
        ("runs = true", "runs is True, not int"),
        ("[table]\nx = 1", "unknown field 'table'"),
        ("learning_rate = nan", "learning_rate is nan"),
        ("runs = " + "[" * 9000 + "]" * 9000, "not valid TOML"),
        ("runs = " + "9" * 5000, "not valid TOML"),
        ("runs = 0x" + "f" * 5000, "runs is an integer of thousands of digits; 1 to"),
        ("learning_rate = 1" + "0" * 400, "learning_rate is 1000.*…, too large"),
        ("batch-size = 3\nbatch_size = 4", "'batch_size' is given twice, with - and with _; keep one"),
        ("keep_slots = '" + "x" * 100_000 + "'", "keep_slots is 'xxx"),
        ("x" * 100_000 + " = 1", "unknown field 'xxx"),
        ("\xff", "unknown field|not valid TOML"),
    ],
)
def test_bad_toml_is_one_line(tmp_path, text, message):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=message) as caught:
        TrainConfig.from_toml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 200


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"runs": 0}, "runs is 0; 1 to"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 3000}, "batch_size 3000 exceeds samples 2000"),
        ({"prune_to": 9}, "prune_to 9 exceeds slots 8"),
        ({"format": "2x2"}, "target '2x2' is not understood"),
        ({"format": "9x9x9"}, "larger than 8x8x8"),
        ({"optimizer": "lion"}, "use one of adamw, adam, sgd"),
        ({"epochs": 5}, "both steps and epochs"),
        ({"samples": 0, "steps": 0, "epochs": 5}, "epochs need a fixed training set"),
        ({"steps": 0, "retrain_steps": 0}, "nothing to train"),
        ({"keep_slots": "0,1,2"}, "7 different numbers in 0..7"),
        ({"keep_slots": "0,1,2,3,4,5,8"}, "7 different numbers in 0..7"),
        ({"keep_slots": "a,b"}, "keep_slots is 'a,b'"),
        ({"seed": -1}, "seed is -1"),
        ({"learning_rate": -1.0}, "learning_rate is -1"),
        ({"runs": 0, "batch_size": 0}, "runs is 0.*; batch_size is 0"),
    ],
)
def test_impossible_configurations_say_everything_that_is_wrong(fields, message):
    with pytest.raises(InvalidInput, match=message):
        TrainConfig(**fields)


def test_steps_and_epochs():
    config = TrainConfig(samples=1000, batch_size=32, steps=0, retrain_steps=10, epochs=3)
    assert config.steps_per_epoch == 32
    assert config.first_steps == 96
    assert config.total_steps == 106
    assert TrainConfig(prune_to=0).final_slots == 8
    assert TrainConfig(runs=257).shards == 2


def test_every_field_explains_itself():
    import dataclasses

    for field in dataclasses.fields(TrainConfig):
        assert len(field.metadata["help"]) > 3, field.name
