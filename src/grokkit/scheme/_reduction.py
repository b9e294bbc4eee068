"""Fewer additions: the linear combinations of a scheme with common subexpressions computed once.

The search is a randomized greedy elimination of pairs (Paar 1997; Boyar, Matthews and Peralta 2013 survey it): the pair
x_i + c x_j that occurs in most rows, up to a factor, becomes a value of its own; ties, and now and then the second
best, are drawn at random; the best of many runs is kept. Each linear map is also reduced as its transpose, whose
program, read backwards, computes the map with a fixed difference in additions (Tellegen's principle).
The result is proven: the program is expanded symbolically and compared with the scheme.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Final, TypeAlias

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._program import LinearProgram, Program
from grokkit.scheme._scheme import Scheme

Row: TypeAlias = dict[int, Fraction]
Pair: TypeAlias = tuple[int, int, Fraction]
"""x_i + ratio · x_j, i < j."""
SECOND_BEST: Final = 0.1
"""How often a run takes a pair that is not among the most frequent."""
MAX_REDUCED_ENTRIES: Final = 2**16
"""Largest number of coefficients of a linear map that is reduced."""


def reduce_additions(scheme: Scheme, seed: int = 0, tries: int = 200) -> Program:
    """A straight-line program for the scheme with few additions, from `tries` randomized runs for each linear map.

    Same scheme, seed and number of tries: same program. The program expands exactly to the scheme's factors, which is
    checked before it is returned. Coefficients over GF(p) are not reduced.

    Raises `InvalidInput` for schemes over GF(p) and for those with very many coefficients.

    >>> from grokkit.scheme.catalog import catalog
    >>> reduce_additions(catalog["winograd"]).additions, reduce_additions(catalog["strassen"]).additions
    (15, 18)
    """
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name}: additions over {scheme.ring} are not reduced; reduce a scheme over Z or Q")
    if tries < 1:
        raise InvalidInput(f"tries is {tries}; at least 1 is needed")
    if scheme.rank * max(scheme.target.shape) > MAX_REDUCED_ENTRIES:
        raise InvalidInput(f"{scheme.name}: more coefficients than are reduced, {MAX_REDUCED_ENTRIES} for each factor")
    u, v, w = scheme.fractions()
    generator = random.Random(seed)
    a, b, c = (reduce_map(rows, generator, tries) for rows in (u, v, w))
    return Program(a, b, c)


def reduce_map(rows: Sequence[Sequence[Fraction]], generator: random.Random, tries: int) -> LinearProgram:
    """A program with few additions for a matrix (outputs × inputs)."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    best: LinearProgram | None = None
    for attempt in range(tries):
        if attempt % 2 and columns:
            program = transposed_program(_greedy(columns, generator, attempt // 2))
        else:
            program = _greedy(rows, generator, attempt // 2)
        if best is None or (program.additions, program.scalings) < (best.additions, best.scalings):
            best = program
    assert best is not None
    if best.rows() != [list(row) for row in rows]:
        raise AssertionError("internal error: a reduced program computes another map")
    return best


def _greedy(matrix: Sequence[Sequence[Fraction]], generator: random.Random, attempt: int) -> LinearProgram:
    """One run; the first (`attempt` 0) takes no second best."""
    inputs = len(matrix[0]) if matrix else 0
    rows: list[Row] = [{j: value for j, value in enumerate(row) if value} for row in matrix]
    steps: list[tuple[tuple[int, Fraction], ...]] = []
    where: dict[Pair, set[int]] = defaultdict(set)
    for at, row in enumerate(rows):
        for pair in _pairs(row):
            where[pair].add(at)
    while True:
        pair = _chosen(where, generator, attempt > 0)
        if pair is None:
            break
        i, j, ratio = pair
        new = inputs + len(steps)
        steps.append(((i, Fraction(1)), (j, ratio)))
        for at in sorted(where[pair]):
            row = rows[at]
            for old in _pairs(row):
                where[old].discard(at)
            row[new] = row.pop(i)
            del row[j]
            for fresh in _pairs(row):
                where[fresh].add(at)
    return LinearProgram(inputs, tuple(steps), tuple(tuple(sorted(row.items())) for row in rows))


def _pairs(row: Row) -> list[Pair]:
    items = sorted(row.items())
    return [(i, j, y / x) for (i, x), (j, y) in itertools.combinations(items, 2)]


def _chosen(where: dict[Pair, set[int]], generator: random.Random, explore: bool) -> Pair | None:
    """A pair that occurs in two rows or more, mostly one of the most frequent; None if there is none."""
    by_count: dict[int, list[Pair]] = defaultdict(list)
    for pair, rows in where.items():
        if len(rows) > 1:
            by_count[len(rows)].append(pair)
    if not by_count:
        return None
    counts = sorted(by_count, reverse=True)
    level = 1 if explore and len(counts) > 1 and generator.random() < SECOND_BEST else 0
    choices = by_count[counts[level]]
    return generator.choice(sorted(choices)) if explore else min(choices)


def transposed_program(program: LinearProgram) -> LinearProgram:
    """The program of the transposed matrix: every sum becomes a distribution, read from the end.

    With a program for a matrix of k rows and n columns, none of them zero, it has k − n additions more.
    """
    count = len(program.outputs)
    values = program.inputs + len(program.steps)
    uses: list[list[tuple[int, Fraction]]] = [[] for _ in range(values)]  # who adds a value, with what coefficient
    for at, terms in enumerate(program.outputs):
        for index, value in terms:
            uses[index].append((at, value))  # new input `at`
    new_value: dict[int, tuple[int, Fraction] | None] = {}
    steps: list[tuple[tuple[int, Fraction], ...]] = []
    for step in reversed(range(len(program.steps))):
        at = program.inputs + step
        terms = _merged(uses[at])
        if len(terms) > 1:
            new_value[at] = count + len(steps), Fraction(1)
            steps.append(terms)
        else:
            new_value[at] = terms[0] if terms else None
        found = new_value[at]
        if found is not None:
            for index, value in program.steps[step]:
                uses[index].append((found[0], found[1] * value))
    return LinearProgram(count, tuple(steps), tuple(_merged(uses[at]) for at in range(program.inputs)))


def _merged(terms: list[tuple[int, Fraction]]) -> tuple[tuple[int, Fraction], ...]:
    total: dict[int, Fraction] = defaultdict(Fraction)
    for index, value in terms:
        total[index] += value
    return tuple(sorted((index, value) for index, value in total.items() if value))
