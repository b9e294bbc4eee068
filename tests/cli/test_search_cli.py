"""The command line of searches."""

from __future__ import annotations

import json

import pytest

from grokkit import _native
from grokkit.cli import main
from grokkit.scheme import load, verify

pytestmark = pytest.mark.skipif(_native.load() is None, reason="no native core")


def test_found_and_written(tmp_path, capsys):
    out = tmp_path / "found"
    assert main(["search", "2x2x3", "--rank", "11", "--ring", "ternary", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["found"] is True
    assert (said["rank"], said["ring"], said["ternary"], said["verdict"]) == (11, "Z", True, "exact")
    assert said["cpu_seconds"] >= 0
    assert said["flips"] > 0
    scheme = load(said["file"])
    assert scheme.digest == said["digest"] == verify(scheme).digest
    # again: it is there already
    assert main(["search", "2x2x3", "--rank", "11", "--ring", "ternary", "--out", str(out)]) == 0
    assert "found <2,2,3;11>, ternary, over Z, all 144 equations proven" in capsys.readouterr().out


def test_not_found_keeps_the_best(tmp_path, capsys):
    out = tmp_path / "s"
    assert main(["search", "3x3x3", "--rank", "22", "--rounds", "2", "--out", str(out), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["found"] is False
    assert said["goal"] == 22
    assert load(said["file"]).rank == said["rank"] <= 27


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search"], "missing argument"),
        (["search", "2x2"], "target '2x2' is not understood"),
        (["search", "2x2x2", "--rank", "6"], "at least 7 products are needed"),
        (["search", "2x2x2", "--budget", "0"], "'0' is no time; write 90s, 10m or 2h"),
        (["search", "2x2x2", "--budget", "soon"], "'soon' is no time"),
        (["search", "2x2x2", "--ring", "R"], "ring 'R' is not understood here"),
        (["search", "2x2x2", "--engine", "warp"], "engine 'warp' is not understood"),
        (["search", "2x2x2", "--from", "nowhere.json"], "nowhere.json"),
        (["search", "2x2x2", "--route", "x"], "route 'x' is not understood; use auto, flip, numeric"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments, message, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err.lower() or message in captured.err


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400)])
def test_durations(text, seconds):
    from grokkit.cli.search import duration

    assert duration(text) == seconds


def test_other_maps_and_the_numerical_route(capsys):
    assert main(["search", "poly:3", "--rank", "5", "--ring", "Q", "--route", "numeric", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == {"kind": "polynomial", "terms": [3, 3]}
    assert found["rank"] == 5 and found["route"] == "numeric" and found["flips"] == 0 and found["starts"]["Q"] >= 1
    assert main(["search", "complex", "--ring", "ternary", "--budget", "30s"]) == 0
    assert "found <complex;3>" in capsys.readouterr().out
