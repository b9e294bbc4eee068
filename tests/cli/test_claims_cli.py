"""The command line of claims."""

from __future__ import annotations

import json

import pytest

from grokkit.cli import main
from grokkit.studies.ledger import Context, Figure, Measurement, Protocol, _ledger, claims


@pytest.fixture
def quick_noise(monkeypatch):
    """A protocol in the place of `noise` that measures at once."""

    def run(context: Context) -> dict[str, Measurement]:
        context.progress("measuring")
        names = [f"exact weights, {sigma}" for sigma in (0.001, 0.005, 0.01, 0.05, 0.1)]
        figures = {name: Figure(1.0, 0.9, 1.0, 40, "share that survives") for name in names}
        baselines = {"chance": Figure(0.1)}
        return {
            "N01": Measurement(
                "N01", figures, {"sampled": True}, baselines, "seed 1", context.scale, "Noise was added."
            )
        }

    others = tuple(each for each in _ledger.PROTOCOLS if "N01" not in each.claims)
    monkeypatch.setattr(_ledger, "PROTOCOLS", (*others, Protocol("noise", "Noise", ("N01",), run)))


def test_all_claims_are_listed(capsys):
    assert main(["claims"]) == 0
    said = capsys.readouterr().out
    for name, claim in claims().items():
        assert f"\n{name}  " in f"\n{said}"
        assert f"grokkit claims {name} --run --full" in said
        assert claim.stated[:20] in said
    assert "87 claims: " in said


def test_json_is_one_object(capsys):
    assert main(["claims", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [each["id"] for each in said["claims"]] == list(claims())
    assert sum(said["counts"].values()) == 87
    for each in said["claims"]:
        assert each["verdict"] in said["counts"] and each["reason"] and each["command"] and each["stated"]
        assert each["document"]["title"]
        assert (each["measurement"] is None) == (each["scale"] is None)


def test_by_verdict_and_by_id(capsys):
    assert main(["claims", "--verdict", "open", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["claims"]
    assert {each["verdict"] for each in found} <= {"open"}
    assert main(["claims", "e04,P01", "K12", "--json"]) == 0
    assert [each["id"] for each in json.loads(capsys.readouterr().out)["claims"]] == ["E04", "P01", "K12"]
    assert main(["claims", "K12", "--verdict", "reproduced"]) == 0
    assert capsys.readouterr().out == "0 claims\n"


def test_run_again_and_read_again(tmp_path, capsys, quick_noise):
    out = tmp_path / "results"
    assert main(["claims", "N01", "--run", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for part in ("N01  REFUTED", "share that survives: 1 [0.9, 1], n = 40", "chance: 0.1", "sampled: yes", "seed 1"):
        assert part in said
    assert "Noise was added." in said and "run       quick, grokkit" in said and f"results in {out}" in said
    assert (out / "noise.json").exists()
    assert main(["claims", "--out", str(out), "--json"]) == 0
    found = {each["id"]: each for each in json.loads(capsys.readouterr().out)["claims"]}
    assert found["N01"]["verdict"] == "refuted" and found["N01"]["scale"] == "quick"
    assert found["N01"]["measurement"]["figures"]["exact weights, 0.1"]["low"] == 0.9
    assert sum(each["verdict"] == "open" for each in found.values()) == 86
    assert main(["claims", "N01", "--run", "--full", "--seed", "3", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["claims"][0]["scale"] == "full"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["X99"], "no claim 'x99'; did you mean x0"),
        (["N01", "--run", "--engine", "warp"], "warp"),
        (["--verdict", "opne"], "no verdict 'opne'; did you mean open?"),
        (["--full"], "--full says how claims are run; add --run"),
        (["--workers", "2"], "--workers says how claims are run; add --run"),
        (["--data", "x"], "--data says how claims are run; add --run"),
        (["--out", "nowhere/at/all"], "nowhere/at/all: no such folder"),
        (["N01", "--run", "--data", "nowhere/at/all"], "nowhere/at/all: no such folder"),
        (["--workers", "0", "--run"], "workers"),
        (["--out", ""], "the name is empty"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments, message, capsys):
    assert main(["claims", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.out == ""
    assert message in captured.err.lower()


def test_a_folder_that_cannot_be_written_and_results_not_understood(tmp_path, capsys, quick_noise):
    file = tmp_path / "file"
    file.write_text("")
    assert main(["claims", "N01", "--run", "--out", str(file)]) == 2
    assert "cannot be written" in capsys.readouterr().err
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "noise.json").write_text('{"ledger": 99}')
    assert main(["claims", "--out", str(folder), "--json"]) == 2
    captured = capsys.readouterr()
    assert "version 99 of the results" in captured.err
    assert json.loads(captured.out)["exit_code"] == 2


def test_the_command_is_in_the_help(capsys):
    assert main(["claims", "--help"]) == 0
    said = capsys.readouterr().out
    for part in ("GROKKIT_TEST_DATA", "--data DIR", "grokkit claims --verdict open", "Exit status"):
        assert part in said
