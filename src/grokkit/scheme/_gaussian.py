"""Numbers a + b i with exact parts: Gaussian integers and rationals, as entries of arrays of objects."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias, final

Part: TypeAlias = int | Fraction


@final
class Gaussian:
    """The number re + im i with integers or `Fraction`s as parts. Immutable; it has no order and is never a float.

    Laws: those of a commutative ring; equal to an integer or `Fraction` exactly if im is 0 and re is equal to it.

    >>> Gaussian(1, 2) * Gaussian(1, -2), -Gaussian(0, 1)
    (5, -i)
    """

    __slots__ = ("im", "re")
    re: Part
    im: Part

    def __init__(self, re: Part, im: Part):
        object.__setattr__(self, "re", re)
        object.__setattr__(self, "im", im)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Gaussian number is immutable; {name} cannot be set")

    def __reduce__(self) -> tuple[Any, ...]:
        return Gaussian, (self.re, self.im)

    def __add__(self, other: Any) -> Any:
        re, im = parts(other)
        return simple(self.re + re, self.im + im)

    __radd__ = __add__

    def __neg__(self) -> Any:
        return simple(-self.re, -self.im)

    def __sub__(self, other: Any) -> Any:
        re, im = parts(other)
        return simple(self.re - re, self.im - im)

    def __rsub__(self, other: Any) -> Any:
        re, im = parts(other)
        return simple(re - self.re, im - self.im)

    def __mul__(self, other: Any) -> Any:
        re, im = parts(other)
        return simple(self.re * re - self.im * im, self.re * im + self.im * re)

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> Any:
        """Both parts divided by an integer, downwards."""
        return simple(self.re // other, self.im // other)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Gaussian | int | Fraction):
            return NotImplemented
        return parts(other) == (self.re, self.im)

    def __hash__(self) -> int:
        return hash((self.re, self.im)) if self.im else hash(self.re)

    def __bool__(self) -> bool:
        return bool(self.re) or bool(self.im)

    def __repr__(self) -> str:
        size = "" if abs(self.im) == 1 else str(abs(self.im))
        imaginary = f"{size}{' ' * ('/' in size)}i"
        if not self.re:
            return f"{'-' * (self.im < 0)}{imaginary}"
        return f"{self.re} {'-' if self.im < 0 else '+'} {imaginary}"


def parts(value: Any) -> tuple[Any, Any]:
    """Real and imaginary part of an integer, a `Fraction` or a Gaussian number."""
    return (value.re, value.im) if isinstance(value, Gaussian) else (value, 0)


def simple(re: Part, im: Part) -> Any:
    """re + im i, as a plain number where im is 0."""
    return Gaussian(re, im) if im else re


def over(value: Any, denominator: int) -> Any:
    """An integer or Gaussian integer divided by an integer, exactly."""
    re, im = parts(value)
    return simple(Fraction(int(re), denominator), Fraction(int(im), denominator) if im else 0)
