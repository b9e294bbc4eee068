"""`reproduce`: one folder with runs, claims, tables and figures; resumed, refused, rebuilt."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
pytest.importorskip("statsmodels")

from grokkit.cli import main
from grokkit.scheme import InvalidInput
from grokkit.studies.reproduce import Table, combined, open_reproduction, reproduce, write_account
from grokkit.studies.statistics import NotEstimable

SMALL = {"batch_sizes": [32, 64], "seeds": 2, "replicas": 2, "claims": ["M01"], "engine": "threads"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduction") / "r"
    reproduce(folder, **SMALL)
    return folder


def test_what_it_holds(folder):
    found = open_reproduction(folder)
    assert found.complete
    assert {name: len(runs) for name, runs in found.protocols.items()} == {"A": 8, "B": 8}
    assert len(found.entries) == 87
    measured = [each.claim.id for each in found.entries if each.measurement is not None]
    assert "M01" in measured
    assert found.combined.n == 16
    distance = found.combined.analyses["lattice_distance"]
    rows = [row for runs in found.protocols.values() for row in runs.table(["lattice_distance"]).column(0).to_pylist()]
    mean = sum(rows) / len(rows)
    assert distance.total_sum_of_squares == pytest.approx(sum((x - mean) ** 2 for x in rows))
    assert distance["batch_size"].df == distance["protocol"].df == 1
    assert "F(1, 13)" in str(found.combined)
    assert "the source states N = 195" in str(found.combined)


def test_outcomes_that_never_vary_are_not_estimable(folder):
    found = open_reproduction(folder)
    plain = found.combined.analyses["exact_plain"]
    if any(found.protocols["A"].table(["exact_plain"]).column(0).to_pylist()):
        pytest.skip("a run came out exact")
    assert isinstance(plain["batch_size"].f, NotEstimable)
    assert "not estimable" in str(found.combined)


def test_the_account_is_made_of_stored_runs(folder, monkeypatch):
    monkeypatch.setattr("grokkit.studies.runs._run.measure", None)  # nothing is trained
    first = write_account(open_reproduction(folder))
    files = [*first["tables"], *first["figures"], first["page"]]
    before = {path: Path(path).read_bytes() for path in files}
    again = write_account(open_reproduction(folder))
    assert [*again["tables"], *again["figures"], again["page"]] == files
    assert {path: Path(path).read_bytes() for path in files} == before
    rows = list(csv.DictReader(io.StringIO((folder / "tables" / "claims.csv").read_text("utf-8"))))
    assert len(rows) == 87 and {row["verdict"] for row in rows} <= {
        "open",
        "refuted",
        "reproduced",
        "tautological",
        "undefined",
    }
    assert len({row["claim"] for row in rows}) == 87
    success = list(csv.DictReader(io.StringIO((folder / "tables" / "protocol-b.csv").read_text("utf-8"))))
    assert {row["batch size"] for row in success} == {"32", "64"} and {row["n"] for row in success} == {"4"}
    assert all(float(row["low"]) <= float(row["share"]) <= float(row["high"]) for row in success)


def test_it_goes_on_and_makes_nothing_twice(folder, tmp_path):
    copy = tmp_path / "r"
    shutil.copytree(folder, copy)
    kept = sorted((copy / "protocols" / "protocol-a").glob("*.parquet"))
    before = {path: path.read_bytes() for path in kept[1:]}
    kept[0].unlink()
    assert not open_reproduction(copy).complete or len(kept) == 1
    again = reproduce(copy, **SMALL)
    assert again.complete
    assert {path: path.read_bytes() for path in before} == before
    rows = open_reproduction(folder).protocols["A"].rows_sha256
    assert again.protocols["A"].rows_sha256 == rows


def test_other_settings_are_refused(folder, tmp_path):
    with pytest.raises(InvalidInput, match="other batch sizes, seeds or replicas; choose another --out"):
        reproduce(folder, **(SMALL | {"seeds": 3}))
    with pytest.raises(InvalidInput, match="holds a quick reproduction"):
        reproduce(folder, "full", **SMALL)
    with pytest.raises(InvalidInput, match="scale is 'huge'"):
        reproduce(tmp_path / "x", "huge")
    with pytest.raises(InvalidInput, match="at least two"):
        reproduce(tmp_path / "x", batch_sizes=[32])
    assert not (tmp_path / "x").exists()
    with pytest.raises(InvalidInput, match="give a folder that grokkit reproduce wrote"):
        open_reproduction(tmp_path)
    for text in ("{", "[]", json.dumps({"reproduction": 9, "grokkit": "0", "scale": "quick", "protocols": {}})):
        (tmp_path / "reproduction.json").write_text(text)
        with pytest.raises(InvalidInput, match=r"reproduction\.json"):
            open_reproduction(tmp_path)


def test_a_half_finished_folder_says_how_to_go_on(folder, tmp_path):
    copy = tmp_path / "r"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "protocols" / "protocol-b")
    with pytest.raises(InvalidInput, match=r"grokkit reproduce --out .* goes on"):
        open_reproduction(copy)
    with pytest.raises(InvalidInput, match="two protocols"):
        combined({"A": open_reproduction(folder).protocols["A"]})


def test_the_verb(folder, tmp_path, capsys):
    assert main(["reproduce", "--rebuild", "--out", str(folder), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert len(summary["claims"]) == 87 and summary["complete"]
    assert main(["reproduce", "--rebuild", "--seeds", "3", "--out", str(folder)]) == 2
    assert "--seeds says what is run" in capsys.readouterr().err
    assert main(["reproduce", "--batch-sizes", "24", "32", "--claims", "Z9", "--out", str(tmp_path / "y")]) == 2
    line = capsys.readouterr().err.strip()
    assert "no claim 'Z9'; did you mean" in line and "\n" not in line
    assert main(["reproduce", "--batch-sizes", "many", "--out", str(tmp_path / "z")]) == 2
    assert "write numbers" in capsys.readouterr().err


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=20)


@given(st.lists(st.tuples(texts, texts), max_size=4))
def test_tables_read_back(rows):
    table = Table("t", "A caption", ("one", "two"), tuple(rows))
    assert list(csv.reader(io.StringIO(table.csv(), newline=""))) == [["one", "two"], *map(list, rows)]
    assert table.markdown().split("\n").count("") >= 1
    body = table.latex()
    assert body.count(r"\\") >= 1 + len(rows)


def test_latex_is_escaped():
    body = Table("t", "50 % of {x}", ("a_b",), (("x & y",), (0.123456,), (None,))).latex()
    assert r"50 \% of \{x\}" in body and r"a\_b" in body and r"x \& y" in body and "0.1235" in body
    with pytest.raises(ValueError, match="a row of 2 cells under 1"):
        Table("t", "c", ("a",), ((1, 2),))
