"""Known schemes: the standard algorithm of any format, Strassen's and Winograd's.

Crystallization never imports this module (an import contract and a test hold it to that).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, final

from grokkit.scheme._construct import Construction, construct
from grokkit.scheme._counts import frobenius_growth, growth_factor
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short
from grokkit.scheme._json import load_own
from grokkit.scheme._kronecker import format_of
from grokkit.scheme._reduction import reduce_additions
from grokkit.scheme._scheme import Scheme
from grokkit.scheme._standard import standard
from grokkit.scheme._symmetry import with_format
from grokkit.scheme._target import MatrixProduct
from grokkit.scheme._verify import verify

__all__ = ["Catalog", "catalog", "standard"]

_STORED: Final = {"strassen": "2x2x2:7", "winograd": "2x2x2:7"}
"""Names of the stored schemes and their keys; the first of a key is the one that the key gives."""


@cache
def _stored(name: str) -> Scheme:
    # Stored files carry no certificate: each is proven on first use, so that a changed file is not served.
    with resources.as_file(resources.files("grokkit.scheme") / "data" / f"{name}.json") as path:
        scheme = load_own(Path(path))
    verify(scheme)
    return scheme


@final
class Catalog:
    """Schemes by name (``strassen``) or by format and rank (``2x2x2:7``).

    >>> catalog["2x2x2:7"] == catalog["strassen"]
    True
    >>> catalog.best("3x3x3").rank
    27
    """

    def __getitem__(self, key: object) -> Scheme:
        """The scheme of that name or key. Raises `KeyError` with what is there instead."""
        name = key.strip().lower() if isinstance(key, str) else ""
        if name in _STORED:
            return _stored(name)
        match = re.fullmatch(r"([0-9]{1,6}x[0-9]{1,6}x[0-9]{1,6}):([0-9]{1,18})", name)
        if match:
            for stored, stored_key in _STORED.items():
                if stored_key == name:
                    return _stored(stored)
            target = MatrixProduct.parse(match.group(1))
            n, m, p = target.format
            if int(match.group(2)) == n * m * p:
                return standard(n, m, p)
        raise KeyError(
            f"no scheme {short(key)} in the catalog; there are {', '.join(self)} and the standard "
            "algorithm of every format, such as 3x4x5:60"
        )

    def __contains__(self, key: object) -> bool:
        try:
            self[key]
        except (KeyError, InvalidInput):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(_STORED)

    def __len__(self) -> int:
        return len(_STORED)

    def best(
        self,
        target: str | MatrixProduct,
        *,
        ring: str | None = None,
        by: str | Callable[[Scheme], float] = "rank",
    ) -> Scheme:
        """The best scheme of lowest rank for a format, such as ``"2x2x2"``; the first listed wins ties.

        Parameters
        ----------
        ring:
            Narrows the choice: ``"ternary"`` (coefficients -1, 0, 1), ``"Z"``, or ``"Q"`` (which admits all).
        by:
            What decides among the schemes of lowest rank: ``"rank"`` (nothing more), ``"additions"`` (with common
            subexpressions shared), ``"growth"`` (the growth factor in the max norm), ``"frobenius"`` (in that
            norm), or a function of a scheme that is to be small, such as a predicted time.

        Stored schemes of the same letters in another order are candidates too, and so is the standard algorithm, so
        there is always an answer.

        >>> catalog.best("2x2x2", by="additions") == catalog["winograd"]
        True
        """
        measures: dict[str, Callable[[Scheme], float]] = {
            "rank": lambda scheme: 0.0,
            "additions": lambda scheme: float(reduce_additions(scheme).additions),
            "growth": lambda scheme: float(growth_factor(scheme)),
            "frobenius": frobenius_growth,
        }
        if isinstance(by, str) and by not in measures:
            raise InvalidInput(f"by {short(by)} is not understood; use {', '.join(measures)} or a function")
        measure = measures[by] if isinstance(by, str) else by
        if ring not in (None, "ternary", "Z", "Q"):
            raise InvalidInput(f"ring {ring!r} is not understood here; use ternary, Z or Q")
        wanted = MatrixProduct.parse(target) if isinstance(target, str) else target
        letters = sorted(wanted.format)
        stored = [scheme for scheme in self.schemes() if sorted(format_of(scheme)) == letters]
        candidates = [*(with_format(scheme, wanted.format) for scheme in stored), standard(*wanted.format)]
        fitting = [
            scheme
            for scheme in candidates
            if (ring != "ternary" or scheme.ternary) and (ring != "Z" or str(scheme.ring) == "Z")
        ]
        lowest = min(scheme.rank for scheme in fitting)
        return min((scheme for scheme in fitting if scheme.rank == lowest), key=measure)

    def schemes(self) -> list[Scheme]:
        """Every stored scheme."""
        return [_stored(name) for name in _STORED]

    def construct(self, target: str | MatrixProduct, *, ring: str = "Q", more: Iterable[Scheme] = ()) -> Construction:
        """The cheapest construction of a format up to 16x16x16 from the stored schemes and `more`; see
        `grokkit.scheme.construct`. Its ``build()`` gives the scheme.

        >>> catalog.construct("4x4x4").rank
        49
        """
        form = target if isinstance(target, str) else target.format
        return construct(form, [*self.schemes(), *more], ring)


catalog: Final = Catalog()
