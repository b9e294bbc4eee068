"""Figures and measurements: what is refused, and that they survive JSON."""

import json
import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.studies import Median, Proportion
from grokkit.studies.ledger import Figure, Measurement

numbers = st.floats(allow_nan=False)
words = st.text(max_size=20)


@st.composite
def figures(draw):
    if draw(st.booleans()):
        return Figure(None, what=draw(words), reason=draw(st.text(min_size=1, max_size=20)))
    ends = sorted(draw(st.tuples(numbers, numbers)))
    low, high = ends if draw(st.booleans()) else (None, None)
    count = draw(st.none() | st.integers(0, 10**9))
    return Figure(draw(numbers), low, high, count, draw(words))


@st.composite
def measurements(draw, claim="E01", names=words, facts=words):
    return Measurement(
        claim,
        draw(st.dictionaries(names, figures(), max_size=5)),
        draw(st.dictionaries(facts, st.booleans() | words, max_size=5)),
        draw(st.dictionaries(words, figures(), max_size=3)),
        draw(words),
        draw(st.sampled_from(["quick", "full"])),
        draw(words),
    )


@given(measurements())
def test_json_keeps_a_measurement(measurement):
    text = json.dumps(measurement.to_json(), allow_nan=False)
    assert Measurement.from_json(json.loads(text)) == measurement


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((math.nan,), "value is nan"),
        ((True,), "value is True"),
        ((1.0, 0.0), "both or neither"),
        ((1.0, 2.0, 1.0), "ends below its start"),
        ((None,), "say the reason"),
        ((1.0, None, None, -1), "n is -1"),
    ],
)
def test_bad_figures_are_refused(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        Figure(*arguments)


def test_an_undefined_figure_has_no_interval():
    with pytest.raises(InvalidInput, match="no interval"):
        Figure(None, 0.0, 1.0, reason="0/0")
    with pytest.raises(InvalidInput, match="has no value: 0/0"):
        _ = Figure(None, reason="0/0").interval


def test_figures_of_statistics():
    share = Figure.of(Proportion(3, 12), "share of runs")
    assert (share.value, share.n, share.what) == (0.25, 12, "share of runs")
    assert share.interval == (Proportion(3, 12).low, Proportion(3, 12).high)
    middle = Figure.of(Median.of([1.0, 2.0, 9.0]))
    assert (middle.value, middle.interval, middle.n) == (2.0, (1.0, 9.0), 3)
    assert Figure.of(2).interval == (2.0, 2.0)
    for empty in (Proportion(0, 0), Median.of([]), math.nan):
        assert Figure.of(empty).value is None and Figure.of(empty).reason
    not_estimable = SimpleNamespace(reason="every run succeeded")  # as grokkit.studies.statistics answers
    assert Figure.of(not_estimable).reason == "every run succeeded"


VALID = {
    "claim": "E01",
    "figures": {"a": {"value": 1.0}},
    "facts": {"x": True},
    "baselines": {},
    "seeds": "",
    "scale": "quick",
    "note": "",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "reproduced"}, "unknown name 'verdict'"),
        ({"figures": []}, "figures is missing or no object"),
        ({"facts": {"x": 1}}, "fact x is '1'"),
        ({"scale": "huge"}, "scale is 'huge'"),
        ({"figures": {"a": {"value": "many"}}}, "figures a: value is 'many'"),
        ({"figures": {"a": {"value": True}}}, "value is 'True'"),
        ({"figures": {"a": {"what": "x"}}}, "no value"),
        ({"figures": {"a": {"value": 1, "valeu": 2}}}, "unknown name 'valeu'; did you mean value"),
        ({"figures": {"a": {"value": 1, "n": 1.5}}}, "n is '1.5'"),
        ({"figures": {"a": {"value": 1, "what": 5}}}, "what is '5'"),
        ({"figures": {"a": 3}}, "not an object"),
        ({"note": None}, "note is missing"),
    ],
)
def test_bad_json_is_one_line(change, message):
    Measurement.from_json(VALID)
    with pytest.raises(InvalidInput, match=message) as caught:
        Measurement.from_json(VALID | change, "expansion.json, E01")
    assert str(caught.value).startswith("expansion.json, E01") and "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", VALID)
def test_a_missing_key_is_refused(missing):
    with pytest.raises(InvalidInput):
        Measurement.from_json({key: value for key, value in VALID.items() if key != missing})
