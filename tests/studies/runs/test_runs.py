"""The run store: the same rows however they were made, nothing lost, nothing repeated, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from grokkit.crystallize import crystallize
from grokkit.scheme import InvalidInput, MissingExtra, UnreadableFile
from grokkit.studies import Proportion
from grokkit.studies.runs import Study
from grokkit.training import train

pa = pytest.importorskip("pyarrow")
pytest.importorskip("joblib")
pq = importlib.import_module("pyarrow.parquet")

from grokkit.studies.runs import _measure, _run, _store, open_runs, run_study, write_report  # noqa: E402

ROOT = Path(__file__).parents[3]
TINY = {
    "title": "tiny",
    "question": "does it?",
    "preset": "source",
    "configuration": {"epochs": 3, "samples": 60, "test_samples": 20, "log_points": 5},
    "factors": {"batch_size": [10, 30], "init": ["symmetric", "tied"]},
    "cells": [{"name": "plain descent", "optimizer": "sgd", "epochs": 2}],
    "outcomes": ["converged", "discretizable", "exact_plain", "exact_full"],
    "metrics": ["test_loss", "slot_norms"],
    "keep_weights": True,
    "seeds": 2,
    "runs": 3,
    "shard_size": 4,
}
STUDY = Study.from_mapping(TINY)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return run_study(STUDY, tmp_path_factory.mktemp("runs") / "store", engine="threads")


@pytest.fixture
def copy(runs, tmp_path):
    """A store of its own, to be damaged."""
    return Path(shutil.copytree(runs.folder, tmp_path / "copy"))


def test_a_row_is_the_run_that_training_alone_gives(runs):
    rows = runs.table().to_pylist()
    assert len(rows) == len(runs) == STUDY.total_runs == 30
    for row in (rows[0], rows[5], rows[11], rows[29]):
        cell = STUDY.cells[row["cell"]]
        number = row["seed"] * STUDY.runs + row["run"]
        assert (row["population_seed"], row["population_run"]) == (cell.config.seed, number)
        alone = train(cell.config.replace(runs=number + 1))
        for name in "UVW":
            assert np.array_equal(np.array(row[name]), getattr(alone, name)[number].ravel())
        assert row["test_loss"] == alone.test_loss[number]
        assert row["train_loss"] == alone.train_loss[number]
        log = alone.trajectory
        assert row["trajectory_step"] == log.steps.tolist()
        assert np.array_equal(row["trajectory_test_loss"], log.test_loss[number])
        assert np.array_equal(row["trajectory_slot_norms"], log.slot_norms[number], equal_nan=True)
        assert row["lattice_distance"] == log.lattice_distance[number, -1]
        assert row["test_loss_before_pruning"] == log.test_loss[number, ~log.pruned][-1]
        assert row["converged"] == (row["test_loss"] < 1e-6)
        assert row["discretizable"] == (row["lattice_distance"] <= 0.1)
        assert {name: row[name] for name in STUDY.factor_names} == cell.factors


def test_outcomes_are_those_of_crystallizing_the_stored_weights(runs):
    rows = runs.table().to_pylist()
    for shard in STUDY.shards[:4]:
        own = [r for r in rows if r["cell"] == shard.cell.number][shard.first : shard.first + shard.runs]
        factors = [
            np.array([r[name] for r in own]).reshape(len(own), *shape)
            for name, shape in (("U", (7, 4)), ("V", (7, 4)), ("W", (4, 7)))
        ]
        for method in ("plain", "full"):
            result = crystallize(tuple(factors), "2x2x2", method=method, seed=shard.crystallization_seed)
            assert [run.exact for run in result] == [r[f"exact_{method}"] for r in own]
            digests = [run.scheme.digest if run.exact else None for run in result]
            assert digests == [r[f"scheme_{method}"] for r in own]
            assert [run.reason.split(":")[0] for run in result] == [r[f"failed_{method}"] for r in own]
    assert any(r["exact_full"] for r in rows)
    assert not all(r["exact_plain"] for r in rows)


@pytest.mark.parametrize(("engine", "workers"), [("threads", 3), ("joblib", 2)])
def test_the_same_rows_on_every_engine(runs, tmp_path, engine, workers):
    done = []
    other = run_study(STUDY, tmp_path / "out", engine=engine, workers=workers, progress=done.append)
    assert sum(done) == 30
    assert json.dumps(other.table().to_pydict()) == json.dumps(runs.table().to_pydict())
    assert other.rows_sha256 == runs.rows_sha256
    assert [each.rows_sha256 for each in other.shards] == [each.rows_sha256 for each in runs.shards]


def test_more_seeds_leave_the_first_as_they_are(runs, tmp_path):
    more = run_study(STUDY.replace(seeds=3), tmp_path / "more", engine="threads")
    names = [name for name in runs.columns if name not in ("moved_full",)]
    first = [row for row in more.table(names).to_pylist() if row["seed"] < 2]
    assert json.dumps(first) == json.dumps(runs.table(names).to_pylist())


def test_interruptions_lose_and_repeat_nothing(runs, tmp_path, monkeypatch):
    """Interrupted after every shard: the next call goes on, and does not touch what is there."""
    made: list[int] = []
    original = _run.measure

    def once(study, shard, engine):
        if len(made) > calls:
            raise KeyboardInterrupt
        made.append(shard.number)
        return original(study, shard, engine)

    monkeypatch.setattr(_run, "measure", once)
    for calls in range(len(STUDY.shards)):
        before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.parquet")}
        if calls + 1 < len(STUDY.shards):
            with pytest.raises(KeyboardInterrupt):
                run_study(STUDY, tmp_path / "out", engine="threads")
            partial = open_runs(tmp_path / "out")
            assert not partial.complete
            assert len(partial.missing) == len(STUDY.shards) - calls - 1
        else:
            assert run_study(STUDY, tmp_path / "out", engine="threads").rows_sha256 == runs.rows_sha256
        assert all(path.read_bytes() == content for path, content in before.items())
    assert sorted(made) == [shard.number for shard in STUDY.shards]


def test_a_sweep_killed_at_random_moments(tmp_path):
    """Real processes and SIGKILL, fifty times."""
    path = ROOT / "benchmarks" / "studies.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_studies", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_of_studies"] = module
    spec.loader.exec_module(module)
    seen = module.kill_and_resume(
        tmp_path, np.random.default_rng(0), kills=50, engine="threads", workers=2, protocol=module.TINY
    )
    assert seen.killed == 50


def test_a_finished_study_is_not_run_again(runs, monkeypatch):
    def never(*args):
        raise AssertionError("made again")

    monkeypatch.setattr(_run, "measure", never)
    done = []
    again = run_study(STUDY, runs.folder, engine="threads", progress=done.append)
    assert again.rows_sha256 == runs.rows_sha256
    assert done == [30]


def test_temporary_files_of_killed_processes(copy):
    old, young = copy / ".shard-000001.parquet.x.tmp", copy / ".shard-000002.parquet.y.tmp"
    for path in (old, young):
        path.write_text("half")
    long_ago = time.time() - 2 * _store.STALE_SECONDS
    os.utime(old, (long_ago, long_ago))
    assert run_study(STUDY, copy, engine="threads").complete
    assert not old.exists() and young.exists()


def test_success_and_medians(runs):
    rows = runs.table(["batch_size", "init", "optimizer", "exact_full", "lattice_distance"]).to_pylist()
    for share in runs.success("exact_full", by=["batch_size", "init"]):
        own = [row for row in rows if share.factors.items() <= row.items()]
        assert share.proportion == Proportion(sum(row["exact_full"] for row in own), len(own))
    assert [each.proportion.n for each in runs.success("exact_plain")] == [6] * 5
    assert runs.success("exact_plain", by=())[0].proportion.n == 30
    assert runs.success()[0].outcome == "converged"
    (pooled,) = runs.typical("lattice_distance", by=())
    assert pooled.median.value == pytest.approx(np.median([row["lattice_distance"] for row in rows]))
    with pytest.raises(InvalidInput, match="unknown name 'exact_ful'; did you mean exact_full"):
        runs.success("exact_ful")
    with pytest.raises(InvalidInput, match="by: unknown name 'batch'"):
        runs.success("exact_full", by=["batch"])
    with pytest.raises(InvalidInput, match="columns: unknown name 'cel'; did you mean cell"):
        runs.table(["cel"])


def test_points_are_the_trajectories(runs):
    points = runs.points()
    rows = runs.table(["cell", "seed", "run", "trajectory_step", "trajectory_test_loss"]).to_pylist()
    expected = [
        (row["cell"], row["seed"], row["run"], step, loss)
        for row in rows
        for step, loss in zip(row["trajectory_step"], row["trajectory_test_loss"], strict=True)
    ]
    found = points.select(["cell", "seed", "run", "step", "test_loss"]).to_pydict()
    assert list(zip(*found.values(), strict=True)) == expected
    assert points["batch_size"][0].as_py() == 10


def test_metadata_say_where_runs_come_from(runs):
    content = json.loads(pq.read_schema(runs.shards[0].path).metadata[b"grokkit"])
    assert content["study"] == STUDY.digest
    assert content["rows_sha256"] == _store.rows_digest(pq.read_table(runs.shards[0].path))
    assert content["cpu_seconds"] > 0
    assert content["wall_seconds"] > 0
    assert set(content["machine"]) == {"system", "processor", "cores"}
    assert {"python", "numpy", "pyarrow", "grokkit"} <= set(content["versions"])
    assert content["engine"] in ("native", "torch")


def test_another_protocol_is_refused(runs, tmp_path):
    with pytest.raises(InvalidInput, match=r"holds runs of another protocol, with other seeds; choose another --out"):
        run_study(STUDY.replace(seeds=3), runs.folder, engine="threads")
    with pytest.raises(InvalidInput, match=r"with other configuration \(epochs\)"):
        run_study(STUDY.replace(configuration={"epochs": 4}), runs.folder, engine="threads")
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(InvalidInput, match=r"holds config\.toml, but no study"):
        run_study(STUDY, tmp_path, engine="threads")


def test_another_version_is_refused_but_read(copy):
    path = copy / "_study.json"
    path.write_text(path.read_text().replace(f'"grokkit": "{_store.__version__}"', '"grokkit": "0.0.1"'))
    with pytest.raises(InvalidInput, match=r"holds runs of grokkit 0\.0\.1, this is"):
        run_study(STUDY, copy, engine="threads")
    with pytest.raises(UnreadableFile, match=r"the folder's runs by 0\.0\.1; delete it"):
        open_runs(copy)
    for shard in copy.glob("*.parquet"):
        table = pq.read_table(shard)
        content = json.loads(table.schema.metadata[b"grokkit"]) | {"grokkit": "0.0.1"}
        pq.write_table(table.replace_schema_metadata({b"grokkit": json.dumps(content)}), shard)
    assert open_runs(copy).complete


def damage_truncate(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-100])
    return r"broken Parquet file .* delete it to run that shard again"


def damage_empty(path: Path) -> str:
    path.write_bytes(b"")
    return r"broken Parquet file"


def damage_foreign(path: Path) -> str:
    pq.write_table(pa.table({"x": [1]}), path)
    return r"holds no runs of grokkit; move it out of the folder"


def damage_metadata(path: Path) -> str:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({b"grokkit": b"{}"}), path)
    return r"its metadata are damaged .* delete it"


def damage_copy(path: Path) -> str:
    shutil.copy(path, path.with_name("shard-000777.parquet"))
    return r"shard-000777.parquet: holds shard 1; name it shard-000001.parquet, or delete it if it is a copy"


def damage_other_study(path: Path) -> str:
    table = pq.read_table(path)
    content = json.loads(table.schema.metadata[b"grokkit"]) | {"study": "0" * 64, "title": "Another"}
    pq.write_table(table.replace_schema_metadata({b"grokkit": json.dumps(content)}), path)
    return r"holds runs of another protocol, 'Another'; move it"


def damage_rows(path: Path) -> str:
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 1).replace_schema_metadata(table.schema.metadata), path)
    return r"its 1 rows are no shard of the protocol; delete it"


@pytest.mark.parametrize(
    "damage",
    [damage_truncate, damage_empty, damage_foreign, damage_metadata, damage_copy, damage_other_study, damage_rows],
)
def test_broken_and_foreign_shards_are_named(copy, damage):
    path = copy / "shard-000001.parquet"
    message = damage(path)
    for read in (open_runs, lambda folder: run_study(STUDY, folder, engine="threads")):
        with pytest.raises(UnreadableFile, match=message) as caught:
            read(copy)
        assert "\n" not in str(caught.value)
        assert str(copy) in str(caught.value)


def test_a_flipped_bit_is_found_when_rows_are_read(copy):
    path = copy / "shard-000001.parquet"
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    content = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    content[start + column.total_compressed_size - 1] ^= 0x40
    path.write_bytes(bytes(content))
    opened = open_runs(copy)
    with pytest.raises(UnreadableFile, match=r"shard-000001.parquet: a broken Parquet file"):
        opened.table()


def test_broken_protocol_files(copy, tmp_path):
    with pytest.raises(InvalidInput, match="no such folder"):
        open_runs(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match=r"no _study.json in it"):
        open_runs(tmp_path)
    path = copy / "_study.json"
    text = path.read_text()
    for changed, message in (
        (text.replace('"seeds": 2', '"seeds": 3'), "changed since it was written"),
        (text.replace('"store": 1', '"store": 99'), "store version 99"),
        (text.replace('"digest"', '"digests"'), "not a protocol as grokkit stores it"),
        ("[]", "not a protocol as grokkit stores it"),
        (text[:50], "not valid JSON"),
    ):
        path.write_text(changed)
        with pytest.raises(InvalidInput, match=message) as caught:
            open_runs(copy)
        assert "\n" not in str(caught.value)


def test_a_failed_start_leaves_nothing(tmp_path):
    with pytest.raises(InvalidInput, match="engine 'warp'"):
        run_study(STUDY, tmp_path / "out", engine="warp")
    with pytest.raises(InvalidInput, match="workers is 0"):
        run_study(STUDY, tmp_path / "out", workers=0)
    impossible = STUDY.replace(configuration={"engine": "native", "slots": 100})
    with pytest.raises(InvalidInput, match="engine native"):
        run_study(impossible, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_that_diverge_are_counted_as_such(tmp_path):
    changes = {"optimizer": "sgd", "learning_rate": 100.0}
    wild = STUDY.replace(configuration=changes, factors={"batch_size": [10]}, cells=[], runs=1)
    found = run_study(wild.replace(seeds=1), tmp_path / "one", engine="threads")
    (row,) = found.table().to_pylist()
    assert row["diverged"]
    assert not row["exact_full"] and row["failed_full"] == "input"
    assert not math.isfinite(row["test_loss"])
    summary = write_report(found, tmp_path / "report")
    assert summary["outcomes"]["diverged"]["count"] == 1


def test_expansion_and_control(tmp_path):
    asked = STUDY.replace(outcomes=["exact_full", "expands_full", "expands_plain", "control_full"], cells=[], seeds=1)
    rows = run_study(asked, tmp_path / "out", engine="threads").table().to_pylist()
    for row in rows:
        assert row["expands_full"] == (row["exact_full"] and row["expansion_error_full"] < 1e-5)
        assert (row["expansion_error_full"] is None) == (not row["exact_full"])
        assert row["expands_plain"] is False
    assert any(row["expands_full"] for row in rows)
    assert any(row["control_full"] for row in rows)


def test_expansion_errors_are_those_of_the_scheme():
    from grokkit.scheme import Scheme
    from grokkit.scheme.catalog import catalog

    strassen, shard = catalog["strassen"], STUDY.shards[0]
    assert 1e-8 < _measure.expansion_error(strassen, shard) < 1e-5
    wrong = Scheme(strassen.target, strassen.U, strassen.V, -strassen.W)
    assert _measure.expansion_error(wrong, shard) > 1


WITHOUT = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "pyarrow" else found(name, *rest)
from grokkit.studies.runs import Study
from grokkit.scheme import MissingExtra
Study.from_toml(sys.argv[1])
assert "pyarrow" not in sys.modules and "torch" not in sys.modules
try:
    from grokkit.studies.runs import run_study
except MissingExtra as error:
    print(error)
"""


def test_without_pyarrow_protocols_are_read_and_runs_name_the_extra():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(ROOT / "studies" / "protocol-a.toml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "grokkit.studies.runs.run_study needs pyarrow: pip install 'grokkit[lab]'\n", done.stderr
    assert issubclass(MissingExtra, ImportError)


def test_the_examples_of_the_documentation(tmp_path, monkeypatch, capsys):
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    text = (ROOT / "docs" / "studies.md").read_text("utf-8")
    (protocol,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 5
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "protocol.toml").write_text(protocol)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/studies.md", "exec"), names)
    said = capsys.readouterr().out
    assert "True 40" in said
    runs = open_runs("runs/steps")
    assert len(names["frame"]) == 40
    shares = duckdb.sql(
        "SELECT batch_size, count(*) FILTER (exact_full), count(*) FROM 'runs/steps/*.parquet' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    ours = [
        (s.factors["batch_size"], s.proportion.count, s.proportion.n)
        for s in runs.success("exact_full", by=["batch_size"])
    ]
    assert shares == sorted(ours)
    assert len(names["curves"].fetchall()) == len(runs.points())
    assert runs.to_pandas().equals(runs.table().to_pandas())
