"""The population trainers against one-run PyTorch loops with autograd and torch.optim."""

import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch

from grokkit import _native
from grokkit.scheme import InvalidInput
from grokkit.training import TrainConfig, _engine, _native_engine, _torch_engine, untrained
from grokkit.training._data import TEST, TRAIN, ShardData, generator, operands, second_moment
from grokkit.training._engine import learning_rate, make_engine, resolve_engine
from grokkit.training._reference import forward, product, train_one
from grokkit.training._torch_engine import TorchEngine, _Batches, features

ENGINES = ["torch", "native"] if _native.load() is not None else ["torch"]
CPU = torch.device("cpu")

torch.set_num_threads(1)  # the plain loops' operations are too small for more

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


@cache
def plain_loops(name):
    """U, V and W of three runs, trained one by one."""
    return [train_one(TrainConfig(**BASE | VARIANTS[name]), run) for run in range(3)]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("kind", ENGINES)
def test_it_trains_as_a_plain_loop_does(name, kind):
    config = TrainConfig(**BASE | VARIANTS[name] | {"engine": kind})
    engine = make_engine(config, np.arange(3))
    engine.advance(config.first_steps)
    if config.prune_to:
        engine.prune()
    engine.advance(config.total_steps)
    a, b, _ = config.target.shape
    weights = engine.weights()
    for run, (u, v, w) in enumerate(plain_loops(name)):
        assert np.allclose(weights[run, :, :a], u, rtol=1e-7, atol=1e-9)
        assert np.allclose(weights[run, :, a : a + b], v, rtol=1e-7, atol=1e-9)
        assert np.allclose(weights[run, :, a + b :].T, w, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ENGINES)
def test_single_precision_stays_close(kind):
    config = TrainConfig(**BASE | {"dtype": "float32", "engine": kind})
    engine = make_engine(config, np.arange(3))
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
    engine = TorchEngine(config, np.arange(4))
    z = engine._batches.at(0)
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


@pytest.mark.parametrize("kind", ENGINES)
def test_losses_are_mean_squared_errors_of_the_network(kind):
    config = TrainConfig(blocks=2, samples=50, test_samples=40, dtype="float64", engine=kind)
    engine = make_engine(config, np.arange(2))
    train, test = engine.losses()
    for run in range(2):
        theta = torch.from_numpy(engine.weights()[run])
        parameters = [theta[:, :4], theta[:, 4:8], theta[:, 8:]]
        for found, key, count in ((train, (TRAIN, run), 50), (test, (TEST,), 40)):
            pairs = torch.from_numpy(operands(config, generator(config.seed, *key), count)).double()
            error = forward(config, parameters, pairs) - product(config, pairs)
            assert found[run] == pytest.approx(float(error.square().mean()), rel=1e-9)


@pytest.mark.parametrize("kind", ENGINES)
def test_gradient_statistics_cover_the_steps_since_last_asked(kind):
    config = TrainConfig(**BASE | {"clip": 0.5, "engine": kind})
    engine = TorchEngine(config, np.arange(3))
    norms = []
    for _ in range(6):
        norms.append(engine._one_step().double().numpy().copy())
        engine.step += 1
    again = make_engine(config, np.arange(3))
    assert np.isnan(again.gradient_statistics()[0]).all()
    for step in range(6):  # in two calls
        again.advance(step + 1)
    mean, variation = again.gradient_statistics()
    assert mean == pytest.approx(np.mean(norms, axis=0), rel=1e-12)
    assert variation == pytest.approx(np.std(norms, axis=0) / np.mean(norms, axis=0), rel=1e-6)
    assert np.isnan(again.gradient_statistics()[0]).all()


@pytest.mark.parametrize("kind", ENGINES)
def test_pruning_keeps_the_most_important_slots(kind):
    config = TrainConfig(**BASE | {"prune_by": "norm", "engine": kind})
    engine = make_engine(config, np.arange(3))
    before = engine.weights()
    norms = np.sqrt((engine.slot_norms_by_factor() ** 2).sum(axis=2))
    kept = engine.prune()
    for run in range(3):
        assert set(range(8)) - set(kept[run]) == {int(norms[run].argmin())}
        assert (engine.weights()[run] == before[run, kept[run]]).all()


def test_training_order_is_shared_but_data_are_not():
    config = TrainConfig(samples=40, batch_size=8, dtype="float64")
    data = ShardData(config, np.arange(3))
    batches = _Batches(config, data, CPU)
    batch = batches.at(0)
    assert batch.shape == (8, 16, 3)
    assert not torch.allclose(batch[:, :, 0], batch[:, :, 1])
    epoch = torch.cat([batches.at(step) for step in range(5)])
    shuffled = torch.cat([batches.at(step) for step in range(5, 10)])
    assert not torch.equal(epoch, shuffled)
    assert data.train_moment is not None
    for z in (epoch, shuffled):
        moment = torch.einsum("sxr,syr->rxy", z, z) / len(z)
        assert np.allclose(moment.numpy(), data.train_moment)


def test_the_second_moment_is_that_of_the_features():
    config = TrainConfig(blocks=2, format="2x1x3")
    pairs = operands(config, generator(3, 1), 40)
    z = features(config, torch.from_numpy(pairs).double()).numpy()
    assert np.allclose(second_moment(config, pairs), z.T @ z / len(z))


def test_large_training_sets_are_expanded_batch_by_batch(monkeypatch):
    config = TrainConfig(**BASE)
    data = ShardData(config, np.arange(3))
    whole = _Batches(config, data, CPU)
    monkeypatch.setattr(_torch_engine, "EXPANDED_VALUES", 0)
    pieces = _Batches(config, data, CPU)
    for step in (0, 1, 3, 7):
        assert torch.allclose(whole.at(step), pieces.at(step))


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
    config = TrainConfig(dtype="float64", samples=50)
    broadcast = TorchEngine(config, np.arange(5))
    monkeypatch.setattr(_torch_engine, "BROADCAST_VALUES", 0)
    batched = TorchEngine(config, np.arange(5))
    assert broadcast._work.broadcast and not batched._work.broadcast
    z = broadcast._batches.at(3)
    one = broadcast.gradient_at(broadcast._theta, z).clone()
    assert torch.allclose(one, batched.gradient_at(batched._theta, z))


def test_the_native_engine_serves_where_it_can(monkeypatch):
    config = TrainConfig()
    if _native.load() is not None:
        assert resolve_engine(config).engine == "native"
        assert resolve_engine(config.replace(format="3x3x3", slots=64, blocks=4, prune_to=0)).engine == "native"
    assert resolve_engine(config.replace(engine="torch")).engine == "torch"
    for device in ("nonsense", "meta"):
        with pytest.raises(InvalidInput, match=rf"device '{device}': torch cannot use it \(.*\); use cpu"):
            resolve_engine(config, device)
    for too_large in ({"slots": 65}, {"blocks": 5}, {"format": "4x2x2"}):
        assert resolve_engine(config.replace(**too_large)).engine == "torch"
        with pytest.raises(InvalidInput, match=r"engine native: .*; use --engine torch"):
            resolve_engine(config.replace(engine="native", **too_large))
    with pytest.raises(InvalidInput, match="it runs on the CPU only"):
        resolve_engine(config.replace(engine="native"), "cuda")
    monkeypatch.setattr(_engine, "_check_device", lambda _: None)
    assert resolve_engine(config, "cuda").engine == "torch"
    monkeypatch.setattr(_native_engine._native, "load", lambda: None)
    assert resolve_engine(config).engine == "torch"
    with pytest.raises(InvalidInput, match="engine native: native core"):
        resolve_engine(config.replace(engine="native"))


@pytest.mark.parametrize("kind", ENGINES)
def test_a_diverged_run_stays_diverged_and_alone(kind):
    """Not a number must not be mended by a clip or a threshold, nor reach another run."""
    config = TrainConfig(**BASE | {"l1": 0.01, "l1_phase": "all", "balance_every": 5, "engine": kind})
    good, bad = make_engine(config, np.arange(3)), make_engine(config, np.arange(3))
    state = bad.state()
    state["theta"][1, 0, 0] = np.nan
    bad.restore(state)
    for engine in (good, bad):
        engine.advance(20)
    assert np.isnan(bad.weights()[1]).any() and np.isnan(bad.losses()[1][1])
    for run in (0, 2):
        assert (bad.weights()[run] == good.weights()[run]).all()


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize(
    "variant", ["default", "fresh samples", "shared minibatch", "weight noise", "proximal L1", "4x4 in blocks"]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pieces_and_the_whole_give_the_same_bits(variant, kind, dtype):
    config = TrainConfig(**BASE | VARIANTS[variant] | {"engine": kind, "dtype": dtype})
    whole, first = make_engine(config, np.arange(3)), make_engine(config, np.arange(3))
    whole.advance(config.first_steps)
    whole.prune()
    whole.advance(config.total_steps)
    first.advance(17)
    second = make_engine(config, np.arange(3))
    second.restore({name: np.array(array) for name, array in first.state().items()})
    second.advance(config.first_steps)
    second.prune()
    third = make_engine(config, np.arange(3))
    third.restore(second.state())
    assert third.slots == config.final_slots
    third.advance(config.first_steps + 1)
    third.advance(config.total_steps)
    for name, array in whole.state().items():
        assert np.array_equal(array, third.state()[name]), name


BITS = """
import hashlib, sys
import numpy as np
from grokkit import _native
from grokkit.training import TrainConfig
from grokkit.training._engine import make_engine
assert _native.load().instruction_set == sys.argv[1]
digest = hashlib.sha256()
for fields in eval(sys.argv[2]):
    config = TrainConfig(**fields, engine="native")
    engine = make_engine(config, np.arange(19))
    engine.advance(config.first_steps)
    engine.prune()
    engine.advance(config.total_steps)
    for name, array in sorted(engine.state().items()):
        digest.update(np.ascontiguousarray(array).tobytes())
print(digest.hexdigest())
"""


@pytest.mark.skipif(_native.load() is None, reason="no native core")
def test_every_instruction_set_gives_the_same_bits():
    core = _native.load()
    assert core is not None
    sets = _native.SETS[: _native.SETS.index(core.instruction_set) + 1]
    variants = [
        {**BASE, **VARIANTS[name], "dtype": dtype, "runs": 19, "shard_size": 19, "retrain_steps": 20}
        for name in ("default", "sgd with momentum", "proximal L1", "4x4 in blocks", "shared minibatch")
        for dtype in ("float32", "float64")
    ]
    digests = {
        name: subprocess.run(
            [sys.executable, "-c", BITS, name, repr(variants)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {_native.VARIABLE: name},
        ).stdout
        for name in sets
    }
    assert len(set(digests.values())) == 1, digests


@pytest.mark.parametrize("kind", ENGINES)
def test_untrained_factors_are_those_that_training_starts_from(kind):
    config = TrainConfig(**BASE | {"prune_by": "norm", "engine": kind})
    engine = make_engine(config, np.arange(3))
    engine.prune()
    u, v, w = untrained(config)
    assert np.array_equal(engine.weights(), np.concatenate([u, v, w.swapaxes(1, 2)], axis=2))
    largest, mean = engine.lattice_distances()
    distance = np.abs(engine.weights() - np.clip(np.rint(engine.weights()), -1, 1)).reshape(3, -1)
    assert largest == pytest.approx(distance.max(axis=1))
    assert mean == pytest.approx(distance.mean(axis=1))
