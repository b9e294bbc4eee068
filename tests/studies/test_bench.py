"""The benchmark: statistics of known truth, answers that are wrong, contenders without copies, and every table."""

import importlib.util
import io
import math
import sys
import types
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from grokkit import execution
from grokkit.scheme import InvalidInput, MissingExtra, error_bound
from grokkit.scheme.catalog import catalog
from grokkit.studies import (
    Case,
    CaseResult,
    Estimate,
    Timing,
    WrongAnswer,
    _bench_memory,
    _bench_peak,
    _bench_rounds,
    bench_matmul,
    geometric_mean,
    ratio_of_medians,
    scaling_exponent,
    source_table,
    time_exponents,
    with_common_peaks,
)
from grokkit.studies._bench_answers import Answer, Referee, wide_product
from grokkit.studies._bench_contenders import BASELINES, _fortran, find_baselines, ours, thread_count
from grokkit.studies._bench_figure import speed_figure
from grokkit.studies._bench_matmul import classical_bound
from grokkit.studies._bench_peak import Peak
from grokkit.studies._bench_rounds import time_rounds

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "matmul.py"
QUICK = Timing(seconds=0.0, min_rounds=2)


def plan(levels, inner=64, dtype="float32"):
    bound = error_bound(catalog["strassen"], levels, inner, dtype)
    return types.SimpleNamespace(
        levels=levels,
        vendor=levels == 0,
        error_bound=bound.factor,
        error_estimate=1e-7,
        expected_speedup=1.0,
        reason="as the test says",
    )


@pytest.fixture
def small(monkeypatch):
    """Short timings; plans of one level from size 64; a product that takes what the interface promises."""

    def planned(a, b, dtype, *, layout=("row", "row", "row"), threads=None, library="numpy", scheme="auto", levels=0):
        return plan(levels or int(min(a + b) >= 64), a[1], dtype)

    def multiplied(a, b, *, out=None, threads=None, scheme="auto", levels=None):
        return np.matmul(a, b, out=out)

    monkeypatch.setattr(_bench_rounds, "SHORTEST", 1e-4)
    monkeypatch.setattr(_bench_peak, "SIZES", (16, 32))
    monkeypatch.setattr(_bench_peak, "LOOPS", 1000)
    monkeypatch.setattr(execution, "plan", planned)
    monkeypatch.setattr(execution, "matmul", multiplied)


def result(case=Case(64, 64, 64), levels=1, **seconds):  # noqa: B008 -- frozen
    answers = dict.fromkeys(seconds, Answer(0.0, 0.0, 1.0, ""))
    peak = Peak(case.dtype, case.threads, 1.0, "made up")
    return CaseResult(case, 0, plan(levels), peak, answers, {name: tuple(times) for name, times in seconds.items()})


# Statistics


@pytest.mark.parametrize("rounds", [5, 9, 25])
def test_the_interval_of_a_ratio_covers_it(rounds):
    rng = np.random.default_rng(rounds)
    inside = 0
    for trial in range(400):
        slow = rng.lognormal(0, 0.3, rounds)  # whole rounds are slow together
        ours, theirs = (slow * rng.lognormal(0, 0.05, rounds) for _ in range(2))
        found = ratio_of_medians(1.2 * theirs, ours, seed=trial)
        assert found.low <= found.high and found.n == rounds
        inside += found.low <= 1.2 <= found.high
    assert inside / 400 > 0.88


def test_pairing_by_round_cancels_what_slows_a_round_down():
    slow = np.random.default_rng(0).lognormal(0, 1, 25)
    found = ratio_of_medians(1.1 * slow, slow)
    assert found.low == pytest.approx(1.1) == found.high


def test_the_best_of_several_baselines_has_the_smallest_median():
    ours = np.ones(7)
    several = np.array([np.full(7, 1.3), np.full(7, 1.1), np.full(7, 1.2)])
    assert ratio_of_medians(several, ours).value == pytest.approx(1.1)
    timed = result(ours=ours, numpy=several[0], torch=several[1], scipy=several[2])
    assert timed.best == "torch" and timed.baselines == ["numpy", "torch", "scipy"]
    rows = timed.rows()
    assert [row.baseline for row in rows] == ["numpy", "torch", "scipy", "best"]
    assert rows[-1].library == "torch" and rows[-1].ratio_median == pytest.approx(1.1)


def test_the_same_seed_gives_the_same_interval():
    rng = np.random.default_rng(0)
    times = rng.lognormal(0, 1, (2, 200))
    assert ratio_of_medians(times[0], times[1], seed=3) == ratio_of_medians(times[0], times[1], seed=3)
    assert ratio_of_medians(times[0], times[1], seed=3) != ratio_of_medians(times[0], times[1], seed=4)


@given(st.floats(2, 3), st.floats(1e-9, 1e3))
def test_an_exact_power_has_its_exponent(exponent, scale):
    sizes = [64, 128, 1024]
    times = [[scale * size**exponent] * 5 for size in sizes]
    found = scaling_exponent(sizes, times)
    assert found.value == pytest.approx(exponent, abs=1e-9)
    assert found.low == pytest.approx(exponent, abs=1e-9) == found.high


def test_the_interval_of_an_exponent_covers_it():
    rng, sizes, inside = np.random.default_rng(1), [256, 512, 1024, 2048], 0
    for trial in range(300):
        times = [(size**2.807 * rng.lognormal(0, 0.1, 11)).tolist() for size in sizes]
        found = scaling_exponent(sizes, times, seed=trial)
        inside += found.low <= 2.807 <= found.high
    assert inside / 300 > 0.88


def test_an_exponent_needs_two_sizes():
    with pytest.raises(ValueError, match="two different sizes"):
        scaling_exponent([64, 64], [[1.0], [1.0]])
    assert time_exponents([result(ours=[1.0], numpy=[1.0])]) == []


def test_exponents_of_results_and_their_difference():
    cases = [Case(size, size, size) for size in (64, 128, 256)]
    results = [result(case, ours=[case.n**2.8] * 5, numpy=[1.5 * case.n**3.0] * 5) for case in cases]
    (found,) = time_exponents(results)
    assert (found.ours.value, found.theirs.value) == pytest.approx((2.8, 3.0))
    assert found.difference.value == pytest.approx(0.2) and found.baseline == "numpy"
    assert time_exponents(results[:2]) == []  # a factor of 2 only
    assert len(time_exponents(results[:2], span=1)) == 1
    assert time_exponents([result(Case(8, 9, 10), ours=[1.0], numpy=[1.0])] * 3) == []


def test_geometric_mean():
    assert geometric_mean([2.0, 8.0]).value == pytest.approx(4)
    rng, inside = np.random.default_rng(2), 0
    for trial in range(300):
        found = geometric_mean((1.1 * rng.lognormal(0, 0.1, 60)).tolist(), seed=trial)
        inside += found.low <= 1.1 <= found.high
    assert inside / 300 > 0.9
    with pytest.raises(ValueError, match="one value at least"):
        geometric_mean([])


# Answers


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_wide_product_is_nearly_exact(dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((5, 5)).astype(dtype) * 2.0 ** rng.integers(-9, 9, (5, 5)) for _ in range(2))
    a, b = a.astype(dtype), b.astype(dtype)
    wide = wide_product(a, b)
    for (i, j), found in np.ndenumerate(wide):
        exact = sum(Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a[i], b[:, j], strict=True))
        scale = float(np.abs(a[i]).max() * np.abs(b[:, j]).max())
        assert abs(Fraction(*found.as_integer_ratio()) - exact) <= np.finfo(dtype).eps * 2**-8 * scale


def test_the_wide_product_in_pieces():
    rng = np.random.default_rng(0)
    a, b = rng.integers(-50, 50, (700, 20)).astype(np.float64), rng.integers(-50, 50, (20, 1100)).astype(np.float64)
    assert (wide_product(a, b) == a @ b).all()


@given(
    st.tuples(*[st.integers(1, 40)] * 3),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from(["nn", "nt", "tn", "tt"]),
    st.integers(0, 2**16),
)
def test_right_answers_pass_and_one_wrong_entry_does_not(shape, dtype, transpose, seed):
    a, b, c = Case(*shape, dtype=dtype, transpose=transpose).operands(seed)
    np.matmul(a, b, out=c)
    rng = np.random.default_rng(seed)
    referee = Referee(a, b, rng, rows=3)
    factor = classical_bound(shape[1], dtype)
    right = referee.judge(c, factor)
    assert right.wrong == "" and right.largest <= right.bound and right.relative < 1e-6
    i, j = rng.integers(0, c.shape)
    c[i, j] += math.sqrt(shape[1])
    assert referee.judge(c, factor).wrong
    assert referee.judge(c, 1e6 * factor).wrong  # though its bound says little
    c[i, j] = np.nan
    assert "not finite" in referee.judge(c, factor).wrong


def test_an_error_within_half_of_the_digits_but_beyond_the_bound_is_wrong():
    a, b, c = Case(40, 40, 40).operands(0)
    np.matmul(a, b, out=c)
    c[0, 0] += 1e-3
    answer = Referee(a, b, np.random.default_rng(0)).judge(c, classical_bound(40, "float32") / 100)
    assert "an entry is off by 0.001; its bound is" in answer.wrong


# Contenders


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transpose", ["nn", "nt", "tn", "tt"])
def test_every_baseline_multiplies_in_place_without_copies(name, dtype, transpose):
    find_baselines([name])
    case = Case(7, 11, 5, dtype=dtype, transpose=transpose)
    a, b, c = case.operands(0)
    c.fill(np.nan)
    returned = BASELINES[name](a, b, c)()
    assert np.allclose(c, a.astype(np.float64) @ b.astype(np.float64), atol=1e-4)
    assert np.shares_memory(returned if name != "torch" else returned.numpy(), c)
    for x in (a, b):
        view, turned = _fortran(x)
        assert view.flags.f_contiguous and np.shares_memory(view, x)
        assert turned == (transpose[0 if x is a else 1] == "t")


def test_threads_are_set_and_restored():
    before = torch.get_num_threads(), [library["num_threads"] for library in threadpool_info()]

    def fail():
        with thread_count(1):
            assert torch.get_num_threads() == 1
            assert {library["num_threads"] for library in threadpool_info()} == {1}
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with thread_count(2):
        assert torch.get_num_threads() == 2
    assert before == (torch.get_num_threads(), [library["num_threads"] for library in threadpool_info()])


def test_our_product_takes_the_threads_that_are_set_for_all(monkeypatch):
    given = []
    monkeypatch.setattr(execution, "matmul", lambda a, b, *, out, threads=None: given.append(threads))
    matrices = Case(4, 4, 4).operands(0)
    with thread_count(1):
        ours(*matrices, 1)()
        ours(*matrices, 999)()
    assert given == [None, 999]


def test_baselines_that_are_unknown_or_missing(monkeypatch):
    assert find_baselines() == ("numpy", "torch", "scipy")
    assert find_baselines(["scipy", "numpy", "scipy"]) == ("scipy", "numpy")
    with pytest.raises(InvalidInput, match="baseline 'mkl'; use one of numpy, torch, scipy"):
        find_baselines(["mkl"])
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "torch" else real(name, *more))
    assert find_baselines() == ("numpy", "scipy")
    with pytest.raises(MissingExtra, match="the baseline torch needs torch"):
        find_baselines(["torch"])


# Rounds


class Clock:
    """Time that passes only in what is timed."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def contender(self, name, seconds):
        def run():
            self.now += seconds
            self.calls.append(name)

        return run


def test_rounds_time_everyone_once_in_changing_order():
    clock = Clock()
    contenders = {"a": clock.contender("a", 1.0), "b": clock.contender("b", 2.0), "c": clock.contender("c", 3.0)}
    shares = []
    rng = np.random.default_rng(0)
    times = time_rounds(contenders, rng, seconds=0.0, min_rounds=6, clock=lambda: clock.now, progress=shares.append)
    assert times == {"a": (1.0,) * 6, "b": (2.0,) * 6, "c": (3.0,) * 6}
    rounds = ["".join(clock.calls[i : i + 3]) for i in range(0, 18, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds) and len(set(rounds)) > 2
    assert shares == pytest.approx([i / 6 for i in range(1, 7)])


def test_what_is_fast_is_repeated():
    clock = Clock()
    times = time_rounds(
        {"a": clock.contender("a", 0.001)}, np.random.default_rng(0), seconds=0.0, clock=lambda: clock.now
    )
    assert times["a"] == pytest.approx([0.001] * 5)
    assert len(clock.calls) == sum([1, 2, 4, 8, 16]) + 5 * 32


def test_rounds_go_on_until_the_time_is_used(monkeypatch):
    clock = Clock()
    clocks = types.SimpleNamespace(perf_counter=lambda: clock.now, sleep=lambda seconds: None)
    monkeypatch.setattr(_bench_rounds, "time", clocks)
    contenders = {name: clock.contender(name, 0.1) for name in "ab"}
    times = time_rounds(contenders, np.random.default_rng(0), seconds=3.1, clock=clocks.perf_counter)
    assert len(times["a"]) == len(times["b"]) == 16


# Cases and memory


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "size 0; sizes of 1 or more"),
        ({"dtype": "int8"}, "dtype 'int8'; use one of float32, float64"),
        ({"transpose": "xx"}, "transpose 'xx'"),
        ({"threads": -1}, "-1 threads"),
    ],
)
def test_cases_that_cannot_be(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        Case(**{"n": 2, "m": 2, "p": 2} | arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seconds": -1.0}, "-1 seconds"),
        ({"seconds": math.nan}, "nan seconds"),
        ({"min_rounds": 0}, "0 rounds"),
        ({"clock": "sun"}, "clock 'sun'; use one of wall, cpu"),
    ],
)
def test_timings_that_cannot_be(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        Timing(**arguments)


def test_operands_are_stored_as_the_case_says():
    for transpose in ("nn", "nt", "tn", "tt"):
        a, b, c = Case(4, 5, 6, dtype="float64", transpose=transpose).operands(0)
        assert (a.shape, b.shape, c.shape) == ((4, 5), (5, 6), (4, 6))
        assert [x.flags.c_contiguous for x in (a, b)] == [letter == "n" for letter in transpose]
    same = [Case(4, 5, 6).operands(7)[0] for _ in range(2)]
    assert (same[0] == same[1]).all() and (same[0] != Case(4, 5, 6).operands(8)[0]).any()


def test_what_does_not_fit_is_refused_before_the_first_case(monkeypatch, small):
    monkeypatch.setattr(_bench_memory, "available_bytes", lambda: 10**9)
    with pytest.raises(InvalidInput, match=r"20000x20000 by 20000x20000 in float64 needs some .* or float32"):
        bench_matmul([Case(2, 2, 2), Case(20000, 20000, 20000, "float64")], QUICK)
    monkeypatch.setattr(_bench_memory, "available_bytes", lambda: None)
    bench_matmul([Case(20000, 20000, 20000)], QUICK)  # a generator; nothing is known, nothing is refused
    assert _bench_memory.needed_bytes(1000, 1000, 1000, "float32") > 3 * 4 * 10**6


def test_memory_is_known_here():
    assert 10**7 < _bench_memory.available_bytes() < 10**14


# The whole


def test_bench(small):
    shares = []
    cases = [Case(64, 64, 64), Case(30, 20, 10, "float64", transpose="tn")]
    results = list(bench_matmul(cases, QUICK, progress=shares.append))
    assert [each.case for each in results] == cases and shares == [0.25, 0.5, 0.75, 1.0]
    row = results[0].rows()[0].to_json()
    assert row["size"] == 64 and row["levels"] == 1 and row["rounds"] == 2 and row["baseline"] == "numpy"
    assert row["ratio_lo"] <= row["ratio_median"] <= row["ratio_hi"]
    assert row["ours_gflops"] == pytest.approx(2 * 64**3 / row["ours_seconds"] / 1e9)
    assert row["ours_peak_share"] == pytest.approx(row["ours_gflops"] / row["peak_gflops"])
    assert 0 < row["error_largest"] < row["error_bound"]
    row = results[1].rows()[-1].to_json()
    assert row["size"] is None and row["shape"] == (30, 20, 10) and row["vendor"]


def test_cpu_time_is_for_one_thread(small):
    assert len(list(bench_matmul([Case(8, 8, 8)], Timing(0.0, 2, clock="cpu", baselines=("numpy",))))) == 1
    with pytest.raises(InvalidInput, match="CPU time adds up"):
        bench_matmul([Case(8, 8, 8, threads=2)], Timing(clock="cpu"))
    with pytest.raises(InvalidInput, match="no baseline"):
        bench_matmul([Case(8, 8, 8)], Timing(baselines=()))


@pytest.mark.parametrize("wrong", ["one entry", "nothing written", "a thousandth", "nan"])
def test_a_wrong_product_is_found_before_anything_is_timed(small, monkeypatch, wrong):
    def multiplied(a, b, *, out, threads):
        if wrong != "nothing written":
            np.matmul(a, b, out=out)
        if wrong == "one entry":
            out[-2, 3] += 3
        if wrong == "a thousandth":
            out *= 1.001
        if wrong == "nan":
            out[5, 5] = np.nan

    monkeypatch.setattr(execution, "matmul", multiplied)
    with pytest.raises(WrongAnswer, match=r"grokkit.matmul is wrong at 100 nn in float32 on 1 thread: ") as error:
        list(bench_matmul([Case(100, 100, 100)], QUICK))
    assert error.value.details["contender"] == "ours" and error.value.details["case"]["size"] == 100


def test_a_wrong_baseline_is_found_too(small, monkeypatch):
    monkeypatch.setitem(BASELINES, "numpy", lambda a, b, c: lambda: c.fill(1.0))
    with pytest.raises(WrongAnswer, match="numpy is wrong at 9 nn"):
        list(bench_matmul([Case(9, 9, 9)], QUICK))


def test_the_source_table(small):
    results = list(bench_matmul([Case(64, 64, 64), Case(5, 5, 5)], Timing(0.0, 3, leaves=True)))
    recursed, plain = source_table(results)
    assert "leaf" not in results[0].baselines
    assert recursed.levels == 1 and plain.levels == 0 and recursed.rounds == 3
    for row, products in ((recursed, 7), (plain, 1)):
        assert row.overhead.value == pytest.approx(row.ours_seconds / (products * row.leaf_seconds) - 1)
        assert row.overhead.low <= row.overhead.value <= row.overhead.high
    case = Case(8192, 8192, 8192)
    (row,) = source_table([result(case, 2, ours=[60.0] * 5, numpy=[70.0] * 5, leaf=[1.0] * 5)])
    assert row.stated == {"B01": (1.95, None), "B03": (1.95, None), "B04": (1.06, 0.205)}
    assert row.overhead == Estimate(60 / 49 - 1, 60 / 49 - 1, 60 / 49 - 1, 5)
    assert row.speedup.value == pytest.approx(7 / 6)


def test_no_baseline_exceeds_the_common_peak():
    slow, fast = result(ours=[1e-9] * 5, numpy=[1.0] * 5), result(ours=[1.0] * 5, numpy=[1.0, 1e-7])
    first, second = with_common_peaks([slow, fast])
    assert first.peak == second.peak and first.peak.source == "numpy's fastest product of size 64"
    assert first.peak.gflops == pytest.approx(2 * 64**3 / 1e-7 / 1e9)
    other = result(Case(64, 64, 64, "float64"), ours=[1.0], numpy=[1.0])
    assert with_common_peaks([other, fast])[0].peak.source == "made up"


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_figure_is_an_image(kind):
    cases = [Case(size, size, size, threads=threads) for threads in (1, 2, 3, 4) for size in (64, 128, 256)]
    results = [
        result(each, levels=2, ours=[1e-3, 2e-3, 1.5e-3], numpy=[2e-3] * 3, torch=[3e-3] * 3, scipy=[3e-3] * 3)
        for each in cases
    ]
    data = speed_figure(results, kind)
    if kind == "png":
        assert matplotlib.image.imread(io.BytesIO(data)).shape[0] > 300
    else:
        text = " ".join(ET.fromstring(data.decode()).itertext())
        assert all(words in text for words in ("measured peak", "(8/7)^2", "float32, 2 threads", "grokkit", "256"))
        assert "(8/7)^3" not in text


def test_a_plan_that_states_no_bound_is_held_to_the_classical_one(small, monkeypatch):
    silent = types.SimpleNamespace(**vars(plan(0)) | {"error_bound": None, "error_estimate": None})
    monkeypatch.setattr(execution, "plan", lambda *arguments, **options: silent)
    (found,) = bench_matmul([Case(20, 30, 40)], QUICK)
    assert found.answers["ours"].bound == found.answers["numpy"].bound
    assert found.rows()[0].error_estimate is None


@pytest.mark.parametrize("case", [Case(33, 65, 17), Case(300, 300, 300, "float64", transpose="tt")])
def test_bench_the_real_product(monkeypatch, case):
    monkeypatch.setattr(_bench_rounds, "SHORTEST", 1e-4)
    monkeypatch.setattr(_bench_peak, "SIZES", (32,))
    monkeypatch.setattr(_bench_peak, "LOOPS", 1000)
    (found,) = bench_matmul([case], QUICK)
    assert found.answers["ours"].wrong == "" and found.rows()[0].reason


# benchmarks/matmul.py


@pytest.fixture
def script(small, monkeypatch):
    """The benchmark script, with a product that knows schemes and moduli, and one of tensors."""

    def multiplied(a, b, *, out=None, threads=None, scheme="auto", levels=None, mod=None):
        if scheme != "auto":
            return execution.recursive_product(catalog[scheme], a, b, levels)
        product = np.matmul(a, b, out=out)
        return product if mod is None else product % mod

    monkeypatch.setattr(execution, "matmul", multiplied)
    spec = importlib.util.spec_from_file_location("benchmark_of_matmul", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "benchmark_of_matmul", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "product_of_tensors", lambda: torch.matmul)
    return module


@pytest.mark.parametrize(
    ("part", "phrases"),
    [
        ("targets", ["| N | dtype | threads | levels |", "Peaks, GFLOP/s: float32, threads 1: "]),
        ("shapes", ["8 random shapes", "| numpy | ", "| torch | ", "below 0.97"]),
        ("large", ["| both | 8 | "]),
        ("overhead", ["difference, µs [95 %]"]),
        ("errors", ["| adversarial | float64 | winograd | 2 | ", "| graded | float32 | classical | 0 | "]),
        ("integers", ["| int8 | ", "| int64 modulo 65521 | "]),
        ("gram", ["| 32 | float64 | "]),
    ],
)
def test_every_part_of_the_script_runs(script, capsys, part, phrases):
    script.main(["--quick", part])
    out, err = capsys.readouterr()
    assert err == "" and all(phrase in out for phrase in phrases), out
    assert all(line.count("|") > 3 for line in out.splitlines() if line.startswith("|"))


def test_parts_that_are_unknown_and_tensors_that_nobody_multiplies(script, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        script.main(["--quick", "speed"])
    assert "no part speed; choose from targets" in capsys.readouterr().err
    monkeypatch.setattr(script, "product_of_tensors", lambda: None)
    script.main(["--quick", "shapes", "gram"])
    out = capsys.readouterr().out
    assert "torch was not measured" in out and "### Shapes" in out and "### Gram" in out


def test_the_script_asserts_answers(script, monkeypatch):
    monkeypatch.setattr(execution, "matmul", lambda a, b, *, out, threads: np.matmul(a, 1.01 * b, out=out))
    for part in ("overhead", "gram"):
        with pytest.raises(AssertionError, match="ours, "):
            script.main(["--quick", part])
    with pytest.raises(WrongAnswer):
        script.main(["--quick", "targets"])


def test_adversarial_signs_reach_the_growth_of_a_scheme(script):
    for name, growth in (("strassen", 8), ("winograd", 16)):
        scheme = catalog[name]
        a, b = script.largest_signs(scheme)
        u, v, w = scheme.floats()
        assert (np.abs(w) @ (np.abs(u @ a.ravel()) * np.abs(v @ b.ravel()))).max() >= growth


def test_random_shapes_are_the_same_for_the_same_seed(script):
    cases = script.random_cases(200, 64, 6000, 0)
    assert cases == script.random_cases(200, 64, 6000, 0) != script.random_cases(200, 64, 6000, 1)
    assert all(64 <= side <= 6000 for case in cases for side in (case.n, case.m, case.p))
    assert {(case.dtype, case.transpose) for case in cases[:8]} == {(case.dtype, case.transpose) for case in cases}
    assert len({(case.dtype, case.transpose) for case in cases}) == 8
