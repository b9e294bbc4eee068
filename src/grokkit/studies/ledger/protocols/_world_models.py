"""Small models of worlds: networks that learn the change of a state, trained by gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from grokkit.studies.ledger._measurement import Figure
from grokkit.tasks import Mean, Predict, Trajectories, World

Map = Callable[[np.ndarray], np.ndarray]


def train_network(
    inputs: np.ndarray, outputs: np.ndarray, seed: int, steps: int, *, hidden: Sequence[int] = (64, 64)
) -> Map:
    """A network with tanh layers (none: a linear map) from (examples × inputs) to outputs, both standardized.

    Adam on the mean squared error, 256 examples a step, a rate that falls from 3e-3 to 0 along a cosine. Weights
    (torch's law) and batches are drawn from `seed` alone; a linear map starts at 0. With 0 steps nothing is learned.
    """
    import torch
    from torch import nn

    middle, size = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-12)
    goal, spread = outputs.mean(axis=0), np.maximum(outputs.std(axis=0), 1e-12)
    x = torch.tensor((inputs - middle) / size, dtype=torch.float32)
    y = torch.tensor((outputs - goal) / spread, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    widths = [inputs.shape[1], *hidden, outputs.shape[1]]
    layers: list[nn.Module] = []
    for index, (wide, out) in enumerate(pairwise(widths)):
        layer = nn.Linear(wide, out, device="meta").to_empty(device="cpu")  # draws nothing by itself
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.uniform_(-(wide**-0.5), wide**-0.5, generator=generator)
                parameter.mul_(1.0 if hidden else 0.0)
        layers += [nn.Tanh(), layer] if index else [layer]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    for _ in range(steps):
        rows = torch.randint(len(x), (256,), generator=generator)
        optimizer.zero_grad()
        ((model(x[rows]) - y[rows]) ** 2).mean().backward()
        optimizer.step()
        schedule.step()

    def apply(given: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            answer = model(torch.tensor((given - middle) / size, dtype=torch.float32)).double().numpy()
        return goal + spread * answer

    return apply


def train_state_model(world: World, train: Trajectories, seed: int, steps: int) -> Predict:
    """A network from state and parameters to the change in one step; angles of pendulums enter as sine and cosine."""
    pairs = train.pairs()
    change = train_network(_features(world, pairs.now, pairs.parameters), pairs.next - pairs.now, seed, steps)
    return lambda states, parameters: states + change(_features(world, states, parameters))


def _features(world: World, states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    if world.name == "double pendulum":
        angles, velocities = states[:, :2], states[:, 2:]
        return np.column_stack([np.sin(angles), np.cos(angles), velocities])
    return np.column_stack([states, *(parameters[name] for name in sorted(parameters))])


def modes_of(states: np.ndarray, modes: int) -> np.ndarray:
    """Coefficients |k| ≤ modes of complex fields (batch × 2 × nodes) as reals, batch × 2(2 · modes + 1)."""
    field = states[:, 0] + 1j * states[:, 1]
    kept = np.fft.fft(field, norm="forward", axis=1)[:, np.arange(-modes, modes + 1) % field.shape[1]]
    return np.concatenate([kept.real, kept.imag], axis=1)


def field_of(coefficients: np.ndarray, nodes: int) -> np.ndarray:
    """The fields (batch × 2 × nodes) that have these modes and no others, on any grid that holds them."""
    modes = coefficients.shape[1] // 4
    ordered = np.zeros((len(coefficients), nodes), dtype=np.complex128)
    real, imaginary = np.split(coefficients, 2, axis=1)
    ordered[:, np.arange(-modes, modes + 1) % nodes] = real + 1j * imaginary
    field = np.fft.ifft(ordered, norm="forward", axis=1)
    return np.stack([field.real, field.imag], axis=1)


def train_spectral_model(train: Trajectories, modes: int, seed: int, steps: int) -> Predict:
    """A matrix on the modes |k| ≤ modes, learned by gradients, that starts as the identity; on any grid."""
    pairs = train.pairs()
    before, after = modes_of(pairs.now, modes), modes_of(pairs.next, modes)
    change = train_network(before, after - before, seed, steps, hidden=())

    def predict(states: np.ndarray, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        kept = modes_of(states, modes)
        return field_of(kept + change(kept), states.shape[2])

    return predict


def over_seeds(values: Sequence[float], what: str) -> Figure:
    """Geometric mean over seeds with Student's 95 % interval of the logarithms; values below 1e-40
    count as 1e-40, and all 0 as 0."""
    held = np.asarray(values, dtype=np.float64)
    if not np.isfinite(held).all():
        broken = int((~np.isfinite(held)).sum())
        return Figure(None, what=what, reason=f"{broken} of {len(held)} seeds have no finite value")
    if held.max() == 0:
        return Figure(0.0, 0.0, 0.0, len(held), what)
    found = Mean.of(np.log(np.maximum(held, 1e-40)))
    low, high = (math.exp(end) if end < 700 else math.inf for end in (found.low, found.high))
    return Figure(math.exp(found.value), low, high, found.n, what)
