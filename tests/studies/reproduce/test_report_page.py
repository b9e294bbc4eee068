"""The page of a reproduction, looked at in a real browser: no console errors, no network, keyboard, phone, dark."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("statsmodels")

from grokkit.scheme import UnreadableFile
from grokkit.studies.ledger import Figure
from grokkit.studies.reproduce import open_reproduction, reproduce
from grokkit.studies.reproduce._film import FILE, make_film
from grokkit.studies.reproduce._plots import figures
from grokkit.studies.reproduce._published import series
from grokkit.studies.reproduce._report import embedded, write_report
from grokkit.studies.runs import Study, run_study
from grokkit.studies.runs._report import png

PHASE = {
    "title": "Phase diagram <b>",
    "question": "Where do runs succeed?",
    "preset": "default",
    "seed": 7,
    "seeds": 1,
    "runs": 3,
    "configuration": {"samples": 64, "retrain_steps": 0, "steps": 0, "epochs": 2},
    "factors": {"batch_size": [8, 32], "epochs": [2, 40]},
    "outcomes": ["converged_before_pruning", "exact_plain"],
    "metrics": ["train_loss", "test_loss"],
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Both protocols, one claim measured, no film."""
    folder = tmp_path_factory.mktemp("bare") / "r"
    reproduce(folder, batch_sizes=[32, 64], seeds=2, replicas=2, claims=["M01"], engine="threads")
    (folder / FILE).unlink()
    return folder


@pytest.fixture(scope="module")
def folder(bare, tmp_path_factory):
    """The same with a film, a phase diagram and one claim that was measured and is open."""
    folder = tmp_path_factory.mktemp("reproduction") / "r"
    shutil.copytree(bare, folder)
    make_film(folder)
    run_study(Study.from_mapping(PHASE), folder / "claims" / "trend" / "quick" / "phase", engine="threads")
    write_report(open_reproduction(folder))
    return folder


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, headless."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("GROKKIT_REQUIRE_BROWSER"):
            pytest.fail("no chromium, and GROKKIT_REQUIRE_BROWSER is set")
        pytest.skip("no chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser, folder):
    """Opens the page; anything else that it asks for, or complains of, fails the test."""
    complaints: list[str] = []
    contexts = []

    def opened(place=folder, **settings):
        context = browser.new_context(**({"reduced_motion": "reduce"} | settings))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        address = (place / "report.html").as_uri()
        allowed = (address, "data:")
        page.on("request", lambda request: request.url.startswith(allowed) or complaints.append(request.url))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def test_every_section_and_claim(visit):
    page = visit()
    sections = ("summary", "film-section", "batch", "trajectories", "phase", "tables", "claims", "unsettled", "methods")
    for name in sections:
        assert page.locator(f"section#{name} h2").count() == 1
        assert page.locator(f"nav a[href='#{name}']").count() == 1
    assert page.locator("#claim-table tbody > tr[data-verdict]").count() == 87
    text = page.inner_text("#summary")
    assert "0.68 (133 of 195)" in text and "of 8 (" in text
    measured = page.inner_text("#claim-M01")
    assert "41.1 KB" in measured
    assert "grokkit claims M01 --run --full" in page.text_content("#claim-M01")
    assert "Not measured in this folder. grokkit reproduce --quick --out r --claims N01" in page.inner_text("#tables")
    assert "not measured yet" in page.text_content("#unsettled")
    assert "seeds × 2 runs" in page.inner_text("#methods")
    assert page.locator("svg[tabindex='0']").count() >= 4


def test_filters_and_search(visit):
    page = visit()
    page.fill("#search", "prune 8 slots")
    page.fill("#search", "S01")
    assert "S01" in page.inner_text("#claim-table tbody")
    shown = int(page.inner_text("#count").split()[0])
    assert 0 < shown < 87
    page.fill("#search", "")
    for verdict in ("open", "refuted", "reproduced"):
        page.click(f"[data-verdict={verdict}] >> nth=0")
        rows = page.locator("#claim-table tbody > tr[data-verdict]:visible")
        found = {row.get_attribute("data-verdict") for row in rows.all()}
        assert found <= {verdict}
        assert page.inner_text("#count") == f"{rows.count()} of 87 shown"
        page.click(f"[data-verdict={verdict}] >> nth=0")
    page.fill("#search", "no such words at all")
    assert page.inner_text("#count") == "0 of 87 shown"
    page.evaluate("location.hash = '#claim-K01'")  # a link shows what is filtered away
    page.wait_for_selector("#claim-K01:visible")


def test_the_keyboard_reaches_everything(visit):
    page = visit()
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.id || document.activeElement.tagName")
        reached.add(name)
        if name == "search":
            break
    wanted = {"film-at", "film-play", "study", "protocol", "metric", "trajectory-at", "phase-outcome", "search"}
    assert wanted <= reached and "svg" in reached and "SUMMARY" in reached


def test_the_film_by_keyboard(visit):
    page = visit()
    page.focus("#film-at")
    assert page.inner_text("#film-act") == "1 of 8: training"
    page.keyboard.press("ArrowRight")
    assert page.input_value("#film-at") == "1"
    page.keyboard.press("End")
    assert page.inner_text("#film-act") == "8 of 8: proof"
    assert page.inner_text("#film-distance") == "0" and page.inner_text("#film-mse") == "0"
    cells = [text for text in page.locator("#film-weights rect + text").all_text_contents() if text]
    assert len(cells) == 84 and set(cells) == {"-1", "0", "1"}
    page.click("#film-acts button:has-text('gauge fix')")
    assert page.inner_text("#film-act") == "5 of 8: gauge fix"
    assert float(page.inner_text("#film-moved")) < 1e-12
    assert float(page.inner_text("#film-bound")) < 1e-12
    assert "frame" in page.get_attribute("#film-at", "aria-valuetext")


def test_the_film_plays_and_pauses(visit):
    page = visit(reduced_motion="no-preference")
    page.evaluate("document.getElementById('film-weights').scrollIntoView({block: 'center'})")
    page.wait_for_function("Number(document.getElementById('film-at').value) > 2")  # began when it was seen
    page.click("#film-play")
    paused = page.input_value("#film-at")
    page.wait_for_timeout(400)
    assert page.input_value("#film-at") == paused
    still = visit()
    still.evaluate("document.getElementById('film-weights').scrollIntoView({block: 'center'})")
    still.wait_for_timeout(500)
    assert still.input_value("#film-at") == "0"


def test_plots_by_keyboard(visit):
    page = visit()
    page.focus("#study-chart svg")
    page.keyboard.press("ArrowRight")
    readout = page.inner_text("#study-chart [role=status]")
    assert re.search(r"batch size 32: .* \(95 %: .* to .*\), n = 4", readout)
    page.keyboard.press("ArrowRight")
    assert "batch size 64" in page.inner_text("#study-chart [role=status]")
    page.select_option("#study", label="Phase diagram <b> (claims, trend)")
    page.select_option("#factor", label="epochs")
    page.focus("#study-chart svg")
    page.keyboard.press("ArrowRight")
    assert "epochs 2:" in page.inner_text("#study-chart [role=status]")
    assert "n = 6" in page.inner_text("#study-chart [role=status]")


def test_trajectories_scrub(visit):
    page = visit()
    last = page.inner_text("#trajectory-table")
    page.focus("#trajectory-at")
    page.keyboard.press("Home")
    assert page.inner_text("#trajectory-step") == "step 0"
    rows = page.locator("#trajectory-table tr")
    assert rows.count() == 2 and page.inner_text("#trajectory-table") != last
    assert rows.nth(0).locator("td").nth(1).inner_text() == "0"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#trajectory-step") == "step 1"
    names = page.locator("#metric option").all_text_contents()
    page.select_option("#metric", label=next(name for name in names if name.startswith("largest distance")))
    assert "largest distance" in page.inner_text("#trajectory-caption")
    assert page.locator("#runs-chart circle").count() == 8


def test_phase_diagram_by_keyboard(visit, folder):
    page = visit()
    page.focus("#phase-chart svg")
    page.keyboard.press("ArrowUp")
    assert page.inner_text("#phase-readout").startswith("Batch size 8, 40 epochs: ")
    assert page.inner_text("#phase-readout").endswith("n = 3")
    assert page.locator("#phase-chart rect").count() == 5


def test_on_a_phone(visit):
    page = visit(viewport={"width": 390, "height": 800}, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for each in ("#film-play", "#study", "#search"):
        assert page.locator(each).bounding_box()["height"] >= 36
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 16
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_light_and_dark(visit):
    def contrast(page, place):
        """Of the text's color on the page's, after WCAG 2."""
        colors = page.evaluate(
            """place => [getComputedStyle(document.querySelector(place)).color,
                         getComputedStyle(document.body).backgroundColor]""",
            place,
        )
        lights = []
        for color in colors:
            channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
            linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
            lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
        return (max(lights) + 0.05) / (min(lights) + 0.05), colors[1]

    grounds = set()
    for scheme in ("light", "dark"):
        page = visit(color_scheme=scheme)
        for place in ("body", ".soft", "nav a", ".tag.open", ".tag.refuted", ".tag.reproduced"):
            if page.locator(place).count():
                found, ground = contrast(page, place)
                assert found >= 4.5, (scheme, place, found)
                grounds.add(ground)
    assert len(grounds) == 2


def test_without_film_and_phase_diagram(visit, bare):
    write_report(open_reproduction(bare))
    page = visit(bare)
    assert "No film is stored. grokkit reproduce --quick --out r" in page.inner_text("#film-section")
    assert "grokkit reproduce --quick --out r --claims A04" in page.inner_text("#phase")


def test_the_same_runs_give_the_same_bytes(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("grokkit.studies.runs._run.measure", None)  # nothing is trained
    monkeypatch.setattr("grokkit.studies.reproduce._film.film", None)
    first = (folder / "report.html").read_bytes()
    again = write_report(open_reproduction(folder), tmp_path / "again.html")
    assert again.read_bytes() == first
    text = first.decode("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in text and "https://" not in text
    assert "<script src" not in text and "@import" not in text and '<link rel="stylesheet' not in text
    assert "Phase diagram &lt;b&gt;" in text and "Phase diagram <b>" not in text


def test_static_figures(folder, bare):
    drawn = figures(open_reproduction(folder))
    named = {"success-by-batch-size", "grokking", "phase-diagram", "weight-geometry", "weight-distributions"}
    assert named <= set(drawn)
    made, caption = drawn["phase-diagram"]
    assert "3 runs a combination" in caption
    assert png(made)[:4] == b"\x89PNG"
    assert set(figures(open_reproduction(bare))) == {"success-by-batch-size", "grokking"}


def test_a_damaged_film_is_named(folder, tmp_path):
    copy = tmp_path / "r"
    shutil.copytree(folder, copy)
    (copy / FILE).write_bytes(b"PK")
    with pytest.raises(UnreadableFile, match=r"film\.npz.*delete it"):
        write_report(open_reproduction(copy))


def test_data_in_a_script_element():
    hostile = {"a": "</script><b>&", "x": [float("nan"), float("inf"), 0.123456789, 3.0]}
    text = str(embedded(hostile))
    assert "<" not in text and "&" not in text
    assert json.loads(text) == {"a": "</script><b>&", "x": [None, None, 0.12346, 3]}


def test_series_of_figures():
    names = ("error, 8", "error, 32", "error, 128", "seconds at 2048, one thread", "parameters", "alone, 3")
    found = series({name: Figure(float(at)) for at, name in enumerate(names)})
    assert {name: [x for x, _ in points] for name, points in found.items()} == {"error": [8, 32, 128]}
    threads = {f"seconds at {n}, {who}": Figure(1.0) for n in (1, 2, 4) for who in ("one thread", "all threads")}
    assert set(series(threads)) == {"seconds, one thread", "seconds, all threads"}
