"""The table of schemes: measured, checked first, and the front told from the rest."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from grokkit import _native
from grokkit.cli import main
from grokkit.execution import Plan
from grokkit.scheme import InvalidInput, MatrixProduct, expand
from grokkit.scheme.catalog import catalog, speeds
from grokkit.studies import Estimate, WrongScheme, bench_schemes, with_front

pytestmark = pytest.mark.skipif(_native.load() is None, reason="no native core")


@pytest.fixture
def rows():
    names = ["strassen", "winograd", "3x3x3-23"]
    return list(bench_schemes([(name, catalog[name]) for name in names], size=100, seconds=0.0))


def test_rows_say_what_was_measured(rows):
    by_name = {row.name: row for row in rows}
    assert by_name["strassen"].shape == (100, 100, 100)
    assert by_name["3x3x3-23"].shape == (99, 99, 99)
    assert (by_name["strassen"].additions, by_name["winograd"].additions) == (18, 15)
    assert (by_name["strassen"].growth, by_name["winograd"].growth) == (12, 18)
    for row in rows:
        assert row.speed.n == row.over_vendor.n >= 5
        assert 0 < row.speed.low <= row.speed.value <= row.speed.high
        json.dumps(row.to_json())


def test_the_front_is_what_no_other_scheme_of_the_format_beats(rows):
    strassen, winograd, other = rows
    even = Estimate(1.0, 0.9, 1.1, 5)
    strassen, winograd = replace(strassen, speed=even), replace(winograd, speed=even)
    assert [row.front for row in with_front([strassen, winograd, other])] == [True, True, True]
    # neither fewer additions nor less growth, and not faster: beaten
    worse = replace(strassen, name="worse", growth=30.0)
    assert {row.name: row.front for row in with_front([strassen, winograd, worse])}["worse"] is False
    # but faster beyond its interval it stays
    faster = replace(worse, speed=Estimate(1.5, 1.4, 1.6, 5))
    assert {row.name: row.front for row in with_front([strassen, winograd, faster])}["worse"] is True
    # in another order of the letters it is the same format
    turned = (
        replace(other, format=(3, 4, 3), additions=1),
        replace(other, format=(4, 3, 3), additions=2, speed=other.speed),
    )
    assert [row.front for row in with_front(turned)] == [True, False]


def test_a_wrong_product_is_not_timed(monkeypatch):
    right = Plan.execute

    def wrong(self, a, b, out):
        right(self, a, b, out)
        out[3, 4] += np.abs(out).max()
        return out

    monkeypatch.setattr(Plan, "execute", wrong)
    with pytest.raises(WrongScheme, match="strassen: the product of 100x100 by 100x100 in float32 is wrong"):
        list(bench_schemes([("strassen", catalog["strassen"])], size=100, seconds=0.0))


def test_what_the_kernel_does_not_take_is_refused():
    large = expand(catalog["strassen"], 5)
    with pytest.raises(InvalidInput, match="large: not timed, the scheme has more blocks than the native kernel takes"):
        list(bench_schemes([("large", large)], size=128, seconds=0.0))


def test_the_catalog_knows_measured_speeds():
    assert set(speeds()) == {name for name in catalog if isinstance(catalog[name].target, MatrixProduct)}
    best = catalog.best("2x2x2", by="speed")
    name = catalog.name_of(best)
    assert name is not None
    assert speeds()[name] == max(speeds()[each] for each in catalog if catalog[each].target == best.target)
    assert catalog.best("1x2x3", by="speed").rank == 6


def test_on_the_command_line(capsys, monkeypatch):
    from grokkit.scheme.catalog import Catalog

    monkeypatch.setattr(Catalog, "__iter__", lambda self: iter(["strassen", "winograd"]))
    assert main(["bench", "schemes", "--size", "64", "--seconds", "0", "--json", "--clock", "cpu"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in said["rows"]] == ["winograd", "strassen"]
    assert main(["bench", "schemes", "--size", "64", "--seconds", "0"]) == 0
    assert "over classical" in capsys.readouterr().out
    assert main(["bench", "schemes", "--dtype", "int8"]) == 2
    assert "--dtype 'int8'; use one of float32, float64" in capsys.readouterr().err
    assert main(["bench", "schemes", "--clock", "cpu", "--threads", "2"]) == 2
    assert "only the wall clock compares" in capsys.readouterr().err
    assert main(["bench", "nothing"]) == 2
    assert "no such command 'nothing'" in capsys.readouterr().err
