"""Coefficient rings: Z, Q, GF(p) and the Gaussian rationals Q(i)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, final

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short

MAX_CHARACTERISTIC: Final = 2**31


def is_prime(number: int) -> bool:
    """Deterministic Miller-Rabin for numbers below 3.3e24 (Sorenson and Webster 2015)."""
    if number < 2:
        return False
    small = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)
    for prime in small:
        if number % prime == 0:
            return number == prime
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in small:
        x = pow(base, odd, number)
        if x in (1, number - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % number
            if x == number - 1:
                break
        else:
            return False
    return True


@final
@dataclass(frozen=True)
class Ring:
    """Z (characteristic 0, no fractions), Q (characteristic 0, fractions), GF(p), or Q(i) (complex).

    >>> Ring.parse("GF(2)").characteristic
    2
    >>> str(Ring.parse("Q"))
    'Q'
    """

    characteristic: int
    fractions: bool
    complex: bool = False

    def __post_init__(self) -> None:
        p = self.characteristic
        if type(p) is not int or type(self.fractions) is not bool:
            raise InvalidInput(f"ring: characteristic {short(p)} must be an integer, fractions a truth value")
        if p and not (p < MAX_CHARACTERISTIC and is_prime(p)):
            raise InvalidInput(f"ring GF({short(p)}): {short(p)} is not a prime below 2^31")
        if p and self.fractions:
            raise InvalidInput(f"ring GF({p}) has no fractions; use fractions=False")
        if self.complex and not self.fractions:
            raise InvalidInput("complex coefficients come with fractions, as Q(i)")

    @classmethod
    def parse(cls, text: str) -> Ring:
        """Read ``Z``, ``Q``, ``Q(i)`` or ``GF(p)`` with p prime and below 2^31."""
        if text == "Z":
            return cls(0, False)
        if text == "Q":
            return cls(0, True)
        if text == "Q(i)":
            return cls(0, True, True)
        match = re.fullmatch(r"GF\(([1-9][0-9]{0,9})\)", text)
        if match is None:
            raise InvalidInput(f"ring {short(text)} is not understood; write Z, Q, Q(i) or GF(p)")
        return cls(int(match.group(1)), False)

    def __str__(self) -> str:
        if self.characteristic:
            return f"GF({self.characteristic})"
        if self.complex:
            return "Q(i)"
        return "Q" if self.fractions else "Z"

    @property
    def rational(self) -> bool:
        """Whether coefficients are rational numbers: Z or Q."""
        return not self.characteristic and not self.complex


Z = Ring(0, False)
Q = Ring(0, True)
Qi = Ring(0, True, True)
