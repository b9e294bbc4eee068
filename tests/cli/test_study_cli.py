"""``grokkit train --study`` and ``grokkit report``: a protocol to runs to a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from grokkit.cli import main
from grokkit.studies.runs import open_runs

PROTOCOL = """
title = "Two batch sizes"
question = "Do these runs end at all?"
seeds = 2
runs = 2
outcomes = ["converged", "exact_plain"]
[configuration]
steps = 20
retrain_steps = 10
samples = 40
[factors]
batch_size = [8, 16]
"""


@pytest.fixture
def protocol(tmp_path):
    path = tmp_path / "protocol.toml"
    path.write_text(PROTOCOL)
    return path


def said(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_a_protocol_becomes_runs_and_a_page(protocol, tmp_path, capsys):
    out = tmp_path / "runs"
    command = ["train", "--study", str(protocol), "--engine", "threads", "--out", str(out)]
    assert main([*command, "--json"]) == 0
    summary = said(capsys)
    assert summary["complete"] and summary["runs"] == 8 and summary["cells"] == 2
    assert summary["outcomes"]["exact_plain"]["n"] == 8
    assert open_runs(out).rows_sha256 == summary["rows_sha256"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "8 runs in 2 cells" in text and "grokkit report" in text
    assert main(["report", str(out), "--json"]) == 0
    page = said(capsys)
    assert page["runs"] == 8 and Path(page["page"]).read_text("utf-8").count("exact_plain") >= 1


def test_engines_and_seeds(protocol, tmp_path, capsys):
    rows = {}
    for name, more in {"a": ["--engine", "threads"], "b": ["--workers", "2"], "c": ["--seed", "5"]}.items():
        assert main(["train", "--study", str(protocol), *more, "--out", str(tmp_path / name), "--json"]) == 0
        rows[name] = said(capsys)["rows_sha256"]
    assert rows["a"] == rows["b"] != rows["c"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--preset", "source"], "--preset does not go with --study"),
        (["--batch-size", "8"], "--batch-size does not go with --study"),
        (["--device", "cuda"], "--device does not go with --study"),
        (["--engine", "native"], "engine 'native' is not understood; use one of joblib, threads, ray, dask"),
    ],
)
def test_what_does_not_go_together(protocol, tmp_path, capsys, more, message):
    assert main(["train", "--study", str(protocol), *more, "--out", str(tmp_path / "o")]) == 2
    line = capsys.readouterr().err.strip()
    assert message in line and "\n" not in line
    assert not (tmp_path / "o").exists()


def test_a_wrong_protocol_and_a_folder_without_runs(protocol, tmp_path, capsys):
    protocol.write_text(PROTOCOL.replace("batch_size", "bath_size"))
    assert main(["train", "--study", str(protocol), "--out", str(tmp_path / "o")]) == 2
    assert "did you mean batch_size?" in capsys.readouterr().err
    assert main(["train", "--study", str(tmp_path / "none.toml"), "--out", str(tmp_path / "o")]) == 2
    assert "none.toml" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 2
    assert "give a folder that run_study or grokkit train --study wrote" in capsys.readouterr().err
