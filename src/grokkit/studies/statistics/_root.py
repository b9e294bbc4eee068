"""The root of a function between two points of opposite sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scipy.optimize import brentq


def root(function: Callable[[float], float], low: float, high: float, xtol: float = 2e-12) -> float:
    """Brent's method; relative tolerance 1e-12.

    >>> round(root(lambda x: x * x - 2, 0.0, 2.0), 9)
    1.414213562
    """
    solve: Any = brentq
    found = solve(function, low, high, xtol=xtol, rtol=1e-12)
    return float(found)
