"""Sampled gradient training of populations of bilinear networks.

The configuration loads without torch, so that the command line can offer its fields; the rest on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grokkit.training._config import PRESETS, TrainConfig

if TYPE_CHECKING:
    from grokkit.training._population import CONVERGED, Population, Trajectory
    from grokkit.training._train import load_population, train

__all__ = ["CONVERGED", "PRESETS", "Population", "TrainConfig", "Trajectory", "load_population", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'grokkit.training' has no attribute {name!r}")
    from grokkit.training import _population, _train

    return getattr(_train if name in ("load_population", "train") else _population, name)
