import contextlib
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from grokkit.scheme import Equivalence
from grokkit.scheme.catalog import catalog
from grokkit.studies import _figures as figures
from grokkit.studies._demo import run_demo
from grokkit.studies._page import render, stages


@contextlib.contextmanager
def no_bar(label, total, unit):
    yield lambda count: None


@pytest.fixture(scope="module")
def result():
    lines = []
    done = run_demo(no_bar, lines.append, runs=12, seed=3)
    assert any("12/12" in line for line in lines)
    return done


def test_every_network_becomes_strassen(result):
    assert result.crystallized["full"].exact == result.recognized == 12
    assert result.success()["full"].share == 1
    assert isinstance(result.basis_change, Equivalence)
    assert result.basis_change.apply(result.scheme) == catalog["strassen"]
    assert [large.rank for large, _ in result.expanded] == [49, 343, 2401]
    assert result.product.largest_error < result.product.bound
    assert result.polished().share == 1
    trained, untrained = result.moved()
    assert result.control.exact == 12 and untrained.n == 12
    assert trained.value < 0.1 < untrained.value


def test_the_summary_is_plain_data(result):
    import json

    content = json.loads(json.dumps(result.to_json()))
    assert content["runs"] == 12 and content["exact"]["full"]["count"] == 12
    assert content["example"]["formulas"][0].startswith("M1 = ")
    assert len(content["table"]) == 6


class Links(HTMLParser):
    """Everything a page would load, and whether its tags balance."""

    void = {"meta", "link", "br", "img", "hr", "input"}

    def __init__(self):
        super().__init__()
        self.loads, self.stack = [], []

    def handle_starttag(self, tag, attributes):
        self.loads += [v for k, v in attributes if k in ("src", "href", "xlink:href") and v and not v.startswith("#")]
        if tag in ("script", "iframe", "object", "embed", "link"):
            self.loads.append(tag)
        if tag not in self.void:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.loads += [v for k, v in attributes if k in ("src", "href", "xlink:href") and v and not v.startswith("#")]

    def handle_endtag(self, tag):
        assert self.stack and self.stack.pop() == tag


def test_the_page_stands_alone(result):
    page = render(result)
    parser = Links()
    parser.feed(page)
    assert parser.stack == []
    images = [load for load in parser.loads if not load.startswith("data:image/png;base64,")]
    assert images == []
    assert "url(http" not in page and "@import" not in page
    assert page.count("<svg") == 3
    assert "12 of 12 networks became exact algorithms" in page
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.S).lower()
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.S):
        ElementTree.fromstring(svg)


def test_figures_are_reproducible(result):
    draw = lambda: figures.svg(figures.success(stages(result)))  # noqa: E731
    assert draw() == draw()


def test_figures_show_what_they_should(result):
    text = figures.svg(figures.trajectories(result.population))
    assert "pruned to 7" in text and "Lattice distance" in text
    maps = figures.svg(figures.weights_before_and_after(result.population, 0, result.scheme))
    assert "U, as trained" in maps and "W, crystallized" in maps
    assert all(f"M{r}" in maps for r in range(1, 8))
