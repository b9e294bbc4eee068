"""Regions counted near points against all regions of a network with one input."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from grokkit.dynamics import local_complexity
from grokkit.scheme import InvalidInput


def network(seed, widths=(1, 6, 5, 1)):
    torch.manual_seed(seed)
    layers = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double()


def bends(module, low, high):
    """Every zero of a pre-activation on an interval: each layer is linear between the bends of those before."""
    edges = np.array([low, high])
    lines = [layer for layer in module if isinstance(layer, nn.Linear)]
    for depth in range(len(lines) - 1):
        part = nn.Sequential(*list(module)[: 2 * depth + 1])
        with torch.no_grad():
            values = part(torch.as_tensor(edges)[:, None]).numpy()
        zeros = []
        for left, right, at, after in zip(values, values[1:], edges, edges[1:], strict=False):
            crossing = left * right < 0
            left, right = left[crossing], right[crossing]
            zeros += list(at + (after - at) * left / (left - right))
        edges = np.sort(np.concatenate([edges, zeros]))
    return edges[1:-1]


@pytest.mark.parametrize("seed", range(5))
def test_the_count_is_exact_for_one_input(seed):
    module = network(seed)
    every = bends(module, -3.0, 3.0)
    assert len(every) > 3
    radius = 0.02
    points = torch.as_tensor(np.concatenate([np.linspace(-2.5, 2.5, 40), every + 0.01]))[:, None]
    found = local_complexity(module, points, radius)
    exact = [int((np.abs(every - float(point)) < radius).sum()) for point in points]
    assert found.points.tolist() == exact
    assert found.layers.shape == (2, len(points)) and found.directions == 1
    assert sum(exact) >= len(every)
    assert found.per_length == pytest.approx(np.mean(exact) / (2 * radius))


def test_the_density_over_an_interval_is_that_of_the_bends():
    module = network(0, (1, 30, 20, 1))
    every, radius = bends(module, -2.0, 2.0), 0.0005
    points = torch.arange(-2.0 + radius, 2.0, 2 * radius, dtype=torch.float64)[:, None]  # they tile the interval
    found = local_complexity(module, points, radius)
    assert found.points.sum() == len(every) > 20
    assert found.per_length == pytest.approx(len(every) / 4)


def test_a_hyperplane_is_found_at_its_distance():
    """relu(v · x − 1) with |v| = 1, and all directions: the polytope reaches r/√2 in some, r in others."""
    direction = torch.tensor([[0.6, 0.8]], dtype=torch.float64)

    def model(x):
        return torch.relu(x @ direction.T - 1)

    points = torch.tensor([0.0, 0.4, 0.99], dtype=torch.float64)[:, None] * direction
    assert local_complexity(model, points, 0.5).points.tolist() == [0, 0, 1]
    assert local_complexity(model, points, 2.0).points.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "bend", [functional.relu, torch.relu, lambda x: x.relu(), functional.leaky_relu, nn.ReLU(), nn.PReLU()]
)
def test_every_way_to_call_a_bend_is_heard(bend):
    points = torch.tensor([[0.001], [1.0]])
    assert local_complexity(lambda x: bend(x * torch.ones(3)), points, 0.01).points.tolist() == [3, 0]


def test_images():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 4 * 4, 3), nn.ReLU(inplace=True))
    found = local_complexity(module, torch.randn(5, 1, 6, 6), 0.5)
    assert found.layers.shape == (2, 5) and found.directions == 25
    again = local_complexity(module, torch.randn(5, 1, 6, 6), 100.0)
    assert (again.layers[0] > 25).all()  # nearly all of the 32


@pytest.mark.parametrize(("model", "points", "radius", "options", "message"), [
    (torch.tanh, torch.zeros(2, 1), 1.0, {}, "calls no relu"),
    (torch.relu, torch.zeros(2, 1), 0.0, {}, "radius is 0"),
    (torch.relu, torch.zeros(2), 1.0, {}, "points have shape"),
    (torch.relu, torch.zeros(2, 3), 1.0, {"directions": 4}, "directions is 4"),
    (lambda x: torch.relu(x.sum(dim=0)), torch.zeros(2, 3), 1.0, {}, "keep the sample axis first"),
])  # fmt: skip
def test_bad_input(model, points, radius, options, message):
    with pytest.raises(InvalidInput, match=message):
        local_complexity(model, points, radius, **options)
