"""Linear systems over GF(2) and GF(3), eliminated once for many right-hand sides.

Rows are packed in bits: over GF(2) one word holds 64 coefficients, over GF(3) two words do, one for 1 and one for 2.
"""

from __future__ import annotations

from typing import final

import numpy as np
from jaxtyping import Bool, Int

from grokkit.scheme import InvalidInput


def _packed(rows: np.ndarray) -> np.ndarray:
    """Rows of bits as 64-bit words."""
    width = -(-rows.shape[1] // 64) * 64
    padded = np.zeros((len(rows), width), dtype=bool)
    padded[:, : rows.shape[1]] = rows
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)


@final
class Eliminated:
    """A matrix over GF(2) or GF(3) in echelon form, with what it takes to solve with it.

    Pivots are looked for column by column in the order given, so that earlier columns become pivots where they can and
    the later ones stay free.

    Parameters
    ----------
    matrix:
        Integers in 0..p-1, (equations × unknowns).
    order:
        All columns, the preferred pivots first.
    p:
        2 or 3.

    Attributes
    ----------
    rank:
        Number of pivots.
    pivots:
        Their columns, in the order found.
    """

    def __init__(self, matrix: Int[np.ndarray, "equations unknowns"], order: Int[np.ndarray, " unknowns"], p: int):
        if p not in (2, 3):
            raise InvalidInput(f"elimination modulo {p} is not available; 2 and 3 are")
        self.p = p
        self._unknowns = matrix.shape[1]
        self._matrix = matrix.astype(np.float32)
        planes = [_packed(matrix[:, order] == value) for value in range(1, p)]
        equations = len(matrix)
        free_rows = np.ones(equations, dtype=bool)
        self.pivots: list[int] = []
        self._rows: list[int] = []
        self._steps: list[tuple[int, np.ndarray, np.ndarray, bool]] = []
        for at, column in enumerate(order):
            word, bit = at >> 6, np.uint64(at & 63)
            marks = [(plane[:, word] >> bit & np.uint64(1)).astype(bool) for plane in planes]
            candidates = np.flatnonzero(np.logical_or.reduce(marks) & free_rows)
            if not len(candidates):
                continue
            row = int(candidates[0])
            free_rows[row] = False
            for mark in marks:
                mark &= free_rows
            twice = p == 3 and bool(planes[1][row, word] >> bit & np.uint64(1))
            self._clear(planes, row, word, marks, twice)
            first, second = (np.flatnonzero(mark) for mark in (marks if p == 3 else (marks[0], marks[0][:0])))
            self._steps.append((row, first, second, twice))
            self.pivots.append(int(column))
            self._rows.append(row)
            if not free_rows.any():
                break
        self._planes, self._order = planes, np.asarray(order)
        self._dependent = free_rows

    @property
    def rank(self) -> int:
        return len(self.pivots)

    def _clear(self, planes: list[np.ndarray], row: int, word: int, marks: list[np.ndarray], twice: bool) -> None:
        """Subtract the pivot row from those that it is marked in, with the factor that makes their entry zero."""
        if self.p == 2:
            planes[0][marks[0], word:] ^= planes[0][row, word:]
            return
        one, two = planes[0][row, word:], planes[1][row, word:]
        for mark, same in zip(marks, (not twice, twice), strict=True):
            # an entry equal to the pivot: subtract the row once; its negative: add it
            b1, b2 = (two, one) if same else (one, two)
            a1, a2 = planes[0][mark, word:], planes[1][mark, word:]
            a0, b0 = ~(a1 | a2), ~(b1 | b2)
            planes[0][mark, word:] = (a1 & b0) | (a0 & b1) | (a2 & b2)
            planes[1][mark, word:] = (a2 & b0) | (a0 & b2) | (a1 & b1)

    def solve(self, right: Int[np.ndarray, " equations"]) -> Int[np.ndarray, " unknowns"] | None:
        """Unknowns in 0..p-1, the free ones zero, with matrix · unknowns = right modulo p; None if there are none."""
        b = (np.asarray(right) % self.p).astype(np.int8)
        for row, first, second, twice in self._steps:
            value = int(b[row])
            if value:
                if self.p == 2:
                    b[first] ^= 1
                else:
                    factor = value * (2 if twice else 1)  # the pivot is its own inverse
                    b[first] = (b[first] - factor) % 3
                    b[second] = (b[second] - 2 * factor) % 3
        if b[self._dependent].any():
            return None
        return self._back(b)

    def _back(self, b: np.ndarray) -> np.ndarray:
        """Back substitution in the echelon form."""
        place = np.empty(self._unknowns, dtype=np.int64)
        place[self._order] = np.arange(self._unknowns)
        solution = np.zeros(self._unknowns, dtype=np.int64)
        chosen = np.zeros((self.p - 1, self._planes[0].shape[1]), dtype=np.uint64)
        for row, column in zip(reversed(self._rows), reversed(self.pivots), strict=True):
            word, bit = int(place[column]) >> 6, int(place[column]) & 63
            if self.p == 2:
                known = int(np.bitwise_count(self._planes[0][row] & chosen[0]).sum())
                value = (int(b[row]) - known) % 2
            else:
                (one, two), (x1, x2) = (plane[row] for plane in self._planes), chosen
                ones = int(np.bitwise_count((one & x1) | (two & x2)).sum())
                twos = int(np.bitwise_count((one & x2) | (two & x1)).sum())
                pivot = 2 if int(two[word]) >> bit & 1 else 1
                value = (int(b[row]) - ones - 2 * twos) * pivot % 3
            if value:
                solution[column] = value
                chosen[value - 1, word] |= np.uint64(1) << np.uint64(bit)
        return solution

    def free(self) -> Bool[np.ndarray, " unknowns"]:
        """Which unknowns are free."""
        mask = np.ones(self._unknowns, dtype=bool)
        mask[self.pivots] = False
        return mask
