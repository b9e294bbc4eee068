"""What a statistic answers: an estimate with its interval, a test, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, final

import numpy as np

from grokkit.scheme import InvalidInput

LEVEL: Final = 0.95
"""The confidence of every interval of this package."""

TAIL: Final = (1 - LEVEL) / 2


@final
@dataclass(frozen=True)
class NotEstimable:
    """The data cannot say this, and here is the reason. It is false, and no float.

    >>> print(NotEstimable("every run succeeded"))
    not estimable (every run succeeded)
    """

    reason: str

    def __bool__(self) -> bool:
        return False

    def __float__(self) -> float:
        raise InvalidInput(f"there is no value: {self.reason}; test isinstance(value, NotEstimable) first")

    def to_json(self) -> dict[str, Any]:
        return {"not_estimable": self.reason}

    def __str__(self) -> str:
        return f"not estimable ({self.reason})"


@final
@dataclass(frozen=True)
class Estimate:
    """A figure from n independent runs with its 95 % interval. A bound may be infinite, never NaN.

    An interval by inversion of a test (effect sizes) may lie wholly beside the point estimate.

    >>> print(Estimate(0.5, 0.25, 0.75, 12, "bootstrap"))
    0.5 [0.25, 0.75]
    """

    value: float
    low: float
    high: float
    n: int
    """Independent runs, or clusters of runs where the method says so."""
    method: str
    """How the interval was made."""

    def __post_init__(self) -> None:
        if math.isnan(self.value) or math.isnan(self.low) or math.isnan(self.high):
            raise ValueError(f"an estimate holds a NaN: {self.value} [{self.low}, {self.high}]")

    def __float__(self) -> float:
        return self.value

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        return f"{short(self.value)} [{short(self.low)}, {short(self.high)}]"


@final
@dataclass(frozen=True)
class Test:
    """A test of one hypothesis: its statistic, degrees of freedom (if it has any), p and n runs."""

    __test__ = False  # for pytest

    name: str
    statistic: float
    df: tuple[float, ...]
    p: float
    n: int

    def to_json(self) -> dict[str, Any]:
        return as_json(self)

    def __str__(self) -> str:
        df = f" ({', '.join(short(each) for each in self.df)} df)" if self.df else ""
        return f"{self.name}: {short(self.statistic)}{df}, {p_text(self.p)}, n = {self.n}"


def as_json(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as strict JSON; infinite bounds become the strings "inf" and "-inf"."""
    return {field.name: plain(getattr(value, field.name)) for field in fields(value)}


def plain(value: Any) -> Any:
    """A value in JSON's types."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            raise ValueError("a result holds a NaN")
        return "inf" if value > 0 else "-inf"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    return value


def short(value: Any) -> str:
    """A figure as a table shows it: four digits; a reason stays a reason."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return str(value)
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)


def p_text(p: float | NotEstimable) -> str:
    """``p = 0.0123``, or the reason."""
    if isinstance(p, NotEstimable):
        return str(p)
    return f"p = {short(float(p))}"


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]], notes: Sequence[str] = ()) -> str:
    """Aligned text: a title, a header, rows, and notes below. Reasons move to the notes, marked by a dash."""
    reasons: dict[str, None] = {}
    cells: list[list[str]] = []
    for row in rows:
        texts = []
        for each in row:
            if isinstance(each, NotEstimable):
                reasons[str(each)] = None
                texts.append("not estimable")
            else:
                texts.append("" if each is None else short(each))
        cells.append(texts)
    widths = [max(len(line[at]) for line in [list(header), *cells]) for at in range(len(header))]

    def line(texts: Sequence[str]) -> str:
        return "  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip()

    below = [f"- {note}" for note in [*reasons, *notes]]
    return "\n".join([title, line(header), *map(line, cells), *below])
