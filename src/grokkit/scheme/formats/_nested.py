"""Schemes in the syntax of computer algebra systems: Maple's ``TriadSet`` and Mathematica's nested lists.

    Tensor:=TriadSet([Triad([Matrix(2, 2, [[1,0],[0,1]]), Matrix(...), Matrix(...)]), ...]):
    {{{{1, 0}, {0, 1}}, {{...}}, {{...}}}, ...}

In both, each product is a triple of matrices, and the third is written as C transposed.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, Final

from grokkit.scheme._errors import UnreadableFile
from grokkit.scheme.formats._raw import Raw, Shape, exact_matrix
from grokkit.scheme.formats._text import Tokens, exact_value, place, why_not_exact

_TOKEN: Final = re.compile(r"(?P<comment>\(\*.*?\*\))|(?P<symbol>[][{}(),:;=])|(?P<word>[^][{}(),:;=\s]+)", re.DOTALL)
_MATHEMATICA: Final = re.compile(r"\s*+(?>\(\*.*?\*\)\s*)*+(?:[A-Za-z]\w*+\s*+:?=\s*+)?\{", re.DOTALL)
MAX_DEPTH: Final = 4


def looks_like_maple(text: str) -> bool:
    return "TriadSet" in text


def looks_like_mathematica(text: str) -> bool:
    return _MATHEMATICA.match(text[:65536]) is not None


def read_maple(text: str) -> Raw:
    """The factors in the one TriadSet of a Maple file."""
    at = text.index("TriadSet")
    again = text.find("TriadSet", at + 1)
    if again >= 0:
        raise UnreadableFile(f"{place(text, again)}: a second TriadSet; put each scheme into a file of its own")
    tokens = Tokens(text, _TOKEN, start=at)
    tokens.expect("TriadSet")
    tokens.expect("(")
    tokens.expect("[")
    slots = []
    while not tokens.take("]"):
        tokens.expect("Triad")
        tokens.expect("(")
        tokens.expect("[")
        slots.append([_matrix(tokens) for _ in range(3) if _separated(tokens, first=_ == 0)])
        tokens.expect("]")
        tokens.expect(")")
        tokens.take(",")
    return _raw("Maple TriadSet", slots)


def _separated(tokens: Tokens, first: bool) -> bool:
    if not first:
        tokens.expect(",")
    return True


def _matrix(tokens: Tokens) -> list[list[Any]]:
    """Matrix(rows, columns, [[...], ...]); the sizes may be left out."""
    offset = tokens.offset
    tokens.expect("Matrix")
    tokens.expect("(")
    sizes = []
    while tokens.value != "[":
        sizes.append(_entry(tokens))
        tokens.expect(",")
    rows = _list(tokens, "[", "]", 1)
    tokens.expect(")")
    if not all(isinstance(row, list) and not any(isinstance(x, list) for x in row) for row in rows):
        raise UnreadableFile(f"{place(tokens.text, offset)}: a matrix that is no list of rows")
    if sizes and [Fraction(len(rows)), Fraction(len(rows[0]) if rows else 0)] != sizes:
        raise UnreadableFile(f"{place(tokens.text, offset)}: a matrix of another size than it says")
    return rows


def read_mathematica(text: str) -> Raw:
    """The factors in nested lists: one triple of matrices a product, or three matrices with a row a product."""
    match = _MATHEMATICA.match(text)
    assert match is not None
    tokens = Tokens(text, _TOKEN, start=match.end() - 1)
    while tokens.kind == "comment":
        tokens.advance()
    content = _list(tokens, "{", "}", MAX_DEPTH - 1)
    tokens.take(";")
    while tokens.kind == "comment":
        tokens.advance()
    if tokens.kind != "end":
        tokens.fail("the end of the file is expected after the list")
    depth = _depth(content)
    if depth == 3 and len(content) == 3:
        u, v, w = (exact_matrix(_rows(side), name) for side, name in zip(content, "UVW", strict=True))
        return Raw("Mathematica list", u, v, w)
    if depth != 4 or any(len(slot) != 3 for slot in content):
        raise UnreadableFile("a list that is no list of triples of matrices, {{A, B, C}, ...}")
    return _raw("Mathematica list", content)


def _rows(content: Any) -> list[list[Any]]:
    return [list(row) for row in content]


def _depth(content: Any) -> int:
    """Nesting of lists; raises `UnreadableFile` where it is uneven."""
    if not isinstance(content, list):
        return 0
    depths = {_depth(item) for item in content}
    if len(depths) > 1:
        raise UnreadableFile("lists nested unevenly; a list of triples of matrices is needed")
    return 1 + (depths.pop() if depths else 0)


def _list(tokens: Tokens, opening: str, closing: str, deeper: int) -> list[Any]:
    """A nested list of numbers; at most `deeper` further levels."""
    if tokens.value == opening and deeper < 0:
        tokens.fail("lists nested too deeply; a number is expected")
    tokens.expect(opening)
    items: list[Any] = []
    while True:
        while tokens.kind == "comment":
            tokens.advance()
        if tokens.take(closing):
            return items
        if items:
            tokens.expect(",")
        items.append(_list(tokens, opening, closing, deeper - 1) if tokens.value == opening else _entry(tokens))


def _entry(tokens: Tokens) -> Any:
    """A number up to the next comma or bracket. Expressions are refused with the reason."""
    offset, words = tokens.offset, []
    opened = 0
    while tokens.kind == "word" or tokens.value == "(" or (opened and tokens.kind == "symbol"):
        opened += (tokens.value == "(") - (tokens.value == ")")
        words.append(tokens.advance())
    if tokens.value == "[" and words:  # a function such as Sqrt[2]
        words.append("[")
    text = " ".join(words)
    if not text:
        tokens.fail("a number is expected")
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    try:
        return exact_value(inner)
    except UnreadableFile as error:
        raise UnreadableFile(f"{place(tokens.text, offset)}: {error or why_not_exact(text)}") from None


def _raw(kind: str, slots: list[Any]) -> Raw:
    if not slots:
        raise UnreadableFile("it holds no products")
    shapes: list[Shape] = []
    matrices = []
    for side in range(3):
        first = slots[0][side]
        shape = (len(first), len(first[0]) if first else 0)
        for number, slot in enumerate(slots, 1):
            if len(slot[side]) != shape[0] or any(len(row) != shape[1] for row in slot[side]):
                raise UnreadableFile(
                    f"product {number}: factor {side + 1} is not {shape[0]} x {shape[1]}, as the first is"
                )
        shapes.append(shape)
        matrices.append(exact_matrix([[value for row in slot[side] for value in row] for slot in slots]))
    return Raw(kind, matrices[0], matrices[1], matrices[2], shapes=(shapes[0], shapes[1], shapes[2]))
