"""Natural gradient flow beside motion under the same force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from grokkit.studies.ledger._measurement import Figure
from grokkit.studies.ledger._protocol import Context

TIME: Final = 6.0


def motion(seeds: range, context: Context) -> tuple[dict[str, Figure], str]:
    """Natural gradient flow and the geodesic equation with the same force, from one start, on a metric of full rank."""
    import torch

    from grokkit.dynamics import Loss
    from grokkit.studies.ledger.protocols import _geometry_models as gm
    from grokkit.transfer.geometry import natural_step

    found: dict[str, list[float | None]] = {}
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(64, 3, generator=generator, dtype=torch.float64)
        truth, start = torch.randn(2, 3, generator=generator, dtype=torch.float64)
        line = Loss(_line, {"w": start}, _half_of_one)
        batch = (x, x @ truth)

        def force(at: Any, line: Any = line, batch: Any = batch) -> Any:
            return natural_step(line.at(at), batch).direction

        flow, moved = _flow(force, start, 0.05), _moved(force, start, 0.05, 0.0)
        damped = _moved(force, start, 0.05, 20.0)
        size = float((start - truth).norm())
        found.setdefault("same start and velocity", []).append(float((flow - moved).norm()) / size)
        found.setdefault("with friction", []).append(float((flow - damped).norm()) / size)
        found.setdefault("loss", []).append(line.at(moved).value(batch) / line.at(flow).value(batch))
    return {
        "distance, same start and velocity": gm.typical(
            found["same start and velocity"],
            f"distance of flow and motion at time {TIME:g}, over that of start and solution",
        ),
        "distance, with friction": gm.typical(
            found["with friction"], "the same with a friction of 20 added to the motion, and its time stretched by it"
        ),
        "loss of the motion over that of the flow": gm.typical(
            found["loss"], f"loss of the motion over that of the flow at time {TIME:g}"
        ),
    }, (
        "A linear model of 3 parameters: its metric is constant and of full rank, so that geodesics are straight and "
        "the force is the natural gradient. The motion starts with the velocity of the flow. Flow is of first order "
        "and comes to rest, motion keeps its energy and swings; only friction, which the equation does not have, makes "
        "one of the other. At an exact bilinear solution the equation does not exist (claim K05)."
    )


def _line(p: Any, x: Any) -> Any:
    return x @ p["w"]


def _half_of_one(output: Any, target: Any) -> Any:
    return 0.5 * (output - target) ** 2


def _flow(force: Callable[[Any], Any], start: Any, step: float) -> Any:
    """The point that dθ/dt = force reaches at `TIME`, by the midpoint rule."""
    at = start
    for _ in range(round(TIME / step)):
        at = at + step * force(at + 0.5 * step * force(at))
    return at


def _moved(force: Callable[[Any], Any], start: Any, step: float, friction: float) -> Any:
    """The point that d²θ/dt² = force − friction · dθ/dt reaches, with the velocity of the flow, by a symplectic rule.

    With friction, at `TIME` times it, and starting at its end velocity.
    """
    stretch = friction or 1.0
    at, velocity = start, force(start) / stretch
    for _ in range(round(TIME * stretch / (step * (4 if friction else 1)))):
        h = step * (4 if friction else 1)
        velocity = (velocity + h * force(at)) / (1 + h * friction)
        at = at + h * velocity
    return at
