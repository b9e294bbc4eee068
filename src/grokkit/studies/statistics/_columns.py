"""Columns of a table of runs, checked. Nothing is dropped: a missing value is refused, with its remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from grokkit.scheme import InvalidInput

Data: TypeAlias = pd.DataFrame | Mapping[str, Any]
"""A table of runs, one a row: a DataFrame, or a mapping of names to columns of equal length."""


def as_frame(data: Data, *names: str) -> pd.DataFrame:
    """The named columns as a DataFrame with rows 0..n-1. Raises `InvalidInput` for missing columns or values."""
    if isinstance(data, pd.DataFrame):
        known: Sequence[Any] = list(data.columns)
    else:
        known = list(data)
    for name in names:
        if name not in known:
            raise InvalidInput(f"column {name!r} is not in the data; there are {', '.join(map(str, known[:12]))}")
    if len(set(names)) < len(names):
        raise InvalidInput(f"columns {', '.join(names)}: each may be named once only")
    try:
        frame = pd.DataFrame({name: np.asarray(data[name]) for name in names}).infer_objects()
    except ValueError:
        shapes = ", ".join(f"{name}: {np.shape(data[name])}" for name in names)
        raise InvalidInput(f"columns need one value a run, all of one length; their shapes are {shapes}") from None
    for name in names:
        column = frame[name]
        bad = np.asarray(pd.isna(column))
        if column.dtype.kind in "fc":
            bad = bad | ~np.isfinite(np.asarray(column))
        if bad.any():
            raise InvalidInput(
                f"column {name!r} has {int(bad.sum())} of {len(frame)} values missing or not finite (first at row "
                f"{int(np.argmax(bad))}); drop or replace them, and say so where you report the result"
            )
    if names and not len(frame):
        raise InvalidInput("the data has no rows; a study needs runs")
    return frame


def numbers(frame: pd.DataFrame, name: str) -> Float[np.ndarray, " runs"]:
    """A column of numbers (booleans count as 0 and 1)."""
    column = frame[name]
    if column.dtype.kind not in "biuf":
        raise InvalidInput(f"column {name!r} holds {column.dtype}; numbers are needed")
    return np.asarray(column, dtype=np.float64)


def outcomes(frame: pd.DataFrame, name: str) -> Int[np.ndarray, " runs"]:
    """A column of successes: booleans, or numbers that are all 0 or 1."""
    values = numbers(frame, name)
    if not np.isin(values, (0, 1)).all():
        strange = values[~np.isin(values, (0, 1))][0]
        raise InvalidInput(f"column {name!r} holds {strange:g}; an outcome is True or False, or 1 or 0")
    return values.astype(np.int64)


def levels(frame: pd.DataFrame, name: str) -> tuple[list[Any], Int[np.ndarray, " runs"]]:
    """The distinct values of a factor in ascending order, and each run's index among them."""
    values = frame[name].tolist()
    distinct = list(dict.fromkeys(values))
    try:
        distinct.sort()
    except TypeError:
        distinct.sort(key=str)
    place = {value: at for at, value in enumerate(distinct)}
    return distinct, np.array([place[value] for value in values], dtype=np.int64)


def cells_of(
    names: Sequence[str], coded: Sequence[tuple[list[Any], Int[np.ndarray, " runs"]]]
) -> dict[str, Int[np.ndarray, "_"]]:
    """The rows of every combination of levels that has runs, by its name ``slots=7, wd=0.1``, in order."""
    keys, of = np.unique(np.stack([codes for _, codes in coded], axis=1), axis=0, return_inverse=True)
    of = of.ravel()  # NumPy 2.0 kept a second axis
    return {
        ", ".join(
            f"{name}={text(distinct[code])}" for name, (distinct, _), code in zip(names, coded, key, strict=True)
        ): np.flatnonzero(of == at)
        for at, key in enumerate(keys.tolist())
    }


def names_of(given: str | Sequence[str]) -> list[str]:
    """One name or several, as a list."""
    return [given] if isinstance(given, str) else list(given)


def text(level: Any) -> str:
    """A factor's value as a name in a table."""
    return f"{level:g}" if isinstance(level, float) else str(level)
