"""``grokkit bench``: its JSON, its tables, what it refuses, and what it leaves when it is interrupted."""

import json
import os
import subprocess
import sys
import types
import xml.etree.ElementTree as ET

import matplotlib.image
import numpy as np
import pytest

from grokkit import execution
from grokkit.cli import main
from grokkit.cli.bench import _in_steps
from grokkit.studies import _bench_peak, _bench_rounds, available_cores

QUICK = ["--seconds", "0"]
KEYS = {
    "size": int,
    "shape": list,
    "dtype": str,
    "threads": int,
    "transpose": str,
    "baseline": str,
    "library": str,
    "ratio_median": float,
    "ratio_lo": float,
    "ratio_hi": float,
    "rounds": int,
    "seed": int,
    "ours_seconds": float,
    "baseline_seconds": float,
    "ours_gflops": float,
    "baseline_gflops": float,
    "ours_peak_share": float,
    "baseline_peak_share": float,
    "peak_gflops": float,
    "levels": int,
    "vendor": bool,
    "reason": str,
    "expected_speedup": float,
    "error_bound": float,
    "error_estimate": float,
    "error_largest": float,
    "error_relative": float,
    "baseline_error_relative": float,
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Short timings, and a product that takes what the interface promises."""

    def planned(a, b, dtype, **options):
        return types.SimpleNamespace(
            levels=0,
            vendor=True,
            error_bound=a[1] ** 2 * float(np.finfo(dtype).eps),
            error_estimate=1e-7,
            expected_speedup=1.0,
            reason="too small",
        )

    monkeypatch.setattr(_bench_rounds, "SHORTEST", 1e-4)
    monkeypatch.setattr(_bench_peak, "SIZES", (16,))
    monkeypatch.setattr(_bench_peak, "LOOPS", 1000)
    monkeypatch.setattr(execution, "plan", planned)
    monkeypatch.setattr(execution, "matmul", lambda a, b, *, out, threads: np.matmul(a, b, out=out))


def bench(capsys, *arguments, code=0):
    """The one JSON object on stdout, and stderr."""
    assert main(["bench", "matmul", *QUICK, "--json", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert len(out.strip().splitlines()) == 1
    return json.loads(out), err


def test_the_schema_of_a_row(capsys):
    content, err = bench(capsys, "--sizes", "8", "16", "--dtypes", "float32,float64", "--seed", "3")
    assert err == "" and content["complete"] and content["seed"] == 3
    rows = content["rows"]
    assert [(row["size"], row["dtype"], row["baseline"]) for row in rows] == [
        (size, dtype, baseline)
        for dtype in ("float32", "float64")
        for size in (8, 16)
        for baseline in ("numpy", "torch", "scipy", "best")
    ]
    for row in rows:
        assert set(row) == set(KEYS)
        assert all(isinstance(row[key], kind) for key, kind in KEYS.items()), row
        assert row["ratio_lo"] <= row["ratio_hi"] and row["rounds"] == 5 and row["seed"] == 3
        assert row["baseline_peak_share"] <= 1 and row["error_largest"] <= row["error_bound"]
    assert [peak["dtype"] for peak in content["peaks"]] == ["float32", "float64"]
    assert all(peak["source"] and peak["gflops"] > 0 for peak in content["peaks"])
    assert content["exponents"] == content["source_table"] == [] and content["plot"] is None
    assert set(content["machine"]["versions"]) == {"numpy", "torch", "scipy"}


def test_shapes_transposes_threads_and_baselines(capsys):
    content, _ = bench(
        capsys, "--shapes", "8x9x10,11x3x2", "--transpose", "nn,tt", "--threads", "2,all", "--baselines", "numpy"
    )
    rows = [row for row in content["rows"] if row["baseline"] == "numpy"]
    threads = list(dict.fromkeys([2, available_cores()]))
    assert [(row["threads"], row["transpose"], row["shape"]) for row in rows] == [
        (count, order, shape) for count in threads for order in ("nn", "tt") for shape in ([8, 9, 10], [11, 3, 2])
    ]
    assert all(row["size"] is None for row in rows)


def test_the_table_and_the_exponent(capsys):
    assert main(["bench", "matmul", *QUICK, "--sizes", "8,16,32", "--baselines", "numpy,scipy"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "float32, 1 thread, wall clock; peak " in out
    assert out.count(" vendor ") == 9 and "best (" in out
    assert "float32, 1 thread, 8 to 32: time grows as N^" in out and "numpy's as N^" in out
    assert "of peak" in out and "estimate" in out


def test_an_exponent_on_request(capsys):
    content, _ = bench(capsys, "--sizes", "16,24", "--exponent", "--baselines", "scipy")
    (found,) = content["exponents"]
    assert found["sizes"] == [16, 24] and found["baseline"] == "scipy"
    assert found["ours"]["low"] <= found["ours"]["value"] <= found["ours"]["high"]
    assert bench(capsys, "--sizes", "16,24", "--baselines", "scipy")[0]["exponents"] == []


def test_the_source_table(capsys):
    content, _ = bench(capsys, "--source-table", "--sizes", "16", "--baselines", "numpy")
    rows = content["source_table"]
    assert [row["threads"] for row in rows] == list(dict.fromkeys([1, available_cores()]))
    assert rows[0]["size"] == 16 and rows[0]["vendor"] == "numpy" and rows[0]["stated"] == {}
    assert set(rows[0]["overhead"]) == {"value", "low", "high", "n"}
    assert main(["bench", "matmul", *QUICK, "--source-table", "--sizes", "16", "--threads", "1"]) == 0
    assert "overhead is t / (7^levels t_leaf) - 1" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["speed.png", "speed.svg", "SPEED.PNG"])
def test_a_plot(capsys, tmp_path, name):
    path = tmp_path / name
    assert main(["bench", "matmul", *QUICK, "--sizes", "8,16", "--baselines", "numpy", "--plot", str(path)]) == 0
    assert f"written to {path}" in capsys.readouterr().out
    if path.suffix.lower() == ".png":
        assert matplotlib.image.imread(path).ndim == 3
    else:
        assert ET.parse(path).getroot().tag.endswith("svg")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "grokkit bench: missing command; see grokkit bench --help"),
        (["training"], "no such command 'training'; see grokkit bench --help"),
        (["matmul", "--sizes", "0"], "--sizes '0'; numbers of 1 or more are needed"),
        (["matmul", "--sizes", "-5"], "--sizes '-5'"),
        (["matmul", "--sizes", "2k"], "--sizes '2k' are not whole numbers; write 2048,4096"),
        (["matmul", "--sizes", ","], "--sizes is empty"),
        (["matmul", "--sizes", ""], "--sizes is empty"),
        (["matmul", "--sizes", "1000000"], "in float32 needs some 2.24e+04 GiB of memory and "),
        (["matmul", "--sizes", "9" * 18, "--dtypes", "float64"], "use smaller matrices or float32"),
        (["matmul", "--shapes", "3x4"], "--shapes '3x4'; write n x m by m x p as 2000x3000x1500"),
        (["matmul", "--shapes", "3x0x4"], "--shapes '3x0x4'"),
        (["matmul", "--dtypes", "float16"], "--dtypes 'float16'; did you mean float64?"),
        (["matmul", "--threads", "-1"], "--threads '-1'; numbers of 1 or more are needed"),
        (["matmul", "--threads", "0"], "--threads '0'"),
        (["matmul", "--threads", "some"], "--threads 'some' are not whole numbers"),
        (["matmul", "--threads", "5000"], "1024 are possible at most"),
        (["matmul", "--transpose", "nx"], "--transpose 'nx'; use one of nn, nt, tn, tt"),
        (["matmul", "--baselines", "mkl"], "--baselines 'mkl'; use one of numpy, torch, scipy"),
        (["matmul", "--seconds", "-1"], "-1 seconds"),
        (["matmul", "--seconds", "nan"], "nan seconds"),
        (["matmul", "--clock", "sun"], "--clock 'sun'; use one of wall, cpu"),
        (["matmul", "--clock", "cpu", "--threads", "2"], "CPU time adds up over threads"),
        (["matmul", "--seed", "-1"], "'--seed'"),
        (["matmul", "--plot", "speed.pdf"], "a name that ends in .png or .svg is needed"),
        (["matmul", "--plot", "no/speed.png"], "there is no folder no; make it first"),
        (["matmul", "--exponent", "--sizes", "64"], "--exponent needs two sizes at least"),
        (["matmul", "--source-table", "--shapes", "2x2x2"], "leave --shapes out"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("grokkit") and message in err, err
    assert list(tmp_path.iterdir()) == []


def test_a_plot_on_standard_output_is_refused_with_json(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("grokkit.cli.bench.is_standard_output", lambda path: True)
    content, _ = bench(capsys, "--sizes", "8", "--plot", tmp_path / "x.svg", code=2)
    assert "--plot is the standard output" in content["error"]


def test_a_plot_without_matplotlib_is_refused_before_anything_is_timed(capsys, monkeypatch, tmp_path):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "matplotlib" else real(name, *more)
    )
    content, err = bench(capsys, "--sizes", "8", "--plot", tmp_path / "x.svg", code=2)
    assert content["error"] == "grokkit bench --plot needs matplotlib: pip install 'grokkit[lab]'"
    assert err.count("\n") == 1


def test_a_wrong_answer_is_exit_1(capsys, monkeypatch):
    def wrong_from_size_16(a, b, *, out, threads):
        np.matmul(a, b, out=out)
        if len(a) == 16:
            out[3, 4] += 1

    monkeypatch.setattr(execution, "matmul", wrong_from_size_16)
    content, err = bench(capsys, "--sizes", "8,16", "--baselines", "numpy", code=1)
    assert content["error"].startswith("grokkit.matmul is wrong at 16 nn in float32 on 1 thread: ") and err == ""
    assert content["exit_code"] == 1 and content["contender"] == "ours" and content["answer"]["wrong"]
    assert {row["size"] for row in content["rows"]} == {8}
    assert main(["bench", "matmul", *QUICK, "--sizes", "16"]) == 1
    assert capsys.readouterr().out.startswith("grokkit bench matmul: grokkit.matmul is wrong at 16")


def test_ctrl_c_leaves_what_was_finished(capsys, monkeypatch, tmp_path):
    def interrupted_at_size_16(a, b, *, out, threads):
        if len(a) == 16:
            raise KeyboardInterrupt
        np.matmul(a, b, out=out)

    monkeypatch.setattr(execution, "matmul", interrupted_at_size_16)
    plot = tmp_path / "speed.svg"
    content, err = bench(capsys, "--sizes", "8,16,32", "--plot", plot, code=130)
    assert not content["complete"] and {row["size"] for row in content["rows"]} == {8}
    assert err == "grokkit: interrupted\n" and content["plot"] is None and not plot.exists()
    assert main(["bench", "matmul", *QUICK, "--sizes", "16"]) == 130
    assert capsys.readouterr() == ("", "grokkit: interrupted\n")


def test_the_progress_bar_advances_by_what_was_done():
    steps = []
    report = _in_steps(steps.append)
    for share in (0.0001, 0.25, 0.25, 0.2, 0.9999, 1.0):
        report(share)
    assert steps == [250, 749, 1]


def test_without_torch_and_scipy_numpy_remains(tmp_path):
    code = (
        "import sys, types\n"
        "import numpy as np\n"
        "from grokkit import execution\n"
        "from grokkit.studies import _bench_peak\n"
        "_bench_peak.SIZES = (8,)\n"
        "found = dict(levels=0, vendor=True, error_bound=1e-3, error_estimate=None, expected_speedup=None, reason='')\n"
        "execution.plan = lambda a, b, dtype, **options: types.SimpleNamespace(**found)\n"
        "execution.matmul = lambda a, b, out, threads: np.matmul(a, b, out=out)\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name in ('torch', 'scipy') else real(name, *more)\n"
        "from grokkit.cli import main\n"
        "code = main(['bench', 'matmul', '--sizes', '8', '--seconds', '0', '--json'])\n"
        "assert not {'torch', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert [row["baseline"] for row in json.loads(done.stdout)["rows"]] == ["numpy", "best"]
