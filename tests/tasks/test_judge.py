"""Baselines, judgements and rollouts against models whose worth is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from grokkit.scheme import InvalidInput
from grokkit.tasks import (
    Cyclotron,
    DoublePendulum,
    HamiltonianField,
    Kepler,
    Mean,
    ModularAddition,
    Parity,
    Products,
    Wave,
    baselines,
    example_baselines,
    judge,
    judge_examples,
    linear_least_squares,
    rollout,
)


def test_a_mean_has_students_interval():
    values = np.array([1.0, 4.0, 2.5, 3.0])
    found = Mean.of(values)
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert Mean.of([1.0]).high == math.inf
    assert Mean.of([0.0, 1.0], least=0.0).low == 0.0
    assert Mean.of([1.0, math.inf], least=0.0) == Mean(math.inf, 0.0, math.inf, 2)
    for bad in ([], [1.0, math.nan], np.zeros((2, 2))):
        with pytest.raises(InvalidInput, match="one number a run"):
            Mean.of(bad)
    for count, n in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(InvalidInput, match="share"):
            Mean.of_share(count, n)


def test_a_ratio_of_means_covers_the_truth():
    """95 % of intervals hold the true ratio, of lognormal errors that go together."""
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        shared = generator.standard_normal(40)
        above = 20 * np.exp(0.5 * (shared + generator.standard_normal(40)))
        below = np.exp(0.5 * (shared + generator.standard_normal(40)))
        found = Mean.ratio(above, below)
        held += found.low <= 20 <= found.high
    assert 360 <= held <= 395
    assert Mean.ratio(np.ones(3), np.zeros(3)).low == math.inf
    assert Mean.ratio(np.ones(3), np.full(3, np.inf)) == Mean(0.0, 0.0, 0.0, 3)
    with pytest.raises(InvalidInput, match="same runs"):
        Mean.ratio(np.ones(3), np.ones(4))


def test_a_geometric_mean_is_the_mean_of_logarithms():
    found = Mean.geometric([1e-4, 1e-3, 1e-2])
    assert found.value == pytest.approx(1e-3) and found.low * found.high == pytest.approx(1e-6) and found.n == 3
    assert Mean.geometric([0.0, 1e-40]) == Mean.geometric([1e-40, 1e-40])
    assert str(found) == f"{found.brief}, n = 3"
    with pytest.raises(InvalidInput, match="negative"):
        Mean.geometric([1.0, -1.0])


def test_a_mean_covers_as_often_as_it_says():
    drawn = np.random.default_rng(3).standard_normal((4000, 5))
    means = [Mean.of(row) for row in drawn]
    covered = np.mean([each.low <= 0 <= each.high for each in means])
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 4000)
    assert Mean.of([2.0]).to_json() == {"value": 2.0, "low": None, "high": None, "n": 1}


def test_baselines_by_hand():
    orbit = Kepler()
    train, test = orbit.generate(20, 10, 0), orbit.generate(6, 10, 1)
    found = {each.name: each.error for each in baselines(orbit, train, test)}
    assert list(found) == ["zero", "persistence", "linear", "oracle"]
    assert all(each.n == 6 for each in found.values())
    now, after = test.states[:, :-1], test.states[:, 1:]
    assert found["zero"].value == pytest.approx((after**2).mean())
    assert found["persistence"].value == pytest.approx(((after - now) ** 2).mean())
    assert found["oracle"].value < 1e-25
    design = np.column_stack([train.states[:, :-1].reshape(-1, 4), np.ones(200)])
    solution = np.linalg.solve(design.T @ design, design.T @ train.states[:, 1:].reshape(-1, 4))
    guess = np.column_stack([now.reshape(-1, 4), np.ones(60)]) @ solution
    assert found["linear"].value == pytest.approx(((guess - after.reshape(-1, 4)) ** 2).mean(), rel=1e-6)


@pytest.mark.parametrize("each", [Wave(16), HamiltonianField(16), Cyclotron(fixed=1.2)], ids=lambda w: w.name)
def test_in_a_linear_world_least_squares_is_the_solution(each):
    train, test = each.generate(60, 20, 0), each.generate(5, 20, 1)
    found = {row.name: row.error.value for row in baselines(each, train, test)}
    assert found["linear"] < 1e-20 < 1e-4 < found["persistence"]
    judged = judge(each, linear_least_squares(train), train, test)
    assert judged.counts and judged.against == ("persistence",)
    assert judged.gap.value == 0


def test_only_a_model_that_beats_persistence_and_linear_counts():
    orbit = Kepler()
    train, test = orbit.generate(20, 10, 0), orbit.generate(8, 10, 1)
    solved = judge(orbit, orbit.step, train, test)
    assert solved.counts and solved.gains["linear"].low == math.inf

    def nearly(share):
        linear = linear_least_squares(train)
        return lambda s, p: (1 - share) * orbit.step(s, p) + share * linear(s, p)

    assert judge(orbit, nearly(0.25), train, test).counts  # 16 times
    assert not judge(orbit, nearly(0.5), train, test).counts  # 4 times, though far better than persistence
    assert judge(orbit, nearly(0.5), train, test).gains["linear"].value == pytest.approx(4)
    assert not judge(orbit, lambda s, _: s, train, test).counts


def test_a_model_that_breaks_has_an_infinite_error():
    orbit = Kepler()
    train, test = orbit.generate(5, 5, 0), orbit.generate(4, 5, 1)
    broken = judge(orbit, lambda s, _: s * np.where(np.arange(len(s)) == 3, np.nan, 1.0)[:, None], train, test)
    assert broken.error.value == math.inf and not broken.counts
    assert json.loads(json.dumps(broken.to_json(), allow_nan=False))["error"]["value"] is None
    assert "does not count" in str(broken)


def test_models_and_runs_that_do_not_fit_are_refused():
    orbit, other = Kepler(), Wave(8)
    runs, waves = orbit.generate(2, 5, 0), other.generate(2, 5, 0)
    with pytest.raises(InvalidInput, match="predict: it gave shape"):
        judge(orbit, lambda s, _: s[:, :2], runs, runs)
    with pytest.raises(InvalidInput, match="train: states"):
        judge(orbit, orbit.step, waves, runs)
    with pytest.raises(InvalidInput, match="test: states"):
        baselines(Kepler(dt=0.2), Kepler(dt=0.2).generate(2, 5, 0), runs)
    with pytest.raises(InvalidInput, match="1 to 5"):
        rollout(orbit, orbit.step, runs, 6)
    with pytest.raises(InvalidInput, match="rollout: states"):
        rollout(orbit, orbit.step, waves, 2)
    with pytest.raises(InvalidInput, match="predict: it gave shape"):
        rollout(orbit, lambda s, _: s[:, :2], runs, 2)


def test_a_rollout_of_the_solution_stays_and_of_another_world_drifts():
    orbit = Kepler()
    test = orbit.generate(5, 60, 1)
    exact = rollout(orbit, orbit.step, test, 60)
    assert len(exact.times) == 60 and exact.times[0] == pytest.approx(orbit.dt)
    assert max(each.value for each in exact.error) < 1e-20
    assert max(each.value for values in exact.drift.values() for each in values) < 1e-9
    assert exact.horizon(1e-3) == exact.times[-1] and exact.diverged == 0

    def euler(states, _):
        pull = states[:, :2] / np.hypot(states[:, 0], states[:, 1])[:, None] ** 3
        return states + orbit.dt * np.concatenate([states[:, 2:], -pull], axis=1)

    drifting = rollout(orbit, euler, test, 60)
    energy = [each.value for each in drifting.drift["energy"]]
    assert energy[-1] > 10 * energy[0] > 0
    assert 0 < drifting.horizon(0.1) < exact.times[-1]
    assert drifting.persistence == exact.persistence
    assert drifting.error[0].n == 5
    json.dumps(drifting.to_json(), allow_nan=False)


def test_one_step_of_a_rollout_is_the_error_of_one_step():
    hanging = DoublePendulum()
    train, test = hanging.generate(10, 5, 0), hanging.generate(6, 1, 1)
    linear = linear_least_squares(train)
    assert rollout(hanging, linear, test, 1).error[0] == judge(hanging, linear, train, test).error


def test_a_rollout_that_breaks_is_counted():
    field = Cyclotron()
    test = field.generate(3, 4, 0)
    started = test.parameters["frequency"][0]

    def breaking(states, parameters):
        assert np.isfinite(states).all()  # what broke is not asked again
        return np.where((parameters["frequency"] == started)[:, None], np.inf, states)

    found = rollout(field, breaking, test, 4)
    assert found.diverged == 1
    assert all(each.value == math.inf for each in found.error)
    assert found.drift["energy"][2].high == math.inf
    assert found.horizon(1.0) == 0.0


def test_baselines_of_parity_and_residues():
    train, test = Parity(10).split(0.5, 0)
    found = {each.name: each.error for each in example_baselines(Parity(10), train, test)}
    assert list(found) == ["majority", "linear", "oracle"]
    assert found["majority"].low < 0.5 < found["majority"].high or found["majority"].value > 0.45
    assert found["linear"].value > 0.4 and found["oracle"].value == 0
    assert found["oracle"].high == pytest.approx(Mean.of_share(0, 512).high) and found["oracle"].n == 512
    single = Parity(10, (3,))  # one bit is linear
    rows = example_baselines(single, *single.split(0.5, 0))
    assert {each.name: each.error.value for each in rows}["linear"] == 0
    adding = ModularAddition(11)
    rows = {each.name: each.error.value for each in example_baselines(adding, *adding.split(0.5, 0))}
    assert rows["majority"] > 0.8 and rows["linear"] > 0.5 and rows["oracle"] == 0


def test_judging_examples():
    task = Parity(10)
    train, test = task.split(0.5, 0)
    solved = judge_examples(task, task.solution, train, test)
    assert solved.counts and solved.gains["majority"].value == math.inf
    assert solved.gains["majority"].low == pytest.approx(
        {each.name: each.error.value for each in solved.baselines}["majority"] / Mean.of_share(0, 512).high
    )
    assert not judge_examples(task, lambda x: x[:, 0], train, test).counts
    few = judge_examples(task, task.solution, train, type(test)(test.inputs[:8], test.labels[:8]))
    assert not few.counts  # eight right answers tell little
    with pytest.raises(InvalidInput, match="answers have shape"):
        judge_examples(task, lambda x: x, train, test)
    with pytest.raises(InvalidInput, match="train: inputs"):
        judge_examples(Parity(4), task.solution, train, test)


def test_judging_products():
    task = Products()
    train, test = task.generate(400, 0), task.generate(400, 1)
    found = {each.name: each.error.value for each in example_baselines(task, train, test)}
    assert found["zero"] == pytest.approx((test.labels**2).mean()) and found["linear"] > 0.9 * found["zero"]
    assert found["oracle"] == 0
    assert judge_examples(task, lambda x: task.solution(x) + 0.01, train, test).counts
    assert not judge_examples(task, lambda x: 0.5 * task.solution(x), train, test).counts
    assert judge_examples(task, task.solution, train, test).gap.value < 0
