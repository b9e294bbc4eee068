"""The command line read as one language: every verb explains itself alike, and a word means one thing everywhere."""

from __future__ import annotations

import re
import subprocess

import pytest
import typer

from grokkit.cli import main
from grokkit.cli._app import app
from grokkit.cli._verbs import ORDER, register

register(app)


def walk(command, path=()):
    """Every verb with the words that lead to it."""
    for name, each in getattr(command, "commands", {}).items():
        yield from walk(each, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


COMMANDS = dict(walk(typer.main.get_command(app)))
MEANINGS = {
    "--json": {"None"},
    "--out": {"DIR", "FILE"},
    "--seed": {"N"},
    "--seeds": {"N"},
    "--runs": {"N"},
    "--workers": {"N"},
    "--ring": {"[ternary|Z|Q|GF(2)|GF(3)]", "RING"},
    "--threads": {"N", "N,..."},
    "--rank": {"R"},
    "--levels": {"N"},
    "--steps": {"N"},
    "--seconds": {"X"},
    "--budget": {"TIME"},
    "--data": {"DIR"},
    "--plot": {"FILE"},
    "--clock": {"[wall|cpu]"},
    "--dtype": {"[float32|float64]"},
    "--engine": {"[auto|native|torch]", "[joblib|threads|ray|dask]"},
    "--sizes": {"N,N,...", "128x2048,..."},
}
"""What the placeholder of an option that several verbs share may be."""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_verb_explains_itself(path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"\n    grokkit {' '.join(path)}" in text and re.search(r"^  Examples?:$", text, re.M)
    assert "Exit status: 0" in text and "  --json " in text
    assert not re.search(r"list\[|<(str|int|float)|\{|\btyping\b", text)
    lines = [line for line in text.splitlines() if line.startswith("    grokkit ")]
    assert ("\n  Examples:\n" in text) == (len(lines) > 1)


def test_options_that_verbs_share_mean_one_thing():
    seen: dict[str, dict[str, tuple]] = {}
    for path, command in COMMANDS.items():
        for each in command.params:
            if each.param_type_name == "option":
                seen.setdefault(each.opts[0], {}).setdefault(str(each.metavar), path)
    for option, metavars in seen.items():
        if option in MEANINGS:
            assert set(metavars) <= MEANINGS[option], (option, metavars)
        else:
            assert len(metavars) == 1, (option, metavars)


def test_verbs_are_listed_in_their_order_and_nothing_is_missing(capsys):
    assert main(["--help"]) == 0
    listed = re.findall(r"^  ([a-z]+)  +\S", capsys.readouterr().out.partition("Commands:")[2], re.M)
    assert listed[: len(ORDER)] == list(ORDER)
    assert {path[0] for path in COMMANDS} == set(ORDER)


def test_a_start_for_every_kind_of_user(capsys):
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.err == ""
    starts = [line.split() for line in said.out.splitlines() if line.startswith("    grokkit ")]
    assert [line[1] for line in starts] == ["demo", "search", "bench", "claims"]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["crystalize"], "did you mean 'crystallize'?"),
        (["scheme", "inf"], "did you mean 'info'?"),
        (["verify", "--jsn", "x"], "did you mean --json?"),
        (["expand", "strasen"], "did you mean strassen?"),
        (["scheme", "info", "3x3x3:22"], "did you mean 3x3x3:23?"),
        (["train", "--out", "x", "--optimizer", "adm"], "did you mean adam?"),
        (["train", "--out", "x", "--preset", "sorce"], "did you mean source?"),
        (["crystallize", ".", "--method", "ful"], "did you mean full?"),
        (["claims", "X5"], "did you mean X05?"),
        (["claims", "--verdict", "refused"], "did you mean refuted?"),
        (["search", "3x3x3", "--ring", "ternery"], "did you mean ternary?"),
        (["search", "3x3x3", "--engine", "rey"], "did you mean ray?"),
        (["scheme", "reduce", "strassen", "--orbit", "growt"], "did you mean growth?"),
        (["scheme", "canonical", "strassen", "--group", "base"], "did you mean bases?"),
        (["scheme", "convert", "strassen", "x.exp", "--to", "mathematics"], "did you mean mathematica?"),
        (["scheme", "compose", "strassen", "strassen", "--along", "q"], "use one of n, m, p"),
        (["bench", "matmul", "--dtypes", "flot32"], "did you mean float32?"),
        (["bench", "matmul", "--clock", "cp"], "did you mean cpu?"),
        (["transfer", "operator", "--problem", "wav"], "did you mean wave?"),
        (["completion", "fsh"], "did you mean fish?"),
        (["reproduce", "--out", "x", "--claims", "E99"], "did you mean E"),
    ],
)
def test_the_nearest_word_is_named(arguments, wanted, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert wanted in said.err and said.err.count("\n") == 1 and said.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("grokkit sc", "scheme"),
        ("grokkit scheme eq", "equivalent"),
        ("grokkit scheme info stra", "strassen"),
        ("grokkit scheme equivalent strassen wino", "winograd"),
        ("grokkit search --rou", "--route"),
        ("grokkit search 3x3x3 --route n", "numeric"),
        ("grokkit train --optimizer s", "sgd"),
        ("grokkit claims --verdict u", "undefined"),
        ("grokkit claims x0", "X01"),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(words, wanted, shell, capsys, monkeypatch):
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))} if shell == "bash" else {}
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"} if shell == "fish" else {}
    variables = {"_GROKKIT_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": words, **asked, **fish}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main([]) == 0
    said = capsys.readouterr()
    assert wanted in said.out and said.err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_the_program(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "grokkit" in script and f"complete_{shell}" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
