"""The population trainer against one-run PyTorch loops with autograd and torch.optim."""

import numpy as np
import pytest
import torch

from grokkit.training import TrainConfig
from grokkit.training._data import ShardData, features, generator, operands, second_moment
from grokkit.training._engine import Engine, _Workspace, learning_rate
from grokkit.training._reference import forward, product, train_one

BASE = {
    "dtype": "float64",
    "steps": 40,
    "retrain_steps": 30,
    "samples": 100,
    "runs": 3,
    "shard_size": 3,
    "seed": 5,
}

VARIANTS = {
    "default": {},
    "source optimizer": {"learning_rate": 1e-3, "beta2": 0.999, "clip": 0.0, "prune_by": "norm"},
    "batch of one": {"batch_size": 1},
    "small batches": {"batch_size": 8},
    "partial last batch": {"batch_size": 48},
    "full batch": {"batch_size": 100},
    "shared minibatch": {"minibatch": "shared"},
    "fresh samples": {"samples": 0},
    "fresh shared samples": {"samples": 0, "minibatch": "shared", "batch_size": 4},
    "uniform": {"distribution": "uniform"},
    "adam": {"optimizer": "adam", "learning_rate": 5e-3},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 0.01},
    "sgd with momentum": {
        "optimizer": "sgd",
        "learning_rate": 0.02,
        "momentum": 0.9,
        "retrain_learning_rate": 0.01,
    },
    "schedules": {"schedule": "linear", "retrain_schedule": "cosine"},
    "no pruning": {"prune_to": 0},
    "six slots": {"slots": 12, "prune_to": 6},
    "given slots": {"keep_slots": "0,2,3,4,5,6,7"},
    "proximal L1": {"l1": 0.05, "l1_phase": "all", "balance_every": 7},
    "proximal L1 late": {"l1": 0.05, "l1_release": 0.5},
    "weight noise": {"weight_noise": 0.05},
    "independent": {"init": "independent"},
    "tied": {"init": "tied"},
    "4x4 in blocks": {"blocks": 2},
    "4x4 in blocks, batch of one": {"blocks": 2, "batch_size": 1},
    "6x6 in blocks, shared": {"blocks": 3, "minibatch": "shared"},
    "rectangular": {"format": "2x1x3", "slots": 7, "prune_to": 6},
    "3x3": {"format": "3x3x3", "slots": 25, "prune_to": 23, "steps": 10, "retrain_steps": 5},
    "epochs": {"steps": 0, "epochs": 3, "retrain_steps": 0, "retrain_epochs": 2},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_it_trains_as_a_plain_loop_does(name):
    config = TrainConfig(**BASE | VARIANTS[name])
    engine = Engine(config, np.arange(3))
    engine.advance(config.first_steps)
    if config.prune_to:
        engine.prune()
    engine.advance(config.total_steps)
    a, b, _ = config.target.shape
    weights = engine.weights()
    for run in range(3):
        u, v, w = train_one(config, run)
        assert np.allclose(weights[run, :, :a], u, rtol=1e-7, atol=1e-9)
        assert np.allclose(weights[run, :, a : a + b], v, rtol=1e-7, atol=1e-9)
        assert np.allclose(weights[run, :, a + b :].T, w, rtol=1e-7, atol=1e-9)


def test_single_precision_stays_close():
    config = TrainConfig(**BASE | {"dtype": "float32"})
    engine = Engine(config, np.arange(3))
    engine.advance(config.first_steps)
    for run in range(3):
        u, _, _ = train_one(config.replace(prune_to=0), run, config.first_steps)
        assert np.allclose(engine.weights()[run, :, :4], u, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 16, 17, 64])
@pytest.mark.parametrize("minibatch", ["own", "shared"])
@pytest.mark.parametrize(("form", "slots"), [("2x2x2", 7), ("3x3x3", 23), ("2x3x1", 6)])
def test_gradient_against_autograd(batch_size, minibatch, form, slots):
    config = TrainConfig(
        format=form,
        slots=slots,
        prune_to=0,
        batch_size=batch_size,
        minibatch=minibatch,
        dtype="float64",
        samples=200,
    )
    engine = Engine(config, np.arange(4))
    z = engine.data.batch(0)
    gradient = engine.gradient_at(engine._theta, z).permute(2, 0, 1)
    theta = engine.theta.detach().clone().requires_grad_()
    a, b, c = config.target.shape
    u, v, w = theta[..., :a], theta[..., a : a + b], theta[..., a + b :]
    error = torch.einsum("psi,psj,psk->pijk", u, v, w) - torch.from_numpy(config.target.tensor())
    samples = z.expand(-1, -1, 4).permute(2, 0, 1)
    outputs = samples @ error.reshape(4, a * b, c)
    outputs.square().mean((1, 2)).sum().backward()
    assert torch.allclose(gradient, theta.grad, rtol=1e-9, atol=1e-11)


def test_features_compute_the_product():
    for blocks in (1, 2, 3):
        config = TrainConfig(blocks=blocks)
        pairs = torch.from_numpy(operands(config, generator(0, 1), 5)).double()
        z = features(config, pairs).reshape(5, blocks, blocks, 16)
        tensor = torch.from_numpy(config.target.tensor()).double().reshape(16, 4)
        computed = (z @ tensor).permute(1, 2, 0, 3)
        assert torch.allclose(computed, product(config, pairs))
        q = 2 * blocks
        a = pairs[:, : q * q].reshape(5, blocks, blocks, 2, 2).permute(0, 1, 3, 2, 4).reshape(5, q, q)
        b = pairs[:, q * q :].reshape(5, blocks, blocks, 2, 2).permute(0, 1, 3, 2, 4).reshape(5, q, q)
        whole = (a @ b).reshape(5, blocks, 2, blocks, 2).permute(1, 3, 0, 2, 4).reshape(blocks, blocks, 5, 4)
        assert torch.allclose(computed, whole)


def test_losses_are_mean_squared_errors_of_the_network():
    config = TrainConfig(blocks=2, samples=50, test_samples=40, dtype="float64")
    engine = Engine(config, np.arange(2))
    train, test = engine.losses()
    from grokkit.training._data import TEST, TRAIN

    for run in range(2):
        theta = engine.theta[run]
        parameters = [theta[:, :4], theta[:, 4:8], theta[:, 8:]]
        for found, key, count in ((train, (TRAIN, run), 50), (test, (TEST,), 40)):
            pairs = torch.from_numpy(operands(config, generator(config.seed, *key), count)).double()
            error = forward(config, parameters, pairs) - product(config, pairs)
            assert found[run] == pytest.approx(float(error.square().mean()), rel=1e-9)


def test_gradient_statistics_cover_the_steps_since_last_asked():
    config = TrainConfig(**BASE | {"clip": 0.0})
    engine = Engine(config, np.arange(3))
    norms = []
    for _ in range(6):
        norms.append(engine._one_step().double().numpy().copy())
        engine.step += 1
    again = Engine(config, np.arange(3))
    assert np.isnan(again.gradient_statistics()[0]).all()
    for step in range(6):  # in two calls
        again.advance(step + 1)
    mean, variation = again.gradient_statistics()
    assert mean == pytest.approx(np.mean(norms, axis=0), rel=1e-12)
    assert variation == pytest.approx(np.std(norms, axis=0) / np.mean(norms, axis=0), rel=1e-6)
    assert np.isnan(again.gradient_statistics()[0]).all()


def test_pruning_keeps_the_most_important_slots():
    config = TrainConfig(**BASE | {"prune_by": "norm"})
    engine = Engine(config, np.arange(3))
    before = engine.weights()
    norms = np.sqrt((engine.slot_norms_by_factor() ** 2).sum(axis=2))
    kept = engine.prune()
    for run in range(3):
        assert set(range(8)) - set(kept[run]) == {int(norms[run].argmin())}
        assert (engine.weights()[run] == before[run, kept[run]]).all()


def test_training_order_is_shared_but_data_are_not():
    config = TrainConfig(samples=40, batch_size=8, dtype="float64")
    data = ShardData(config, np.arange(3), torch.device("cpu"))
    batch = data.batch(0)
    assert batch.shape == (8, 16, 3)
    assert not torch.allclose(batch[:, :, 0], batch[:, :, 1])
    epoch = torch.cat([data.batch(step) for step in range(5)])
    shuffled = torch.cat([data.batch(step) for step in range(5, 10)])
    assert not torch.equal(epoch, shuffled)
    moments = (second_moment(x.permute(2, 0, 1)) for x in (epoch, shuffled))
    first, second = moments
    assert torch.allclose(first, second)
    assert torch.allclose(first, data.train_moment)


def test_large_training_sets_are_expanded_batch_by_batch(monkeypatch):
    from grokkit.training import _data

    config = TrainConfig(**BASE)
    whole = ShardData(config, np.arange(3), torch.device("cpu"))
    monkeypatch.setattr(_data, "EXPANDED_VALUES", 0)
    pieces = ShardData(config, np.arange(3), torch.device("cpu"))
    for step in (0, 1, 3, 7):
        assert torch.allclose(whole.batch(step), pieces.batch(step))


def test_schedules():
    config = TrainConfig(
        steps=10,
        retrain_steps=10,
        learning_rate=1.0,
        schedule="linear",
        retrain_learning_rate=1.0,
        final_learning_rate=0.0,
    )
    rates = [learning_rate(config, step) for step in range(20)]
    assert rates[:10] == pytest.approx([1 - i / 10 for i in range(10)])
    assert rates[10] == 1
    assert rates[15] == pytest.approx(0.5)
    assert rates == sorted(rates[:10], reverse=True) + sorted(rates[10:], reverse=True)


def test_contractions_agree_in_both_forms(monkeypatch):
    from grokkit.training import _engine

    config = TrainConfig(dtype="float64", samples=50)
    broadcast = Engine(config, np.arange(5))
    monkeypatch.setattr(_engine, "BROADCAST_VALUES", 0)
    batched = Engine(config, np.arange(5))
    assert broadcast._work.broadcast and not batched._work.broadcast
    z = broadcast.data.batch(3)
    one = broadcast.gradient_at(broadcast._theta, z).clone()
    assert torch.allclose(one, batched.gradient_at(batched._theta, z))
    assert isinstance(broadcast._work, _Workspace)
