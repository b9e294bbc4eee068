"""Every world against what is known of it without its solver."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import eigh, expm

from grokkit.scheme import InvalidInput
from grokkit.tasks import (
    WORLDS,
    Cyclotron,
    CyclotronField,
    DoublePendulum,
    HamiltonianField,
    Kepler,
    Trajectories,
    Wave,
    World,
    world,
)

EVERY = [
    Wave(16),
    Wave(15, length=3.0),
    Kepler(),
    DoublePendulum(),
    Cyclotron(),
    Cyclotron(fixed=1.3),
    CyclotronField(16),
    HamiltonianField(16),
    HamiltonianField(15, potential=0.0),
]
DRIFT = {"double pendulum": 1e-6, "hamiltonian field": 1e-6}
"""Largest change of an invariant in 200 steps; 1e-9 elsewhere."""


def named(each: World) -> str:
    return f"{each.name}-{each.state_shape}-{each.linear}"


@pytest.mark.parametrize("each", EVERY, ids=named)
class TestEveryWorld:
    def test_it_is_a_world_and_its_runs_fit(self, each):
        assert isinstance(each, World)
        runs = each.generate(3, 5, 7)
        assert runs.states.shape == (3, 6, *each.state_shape)
        assert runs.states.dtype == np.float64
        assert runs.dt == each.dt

    def test_a_run_is_the_same_whatever_their_number(self, each):
        few, many = each.generate(2, 4, 3), each.generate(5, 4, 3)
        np.testing.assert_allclose(few.states, many.states[:2], rtol=0, atol=1e-12)
        assert not np.array_equal(each.generate(2, 4, 4).states, few.states)

    def test_what_is_conserved_is_conserved(self, each):
        runs = each.generate(4, 200, 1)
        flat = runs.states.reshape(-1, *each.state_shape)
        repeated = {name: np.repeat(values, 201) for name, values in runs.parameters.items()}
        found = each.invariants(flat, repeated)
        assert found
        for name, values in found.items():
            change = np.abs(values.reshape(4, 201) - values.reshape(4, 201)[:, :1])
            assert change.max() <= DRIFT.get(each.name, 1e-9), name

    def test_linear_means_superposition(self, each):
        runs = each.generate(2, 1, 5)
        a, b = runs.states[:, 0]
        differing = {} if each.linear else {"frequency": np.array([1.0, 1.5, 2.0])}
        together = each.step(np.stack([a, b, 0.3 * a - 0.2 * b]), differing)
        mixed = 0.3 * together[0] - 0.2 * together[1]
        assert np.allclose(together[2], mixed, rtol=0, atol=1e-12) == each.linear

    def test_bad_states_are_refused(self, each):
        good = each.generate(2, 1, 0).states[:, 0]
        bad = good.copy()
        bad.flat[0] = np.nan
        with pytest.raises(InvalidInput, match="NaN"):
            each.step(bad, {"frequency": np.ones(2)})
        with pytest.raises(InvalidInput, match="is needed"):
            each.step(good[:, :1], {"frequency": np.ones(2)})
        with pytest.raises(InvalidInput, match="is needed"):
            each.invariants(good[..., :1], {})
        with pytest.raises(InvalidInput, match="at least one"):
            each.generate(0, 3, 0)
        with pytest.raises(InvalidInput, match="at least one"):
            each.generate(3, 0, 0)


def test_waves_run_as_dalembert_says():
    """f(x − t) + g(x + t) with sharp shapes: nothing is smoothed."""
    nodes = 20
    at = np.arange(nodes)
    f, g = np.where(at < 5, 1.0, 0.0), np.where(at > 14, 2.0, 0.0)
    state = np.stack([f + g, np.roll(f, -1) + np.roll(g, 1)])[None]
    ring = Wave(nodes)
    for step in range(1, 60):
        state = ring.step(state, {})
        np.testing.assert_allclose(state[0, 0], np.roll(f, step) + np.roll(g, -step), rtol=0, atol=1e-12)


def test_a_wave_returns_after_a_turn():
    runs = Wave(16, length=2.0).generate(2, 16, 0)
    np.testing.assert_allclose(runs.states[:, -1], runs.states[:, 0], atol=1e-12)
    assert 16 * runs.dt == pytest.approx(2.0)


@given(frequency=st.floats(0.1, 5.0), steps=st.integers(1, 40))
def test_a_charge_turns_in_a_circle(frequency, steps):
    start = np.array([[0.3, -0.2, 1.0, 0.5]])
    field = Cyclotron(dt=0.1)
    state, given_ = start, {"frequency": np.array([frequency])}
    for _ in range(steps):
        state = field.step(state, given_)
    angle = frequency * 0.1 * steps
    v = (1.0 + 0.5j) * np.exp(-1j * angle)
    np.testing.assert_allclose(state[0, 2:], [v.real, v.imag], atol=1e-12)
    center, radius = field.invariants(start, given_), np.hypot(1.0, 0.5) / frequency
    away = np.hypot(state[0, 0] - center["center x"], state[0, 1] - center["center y"])
    assert away[0] == pytest.approx(radius, rel=1e-9)


def test_a_density_turns_rigidly():
    ring = CyclotronField(16, frequency=2 * np.pi / 16, dt=1.0)  # a node a step
    runs = ring.generate(2, 5, 0)
    np.testing.assert_allclose(runs.states[:, 5], np.roll(runs.states[:, 0], 5, axis=1), atol=1e-12)


@given(
    a=st.floats(0.3, 5.0),
    e=st.floats(0.0, 0.95),
    parts=st.integers(1, 40),
)
def test_a_planet_returns_after_keplers_period(a, e, parts):
    """Third law: 2π a^(3/2); and every point of the way is on the ellipse."""
    start = np.array([[a * (1 - e), 0.0, 0.0, np.sqrt((1 + e) / (a * (1 - e)))]])
    orbit = Kepler(dt=2 * np.pi * a**1.5 / parts)
    state = start
    for _ in range(parts):
        state = orbit.step(state, {})
        x, y = state[0, :2]
        on = ((x + a * e) / a) ** 2 + (y / (a * np.sqrt(1 - e * e))) ** 2
        assert on == pytest.approx(1.0, abs=1e-9)
    speed = np.hypot(*start[0, 2:])
    np.testing.assert_allclose(state[0, :2], start[0, :2], atol=1e-8 * a / (1 - e))
    np.testing.assert_allclose(state[0, 2:], start[0, 2:], atol=1e-7 * speed / (1 - e))


def test_a_planet_obeys_newton():
    runs = Kepler(dt=0.3).generate(5, 10, 2)

    def force(_, y):
        return [y[2], y[3], -y[0] / np.hypot(y[0], y[1]) ** 3, -y[1] / np.hypot(y[0], y[1]) ** 3]

    for run in runs.states:
        found = solve_ivp(force, (0, 3.0), run[0], "DOP853", rtol=1e-12, atol=1e-12, t_eval=[3.0]).y[:, 0]
        np.testing.assert_allclose(run[-1], found, atol=1e-9)


def test_both_ways_around_the_sun():
    momentum = Kepler().invariants(Kepler().generate(40, 1, 0).states[:, 0], {})["angular momentum"]
    assert (momentum > 0).any() and (momentum < 0).any()


def test_orbits_that_do_not_close_are_refused():
    with pytest.raises(InvalidInput, match="does not close"):
        Kepler().step(np.array([[1.0, 0.0, 0.0, 1.5]]), {})
    with pytest.raises(InvalidInput, match="sun"):
        Kepler().step(np.array([[0.0, 0.0, 0.0, 1.0]]), {})


@pytest.mark.parametrize(("masses", "lengths"), [((1.0, 1.0), (1.0, 1.0)), ((2.0, 0.5), (0.7, 1.2))])
def test_small_swings_are_the_normal_modes(masses, lengths):
    """The linearized problem K φ = ω² M φ: a mode swings as cos ωt."""
    (m1, m2), (l1, l2), g = masses, lengths, 9.81
    mass = np.array([[(m1 + m2) * l1**2, m2 * l1 * l2], [m2 * l1 * l2, m2 * l2**2]])
    stiffness = np.diag([(m1 + m2) * g * l1, m2 * g * l2])
    squares, modes = eigh(stiffness, mass)
    hanging = DoublePendulum(masses, lengths)
    for square, mode in zip(squares, modes.T, strict=True):
        state = np.concatenate([1e-5 * mode, [0, 0]])[None]
        for _ in range(40):
            state = hanging.step(state, {})
        np.testing.assert_allclose(state[0, :2], 1e-5 * mode * np.cos(np.sqrt(square) * 40 * hanging.dt), atol=1e-11)


def test_large_swings_follow_an_independent_solver():
    hanging = DoublePendulum(lengths=(1.0, 0.5))
    runs = hanging.generate(4, 20, 3)
    for run in runs.states:
        solved = solve_ivp(
            lambda _, y: hanging.slope(y[:, None])[:, 0], (0, 1.0), run[0], "DOP853", rtol=1e-12, atol=1e-12
        )
        np.testing.assert_allclose(run[-1], solved.y[:, -1], atol=1e-8)


def test_the_pendulums_law_of_motion_keeps_energy_by_itself():
    """dE/dt = 0 by the chain rule: ties `slope` to the energy, which is written from other terms."""
    hanging = DoublePendulum((1.5, 0.7), (0.8, 1.1))
    states = hanging.generate(30, 1, 0).states[:, 0]
    slope, h = hanging.slope(states.T).T, 1e-5
    up, down = (hanging.invariants(states + sign * h * slope, {})["energy"] for sign in (1, -1))
    np.testing.assert_allclose((up - down) / (2 * h), 0, atol=1e-5)


def test_chaos_parts_neighbours():
    hanging = DoublePendulum()
    near = np.array([[2.0, 2.0, 0.0, 0.0], [2.0 + 1e-8, 2.0, 0.0, 0.0]])
    for _ in range(400):
        near = hanging.step(near, {})
    assert np.abs(near[0] - near[1]).max() > 1e-4


def test_a_plane_wave_turns_its_phase():
    """exp(ikx) goes to exp(ikx − ik²t/2), for every k that the points tell apart."""
    free = HamiltonianField(16, potential=0.0, dt=0.3)
    for k in range(-7, 8):
        wave = np.exp(1j * k * free.positions)
        state = np.stack([np.real(wave), np.imag(wave)])[None]
        for _ in range(10):
            state = free.step(state, {})
        turned = wave * np.exp(-0.5j * k * k * 3.0)
        np.testing.assert_allclose(state[0], [np.real(turned), np.imag(turned)], atol=1e-12)


@pytest.mark.parametrize("potential", [0.5, 3.0])
def test_split_steps_are_the_exponential_of_the_hamiltonian(potential):
    ring = HamiltonianField(16, potential=potential)
    modes = np.fft.fft(np.eye(16))
    k = np.fft.fftfreq(16, 1 / 16)
    hamiltonian = np.linalg.inv(modes) @ np.diag(k**2 / 2) @ modes + np.diag(potential * np.cos(ring.positions))
    exact = expm(-1j * ring.dt * hamiltonian)
    given_ = ring.generate(5, 1, 0).states
    psi = given_[:, 0, 0] + 1j * given_[:, 0, 1]
    np.testing.assert_allclose(given_[:, 1, 0] + 1j * given_[:, 1, 1], psi @ exact.T, atol=1e-7)


def test_split_steps_are_unitary():
    ring = HamiltonianField(8, potential=2.0)
    real, imaginary = (ring.step(np.stack([unit, 0 * unit], 1), {}) for unit in (np.eye(8), -np.eye(8)))
    matrix = real[:, 0] + 1j * real[:, 1]
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(8), atol=1e-12)
    np.testing.assert_allclose(real, -imaginary, atol=1e-15)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Wave(2), "nodes"),
        (lambda: Wave(8, length=0.0), "length"),
        (lambda: Kepler(axes=(2.0, 1.0)), "axes"),
        (lambda: Kepler(eccentricities=(0.0, 1.0)), "eccentricities"),
        (lambda: Kepler(dt=0.0), "dt"),
        (lambda: DoublePendulum(masses=(1.0, 0.0)), "masses"),
        (lambda: DoublePendulum(gravity=-1.0), "gravity"),
        (lambda: DoublePendulum(spread=0.0), "spread"),
        (lambda: Cyclotron(frequencies=(2.0, 1.0)), "frequencies"),
        (lambda: Cyclotron(fixed=0.0), "frequency"),
        (lambda: Cyclotron(dt=-1.0), "dt"),
        (lambda: Cyclotron().step(np.ones((1, 4)), {}), "no frequency"),
        (lambda: CyclotronField(2), "nodes"),
        (lambda: CyclotronField(8, dt=0.0), "dt"),
        (lambda: HamiltonianField(2), "nodes"),
        (lambda: HamiltonianField(8, dt=0.0), "dt"),
        (lambda: HamiltonianField(8, potential=np.inf), "potential"),
        (lambda: HamiltonianField(8, substeps=0), "substeps"),
        (lambda: Trajectories(np.zeros((2, 1, 3)), 0.1), "two times"),
        (lambda: Trajectories(np.zeros((2, 2, 3)), 0.0), "dt"),
        (lambda: Trajectories(np.zeros((2, 2, 3)), 0.1, {"frequency": np.ones(3)}), "frequency"),
        (lambda: world("keplar"), "did you mean kepler"),
        (lambda: world("zzz"), "use one of"),
        (lambda: world("wave", node=8), "did you mean nodes"),
    ],
)
def test_bad_input_is_one_line(make, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_pairs_are_every_state_with_the_next():
    runs = Cyclotron().generate(3, 4, 0)
    pairs = runs.pairs()
    assert len(runs) == 3 and pairs.now.shape == (12, 4)
    np.testing.assert_array_equal(pairs.now[5], runs.states[1, 1])
    np.testing.assert_array_equal(pairs.next[5], runs.states[1, 2])
    np.testing.assert_array_equal(pairs.parameters["frequency"], np.repeat(runs.parameters["frequency"], 4))


def test_every_name_makes_what_it_says():
    for name in WORLDS:
        assert world(name).name.replace(" ", "-") == name
    assert world("Double_Pendulum") == DoublePendulum()
    assert world("wave", nodes=8) == Wave(8)
