"""How the time of a product grows with its size, ours beside a vendor's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, final

from grokkit.studies._bench_contenders import OURS
from grokkit.studies._bench_results import CaseResult
from grokkit.studies._bench_statistics import Estimate, scaling_exponent

SPAN: Final = 4
"""Smallest quotient of the largest and the smallest size from which an exponent says something."""


@final
@dataclass(frozen=True)
class Exponents:
    """e of t ∝ N^e over the sizes measured, by least squares of log t on log N (see `scaling_exponent`)."""

    dtype: str
    threads: int
    transpose: str
    sizes: tuple[int, ...]
    ours: Estimate
    baseline: str
    theirs: Estimate
    difference: Estimate
    """Theirs minus ours, paired by round: above 0 we gain with the size."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def time_exponents(results: Iterable[CaseResult], span: float = SPAN) -> list[Exponents]:
    """For every dtype, number of threads and transposition with square sizes that span that factor.

    The comparison is with NumPy, or with the first baseline where NumPy was left out.
    """
    groups: dict[tuple[str, int, str], list[CaseResult]] = {}
    for result in results:
        if result.case.square:
            key = result.case.dtype, result.case.threads, result.case.transpose
            groups.setdefault(key, []).append(result)
    return [_exponents(group) for group in groups.values() if spans([r.case.n for r in group], span)]


def spans(sizes: list[int], factor: float) -> bool:
    """Whether the sizes are two at least and far enough apart."""
    return len(set(sizes)) > 1 and max(sizes) >= factor * min(sizes)


def _exponents(group: list[CaseResult]) -> Exponents:
    first = group[0]
    baseline = "numpy" if "numpy" in first.baselines else first.baselines[0]
    sizes, own = [r.case.n for r in group], [r.seconds[OURS] for r in group]
    other = [r.seconds[baseline] for r in group]
    return Exponents(
        first.case.dtype,
        first.case.threads,
        first.case.transpose,
        tuple(sizes),
        scaling_exponent(sizes, own, seed=first.seed),
        baseline,
        scaling_exponent(sizes, other, seed=first.seed),
        scaling_exponent(sizes, other, over=own, seed=first.seed),
    )
