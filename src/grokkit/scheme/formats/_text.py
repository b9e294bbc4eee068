"""What the text formats share: tokens with line and column, and exact numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, NoReturn, final

from grokkit.scheme._errors import UnreadableFile
from grokkit.scheme._files import short
from grokkit.scheme._gaussian import simple

MAX_TEXT_BYTES: Final = 8 * 2**20
"""Largest text file that is read."""
MAX_DIGITS: Final = 4300
MAX_EXPONENT: Final = 400

_NUMBER: Final = re.compile(
    r"([+-]?)\s*(?:([0-9]+)(?:\s*/\s*([0-9]+))?|([0-9]*\.[0-9]*)(?:[eE]([+-]?[0-9]{1,4}))?)", re.ASCII
)
_PART: Final = r"(?:[0-9]+(?:\s*/\s*[0-9]+)?|[0-9]*\.[0-9]+)"
_COMPLEX: Final = re.compile(
    rf"(?:(?P<re>[+-]?\s*{_PART})(?=\s*[+-]))?\s*(?P<sign>[+-]?)\s*(?:(?P<im>{_PART})\s*\*?\s*)?[iIjJ]"
    rf"(?:\s*\*\s*(?P<times>{_PART}))?(?:\s*/\s*(?P<below>[0-9]+))?",
    re.ASCII,
)
_APPROXIMATE: Final = re.compile(r"(?i)[-+(*\s0-9./]*(?:x|eps|epsilon|lambda|delta|t|z)(?:\^?-?[0-9]*i?)?(?![a-z])")
_IRRATIONAL: Final = re.compile(r"(?i)sqrt|root|√|\^\s*\(?\s*-?1\s*/|\bpi\b|golden|\bphi\b|cos|sin")


def decoded(data: bytes) -> str:
    """Text of a file: UTF-8, with any line ends."""
    if len(data) > MAX_TEXT_BYTES:
        raise UnreadableFile(f"larger than {MAX_TEXT_BYTES // 2**20} MiB, the largest text file that is read")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"not UTF-8 text (byte {error.start})") from None


def place(text: str, offset: int) -> str:
    """Where an offset lies, for people."""
    start = text.rfind("\n", 0, offset) + 1
    return f"line {text.count(chr(10), 0, offset) + 1}, column {offset - start + 1}"


def exact_number(text: str) -> Fraction:
    """A coefficient such as ``-3``, ``1/8``, ``.5`` or ``1e-3``, exactly.

    Raises `UnreadableFile` for anything else, with the reason where it is known: powers of a variable
    (an approximate scheme), roots (an irrational one), imaginary units.
    """
    text = text.strip()
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UnreadableFile(why_not_exact(text))
    sign, whole, below, decimal, exponent = match.groups()
    if len(text) > 2 * MAX_DIGITS or max(len(whole or ""), len(below or "")) > MAX_DIGITS:
        raise UnreadableFile(f"a number of more than {MAX_DIGITS} digits")
    if whole is not None:
        if below is not None and not int(below):
            raise UnreadableFile(f"{short(text)} divides by zero")
        value = Fraction(int(whole), int(below or 1))
    else:
        power = int(exponent or 0)
        if decimal == "." or abs(power) > MAX_EXPONENT:
            raise UnreadableFile(f"{short(text)} is not a number")
        value = Fraction(decimal) * Fraction(10) ** power
    return -value if sign == "-" else value


def exact_value(text: str) -> Any:
    """A coefficient as `exact_number` reads it, or a complex one such as ``I/2`` or ``1-2*I``.

    Real and imaginary part are exact; the imaginary unit is I, i or j.
    """
    text = text.strip()
    match = _COMPLEX.fullmatch(text[1:-1].strip() if text.startswith("(") and text.endswith(")") else text)
    if match is None or len(text) > 4 * MAX_DIGITS:
        return exact_number(text)
    real = exact_number(match["re"]) if match["re"] else Fraction(0)
    imaginary = exact_number(match["im"] or "1") * exact_number(match["times"] or "1")
    below = exact_number(match["below"] or "1")
    if not below:
        raise UnreadableFile(f"{short(text)} divides by zero")
    return simple(real, (-imaginary if match["sign"] == "-" else imaginary) / below)


def why_not_exact(text: str) -> str:
    """Why a coefficient cannot be read as a rational number."""
    shown = short(text)
    if _IRRATIONAL.search(text):
        return f"{shown} is irrational; only schemes with rational coefficients are read"
    if _APPROXIMATE.fullmatch(text.strip("() \t")) or re.search(r"x[0-9]*i?\b", text):
        return (
            f"{shown} holds a power of a variable: an arbitrary-precision-approximating scheme, which computes its "
            "product only in the limit and cannot be proven exact"
        )
    return f"{shown} is not a number"


@final
class Tokens:
    """The tokens of a text, one at a time, each with its place.

    `pattern` has one named group for each kind of token; what lies between tokens must be blank.
    """

    def __init__(self, text: str, pattern: re.Pattern[str], *, start: int = 0, limit: int = 2**22):
        self.text = text
        self._found = self._all(pattern, start, limit)
        self.kind, self.value, self.offset = "", "", start
        self.advance()

    def _all(self, pattern: re.Pattern[str], start: int, limit: int) -> Iterator[tuple[str, str, int]]:
        at = start
        for count, match in enumerate(pattern.finditer(self.text, start)):
            if count >= limit:
                raise UnreadableFile(f"more than {limit} symbols, the most that are read")
            gap = self.text[at : match.start()]
            if gap.strip(" \t\n"):
                self._stray(at + len(gap) - len(gap.lstrip(" \t\n")))
            yield str(match.lastgroup), match.group(), match.start()
            at = match.end()
        rest = self.text[at:]
        if rest.strip(" \t\n"):
            self._stray(at + len(rest) - len(rest.lstrip(" \t\n")))
        yield "end", "", len(self.text)

    def _stray(self, offset: int) -> NoReturn:
        raise UnreadableFile(f"{place(self.text, offset)}: {short(self.text[offset : offset + 12])} is not understood")

    def advance(self) -> str:
        """Step over the current token and return it."""
        value = self.value
        self.kind, self.value, self.offset = next(self._found, ("end", "", len(self.text)))
        return value

    def take(self, *values: str) -> bool:
        """Step over the current token if it is one of `values`."""
        if self.kind != "end" and self.value in values:
            self.advance()
            return True
        return False

    def expect(self, value: str) -> None:
        if not self.take(value):
            self.fail(f"{value!r} is expected")

    def fail(self, reason: str) -> NoReturn:
        """Raise `UnreadableFile` with the place of the current token."""
        here = short(self.value[:20]) if self.kind != "end" else "the end of the file"
        raise UnreadableFile(f"{place(self.text, self.offset)}: {reason}, not {here}")
