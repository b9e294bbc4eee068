"""Small differentiable models whose gradients and metrics are measured, and how they are trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_map

from grokkit.dynamics import Estimate, GradualDrop, Grokked, Loss, Undefined, detect_grokking
from grokkit.studies.ledger._measurement import Figure
from grokkit.studies.ledger.protocols._world_models import over_seeds
from grokkit.tasks import Cyclotron
from grokkit.transfer.geometry import FisherCallback, variation_law

Parameters = dict[str, Tensor]
Function = Callable[[Parameters, Any], Tensor]

MODULUS = 23
SEEN = 0.9
"""Share of the pairs that are trained on."""
FEW = 96
"""Of them, looked at in every record."""


def half_square(output: Tensor, target: Tensor) -> Tensor:
    """Half the squared error, summed over outputs, mean over samples: the negative log likelihood of unit noise."""
    return 0.5 * ((output - target) ** 2).sum(dim=-1).mean()


def tanh_network(p: Parameters, x: Tensor) -> Tensor:
    """One hidden layer."""
    return torch.tanh(x @ p["in"].T + p["shift"]) @ p["out"].T + p["offset"]


def tanh_start(width: int, generator: torch.Generator, inputs: int = 5, outputs: int = 4) -> Parameters:
    """Weights of `tanh_network`, even within the root of the number of inputs of each layer."""
    shapes = {"in": (width, inputs), "shift": (width,), "out": (outputs, width), "offset": (outputs,)}
    return {
        name: (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)
        / (inputs if name in ("in", "shift") else width) ** 0.5
        for name, shape in shapes.items()
    }


def bilinear(p: Parameters, x: tuple[Tensor, Tensor]) -> Tensor:
    """W ((U a) ∘ (V b))."""
    return ((x[0] @ p["U"].T) * (x[1] @ p["V"].T)) @ p["W"].T


def bilinear_start(slots: int, generator: torch.Generator) -> Parameters:
    """Gaussian weights of deviation 0.5 for the product of 2x2 matrices."""
    shapes = {"U": (slots, 4), "V": (slots, 4), "W": (4, slots)}
    return {name: 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}


def cyclotron_pairs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """State and frequency, and the next state; one pair a run, so that samples are independent."""
    pairs = Cyclotron().generate(count, 1, seed).pairs()
    return torch.tensor(np.column_stack([pairs.now, pairs.parameters["frequency"]])), torch.tensor(pairs.next)


def product_pairs(count: int, seed: int, *, whole: bool = False) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Operands, Gaussian or whole numbers of −8 to 8, and their product, flattened."""
    rng = np.random.default_rng([seed, 1])
    drawn = rng.integers(-8, 9, (2, count, 4)).astype(float) if whole else rng.standard_normal((2, count, 4))
    a, b = torch.tensor(drawn)
    return (a, b), (a.reshape(-1, 2, 2) @ b.reshape(-1, 2, 2)).flatten(1)


def strassen_weights() -> Parameters:
    """An exact solution: Strassen's scheme."""
    from grokkit.scheme.catalog import catalog

    scheme = catalog["strassen"]
    return {name: torch.tensor(np.array(getattr(scheme, name)), dtype=torch.float64) for name in "UVW"}


def fit(
    function: Function,
    start: Parameters,
    data: Any,
    rate: float,
    steps: int,
    generator: torch.Generator,
    size: int = 64,
    *,
    kind: str = "Adam",
    watch: Callable[[int, Parameters], None] | None = None,
) -> Parameters:
    """Weights after steps of Adam (or `kind` of torch.optim) on `half_square` of batches drawn with replacement."""
    held = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimizer = getattr(torch.optim, kind)(list(held.values()), lr=rate)
    for step in range(steps):
        if watch is not None:
            watch(step, {name: value.detach() for name, value in held.items()})
        rows = torch.randint(len(data[1]), (size,), generator=generator)
        inputs, target = tree_map(lambda part, at=rows: part[at], data)
        optimizer.zero_grad()
        half_square(function(held, inputs), target).backward()
        optimizer.step()
    return {name: value.detach() for name, value in held.items()}


def addition(seed: int, epochs: int, every: int, sizes: tuple[int, ...], draws: int) -> dict[str, Any]:
    """A network that learns addition modulo 23 from a large start, with decay (Liu et al. 2022), and what moves.

    The answer has the verdict on its curves; the drift of the Fisher spectrum of unseen pairs and the batch size at
    which noise and mean gradient are equal, on the plateau, at the drop and after it; and σ/μ at the end.
    """
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.triu_indices(MODULUS, MODULUS)
    x, y = (torch.eye(MODULUS)[a] + torch.eye(MODULUS)[b]).double(), (a + b) % MODULUS
    order = torch.randperm(len(y), generator=generator)
    seen, unseen = order[: round(SEEN * len(y))], order[round(SEEN * len(y)) :]
    shapes, fan = [(32, MODULUS), (256, 32), (32, 256), (MODULUS, 32)], (2, 32, 256, 32)
    weights = {
        f"w{turn}": (5 / inputs**0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()
        for turn, (shape, inputs) in enumerate(zip(shapes, fan, strict=True))
    }

    def answers(p: Parameters, inputs: Tensor) -> Tensor:
        return functional.relu(inputs @ p["w0"].T @ p["w1"].T) @ p["w2"].T @ p["w3"].T

    def wrong(rows: Tensor) -> float:
        with torch.no_grad():
            off = answers(weights, x[rows]).softmax(-1) - functional.one_hot(y[rows], MODULUS)
        return float(off.square().sum(-1).mean())

    def loss() -> Loss:
        frozen = {name: value.detach().clone() for name, value in weights.items()}
        return Loss(answers, frozen, functional.cross_entropy)

    optimizer = torch.optim.AdamW(weights.values(), lr=0.01, betas=(0.9, 0.9), weight_decay=0.4)
    callback, curves, crossovers = FisherCallback(every=every), [], []
    for epoch in range(epochs + 1):
        if epoch % every == 0:
            now = loss()
            callback.record(epoch, now, (x[unseen], y[unseen]))
            some = seen[:FEW]
            crossovers.append((epoch, variation_law(now, (x[some], y[some]), [64], draws=10).crossover))
        if epoch % 5 == 0:
            curves.append((epoch, wrong(seen), wrong(unseen)))
        optimizer.zero_grad()
        functional.cross_entropy(answers(weights, x[seen]), y[seen]).backward()
        optimizer.step()
    at, low, high = np.array(curves, dtype=np.float64).T
    verdict = detect_grokking(low, high, epochs=at)
    law = variation_law(loss(), (x[seen], y[seen]), sizes, draws=draws, generator=np.random.default_rng(seed))
    row: dict[str, Any] = {"verdict": type(verdict).__name__, "law": law}
    if not isinstance(verdict, Grokked | GradualDrop):
        return row
    middle = (verdict.leaves + verdict.epoch) / 2
    span = max(every, (verdict.epoch - verdict.leaves) / 2)
    spans = {
        "plateau": (verdict.plateau.first, max(verdict.leaves, verdict.plateau.first + every)),
        "drop": (middle - span, middle + span),
        "after": (min(verdict.epoch, epochs - 2 * every), epochs),
    }
    drift = callback.drift()
    for name, (first, last) in spans.items():
        inside = [found for epoch, found in crossovers if first - every / 2 <= epoch <= last + every / 2]
        row[name] = (drift.between(first, last), _typical(inside))
    return row


def _typical(found: list[float | Undefined]) -> float | None:
    """Geometric mean of the values that there are."""
    held = [float(value) for value in found if not isinstance(value, Undefined)]
    return float(np.exp(np.mean(np.log(held)))) if held else None


def number(found: float | Estimate | Undefined) -> float | None:
    """The value, or None for what is undefined."""
    return None if isinstance(found, Undefined) else float(found)


def typical(values: list[float | None], what: str) -> Figure:
    """Geometric mean over the seeds that have a value, with its interval."""
    held = [value for value in values if value is not None]
    return over_seeds(held, what) if len(held) > 1 else Figure(None, what=what, reason="fewer than two have a value")


UNITS = 24
"""Of a message, and of the state of a node."""


def message_start(generator: torch.Generator) -> Parameters:
    """Weights of `message_passing`: 8 nodes hold entries of A and B, 4 nodes answer."""
    sizes = {
        "place": (12, UNITS, 1),
        "value": (UNITS, 1, 1),
        "from1": (UNITS, UNITS, UNITS),
        "to1": (UNITS, UNITS, UNITS),
        "keep1": (UNITS, UNITS, UNITS),
        "take1": (UNITS, UNITS, 8 * UNITS),
        "from2": (UNITS, UNITS, UNITS),
        "to2": (UNITS, UNITS, UNITS),
        "keep2": (UNITS, UNITS, UNITS),
        "take2": (UNITS, UNITS, 8 * UNITS),
        "out": (1, UNITS, UNITS),
    }
    return {
        name: torch.randn((rows, columns), generator=generator, dtype=torch.float64) / fan**0.5
        for name, (rows, columns, fan) in sizes.items()
    }


def message_passing(p: Parameters, x: tuple[Tensor, Tensor]) -> Tensor:
    """Two rounds of messages tanh(F h_i + T h_j), summed: among the nodes of A and B, then to those of the answer."""
    entries = torch.cat(x, dim=-1)[..., None]
    h = torch.tanh(p["place"][:8] + entries * p["value"][:, 0])
    for turn, goal in (("1", h), ("2", p["place"][8:].expand(*entries.shape[:-2], 4, UNITS))):
        messages = torch.tanh((h @ p[f"from{turn}"].T)[..., None, :, :] + (goal @ p[f"to{turn}"].T)[..., :, None, :])
        h = torch.tanh(goal @ p[f"keep{turn}"].T + messages.sum(dim=-2) @ p[f"take{turn}"].T)
    return (h @ p["out"].T)[..., 0]


def multiplications() -> int:
    """Of one pass of `message_passing`: each of a weight and a state, none of two numbers that depend on operands."""
    square = UNITS**2
    return 8 * UNITS + 8 * 4 * square + (8 + 3 * 4) * square + 4 * UNITS
