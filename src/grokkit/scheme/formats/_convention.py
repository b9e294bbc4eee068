"""Finding the convention under which the factors of a file are a scheme.

Files differ in how they flatten the factors of a slot: row by row or column by column, each of the three on its
own; most write C transposed, because the trace of A B C is symmetric. Which convention a file uses is
decided by proof: the first one, in a fixed order, under which the factors verify. Where all fail over the
rationals, the greatest common divisor of all residuals tells modulo which primes one of them holds.

A change of order among the three factors need not be tried where the widths fit: the cyclic rotations and
the transpose of a scheme are schemes, so some flattening of the order given always does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from grokkit.scheme._errors import InvalidInput, UnreadableFile
from grokkit.scheme._gaussian import parts
from grokkit.scheme._program import Program
from grokkit.scheme._ring import MAX_CHARACTERISTIC, Qi, Ring, is_prime
from grokkit.scheme._scheme import Provenance, Scheme, is_complex, magnitude
from grokkit.scheme._target import MatrixProduct
from grokkit.scheme._verify import Certificate, Refuted, check_size, verify
from grokkit.scheme.formats._raw import Raw

FLIPS: Final = ((0, 0, 0), (0, 0, 1), (1, 1, 1), (1, 1, 0), (0, 1, 0), (1, 0, 0), (0, 1, 1), (1, 0, 1))
"""Which of A, B and C are flattened column by column, the most frequent first."""
TRIALS: Final = 6
SMALL_PRIMES: Final = tuple(prime for prime in range(2, 1000) if is_prime(prime))
MAX_COUNTED: Final = 2**21
"""Largest number of tensor equations for which each convention's failures are counted."""


@final
@dataclass(frozen=True)
class Reading:
    """A scheme read from a file, proven, with how it was found there.

    Attributes
    ----------
    scheme, certificate:
        The scheme in grokkit's convention, and its proof. The ring is GF(p) where it holds only modulo p.
    kind:
        The format of the file, such as ``"AlphaTensor archive"``.
    convention:
        How the file flattens its factors, such as ``"C transposed"``.
    member:
        The name of the scheme inside a file of several; empty otherwise.
    program:
        The straight-line program that the file holds, if it holds one.
    also_modulo:
        Further primes modulo which the scheme holds, where it holds only modulo primes.
    """

    scheme: Scheme
    certificate: Certificate
    kind: str
    convention: str
    member: str = ""
    program: Program | None = None
    also_modulo: tuple[int, ...] = ()


@final
@dataclass(frozen=True)
class _Candidate:
    """The factors under one convention."""

    target: MatrixProduct
    u: np.ndarray
    v: np.ndarray
    w: np.ndarray
    denominators: tuple[int, int, int]
    name: str

    @property
    def complex(self) -> bool:
        return any(map(is_complex, (self.u, self.v, self.w)))

    def scheme(self, ring: Ring | None, provenance: Provenance) -> Scheme:
        u, v, w, denominators = self.u, self.v, self.w, self.denominators
        if self.complex:
            ring = Qi
        if ring is not None and ring.characteristic and denominators != (1, 1, 1):
            p = ring.characteristic
            inverses = [pow(d, -1, p) for d in denominators]
            u, v, w = (x.astype(object) % p * y % p for x, y in zip((u, v, w), inverses, strict=True))
            denominators = (1, 1, 1)
        return Scheme(self.target, u, v, w.T, denominators, ring, provenance)


def settle(raw: Raw) -> Reading:
    """The proven scheme in a file's factors, under the one convention that makes it one.

    Raises `Refuted` if none does, with how close each came, and `UnreadableFile` where the factors fit no
    matrix format or differ in number from what the file declares.
    """
    rank = _rank(raw)
    if raw.rank is not None and raw.rank != rank:
        raise UnreadableFile(f"it declares {raw.rank} products and holds {rank}")
    candidates = list(_candidates(raw))
    if not candidates:
        raise UnreadableFile(_no_format(raw))
    check_size(candidates[0].target)
    _check_rank(candidates[0].target, rank)
    residuals = [_common_residual(candidate) for candidate in candidates]
    for candidate, residual in zip(candidates, residuals, strict=True):
        if residual == 0:
            try:
                return _proven(raw, candidate, None, ())
            except Refuted:  # the numbers that were tried happened to agree
                continue
    for candidate, residual in zip(candidates, residuals, strict=True):
        if candidate.complex:
            continue
        primes = [p for p in _primes(residual) if math.prod(candidate.denominators) % p]
        for at, prime in enumerate(primes):
            try:
                return _proven(raw, candidate, Ring(prime, False), tuple(primes[at + 1 :]))
            except Refuted:
                continue
    raise _refuted(candidates)


def _rank(raw: Raw) -> int:
    sizes = [len(matrix) for matrix, _ in (raw.u, raw.v, raw.w)]
    if len(set(sizes)) > 1:
        raise UnreadableFile(f"its factors have {sizes[0]}, {sizes[1]} and {sizes[2]} slots; they must agree")
    if not sizes[0]:
        raise UnreadableFile("it holds no products")
    return sizes[0]


def _check_rank(target: MatrixProduct, rank: int) -> None:
    """Refuse at once what has too few products, where counting its wrong equations would take long.

    The tensor is concise: its flattenings have full rank, so no scheme has fewer products than the widest has entries.
    """
    if rank < max(target.shape) and math.prod(target.shape) > MAX_COUNTED:
        raise UnreadableFile(f"{rank} products cannot compute {target.name}; at least {max(target.shape)} are needed")


def _candidates(raw: Raw) -> Iterator[_Candidate]:
    """The factors under every convention that fits widths, written shapes and declared format; the usual first."""
    factors = (raw.u, raw.v, raw.w)
    for order in itertools.permutations(range(3)):
        chosen = [factors[side] for side in order]
        target = _target([matrix.shape[1] for matrix, _ in chosen], raw.format)
        if target is None:
            continue
        shapes = [raw.shapes[side] for side in order]
        names = "".join("ABC"[side] for side in order)
        fits = False
        for flips in FLIPS:
            if not all(map(_fits, shapes, target.sides(), flips)):
                continue
            fits = True
            u, v, w = (
                _flipped(matrix, side) if flip else matrix
                for (matrix, _), side, flip in zip(chosen, target.sides(), flips, strict=True)
            )
            denominators = (chosen[0][1], chosen[1][1], chosen[2][1])
            yield _Candidate(target, u, v, w, denominators, _convention_name(flips, names))
        if fits:
            return


def _target(widths: list[int], declared: tuple[int, int, int] | None) -> MatrixProduct | None:
    try:
        target = MatrixProduct.from_shape(*widths) if declared is None else MatrixProduct(*declared)
    except InvalidInput as error:
        if declared is not None:
            raise UnreadableFile(str(error)) from None
        return None
    return target if list(target.shape) == widths else None


def _fits(shape: tuple[int, int] | None, side: tuple[int, int], flip: int) -> bool:
    """Whether a factor may be flattened so: as the file writes it; one row or column has but one flattening."""
    if shape is None:
        return not (flip and 1 in side)
    return shape == (side[::-1] if flip else side)


def _flipped(matrix: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    rows, columns = side
    return np.ascontiguousarray(matrix.reshape(-1, columns, rows).transpose(0, 2, 1).reshape(len(matrix), -1))


def _convention_name(flips: tuple[int, int, int], names: str) -> str:
    turned = [letter for letter, flip in zip("ABC", flips, strict=True) if flip]
    text = (
        f"{' and '.join([', '.join(turned[:-1]), turned[-1]] if turned[1:] else turned)} transposed" if turned else ""
    )
    order = "" if names == "ABC" else f"factors in the order {', '.join(names)}"
    return "; ".join(part for part in (text, order) if part) or "row by row"


def _no_format(raw: Raw) -> str:
    widths = [matrix.shape[1] for matrix, _ in (raw.u, raw.v, raw.w)]
    if raw.format is not None:
        return f"it declares the format <{','.join(map(str, raw.format))}>, but its factors have {widths} columns"
    return f"factors of {widths[0]}, {widths[1]} and {widths[2]} columns fit no matrix format; n·m, m·p, n·p are needed"


def _common_residual(candidate: _Candidate) -> int:
    """The common divisor of scale · (scheme(A, B) − A B) over random integer matrices: 0 if it computes the product.

    It is a multiple of the common divisor of all wrong tensor entries, and with so many trials nearly always equal.
    """
    n, m, p = candidate.target.format
    trials = TRIALS if n * m * p < 2**14 else 2
    generator = np.random.default_rng(20210)
    a = generator.integers(1, 1000, (n, m, trials))
    b = generator.integers(1, 1000, (m, p, trials))
    scale = math.prod(candidate.denominators)
    sizes = [magnitude(matrix) for matrix in (candidate.u, candidate.v, candidate.w)]
    bound = math.prod(sizes) * n * m * m * p * 10**6 * len(candidate.u) + scale * m * 10**6
    kind = np.int64 if bound < 2**63 and not candidate.complex else object
    u, v, w = (matrix.astype(kind) for matrix in (candidate.u, candidate.v, candidate.w))
    a, b = a.astype(kind), b.astype(kind)
    product = sum(a[:, k, None, :] * b[None, k, :, :] for k in range(m))
    assert isinstance(product, np.ndarray)
    found = w.T @ ((u @ a.reshape(n * m, trials)) * (v @ b.reshape(m * p, trials)))
    residual = found - product.reshape(n * p, trials) * scale
    return math.gcd(*(int(part) for value in residual.flat for part in parts(value)))


def _primes(number: int) -> list[int]:
    """The prime divisors of a number that can be rings, ascending."""
    found = []
    for prime in SMALL_PRIMES:
        if number and number % prime == 0:
            found.append(prime)
            while number % prime == 0:
                number //= prime
    if 1 < number < MAX_CHARACTERISTIC and is_prime(number):
        found.append(number)
    return found


def _proven(raw: Raw, candidate: _Candidate, ring: Ring | None, also: tuple[int, ...]) -> Reading:
    provenance = Provenance(f"read from {raw.kind}", configuration={"convention": candidate.name})
    scheme = candidate.scheme(ring, provenance)
    return Reading(scheme, verify(scheme), raw.kind, candidate.name, raw.member, raw.program, also)


def _refuted(candidates: list[_Candidate]) -> Refuted:
    """The refutation of the convention that comes closest, with how far each is off."""
    small = math.prod(candidates[0].target.shape) <= MAX_COUNTED
    refutations: list[Refuted] = []
    tried: list[tuple[str, int]] = []
    for candidate in candidates if small else candidates[:1]:
        try:
            verify(candidate.scheme(None, Provenance()))
        except Refuted as error:
            refutations.append(error)
            tried.append((candidate.name, error.wrong))
    closest = min(refutations, key=lambda error: error.wrong)
    closest.conventions = tuple(tried)
    return closest
