"""The report of searches: replicates, rates, figures."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("statsmodels")

from grokkit.cli import main
from grokkit.scheme import InvalidInput
from grokkit.search import FlipSettings, find_scheme, open_search
from grokkit.studies._search_report import replicates, write_search_report

SMALL = FlipSettings(walkers=4, steps=5_000, patience=10)


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searches")
    for seed in range(3):
        find_scheme("2x2x2", 7, "ternary", budget=600, settings=SMALL, seed=seed, out=folder / f"a{seed}")
        find_scheme(
            "3x3x3", 20, "ternary", budget=600, rounds=6 + seed, settings=SMALL, seed=seed, out=folder / f"b{seed}"
        )
    return folder


def test_rates_count_searches(searches, tmp_path):
    summary = write_search_report(searches, tmp_path / "page")
    assert summary["searches"] == 6
    small, large = sorted(summary["questions"], key=lambda each: each["target"])
    assert (small["found"]["count"], small["found"]["n"], small["lowest"]) == (3, 3, 7)
    assert (large["found"]["count"], large["found"]["n"]) == (0, 3)
    assert large["lowest"] > 20
    assert large["median"].startswith("not known")
    times = sorted(open_search(searches / f"a{seed}").cpu_seconds for seed in range(3))
    assert small["median_cpu_seconds"]["value"] == pytest.approx(times[1])
    page = (tmp_path / "page" / "index.html").read_text("utf-8")
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)
    assert page.count("<svg") == len(summary["figures"]) == 5
    for path in summary["figures"]:
        from matplotlib.image import imread

        assert np.ptp(imread(path)) > 0.5


def test_one_search_alone(searches, tmp_path):
    summary = write_search_report(searches / "b0", tmp_path / "page")
    assert summary["searches"] == 1
    assert not any("survival" in name for name in summary["figures"])


def test_a_copied_search_is_no_replicate(searches, tmp_path):
    shutil.copytree(searches / "a0", tmp_path / "a0")
    shutil.copytree(searches / "a0", tmp_path / "copy")
    with pytest.raises(InvalidInput, match="the same search of seed 0; it counts once"):
        write_search_report(tmp_path, tmp_path / "page")
    assert len(replicates([open_search(searches / name) for name in ("a0", "a1", "b0")])) == 2


def test_the_verb(searches, tmp_path, capsys):
    assert main(["report", str(searches), "--out", str(tmp_path / "p"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["searches"] == 6
    assert main(["report", str(searches / "a1"), "--out", str(tmp_path / "q")]) == 0
    assert "<2,2,2> 7 ternary" in capsys.readouterr().out
