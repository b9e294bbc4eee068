"""Schemes written as formulas: trilinear products (`.exp`), or products and outputs as equations.

    (a11+2*a22)*(b11-b12)*(c11+c21)          one product a line, C transposed in most files
    M1 = (A11 + A22)(B11 + B22)              equations, as `grokkit.scheme.formulas` prints them
    C11 = M1 + M4 - M5 + M7

Factors may be single variables; a sign or a number may stand before a product; `*` may be left out.
Indices of two digits are row and column; larger ones need a separator: ``a1_10``, ``a[1,10]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, TypeAlias, final

from grokkit.scheme._errors import UnreadableFile
from grokkit.scheme._files import short
from grokkit.scheme.formats._raw import Raw, exact_matrix
from grokkit.scheme.formats._text import Tokens, exact_number, place, why_not_exact

Form: TypeAlias = dict[tuple[int, int], Fraction]
"""A linear form: coefficient by (row, column) of a matrix, or by (0, number) of a product."""

_TOKEN: Final = re.compile(
    r"(?P<comment>#[^\n]*|//[^\n]*|%[^\n]*)"
    r"|(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z]_?\[\s*[0-9]+\s*(?:[,;]\s*[0-9]+\s*)?\]|[A-Za-z]_?\{?[0-9]+\}?(?:[_,][0-9]+\}?)?|[A-Za-z]\w*)"
    r"|(?P<symbol>[-+*/()=:;,^√])"
    r"|(?P<line>\n)"
)
_VARIABLE: Final = re.compile(r"([A-Za-z])_?[\[{]?\s*([0-9]+)\s*(?:[_,;]\s*([0-9]+)\s*)?[\]}]?")
MAX_INDEX: Final = 1024
MAX_ENTRIES: Final = 2**22
"""Most coefficients of a scheme that is written out."""


@final
@dataclass
class _Content:
    """What has been read: trilinear products, or equations for products and outputs."""

    triples: list[dict[str, Form]] = field(default_factory=list)
    products: dict[int, dict[str, Form]] = field(default_factory=dict)
    outputs: dict[tuple[int, int], Form] = field(default_factory=dict)


def looks_like_expressions(text: str) -> bool:
    """Whether the first line with content is a formula in variables of A, B and C."""
    for line in text[:65536].split("\n"):
        line = re.sub(r"(#|//|%).*", "", line).strip()
        if line:
            variable = re.search(r"(?<![A-Za-z])[aAbBcCmMpP]_?[\[{]?[0-9]", line)
            return variable is not None and re.search(r"[-+*()=]", line) is not None
    return False


def read_expressions(text: str) -> Raw:
    """The factors in formulas. Raises `UnreadableFile` with line and column."""
    tokens = Tokens(text, _TOKEN)
    content = _Content()
    while tokens.kind != "end":
        if tokens.kind in ("comment", "line") or tokens.value in (";", ","):
            tokens.advance()
        elif tokens.kind == "name" and _is_equation(tokens):
            _equation(tokens, content)
        else:
            content.triples.append(_product(tokens, "abc"))
            while tokens.kind == "line":
                tokens.advance()
    return _raw(content)


def read_equations(products: list[str], outputs: list[str]) -> Raw:
    """The factors in lists of equations, as some JSON files hold them."""
    return read_expressions("\n".join([*products, *outputs]))


def _is_equation(tokens: Tokens) -> bool:
    after = tokens.text[tokens.offset + len(tokens.value) :][:8].lstrip(" \t")
    return after.startswith(("=", ":"))


def _equation(tokens: Tokens, content: _Content) -> None:
    offset = tokens.offset
    letter, row, column = _variable(tokens)
    tokens.take(":")
    tokens.expect("=")
    if letter == "c":
        if (row, column) in content.outputs:
            raise UnreadableFile(f"{place(tokens.text, offset)}: output C{row}{column} is defined twice")
        content.outputs[row, column] = _linear(tokens, "mp")[1]
    elif letter in "mp" and row == 0:
        if column in content.products:
            raise UnreadableFile(f"{place(tokens.text, offset)}: product {column} is defined twice")
        content.products[column] = _product(tokens, "ab")
    else:
        raise UnreadableFile(
            f"{place(tokens.text, offset)}: an equation defines a product M1, M2, ... or an output C11"
        )
    if tokens.kind not in ("line", "end", "comment") and tokens.value not in (";", ","):
        tokens.fail("the end of the line is expected")


def _product(tokens: Tokens, letters: str) -> dict[str, Form]:
    """One product of linear forms, one in each of `letters`, with signs and numbers before or between them."""
    offset, scale = tokens.offset, Fraction(1)
    forms: dict[str, Form] = {}
    while tokens.value in ("+", "-"):
        scale = -scale if tokens.advance() == "-" else scale
    while True:
        if tokens.kind == "number":
            scale *= _number(tokens)
        elif tokens.value == "(" or tokens.kind == "name":
            at = tokens.offset
            letter, form = _factor(tokens)
            if not letter:
                raise UnreadableFile(f"{place(tokens.text, at)}: a factor that names no matrix; write 0*a11")
            if letter not in letters or letter in forms:
                what = "again" if letter in forms else f"in a product of {' and '.join(letters.upper())}"
                raise UnreadableFile(f"{place(tokens.text, at)}: a factor in {letter.upper()} {what}")
            forms[letter] = form
        else:
            tokens.fail("a factor is expected")
        if tokens.take("*"):
            while tokens.kind == "line":
                tokens.advance()
            continue
        while tokens.take("/"):
            scale /= _divisor(tokens)
        if tokens.kind != "number" and tokens.value != "(" and tokens.kind != "name":
            break
    if len(forms) < len(letters):
        missing = ", ".join(letter.upper() for letter in letters if letter not in forms)
        raise UnreadableFile(f"{place(tokens.text, offset)}: a product without a factor in {missing}")
    first = letters[0]
    forms[first] = {key: scale * value for key, value in forms[first].items()}
    return forms


def _factor(tokens: Tokens) -> tuple[str, Form]:
    if tokens.kind == "name":
        letter, row, column = _variable(tokens)
        return letter, {(row, column): Fraction(1)}
    tokens.expect("(")
    letter, form = _linear(tokens, "abc")
    tokens.expect(")")
    return letter, form


def _linear(tokens: Tokens, letters: str) -> tuple[str, Form]:
    """A signed sum of variables of one letter; ``0`` is the empty one."""
    found, form = "", Form()
    first = True
    while first or tokens.value in ("+", "-"):
        sign = Fraction(1)
        while tokens.value in ("+", "-"):
            sign = -sign if tokens.advance() == "-" else sign
        first = False
        value, offset = sign, tokens.offset
        named: tuple[str, int, int] | None = None
        if tokens.take("("):  # a fraction such as (1/2) A11
            value *= _signed_number(tokens)
            tokens.expect(")")
            tokens.take("*")
        while tokens.kind == "number" or tokens.kind == "name":
            if tokens.kind == "number":
                value *= _number(tokens)
            elif named is None:
                named = _variable(tokens)
            else:
                tokens.fail("a sign is expected")
            while tokens.take("/"):
                value /= _divisor(tokens)
            tokens.take("*")
        if named is None:
            if value != 0 or tokens.offset == offset:
                tokens.fail("a variable is expected")
            continue
        letter, row, column = named
        if letter not in letters or (letters == "abc" and found not in ("", letter)):
            inside = (found or letters).upper()
            raise UnreadableFile(f"{place(tokens.text, offset)}: a variable of {letter.upper()} in a sum of {inside}")
        found = letter
        form[row, column] = form.get((row, column), Fraction(0)) + value
    return found, form


def _signed_number(tokens: Tokens) -> Fraction:
    sign = -1 if tokens.take("-") else 1
    value = _number(tokens)
    while tokens.take("/"):
        value /= _divisor(tokens)
    return sign * value


def _number(tokens: Tokens) -> Fraction:
    if tokens.kind != "number":
        tokens.fail("a number is expected")
    try:
        value = exact_number(tokens.value)
    except UnreadableFile as error:
        raise UnreadableFile(f"{place(tokens.text, tokens.offset)}: {error}") from None
    tokens.advance()
    if tokens.value == "^":
        tokens.fail("powers of numbers are not read; a number, a variable or an operator is expected")
    return value


def _divisor(tokens: Tokens) -> Fraction:
    value = _number(tokens)
    if not value:
        tokens.fail("a division by zero")
    return value


def _variable(tokens: Tokens) -> tuple[str, int, int]:
    """(letter, row, column) of a variable; row 0 for a product M7."""
    match = _VARIABLE.fullmatch(tokens.value)
    letter = tokens.value[:1].lower()
    if match is None or letter not in "abcmp":
        reason = why_not_exact(tokens.value)
        if reason.endswith("is not a number"):
            reason = f"{short(tokens.value)} is no variable; they are called a11, b11, c11 (or a1_10, a[1,10])"
        raise UnreadableFile(f"{place(tokens.text, tokens.offset)}: {reason}")
    one, two = match.group(2), match.group(3)
    if letter in "mp":
        row, column = "0", one
        if two is not None:
            tokens.fail("the number of a product is expected")
    elif two is not None:
        row, column = one, two
    elif len(one) == 2:
        row, column = one
    else:
        tokens.fail("row and column are expected, as in a11, a1_10 or a[1,10]")
    if max(len(row), len(column)) > 9 or (letter in "abc" and max(int(row), int(column)) > MAX_INDEX):
        tokens.fail(f"indices up to {MAX_INDEX} are expected")
    tokens.advance()
    return letter, int(row), int(column)


def _raw(content: _Content) -> Raw:
    if content.triples and (content.products or content.outputs):
        raise UnreadableFile("products of three factors and equations in one file; use one way of writing")
    if content.triples:
        sides = [[triple[letter] for triple in content.triples] for letter in "abc"]
        return _from_forms(sides, "products of three linear forms")
    if not content.products:
        raise UnreadableFile("no products")
    if not content.outputs:
        raise UnreadableFile("no outputs such as C11 = M1 + M2")
    numbers = sorted(content.products)
    index = {number: at for at, number in enumerate(numbers)}
    outputs: list[Form] = [{} for _ in numbers]
    for output, form in content.outputs.items():
        for (_, number), value in form.items():
            if number not in index:
                raise UnreadableFile(f"output C{output[0]}{output[1]} uses M{number}, which is not defined")
            outputs[index[number]][output] = value
    sides = [[content.products[number][letter] for number in numbers] for letter in "ab"]
    return _from_forms([*sides, outputs], "equations", declared=content.outputs)


def _from_forms(sides: list[list[Form]], kind: str, declared: dict[tuple[int, int], Form] | None = None) -> Raw:
    keys = [{key for form in side for key in form} for side in sides]
    if declared:
        keys[2] |= declared.keys()
    everything = set().union(*keys)
    base = 0 if any(0 in key for key in everything) else 1
    (n, m), (m2, p), c = (_extent(side, base) for side in keys)
    m = max(m, m2)
    n, p, of_c = _completed(n, p, c)
    shapes = [(n, m), (m, p), of_c]
    rank = len(sides[0])
    if rank * (n * m + m * p + n * p) > MAX_ENTRIES:
        raise UnreadableFile(f"{rank} products of format <{n},{m},{p}> are more than are read")
    matrices = [exact_matrix(list(_dense(side, shape, base))) for side, shape in zip(sides, shapes, strict=True)]
    return Raw(kind, matrices[0], matrices[1], matrices[2], shapes=(shapes[0], shapes[1], shapes[2]))


def _extent(keys: set[tuple[int, int]], base: int) -> tuple[int, int]:
    """(rows, columns) that hold all indices, which count from `base`."""
    return max((r for r, _ in keys), default=base) + 1 - base, max((c for _, c in keys), default=base) + 1 - base


def _completed(n: int, p: int, c: tuple[int, int]) -> tuple[int, int, tuple[int, int]]:
    """n, p and the shape in which C is written, as it is or transposed: the smaller that holds all that is seen."""
    straight, crossed = (max(n, c[0]), max(p, c[1])), (max(n, c[1]), max(p, c[0]))
    if straight[0] * straight[1] <= crossed[0] * crossed[1]:
        return *straight, straight
    return *crossed, (crossed[1], crossed[0])


def _dense(side: list[Form], shape: tuple[int, int], base: int) -> Iterator[list[Fraction]]:
    for form in side:
        row = [Fraction(0)] * (shape[0] * shape[1])
        for (i, j), value in form.items():
            row[(i - base) * shape[1] + j - base] += value
        yield row
