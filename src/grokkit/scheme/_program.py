"""Straight-line programs: the linear combinations of a scheme computed with shared intermediate sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias, final

from grokkit.scheme._errors import InvalidInput

Sum: TypeAlias = tuple[tuple[int, Fraction], ...]
"""A linear combination: (number of a value, its coefficient) for each term."""
MAX_PROGRAM_ENTRIES: Final = 2**24
"""Largest number of coefficients that a program expands to."""


@final
@dataclass(frozen=True)
class LinearProgram:
    """A linear map computed step by step.

    Values 0 … inputs − 1 are the inputs; step i defines value inputs + i as a sum of earlier values; each output
    is a sum of values. Laws: `rows` is the matrix of the map; a step uses only values before its own.

    Raises `InvalidInput` for a term that names a value not yet defined, or one twice, or has coefficient 0.
    """

    inputs: int
    steps: tuple[Sum, ...]
    outputs: tuple[Sum, ...]

    def __post_init__(self) -> None:
        for at, terms in enumerate(self.steps):
            self._check(terms, self.inputs + at, f"step {at + 1}")
            if not terms:
                raise InvalidInput(f"step {at + 1} of a program is an empty sum")
        for at, terms in enumerate(self.outputs):
            self._check(terms, self.inputs + len(self.steps), f"output {at + 1}")

    @staticmethod
    def _check(terms: Sum, known: int, where: str) -> None:
        if len({index for index, _ in terms}) < len(terms):
            raise InvalidInput(f"{where} of a program names a value twice")
        for index, value in terms:
            if not 0 <= index < known:
                raise InvalidInput(f"{where} of a program uses value {index}; {known} are defined there")
            if not value:
                raise InvalidInput(f"{where} of a program has a coefficient 0")

    @property
    def additions(self) -> int:
        """Additions and subtractions, each of two values."""
        return sum(max(len(terms) - 1, 0) for terms in (*self.steps, *self.outputs))

    @property
    def scalings(self) -> int:
        """Multiplications by coefficients other than 1 and -1."""
        return sum(abs(value) != 1 for terms in (*self.steps, *self.outputs) for _, value in terms)

    def rows(self) -> list[list[Fraction]]:
        """The matrix of the map, (outputs × inputs), by expanding every sum exactly."""
        if (len(self.steps) + len(self.outputs)) * self.inputs > MAX_PROGRAM_ENTRIES:
            raise InvalidInput(f"a program of {len(self.steps)} steps on {self.inputs} inputs is too large to expand")
        known = [[Fraction(int(i == j)) for j in range(self.inputs)] for i in range(self.inputs)]
        for terms in self.steps:
            known.append(self._expanded(terms, known))
        return [self._expanded(terms, known) for terms in self.outputs]

    def _expanded(self, terms: Sum, known: Sequence[Sequence[Fraction]]) -> list[Fraction]:
        total = [Fraction(0)] * self.inputs
        for index, coefficient in terms:
            for column, value in enumerate(known[index]):
                if value:
                    total[column] += coefficient * value
        return total


@final
@dataclass(frozen=True)
class Program:
    """A scheme as three linear programs: the sums of A, the sums of B, and the outputs from the products.

    It is what is executed when common subexpressions are shared. `grokkit.verify` proves what it expands to.
    """

    a: LinearProgram
    b: LinearProgram
    c: LinearProgram

    @property
    def additions(self) -> int:
        return self.a.additions + self.b.additions + self.c.additions

    @property
    def scalings(self) -> int:
        return self.a.scalings + self.b.scalings + self.c.scalings
