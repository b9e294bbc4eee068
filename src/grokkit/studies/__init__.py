"""Protocols, tables and reports that join the rooms. Torch and figures load when they are used."""

from grokkit.studies._doctor import diagnose
from grokkit.studies._expansion_operator import (
    ExpansionOperator,
    NoExpansion,
    discover_expansion_operator,
    expansion_properties,
    invariant_subspace_dim,
)
from grokkit.studies._expansion_tables import (
    ExpansionRow,
    PermutationTest,
    expansion_table,
    permutation_test,
)
from grokkit.studies._statistics import Median, Proportion

__all__ = [
    "ExpansionOperator",
    "ExpansionRow",
    "Median",
    "NoExpansion",
    "PermutationTest",
    "Proportion",
    "diagnose",
    "discover_expansion_operator",
    "expansion_properties",
    "expansion_table",
    "invariant_subspace_dim",
    "permutation_test",
]
