"""The atlas, looked at in a real browser: search, sort, open, copy, no console errors, no network."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading

import pytest

from grokkit.scheme import InvalidInput, Refuted, Scheme, load
from grokkit.scheme.catalog import catalog, standard
from grokkit.studies._atlas import AtlasEntry, write_atlas

STRASSEN = catalog["strassen"]
ENTRIES = [
    AtlasEntry("strassen", STRASSEN, "catalog"),
    AtlasEntry("winograd", catalog["winograd"], "catalog"),
    AtlasEntry("standard 3x3x3", standard(3, 3, 3), "standard algorithm"),
    AtlasEntry("standard 2x2x2 <&>", standard(2, 2, 2), "standard algorithm"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("atlas")
    write_atlas(ENTRIES, place)
    return place


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
def page(browser, folder):
    """The index, served locally; anything else that a page asks for, or complains of, fails the test."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: request.url.startswith((address, "data:")) or complaints.append(request.url))
    opened.goto(address)
    yield opened
    context.close()
    server.shutdown()
    server.server_close()
    assert complaints == []


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def names(page) -> list[str]:
    return [row.inner_text() for row in page.locator("#schemes tbody tr:visible td:nth-child(2)").all()]


def test_search(page):
    assert len(names(page)) == 4
    page.fill("#search", "<2,2,2 CATALOG")
    assert sorted(names(page)) == ["strassen", "winograd"]
    assert page.inner_text("#count") == "2 shown"
    page.fill("#search", "nothing like it")
    assert names(page) == []
    page.fill("#search", "")
    assert len(names(page)) == 4


def test_sort(page):
    def ranks() -> list[int]:
        return [int(cell.inner_text()) for cell in page.locator("#schemes tbody td:nth-child(3)").all()]

    page.click("th:has-text('rank') button")
    assert ranks() == [7, 7, 8, 27]
    page.click("th:has-text('rank') button")
    assert ranks() == [27, 8, 7, 7]
    page.click("th:has-text('name') button")
    assert names(page) == ["standard 2x2x2 <&>", "standard 3x3x3", "strassen", "winograd"]
    page.click("th:has-text('shared') button")
    assert names(page)[0] == "standard 2x2x2 <&>"


def test_open_and_copy(page, tmp_path):
    page.click("a:has-text('<2,2,2;7>') >> nth=0")
    page.wait_for_url("**/*.html")
    assert "64 tensor equations" in page.inner_text("dl")
    assert page.locator("svg rect").count() == 7 * 12
    page.click("#copy")
    page.wait_for_function("document.getElementById('copied').textContent !== ''")
    assert page.inner_text("#copied") == "copied"
    copied = tmp_path / "copied"
    copied.write_text(page.evaluate("navigator.clipboard.readText()"))
    assert load(copied) in (STRASSEN, catalog["winograd"])
    page.click("[role=tab]:has-text('NumPy')")
    assert "def matmul(a, b, levels=1):" in page.inner_text("#code-numpy")
    assert not page.is_visible("#code-json")
    page.click("nav a")
    page.wait_for_url("**/index.html")


def test_pages_stand_alone(folder):
    for path in folder.glob("*.html"):
        text = path.read_text("utf-8")
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text
        assert "<script src" not in text and "@import" not in text
    assert "&lt;&amp;&gt;" in (folder / "index.html").read_text("utf-8")
    assert len(list(folder.glob("*.html"))) == 5


def test_a_wrong_scheme_never_gets_in(tmp_path):
    wrong = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, 2 * STRASSEN.W)
    with pytest.raises(Refuted):
        write_atlas([AtlasEntry("wrong", wrong, "")], tmp_path / "a")
    assert not (tmp_path / "a").exists()
    with pytest.raises(InvalidInput, match=r"two schemes of the atlas would be called s-1\.html"):
        write_atlas([AtlasEntry("s 1", STRASSEN, ""), AtlasEntry("s-1", STRASSEN, "")], tmp_path / "a")
