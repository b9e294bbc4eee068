"""Measuring the machine profile: a fixed set of products, ours and the vendor's, timed in turns and fitted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from grokkit.execution import _kernel
from grokkit.execution._cost import Split, vendor_work, work
from grokkit.execution._profile import Prices, Profile, forget_profile, machine_name, profile_path
from grokkit.execution._threads import processors, vendor_limited, wait_for_idle_threads
from grokkit.scheme import InvalidInput, Scheme, expand
from grokkit.scheme import write_atomically as write
from grokkit.scheme.catalog import catalog, standard

SHAPES: Final = (
    (1024, 1024, 1024), (1536, 1536, 1536), (2048, 2048, 2048),
    (320, 2048, 2048), (2048, 320, 2048), (2048, 2048, 320),
)  # fmt: skip
"""Squares, and one thin product for each side, which tell packing and updates apart."""
MIN_ROUNDS: Final = 3
USUAL: Final = (1.0, 25.0, 45.0, 50.0, 20.0)
"""Prices of `WORK` where nothing else is known, in flops of the kernel (AVX2, cores of 2020 to 2024)."""
TRUST: Final = 0.07
"""Weight of `USUAL`: a case times some 5 % off, a usual price is some 70 % off."""

Vendor = Callable[[np.ndarray, np.ndarray, np.ndarray], Any]


def tune(
    seconds: float = 90.0,
    *,
    vendors: dict[str, Callable[[int], Any]] | None = None,
    shapes: Sequence[tuple[int, int, int]] = SHAPES,
    report: Callable[[str], None] = lambda line: None,
) -> Profile:
    """Measure this machine and return its profile.

    Parameters
    ----------
    seconds:
        Time to take, shared among dtypes and numbers of threads (one, and all); a little more if three rounds need it.
    vendors:
        Further libraries beside NumPy: a name, and a context manager of a number of threads that yields
        ``product(a, b, out)`` on arrays.
    shapes:
        Products N x M by M x P to time.
    report:
        Called with a line of progress now and then.

    Every round times each product of each contender once, in an order of its own; medians over the rounds are fitted by
    prices that are not negative, with relative errors as weights. Raises `InvalidInput` without a native core.
    """
    if _kernel.library() is None:
        raise InvalidInput("there is nothing to tune: the native core is not loaded (see `grokkit doctor`)")
    counts = sorted({1, processors()})
    libraries: dict[str, Callable[[int], Any]] = {"numpy": _NumPy, **(vendors or {})}
    share = {np.dtype(np.float32): 1 / 3, np.dtype(np.float64): 2 / 3}
    prices: list[Prices] = []
    for dtype, part in share.items():
        usual = USUAL
        for threads in counts:
            report(f"timing {dtype.name} on {threads} thread{'s' * (threads != 1)}")
            prices += _measure(dtype, threads, libraries, shapes, seconds * part / len(counts), usual)
            if threads == 1 and prices[-1].ours[0] > 0:  # more threads are expected to share all work alike
                usual = tuple(price / prices[-1].ours[0] for price in prices[-1].ours)
    details = {"seconds": seconds, "shapes": [list(shape) for shape in shapes]}
    return Profile(machine_name(), tuple(prices), details)


def store(profile: Profile) -> str:
    """Write a profile where products look for it; its path."""
    path = profile_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, (json.dumps(profile.to_json(), indent=1) + "\n").encode())
    forget_profile()
    return str(path)


class _NumPy:
    """NumPy's product on a number of threads."""

    def __init__(self, threads: int):
        self.limit = vendor_limited(threads)

    def __enter__(self) -> Vendor:
        self.limit.__enter__()
        return lambda a, b, out: np.matmul(a, b, out=out)

    def __exit__(self, *error: Any) -> None:
        self.limit.__exit__(*error)


def _splits(shape: tuple[int, int, int]) -> Iterator[Split]:
    classical, strassen = standard(1, 1, 1), catalog["strassen"]
    yield Split(classical, 0)
    yield Split(strassen, 0)
    if min(shape) >= 1024:
        yield Split(_squared(strassen), 0)
        yield Split(strassen, 1)


def _squared(scheme: Scheme) -> Scheme:
    return expand(scheme, 2)


def _measure(
    dtype: np.dtype[Any],
    threads: int,
    libraries: dict[str, Callable[[int], Any]],
    shapes: Sequence[tuple[int, int, int]],
    seconds: float,
    usual: Sequence[float],
) -> list[Prices]:
    rng = np.random.default_rng(0)
    cases: list[tuple[str, tuple[int, int, int], Split | None]] = []
    for shape in shapes:
        cases += [("", shape, split) for split in _splits(shape)]
        cases += [(name, shape, None) for name in libraries]
    operands = {
        shape: tuple(rng.standard_normal(size).astype(dtype) for size in (shape[:2], shape[1:], shape[::2]))
        for shape in shapes
    }
    times: list[list[float]] = [[] for _ in cases]
    start, rounds = time.perf_counter(), 0
    while rounds < MIN_ROUNDS + 1 or time.perf_counter() - start < seconds:
        for index in rng.permutation(len(cases)):
            name, shape, split = cases[index]
            a, b, out = operands[shape]
            if threads > 1:
                wait_for_idle_threads()
            if split is not None:
                begin = time.perf_counter()
                _kernel.multiply(a, b, out, split.scheme, explicit_levels=split.explicit_levels, threads=threads)
                times[index].append(time.perf_counter() - begin)
            else:
                with libraries[name](threads) as product:
                    begin = time.perf_counter()
                    product(a, b, out)
                    times[index].append(time.perf_counter() - begin)
        rounds += 1
    logs = np.log([samples[1:] for samples in times])  # the first round warms up
    return [_fitted(dtype, threads, name, cases, logs, usual) for name in libraries]


def _fitted(
    dtype: np.dtype[Any],
    threads: int,
    library: str,
    cases: Sequence[tuple[str, tuple[int, int, int], Split | None]],
    logs: np.ndarray,
    usual: Sequence[float],
) -> Prices:
    """Prices from the logarithms of the times, by case and round."""
    medians = np.exp(np.median(logs, axis=1))
    spread = 1.4826 * np.median(np.abs(logs - np.log(medians)[:, None]), axis=1)
    noise = 1.2533 * spread / np.sqrt(logs.shape[1])  # standard error of a median
    own = [i for i, (_, _, split) in enumerate(cases) if split is not None]
    theirs = [i for i, (name, _, split) in enumerate(cases) if split is None and name == library]
    amounts = np.array([work(cases[i][1], dtype, split) for i in own if (split := cases[i][2]) is not None])
    vendor_amounts = np.array([vendor_work(cases[i][1]) for i in theirs])
    flop = float(np.median(medians[own] / amounts[:, 0]))
    ours = relative_fit(amounts, medians[own], flop * np.maximum(usual, 1e-3))
    vendor = relative_fit(vendor_amounts, medians[theirs])
    doubt = float(np.sqrt(_doubt(amounts, ours, medians[own], noise[own])
                          + _doubt(vendor_amounts, vendor, medians[theirs], noise[theirs])))  # fmt: skip
    return Prices(
        dtype.name, threads, library, tuple(map(float, ours)), tuple(map(float, vendor)), min(max(doubt, 0.02), 0.10)
    )


def _doubt(amounts: np.ndarray, prices: np.ndarray, seconds: np.ndarray, noise: np.ndarray) -> float:
    """Variance of a prediction: what the prices miss beside noise, and the share of the noise that they take over."""
    errors = np.log(amounts @ prices / seconds)
    noise_variance = float(np.mean(noise**2))
    missed = max(float(np.mean(errors**2)) - noise_variance, 0.0)
    return missed + min(np.count_nonzero(prices) / len(seconds), 1.0) * noise_variance


def relative_fit(amounts: np.ndarray, seconds: np.ndarray, usual: np.ndarray | None = None) -> np.ndarray:
    """Prices x >= 0 that minimize Σ (amounts·x / seconds - 1)²: (cases, kinds), (cases,) to (kinds,).

    With `usual` prices each kind but the first counts as one more case of a small weight, which holds prices that the
    cases hardly tell apart near what they are elsewhere. Least squares on the kinds of positive price, leaving out the
    most negative one until none is: enough for a handful of kinds whose amounts are far from dependent.
    """
    scaled, wanted = amounts / seconds[:, None], np.ones(len(seconds))
    if usual is not None:
        prior = np.diag(TRUST / usual)[1:]
        scaled, wanted = np.vstack([scaled, prior]), np.concatenate([wanted, np.full(len(prior), TRUST)])
    units = np.abs(scaled).max(axis=0)
    units[units == 0] = 1
    kept = list(range(amounts.shape[1]))
    while kept:
        solution = np.linalg.lstsq(scaled[:, kept] / units[kept], wanted, rcond=None)[0]
        if (solution >= 0).all():
            prices = np.zeros(amounts.shape[1])
            prices[kept] = solution / units[kept]
            return prices
        kept.pop(int(solution.argmin()))
    return np.zeros(amounts.shape[1])
