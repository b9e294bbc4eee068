"""Worlds with exact solutions and baselines, to test what carries over.

Every world generates runs, knows their next states exactly (or to a stated tolerance) and what it conserves.
"""

from grokkit.scheme import need_extra

need_extra("grokkit.tasks", "scipy")

from grokkit.tasks._cyclotron import Cyclotron, CyclotronField  # noqa: E402
from grokkit.tasks._wave import Wave  # noqa: E402
from grokkit.tasks._world import Pairs, Trajectories, World  # noqa: E402

__all__ = ["Cyclotron", "CyclotronField", "Pairs", "Trajectories", "Wave", "World"]
