"""Schemes as text for people and as programs: LaTeX, Markdown, NumPy code, C code."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from grokkit.scheme._counts import additions, growth_factor
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._formulas import formulas, linear_combination
from grokkit.scheme._scheme import Scheme
from grokkit.scheme._target import MatrixProduct
from grokkit.scheme.formats._lean import lean


def _format(scheme: Scheme, what: str) -> tuple[int, int, int]:
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name}: only schemes for matrix products are written as {what}")
    return scheme.target.format


def _facts(scheme: Scheme) -> str:
    count = additions(scheme)
    return f"{scheme.rank} products, {count.total} additions as written, over {scheme.ring}"


def latex(scheme: Scheme) -> str:
    """A LaTeX document that needs amsmath only: what the scheme is, and its formulas."""
    n, m, p = _format(scheme, "LaTeX")
    name = rf"$\langle {n},{m},{p};{scheme.rank} \rangle$"
    ring = r"\mathbb{" + str(scheme.ring) + "}" if not scheme.ring.characteristic else rf"\mathrm{{{scheme.ring}}}"
    return "\n".join(
        [
            r"\documentclass{article}",
            r"\usepackage{amsmath,amssymb}",
            r"\allowdisplaybreaks",
            r"\begin{document}",
            rf"{name} over ${ring}$: {scheme.rank} products, {additions(scheme).total} additions as written.",
            formulas(scheme, latex=True),
            r"\end{document}",
            "",
        ]
    )


def markdown(scheme: Scheme) -> str:
    """A Markdown page: facts, a table of products, a table of outputs."""
    n, m, p = _format(scheme, "Markdown")
    lines = [
        f"# <{n},{m},{p};{scheme.rank}>",
        "",
        f"The product of a {n} x {m} by a {m} x {p} matrix with {_facts(scheme)}; growth factor "
        f"{growth_factor(scheme)}. SHA-256 `{scheme.digest}`.",
        "",
        "| product | | |",
        "|---|---|---|",
    ]
    target = scheme.target
    u, v, w = scheme.fractions()
    names = [[target.variable(side, i) for i in range(length)] for side, length in enumerate(target.shape)]
    slots = [f"M{r + 1}" for r in range(scheme.rank)]
    for slot, left, right in zip(slots, u, v, strict=True):
        lines.append(f"| {slot} | {linear_combination(left, names[0])} | {linear_combination(right, names[1])} |")
    lines += ["", "| output | |", "|---|---|"]
    lines += [f"| {name} | {linear_combination(row, slots)} |" for name, row in zip(names[2], w, strict=True)]
    return "\n".join(lines) + "\n"


def _python_sum(row: list[Fraction], names: list[str]) -> str:
    text = ""
    for value, name in zip(row, names, strict=True):
        if not value:
            continue
        sign = ("-" if value < 0 else "") if not text else (" - " if value < 0 else " + ")
        size = abs(value)
        if size.denominator == 1:
            text += sign + (name if size == 1 else f"{size} * {name}")
        else:
            product = name if size.numerator == 1 else f"{size.numerator} * {name}"
            text += f"{sign}{product} / {size.denominator}"
    return text


def numpy_code(scheme: Scheme) -> str:
    """A Python module with one function, ``matmul(a, b, levels=1)``, that needs NumPy alone.

    Sides are padded with zeros to multiples of the format's to the power of `levels`.
    """
    n, m, p = _format(scheme, "NumPy code")
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name}: schemes over {scheme.ring} are not written as NumPy code")
    u, v, w = scheme.fractions()
    names = [
        [f"{letter}{i}_{j}" for i in range(rows) for j in range(columns)]
        for letter, rows, columns in (("a", n, m), ("b", m, p), ("c", n, p))
    ]
    fractions = ", np.float16" if scheme.denominators != (1, 1, 1) else ""
    lines = [
        f'"""The product of matrices by a scheme for <{n},{m},{p}> with {_facts(scheme)}.',
        "",
        f'SHA-256 of the scheme: {scheme.digest}"""',
        "",
        "import numpy as np",
        "",
        "",
        "def matmul(a, b, levels=1):",
        '    """The product of a (N x M) by b (M x P), with `levels` recursive steps."""',
        "    a, b = np.asarray(a), np.asarray(b)",
        "    (rows, inner), (_, columns) = a.shape, b.shape",
        "    if levels <= 0:",
        "        return a @ b",
        f"    up = [-side % unit**levels for side, unit in ((rows, {n}), (inner, {m}), (columns, {p}))]",
        "    if any(up):",
        "        a, b = np.pad(a, ((0, up[0]), (0, up[1]))), np.pad(b, ((0, up[1]), (0, up[2])))",
        "    return _step(a, b, levels)[:rows, :columns]",
        "",
        "",
        "def _step(a, b, levels):",
        "    if levels == 0:",
        "        return a @ b",
        f"    n, m, p = a.shape[0] // {n}, a.shape[1] // {m}, b.shape[1] // {p}",
        f"    c = np.zeros((a.shape[0], b.shape[1]), np.result_type(a, b{fractions}))",
    ]
    for letter, rows, columns, high, wide in (("a", n, m, "n", "m"), ("b", m, p, "m", "p"), ("c", n, p, "n", "p")):
        for i in range(rows):
            for j in range(columns):
                where = f"{i} * {high} : {i + 1} * {high}, {j} * {wide} : {j + 1} * {wide}"
                lines.append(f"    {letter}{i}_{j} = {letter}[{where}]")
    for r, (left, right) in enumerate(zip(u, v, strict=True)):
        a, b = _python_sum(left, names[0]), _python_sum(right, names[1])
        if not a or not b:
            continue
        lines.append(f"    x = _step({a}, {b}, levels - 1)")
        for name, row in zip(names[2], w, strict=True):
            if row[r]:
                sign, term = ("-", -row[r]) if row[r] < 0 else ("+", row[r])
                lines.append(f"    {name} {sign}= {_python_sum([term], ['x'])}")
    lines.append("    return c")
    return "\n".join(lines) + "\n"


def c_code(scheme: Scheme) -> str:
    """A C99 file with one function for one product of base-size matrices, stored by rows with leading dimensions.

    The element type is ``double`` unless ``GROKKIT_REAL`` is defined before.
    """
    n, m, p = _format(scheme, "C code")
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name}: schemes over {scheme.ring} are not written as C code")
    if max(n * m, m * p, n * p) * scheme.rank > 2**20:
        raise InvalidInput(f"{scheme.name}: too large to write out as C code")
    u, v, w = scheme.fractions()

    def entry(letter: str, i: int, j: int) -> str:
        return f"{letter}[{i} * ld{letter} + {j}]"

    names = [
        [entry(letter, i, j) for i in range(rows) for j in range(columns)]
        for letter, rows, columns in (("a", n, m), ("b", m, p))
    ]
    slots = [f"m{r + 1}" for r in range(scheme.rank)]
    lines = [
        f"/* C = A B for a {n} x {m} by a {m} x {p} matrix: {_facts(scheme)}.",
        f"   SHA-256 of the scheme: {scheme.digest} */",
        "#include <stddef.h>",
        "",
        "#ifndef GROKKIT_REAL",
        "#define GROKKIT_REAL double",
        "#endif",
        "",
        f"void matmul_{n}x{m}x{p}(const GROKKIT_REAL *a, ptrdiff_t lda, const GROKKIT_REAL *b, ptrdiff_t ldb,",
        f"{' ' * len(f'void matmul_{n}x{m}x{p}(')}GROKKIT_REAL *c, ptrdiff_t ldc)",
        "{",
    ]
    for slot, left, right in zip(slots, u, v, strict=True):
        lines.append(f"    const GROKKIT_REAL {slot} = ({_c_sum(left, names[0])}) * ({_c_sum(right, names[1])});")
    for at, row in enumerate(w):
        lines.append(f"    {entry('c', *divmod(at, p))} = {_c_sum(row, slots)};")
    return "\n".join([*lines, "}", ""])


def _c_sum(row: list[Fraction], names: list[str]) -> str:
    text = ""
    for value, name in zip(row, names, strict=True):
        if not value:
            continue
        sign = ("-" if value < 0 else "") if not text else (" - " if value < 0 else " + ")
        size = abs(value)
        if max(size.numerator, size.denominator) >= 2**53:
            raise InvalidInput("a coefficient of more than 53 bits has no exact form in C code")
        if size == 1:
            text += sign + name
        elif size.denominator == 1:
            text += f"{sign}(GROKKIT_REAL){size.numerator} * {name}"
        else:
            text += f"{sign}(GROKKIT_REAL){size.numerator} / {size.denominator} * {name}"
    return text or "0"


TEXTS: Final = {
    "latex": (".tex", latex),
    "markdown": (".md", markdown),
    "numpy": (".py", numpy_code),
    "c": (".c", c_code),
    "lean": (".lean", lean),
}
"""Formats that are not read back: the usual suffix, and what gives the text."""
