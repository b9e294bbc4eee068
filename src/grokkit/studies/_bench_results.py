"""What a benchmark found: every contender's answer and times, and rows of figures made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, final

import numpy as np

from grokkit.studies._bench_answers import Answer
from grokkit.studies._bench_case import Case
from grokkit.studies._bench_contenders import OURS
from grokkit.studies._bench_peak import Peak
from grokkit.studies._bench_statistics import Estimate, ratio_of_medians

BEST: Final = "best"
LEAF: Final = "leaf"


@final
@dataclass(frozen=True)
class MatmulRow:
    """Our product against one baseline. Speeds are 2nmp/t in GFLOP/s; shares are of the measured peak."""

    size: int | None
    """N of a square product, None for any other."""
    shape: tuple[int, int, int]
    dtype: str
    threads: int
    transpose: str
    baseline: str
    """A library, or ``best``: the one with the smallest median in this very comparison."""
    library: str
    """The library behind it."""
    ratio_median: float
    """Median time of the baseline over the median of ours: above 1 we are faster."""
    ratio_lo: float
    ratio_hi: float
    rounds: int
    seed: int
    ours_seconds: float
    baseline_seconds: float
    ours_gflops: float
    baseline_gflops: float
    ours_peak_share: float
    baseline_peak_share: float
    peak_gflops: float
    levels: int
    vendor: bool
    """Whether the plan leaves the product to the vendor's library."""
    reason: str
    expected_speedup: float | None
    error_bound: float
    """No entry may be off by more, for these operands."""
    error_estimate: float | None
    """The plan's own figure of the typical error."""
    error_largest: float
    """Largest error found, on the rows that were compared entry by entry."""
    error_relative: float
    baseline_error_relative: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@final
@dataclass(frozen=True)
class CaseResult:
    """One case: the plan, every contender's answer, and its seconds, round by round."""

    case: Case
    seed: int
    plan: Any
    peak: Peak
    answers: dict[str, Answer]
    seconds: dict[str, tuple[float, ...]]

    @property
    def baselines(self) -> list[str]:
        return [name for name in self.seconds if name not in (OURS, LEAF)]

    @property
    def rounds(self) -> int:
        return len(self.seconds[OURS])

    @property
    def best(self) -> str:
        """The baseline with the smallest median time."""
        return min(self.baselines, key=self.median)

    def median(self, contender: str) -> float:
        return float(np.median(self.seconds[contender]))

    def speed(self, contender: str) -> float:
        """GFLOP/s at the median time, as if the product were classical."""
        return self.case.flops / self.median(contender) / 1e9

    def ratio(self, baseline: str) -> Estimate:
        """Time of a baseline, or of the ``best`` one, over ours."""
        names = self.baselines if baseline == BEST else [baseline]
        times = np.array([self.seconds[name] for name in names])
        return ratio_of_medians(times, np.array(self.seconds[OURS]), seed=self.seed)

    def rows(self) -> list[MatmulRow]:
        """A row for every baseline, and one for the best of them."""
        return [self._row(name) for name in (*self.baselines, BEST)]

    def _row(self, baseline: str) -> MatmulRow:
        ratio, library = self.ratio(baseline), self.best if baseline == BEST else baseline
        case, answer = self.case, self.answers[OURS]
        return MatmulRow(
            size=case.n if case.square else None,
            shape=(case.n, case.m, case.p),
            dtype=case.dtype,
            threads=case.threads,
            transpose=case.transpose,
            baseline=baseline,
            library=library,
            ratio_median=ratio.value,
            ratio_lo=ratio.low,
            ratio_hi=ratio.high,
            rounds=self.rounds,
            seed=self.seed,
            ours_seconds=self.median(OURS),
            baseline_seconds=self.median(library),
            ours_gflops=self.speed(OURS),
            baseline_gflops=self.speed(library),
            ours_peak_share=self.speed(OURS) / self.peak.gflops,
            baseline_peak_share=self.speed(library) / self.peak.gflops,
            peak_gflops=self.peak.gflops,
            levels=int(self.plan.levels),
            vendor=bool(self.plan.vendor),
            reason=str(self.plan.reason),
            expected_speedup=_number(self.plan.expected_speedup),
            error_bound=answer.bound,
            error_estimate=_number(self.plan.error_estimate),
            error_largest=answer.largest,
            error_relative=answer.relative,
            baseline_error_relative=self.answers[library].relative,
        )


def with_common_peaks(results: Iterable[CaseResult]) -> list[CaseResult]:
    """The same results, with a peak that no baseline of the same dtype and number of threads exceeds in any round."""
    results, peaks = list(results), {}
    for result in results:
        case, key = result.case, (result.peak.dtype, result.peak.threads)
        found = [peaks.get(key, result.peak), result.peak]
        for name in result.baselines:
            speed = case.flops / min(result.seconds[name]) / 1e9
            found.append(Peak(*key, speed, f"{name}'s fastest product of size {case.name}"))
        peaks[key] = max(found, key=lambda peak: peak.gflops)
    return [replace(result, peak=peaks[result.peak.dtype, result.peak.threads]) for result in results]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
