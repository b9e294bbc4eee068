"""Schemes as people write them: products and output formulas, as text and as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grokkit.scheme._gaussian import Gaussian
from grokkit.scheme._scheme import Scheme


def _negative(value: Any) -> bool:
    """Whether a coefficient is written with a minus sign; complex ones never are."""
    return not isinstance(value, Gaussian) and value < 0


def _coefficient(value: Any, latex: bool) -> str:
    """A positive or complex coefficient as a prefix; empty for 1."""
    if value == 1:
        return ""
    if isinstance(value, Gaussian):
        return f"({value}) "
    if value.denominator == 1:
        return f"{value.numerator} "
    if latex:
        return rf"\tfrac{{{value.numerator}}}{{{value.denominator}}} "
    return f"({value.numerator}/{value.denominator}) "


def linear_combination(coefficients: Iterable[Any], names: Iterable[str], latex: bool = False) -> str:
    """Signed sum such as ``A11 + 2 A12 - (1/2) A22``; ``0`` if empty. A positive term comes first if any.

    >>> from fractions import Fraction
    >>> linear_combination([Fraction(-1, 2), Fraction(0), Fraction(1)], ["x", "y", "z"])
    'z - (1/2) x'
    """
    terms = [(value, name) for value, name in zip(coefficients, names, strict=True) if value]
    lead = next((position for position, (value, _) in enumerate(terms) if not _negative(value)), 0)
    if terms:
        terms.insert(0, terms.pop(lead))
    text = ""
    for value, name in terms:
        negative = _negative(value)
        sign = ("-" if negative else "") if not text else (" - " if negative else " + ")
        text += f"{sign}{_coefficient(-value if negative else value, latex)}{name}"
    return text or "0"


def _factor(coefficients: list[Any], names: list[str], latex: bool) -> str:
    text = linear_combination(coefficients, names, latex)
    return text if text in names else f"({text})"


def formulas(scheme: Scheme, latex: bool = False) -> str:
    """All products, then all outputs, one a line.

    With ``latex=True`` the lines form an ``align*`` environment.

    >>> from grokkit.scheme.catalog import catalog
    >>> print(formulas(catalog["strassen"]))
    M1 = (A11 + A22)(B11 + B22)
    M2 = (A21 + A22) B11
    M3 = A11 (B12 - B22)
    M4 = A22 (B21 - B11)
    M5 = (A11 + A12) B22
    M6 = (A21 - A11)(B11 + B12)
    M7 = (A12 - A22)(B21 + B22)
    C11 = M1 + M4 - M5 + M7
    C12 = M3 + M5
    C21 = M2 + M4
    C22 = M1 - M2 + M3 + M6
    """
    u, v, w = scheme.numbers()
    target = scheme.target
    names = [
        [target.variable(side, index, latex) for index in range(length)] for side, length in enumerate(target.shape)
    ]
    products = [f"M_{{{r + 1}}}" if latex else f"M{r + 1}" for r in range(scheme.rank)]
    lines = []
    for product, left, right in zip(products, u, v, strict=True):
        a, b = _factor(left, names[0], latex), _factor(right, names[1], latex)
        space = "" if a.endswith(")") and b.startswith("(") else " "
        lines.append((product, f"{a}{space}{b}"))
    lines += [(name, linear_combination(row, products, latex)) for name, row in zip(names[2], w, strict=True)]
    if latex:
        body = " \\\\\n".join(f"  {left} &= {right}" for left, right in lines)
        return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"
    return "\n".join(f"{left} = {right}" for left, right in lines)
