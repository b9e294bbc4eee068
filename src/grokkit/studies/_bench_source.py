"""The table of the source documents (claims B01 to B04), measured again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np

from grokkit.studies._bench_contenders import OURS
from grokkit.studies._bench_results import BEST, LEAF, CaseResult
from grokkit.studies._bench_statistics import Estimate, ratio_of_medians

SOURCE_SIZES: Final = (2048, 4096, 8192)
STATED: Final[dict[tuple[int, bool], dict[str, tuple[float, float | None]]]] = {
    (2048, True): {"B03": (0.98, None), "B04": (1.01, -0.017)},
    (4096, True): {"B03": (1.13, None), "B04": (0.99, 0.057)},
    (8192, True): {"B01": (1.95, None), "B03": (1.95, None), "B04": (1.06, 0.205)},
    (8192, False): {"B02": (0.52, None)},
}
"""Speedup over OpenBLAS and overhead by claim, as the source documents state them, by N and whether on one thread.
They leave open what the overhead is, and the number of threads of B03."""


@final
@dataclass(frozen=True)
class SourceRow:
    """Our time, the best vendor's, and what of ours is not the products at the bottom.

    With L levels of a scheme of seven products, 7^L products of matrices of size N/2^L (rounded up) remain. The
    overhead is t_ours / (7^L t_leaf) − 1, where t_leaf is NumPy's time for one product of that size, alone, with
    contiguous operands, on the same threads, in the same rounds. It holds the additions and the traffic of
    the recursion, less what a product of ours gains over NumPy's; so it can be negative. Without levels it is t_ours /
    t_numpy − 1. Intervals are paired by round.
    """

    size: int
    dtype: str
    threads: int
    ours_seconds: float
    vendor: str
    vendor_seconds: float
    speedup: Estimate
    levels: int
    leaf_seconds: float
    overhead: Estimate
    rounds: int
    stated: dict[str, tuple[float, float | None]]
    """By claim: the stated speedup, and the stated overhead if there is one."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def source_table(results: Iterable[CaseResult]) -> list[SourceRow]:
    """Rows for results of square products that were timed with `leaves=True`."""
    return [_row(result) for result in results]


def _row(result: CaseResult) -> SourceRow:
    case, levels = result.case, int(result.plan.levels)
    overhead = ratio_of_medians(np.array(result.seconds[OURS]), np.array(result.seconds[LEAF]), seed=result.seed)
    value, low, high = (x / 7**levels - 1 for x in (overhead.value, overhead.low, overhead.high))
    return SourceRow(
        size=case.n,
        dtype=case.dtype,
        threads=case.threads,
        ours_seconds=result.median(OURS),
        vendor=result.best,
        vendor_seconds=result.median(result.best),
        speedup=result.ratio(BEST),
        levels=levels,
        leaf_seconds=result.median(LEAF),
        overhead=Estimate(value, low, high, overhead.n),
        rounds=result.rounds,
        stated=STATED.get((case.n, case.threads == 1), {}),
    )
