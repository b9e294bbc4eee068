import json

import numpy as np
import pandas as pd
import pytest

from grokkit.scheme import InvalidInput
from grokkit.studies import statistics as gs
from grokkit.studies.statistics._columns import as_frame, levels, numbers, outcomes
from grokkit.studies.statistics._values import plain, table


def test_what_is_not_estimable_is_false_and_no_float():
    no = gs.NotEstimable("every run succeeded")
    assert not no
    assert no.to_json() == {"not_estimable": "every run succeeded"}
    with pytest.raises(InvalidInput, match="every run succeeded"):
        float(no)


def test_estimates_hold_no_nan_and_infinite_bounds_are_strict_json():
    with pytest.raises(ValueError, match="NaN"):
        gs.Estimate(1.0, float("nan"), 2.0, 3, "none")
    text = json.dumps(gs.Estimate(1.0, -np.inf, np.inf, 3, "none").to_json(), allow_nan=False)
    assert json.loads(text)["low"] == "-inf" and json.loads(text)["high"] == "inf"
    with pytest.raises(ValueError, match="NaN"):
        plain({"a": [float("nan")]})


def test_tables_align_and_move_reasons_below():
    shown = table("title", ("name", "value"), [("a", 1.23456), ("long", gs.NotEstimable("why"))], ["a note"]).split(
        "\n"
    )
    assert shown == [
        "title",
        "name  value",
        "a     1.235",
        "long  not estimable",
        "- not estimable (why)",
        "- a note",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x": [1, 2]}, "column 'y' is not in the data; there are x"),
        ({"y": [1.0, float("nan")]}, "1 of 2 values missing or not finite (first at row 1)"),
        ({"y": [1.0, float("inf")]}, "not finite"),
        ({"y": [None, "a"]}, "missing"),
        ({"y": []}, "no rows"),
        ({"y": 3}, "one value a run"),
    ],
)
def test_columns_that_cannot_be_used(data, message):
    with pytest.raises(InvalidInput) as found:
        as_frame(data, "y")
    assert message in str(found.value) and "\n" not in str(found.value)


def test_columns_of_different_length_and_named_twice():
    with pytest.raises(InvalidInput, match="all of one length"):
        as_frame({"x": [1], "y": [1, 2]}, "x", "y")
    with pytest.raises(InvalidInput, match="once only"):
        as_frame({"x": [1]}, "x", "x")


def test_columns_from_frames_keep_their_kind():
    frame = pd.DataFrame({"b": [True, False], "c": pd.Categorical(["z", "a"]), "i": pd.array([3, 1], dtype="Int64")})
    frame.index = [7, 7]
    made = as_frame(frame, "b", "c", "i")
    assert outcomes(made, "b").tolist() == [1, 0]
    assert levels(made, "c")[0] == ["a", "z"] and levels(made, "c")[1].tolist() == [1, 0]
    assert numbers(made, "i").tolist() == [3.0, 1.0]
    assert levels(as_frame({"m": [10, 9, 100]}, "m"), "m")[0] == [9, 10, 100]
    with pytest.raises(InvalidInput, match="numbers are needed"):
        numbers(made, "c")
    with pytest.raises(InvalidInput, match="True or False"):
        outcomes(made, "i")
