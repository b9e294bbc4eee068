"""One thread; models that the tests measure, and what is known of them exactly."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from grokkit.dynamics import Loss, Losses
from grokkit.scheme.catalog import catalog

torch.set_num_threads(1)
DOUBLE = torch.float64


def half_square(out, y):
    return 0.5 * ((out - y) ** 2).sum()


@pytest.fixture
def strassen():
    """Strassen's scheme as a network with half the squared error, and a batch of 16 pairs of matrices whose products of
    entries have exactly the second moments of independent standard Gaussian ones."""
    scheme = catalog["strassen"]
    factors = {name: torch.tensor(np.array(getattr(scheme, name)), dtype=DOUBLE) for name in "UVW"}
    basis = 2 * torch.eye(4, dtype=DOUBLE)
    a, b = basis.repeat_interleave(4, dim=0), basis.repeat(4, 1)
    c = (a.reshape(16, 2, 2) @ b.reshape(16, 2, 2)).reshape(16, 4)

    def model(p, x):
        return p["W"] @ ((p["U"] @ x[0]) * (p["V"] @ x[1]))

    return SimpleNamespace(loss=Loss(model, factors, half_square), batch=((a, b), c), model=model, factors=factors)


@pytest.fixture
def regression():
    """Linear regression whose inputs have the covariance I and whose noise is ± σ, every case once.

    With Δ = w − w₀: E g = Δ and tr Σ = (d − 1) |Δ|² + d σ² over the cases as a population.
    """
    d, sigma = 3, 0.7
    generator = torch.Generator().manual_seed(5)
    true, w = torch.randn(2, d, dtype=DOUBLE, generator=generator)
    x = d**0.5 * torch.cat([torch.eye(d, dtype=DOUBLE), -torch.eye(d, dtype=DOUBLE)]).repeat(2, 1)
    noise = torch.tensor([sigma, -sigma], dtype=DOUBLE).repeat_interleave(2 * d)
    loss = Loss(lambda p, x: p["w"] @ x, {"w": w}, half_square)
    square = float(((w - true) ** 2).sum())
    return SimpleNamespace(
        loss=loss, batch=(x, x @ true + noise), square=square, trace=(d - 1) * square + d * sigma**2, d=d, n=4 * d
    )


@pytest.fixture
def classifier():
    """A small smooth network with five inputs and three classes, in float64, and a batch of it."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    return SimpleNamespace(module=module, batch=(torch.randn(12, 5, dtype=DOUBLE), torch.randint(0, 3, (12,))))


@pytest.fixture(params=["shared batch", "own batches"])
def population(request):
    """Four runs of a small network with a criterion, and a batch."""
    own = request.param == "own batches"
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(*shape, dtype=DOUBLE, generator=generator)

    parameters = {"first": draw(4, 3, 2), "second": draw(4, 2, 3)}
    lead = (4, 9) if own else (9,)

    def model(p, x):
        return p["second"] @ torch.tanh(p["first"] @ x)

    losses = Losses(model, parameters, half_square, own_batches=own)
    return SimpleNamespace(losses=losses, batch=(draw(*lead, 2), draw(*lead, 2)))
