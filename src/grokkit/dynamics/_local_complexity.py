"""How many linear regions of a piecewise linear network meet the neighbourhood of a point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from grokkit.scheme import InvalidInput

BENT_AT_ZERO: Final = frozenset(
    [
        functional.relu,
        functional.relu_,
        torch.relu,
        torch.relu_,
        Tensor.relu,
        Tensor.relu_,
        functional.leaky_relu,
        functional.leaky_relu_,
        functional.prelu,
        torch.prelu,
        Tensor.prelu,
    ]
)
"""The functions whose arguments are pre-activations: linear but for a bend at zero."""


@final
@dataclass(frozen=True)
class LocalComplexity:
    """Units whose pre-activation changes sign within a neighbourhood of each point."""

    layers: Int[np.ndarray, "layers points"]
    """The count in each layer, in the order in which the layers are computed."""
    radius: float
    directions: int

    @property
    def points(self) -> Int[np.ndarray, " points"]:
        """The local complexity of each point: the sum over layers."""
        return self.layers.sum(axis=0)

    @property
    def mean(self) -> float:
        return float(self.points.mean())

    @property
    def per_length(self) -> float:
        """Mean count per unit of length, along a diameter 2r. For one input it is the density of the bends."""
        return self.mean / (2 * self.radius)


def local_complexity(
    model: Callable[[Tensor], Any],
    points: Float[Tensor, "points *shape"],
    radius: float,
    *,
    directions: int | None = None,
    generator: torch.Generator | None = None,
) -> LocalComplexity:
    """Local complexity at data points (Humayun, Balestriero and Baraniuk 2024).

    Around each point x stand the 2P vertices x ± r v of a cross-polytope, with P random orthonormal directions v. A
    unit counts if its pre-activation is not of one sign at the vertices: then its bend, a hyperplane in the layer's
    input, cuts the convex hull of the images of the vertices. The sum over all units of all layers is a proxy of
    the number of regions that meet the polytope, exact for one input as long as every unit bends at most once
    between x − r and x + r. Pre-activations are the arguments of relu, leaky_relu and prelu, called as a module or a
    function; other bends (max pooling) are not counted.

    `model` maps (points, *shape) to anything. `radius` is in units of the inputs. P is `directions`; None: 25 or the
    number of inputs, whichever is less. Costs 2P evaluations a point. Without a `generator`, one of seed 0.
    Raises `InvalidInput` if the model calls none of these functions.
    """
    if not 0 < radius < np.inf:
        raise InvalidInput(f"radius is {radius}; a positive number, in units of the inputs, is needed")
    if points.ndim < 2 or not len(points):
        raise InvalidInput(f"the points have shape {tuple(points.shape)}; (points, inputs, ...) with a point is needed")
    inputs = points[0].numel()
    directions = min(25, inputs) if directions is None else directions
    if not 1 <= directions <= inputs:
        raise InvalidInput(f"directions is {directions}; from 1 to the {inputs} inputs of a point are needed")
    generator = generator or torch.Generator().manual_seed(0)
    gaussian = torch.randn(len(points), inputs, directions, generator=generator, dtype=torch.float64)
    axes = torch.linalg.qr(gaussian).Q.mT.to(points)
    vertices = points.flatten(1)[:, None] + radius * torch.cat([axes, -axes], dim=1)
    with torch.no_grad(), _Listening() as heard:
        model(vertices.reshape(-1, *points.shape[1:]))
    if not heard.arguments:
        raise InvalidInput("the model calls no relu, leaky_relu or prelu: its regions cannot be counted")
    counts = []
    for values in heard.arguments:
        if len(values) != len(points) * 2 * directions:
            raise InvalidInput(
                f"a layer's leading axis has {len(values)} entries for {len(points) * 2 * directions} inputs: "
                "the model has to keep the sample axis first"
            )
        above = (values > 0).reshape(len(points), 2 * directions, -1)
        counts.append((above.any(dim=1) & ~above.all(dim=1)).sum(dim=1).cpu().numpy())
    return LocalComplexity(np.stack(counts), radius, directions)


@final
class _Listening(TorchFunctionMode):
    """Keeps the arguments of the functions that bend at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.arguments: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in BENT_AT_ZERO:
            self.arguments.append((args[0] if args else kwargs["input"]).detach().clone())
        return func(*args, **kwargs)
