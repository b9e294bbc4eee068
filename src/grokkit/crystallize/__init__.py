"""Float factors to exact schemes: polish, gauge, rounding, proof."""

import sys
import types
from functools import wraps
from typing import Any

from grokkit.crystallize._anneal import Annealing, anneal
from grokkit.crystallize._crystallize import (
    CONVERGED,
    METHODS,
    Crystallization,
    CrystallizedRun,
    Path,
    crystallize,
)
from grokkit.crystallize._problem import Problem
from grokkit.crystallize._rationalize import Rationalization, rationalize


class _CallableRoom(types.ModuleType):
    """Lets ``grokkit.crystallize`` be both this room and its main function (docs/adr/0002)."""

    @wraps(crystallize)
    def __call__(self, *args: Any, **options: Any) -> Crystallization:
        return crystallize(*args, **options)


sys.modules[__name__].__class__ = _CallableRoom

__all__ = [
    "CONVERGED",
    "METHODS",
    "Annealing",
    "Crystallization",
    "CrystallizedRun",
    "Path",
    "Problem",
    "Rationalization",
    "anneal",
    "crystallize",
    "rationalize",
]
