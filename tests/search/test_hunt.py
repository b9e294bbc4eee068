"""The campaign for unknown schemes: turns, resumption, three proofs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from grokkit.scheme import Refuted, Scheme
from grokkit.search import find_scheme

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "hunt.py"


@pytest.fixture(scope="module")
def hunt():
    spec = importlib.util.spec_from_file_location("benchmark_hunt", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_hunt"] = module
    spec.loader.exec_module(module)
    return module


def test_searches_take_turns_and_go_on(hunt, tmp_path, monkeypatch, capsys):
    command = ["hunt.py", "--out", str(tmp_path), "--budget", "3s", "--turn", "1s", "--ring", "ternary"]
    monkeypatch.setattr(sys, "argv", [*command, "2x3x3", "3x3x3"])
    hunt.main()
    table = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[0] for row in table] == ["| 2x3x3", "| 3x3x3"]
    before = {each.form: each.spent for each in hunt.quarries(tmp_path, ["2x3x3", "3x3x3"]) if each.ring == "ternary"}
    assert all(before.values())
    hunt.main()
    for each in hunt.quarries(tmp_path, ["2x3x3", "3x3x3"]):
        assert each.ring != "ternary" or each.spent >= before[each.form]
    assert "below" not in capsys.readouterr().out


def test_what_cannot_be_undercut_is_left_out(hunt, tmp_path):
    names = {each.form for each in hunt.quarries(tmp_path, [])}
    assert "2x2x2" not in names and {"3x3x3", "6x6x6", "2x8x8"} <= names
    for each in hunt.quarries(tmp_path, ["2x8x8"]):
        assert each.source == "construction"


@pytest.mark.parametrize("ring", ["ternary", "GF(2)"])
def test_three_proofs(hunt, tmp_path, ring):
    scheme = find_scheme("2x2x3", 11, ring, seed=1).scheme
    assert hunt.proven_three_times(scheme, tmp_path).name == "discovery-2x2x3-11.json"
    wrong = np.array(scheme.W)
    wrong[0, 0] = 1 - abs(int(wrong[0, 0]))
    with pytest.raises(Refuted):
        hunt.proven_three_times(Scheme(scheme.target, scheme.U, scheme.V, wrong, ring=scheme.ring), tmp_path)


def test_times(hunt):
    assert [hunt.seconds_of(text) for text in ("90s", "1.5min", "8h")] == [90, 90, 28800]
    with pytest.raises(Exception, match="is no time"):
        hunt.seconds_of("soon")
