"""Couplings with a power of c, and the horizon: quantities that the choice of units decides, by computation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

from grokkit.dynamics import Undefined
from grokkit.scheme import InvalidInput

READINGS: Final = {"batch size": 4096.0, "matrix size": 2048.0, "speed of light, m/s": 299_792_458.0}
"""What the source takes c for, in different places: a critical batch, a matrix that fills a cache, the c of the
equations."""


@final
@dataclass(frozen=True)
class Coupling:
    """G = c⁴ R / (8π |∇L|²) at one reading of c and one unit of the loss."""

    value: float
    c: float
    loss_unit: float


def coupling(
    curvature: float | Undefined, gradient_square: float, c: float, *, loss_unit: float = 1.0
) -> Coupling | Undefined:
    """G_eff for a loss measured in multiples of `loss_unit`.

    A unit divides L, hence |∇L|² by its square, and leaves R of a metric that does not scale with it: G is no property
    of training. Undefined where R is, and at a stationary point.
    """
    if not (c > 0 and loss_unit > 0 and gradient_square >= 0):
        raise InvalidInput(
            f"c {c}, loss_unit {loss_unit}, gradient_square {gradient_square}: positive numbers are needed"
        )
    if isinstance(curvature, Undefined):
        return Undefined(f"the coupling needs a curvature: {curvature.reason}")
    if gradient_square == 0:
        return Undefined("the gradient is zero, and the coupling divides by its square")
    value = c**4 * curvature / (8 * math.pi * gradient_square / loss_unit**2)
    return Coupling(value, c, loss_unit)


def horizon(coupling: float, parameters: float, c: float) -> float:
    """r_s = 2 G p / c², the source's "generalization horizon".

    >>> f"{horizon(1.44e-4, 1821, 4096):.1e}"
    '3.1e-08'
    """
    if not (coupling > 0 and parameters > 0 and c > 0):
        raise InvalidInput(f"coupling {coupling}, parameters {parameters}, c {c}: positive numbers are needed")
    return 2 * coupling * parameters / c**2


def parameters_at(radius: float, coupling: float, c: float) -> float:
    """The p at which `horizon` is `radius`.

    >>> f"{parameters_at(5.7e7, 1.44e-4, 4096):.1e}"
    '3.3e+18'
    """
    if not radius > 0:
        raise InvalidInput(f"radius is {radius}; a positive number is needed")
    return radius / horizon(coupling, 1.0, c)


def horizon_readings(
    coupling: float, parameters: float, published: float | None = None
) -> dict[str, float] | Undefined:
    """r_s under every reading of c; `Undefined`, with all values, if they or a `published` one differ by over 1 %.

    A horizon that depends on what c is taken for is not a property of a model.
    """
    found = {name: horizon(coupling, parameters, c) for name, c in READINGS.items()}
    every = [*found.values()] + ([] if published is None else [published])
    if max(every) > 1.01 * min(every):
        listed = ", ".join(f"{value:.1e} for a {name}" for name, value in found.items())
        against = "" if published is None else f"; published: {published:.1e}"
        return Undefined(f"r_s is {listed}{against}: c has no one meaning, and the radius no unit")
    return found
