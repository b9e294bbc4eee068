import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from grokkit import _native
from grokkit.scheme import InvalidInput, UnreadableFile
from grokkit.training import TrainConfig, load_population, train
from grokkit.training import _train as internals
from grokkit.training._shard import ShardRun, load_shard

SMALL = TrainConfig(runs=10, shard_size=4, steps=60, retrain_steps=40, samples=200, log_points=12)


def same(a, b):
    """Bit for bit, trajectories included."""
    assert (a.runs == b.runs).all()
    for name in ("U", "V", "W", "steps_done"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    for name, array in a.trajectory.arrays().items():
        assert np.array_equal(array, b.trajectory.arrays()[name], equal_nan=True), name


@pytest.fixture(scope="module")
def whole():
    return train(SMALL)


def test_shapes_and_trajectory(whole):
    assert whole.U.shape == (10, 7, 4)
    assert whole.V.shape == (10, 7, 4)
    assert whole.W.shape == (10, 4, 7)
    assert whole.complete
    assert (whole.steps_done == 100).all()
    log = whole.trajectory
    assert log.steps[0] == 0 and log.steps[-1] == 100
    assert (np.diff(log.steps) >= 0).all()
    assert log.steps[log.pruned][0] == log.steps[~log.pruned][-1] == 60
    assert np.isfinite(log.train_loss).all() and np.isfinite(log.test_loss).all()
    assert np.isnan(log.gradient_norm[:, 0]).all()
    first_pruned = int(np.argmax(log.pruned))
    finite = np.isfinite(log.gradient_norm)
    assert finite[:, 1:first_pruned].all() and finite[:, first_pruned + 1 :].all()
    assert np.isfinite(log.slot_norms[:, ~log.pruned]).all()
    assert np.isnan(log.slot_norms[:, log.pruned, 7]).all()
    assert (log.lattice_distance >= 0).all()
    assert len(whole) == 10
    assert whole.runs_steps_per_second > 0


def test_the_last_point_describes_the_factors(whole):
    tensor = np.einsum("psi,psj,pks->pijk", whole.U, whole.V, whole.W)
    error = tensor - SMALL.target.tensor()
    expected = (error**2).sum((1, 2, 3)) / 4  # for Gaussian operands, up to the sampling of the test set
    assert np.corrcoef(np.log(expected), np.log(whole.test_loss))[0, 1] > 0.9
    flat = np.concatenate([whole.U.reshape(10, -1), whole.V.reshape(10, -1), whole.W.reshape(10, -1)], axis=1)
    distance = np.abs(flat - np.clip(np.rint(flat), -1, 1)).max(1)
    assert whole.trajectory.lattice_distance[:, -1] == pytest.approx(distance)
    norms = np.sqrt((whole.U**2).sum(2) + (whole.V**2).sum(2) + (whole.W**2).sum(1))
    assert whole.trajectory.slot_norms[:, -1, :7] == pytest.approx(norms)


def test_any_number_of_workers_gives_the_same_bits(whole, tmp_path):
    same(whole, train(SMALL, workers=2))
    same(whole, train(SMALL, workers=3, out=tmp_path / "p"))
    same(whole, load_population(tmp_path / "p"))


def test_a_run_does_not_depend_on_how_many_there_are(whole):
    more = train(SMALL.replace(runs=13))
    assert (more.U[:10] == whole.U).all()
    fewer = train(SMALL.replace(runs=2))
    assert (whole.W[:2] == fewer.W).all()


def test_a_run_hardly_depends_on_the_shard_size(whole):
    other = train(SMALL.replace(shard_size=10))
    assert np.allclose(other.U, whole.U, rtol=1e-2, atol=1e-3)


def test_seeds_and_runs_differ(whole):
    other = train(SMALL.replace(seed=1))
    assert not np.allclose(other.U, whole.U)
    assert len({u.tobytes() for u in whole.U}) == 10


@pytest.mark.parametrize("cut", [1, 7, 33, 60, 61, 99])
def test_going_on_gives_the_same_bits(whole, cut):
    """Stop a shard at some step, carry its state through arrays, and finish it elsewhere."""
    first = ShardRun(SMALL, 1)
    calls = []

    def stop():
        calls.append(first.engine.step)
        return first.engine.step >= cut

    from grokkit.training import _shard

    old, _shard.CHECK_EVERY = _shard.CHECK_EVERY, 1
    try:
        first.train(stop, lambda _: None)
    finally:
        _shard.CHECK_EVERY = old
    state = {name: np.array(array) for name, array in first.data().items()}
    second = ShardRun(SMALL, 1)
    second.restore(state)
    second.train(lambda: False, lambda _: None)
    assert second.finished
    expected = np.concatenate([whole.U, whole.V, whole.W.swapaxes(1, 2)], axis=2)[4:8]
    assert (second.engine.weights() == expected).all()
    for name, array in second.trajectory.arrays().items():
        if name not in ("steps", "pruned"):
            assert np.array_equal(array, whole.trajectory.arrays()[name][4:8], equal_nan=True), name


def test_interrupted_training_keeps_what_it_has_and_goes_on(whole, tmp_path, monkeypatch):
    """As after Ctrl-C: the stop event is set while the second shard trains."""
    seen = []

    class Stopper:
        def __init__(self):
            self.steps = 0

        def __call__(self, count):
            seen.append(count)

    events = []
    original = internals._interruptible

    from contextlib import contextmanager

    @contextmanager
    def interruptible():
        with original() as event:
            events.append(event)
            yield event

    monkeypatch.setattr(internals, "_interruptible", interruptible)

    def progress(count):
        seen.append(count)
        if sum(seen) > 600:
            events[-1].set()

    out = tmp_path / "run"
    partial = train(SMALL, out=out, progress=progress)
    assert not partial.complete
    assert 0 < len(partial) < 10
    assert partial.steps_done.min() > 0 or len(partial) == 4
    assert sorted(path.name for path in (out / "shards").iterdir())[0] == "00000.npz"
    assert len(load_population(out)) == len(partial)
    seen.clear()
    events.clear()
    monkeypatch.undo()
    total = []
    finished = train(SMALL, out=out, progress=total.append)
    same(finished, whole)
    assert sum(total) == 10 * 100
    assert sorted(path.name for path in (out / "shards").iterdir()) == ["00000.npz", "00001.npz", "00002.npz"]
    assert finished.complete


def test_a_partly_pruned_population_has_one_shape(tmp_path):
    config = SMALL.replace(runs=8)
    done, begun = ShardRun(config, 0), ShardRun(config, 1)
    done.train(lambda: False, lambda _: None)
    begun.engine.advance(5)
    population = internals._assemble(config, {0: done.data(), 1: begun.data()})
    assert population.U.shape == (8, 8, 4)
    assert (population.U[:4, 7] == 0).all()
    assert (population.U[4:, 7] != 0).any()
    assert not population.complete


def test_finished_work_is_not_repeated(tmp_path, monkeypatch):
    out = tmp_path / "run"
    train(SMALL, out=out)
    times = {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    monkeypatch.setattr(internals, "ShardRun", None)
    train(SMALL, out=out)
    assert times == {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}


def test_a_directory_holds_one_configuration(tmp_path):
    train(SMALL.replace(runs=2), out=tmp_path / "run")
    with pytest.raises(InvalidInput, match=r"holds another training run, with other seed \(0 there, 9 here\)"):
        train(SMALL.replace(runs=2, seed=9), out=tmp_path / "run")


def test_damaged_shards_are_refused_with_the_remedy(tmp_path):
    out = tmp_path / "run"
    train(SMALL.replace(runs=2), out=out)
    shard = out / "shards" / "00000.npz"
    good = shard.read_bytes()
    shard.write_bytes(good[: len(good) // 2])
    with pytest.raises(UnreadableFile, match="damaged"):
        load_population(out)
    np.savez(shard, point=np.array(0))
    with pytest.raises(UnreadableFile, match="delete it to train that shard again"):
        load_population(out)
    shard.unlink()
    with pytest.raises(InvalidInput, match="no shards in it yet"):
        load_population(out)
    with pytest.raises(InvalidInput, match=r"no config\.toml"):
        load_population(tmp_path)


def with_bad(name, value):
    """A change of a shard: the array `name` becomes `value`, or what it makes of the array."""
    return lambda data: data | {name: np.array(value(data[name]) if callable(value) else value)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_bad("engine.theta", lambda x: x[:, :-1]), "engine.theta is float32 of shape"),
        (with_bad("engine.mean", lambda x: x.astype(np.float64)), "engine.mean is float64 of shape"),
        (with_bad("engine.square", 0.0), "engine.square is"),
        (with_bad("engine.norms", lambda x: x.T), "engine.norms is"),
        (with_bad("engine.step", -1), "step -1"),
        (with_bad("engine.step", 10**9), "step 1000000000"),
        (with_bad("engine.norms_since", 101), "gradients since 101"),
        (with_bad("point", 10**9), "point is 1000000000"),
        (with_bad("point", [1, 2]), "point is no single number"),
        (with_bad("point", 3), "does not fit point 3"),
        (with_bad("pruned_now", [True, False]), "pruned_now is no single number"),
        (with_bad("pruned_now", False), "is float|does not fit"),
        (with_bad("seconds", "long"), "seconds is no single number"),
        (with_bad("seconds", np.nan), "seconds is nan"),
        (with_bad("weights", lambda x: x.astype(str)), "weights is <U"),
        (with_bad("weights", lambda x: x.astype(object)), "object arrays"),
        (with_bad("trajectory.steps", lambda x: x + 1), "trajectory.steps is not that of the configuration"),
        (with_bad("trajectory.pruned", lambda x: ~x), "trajectory.pruned is not that of the configuration"),
        (with_bad("trajectory.test_loss", lambda x: x.astype(complex)), "trajectory.test_loss is complex"),
        (with_bad("more", 1), "not a shard of a training run"),
        (None, "damaged"),
    ],
)
def test_a_shard_that_does_not_fit_is_refused_with_the_remedy(whole_shard, tmp_path, change, message):
    path = tmp_path / "00000.npz"
    if change is None:
        path.write_bytes(b"")
    else:
        np.savez(path, **change(whole_shard))
    with pytest.raises(UnreadableFile, match=message) as caught:
        load_shard(path, SMALL, 0)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith("delete it to train that shard again")


@pytest.fixture(scope="module")
def whole_shard():
    shard = ShardRun(SMALL, 0)
    shard.train(lambda: False, lambda _: None)
    return shard.data()


def test_a_shard_may_hold_runs_that_diverged(whole_shard, tmp_path):
    weights = whole_shard["weights"].copy()
    weights[1] = np.nan
    np.savez(tmp_path / "00000.npz", **whole_shard | {"weights": weights})
    assert np.isnan(load_shard(tmp_path / "00000.npz", SMALL, 0)["weights"][1]).all()


def test_what_is_stored_now_and_then_is_enough_to_go_on(whole, tmp_path, monkeypatch):
    """As after SIGKILL: nothing runs after the second partial save."""
    monkeypatch.setattr(internals, "SAVE_SECONDS", 0.0)
    same(train(SMALL), whole)
    stored = []
    store = internals._store

    def store_twice(folder, number, data):
        store(folder, number, data)
        stored.append(int(data["engine.step"]))
        if len(stored) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(internals, "_store", store_twice)
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, out=tmp_path)
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["00000.partial.npz"]
    assert 0 < stored[0] < stored[1] < 100
    monkeypatch.setattr(internals, "_store", store)
    total = []
    same(train(SMALL, out=tmp_path, progress=total.append), whole)
    assert total[0] == stored[1] * 4


def test_sigterm_stops_like_ctrl_c(whole, tmp_path):
    seen = []

    def progress(count):
        seen.append(count)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGTERM)

    partial = train(SMALL, out=tmp_path, progress=progress)
    assert not partial.complete and 0 < partial.steps_done[0] < 100
    same(train(SMALL, out=tmp_path), whole)


def test_a_signal_that_takes_the_workers_too_is_an_interruption(monkeypatch):
    import joblib

    class Parallel:
        def __init__(self, n_jobs):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def __call__(self, tasks):
            signal.raise_signal(signal.SIGTERM)
            raise RuntimeError("a worker was killed")

    monkeypatch.setattr(joblib, "Parallel", Parallel)
    assert not train(SMALL, workers=2).complete


def test_a_training_that_fails_gives_its_directory_up(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(internals, "ShardRun", full)
        with pytest.raises(OSError, match="No space"):
            train(SMALL, out=tmp_path / "a" / "b")
        with pytest.raises(InvalidInput, match="device 'foo'"):
            train(SMALL, out=tmp_path / "a" / "b", device="foo")
    assert list(tmp_path.iterdir()) == []
    with monkeypatch.context() as broken:
        broken.setattr(TrainConfig, "save", full)
        with pytest.raises(OSError, match="No space"):
            train(SMALL, out=tmp_path / "c")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").touch()
    with monkeypatch.context() as broken:
        broken.setattr(internals, "ShardRun", full)
        with pytest.raises(OSError, match="No space"):
            train(SMALL, out=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]


def test_a_stored_configuration_is_not_filled_up_with_defaults(tmp_path):
    train(SMALL.replace(runs=2), out=tmp_path)
    path = tmp_path / "config.toml"
    whole = path.read_text()
    for text in ("", "".join(whole.splitlines(keepends=True)[:5])):
        path.write_text(text)
        for use in (load_population, lambda out: train(SMALL.replace(runs=2), out=out)):
            with pytest.raises(InvalidInput, match=r"config\.toml: incomplete, without"):
                use(tmp_path)


@pytest.mark.skipif(_native.load() is None, reason="needs the native core")
@pytest.mark.parametrize("minibatch", ["own", "shared"])
def test_natively_a_run_does_not_depend_on_the_shard_size_at_all(minibatch):
    config = SMALL.replace(runs=6, engine="native", minibatch=minibatch)
    expected = train(config.replace(shard_size=1))
    for size in (5, 16, 256):
        same(train(config.replace(shard_size=size)), expected)


def test_bad_arguments():
    with pytest.raises(InvalidInput, match="workers is 0"):
        train(SMALL, workers=0)


def test_log_points_without_pruning_or_retraining():
    population = train(TrainConfig(runs=2, shard_size=2, steps=20, retrain_steps=0, prune_to=0, samples=50))
    assert not population.trajectory.pruned.any()
    assert population.U.shape == (2, 8, 4)
    pruned_last = train(TrainConfig(runs=2, shard_size=2, steps=20, retrain_steps=0, samples=50))
    assert pruned_last.U.shape == (2, 7, 4)
    assert pruned_last.trajectory.pruned.tolist()[-1]
    assert pruned_last.trajectory.steps.tolist()[-2:] == [20, 20]
    assert (pruned_last.trajectory.test_loss[:, -1] != pruned_last.trajectory.test_loss[:, -2]).all()
    assert pruned_last.test_loss.tolist() == pruned_last.trajectory.test_loss[:, -1].tolist()


def test_training_learns():
    """Most runs of our protocol learn the product; all of them by far beat predicting zero."""
    population = train(TrainConfig(runs=32, shard_size=32, steps=800, retrain_steps=1700))
    assert np.median(population.test_loss) < 1e-4
    assert population.converged_before_pruning <= 32


PEAK = """
import resource, sys
from grokkit.training import TrainConfig, train
steps, samples = int(sys.argv[1]), int(sys.argv[2])
train(TrainConfig(runs=8, shard_size=8, samples=samples, steps=steps, retrain_steps=10, log_points=5))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("samples", ["0", "200"])
def test_memory_is_flat_in_steps(samples):
    """Peak memory in KiB of a short and of a twenty times longer training."""
    peaks = []
    for steps in (200, 4000):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(steps), samples],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"MALLOC_TRIM_THRESHOLD_": "0"},
        )
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 24 * 1024, peaks


def test_sigint_is_restored():
    before = [signal.getsignal(number) for number in internals.STOP_SIGNALS]
    train(SMALL.replace(runs=1, steps=5, retrain_steps=5))
    assert [signal.getsignal(number) for number in internals.STOP_SIGNALS] == before


def test_the_second_interrupt_is_not_swallowed():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    try:
        with internals._interruptible() as stopped:
            signal.raise_signal(signal.SIGINT)
            assert stopped.is_set()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
