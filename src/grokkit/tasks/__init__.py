"""Worlds with exact solutions and baselines, to test what carries over.

Every world generates runs, knows their next states exactly (or to a stated tolerance) and what it conserves. Tasks of
single examples know their solution. `judge` sets a model beside predictions that know nothing and one that knows all;
`rollout` lets it run on its own predictions.
"""

from grokkit.scheme import need_extra

need_extra("grokkit.tasks", "scipy")

from grokkit.tasks._cyclotron import Cyclotron, CyclotronField  # noqa: E402
from grokkit.tasks._examples import Examples, ModularAddition, Parity, Products, Task  # noqa: E402
from grokkit.tasks._hamiltonian import HamiltonianField  # noqa: E402
from grokkit.tasks._judge import (  # noqa: E402
    TIMES,
    Baseline,
    Judgement,
    Predict,
    baselines,
    example_baselines,
    judge,
    judge_examples,
    linear_least_squares,
)
from grokkit.tasks._kepler import Kepler  # noqa: E402
from grokkit.tasks._mean import Mean  # noqa: E402
from grokkit.tasks._pendulum import DoublePendulum  # noqa: E402
from grokkit.tasks._rollout import Rollout, rollout  # noqa: E402
from grokkit.tasks._table import WORLDS, world  # noqa: E402
from grokkit.tasks._wave import Wave  # noqa: E402
from grokkit.tasks._world import Pairs, Trajectories, World  # noqa: E402

__all__ = [
    "TIMES",
    "WORLDS",
    "Baseline",
    "Cyclotron",
    "CyclotronField",
    "DoublePendulum",
    "Examples",
    "HamiltonianField",
    "Judgement",
    "Kepler",
    "Mean",
    "ModularAddition",
    "Pairs",
    "Parity",
    "Predict",
    "Products",
    "Rollout",
    "Task",
    "Trajectories",
    "Wave",
    "World",
    "baselines",
    "example_baselines",
    "judge",
    "judge_examples",
    "linear_least_squares",
    "rollout",
    "world",
]
