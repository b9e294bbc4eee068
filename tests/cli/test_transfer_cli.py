"""The command line of transfer: real, small runs of every verb."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from grokkit.cli import main

VERBS = ("parity", "operator", "fusion", "control")
SMALL = {
    "parity": ["--seeds", "1", "--sizes", "64x128,128x256", "--samples", "300"],
    "operator": ["--seeds", "1", "--nodes", "16 32", "--operators", "20"],
    "fusion": ["--seeds", "2", "--steps", "100"],
    "control": ["--seeds", "1"],
}


@pytest.fixture
def refused(capsys):
    def run(*arguments: str) -> str:
        assert main(["transfer", *arguments]) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1
        return said.err

    return run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each verb's --json prints, and its folder."""
    import contextlib
    import io

    made = {}
    for verb in VERBS:
        out, stream = tmp_path_factory.mktemp("transfer") / verb, io.StringIO()
        with contextlib.redirect_stdout(stream):
            assert main(["transfer", verb, *SMALL[verb], "--json", "--out", str(out)]) == 0
        assert stream.getvalue().count("\n") == 1
        made[verb] = json.loads(stream.getvalue()), out
    return made


@pytest.mark.parametrize("verb", VERBS)
def test_files(results, verb):
    content, out = results[verb]
    kept = json.loads((out / "results.json").read_text())
    assert {name: value for name, value in content.items() if name in kept} == kept
    assert content["out"] == str(out) and content["results"] == str(out / "results.json")
    for name in content["figures"]:
        path = Path(name)
        start = path.read_bytes()[:200]
        assert start.startswith(b"\x89PNG") if path.suffix == ".png" else b"<svg" in start or b"<?xml" in start
    assert {Path(name).suffix for name in content["figures"]} == {".png", ".svg"}
    assert content["seeds"] == list(range(len(content["seeds"])))


def test_parity(results):
    content, _ = results["parity"]
    assert [(each["inputs"], each["hidden"]) for each in content["accuracies"]] == [(64, 128), (128, 256)]
    for row in content["rows"]:
        found = row["accuracies"]
        assert found["learned, grown"]["right"] == 300 and row["rank"] == 32
        for control in ("random core", "random"):
            assert found[control]["low"] < 0.6 and found[control]["value"] < 0.65
    assert content["full_parity"]["verdicts"] == ["not learned"]
    assert content["full_parity"]["training"][0]["value"] == 1.0


def test_operator(results):
    content, _ = results["operator"]
    assert content["nodes"] == [16, 32]
    errors = content["errors_by_seed"]
    assert errors["zero"] == [[1.0], [1.0]]
    assert max(errors["multiplier"][1]) < 1e-24 < 1e-3 < min(errors["multiplier, tail padding"][1])
    assert errors["Fourier operator"][1][0] <= 1.2 * errors["Fourier operator"][0][0]
    assert errors["Fourier operator"][1][0] < errors["persistence"][1][0]
    assert [each["n"] for each in content["bound"]] == [20] * 4
    assert all(each["completed"] == 0 for each in content["bound"])


def test_fusion(results):
    content, _ = results["fusion"]
    assert content["protocol"] == "shared" and content["config"]["steps"] == 100
    for run in content["rows"]:
        average = {row: sum(each) / len(each) for row, each in run["errors"].items()}
        assert average["oracle gate"] == min(average[row] for row in ("first expert", "second expert", "oracle gate"))
        assert math.isfinite(average["fused"])


def test_control(results):
    found = results["control"][0]["policies"]
    assert found["source"]["collapsed"] == 1 and found["relax"]["collapsed"] == 0
    assert found["relax"]["explained_after"]["value"] > 0.5 > found["fixed"]["explained_after"]["value"]


def test_tables(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["transfer", "parity", *SMALL["parity"]]) == 0
    said = capsys.readouterr().out
    assert "64 / 128" in said and "1/1" in said and "not learned" in said
    assert "results and 2 figure files in runs/transfer-parity" in said
    assert (tmp_path / "runs" / "transfer-parity" / "parity.svg").exists()


def test_bad_input(refused, tmp_path):
    assert "--sizes '64y128'" in refused("parity", "--sizes", "64y128")
    assert "64x32 is smaller than the learned network; at least 32x64" in refused("parity", "--sizes", "64x32")
    assert "did you mean wave?" in refused("operator", "--problem", "waves")
    assert "16, must be among them" in refused("operator", "--nodes", "32,64")
    assert "--nodes 'a'; write numbers" in refused("operator", "--nodes", "a")
    assert "use one of shared, blind, split" in refused("fusion", "--protocol", "half")
    assert "seeds" in refused("control", "--seeds", "0")
    there = tmp_path / "file"
    there.write_text("")
    assert str(there) in refused("parity", *SMALL["parity"], "--out", str(there))
