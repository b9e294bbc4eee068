"""``grokkit bench``: our matrix product against every vendor's, and the schemes of the catalog against each other."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from grokkit.cli._output import (
    Json,
    Verb,
    is_standard_output,
    out_path,
    print_json,
    print_table,
    progress_bar,
    say_no,
    verb_group,
)

MATMUL: Final = """\b
Examples:
  grokkit bench matmul --sizes 2048,4096 --dtypes float32,float64 --threads 1,all
  grokkit bench matmul --shapes 2000x3000x1500 --transpose nn,tn --json
  grokkit bench matmul --sizes 256,512,1024,2048,4096 --plot speed.svg
  grokkit bench matmul --source-table

Every answer is checked before anything is timed. Then all contenders are timed in turns, in rounds of random
order, in one process. A ratio is the baseline's median time over ours, above 1 where grokkit is faster, with
its 95 % bootstrap interval. Speeds are 2nmp/t, whatever is really computed.

Exit status: 0 measured; 1 an answer was wrong; 2 bad input; 130 interrupted, and what was finished is shown."""

SCHEMES: Final = """\b
Example:
  grokkit bench schemes --size 2048 --seconds 5

Every scheme of the catalog for matrices, one fused level, against the classical product of the same kernel and
against NumPy's, with its rank, additions and growth. A * marks the schemes of a format that no other one beats in all
four.

Exit status: 0 measured; 1 an answer was wrong; 2 bad input; 130 interrupted, and what was finished is shown."""

DEFAULT_SIZES: Final = "2048,4096"
STEPS: Final = 1000
"""Of the progress bar."""


Seconds = Annotated[float, typer.Option(help="Time for the rounds of a row; 5 rounds at least.", metavar="X")]
Clock = Annotated[
    str, typer.Option(help="cpu: the process's own time, where others use the core too.", metavar="[wall|cpu]")
]
Seed = Annotated[int, typer.Option(help="Seed of matrices and orders.", metavar="N", min=0)]


def register(app: typer.Typer) -> None:
    verbs = verb_group("bench", "Time the matrix product, or the schemes of the catalog.", "grokkit bench matmul")
    for function, short, epilog in (
        (matmul, "Our product against every vendor's.", MATMUL),
        (schemes, "Every scheme of the catalog: rank, additions, growth, speed.", SCHEMES),
    ):
        verbs.command(function.__name__, cls=Verb, short_help=short, epilog=epilog)(function)
    app.add_typer(verbs)


def matmul(
    sizes: Annotated[
        str | None,
        typer.Option(help="Sizes of square matrices. [default: 2048,4096]", metavar="N,N,...", show_default=False),
    ] = None,
    shapes: Annotated[
        str | None, typer.Option(help="Shapes n x m by m x p, such as 2000x3000x1500.", metavar="NxMxP,...")
    ] = None,
    dtypes: Annotated[str, typer.Option(help="float32, float64 or both.", metavar="NAME,...")] = "float32",
    threads: Annotated[
        str | None,
        typer.Option(help="Numbers of threads; all: every core. [default: 1]", metavar="N,...", show_default=False),
    ] = None,
    transpose: Annotated[
        str, typer.Option(help="Operands stored as they are (n) or transposed (t).", metavar="[nn|nt|tn|tt],...")
    ] = "nn",
    baselines: Annotated[
        str | None,
        typer.Option(help="Some of numpy, torch, scipy. [default: all that are installed]", metavar="NAME,..."),
    ] = None,
    seconds: Seconds = 10,
    clock: Clock = "wall",
    seed: Seed = 0,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw speed against size: a .png or .svg file.", metavar="FILE", parser=out_path),
    ] = None,
    exponent: Annotated[
        bool, typer.Option("--exponent", help="Fit time to a power of N, even if sizes span less than a factor of 4.")
    ] = False,
    source_table: Annotated[
        bool,
        typer.Option("--source-table", help="The published table: sizes 2048, 4096, 8192; threads 1 and all."),
    ] = False,
    json: Json = False,
) -> int:
    """Check every answer, then time the matrix product against NumPy, torch and SciPy in turns."""
    from grokkit.studies import SOURCE_SIZES, Timing, WrongAnswer, bench_matmul

    if source_table and shapes is not None:
        raise _bad("--source-table is of square matrices; leave --shapes out")
    if sizes is None and shapes is None:
        sizes = ",".join(map(str, SOURCE_SIZES)) if source_table else DEFAULT_SIZES
    if threads is None:
        threads = "1,all" if source_table else "1"
    cases = _cases(sizes, shapes, dtypes, threads, transpose)
    _check_exponent(exponent, [case.n for case in cases if case.square])
    _check_plot(plot, json)
    _names("--clock", clock, ("wall", "cpu"))
    timing = Timing(seconds, seed=seed, baselines=_baselines(baselines), clock=clock, leaves=source_table)
    report = _Report(plot, 1 if exponent else None, source_table, {"seed": seed, "seconds": seconds, "clock": clock})
    try:
        with progress_bar("timing", STEPS, "‰") as advance:
            for result in bench_matmul(cases, timing, progress=_in_steps(advance)):
                report.results.append(result)
    except WrongAnswer as error:
        return say_no("bench matmul", str(error), error.details | {"rows": report.rows()}, json)
    except KeyboardInterrupt:
        report.complete = False
    report.show(json)
    return 0 if report.complete else 130


def schemes(
    size: Annotated[int, typer.Option(help="Size of the matrices, about.", metavar="N", min=1, max=2**20)] = 2048,
    dtype: Annotated[str, typer.Option(help="Precision.", metavar="[float32|float64]")] = "float32",
    threads: Annotated[int, typer.Option(help="Number of threads.", metavar="N", min=1, max=1024)] = 1,
    seconds: Seconds = 5,
    clock: Clock = "wall",
    seed: Seed = 0,
    json: Json = False,
) -> int:
    """Time one level of every scheme of the catalog against the classical product of the same kernel."""
    from grokkit.scheme import MatrixProduct
    from grokkit.scheme.catalog import catalog
    from grokkit.studies import WrongScheme, bench_schemes, with_front

    for option, value, known in (("--dtype", dtype, ("float32", "float64")), ("--clock", clock, ("wall", "cpu"))):
        _names(option, value, known)
    named = [(name, catalog[name]) for name in catalog if isinstance(catalog[name].target, MatrixProduct)]
    options = {"size": size, "dtype": dtype, "threads": threads, "seconds": seconds, "clock": clock, "seed": seed}
    rows, complete = [], True
    try:
        with progress_bar("timing", len(named), "schemes") as advance:
            rows.extend(bench_schemes(named, **options, progress=lambda: advance(1)))  # what was measured stays
    except WrongScheme as error:
        return say_no("bench schemes", str(error), {"rows": [row.to_json() for row in rows]}, json)
    except KeyboardInterrupt:
        complete = False
    rows = with_front(rows)
    if json:
        print_json({"rows": [row.to_json() for row in rows], "complete": complete} | options)
    else:
        cells = [
            [
                f"{row.name}{' *' * row.front}",
                str(row.rank),
                row.ring + ", ternary" * row.ternary,
                str(row.additions),
                f"{row.growth:g}",
                f"{row.frobenius:.2f}",
                "x".join(map(str, row.shape)),
                str(row.speed),
                str(row.over_vendor),
            ]
            for row in rows
        ]
        header = ["scheme", "rank", "ring", "additions", "growth", "Frobenius", "shape", "over classical", "over NumPy"]
        print_table(header, cells)
    return 0 if complete else 130


class _Report:
    """What is printed and drawn of the results, all of them or those before an interruption."""

    def __init__(self, plot: Path | None, span: float | None, source_table: bool, settings: dict[str, Any]):
        self.plot, self.span, self.source_table, self.settings = plot, span, source_table, settings
        self.results: list[Any] = []
        self.complete = True

    def rows(self) -> list[dict[str, Any]]:
        return [row.to_json() for result in self.results for row in result.rows()]

    def show(self, as_json: bool) -> None:
        from grokkit.studies import libraries, source_table, time_exponents, with_common_peaks

        self.results = with_common_peaks(self.results)
        exponents = time_exponents(self.results, **({} if self.span is None else {"span": self.span}))
        stated = source_table(self.results) if self.source_table else []
        drawn = self._draw()
        if as_json:
            content = self.settings | {"complete": self.complete, "rows": self.rows()}
            content["peaks"] = [peak.to_json() for peak in self._peaks()]
            content["exponents"] = [each.to_json() for each in exponents]
            content["source_table"] = [row.to_json() for row in stated]
            print_json(content | {"plot": drawn, "machine": libraries()})
            return
        for peak in self._peaks():
            _print_group(peak, [r for r in self.results if r.peak == peak], self.settings["clock"])
        for each in exponents:
            _print_exponents(each)
        if stated:
            _print_source_table(stated)
        if drawn:
            print(f"written to {drawn}")

    def _peaks(self) -> list[Any]:
        return list(dict.fromkeys(result.peak for result in self.results))

    def _draw(self) -> str | None:
        if self.plot is None or not self.complete:
            return None
        from grokkit.scheme import write_atomically
        from grokkit.studies._bench_figure import speed_figure

        write_atomically(self.plot, speed_figure(self.results, self.plot.suffix.lower().lstrip(".")))
        return str(self.plot)


def _print_group(peak: Any, results: list[Any], clock: str) -> None:
    threads = "1 thread" if peak.threads == 1 else f"{peak.threads} threads"
    print(f"{peak.dtype}, {threads}, {clock} clock; peak {peak.gflops:.1f} GFLOP/s ({peak.source})")
    header = ["size", "", "levels", "against", "ratio", "[95 %]", "rounds", "ours", "theirs", "GFLOP/s", "theirs"]
    print_table([*header, "of peak", "error", "estimate"], [_cells(row) for r in results for row in r.rows()])


def _cells(row: Any) -> list[str]:
    return [
        str(row.size or "x".join(map(str, row.shape))),
        "" if row.transpose == "nn" else row.transpose,
        "vendor" if row.vendor else str(row.levels),
        f"best ({row.library})" if row.baseline == "best" else row.baseline,
        f"{row.ratio_median:.3f}",
        f"[{row.ratio_lo:.3f}, {row.ratio_hi:.3f}]",
        str(row.rounds),
        _time(row.ours_seconds),
        _time(row.baseline_seconds),
        f"{row.ours_gflops:.1f}",
        f"{row.baseline_gflops:.1f}",
        f"{100 * row.ours_peak_share:.0f} %",
        f"{row.error_relative:.1e}",
        "" if row.error_estimate is None else f"{row.error_estimate:.1e}",
    ]


def _print_exponents(each: Any) -> None:
    threads = "1 thread" if each.threads == 1 else f"{each.threads} threads"
    of = ", ".join([each.dtype, threads] + ([] if each.transpose == "nn" else [each.transpose]))
    print(
        f"{of}, {min(each.sizes)} to {max(each.sizes)}: time grows as N^{_exponent(each.ours)}, {each.baseline}'s as "
        f"N^{_exponent(each.theirs)}; difference {_exponent(each.difference)}"
    )


def _exponent(estimate: Any) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _print_source_table(rows: list[Any]) -> None:
    print("the published table; overhead is t / (7^levels t_leaf) - 1, t_leaf NumPy's time at size N / 2^levels")
    header = [
        "N",
        "dtype",
        "threads",
        "ours",
        "vendor",
        "",
        "speedup",
        "[95 %]",
        "levels",
        "leaf",
        "overhead",
        "[95 %]",
    ]
    print_table([*header, "stated"], [_source_cells(row) for row in rows])


def _source_cells(row: Any) -> list[str]:
    stated = "; ".join(
        f"{claim} {speedup:.2f}" + ("" if overhead is None else f" ({overhead:+.3f})")
        for claim, (speedup, overhead) in row.stated.items()
    )
    return [
        str(row.size),
        row.dtype,
        str(row.threads),
        _time(row.ours_seconds),
        _time(row.vendor_seconds),
        row.vendor,
        f"{row.speedup.value:.3f}",
        f"[{row.speedup.low:.3f}, {row.speedup.high:.3f}]",
        str(row.levels),
        _time(row.leaf_seconds),
        f"{row.overhead.value:+.3f}",
        f"[{row.overhead.low:+.3f}, {row.overhead.high:+.3f}]",
        stated,
    ]


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"


def _in_steps(advance: Callable[[int], None]) -> Callable[[float], None]:
    """A share of the whole as steps of the progress bar."""
    done = 0

    def report(share: float) -> None:
        nonlocal done
        steps = int(STEPS * share) - done
        if steps > 0:
            done += steps
            advance(steps)

    return report


def _bad(message: str) -> Exception:
    from grokkit.scheme import InvalidInput

    return InvalidInput(f"grokkit bench: {message}")


def _cases(sizes: str | None, shapes: str | None, dtypes: str, threads: str, transpose: str) -> list[Any]:
    from grokkit.studies import Case

    formats = [] if sizes is None else [(size, size, size) for size in _numbers("--sizes", sizes)]
    formats += _shapes(shapes) if shapes is not None else []
    return [
        Case(*form, dtype=dtype, threads=count, transpose=order)
        for dtype in _names("--dtypes", dtypes, ("float32", "float64"))
        for count in _threads(threads)
        for order in _names("--transpose", transpose, ("nn", "nt", "tn", "tt"))
        for form in dict.fromkeys(formats)
    ]


def _words(option: str, text: str) -> list[str]:
    words = list(dict.fromkeys(text.replace(",", " ").split()))
    if not words:
        raise _bad(f"{option} is empty")
    return words


def _numbers(option: str, text: str) -> list[int]:
    words = _words(option, text)
    if not all(re.fullmatch(r"[+-]?[0-9]{1,18}", word) for word in words):
        raise _bad(f"{option} {text!r} are not whole numbers; write 2048,4096")
    if min(map(int, words)) < 1:
        raise _bad(f"{option} {text!r}; numbers of 1 or more are needed")
    return list(map(int, words))


def _threads(text: str) -> list[int]:
    from grokkit.studies import available_cores

    words = [str(available_cores()) if word == "all" else word for word in _words("--threads", text)]
    counts = _numbers("--threads", ",".join(words))
    if max(counts) > 1024:
        raise _bad(f"--threads {text!r}; 1024 are possible at most")
    return counts


def _shapes(text: str) -> list[tuple[int, int, int]]:
    found = []
    for word in _words("--shapes", text):
        match = re.fullmatch(r"([0-9]{1,18})x([0-9]{1,18})x([0-9]{1,18})", word)
        if match is None or min(map(int, match.groups())) < 1:
            raise _bad(f"--shapes {word!r}; write n x m by m x p as 2000x3000x1500, sides of 1 or more")
        n, m, p = map(int, match.groups())
        found.append((n, m, p))
    return found


def _names(option: str, text: str, known: tuple[str, ...]) -> list[str]:
    from grokkit.scheme import suggestion

    words = _words(option, text)
    for word in words:
        if word not in known:
            raise _bad(f"{option} {word!r}{suggestion(word, known)}")
    return words


def _baselines(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(_names("--baselines", text, ("numpy", "torch", "scipy")))


def _check_exponent(wanted: bool, sizes: list[int]) -> None:
    if wanted and len(set(sizes)) < 2:
        raise _bad("--exponent needs two sizes at least, such as --sizes 512,1024,2048")


def _check_plot(path: Path | None, as_json: bool) -> None:
    """Refuse before anything is timed what could not be drawn afterwards."""
    if path is None:
        return
    from grokkit.scheme import need_extra

    if path.suffix.lower() not in (".png", ".svg"):
        raise _bad(f"--plot {path}: a name that ends in .png or .svg is needed")
    if not path.parent.is_dir():
        raise _bad(f"--plot {path}: there is no folder {path.parent}; make it first")
    if as_json and is_standard_output(path):
        raise _bad("--plot is the standard output, where --json prints; choose a file")
    need_extra("grokkit bench --plot", "matplotlib")
