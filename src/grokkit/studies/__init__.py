"""Protocols, tables and reports that join the rooms. Torch and figures load when they are used."""

from grokkit.studies._bench_case import Case, Timing
from grokkit.studies._bench_contenders import available_cores, libraries
from grokkit.studies._bench_exponents import Exponents, time_exponents
from grokkit.studies._bench_matmul import WrongAnswer, bench_matmul
from grokkit.studies._bench_results import CaseResult, MatmulRow, with_common_peaks
from grokkit.studies._bench_schemes import SchemeRow, WrongScheme, bench_schemes, with_front
from grokkit.studies._bench_source import SOURCE_SIZES, SourceRow, source_table
from grokkit.studies._bench_statistics import Estimate, geometric_mean, ratio_of_medians, scaling_exponent
from grokkit.studies._doctor import diagnose, tune_machine
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
    "SOURCE_SIZES",
    "Case",
    "CaseResult",
    "Estimate",
    "ExpansionOperator",
    "ExpansionRow",
    "Exponents",
    "MatmulRow",
    "Median",
    "NoExpansion",
    "PermutationTest",
    "Proportion",
    "SchemeRow",
    "SourceRow",
    "Timing",
    "WrongAnswer",
    "WrongScheme",
    "available_cores",
    "bench_matmul",
    "bench_schemes",
    "diagnose",
    "discover_expansion_operator",
    "expansion_properties",
    "expansion_table",
    "geometric_mean",
    "invariant_subspace_dim",
    "libraries",
    "permutation_test",
    "ratio_of_medians",
    "scaling_exponent",
    "source_table",
    "time_exponents",
    "tune_machine",
    "with_common_peaks",
    "with_front",
]
