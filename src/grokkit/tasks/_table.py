"""All worlds and tasks by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from grokkit.scheme import InvalidInput, suggestion
from grokkit.tasks._cyclotron import Cyclotron, CyclotronField
from grokkit.tasks._examples import ModularAddition, Parity, Products, Task
from grokkit.tasks._hamiltonian import HamiltonianField
from grokkit.tasks._kepler import Kepler
from grokkit.tasks._pendulum import DoublePendulum
from grokkit.tasks._wave import Wave
from grokkit.tasks._world import World

WORLDS: Final[Mapping[str, Callable[..., World | Task]]] = MappingProxyType(
    {
        "wave": Wave,
        "kepler": Kepler,
        "double-pendulum": DoublePendulum,
        "cyclotron": Cyclotron,
        "cyclotron-field": CyclotronField,
        "hamiltonian-field": HamiltonianField,
        "products": Products,
        "parity": Parity,
        "modular-addition": ModularAddition,
    }
)
"""Worlds, which go on in time, and tasks of single examples."""


def world(name: str, **options: Any) -> World | Task:
    """A world or task by its name in `WORLDS`; `options` are its fields. ``-``, ``_`` and spaces are alike.

    >>> world("double pendulum", gravity=1.62).name
    'double pendulum'
    """
    wanted = str(name).strip().lower().replace("_", "-").replace(" ", "-")
    if wanted not in WORLDS:
        raise InvalidInput(f"no world {str(name)[:60]!r}{suggestion(wanted, sorted(WORLDS))}")
    make = WORLDS[wanted]
    known = list(inspect.signature(make).parameters)
    for option in options:
        if option not in known:
            raise InvalidInput(f"{wanted}: no option {option[:60]!r}{suggestion(option, sorted(known))}")
    return make(**options)
