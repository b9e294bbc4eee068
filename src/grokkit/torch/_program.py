"""Proven schemes by key, each as the steps that the recursion over blocks takes.

Keys are strings, as an operator of torch takes no other name of a scheme: a name in the catalog, or the digest of a
`Scheme` that was proven in this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias, final

import torch

from grokkit.scheme import InvalidInput, MatrixProduct, Scheme, typical_growth, verify
from grokkit.scheme.catalog import catalog

WINOGRAD: Final = "winograd"
"""The scheme that runs where none is named: no other <2,2,2;7> has fewer additions."""

Terms: TypeAlias = tuple[tuple[int, float], ...]
"""Blocks, by their index row by row, and their coefficients."""


@final
@dataclass(frozen=True)
class Step:
    """One product of a scheme, (Σ left) · (Σ right), and the blocks of C that it enters."""

    left: Terms
    """The first coefficient is 1."""
    right: Terms
    """The first coefficient is 1."""
    home: int | None
    """A block of C that nothing was written to so far, which holds the product; None: a temporary does."""
    scale: float
    """The coefficient of the product in its home."""
    fresh: Terms
    """Further blocks of C that nothing was written to so far."""
    more: Terms
    """Blocks of C that the product is added to."""


@final
@dataclass(frozen=True)
class Program:
    """A proven scheme, ready to run over blocks of tensors."""

    form: tuple[int, int, int]
    steps: tuple[Step, ...]
    winograd: bool
    """Whether this is the catalog's Winograd scheme, which has a schedule of its own."""
    growth: float
    """How much one level typically multiplies the relative error by: see `typical_growth`."""


_PROGRAMS: Final[dict[str, Program]] = {}


def key_of(scheme: str | Scheme) -> str:
    """The key of a scheme, which is proven if it was not before.

    Raises `KeyError` for an unknown name, `Refuted` for a scheme that is not exact, and `InvalidInput` for one that
    is not for a matrix product over the ordinary numbers.
    """
    if isinstance(scheme, str):
        return _key_of_name(scheme)
    if not isinstance(scheme, Scheme):
        raise InvalidInput(f"scheme is {scheme!r}; 'auto', a name in the catalog or a Scheme is needed")
    if torch.compiler.is_compiling() and scheme.__dict__.get("digest") not in _PROGRAMS:
        raise InvalidInput("torch.compile cannot prove a scheme; pass it to grokkit.torch.matmul once before compiling")
    if scheme.digest not in _PROGRAMS:
        _PROGRAMS[scheme.digest] = _prepared(scheme)
    return scheme.digest


@torch.compiler.assume_constant_result
def _key_of_name(name: str) -> str:
    key = name.strip().lower()
    if key not in _PROGRAMS:
        _PROGRAMS[key] = _prepared(catalog[key])
    return key


def program(key: str) -> Program:
    """The steps of the scheme with that key.

    Raises `InvalidInput` for what is neither in the catalog nor was proven in this process.
    """
    if key not in _PROGRAMS:
        if key not in catalog:
            raise InvalidInput(f"no scheme {key[:80]!r} was proven in this process; pass the Scheme to matmul first")
        _PROGRAMS[key] = _prepared(catalog[key])
    return _PROGRAMS[key]


def growth_of(key: str) -> float:
    """`typical_growth` of the scheme with that key."""
    return program(key).growth


def _prepared(scheme: Scheme) -> Program:
    target = scheme.target
    if not isinstance(target, MatrixProduct):
        raise InvalidInput(f"{scheme.name} is not a scheme for a matrix product")
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name} holds only over {scheme.ring}, not for ordinary numbers")
    verify(scheme)
    return Program(target.format, _steps(scheme), scheme == catalog[WINOGRAD], typical_growth(scheme))


def _steps(scheme: Scheme) -> tuple[Step, ...]:
    """The products that are used, in the order of the slots."""
    written: set[int] = set()
    steps = []
    u, v, w = scheme.fractions()
    for slot in range(scheme.rank):
        left, right = _monic(u[slot]), _monic(v[slot])
        uses = {k: row[slot] * left[1] * right[1] for k, row in enumerate(w) if row[slot]}
        if left[0] and right[0] and uses:
            steps.append(_step(left[0], right[0], uses, written))
            written.update(uses)
    return tuple(steps)


def _step(left: Terms, right: Terms, uses: dict[int, Fraction], written: set[int]) -> Step:
    unwritten = [k for k in uses if k not in written]
    home = min(unwritten, key=lambda k: uses[k] != 1, default=None)
    fresh = tuple((k, _float(uses[k])) for k in unwritten if k != home)
    more = tuple((k, _float(coefficient)) for k, coefficient in uses.items() if k in written)
    return Step(left, right, home, 1.0 if home is None else _float(uses[home]), fresh, more)


def _monic(row: Sequence[Fraction]) -> tuple[Terms, Fraction]:
    """A linear combination as a number times one whose first coefficient is 1, such a term first where there is one."""
    terms = sorted(((i, value) for i, value in enumerate(row) if value), key=lambda term: term[1] != 1)
    if not terms:
        return (), Fraction(0)
    lead = terms[0][1]
    return tuple((i, _float(value / lead)) for i, value in terms), lead


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        raise InvalidInput("a coefficient is beyond the range of float64") from None
