"""Every example of every ``--help`` runs, shortened where it would take minutes, with and without ``--json``."""

from __future__ import annotations

import json
import os
import re
import shlex
from functools import partial

import pytest
import typer

import grokkit as gk
from grokkit.cli import main
from grokkit.cli._app import app
from grokkit.cli._verbs import register
from grokkit.execution import tune
from grokkit.scheme.catalog import Catalog

register(app)

STUDY = """
title = "Protocol B, shortened"
question = "Does the example run?"
seed = 3
seeds = 1
runs = 2
preset = "source"
outcomes = ["converged", "exact_full"]
metrics = ["test_loss"]

[configuration]
epochs = 2
retrain_epochs = 2

[factors]
batch_size = [64, 128]

[stopping]
rule = "fixed"
text = "4 runs."

[analysis]
text = "Shares."
response = "exact_full"
factors = ["batch_size"]
"""

SHORTER = (
    ("grokkit demo", "--runs 4"),
    ("grokkit train --runs 256", "--runs 4 --shard-size 4 --steps 50 --retrain-steps 50"),
    ("grokkit train --runs 16", "--runs 4 --shard-size 4 --steps 50 --retrain-steps 50"),
    ("grokkit train --preset source", "--runs 2 --shard-size 2 --epochs 2 --retrain-epochs 2"),
    ("grokkit expand strassen --levels 4", "--levels 2 --pairs 2"),
    ("grokkit expand 16x16x16.json", "--sizes 4,8 --pairs 2"),
    ("grokkit expand", "--pairs 2"),
    ("grokkit search 3x4x5", "--budget 1s --workers 1"),
    ("grokkit search 3x3x3 --route numeric", "--budget 1s"),
    ("grokkit claims P01 --run", "--out runs/p01"),
    ("grokkit claims --run --full", "--quick P01"),
    ("grokkit claims E07", "--out runs/e07"),
    ("grokkit reproduce --quick", "--claims P01 --seeds 1 --replicas 1 --batch-sizes 64,128"),
    ("grokkit reproduce --full", "--quick --claims P01 --seeds 1 --replicas 1 --batch-sizes 64,128 --out reproduction"),
    ("grokkit reproduce --batch-sizes", "--claims P01 --seeds 1 --replicas 1 --batch-sizes 64 128 --out reproduction"),
    ("grokkit doctor --tune", "--seconds 0"),
    ("grokkit bench matmul --shapes", "--shapes 40x30x20 --seconds 0"),
    ("grokkit bench matmul", "--sizes 32,64,128,256 --seconds 0 --threads 1"),
    ("grokkit bench schemes", "--size 64 --seconds 0"),
    ("grokkit transfer parity", "--seeds 1 --sizes 64x128,128x256 --samples 300"),
    ("grokkit transfer operator", "--seeds 1 --nodes 16,32 --operators 20"),
    ("grokkit transfer fusion", "--seeds 2 --steps 100"),
    ("grokkit transfer control", "--seeds 1"),
)
"""What is added to an example that begins so; the first that fits."""
ONCE = (
    "grokkit reproduce",
    "grokkit doctor --tune",
    "grokkit search 3x3x3 --route numeric",
    "grokkit transfer",
)
"""Examples that take their time: run with --json only."""
MAY_FIND_NOTHING = ("grokkit search 3x4x5", "grokkit search 3x3x3 --route numeric")
SHAPES = ((256, 256, 256), (96, 512, 512), (512, 96, 512), (512, 512, 96), (384, 384, 384))
"""What the machine profile is made of here, instead of the products that take a minute."""
KEYS = {
    "seed": int,
    "out": str,
    "runs": int,
    "rank": int,
    "complete": bool,
    "exit_code": int,
    "seconds": (int, float),
    "cpu_seconds": float,
    "file": (str, type(None)),
    "rows": list,
    "figures": list,
    "digest": str,
}
"""Keys of JSON objects that mean one thing for every verb."""


def examples():
    """For every verb, the lines of its examples."""

    def walk(command, path=()):
        for name, each in getattr(command, "commands", {}).items():
            yield from walk(each, (*path, name))
        if not hasattr(command, "commands"):
            lines = [line.strip() for line in command.epilog.splitlines() if line.startswith("  grokkit ")]
            yield pytest.param([part for line in lines for part in line.split(" && ")], id=" ".join(path))

    yield from walk(typer.main.get_command(app))


def shorter(line):
    return next((added for start, added in SHORTER if line.startswith(start)), "")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what the examples take for granted."""
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "protocol-b.toml").write_text(STUDY)
    (tmp_path / "runs" / "344").mkdir(parents=True)
    monkeypatch.setattr("grokkit.studies._doctor.tune", partial(tune, shapes=SHAPES))
    monkeypatch.setattr(Catalog, "__iter__", lambda self: iter(["strassen", "winograd", "2x2x3-11", "poly-2-3"]))
    gk.save(gk.catalog["3x4x4:38"], tmp_path / "runs" / "344" / "3x4x4-38.json")
    return tmp_path


@pytest.mark.parametrize("lines", [*examples()])
def test_examples_run(lines, place, capsys):
    assert lines
    data = os.environ.get("GROKKIT_TEST_DATA")
    for line in lines:
        if "DIR" in line and not data:
            continue
        words = shlex.split(f"{line.partition(' > ')[0]} {shorter(line)}".replace("DIR", data or ""))
        if "--json" in words:
            words.remove("--json")
        allowed = (0, 1) if line.startswith(MAY_FIND_NOTHING) else (0,)
        if not line.startswith(ONCE):
            assert main(words[1:]) in allowed, (line, capsys.readouterr().err)
            plain = capsys.readouterr()
            assert plain.out.strip() and "\x1b" not in plain.out + plain.err and "\r" not in plain.out, line
        assert main([*words[1:], "--json"]) in allowed, line
        said = capsys.readouterr().out
        assert said.count("\n") == 1, line
        check_keys(json.loads(said), line)


def check_keys(content, line):
    assert isinstance(content, dict), line
    for key, value in content.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*|[A-Z]", key), (line, key)
        if key in KEYS and value is not None:
            assert isinstance(value, KEYS[key]), (line, key, value)
