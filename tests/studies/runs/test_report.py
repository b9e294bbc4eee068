"""The report page and its figures, and the verb."""

from __future__ import annotations

import importlib
import json
import re

import pytest

from grokkit.studies.runs import OUTCOMES, Study

for needed in ("pyarrow", "joblib", "matplotlib", "jinja2"):
    pytest.importorskip(needed)

from grokkit.studies.runs import _plots, open_runs, run_study, write_report  # noqa: E402

STUDY = Study.from_mapping(
    {
        "title": "Tiny <phase> diagram",
        "question": "Does it & why?",
        "preset": "source",
        "configuration": {"epochs": 2, "samples": 60, "test_samples": 20, "log_points": 5},
        "factors": {"batch_size": [10, 20, 30], "init": ["symmetric", "tied"]},
        "outcomes": ["converged", "exact_plain", "exact_full"],
        "metrics": ["train_loss", "test_loss", "lattice_distance", "gradient_norm"],
        "seeds": 2,
        "runs": 2,
        "analysis": {"text": "Named before.", "response": "exact_plain", "factors": ["batch_size", "init"]},
    }
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return run_study(STUDY, tmp_path_factory.mktemp("runs") / "store", engine="threads")


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    """What is said of the runs, and the folder with the page."""
    folder = tmp_path_factory.mktemp("report") / "out"
    return write_report(runs, folder), folder


def test_the_page_says_what_the_runs_say(runs, report):
    summary, folder = report
    page = (folder / "index.html").read_text("utf-8")
    assert "Tiny &lt;phase&gt; diagram" in page and "Does it &amp; why?" in page
    assert "Named before." in page
    assert STUDY.digest in page and runs.rows_sha256 in page
    for name in STUDY.outcomes:
        (pooled,) = runs.success(name, by=())
        share = summary["outcomes"][name]
        assert (share["count"], share["n"]) == (pooled.proportion.count, pooled.proportion.n) == (share["count"], 24)
        row = re.search(rf"<tr><td>{name}</td><td>(.*?)</tr>", page, re.DOTALL)
        assert row is not None
        assert f"{share['count']} of 24" in row[1] and OUTCOMES[name] in row[1]
        assert f"{100 * share['low']:.1f} to {100 * share['high']:.1f} %" in row[1]
    # what never came about is said like the rest
    assert summary["outcomes"]["exact_plain"]["count"] == 0
    assert "Method plain failed at: rounding (24 runs)" in page
    assert len(summary["cells"]) == 6
    assert [cell["n"] for cell in summary["cells"]] == [4] * 6
    assert "Not complete" not in page
    json.dumps(summary)


def test_the_page_loads_nothing(report):
    page = (report[1] / "index.html").read_text("utf-8")
    assert page.count("<svg") == 6
    links = re.findall(r"(?:src|href)=[\"'](.{12})", page)
    assert all(link.startswith(("#", "data:image/")) for link in links)
    assert "<script" not in page and "@import" not in page and "url(http" not in page


def test_figures_are_png_files_that_hold_something(report):
    summary, folder = report
    image = importlib.import_module("matplotlib.image")
    names = {"success", "phase", "lattice_distance", "trajectory_loss", "trajectory_lattice_distance"}
    assert {path.stem for path in folder.glob("*.png")} == names | {"trajectory_gradient_norm"}
    assert len(summary["figures"]) == 6
    for path in folder.glob("*.png"):
        pixels = image.imread(path)
        assert min(pixels.shape[:2]) > 200
        assert pixels[..., :3].std() > 0.02


def test_the_same_runs_give_the_same_report(runs, report, tmp_path):
    write_report(runs.folder, tmp_path)
    assert len(list(tmp_path.iterdir())) == 7
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (report[1] / path.name).read_bytes()


def test_a_study_that_is_not_complete(runs, tmp_path):
    import shutil

    folder = shutil.copytree(runs.folder, tmp_path / "part")
    shards = sorted(folder.glob("*.parquet"))
    for path in shards[1:]:
        path.unlink()
    summary = write_report(folder, tmp_path / "out")
    assert (summary["complete"], summary["runs"], summary["runs_of_protocol"]) == (False, 4, 24)
    assert "Not complete: 4 of the protocol's 24 runs" in (tmp_path / "out" / "index.html").read_text("utf-8")
    shards[0].unlink()
    summary = write_report(folder, tmp_path / "none")
    assert summary["runs"] == 0 and summary["figures"] == []
    assert summary["outcomes"]["exact_full"]["low"] == 0.0


def test_studies_of_cells_and_of_many(tmp_path):
    many = STUDY.replace(
        factors={},
        cells=[{"name": f"clipped at {i}", "clip": i} for i in range(14)],
        analysis={"text": "t", "response": "test_loss", "factors": ["clip"]},
        seeds=1,
    )
    runs = run_study(many, tmp_path / "runs", engine="threads")
    summary = write_report(runs, tmp_path / "out")
    assert {each.rsplit("/", 1)[-1] for each in summary["figures"]} >= {"success.png", "test_loss.png"}
    assert _plots.phase_factors(runs) is None
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "12 of 14 cells are shown" in page
    assert page.count("clipped at 13") >= 2


def test_the_verb(runs, tmp_path, capsys, monkeypatch):
    typer = pytest.importorskip("typer")
    from grokkit.cli import report

    app = typer.Typer()
    report.register(app)
    assert app([str(runs.folder), "--out", str(tmp_path / "page"), "--json"], standalone_mode=False) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["page"] == str(tmp_path / "page" / "index.html")
    assert said["outcomes"]["exact_full"]["n"] == 24
    monkeypatch.setattr("grokkit.studies.runs._report.figures", lambda runs: {})  # they take long
    assert app([str(runs.folder)], standalone_mode=False) == 0
    text = capsys.readouterr().out
    assert "24 runs in 6 cells" in text and "exact_plain" in text and "0 of 24" in text
    assert (runs.folder / "report" / "index.html").is_file()
    assert open_runs(runs.folder).complete
