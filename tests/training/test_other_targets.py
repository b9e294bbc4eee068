"""Networks that learn other maps than matrix products, and what crystallization makes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from grokkit.cli import main
from grokkit.crystallize import crystallize
from grokkit.scheme import InvalidInput, expand, load, verify
from grokkit.training import TrainConfig, train
from grokkit.training._data import TRAIN, generator, operands
from grokkit.training._engine import make_engine, resolve_engine
from grokkit.training._reference import product, train_one

SMALL = {"runs": 3, "shard_size": 3, "samples": 200, "steps": 1500, "retrain_steps": 1500}


@pytest.mark.parametrize(
    ("form", "slots", "rank"), [("poly:2", 4, 3), ("complex", 4, 3), ("toeplitz:2", 4, 3), ("cyclic:3", 5, 4)]
)
def test_trained_crystallized_and_proven(form, slots, rank):
    population = train(TrainConfig(format=form, slots=slots, prune_to=rank, **SMALL))
    assert population.converged >= 2
    result = crystallize(population.factors, population.config.target, method="rational")
    assert result.exact >= 2
    for run in result:
        if run.exact:
            assert run.scheme.rank == rank
            verify(run.scheme)


def test_what_was_learned_expands_to_any_length():
    population = train(TrainConfig(format="poly:2", slots=4, prune_to=3, **SMALL))
    result = crystallize(population.factors, population.config.target, method="rational")
    scheme = next(run.scheme for run in result if run.exact)
    large = expand(scheme, 3)
    assert (large.rank, large.target.name) == (27, "<poly:8>")
    verify(large)


@pytest.mark.parametrize("form", ["poly:3x2", "cyclic:4", "quaternion", "toeplitz:2x3"])
@pytest.mark.parametrize("batch_size", [4, 64])
def test_the_engine_against_one_run_of_plain_torch(form, batch_size):
    config = TrainConfig(
        format=form, slots=6, prune_to=0, samples=80, steps=30, retrain_steps=0, batch_size=batch_size, dtype="float64"
    )
    assert resolve_engine(config).engine == "torch"
    engine = make_engine(config, np.arange(3))
    engine.advance(30)
    a, b, _ = config.target.shape
    for run in range(3):
        u, v, w = train_one(config, run, 30)
        weights = engine.weights()[run]
        assert np.allclose(weights[:, :a], u, rtol=1e-9, atol=1e-11)
        assert np.allclose(weights[:, a : a + b], v, rtol=1e-9, atol=1e-11)
        assert np.allclose(weights[:, a + b :].T, w, rtol=1e-9, atol=1e-11)


def test_the_true_product_is_the_maps():
    config = TrainConfig(format="poly:3x2", samples=50)
    pairs = operands(config, generator(0, TRAIN), 50).astype(np.float64)
    found = product(config, torch.from_numpy(pairs))[0, 0].numpy()
    for row, pair in zip(found, pairs, strict=True):
        assert row == pytest.approx(np.convolve(pair[:3], pair[3:]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": "poly:2", "blocks": 2}, "only matrices come in blocks"),
        ({"format": "poly:80"}, "larger than 8x8x8"),
        ({"format": "poly"}, "target 'poly' is not understood"),
        ({"format": "poly:2", "engine": "native"}, "it trains matrix products"),
    ],
)
def test_what_cannot_be_trained(fields, message):
    with pytest.raises(InvalidInput, match=message):
        resolve_engine(TrainConfig(**fields))


def test_on_the_command_line(tmp_path, capsys):
    out = tmp_path / "runs"
    options = ["--format", "complex", "--slots", "4", "--prune-to", "3", "--runs", "3", "--shard-size", "3"]
    assert main(["train", *options, "--samples", "200", "--out", str(out), "--json"]) == 0
    capsys.readouterr()
    assert main(["crystallize", str(out), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["target"] == {"kind": "complex"}
    assert summary["exact"] >= 2
    verify(load(next((out / "crystallized-rational" / "schemes").glob("*.json"))))
