"""Sampled gradient training of populations of bilinear networks.

The configuration loads without torch, so that the command line can offer its fields; the rest on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grokkit.training._config import PRESETS, TrainConfig

if TYPE_CHECKING:
    from grokkit.training._engine import untrained
    from grokkit.training._population import CONVERGED, Population, Trajectory
    from grokkit.training._train import load_population, train

__all__ = ["CONVERGED", "PRESETS", "Population", "TrainConfig", "Trajectory", "load_population", "train", "untrained"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'grokkit.training' has no attribute {name!r}")
    from grokkit.training import _engine, _population, _train

    homes = {"load_population": _train, "train": _train, "untrained": _engine}
    return getattr(homes.get(name, _population), name)
