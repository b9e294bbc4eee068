"""The command line, as a user meets it: in a process of its own, without the tests' type checks."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from grokkit.cli import main
from grokkit.scheme import MatrixProduct, Ring, Scheme, dumps, load, save, verify
from grokkit.scheme.catalog import catalog
from grokkit.studies import _demo
from grokkit.training import TrainConfig, train
from grokkit.training._shard import ShardRun, save_shard

STRASSEN = catalog["strassen"]
VERBS = (
    "demo",
    "train",
    "crystallize",
    "verify",
    "expand",
    "search",
    "claims",
    "report",
    "reproduce",
    "doctor",
)
SMALL = ["--runs", "6", "--shard-size", "3", "--steps", "100", "--retrain-steps", "100", "--samples", "200"]


def grokkit(*arguments, timeout=300, **options):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "grokkit", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        **options,
    )


def one_line(done, code=2):
    """The one line that a refusal prints on stderr."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("grokkit")
    return lines[0]


def parsed(done, code=0):
    """The one JSON object on stdout."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert len(done.stdout.strip().splitlines()) == 1
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "runs"
    done = grokkit("train", *SMALL, "--out", folder, "--json")
    return folder, parsed(done)


@pytest.fixture
def files(tmp_path):
    """A good, a wrong and an unreadable scheme file."""
    good, wrong, bad = tmp_path / "good.json", tmp_path / "wrong.json", tmp_path / "bad.json"
    good.write_text(dumps(STRASSEN, verify(STRASSEN)))
    w = np.array(STRASSEN.W)
    w[0, 0] = 0
    wrong.write_text(dumps(Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, w)))
    bad.write_text("{]")
    return good, wrong, bad


def test_the_top_level():
    done = grokkit("--help")
    assert all(verb in done.stdout for verb in VERBS)
    assert "grokkit demo" in done.stdout
    assert grokkit("--version").stdout.startswith("grokkit 0.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verfy"], "no such command 'verfy'"),
        (["verify"], "missing argument 'FILE...'"),
        (["verify", "--jsn", "x"], "no such option: --jsn"),
        (["verify", "/nowhere/at/all.json"], "/nowhere/at/all.json: No such file or directory"),
        (["train"], "missing option '--out'"),
        (["train", "--out"], "requires an argument; see grokkit train --help"),
        (["train", "--out", ""], "the name is empty"),
        (["train", "--out", "x", "--batch-size", "many"], "not 'many'"),
        (["train", "--out", "x", "--runs", "1e3"], "not '1e3'; see grokkit train --help"),
        (["train", "--out", "x", "--preset", "source", "--config", "y"], "--preset and --config"),
        (["train", "--out", "x", "--device", "foo"], "device 'foo'"),
        (["demo", "--out", "x/y", "--seed", "9223372036854775808"], "seed is 9223372036854775808"),
        (["expand", "strassen", "--levels", "7"], "--levels 7: 7^7 products with 4.0e+10 coefficients are too many"),
        (["expand", "strassen", "--sizes", "4096"], "--sizes to 4096 with --pairs 25 take 3.5e+11 multiplications"),
        (["expand", "strassen", "--pairs", "10001"], "'--pairs'"),
        (["expand", "strassen", "--out", "nodir/x.json"], "nodir"),
        (["train", "--out", "x", "--batch-size", "0"], "batch_size is 0; 1 to 1000000 is allowed"),
        (["train", "--out", "x", "--optimizer", "lion"], "use one of adamw, adam, sgd"),
        (["train", "--out", "x", "--preset", "best"], "preset 'best'; use one of default, source"),
        (["train", "--out", "x", "--config", "/nowhere.toml"], "/nowhere.toml: No such file"),
        (["train", "--out", "x", "--workers", "0"], "'--workers'"),
        (["crystallize", "/nowhere"], "/nowhere: No such file"),
        (["crystallize", ".", "--method", "magic"], "--method 'magic'; use one of plain, scaled, full"),
        (["crystallize", "."], "no config.toml in it; give a directory made by grokkit train"),
        (["expand", "coppersmith"], "no scheme 'coppersmith' in the catalog"),
        (["expand", "strassen", "--sizes", "2,x"], "are not whole numbers"),
        (["expand", "strassen", "--sizes", "0"], "sizes of 1 to 4096"),
        (["expand", "strassen", "--dtype", "int8"], "use float32 or float64"),
        (["expand", "strassen", "--levels", "12"], "too many"),
        (["expand", "."], "a directory"),
        (["demo", "--runs", "0"], "'--runs'"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments, message, tmp_path):
    line = one_line(grokkit(*arguments, cwd=tmp_path))
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_errors_with_json_are_an_object_too():
    done = grokkit("verify", "/nowhere.json", "--json")
    content = parsed(done, 2)
    assert content["error"] == "/nowhere.json: No such file or directory"
    assert one_line(done) == f"grokkit: {content['error']}"


def test_options_take_underscores_and_lists_take_spaces(files):
    done = grokkit("expand", files[0], "--sizes", "2", "4", "--pairs", "3", "--json")
    assert [row["size"] for row in parsed(done)["table"]] == [2, 4]
    done = grokkit("expand", "--sizes", "2,", "4", files[0], "--pairs", "3", "--json")
    assert [row["size"] for row in parsed(done)["table"]] == [2, 4]
    assert "batch_size is 0" in one_line(grokkit("train", "--out", "x", "--batch_size", "0"))


def test_verify(files):
    good, wrong, bad = files
    content = parsed(grokkit("verify", good, "--json"))
    row = content["results"][0]
    assert row["verdict"] == "exact"
    assert (row["format"], row["rank"], row["ring"], row["ternary"]) == ([2, 2, 2], 7, "Z", True)
    assert row["additions"] == 18 and row["reason"] == ""
    rows = parsed(grokkit("verify", good, wrong, bad, "--json"), 1)["results"]
    assert [row["verdict"] for row in rows] == ["exact", "refuted", "unreadable"]
    assert rows[1]["index"] == [0, 0, 0] and rows[1]["expected"] == "1" and rows[1]["found"] == "0"
    assert rows[1]["wrong"] == 4
    assert "line 1, column 2" in rows[2]["reason"]
    done = grokkit("verify", good, wrong)
    assert done.returncode == 1
    assert "good.json: exact: <2,2,2;7> over Z, ternary, 64 equations, 18 additions" in done.stdout
    assert "wrong.json: refuted: <2,2,2;7> is not exact over Z" in done.stdout


def test_verify_does_not_believe_certificates(files):
    good = files[0]
    content = json.loads(good.read_text())
    content["certificate"]["rank"] = 6
    good.write_text(json.dumps(content))
    row = parsed(grokkit("verify", good, "--json"), 1)["results"][0]
    assert row["verdict"] == "unreadable" and "certificate does not belong" in row["reason"]


def test_verify_a_missing_file_among_others_prints_nothing_else(files):
    done = grokkit("verify", files[0], "/nowhere.json")
    assert done.stdout == ""
    one_line(done)


def test_train_reports(trained):
    folder, summary = trained
    assert summary["runs"] == 6 and summary["complete"]
    assert 0 <= summary["converged"] <= 6
    assert summary["runs_steps_per_second"] > 0
    assert (folder / "config.toml").is_file()
    again = parsed(grokkit("train", *SMALL, "--out", folder, "--json", "--workers", "2"))
    assert again["runs"] == 6
    line = one_line(grokkit("train", *SMALL, "--seed", "1", "--out", folder))
    assert "holds another training run, with other seed (0 there, 1 here)" in line


def test_train_takes_a_configuration_file(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("runs = 2\nshard-size = 2\nsteps = 10\nretrain-steps = 0\nsamples = 64\n")
    summary = parsed(grokkit("train", "--config", path, "--seed", "4", "--out", tmp_path / "o", "--json"))
    assert (summary["runs"], summary["steps"], summary["seed"]) == (2, 10, 4)
    path.write_text("rums = 2\n")
    assert "unknown field 'rums'; did you mean runs?" in one_line(
        grokkit("train", "--config", path, "--out", tmp_path / "p")
    )


def test_crystallize_a_population(trained):
    folder, _ = trained
    summary = parsed(grokkit("crystallize", folder, "--json"))
    assert summary["runs"] == summary["exact"] == 6
    assert summary["method"] == "full" and summary["fallback"] == 0
    assert summary["cpu_seconds_per_run"] > 0
    out = folder / "crystallized-full"
    table = json.loads((out / "crystallization.json").read_text())
    assert [row["run"] for row in table["runs"]] == list(range(6))
    paths = sorted((out / "schemes").iterdir())
    assert len(paths) == 6
    assert parsed(grokkit("verify", *paths, "--json"))["results"][0]["verdict"] == "exact"
    provenance = load(paths[3]).provenance
    assert provenance.configuration["run"] == 3


def test_crystallize_fails_with_1_and_falls_back_only_on_request(trained, tmp_path):
    folder, _ = trained
    summary = parsed(grokkit("crystallize", folder, "--method", "plain", "--json"), 1)
    assert summary["exact"] == 0 and summary["failed_at"] == {"rounding": 6}
    assert list((folder / "crystallized-plain" / "schemes").iterdir()) == []
    done = grokkit("crystallize", folder, "--method", "plain", "--fallback", "strassen", "--out", tmp_path, "--json")
    summary = parsed(done, 1)
    assert summary["exact"] == 0 and summary["fallback"] == 6
    scheme = load(tmp_path / "schemes" / "run-000000.json")
    assert scheme == STRASSEN and scheme.provenance.method == "fallback"
    rows = json.loads((tmp_path / "crystallization.json").read_text())["runs"]
    assert all(row["fallback"] and not row["exact"] for row in rows)
    assert "not in the catalog" in one_line(grokkit("crystallize", folder, "--fallback", "none"))


def test_crystallize_and_expand_a_weight_file(tmp_path):
    path = tmp_path / "w.pt"
    u, v, w = STRASSEN.floats()
    torch.save(
        {
            "U": torch.from_numpy(u @ np.diag([1.0, 1, 1, 1])),
            "V": torch.from_numpy(v),
            "W": torch.from_numpy(w),
        },
        path,
    )
    done = grokkit("crystallize", path, "--out", tmp_path / "o", "--json")
    assert parsed(done)["exact"] == 1
    assert load(tmp_path / "o" / "schemes" / "run-000000.json") == STRASSEN
    assert "M1 = (A11 + A22)(B11 + B22)" in grokkit("crystallize", path).stdout
    content = parsed(grokkit("expand", path, "--levels", "3", "--out", tmp_path / "e.json", "--pairs", "3", "--json"))
    assert content["metrics"]["rank"] == 7 and content["expanded"]["rank"] == 343
    assert verify(load(tmp_path / "e.json")).rank == 343
    torch.save({"U": torch.randn(6, 4), "V": torch.randn(6, 4), "W": torch.randn(4, 6)}, path)
    assert "do not crystallize" in parsed(grokkit("expand", path, "--json"), 1)["error"]
    assert parsed(grokkit("crystallize", path, "--json"), 1)["failed_at"] == {"polish": 1}


def test_expand(files, tmp_path):
    done = grokkit("expand", "strassen", "--levels", "2", "--out", tmp_path / "e.json", "--pairs", "3")
    assert done.returncode == 0
    assert "2 levels: <4,4,4;49>, all 4096 equations proven" in done.stdout
    assert "1.69e-06" in done.stdout  # what the source states at 64
    done = grokkit("expand", files[1])
    assert done.returncode == 1 and "is not exact" in done.stdout
    line = one_line(grokkit("expand", files[2]))
    assert "not valid JSON at line 1, column 2" in line


def test_doctor():
    content = parsed(grokkit("doctor", "--json"))
    assert content["healthy"] and content["lab"]["torch"]
    assert "native_core" in content
    done = grokkit("doctor")
    assert "native core: " in done.stdout and "check proof of Strassen's algorithm: ok" in done.stdout


def test_demo(tmp_path):
    done = grokkit("demo", "--runs", "8", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    for phrase in (
        "8/8",
        "Strassen's algorithm in another basis",
        "M1 = ",
        "C22 = ",
        "16,777,216 equations",
        "301 x 257",
    ):
        assert phrase in done.stdout, phrase
    names = sorted(path.name for path in (tmp_path / "demo").iterdir())
    assert names == ["index.html", "scheme.json", "summary.json"]
    assert verify(load(tmp_path / "demo" / "scheme.json")).rank == 7
    content = parsed(grokkit("demo", "--runs", "8", "--seed", "1", "--out", tmp_path / "two", "--json"))
    assert content["exact"]["full"]["count"] == 8
    assert content["page"].endswith("index.html")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", *SMALL, "--out"],
        ["demo", "--runs", "2", "--out"],
        ["expand", "strassen", "--pairs", "1", "--out"],
    ],
)
def test_output_that_cannot_be_written(tmp_path, arguments):
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    line = one_line(grokkit(*arguments, blocker / "out"))
    assert str(blocker) in line and "Not a directory" in line
    assert blocker.read_text() == "in the way"


def limit_files():
    """Writes past 600 bytes fail, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))


def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path):
    target = tmp_path / "e.json"
    done = grokkit("expand", "strassen", "--pairs", "1", "--out", target, preexec_fn=limit_files)
    assert "too large" in one_line(done)
    assert list(tmp_path.iterdir()) == []
    target.write_text("before")
    one_line(grokkit("expand", "strassen", "--pairs", "1", "--out", target, preexec_fn=limit_files))
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_while_training_keeps_finished_shards(tmp_path):
    folder = tmp_path / "runs"
    first = parsed(grokkit("train", *SMALL, "--out", folder, "--json"))
    assert first["runs"] == 6
    kept = (folder / "shards" / "00000.npz").read_bytes()
    (folder / "shards" / "00001.npz").unlink()
    one_line(grokkit("train", *SMALL, "--out", folder, preexec_fn=limit_files))
    assert [path.name for path in (folder / "shards").iterdir()] == ["00000.npz"]
    assert (folder / "shards" / "00000.npz").read_bytes() == kept
    assert parsed(grokkit("train", *SMALL, "--out", folder, "--json"))["runs"] == 6


def test_stdout_that_is_full_or_closed(files):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "grokkit", "verify", str(files[0]), "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "grokkit: No space left on device\n"
    done = subprocess.run(
        f"{sys.executable} -m grokkit expand strassen --pairs 1 | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path, workers):
    arguments = [
        "--runs",
        "8",
        "--shard-size",
        "4",
        "--steps",
        "5000",
        "--retrain-steps",
        "0",
        "--samples",
        "100",
    ]
    command = [sys.executable, "-m", "grokkit", "train", *arguments, "--workers", workers, "--json", "--out"]
    started = subprocess.Popen(
        [*command, str(tmp_path / "cut")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    shards = tmp_path / "cut" / "shards"
    while started.poll() is None and not shards.is_dir():
        time.sleep(0.05)
    time.sleep(1.5 if workers == "1" else 6)
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGINT)  # as a terminal does: to the workers too
    out, err = started.communicate(timeout=120)
    assert "Traceback" not in err
    cut = json.loads(out)
    assert started.returncode == (0 if cut["complete"] else 130)
    assert not list((tmp_path / "cut").glob("**/*.tmp"))
    resumed = parsed(grokkit("train", *arguments, "--json", "--out", tmp_path / "cut"))
    whole = parsed(grokkit("train", *arguments, "--json", "--out", tmp_path / "whole"))
    assert resumed["complete"] and whole["complete"]
    from grokkit.training import load_population

    a, b = load_population(tmp_path / "cut"), load_population(tmp_path / "whole")
    assert (a.U == b.U).all() and (a.W == b.W).all()
    assert np.array_equal(a.trajectory.test_loss, b.trajectory.test_loss, equal_nan=True)


def test_an_interrupted_demo_says_so(tmp_path):
    started = subprocess.Popen(
        [sys.executable, "-m", "grokkit", "demo", "--runs", "2000", "--out", str(tmp_path / "d")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "Training" not in (line := started.stdout.readline()):
        assert line
    time.sleep(2)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=120)
    assert started.returncode == 130
    assert err.strip() == "grokkit: interrupted"


def test_a_progress_bar_shows_on_a_terminal_only(tmp_path):
    import pty

    master, slave = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "grokkit", "train", *SMALL, "--out", str(tmp_path / "r"), "--json"],
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
        check=False,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    assert b"training" in shown and b"runs x steps/s" in shown
    json.loads(done.stdout)


def test_a_bare_call_prints_the_help():
    done = grokkit()
    assert done.returncode == 2 and done.stderr == ""
    assert done.stdout == grokkit("--help").stdout


def test_help_is_whole_and_speaks_the_users_words(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--help"]) == 0
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]
    main(["train", "--help"])
    text = capsys.readouterr().out
    for words in ("[auto|native|torch]", "[gaussian|uniform]", "[own|shared]", "[float32|float64]", "[default|source]"):
        assert words in text


def test_the_example_of_verify_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["expand", "strassen", "--levels", "2", "--out", "s4.json", "--pairs", "1"]) == 0
    assert main(["verify", "s4.json"]) == 0
    assert "s4.json: exact: <4,4,4;49>" in capsys.readouterr().out


def test_one_is_singular(capsys):
    assert main(["expand", "strassen", "--levels", "1", "--pairs", "1", "--sizes", "2"]) == 0
    out = capsys.readouterr().out
    assert "1 level:" in out and "1 Gaussian pair " in out
    assert main(["expand", "strassen", "--levels", "0", "--pairs", "1", "--sizes", "2"]) == 0
    assert "0 levels: <1,1,1;1>, its only equation proven" in capsys.readouterr().out


def test_messages_are_short_and_cannot_steer_a_terminal(capsys):
    assert main(["expand", "\x1b[31mred" + "x" * 10_000, "--json"]) == 2
    out, err = capsys.readouterr()
    assert "\x1b" not in err and "\\x1b[31mred" in err
    assert len(err) < 420 and err.count("\n") == 1
    assert json.loads(out)["error"] == err.removeprefix("grokkit: ").rstrip("\n")


def test_a_locale_without_unicode(tmp_path):
    path = tmp_path / "schéma-∑.json"
    path.write_text(dumps(STRASSEN, verify(STRASSEN)))
    environment = os.environ | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = grokkit("verify", path, env=environment)
    assert done.returncode == 0 and "exact" in done.stdout, done.stderr
    one_line(grokkit("verify", tmp_path / "ü.json", env=environment))


@pytest.mark.parametrize("arguments", ["verify x.json", "doctor --json", "--help"])
def test_a_closed_stdout_is_one_line(arguments):
    command = f"{sys.executable} -W error -m grokkit {arguments} >&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert one_line(done) == "grokkit: cannot write to standard output: it is closed"


def test_sigterm_saves_and_exits_130(tmp_path):
    arguments = ["--runs", "4", "--shard-size", "4", "--steps", "1000000", "--retrain-steps", "0", "--samples", "100"]
    started = subprocess.Popen(
        [sys.executable, "-m", "grokkit", "train", *arguments, "--json", "--out", str(tmp_path / "cut")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while started.poll() is None and not (tmp_path / "cut" / "config.toml").is_file():
        time.sleep(0.05)
    time.sleep(1)
    started.send_signal(signal.SIGTERM)
    out, err = started.communicate(timeout=120)
    assert started.returncode == 130 and err == "grokkit: interrupted\n"
    assert not json.loads(out)["complete"]
    assert (tmp_path / "cut" / "shards" / "00000.partial.npz").is_file()


def test_a_second_training_says_that_there_was_nothing_to_do(trained, capsys):
    assert main(["train", *SMALL, "--out", str(trained[0])]) == 0
    assert "6 of 6 runs, 200 steps each, already trained\n" in capsys.readouterr().out


@pytest.fixture
def copied(trained, tmp_path):
    """A trained directory to spoil."""
    return shutil.copytree(trained[0], tmp_path / "copied", ignore=shutil.ignore_patterns("crystallized-*"))


def test_crystallize_says_ranks(copied, capsys):
    assert main(["crystallize", str(copied)]) == 0
    out, err = capsys.readouterr()
    assert "6 of 6 runs exact: 6 of rank 7 (method full" in out and err == ""
    assert "mean squared error of the tensor below 1e-6" in out
    assert main(["crystallize", str(copied), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["ranks"] == {"7": 6} and summary["complete"] is True


def test_crystallize_says_that_training_is_incomplete(copied, capsys):
    config = TrainConfig.from_saved(copied / "config.toml")
    shard = ShardRun(config, 1)
    shard.train(lambda: shard.engine.step >= 50, lambda _: None)
    (copied / "shards" / "00001.npz").unlink()
    save_shard(copied / "shards" / "00001.partial.npz", shard.data())
    assert main(["crystallize", str(copied), "--json"]) == 0
    out, err = capsys.readouterr()
    assert f"grokkit crystallize: {copied}: training is incomplete, 3 of 6 runs trained to the end" in err
    summary = json.loads(out)
    assert summary["complete"] is False
    assert sum(summary["ranks"].values()) == summary["exact"]
    for row in json.loads((copied / "crystallized-full" / "crystallization.json").read_text())["runs"][:3]:
        if row["exact"]:  # padded with a slot of zeros, which is no product
            assert load(copied / "crystallized-full" / row["file"]).rank == 7


def test_a_run_that_diverged_does_not_stop_the_others(copied, capsys):
    assert main(["crystallize", str(copied), "--out", str(copied / "before")]) == 0
    path = copied / "shards" / "00000.npz"
    data = dict(np.load(path))
    data["weights"][1, 3, 2] = np.nan
    np.savez(path, **data)
    capsys.readouterr()
    assert main(["crystallize", str(copied), "--out", str(copied / "after")]) == 0
    assert "1 failed at input, such as: input: weights are not finite (the run diverged)" in capsys.readouterr().out
    rows = json.loads((copied / "after" / "crystallization.json").read_text(), parse_constant=pytest.fail)["runs"]
    assert [row["exact"] for row in rows] == [True, False, True, True, True, True]
    for number in (0, 2, 3, 4, 5):
        name = f"schemes/run-{number:06d}.json"
        assert (copied / "before" / name).read_bytes() == (copied / "after" / name).read_bytes()


def test_a_fallback_without_an_output_is_not_claimed_to_be_written(tmp_path, capsys):
    path = tmp_path / "w.npz"
    u, v, w = STRASSEN.floats()
    np.savez(path, U=u + 0.6, V=v, W=w)
    arguments = ["crystallize", str(path), "--method", "plain", "--fallback", "strassen"]
    assert main(arguments) == 1
    assert "left without a scheme: strassen is written for them only with --out" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]
    assert main([*arguments, "--out", str(tmp_path / "o")]) == 1
    assert "1 replaced by the textbook scheme strassen" in capsys.readouterr().out


def cancelling(large):
    """Strassen's algorithm and two products that cancel, with coefficients `large`."""
    u = np.vstack([STRASSEN.U.astype(object), [[large, 0, 0, 0]] * 2])
    v = np.vstack([STRASSEN.V, [[1, 0, 0, 0]] * 2])
    w = np.hstack([STRASSEN.W, [[1, -1]] + [[0, 0]] * 3])
    return Scheme(STRASSEN.target, u, v, w)


@pytest.mark.parametrize("digits", [3, 200, 400])
def test_huge_coefficients_that_cancel(tmp_path, capsys, digits):
    path = str(tmp_path / "huge.json")
    scheme = cancelling(10**digits)
    save(scheme, path, verify(scheme))
    assert main(["verify", path, "--json"]) == 0
    growth = json.loads(capsys.readouterr().out)["results"][0]["growth_factor"]
    assert growth is None if digits == 400 else growth == pytest.approx(2 * 10.0**digits, rel=0.01)
    for more in ([], ["--json"]):
        assert main(["expand", path, "--levels", "1", "--pairs", "1", "--sizes", "2,8", *more]) == 0
    out, err = capsys.readouterr()
    assert ("no error table: " in out) == (digits > 3) and err == ""


def test_expand_over_a_finite_field_has_no_error_table(tmp_path, capsys):
    scheme = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, STRASSEN.W, ring=Ring.parse("GF(2)"))
    save(scheme, tmp_path / "gf2.json", verify(scheme))
    assert main(["expand", str(tmp_path / "gf2.json"), "--out", str(tmp_path / "e.json")]) == 0
    out = capsys.readouterr().out
    assert "no error table: " in out and "GF(2)" in out
    assert verify(load(tmp_path / "e.json")).rank == 49


def test_pipes_are_refused_and_not_waited_for(tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for arguments in (["verify"], ["expand"], ["crystallize"], ["train", "--out", str(tmp_path / "o"), "--config"]):
        assert main([*arguments, str(pipe)]) == 2
        assert f"{pipe}: a pipe or a device; save its content to a file first" in capsys.readouterr().err


def test_a_link_to_itself_is_not_taken_for_a_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    assert main(["expand", "loop"]) == 2
    assert capsys.readouterr().err.startswith("grokkit: loop: Too many levels of symbolic links")


def test_json_and_a_scheme_do_not_share_stdout():
    line = one_line(done := grokkit("expand", "strassen", "--pairs", "1", "--json", "--out", "/proc/self/fd/1"))
    assert "--out is the standard output" in line
    assert json.loads(done.stdout)["exit_code"] == 2


@pytest.mark.parametrize("cause", ["none is exact", "none is recognized"])
def test_a_demo_without_an_exact_network_exits_1_and_leaves_nothing(tmp_path, capsys, monkeypatch, cause):
    small = {"shard_size": 4, "steps": 100, "retrain_steps": 100, "samples": 200}
    monkeypatch.setattr(_demo, "train", lambda config, **options: train(config.replace(**small), **options))
    if cause == "none is exact":
        real = _demo.crystallize
        monkeypatch.setattr(_demo, "crystallize", lambda *runs, **options: real(*runs, **options | {"method": "plain"}))
    else:
        monkeypatch.setattr(_demo, "equivalent", lambda *_: None)
    assert main(["demo", "--runs", "4", "--out", str(tmp_path / "a" / "demo")]) == 1
    out, err = capsys.readouterr()
    assert "grokkit demo: none of 4 " in out and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_huge_wrong_entries_are_shown_by_their_size(tmp_path, capsys):
    path = tmp_path / "huge.json"
    save(Scheme(MatrixProduct(1, 1, 1), [[10**2000]], [[10**2000]], [[10**2000]]), path)
    assert main(["verify", str(path), "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert (row["verdict"], row["found"], row["expected"]) == ("refuted", "about 10^6000", "1")
    assert main(["expand", str(path)]) == 1
