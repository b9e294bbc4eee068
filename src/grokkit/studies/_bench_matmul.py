"""Our product against every vendor's: first checked, then timed in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from grokkit import execution
from grokkit.scheme import InvalidInput, error_bound
from grokkit.scheme.catalog import catalog
from grokkit.studies._bench_answers import Answer, Referee
from grokkit.studies._bench_case import CLOCKS, Case, Timing
from grokkit.studies._bench_contenders import BASELINES, OURS, Product, find_baselines, ours, thread_count
from grokkit.studies._bench_memory import check_memory
from grokkit.studies._bench_peak import Peak, measured_peak
from grokkit.studies._bench_results import LEAF, CaseResult
from grokkit.studies._bench_rounds import rest, time_rounds


class WrongAnswer(ArithmeticError):
    """A contender's product is not within its bound, so there is nothing to time."""

    def __init__(self, case: Case, contender: str, answer: Answer):
        who = "grokkit.matmul" if contender == OURS else contender
        super().__init__(f"{who} is wrong at {case}: {answer.wrong}")
        self.details = {"case": case.to_json(), "contender": contender, "answer": answer.to_json()}


def bench_matmul(
    cases: Sequence[Case],
    timing: Timing = Timing(),  # noqa: B008 -- frozen
    *,
    progress: Callable[[float], None] = lambda done: None,
) -> Iterator[CaseResult]:
    """Check, then time `grokkit.matmul` against every baseline, one case after the other.

    Parameters
    ----------
    cases:
        What to multiply. All are checked for memory before the first starts.
    timing:
        Rounds, seed and baselines.
    progress:
        Told the share of all cases that is done.

    Every contender multiplies the same matrices into the same C, in one process, with as many threads as the case
    says (threadpoolctl, torch.set_num_threads); afterwards the libraries have the threads that they had. Raises
    `WrongAnswer` if a contender's product is not within its bound, `InvalidInput` where memory does not suffice,
    `MissingExtra` for a baseline that is not there.
    """
    check_memory([(case.n, case.m, case.p, case.dtype) for case in cases])
    baselines = find_baselines(timing.baselines)
    if not baselines:
        raise InvalidInput("no baseline to compare with")
    if timing.clock == "cpu" and any(case.threads > 1 for case in cases):
        raise InvalidInput("CPU time adds up over threads; with more than one thread only the wall clock compares")
    return _results(list(cases), timing, baselines, progress)


def _results(
    cases: list[Case], timing: Timing, baselines: tuple[str, ...], progress: Callable[[float], None]
) -> Iterator[CaseResult]:
    peaks: dict[tuple[str, int], Peak] = {}
    for index, case in enumerate(cases):
        key = case.dtype, case.threads
        with thread_count(case.threads):
            if key not in peaks:
                peaks[key] = measured_peak(*key, baselines, timing)
            result = _measured(
                case, timing, baselines, peaks[key], lambda share, done=index: progress((done + share) / len(cases))
            )
        yield result


def _measured(
    case: Case, timing: Timing, baselines: tuple[str, ...], peak: Peak, progress: Callable[[float], None]
) -> CaseResult:
    a, b, c = case.operands(timing.seed)
    plan = execution.plan(a.shape, b.shape, a.dtype, layout=case.layout, threads=case.threads, library="numpy")
    contenders = {OURS: ours(a, b, c, case.threads)} | {name: BASELINES[name](a, b, c) for name in baselines}
    bounds = dict.fromkeys(baselines, classical_bound(case.m, case.dtype)) | {
        OURS: stated_bound(plan, case.m, case.dtype)
    }
    rng = np.random.default_rng((timing.seed, case.n, case.m, case.p))
    answers = check_answers(case, contenders, bounds, (a, b, c), rng)
    if timing.leaves:
        contenders[LEAF] = leaf_product(case, int(plan.levels), timing.seed)
    times = time_rounds(
        contenders,
        rng,
        seconds=timing.seconds,
        min_rounds=timing.min_rounds,
        before=rest(case.threads),
        clock=CLOCKS[timing.clock],
        progress=progress,
    )
    return CaseResult(case, timing.seed, plan, peak, answers, times)


def check_answers(
    case: Case,
    contenders: dict[str, Product],
    bounds: dict[str, float],
    matrices: tuple[np.ndarray, np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> dict[str, Answer]:
    """Every contender's answer. Raises `WrongAnswer` at the first that is not within its bound.

    Bounds are factors of ‖A‖max ‖B‖max.
    """
    a, b, c = matrices
    referee = Referee(a, b, rng)
    answers = {}
    for name, multiply in contenders.items():
        c.fill(np.nan)  # so that nothing is taken from the contender before
        multiply()
        answers[name] = referee.judge(c, bounds[name])
        if answers[name].wrong:
            raise WrongAnswer(case, name, answers[name])
    return answers


def stated_bound(plan: Any, inner: int, dtype: str) -> float:
    """The bound that a plan states for the error of every entry, as a factor of ‖A‖max ‖B‖max.

    A plan that states none leaves the product to a vendor; that is held to the classical bound.
    """
    stated = getattr(plan.error_bound, "factor", plan.error_bound)
    return classical_bound(inner, dtype) if stated is None else float(stated)


def classical_bound(inner: int, dtype: str) -> float:
    """The same for sums of `inner` products in any order."""
    return error_bound(catalog["strassen"], 0, inner, dtype).factor


def leaf_product(case: Case, levels: int, seed: int) -> Product:
    """NumPy's product of matrices of the size that is left after `levels` halvings."""
    n, m, p = (-(-side // 2**levels) for side in (case.n, case.m, case.p))
    return BASELINES["numpy"](*Case(n, m, p, case.dtype).operands(seed))
