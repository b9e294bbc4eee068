"""Schemes as text for people and as programs: LaTeX, Markdown, NumPy code, C code."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from grokkit.scheme._counts import additions, growth_factor
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._formulas import formulas, linear_combination
from grokkit.scheme._scheme import Scheme
from grokkit.scheme._target import MatrixProduct
from grokkit.scheme.formats._lean import lean


def _facts(scheme: Scheme) -> str:
    count = additions(scheme)
    return f"{scheme.rank} products, {count.total} additions as written, over {scheme.ring}"


def latex(scheme: Scheme) -> str:
    """A LaTeX document that needs amsmath only: what the scheme is, and its formulas."""
    inside = scheme.name[1:-1]
    if not isinstance(scheme.target, MatrixProduct):
        inside = rf"\mathrm{{{scheme.target.name[1:-1]}}};{scheme.rank}"
    name = rf"$\langle {inside} \rangle$"
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
    description = scheme.target.description
    lines = [
        f"# {scheme.name}",
        "",
        f"{description[0].upper()}{description[1:]} with {_facts(scheme)}; growth factor "
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

    Sides are padded with zeros to multiples of the format's to the power of `levels`. For targets other than matrix
    products it is ``product(a, b)``, one step on the last axes of a and b.
    """
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name}: schemes over {scheme.ring} are not written as NumPy code")
    if not isinstance(scheme.target, MatrixProduct):
        return _flat_numpy_code(scheme)
    n, m, p = scheme.target.format
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


def _flat_numpy_code(scheme: Scheme) -> str:
    """One step of a scheme for vectors: a[..., i], b[..., j] to c[..., k]."""
    u, v, w = scheme.fractions()
    a, b, c = scheme.target.shape
    names = [[f"{letter}[..., {i}]" for i in range(length)] for letter, length in (("a", a), ("b", b))]
    fractions = ", np.float16" if scheme.denominators != (1, 1, 1) else ""
    head = scheme.target.description
    lines = [
        f'"""{head[0].upper()}{head[1:]} by a scheme with {_facts(scheme)}.',
        "",
        f'SHA-256 of the scheme: {scheme.digest}"""',
        "",
        "import numpy as np",
        "",
        "",
        "def product(a, b):",
        f'    """c (..., {c}) of a (..., {a}) and b (..., {b})."""',
        "    a, b = np.asarray(a), np.asarray(b)",
        "    shape = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])",
        f"    c = np.zeros((*shape, {c}), np.result_type(a, b{fractions}))",
    ]
    for r, (left, right) in enumerate(zip(u, v, strict=True)):
        x, y = _python_sum(left, names[0]), _python_sum(right, names[1])
        if not x or not y:
            continue
        lines.append(f"    x = ({x}) * ({y})")
        for k, row in enumerate(w):
            if row[r]:
                sign, term = ("-", -row[r]) if row[r] < 0 else ("+", row[r])
                lines.append(f"    c[..., {k}] {sign}= {_python_sum([term], ['x'])}")
    return "\n".join([*lines, "    return c", ""])


def c_code(scheme: Scheme) -> str:
    """A C99 file with one function for one product of base-size matrices, stored by rows with leading dimensions.

    For targets other than matrix products the operands are vectors. The element type is ``double`` unless
    ``GROKKIT_REAL`` is defined before.
    """
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name}: schemes over {scheme.ring} are not written as C code")
    if max(scheme.target.shape) * scheme.rank > 2**20:
        raise InvalidInput(f"{scheme.name}: too large to write out as C code")
    u, v, w = scheme.fractions()
    target = scheme.target
    if isinstance(target, MatrixProduct):
        names = [
            [f"{letter}[{i} * ld{letter} + {j}]" for i in range(rows) for j in range(columns)]
            for letter, (rows, columns) in zip("abc", target.sides(), strict=True)
        ]
        what = f"C = A B for a {target.n} x {target.m} by a {target.m} x {target.p} matrix"
        name = "matmul_" + "x".join(map(str, target.format))
        operands = ["*a, ptrdiff_t lda", "*b, ptrdiff_t ldb", "*c, ptrdiff_t ldc"]
    else:
        names = [[f"{letter}[{i}]" for i in range(size)] for letter, size in zip("abc", target.shape, strict=True)]
        what = target.description
        name = re.sub("[^a-z0-9]+", "_", target.name[1:-1])
        operands = ["*a", "*b", "*c"]
    opening = f"void {name}("
    slots = [f"m{r + 1}" for r in range(scheme.rank)]
    lines = [
        f"/* {what}: {_facts(scheme)}.",
        f"   SHA-256 of the scheme: {scheme.digest} */",
        "#include <stddef.h>",
        "",
        "#ifndef GROKKIT_REAL",
        "#define GROKKIT_REAL double",
        "#endif",
        "",
        f"{opening}const GROKKIT_REAL {operands[0]}, const GROKKIT_REAL {operands[1]},",
        f"{' ' * len(opening)}GROKKIT_REAL {operands[2]})",
        "{",
    ]
    for slot, left, right in zip(slots, u, v, strict=True):
        lines.append(f"    const GROKKIT_REAL {slot} = ({_c_sum(left, names[0])}) * ({_c_sum(right, names[1])});")
    for place, row in zip(names[2], w, strict=True):
        lines.append(f"    {place} = {_c_sum(row, slots)};")
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
