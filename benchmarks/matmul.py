"""The matrix product against the vendors': speed by size and by shape, overhead of a call, errors, integers, A Aᵀ.

Every answer is asserted first: floating-point products against a wider reference within their stated bounds, integers
exactly. Then all contenders are timed in turns, in rounds of random order, in one process; a ratio is the vendor's
median time over ours with a 95 % bootstrap interval, paired by round.

    python benchmarks/matmul.py [targets shapes large overhead errors integers gram] [--seed 0] [--clock cpu] [--quick]
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from grokkit import execution
from grokkit.scheme import Scheme, error_bound
from grokkit.scheme.catalog import catalog
from grokkit.studies import (
    Case,
    CaseResult,
    Estimate,
    Median,
    Timing,
    available_cores,
    bench_matmul,
    geometric_mean,
    ratio_of_medians,
    with_common_peaks,
)
from grokkit.studies._bench_answers import Referee, wide_product
from grokkit.studies._bench_case import CLOCKS
from grokkit.studies._bench_contenders import Product, find_baselines, numpy_product, ours, thread_count, torch_product
from grokkit.studies._bench_matmul import classical_bound, stated_bound
from grokkit.studies._bench_rounds import time_rounds

ACCEPTED = 0.97
"""A ratio below this is looked at again, with more rounds."""
AGAIN = 4
"""So many times the rounds and the time."""
TRANSPOSES = ("nn", "nt", "tn", "tt")
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Settings:
    seed: int
    quick: bool
    clock: str

    def of(self, usual: Any, quick: Any) -> Any:
        return quick if self.quick else usual

    def timing(self, seconds: float, rounds: int, **more: Any) -> Timing:
        """At least so many rounds; quick: two, of one library."""
        if self.quick:
            return Timing(0.0, 2, self.seed, ("numpy",), self.clock)
        return Timing(seconds, rounds, self.seed, clock=self.clock, **more)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"some of {', '.join(PARTS)}; all if none is given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: where others use the cores too")
    parser.add_argument("--quick", action="store_true", help="tiny matrices and two rounds, to see that it runs")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    find_baselines(["numpy"] if given.quick else None)
    chosen = list(dict.fromkeys(given.parts or PARTS))
    for part in chosen:
        if len(chosen) > 1:
            print(f"### {part.capitalize()}\n")
        PARTS[part](Settings(given.seed, given.quick, given.clock))
        print()


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print(f"\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


# Square sizes


def targets(settings: Settings) -> None:
    """Square matrices on one and on two threads, against every library."""
    sizes = settings.of((1024, 1536, 2048, 4096, 8192), (32, 64))
    several = settings.of((2048, 4096, 8192), (64,)) if settings.clock == "wall" else ()
    cases = squares(sizes)
    if several and available_cores() > 1:
        cases += [Case(size, size, size, dtype, threads=2) for dtype in DTYPES for size in several]
    elif several:
        print("Two threads were not measured: this process may use one core only.\n")
    results = with_common_peaks(bench_matmul(cases, settings.timing(20.0, 5)))
    names = results[0].baselines
    print(
        f"Square matrices with Gaussian entries, seed {settings.seed}, {settings.clock} clock. Columns of libraries: their time over "
        "ours [95 %]; *best*: the fastest of them in the same rounds. *Of peak*: our 2N³/t by the fastest classical product seen at any "
        "size on as many threads. *Error*: Frobenius norm relative to the product, beside the plan's estimate; *largest*: of the entries "
        "that were compared, beside the rigorous bound."
    )
    header = ["N", "dtype", "threads", "levels", "rounds", *names, "best", "ours, s", "GFLOP/s", "of peak", "error"]
    print_table([*header, "estimate", "largest", "bound"], [target_cells(result) for result in results])
    peaks = dict.fromkeys(result.peak for result in results)
    print(
        "\nPeaks, GFLOP/s: " + "; ".join(f"{p.dtype}, threads {p.threads}: {p.gflops:.1f} ({p.source})" for p in peaks)
    )


def target_cells(result: CaseResult) -> list[str]:
    rows = result.rows()
    best = rows[-1]
    return [
        str(best.size),
        best.dtype,
        str(best.threads),
        "vendor" if best.vendor else str(best.levels),
        str(best.rounds),
        *[f"{row.ratio_median:.3f} [{row.ratio_lo:.3f}, {row.ratio_hi:.3f}]" for row in rows[:-1]],
        f"{best.ratio_median:.3f} [{best.ratio_lo:.3f}, {best.ratio_hi:.3f}] ({best.library})",
        f"{best.ours_seconds:.4g}",
        f"{best.ours_gflops:.1f}",
        f"{100 * best.ours_peak_share:.0f} %",
        f"{best.error_relative:.1e}",
        "" if best.error_estimate is None else f"{best.error_estimate:.1e}",
        f"{best.error_largest:.1e}",
        f"{best.error_bound:.1e}",
    ]


def squares(sizes: Iterable[int]) -> list[Case]:
    return [Case(size, size, size, dtype) for dtype in DTYPES for size in sizes]


# Random shapes


def random_cases(count: int, low: float, high: float, seed: int) -> list[Case]:
    """Sides log-uniform between the limits; every dtype and transposition equally often."""
    rng = np.random.default_rng((seed, count))
    kinds = itertools.cycle(itertools.product(DTYPES, TRANSPOSES))
    cases = []
    for dtype, transpose in itertools.islice(kinds, count):
        n, m, p = (round(float(side)) for side in np.exp(rng.uniform(np.log(low), np.log(high), 3)))
        cases.append(Case(n, m, p, dtype, 1, transpose))
    return cases


@dataclass(frozen=True)
class Compared:
    """One shape against one library: first, and again if that looked slow."""

    case: Case
    library: str
    levels: int
    first: Estimate
    again: Estimate | None

    @property
    def final(self) -> Estimate:
        return self.again or self.first

    @property
    def beyond_noise(self) -> bool:
        return self.again is not None and self.again.high < ACCEPTED


def shapes(settings: Settings) -> None:
    """Random shapes against NumPy, and of tensors against torch."""
    cases = random_cases(settings.of(200, 8), settings.of(64, 4), settings.of(6000, 60), settings.seed)
    with thread_count(1):
        tensors = product_of_tensors()
        compared = [each for case in cases for each in compare_shape(case, settings, tensors)]
    print(
        f"{len(cases)} random shapes, each side log-uniform in {settings.of('64..6000', '4..60')}, both dtypes, all four transpositions, "
        f"one thread, seed {settings.seed}, {settings.clock} clock, against NumPy's product of arrays"
        + (" and torch's product of tensors" if tensors else "")
        + f", each into memory at hand. Shapes below {ACCEPTED} were timed again with {AGAIN} times the rounds; *beyond noise*: the interval of the repetition "
        f"ends below {ACCEPTED}. The distribution takes the repetition where there is one."
        + ("" if tensors else " torch was not measured: there is no product of tensors.")
    )
    libraries = list(dict.fromkeys(each.library for each in compared))
    groups = {library: [each for each in compared if each.library == library] for library in libraries}
    header = ["library", "smallest", "5 %", "25 %", "median", "75 %", "95 %", "largest", "geometric mean [95 %]"]
    header += [f"below {ACCEPTED}", "again below", "beyond noise"]
    print_table(header, [distribution_cells(name, group, settings.seed) for name, group in groups.items()])
    print("\nThe ten smallest of each, by the last measurement:")
    header = [
        "library",
        "n x m x p",
        "dtype",
        "transposed",
        "levels",
        "first",
        "again [95 %]",
        "rounds",
        "beyond noise",
    ]
    worst = [each for group in groups.values() for each in sorted(group, key=lambda e: e.final.value)[:10]]
    print_table(header, [worst_cells(each) for each in worst])


def product_of_tensors() -> Callable[..., Any] | None:
    """Our product of torch's tensors, if there is one."""
    try:
        from grokkit.torch import matmul
    except ImportError:
        return None
    return matmul


def compare_shape(case: Case, settings: Settings, tensors: Callable[..., Any] | None) -> list[Compared]:
    """Ratios of one shape, each asserted and timed, and timed again where it looks slow."""
    a, b, c = case.operands(settings.seed)
    referee = Referee(a, b, np.random.default_rng(settings.seed), rows=8)
    pairs = {"numpy": (ours(a, b, c, 1), numpy_product(a, b, c))}
    if tensors is not None:
        x, y, z = (torch.from_numpy(matrix) for matrix in (a, b, c))
        pairs["torch"] = (lambda: tensors(x, y, out=z), torch_product(a, b, c))
    found = []
    for library, pair in pairs.items():
        plan = plan_of(case, library)
        check(referee, c, pair, f"{library}, {case}", bounds_of(case, plan))
        first = ratio(pair, settings, settings.of(0.5, 0.0), settings.of(7, 2))
        again = None
        if first.value < ACCEPTED:
            again = ratio(pair, settings, settings.of(0.5 * AGAIN, 0.0), settings.of(7 * AGAIN, 3))
        found.append(Compared(case, library, int(plan.levels), first, again))
    return found


def plan_of(case: Case, library: str = "numpy") -> Any:
    return execution.plan(
        (case.n, case.m), (case.m, case.p), case.dtype, layout=case.layout, threads=1, library=library
    )


def bounds_of(case: Case, plan: Any) -> tuple[float, float]:
    """Of our error and of theirs."""
    return stated_bound(plan, case.m, case.dtype), classical_bound(case.m, case.dtype)


def check(referee: Referee, c: np.ndarray, contenders: Iterable[Product], what: Any, bounds: Iterable[float]) -> None:
    """Assert that each contender writes the right product."""
    for name, multiply, bound in zip(("ours", "theirs"), contenders, bounds, strict=True):
        c.fill(np.nan)
        multiply()
        answer = referee.judge(c, bound)
        assert not answer.wrong, f"{name}, {what}: {answer.wrong}"


def times(contenders: Sequence[Product], settings: Settings, seconds: float, rounds: int) -> np.ndarray:
    """Seconds by contender and round."""
    named = {str(i): multiply for i, multiply in enumerate(contenders)}
    rng = np.random.default_rng(settings.seed)
    clock = CLOCKS[settings.clock]
    return np.array(list(time_rounds(named, rng, seconds=seconds, min_rounds=rounds, clock=clock).values()))


def ratio(pair: Sequence[Product], settings: Settings, seconds: float, rounds: int) -> Estimate:
    """Time of the second over the first."""
    own, other = times(pair, settings, seconds, rounds)
    return ratio_of_medians(other, own, seed=settings.seed)


def distribution_cells(name: str, group: list[Compared], seed: int) -> list[str]:
    values = [each.final.value for each in group]
    return [
        name,
        *[f"{value:.3f}" for value in np.percentile(values, (0, 5, 25, 50, 75, 95, 100))],
        str(geometric_mean(values, seed=seed)),
        f"{sum(each.first.value < ACCEPTED for each in group)} of {len(group)}",
        str(sum(each.final.value < ACCEPTED for each in group)),
        str(sum(each.beyond_noise for each in group)),
    ]


def worst_cells(each: Compared) -> list[str]:
    case = each.case
    return [
        each.library,
        f"{case.n} x {case.m} x {case.p}",
        case.dtype,
        case.transpose,
        str(each.levels),
        f"{each.first.value:.3f}",
        "" if each.again is None else str(each.again),
        str(each.final.n),
        "yes" if each.beyond_noise else "no",
    ]


def large(settings: Settings) -> None:
    """Large random shapes: geometric means."""
    cases = random_cases(settings.of(60, 8), settings.of(1500, 8), settings.of(6000, 60), settings.seed)
    results = list(bench_matmul(cases, settings.timing(0.0, 5)))
    print(
        f"{len(cases)} random shapes, each side log-uniform in {settings.of('1500..6000', '8..60')}, all four transpositions, one thread, "
        f"seed {settings.seed}, {settings.clock} clock: geometric mean of their time over ours [95 %, resampling shapes]; *best*: the "
        "fastest library of each shape."
    )
    names = [*results[0].baselines, "best"]
    rows = []
    for dtype in (*DTYPES, "both"):
        group = [r for r in results if dtype in (r.case.dtype, "both")]
        means = [geometric_mean([r.ratio(name).value for r in group], seed=settings.seed) for name in names]
        lowest = min(group, key=lambda r: r.ratio("best").value)
        rows.append([dtype, str(len(group)), *map(str, means), f"{lowest.ratio('best')} ({lowest.case})"])
    print_table(["dtype", "n", *names, "smallest against the best"], rows)


# Overhead of a call


def overhead(settings: Settings) -> None:
    """What a call costs where the product itself costs next to nothing."""
    print(
        f"Our time less NumPy's for one call that writes into an array at hand, one thread, seed {settings.seed}, {settings.clock} clock: "
        "difference of the medians, 95 % bootstrap interval paired by round."
    )
    rows = []
    with thread_count(1):
        for case in squares(settings.of((1, 8, 32, 64, 128, 256), (1, 8))):
            a, b, c = case.operands(settings.seed)
            pair = ours(a, b, c, 1), numpy_product(a, b, c)
            referee = Referee(a, b, np.random.default_rng(settings.seed))
            check(referee, c, pair, case, bounds_of(case, plan_of(case)))
            own, other = 1e6 * times(pair, settings, settings.of(2.0, 0.0), settings.of(15, 2))
            drawn = np.random.default_rng(settings.seed).integers(0, len(own), (2000, len(own)))
            low, high = np.percentile(np.median(own[drawn], axis=1) - np.median(other[drawn], axis=1), (2.5, 97.5))
            middle = np.median(own) - np.median(other)
            cells = [f"{np.median(own):.2f}", f"{np.median(other):.2f}", f"{middle:.2f} [{low:.2f}, {high:.2f}]"]
            rows.append([case.name, case.dtype, *cells, str(len(own))])
    print_table(["N", "dtype", "ours, µs", "NumPy, µs", "difference, µs [95 %]", "rounds"], rows)


# Errors


def normal(rng: np.random.Generator, size: int, scheme: Scheme, levels: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((size, size)), rng.standard_normal((size, size))


def uniform(rng: np.random.Generator, size: int, scheme: Scheme, levels: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.random((size, size)), rng.random((size, size))


def graded(rng: np.random.Generator, size: int, scheme: Scheme, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of A and columns of B that fall from 1 to 2^-24: C's entries are of all sizes down to 2^-48."""
    scale = 2.0 ** -np.linspace(0, 24, size)
    return rng.standard_normal((size, size)) * scale[:, None], rng.standard_normal((size, size)) * scale


def adversarial(rng: np.random.Generator, size: int, scheme: Scheme, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Entries of nearly one magnitude, with the signs, block by block at every level, for which the products that an
    output adds up are largest in sum of magnitudes."""
    signs = largest_signs(scheme)
    matrices = []
    for pattern in signs:
        whole = np.ones((1, 1))
        for _ in range(levels):
            whole = np.kron(whole, pattern)
        side = -(-size // len(whole))
        whole = np.kron(whole, np.ones((side, side)))[:size, :size]
        matrices.append(whole * rng.uniform(1 - 2**-6, 1, (size, size)))
    return matrices[0], matrices[1]


def largest_signs(scheme: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """Signs of the blocks of A and B for which max_k Σ_r |w_kr u_r(A) v_r(B)| is largest."""
    u, v, w = (np.asarray(x, dtype=np.float64) for x in scheme.floats())
    n, m, p = scheme.target.format  # type: ignore[attr-defined]
    left = np.array(list(itertools.product((1.0, -1.0), repeat=n * m)))
    right = np.array(list(itertools.product((1.0, -1.0), repeat=m * p)))
    sums = np.einsum("kr,xr,yr->xyk", np.abs(w), np.abs(left @ u.T), np.abs(right @ v.T)).max(axis=-1)
    x, y = np.unravel_index(int(sums.argmax()), sums.shape)
    return left[x].reshape(n, m), right[y].reshape(m, p)


DATA: dict[str, Callable[[np.random.Generator, int, Scheme, int], tuple[np.ndarray, np.ndarray]]] = {
    "normal": normal,
    "uniform [0, 1]": uniform,
    "graded": graded,
    "adversarial": adversarial,
}


def errors(settings: Settings) -> None:
    """Errors of every scheme and level, beside what is stated."""
    size, deepest, pairs = settings.of(1024, 32), settings.of(4, 2), settings.of(5, 1)
    print(
        f"Errors at N = {size}, pairs of matrices a row: {pairs}, seed {settings.seed}, against a reference of float64 for float32 and of some "
        "60 bits for float64. *Relative*: Frobenius norms, median [range or 95 %]; *estimate*: what the plan states for it; *largest*: of all "
        "entries of all pairs; *bound*: rigorous, the smallest of the pairs; *by entry*: largest error over the entry of |A||B|. *Graded*: rows "
        "of A and columns of B fall to 2^-24. *Adversarial*: signs for which the scheme's products are largest in sum."
    )
    header = ["data", "dtype", "scheme", "levels", "relative", "estimate", "largest", "bound", "largest / bound"]
    rows = []
    with thread_count(1):
        for data, dtype in itertools.product(DATA, DTYPES):
            algorithms = [("strassen", 0), *itertools.product(("strassen", "winograd"), range(1, deepest + 1))]
            rows += [error_cells(data, dtype, name, levels, size, pairs, settings.seed) for name, levels in algorithms]
    print_table([*header, "by entry"], rows)


@dataclass(frozen=True)
class Operands:
    """A and B, their product by a wider reference, and |A||B|."""

    a: np.ndarray
    b: np.ndarray
    exact: np.ndarray
    magnitudes: np.ndarray


@lru_cache(maxsize=8)
def operands(data: str, dtype: str, size: int, pattern: tuple[str, int] | None, key: tuple[int, ...]) -> Operands:
    """Drawn from the key; `pattern` names the scheme and the levels that adversarial matrices are for."""
    name, levels = pattern or ("strassen", 0)
    a, b = (x.astype(dtype) for x in DATA[data](np.random.default_rng(key), size, catalog[name], levels))
    return Operands(a, b, wide_product(a, b), np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64))


def error_cells(data: str, dtype: str, name: str, levels: int, size: int, pairs: int, seed: int) -> list[str]:
    factor = error_bound(catalog[name], levels, size, dtype).factor
    pattern = (name, max(levels, 1)) if data == "adversarial" else None
    relative, largest, by_entry, bounds = [], [], [], []
    for i in range(pairs):
        given = operands(data, dtype, size, pattern, (seed, list(DATA).index(data), i))
        c = execution.matmul(given.a, given.b, scheme=name, levels=levels)
        error = np.abs(c - given.exact).astype(np.float64)
        relative.append(float(np.linalg.norm(error) / np.linalg.norm(given.exact.astype(np.float64))))
        largest.append(float(error.max()))
        by_entry.append(float((error / given.magnitudes).max()))
        bounds.append(factor * float(np.abs(given.a).max()) * float(np.abs(given.b).max()))
        assert largest[-1] <= bounds[-1], f"{data}, {dtype}, {name}, {levels} levels: an error above its bound"
    middle = Median.of(relative)
    return [
        data,
        dtype,
        name if levels else "classical",
        str(levels),
        f"{middle.value:.1e} [{middle.low:.1e}, {middle.high:.1e}]",
        estimate_text(size, dtype, name, levels),
        f"{max(largest):.1e}",
        f"{min(bounds):.1e}",
        f"{max(x / y for x, y in zip(largest, bounds, strict=True)):.0e}",
        f"{max(by_entry):.1e}",
    ]


def estimate_text(size: int, dtype: str, name: str, levels: int) -> str:
    """The typical error that a plan with this scheme and these levels states."""
    form = size, size
    plan = execution.plan(form, form, dtype, threads=1, library="numpy", scheme=name, levels=levels)
    return "" if plan.error_estimate is None else f"{float(plan.error_estimate):.1e}"


# Integers


def integers(settings: Settings) -> None:
    """Integer products, which wrap around as NumPy's do, and products modulo a prime."""
    size, prime = settings.of(1024, 24), 65521
    print(
        f"Integers at N = {size}, one thread, seed {settings.seed}, {settings.clock} clock, all answers equal to NumPy's: its time over ours "
        "[95 %]. *Through float64*: NumPy's float64 product with conversion to and from it, where that is exact."
    )
    with thread_count(1):
        rows = [integer_cells(dtype, size, None, settings) for dtype in ("int64", "int32", "int16", "int8")]
        rows.append(integer_cells("int64", size, prime, settings))
    print_table(["entries", "ours, s", "NumPy", "through float64", "rounds"], rows)


def integer_cells(dtype: str, size: int, prime: int | None, settings: Settings) -> list[str]:
    rng = np.random.default_rng(settings.seed)
    limits = np.iinfo(dtype)
    low, high = (0, prime - 1) if prime else (int(limits.min), int(limits.max))
    a, b = (rng.integers(low, high, (size, size), dtype=dtype, endpoint=True) for _ in range(2))

    def reduced(c: np.ndarray) -> np.ndarray:
        return c if prime is None else c % prime

    contenders: list[Callable[[], Any]] = [
        lambda: execution.matmul(a, b, mod=prime),
        lambda: reduced(np.matmul(a, b)),
    ]
    if max(abs(low), high) ** 2 * size < 2**53:
        contenders.append(lambda: reduced((a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)).astype(dtype))
    expected = contenders[1]()
    for multiply in contenders:
        assert (np.asarray(multiply()) == expected).all(), f"{dtype}, modulus {prime}: a wrong integer"
    found = times(contenders, settings, settings.of(5.0, 0.0), settings.of(5, 2))
    against = [str(ratio_of_medians(other, found[0], seed=settings.seed)) for other in found[1:]]
    name = dtype if prime is None else f"{dtype} modulo {prime}"
    return [name, f"{np.median(found[0]):.4g}", against[0], against[1] if against[1:] else "", str(found.shape[1])]


# A Aᵀ


def gram(settings: Settings) -> None:
    """A @ A.T, for which NumPy computes one half only and copies it."""
    print(
        f"A @ A.T, one thread, seed {settings.seed}, {settings.clock} clock: NumPy's time (which takes BLAS syrk here, half of the work) over "
        "ours [95 %]."
    )
    rows = []
    with thread_count(1):
        for case in squares(settings.of((512, 1024, 2048, 4096), (8, 32))):
            a, _, c = case.operands(settings.seed)
            pair = ours(a, a.T, c, 1), numpy_product(a, a.T, c)
            referee = Referee(a, a.T, np.random.default_rng(settings.seed))
            check(referee, c, pair, f"A A^T, {case}", bounds_of(case, plan_of(case)))
            found = times(pair, settings, settings.of(5.0, 0.0), settings.of(7, 2))
            middle = ratio_of_medians(found[1], found[0], seed=settings.seed)
            rows.append([case.name, case.dtype, f"{np.median(found[0]):.4g}", str(middle), str(middle.n)])
    print_table(["N", "dtype", "ours, s", "NumPy", "rounds"], rows)


PARTS: dict[str, Callable[[Settings], None]] = {
    "targets": targets,
    "shapes": shapes,
    "large": large,
    "overhead": overhead,
    "errors": errors,
    "integers": integers,
    "gram": gram,
}


if __name__ == "__main__":
    main()
