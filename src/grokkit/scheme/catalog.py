"""Schemes at hand: the standard algorithm of any format, Strassen's and Winograd's, and those that our own searches
found.

Crystallization and search never import this module (an import contract and a test hold them to that).
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, final

from grokkit.scheme._construct import Construction, construct
from grokkit.scheme._counts import frobenius_growth, growth_factor
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short
from grokkit.scheme._json import load_own
from grokkit.scheme._read_target import parse_target
from grokkit.scheme._reduction import reduce_additions
from grokkit.scheme._scheme import Scheme
from grokkit.scheme._standard import standard, standard_scheme
from grokkit.scheme._symmetry import with_format
from grokkit.scheme._target import MatrixProduct, Target
from grokkit.scheme._verify import verify

__all__ = ["Catalog", "catalog", "standard"]

TEXTBOOK: Final = {"strassen": "2x2x2:7", "winograd": "2x2x2:7"}
"""Names of the textbook schemes and their keys."""
STANDARD: Final = "standard"


@final
@dataclass(frozen=True)
class Entry:
    """What the catalog's table says of a scheme that our searches found; tests compute all of it again.

    Attributes
    ----------
    name, key:
        ``3x3x3-23`` (or ``3x3x3-23-growth``, where another scheme of that rank has less growth), and ``3x3x3:23``;
        ``poly:2:3`` is the key of a scheme of rank 3 for the target ``poly:2``.
    additions:
        With common subexpressions shared.
    growth, frobenius:
        Growth factors in the max norm and the Frobenius norm.
    """

    name: str
    key: str
    ring: str
    ternary: bool
    additions: int
    growth: Fraction
    frobenius: float
    digest: str


@cache
def entries() -> Mapping[str, Entry]:
    """The table of the schemes that our searches found, by name, as `benchmarks/build_catalog.py` wrote it."""
    text = (resources.files("grokkit.scheme") / "data" / "catalog" / "catalog.csv").read_text(encoding="ascii")
    table = {}
    for row in csv.DictReader(text.splitlines()):
        table[row["name"]] = Entry(
            row["name"],
            f"{row['format']}:{row['rank']}",
            row["ring"],
            row["ternary"] == "true",
            int(row["additions"]),
            Fraction(row["growth"]),
            float(row["frobenius"]),
            row["digest"],
        )
    return table


@cache
def speeds() -> Mapping[str, float]:
    """By name, how many times as fast as the classical product in the same kernel one fused level of a scheme was.

    Measured on one machine, which the first line of `data/catalog/speeds.csv` names, by ``grokkit bench schemes``.
    Other machines order schemes differently; measure there where it matters.
    """
    text = (resources.files("grokkit.scheme") / "data" / "catalog" / "speeds.csv").read_text(encoding="ascii")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {row["name"]: float(row["speed"]) for row in rows}


@cache
def _target_of(key: str) -> Target:
    """The target in a key."""
    return parse_target(key.rpartition(":")[0])


def _same_letters(stored: Target, wanted: Target) -> bool:
    """Whether a scheme of one target serves for another: of a format, in any order of its letters."""
    if isinstance(stored, MatrixProduct) and isinstance(wanted, MatrixProduct):
        return sorted(stored.format) == sorted(wanted.format)
    return stored == wanted


@cache
def _keys() -> Mapping[str, str]:
    """Names of all stored schemes and their keys; the first of a key is the one that the key gives."""
    return TEXTBOOK | {name: entry.key for name, entry in entries().items()}


@cache
def _stored(name: str) -> Scheme:
    # A certificate in a file is a claim: each scheme is proven on first use, so that a changed file is not served.
    folder = resources.files("grokkit.scheme") / "data"
    with resources.as_file((folder if name in TEXTBOOK else folder / "catalog") / f"{name}.json") as path:
        scheme = load_own(Path(path))
    verify(scheme)
    return scheme


@final
class Catalog:
    """Schemes by name (``strassen``) or by format and rank (``2x2x2:7``).

    >>> catalog["2x2x2:7"] == catalog["strassen"]
    True
    >>> catalog.best("3x3x3").rank
    23
    """

    def __getitem__(self, key: object) -> Scheme:
        """The scheme of that name or key. Raises `KeyError` with what is there instead."""
        name = key.strip().lower() if isinstance(key, str) else ""
        if name in _keys():
            return _stored(name)
        for stored, stored_key in _keys().items():
            if stored_key == name:
                return _stored(stored)
        match = re.fullmatch(
            r"([0-9]{1,6}x[0-9]{1,6}x[0-9]{1,6}|(?:poly|toeplitz):[0-9]{1,6}(?:x[0-9]{1,6})?|cyclic:[0-9]{1,6}"
            r"|complex|quaternion):([0-9]{1,18})",
            name,
        )
        if match:
            target = parse_target(match.group(1))
            if int(match.group(2)) == target.nonzeros:
                return standard_scheme(target)
        close = difflib.get_close_matches(name, [*_keys(), *_keys().values()], 1, cutoff=0.8)
        there = (
            f"there are {', '.join(TEXTBOOK)}, {len(entries())} that searches found, such as 3x3x3:23, and the "
            "standard algorithm of every format, such as 3x4x5:60"
        )
        raise KeyError(f"no scheme {short(key)} in the catalog; {f'did you mean {close[0]}?' if close else there}")

    def __contains__(self, key: object) -> bool:
        try:
            self[key]
        except (KeyError, InvalidInput):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(_keys())

    def __len__(self) -> int:
        return len(_keys())

    def best(
        self,
        target: str | Target,
        *,
        ring: str | None = None,
        by: str | Callable[[Scheme], float] = "rank",
    ) -> Scheme:
        """The best scheme of lowest rank for a format, such as ``"2x2x2"``, or another target, such as ``"poly:2"``.

        The first listed wins ties.

        Parameters
        ----------
        ring:
            Narrows the choice: ``"ternary"`` (coefficients -1, 0, 1), ``"Z"``, or ``"Q"`` (which admits all).
        by:
            What decides among the schemes of lowest rank: ``"rank"`` (nothing more), ``"additions"`` (with common
            subexpressions shared), ``"growth"`` (the growth factor in the max norm), ``"frobenius"`` (in that
            norm), ``"speed"`` (as measured on one machine, see `speeds`), or a function of a scheme that is to be
            small, such as a predicted time.

        Of formats, stored schemes of the same letters in another order are candidates too. So is the standard
        algorithm: there is always an answer.

        >>> catalog.best("2x2x2", by="additions") == catalog["winograd"]
        True
        """
        measures: dict[str, Callable[[str, Scheme], float]] = {
            "rank": lambda name, scheme: 0.0,
            "additions": lambda name, scheme: float(reduce_additions(scheme).additions),
            "growth": lambda name, scheme: float(growth_factor(scheme)),
            "frobenius": lambda name, scheme: frobenius_growth(scheme),
            "speed": lambda name, scheme: -speeds().get(name, 1.0 if name == STANDARD else 0.0),
        }
        if isinstance(by, str) and by not in measures:
            raise InvalidInput(f"by {short(by)} is not understood; use {', '.join(measures)} or a function")
        if ring not in (None, "ternary", "Z", "Q"):
            raise InvalidInput(f"ring {ring!r} is not understood here; use ternary, Z or Q")
        wanted = parse_target(target) if isinstance(target, str) else target
        candidates = [
            (name, with_format(self[name], wanted.format) if isinstance(wanted, MatrixProduct) else self[name])
            for name, key in _keys().items()
            if _same_letters(_target_of(key), wanted)
        ]
        candidates.append((STANDARD, standard_scheme(wanted)))
        fitting = [
            (name, scheme)
            for name, scheme in candidates
            if (ring != "ternary" or scheme.ternary) and (ring != "Z" or str(scheme.ring) == "Z")
        ]
        lowest = min(scheme.rank for _, scheme in fitting)
        best = [(name, scheme) for name, scheme in fitting if scheme.rank == lowest]
        if callable(by):
            return min((scheme for _, scheme in best), key=by)
        return min(best, key=lambda pair: measures[by](*pair))[1]

    def name_of(self, scheme: Scheme) -> str | None:
        """The name of a stored scheme, without reading any of those that searches found; None if it is not stored."""
        for name in TEXTBOOK:
            if _stored(name) == scheme:
                return name
        return next((name for name, entry in entries().items() if entry.digest == scheme.digest), None)

    def schemes(self) -> list[Scheme]:
        """Every stored scheme."""
        return [_stored(name) for name in _keys()]

    def construct(self, target: str | MatrixProduct, *, ring: str = "Q", more: Iterable[Scheme] = ()) -> Construction:
        """The cheapest construction of a format up to 16x16x16 from the stored schemes and `more`; see
        `grokkit.scheme.construct`. Its ``build()`` gives the scheme.

        >>> catalog.construct("4x4x4").rank
        49
        """
        form = target if isinstance(target, str) else target.format
        matrices = [scheme for scheme in self.schemes() if isinstance(scheme.target, MatrixProduct)]
        return construct(form, [*matrices, *more], ring)


catalog: Final = Catalog()
