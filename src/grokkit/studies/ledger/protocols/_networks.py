"""Trained networks and what they crystallize to, as several protocols need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from grokkit.crystallize import Crystallization, crystallize
from grokkit.scheme import InvalidInput, Scheme
from grokkit.training import Population, TrainConfig, train


@final
@dataclass(frozen=True)
class Networks:
    """A population and its crystallization."""

    population: Population
    crystallized: Crystallization

    @property
    def scheme(self) -> Scheme:
        """The scheme of the first run that training alone had made converge."""
        for run in self.crystallized:
            if run.scheme is not None and run.path.converged_before_polish:
                return run.scheme
        raise InvalidInput("no network of this population converged and became exact; train more runs")

    def weights(self, run: int) -> dict[str, np.ndarray]:
        """U, V and W of one run."""
        population = self.population
        return {"U": population.U[run], "V": population.V[run], "W": population.W[run]}


def networks(preset: str, runs: int, seed: int, **changes: Any) -> Networks:
    """Train a population and crystallize it."""
    population = train(TrainConfig.preset(preset, runs=runs, seed=seed, **changes))
    return Networks(population, crystallize(population, seed=seed))
