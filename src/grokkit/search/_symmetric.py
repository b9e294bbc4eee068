"""Cyclic symmetry of square formats: schemes that a rotation of their three factors maps to themselves.

With C transposed, the tensor of the product of two n x n matrices is the trace of A B C, which rotation leaves
unchanged. A symmetric scheme is a sum of cubes a ⊗ a ⊗ a, which stay as they are in a walk, and of orbits of three
rotations, which walks change together. The rank is congruent to the number of cubes modulo 3. Source: Moosbauer and
Poole (2025), "Flip graphs with symmetry and new matrix multiplication schemes".
"""

from __future__ import annotations

import numpy as np

from grokkit.scheme import InvalidInput, MatrixProduct
from grokkit.search._packed import MAX_ENTRIES, Packed
from grokkit.search._reference import Value, add, negative


def transposed_third(packed: Packed, n: int) -> Packed:
    """The same scheme with C transposed: an n x n matrix of bits in every word of the third side."""
    result = packed.copy()
    words = packed[2]
    out = np.zeros_like(words)
    for row in range(n):
        for column in range(n):
            bit = words >> np.uint64(row * n + column) & np.uint64(1)
            out |= bit << np.uint64(column * n + row)
    result[2] = out
    return result


def symmetric_start(n: int, ring: str, cubes: int, generator: np.random.Generator) -> tuple[Packed, Packed]:
    """The standard algorithm of n x n matrices as cubes and orbits, with a given number of cubes, C transposed.

    Two cubes become one, and two orbits, by (a + b)³ = a³ + b³ + the rotations of a ⊗ a ⊗ b and of a ⊗ b ⊗ b; which,
    is drawn at random. Over rings with signs the orbits are subtracted. Returns the cubes, and the orbits as walks
    take them.
    """
    if n * n > MAX_ENTRIES:
        raise InvalidInput(f"<{n},{n},{n}>: flip graphs take formats to 8x8x8")
    if not 1 <= cubes <= n:
        raise InvalidInput(f"{cubes} cubes: 1 to {n} are possible for <{n},{n},{n}>")

    def unit(i: int, j: int) -> Value:
        return 1 << (i * n + j), 0

    whole = [unit(i, i) for i in range(n)]
    orbits = [
        (unit(i, j), unit(j, k), unit(k, i))
        for i in range(n)
        for j in range(n)
        for k in range(n)
        if (i, j, k) == min((i, j, k), (j, k, i), (k, i, j)) and not i == j == k
    ]
    while len(whole) > cubes:
        first, second = sorted(int(at) for at in generator.choice(len(whole), 2, replace=False))
        b, a = whole.pop(second), whole.pop(first)
        total = add(ring, a, b)
        assert total is not None  # different entries of the diagonal
        whole.append(total)
        orbits += [(negative(a), a, b), (negative(a), b, b)] if ring != "GF(2)" else [(a, a, b), (a, b, b)]
    rotated = [
        (orbit[-turn % 3], orbit[(1 - turn) % 3], orbit[(2 - turn) % 3]) for orbit in orbits for turn in range(3)
    ]
    return _array([(a, a, a) for a in whole]), _array(rotated)


def joined(cubes: Packed, orbits: Packed, n: int) -> Packed:
    """Cubes and orbits as one scheme, C no longer transposed."""
    return transposed_third(np.concatenate([cubes, orbits], axis=1), n)


def is_symmetric(orbits: Packed) -> bool:
    """Whether products come in threes that are rotations of one another."""
    if orbits.shape[1] % 3:
        return False
    sides = orbits.reshape(3, -1, 3, 2)
    return all(np.array_equal(sides[(f + turn) % 3, :, turn], sides[f, :, 0]) for f in range(3) for turn in (1, 2))


def cube_counts(target: MatrixProduct, goal: int = 0) -> list[int]:
    """Numbers of cubes that a symmetric start may have: 1 to n, congruent to the goal modulo 3 if there is one.

    Empty for formats that are not square.
    """
    n, m, p = target.format
    if not n == m == p:
        return []
    return [cubes for cubes in range(1, n + 1) if not goal or cubes % 3 == goal % 3]


def _array(products: list[tuple[Value, Value, Value]]) -> Packed:
    return np.array(products, dtype=np.uint64).reshape(-1, 3, 2).transpose(1, 0, 2).copy()
