"""Order parameters of crystallization: how near weights are to a lattice, everywhere and place by place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from grokkit.dynamics._values import LEVEL, Estimate, Undefined
from grokkit.scheme import TERNARY, InvalidInput, lattice_distance, nearest

Arrays = Mapping[str, np.ndarray | Tensor]
DISCRETIZABLE: Final = 0.1
"""The source's bound on δ for weights that are ready to be rounded."""


@final
@dataclass(frozen=True)
class Order:
    """The order parameters of one set of weights θ against a lattice, Q(θ) its rounding."""

    delta: float
    """δ = ‖θ − Q(θ)‖∞."""
    share: float
    """Entries within the tolerance of the lattice, of all entries."""
    local: Mapping[str, Float[np.ndarray, " rows"]]
    """ψ of each row of each tensor: the mean of cos(2π min(dist(θ, lattice) / s, 1/2)) over the row's entries, s
    the smallest spacing of the lattice. 1 on the lattice, −1 half a spacing or more away from it, and 0 in the mean for
    entries that fall evenly between lattice points: the Debye-Waller average of a crystal, taken row by row."""
    exact: bool | Undefined
    """S: whether Q(θ) is an exact algorithm, by the callable that was given."""
    tolerance: float
    entries: int

    @property
    def discretizable(self) -> bool:
        """δ ≤ tolerance."""
        return self.delta <= self.tolerance

    @property
    def mean_local(self) -> float:
        """ψ over all entries."""
        return float(np.mean(np.concatenate(list(self.local.values()))))


def order_parameters(
    weights: Arrays,
    *,
    lattice: Sequence[float] = TERNARY,
    tolerance: float = DISCRETIZABLE,
    exact: Callable[[dict[str, np.ndarray]], bool] | None = None,
) -> Order:
    """The order parameters of named weights: arrays or tensors of any shape, whose rows lie along the first axis.

    `exact` is given the rounded weights, by name in their own shapes, and says whether they are an exact algorithm.
    Without it S is undefined. Raises `InvalidInput` for weights that are empty or not finite.

    >>> order = order_parameters({"w": np.array([[1.0, 0.0], [0.5, -1.0]])})
    >>> order.delta, order.share, order.local["w"]
    (0.5, 0.75, array([1., 0.]))
    """
    values = np.sort(np.asarray(lattice, dtype=np.float64))
    if len(values) < 2 or not (np.diff(values) > 0).all():
        raise InvalidInput(f"the lattice is {tuple(lattice)}; at least two different values are needed")
    spacing = float(np.diff(values).min())
    arrays = {name: _array(name, value) for name, value in weights.items()}
    if not arrays:
        raise InvalidInput("there are no weights: give a mapping from names to arrays")
    flat = np.concatenate([array.ravel() for array in arrays.values()])
    distances = np.abs(flat - nearest(flat, lattice))
    local = {}
    for name, array in arrays.items():
        rows = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
        phase = np.minimum(np.abs(rows - nearest(rows, lattice)) / spacing, 0.5)
        local[name] = np.cos(2 * np.pi * phase).mean(axis=1)
    answer: bool | Undefined = Undefined("no callable was given that says whether the rounded weights are exact")
    if exact is not None:
        answer = bool(exact({name: nearest(array, lattice) for name, array in arrays.items()}))
    share = float((distances <= tolerance).mean())
    return Order(float(lattice_distance(flat, lattice)), share, local, answer, tolerance, flat.size)


def order_of_runs(
    weights: Arrays,
    *,
    lattice: Sequence[float] = TERNARY,
    tolerance: float = DISCRETIZABLE,
    exact: Callable[[dict[str, np.ndarray]], bool] | None = None,
) -> tuple[Order, ...]:
    """`order_parameters` of every run of a population, whose weights have a leading run axis."""
    lengths = {np.shape(value)[:1] for value in weights.values()}
    if len(lengths) != 1 or lengths == {()}:
        raise InvalidInput("the weights of a population need one leading run axis")
    runs = next(iter(lengths))[0]
    options = {"lattice": lattice, "tolerance": tolerance, "exact": exact}
    return tuple(
        order_parameters({name: value[run] for name, value in weights.items()}, **options) for run in range(runs)
    )


def success_probability(orders: Sequence[Order]) -> Estimate | Undefined:
    """Φ = P[S = 1], the share of runs that are exact, with Wilson's 95 % interval (1927)."""
    known = [order.exact for order in orders if isinstance(order.exact, bool)]
    if not orders or len(known) < len(orders):
        return Undefined("S is not known of every run: give order_parameters a callable, exact=")
    n, k = len(known), sum(known)
    found = stats.binomtest(k, n).proportion_ci(LEVEL, method="wilson")
    return Estimate(k / n, float(np.sqrt(k * (n - k) / n**3)), float(found.low), float(found.high), n)


def _array(name: str, value: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().to("cpu", torch.float64).numpy()
    array = np.asarray(value, dtype=np.float64)
    if not array.size or not np.isfinite(array).all():
        raise InvalidInput(f"weight {name!r} of shape {array.shape} is empty or holds NaN or infinity")
    return array
