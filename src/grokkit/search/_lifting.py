"""Hensel lifting: a scheme over GF(2) or GF(3) to one over Z or Q that reduces to it.

The equations of a scheme, f(x) = 0, are solved modulo p, p², p³, ...: a correction x + p^k d keeps them modulo
p^(k+1) where J d = -f(x) / p^k modulo p. The Jacobian J modulo p stays the same, so it is eliminated once. Nonzero
coefficients are preferred as pivots, so that the free ones, which stay as they are, are zeros where possible. Source:
Kauers and Moosbauer (2022), "The FBHHRBNRSSSHK algorithm for multiplication in Z_2^{5x5} is still not the end of the
story"; here with all coefficients, not the signs alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, final

import numpy as np

from grokkit.scheme import InvalidInput, Provenance, Refuted, Scheme, verify
from grokkit.search._elimination import Eliminated
from grokkit.search._packed import pack, unpack

DIGITS: Final = {2: 40, 3: 12}
"""Digits of a lifting before it is reconstructed as rationals: residues stay exact in 64 bits."""
MAX_JACOBIAN: Final = 2**28
"""Largest Jacobian, in entries."""
RANKED: Final = ("ternary", "Z", "Q")
"""Outcomes that are schemes, the best first."""


@final
@dataclass(frozen=True)
class Lifting:
    """What lifting came to.

    Attributes
    ----------
    outcome:
        ``ternary``, ``Z`` or ``Q``: proven there. ``obstructed``: no scheme modulo p² reduces to this one, so none
        over Z or over Q with denominators prime to p does. ``stuck``: the choices made so far cannot be continued.
        ``algebraic``: the digits of every try went on, but never gave a rational scheme with small denominators (so
        it may have irrational coefficients only, or large ones).
    scheme:
        The proven scheme, or None.
    tries:
        Orders of pivots that were tried.
    digits:
        The most digits that were reached.
    """

    outcome: str
    scheme: Scheme | None
    tries: int
    digits: int


def lift(scheme: Scheme, seed: int = 0, tries: int = 10, prefer: str = "ternary") -> Lifting:
    """Lift a scheme over GF(2) or GF(3) to characteristic 0, by at most `tries` random orders of the pivots.

    `prefer` ends the tries as soon as the outcome is that good: ``ternary``, ``Z`` or ``Q``. Whatever is returned as a
    scheme is proven by `grokkit.verify`. Raises `InvalidInput` for other rings, and for a scheme that does not hold.

    >>> from grokkit.scheme.catalog import catalog
    >>> from grokkit.scheme import Ring, Scheme
    >>> s = catalog["winograd"]
    >>> lift(Scheme(s.target, s.U, s.V, s.W, ring=Ring.parse("GF(2)"))).outcome
    'ternary'
    """
    p = scheme.ring.characteristic
    if p not in DIGITS:
        raise InvalidInput(f"{scheme.name}: lifting starts over GF(2) or GF(3), not over {scheme.ring}")
    if tries < 1:
        raise InvalidInput(f"tries is {tries}; at least 1 is needed")
    if prefer not in RANKED:
        raise InvalidInput(f"prefer {prefer!r} is not understood; use {', '.join(RANKED)}")
    try:
        verify(scheme)
    except Refuted as error:
        raise InvalidInput(f"{scheme.name}: not lifted, it does not hold over {scheme.ring}: {error}") from None
    if math.prod(scheme.target.shape) * scheme.rank * sum(scheme.target.shape) > MAX_JACOBIAN:
        raise InvalidInput(f"{scheme.name}: its Jacobian is larger than {MAX_JACOBIAN} entries; not lifted")
    return _Lifter(scheme, p).run(np.random.default_rng([seed, scheme.rank]), tries, prefer)


@final
class _Lifter:
    def __init__(self, scheme: Scheme, p: int):
        packed = pack(scheme, str(scheme.ring))
        assert packed is not None
        self.scheme, self.p, self.digits = scheme, p, DIGITS[p]
        u, v, w = unpack(packed, scheme.target)
        self.start = np.concatenate([u.reshape(-1), v.reshape(-1), w.T.reshape(-1)])
        self.tensor = scheme.target.tensor()
        a, b, _ = scheme.target.shape
        self.cuts = np.cumsum([scheme.rank * a, scheme.rank * b])
        self.jacobian = self._jacobian(u, v, w.T)

    def _sides(self, x: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(self.scheme.rank, -1) for part in np.split(x, self.cuts)]

    def _jacobian(self, u: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
        a, b, c = self.scheme.target.shape
        rank = self.scheme.rank
        jacobian = np.zeros((a, b, c, rank * (a + b + c)), dtype=np.int8)
        for r in range(rank):
            for x in range(a):
                jacobian[x, :, :, r * a + x] = np.outer(v[r], w[r])
            for y in range(b):
                jacobian[:, y, :, rank * a + r * b + y] = np.outer(u[r], w[r])
            for z in range(c):
                jacobian[:, :, z, rank * (a + b) + r * c + z] = np.outer(u[r], v[r])
        return jacobian.reshape(a * b * c, -1) % self.p

    def _residual(self, x: np.ndarray) -> np.ndarray:
        """f(x) modulo 2^64, in wrapping 64-bit integers; exact where it is smaller."""
        u, v, w = self._sides(x)
        products = (u[:, :, None] * v[:, None, :]).reshape(len(u), -1)
        return (products.T @ w).reshape(self.tensor.shape) - self.tensor

    def run(self, generator: np.random.Generator, tries: int, prefer: str) -> Lifting:
        best: Scheme | None = None
        outcome, reached, why = "", 0, "stuck"
        nonzero, zero = np.flatnonzero(self.start), np.flatnonzero(self.start == 0)
        for attempt in range(1, tries + 1):
            order = np.concatenate([generator.permutation(nonzero), generator.permutation(zero)])
            eliminated = Eliminated(self.jacobian, order, self.p)
            scheme, digits, failed = self._digits(eliminated)
            reached = max(reached, digits)
            if failed == "obstructed":
                return Lifting(failed, None, attempt, digits)
            if failed == "algebraic":
                why = failed
            if scheme is not None:
                kind = "ternary" if scheme.ternary else str(scheme.ring)
                if best is None or RANKED.index(kind) < RANKED.index(outcome):
                    best, outcome = scheme, kind
            if best is not None and RANKED.index(outcome) <= RANKED.index(prefer):
                return Lifting(outcome, best, attempt, reached)
        return Lifting(outcome or why, best, tries, reached)

    def _digits(self, eliminated: Eliminated) -> tuple[Scheme | None, int, str]:
        """One lifting: the proven scheme, or why there is none; and the number of digits that was reached."""
        x, p = self.start.copy(), self.p
        for known in range(1, self.digits + 1):
            power = p**known
            residual = self._residual(x).reshape(-1)
            if not residual.any() and (scheme := self._proven([int(value) for value in x])):
                return scheme, known, ""
            if known == self.digits:
                break
            # p = 2: bit `known` of the wrapped residual is right; p = 3: the residual itself is
            next_digit = residual >> known & 1 if p == 2 else -(residual // power)
            correction = eliminated.solve(next_digit)
            if correction is None:
                return None, known, "obstructed" if known == 1 else "stuck"
            # balanced digits: -1 for 1 where x is positive (p = 2), for 2 (p = 3)
            balanced = np.where(x > 0, -correction, correction) if p == 2 else np.where(correction == 2, -1, correction)
            x = x + balanced * power
        rationals = [reconstructed(int(value), p**self.digits) for value in x]
        if None not in rationals and (scheme := self._proven(rationals)):
            return scheme, self.digits, ""
        return None, self.digits, "algebraic"

    def _proven(self, values: list) -> Scheme | None:
        rank, (a, b, c) = self.scheme.rank, self.scheme.target.shape
        rows = iter(values)
        u, v, w = ([[next(rows) for _ in range(width)] for _ in range(rank)] for width in (a, b, c))
        sides = (u, v, [list(column) for column in zip(*w, strict=True)])
        provenance = Provenance(
            "Hensel lifting", configuration={"base": self.scheme.digest, "ring": str(self.scheme.ring)}
        )
        lifted = Scheme.from_rationals(self.scheme.target, *sides, provenance=provenance)
        try:
            verify(lifted)
        except Refuted:
            return None
        return lifted


def reconstructed(value: int, modulus: int) -> Fraction | None:
    """The fraction n / d congruent to a value with |n| and d at most sqrt(modulus / 2); None if there is none.

    Source: Wang (1981), "A p-adic algorithm for univariate partial fractions".

    >>> reconstructed(pow(3, -1, 2**20) * 5 % 2**20, 2**20)
    Fraction(5, 3)
    """
    bound = math.isqrt(modulus // 2)
    (r0, r1), (s0, s1) = (modulus, value % modulus), (0, 1)
    while r1 > bound:
        quotient = r0 // r1
        r0, r1, s0, s1 = r1, r0 - quotient * r1, s1, s0 - quotient * s1
    if s1 == 0 or abs(s1) > bound or math.gcd(s1, modulus) != 1:
        return None
    return Fraction(r1, s1)
