"""Schemes with coefficients of two bits, as walks in the flip graph use them.

A packed scheme is an array of shape (3, rank, 2), uint64: for each side (U, V and W transposed) and each product, bit
e of the first word is set where coefficient e is 1, of the second where it is -1. Over GF(2) the second is 0.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Shaped

from grokkit.scheme import InvalidInput, MatrixProduct, Provenance, Ring, Scheme, Target

MAX_ENTRIES: Final = 64
"""Longest factor: formats to 8x8x8."""
MAX_RANK: Final = 1024
RINGS: Final = {"GF(2)": 0, "GF(3)": 1, "ternary": 2}
"""Rings of walks, and their numbers in the native core. ``ternary``: over Z, with coefficients -1, 0, 1."""

Packed = Shaped[np.ndarray, "3 _ 2"]


def check_packable(target: Target, rank: int = 0) -> None:
    """Raise `InvalidInput` if a target, or a rank, is too large for walks."""
    if max(target.shape) > MAX_ENTRIES:
        raise InvalidInput(
            f"{target.name}: a factor has {max(target.shape)} entries; flip graphs take {MAX_ENTRIES}, as of 8x8x8"
        )
    if rank > MAX_RANK:
        raise InvalidInput(f"{target.name}: rank {rank} is more than {MAX_RANK}, the most that flip graphs take")


def modulus(ring: str) -> int:
    """What coefficients are taken modulo in a proof: 2, 3, or 0 for the integers."""
    return {"GF(2)": 2, "GF(3)": 3, "ternary": 0}[ring]


def pack(scheme: Scheme, ring: str) -> Packed | None:
    """A scheme for walks over a ring, its coefficients reduced modulo 2 or 3; None where they do not fit.

    A scheme over Z or Q fits GF(p) where p divides no denominator, and ``ternary`` where its coefficients are -1, 0
    and 1.
    """
    p, own = modulus(ring), scheme.ring.characteristic
    if scheme.ring.complex or (own and own != p) or (p and any(d % p == 0 for d in scheme.denominators)):
        return None
    if not p and not scheme.ternary:
        return None
    check_packable(scheme.target, scheme.rank)
    sides = []
    for array, denominator in zip((scheme.U, scheme.V, scheme.W.T), scheme.denominators, strict=True):
        values = (array * pow(denominator, -1, p) % p).astype(np.int64) if p else array
        sides.append(_pack_rows(np.where(values == 2, -1, values)))
    return np.stack(sides)


def _pack_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of -1, 0, 1 as two words each."""
    bits = np.uint64(1) << np.arange(rows.shape[1], dtype=np.uint64)
    words = [np.where(rows == sign, bits, np.uint64(0)).sum(axis=1, dtype=np.uint64) for sign in (1, -1)]
    return np.stack(words, axis=1)


def unpack(packed: Packed, target: Target) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, V and W as integers -1, 0, 1."""
    sides = []
    for words, length in zip(packed, target.shape, strict=True):
        shift = np.arange(length, dtype=np.uint64)
        bits = (words[:, :, None] >> shift & np.uint64(1)).astype(np.int64)
        sides.append(bits[:, 0] - bits[:, 1])
    return sides[0], sides[1], sides[2].T


def to_scheme(packed: Packed, target: Target, ring: str, provenance: Provenance | None = None) -> Scheme:
    """The scheme that is packed, over Z for ``ternary``."""
    u, v, w = unpack(packed, target)
    return Scheme(target, u, v, w, ring=Ring.parse("Z" if ring == "ternary" else ring), provenance=provenance)


def holds(packed: Packed, target: Target, ring: str) -> bool:
    """Whether a packed scheme computes its target over the ring: all equations, in exact integers."""
    u, v, w = unpack(packed, target)
    products = (u[:, :, None] * v[:, None, :]).reshape(len(u), -1)
    found = (w.astype(np.float64) @ products.astype(np.float64)).T  # exact: at most 1024 terms of -1, 0, 1
    difference = found.reshape(target.shape) - target.tensor()
    p = modulus(ring)
    return not (np.mod(difference, p) if p else difference).any()


def standard_packed(target: Target, ring: str = "ternary") -> Packed:
    """The standard algorithm: a product for each nonzero entry of the target, which must all be 1 or -1."""
    index, values = target.entries
    if not np.isin(values, (-1, 1)).all():
        raise InvalidInput(f"{target.name}: its tensor has entries beyond -1, 0 and 1; walks need another start")
    check_packable(target, len(index))
    bits = np.uint64(1) << index.astype(np.uint64)
    packed = np.zeros((3, len(index), 2), dtype=np.uint64)
    packed[:, :, 0] = bits.T
    negative = (values < 0) & (ring != "GF(2)")
    packed[2, negative] = packed[2, negative][:, ::-1]
    return packed


def projected(
    packed: Packed, source: MatrixProduct, target: MatrixProduct, ring: str, generator: np.random.Generator
) -> Packed:
    """A scheme of one format as a start for another: rows and columns left out, and standard products for what is
    missing.

    Which index of the source becomes which of the target is drawn at random, letter by letter, so that smaller
    formats are restrictions, larger ones extensions, and formats that differ both ways are both. Products that become
    zero stay; the walk drops them.
    """
    chosen, images = [], []
    for size, wanted in zip(source.format, target.format, strict=True):
        kept = min(size, wanted)
        chosen.append(generator.permutation(size)[:kept])
        images.append(generator.permutation(wanted)[:kept])
    u, v, w = unpack(packed, source)
    sides = []
    for side, (rows, (first, second)) in enumerate(zip((u, v, w.T), ((0, 1), (1, 2), (0, 2)), strict=True)):
        shape, goal = source.sides()[side], target.sides()[side]
        moved = np.zeros((len(rows), *goal), dtype=np.int64)
        part = rows.reshape(-1, *shape)[:, chosen[first]][:, :, chosen[second]]
        moved[:, images[first][:, None], images[second][None, :]] = part
        sides.append(_pack_rows(moved.reshape(len(rows), -1)))
    covered = [np.isin(np.arange(size), image) for size, image in zip(target.format, images, strict=True)]
    missing = ~(covered[0][:, None, None] & covered[1][None, :, None] & covered[2][None, None, :])
    rest = standard_packed(target, ring)[:, missing.reshape(-1)]
    return np.concatenate([np.stack(sides), rest], axis=1)
