"""grokkit trains a network until it is an algorithm, proves it, scales it and runs it.

Names load when they are first used: importing grokkit loads neither NumPy nor torch.

>>> import grokkit as gk
>>> gk.verify(gk.catalog["strassen"]).rank
7
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from grokkit._version import __version__

if TYPE_CHECKING:
    from grokkit.crystallize import Crystallization, crystallize
    from grokkit.execution import FastArray, Plan, asfast, convolve, matmul, plan
    from grokkit.scheme import (
        Certificate,
        Construction,
        Equivalence,
        Inequivalent,
        InvalidInput,
        Invariants,
        MatrixProduct,
        Program,
        Reading,
        Refuted,
        Scheme,
        SchemeFile,
        Undecided,
        UnreadableFile,
        alternative_basis,
        canonical,
        compose,
        direct_sum,
        equivalent,
        expand,
        extended,
        improve,
        invariants,
        load,
        parse_target,
        reduce_additions,
        rescaled,
        restricted,
        rotated,
        sandwiched,
        save,
        transposed,
        verify,
        with_format,
    )
    from grokkit.scheme.catalog import catalog
    from grokkit.search import SearchResult, find_scheme, lift
    from grokkit.studies import discover_expansion_operator
    from grokkit.training import Population, TrainConfig, load_population, train

_HOMES = {
    "grokkit.scheme": (
        "Certificate",
        "Construction",
        "Equivalence",
        "Inequivalent",
        "InvalidInput",
        "Invariants",
        "MatrixProduct",
        "Program",
        "Reading",
        "Refuted",
        "Scheme",
        "SchemeFile",
        "Undecided",
        "UnreadableFile",
        "alternative_basis",
        "canonical",
        "compose",
        "direct_sum",
        "equivalent",
        "expand",
        "extended",
        "improve",
        "invariants",
        "load",
        "parse_target",
        "reduce_additions",
        "rescaled",
        "restricted",
        "rotated",
        "sandwiched",
        "save",
        "transposed",
        "verify",
        "with_format",
    ),
    "grokkit.scheme.catalog": ("catalog",),
    "grokkit.crystallize": ("Crystallization", "crystallize"),
    "grokkit.execution": ("FastArray", "Plan", "asfast", "convolve", "matmul", "plan"),
    "grokkit.search": ("SearchResult", "find_scheme", "lift"),
    "grokkit.studies": ("discover_expansion_operator",),
    "grokkit.training": ("Population", "TrainConfig", "load_population", "train"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Certificate",
    "Construction",
    "Crystallization",
    "Equivalence",
    "FastArray",
    "Inequivalent",
    "InvalidInput",
    "Invariants",
    "MatrixProduct",
    "Plan",
    "Population",
    "Program",
    "Reading",
    "Refuted",
    "Scheme",
    "SchemeFile",
    "SearchResult",
    "TrainConfig",
    "Undecided",
    "UnreadableFile",
    "__version__",
    "alternative_basis",
    "asfast",
    "canonical",
    "catalog",
    "compose",
    "convolve",
    "crystallize",
    "direct_sum",
    "discover_expansion_operator",
    "equivalent",
    "expand",
    "extended",
    "find_scheme",
    "improve",
    "invariants",
    "lift",
    "load",
    "load_population",
    "matmul",
    "parse_target",
    "plan",
    "reduce_additions",
    "rescaled",
    "restricted",
    "rotated",
    "sandwiched",
    "save",
    "train",
    "transposed",
    "verify",
    "with_format",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'grokkit' has no attribute {name!r}")
    room = importlib.import_module(home)
    # the room grokkit.crystallize is callable and answers to the function's name (docs/adr/0002)
    value = room if home == f"grokkit.{name}" else getattr(room, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
