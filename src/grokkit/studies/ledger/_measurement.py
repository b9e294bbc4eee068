"""What a protocol measured for one claim."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, final

from grokkit.scheme import InvalidInput, suggestion
from grokkit.studies.runs._names import check_known

SCALES: Final = ("quick", "full")
UNMEASURED: Final = "not measured"
"""Name of the fact that says why a protocol could not measure a claim here."""


@final
@dataclass(frozen=True)
class Figure:
    """One measured number.

    Law: ``Figure.from_json(figure.to_json()) == figure``. Bounds may be infinite; nothing is NaN.

    >>> print(Figure(0.5, 0.25, 0.75, 12, "share of runs"))
    0.5 [0.25, 0.75], n = 12
    """

    value: float | None
    """None: undefined, for the reason given."""
    low: float | None = None
    """95 % interval; None where the figure is exact or deterministic."""
    high: float | None = None
    n: int | None = None
    """Independent runs."""
    what: str = ""
    """A short noun phrase with the unit."""
    reason: str = ""
    """Why there is no value."""

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and (isinstance(number, bool) or math.isnan(number)):
                raise InvalidInput(f"figure {self.what or '(unnamed)'}: {name} is {number}; give a number, or no value")
        if (self.low is None) != (self.high is None):
            raise InvalidInput(f"figure {self.what or '(unnamed)'}: an interval has two ends; give both or neither")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise InvalidInput(f"figure {self.what or '(unnamed)'}: the interval ends below its start; swap the ends")
        if self.value is None and (not self.reason or self.low is not None):
            raise InvalidInput(
                f"figure {self.what or '(unnamed)'}: no value; say the reason, and give no interval either"
            )
        if self.n is not None and self.n < 0:
            raise InvalidInput(f"figure {self.what or '(unnamed)'}: n is {self.n}; it counts runs")

    @classmethod
    def of(cls, estimate: Any, what: str = "") -> Figure:
        """From a statistic: `Proportion`, `Median`, `Estimate` or `NotEstimable`, or a plain number."""
        if isinstance(estimate, int | float):
            value = float(estimate)
            return cls(None, what=what, reason="not a number") if math.isnan(value) else cls(value, what=what)
        if not hasattr(estimate, "low"):
            return cls(None, what=what, reason=str(estimate.reason))
        value = float(estimate.share if hasattr(estimate, "share") else estimate.value)
        if math.isnan(value):
            return cls(None, n=estimate.n, what=what, reason="no runs, or a value that is not a number")
        return cls(value, float(estimate.low), float(estimate.high), int(estimate.n), what)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval; of an exact figure its value twice. Raises `InvalidInput` where there is no value."""
        if self.value is None:
            raise InvalidInput(f"figure {self.what or '(unnamed)'} has no value: {self.reason}")
        if self.low is None or self.high is None:
            return self.value, self.value
        return self.low, self.high

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined ({self.reason})"
        text = f"{self.value:.4g}"
        if self.low is not None and self.high is not None:
            text += f" [{self.low:.4g}, {self.high:.4g}]"
        return text + (f", n = {self.n}" if self.n is not None else "")

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite bound is the text "inf" or "-inf"."""
        content = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: str(value) if isinstance(value, float) and math.isinf(value) else value
            for name, value in content.items()
        }

    @classmethod
    def from_json(cls, content: Any, where: str = "figure") -> Figure:
        """Read what `to_json` wrote. Raises `InvalidInput` for unknown keys and wrong types."""
        given = _entries(content, where, [each.name for each in fields(cls)])
        if "value" not in given:
            raise InvalidInput(f"{where}: no value; give a number, or null and the reason")
        for name in ("value", "low", "high"):
            value = given.get(name)
            if value in ("inf", "-inf"):
                given[name] = float(value)
            elif value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise InvalidInput(f"{where}: {name} is {str(value)[:40]!r}; give a number")
            elif value is not None:
                given[name] = float(value)
        if given.get("n") is not None and type(given["n"]) is not int:
            raise InvalidInput(f"{where}: n is {str(given['n'])[:40]!r}; give a whole number")
        for name in ("what", "reason"):
            if not isinstance(given.get(name, ""), str):
                raise InvalidInput(f"{where}: {name} is {str(given[name])[:40]!r}; give text")
        try:
            return cls(**given)
        except InvalidInput as error:
            raise InvalidInput(f"{where}: {error}") from None


@final
@dataclass(frozen=True)
class Measurement:
    """What a protocol measured for one claim; the claim's rule reads figures and facts by name.

    Law: ``Measurement.from_json(measurement.to_json()) == measurement``.
    """

    claim: str
    figures: dict[str, Figure] = field(default_factory=dict)
    facts: dict[str, bool | str] = field(default_factory=dict)
    """Exact findings: ``{"exact": True}``, or text."""
    baselines: dict[str, Figure] = field(default_factory=dict)
    """Trivial baselines, where a model or a prediction is judged."""
    seeds: str = ""
    """``root seed 20260101, 5 seeds x 3 runs``; empty where nothing is random."""
    scale: str = "quick"
    note: str = ""
    """One or two sentences: what was done, and what cannot be said."""

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise InvalidInput(f"{self.claim}: scale is {self.scale!r}{suggestion(self.scale, SCALES)}")

    @classmethod
    def unmeasured(cls, claim: str, reason: str, scale: str) -> Measurement:
        """A claim that a protocol could not measure here: every rule leaves it open, with the reason."""
        return cls(claim, facts={UNMEASURED: reason}, scale=scale)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "claim": self.claim,
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "facts": dict(self.facts),
            "baselines": {name: figure.to_json() for name, figure in self.baselines.items()},
            "seeds": self.seeds,
            "scale": self.scale,
            "note": self.note,
        }

    @classmethod
    def from_json(cls, content: Any, where: str = "measurement") -> Measurement:
        """Read what `to_json` wrote. Raises `InvalidInput` for unknown keys and wrong types."""
        given = _entries(content, where, [each.name for each in fields(cls)])
        for name in ("claim", "seeds", "scale", "note"):
            if not isinstance(given.get(name), str):
                raise InvalidInput(f"{where}: {name} is missing or no text")
        for name in ("figures", "facts", "baselines"):
            if not isinstance(given.get(name), Mapping):
                raise InvalidInput(f"{where}: {name} is missing or no object")
        given["facts"] = dict(given["facts"])
        for name, fact in given["facts"].items():
            if not isinstance(fact, bool | str):
                raise InvalidInput(f"{where}: fact {name} is {str(fact)[:40]!r}; give true, false or text")
        for kind in ("figures", "baselines"):
            given[kind] = {
                name: Figure.from_json(each, f"{where}, {kind} {name}") for name, each in given[kind].items()
            }
        try:
            return cls(**given)
        except InvalidInput as error:
            raise InvalidInput(f"{where}: {error}") from None


def _entries(content: Any, where: str, known: list[str]) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise InvalidInput(f"{where}: not an object")
    check_known(where, list(content), known)
    return dict(content)
