"""JSON files with factor matrices ``u``, ``v``, ``w``, as Perminov's collection writes them, and their reduced form."""

from __future__ import annotations

from typing import Any, Final

from grokkit.scheme._errors import InvalidInput, UnreadableFile
from grokkit.scheme._files import short
from grokkit.scheme._program import LinearProgram, Program, Sum
from grokkit.scheme.formats._expressions import read_equations
from grokkit.scheme.formats._raw import ExactMatrix, Raw, Shape, coefficient, exact_matrix

MAX_TERMS: Final = 2**22


def looks_like_factors(content: Any) -> bool:
    """Whether a JSON object holds a scheme in one of these layouts."""
    if not isinstance(content, dict):
        return False
    keys = {key.lower() for key in content}
    return {"u", "v", "w"} <= keys or {"multiplications", "elements"} <= keys


def read_factors(content: dict[str, Any]) -> Raw:
    """The factors in a JSON object: dense or reduced matrices, or equations as text."""
    content = {key.lower(): value for key, value in content.items()}
    form, rank = _format(content.get("n")), _rank(content.get("m"))
    if any(f"{side}_fresh" in content for side in "uvw"):
        return _reduced(content, form, rank)
    if not {"u", "v", "w"} <= content.keys():
        raw = read_equations(*(_texts(content[key], key) for key in ("multiplications", "elements")))
        return Raw("JSON with equations", raw.u, raw.v, raw.w, form, raw.shapes, rank)
    (u, shape_u), (v, shape_v), (w, shape_w) = (_matrix(content[side], side) for side in "uvw")
    if len(w[0]) != len(u[0]) and w[0].shape[1] == len(u[0]) and shape_w is None:
        w = (w[0].T.copy(), w[1])  # outputs × slots
    return Raw("JSON with factor matrices", u, v, w, form, (shape_u, shape_v, shape_w), rank)


def _format(value: Any) -> tuple[int, int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 3 or not all(type(x) is int and 1 <= x <= 1024 for x in value):
        raise UnreadableFile(f"its format n is {short(value)}; three integers in 1..1024 are needed")
    return value[0], value[1], value[2]


def _rank(value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise UnreadableFile(f"its number of products m is {short(value)}; an integer is needed")
    return value


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise UnreadableFile(f"{where} is no list of equations")
    return value


def _matrix(value: Any, name: str) -> tuple[ExactMatrix, Shape | None]:
    """A list of rows, or a list of matrices, one a slot, which are then flattened row by row."""
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise UnreadableFile(f"{name} is no list of rows")
    shape: Shape | None = None
    if value and all(row and all(isinstance(line, list) for line in row) for row in value):
        shape = (len(value[0]), len(value[0][0]))
        for r, slot in enumerate(value):
            if len(slot) != shape[0] or any(len(line) != shape[1] for line in slot):
                raise UnreadableFile(f"{name}[{r}] is not {shape[0]} x {shape[1]}, as {name}[0] is")
        value = [[entry for line in slot for entry in line] for slot in value]
    rows = [[coefficient(entry, f"{name}[{r}][{c}]") for c, entry in enumerate(row)] for r, row in enumerate(value)]
    return exact_matrix(rows, name), shape


def _reduced(content: dict[str, Any], form: tuple[int, int, int] | None, rank: int | None) -> Raw:
    """A scheme whose sums share subexpressions: new sums in ``*_fresh``, over the originals and earlier ones."""
    if form is None or rank is None:
        raise UnreadableFile("a reduced scheme needs its format n and its number of products m")
    n, m, p = form
    if rank * max(n * m, m * p, n * p) > MAX_TERMS:
        raise UnreadableFile(f"{rank} products of format <{n},{m},{p}> are more than are read")
    try:
        a, b, c = (
            LinearProgram(inputs, _sums(content, f"{side}_fresh"), _sums(content, side))
            for side, inputs in (("u", n * m), ("v", m * p), ("w", rank))
        )
        for name, program, outputs in (("u", a, rank), ("v", b, rank), ("w", c, n * p)):
            if len(program.outputs) != outputs:
                raise UnreadableFile(f"{name} has {len(program.outputs)} rows; format and rank need {outputs}")
        u, v, w = exact_matrix(a.rows(), "u"), exact_matrix(b.rows(), "v"), exact_matrix(c.rows(), "w")
    except UnreadableFile:
        raise
    except InvalidInput as error:
        raise UnreadableFile(str(error)) from None
    kind = "JSON with shared subexpressions"
    return Raw(kind, u, v, (w[0].T.copy(), w[1]), form, rank=rank, program=Program(a, b, c))


def _sums(content: dict[str, Any], name: str) -> tuple[Sum, ...]:
    rows = content.get(name, [])
    if not isinstance(rows, list):
        raise UnreadableFile(f"{name} is no list of sums")
    return tuple(_sum(row, f"{name}[{at}]") for at, row in enumerate(rows))


def _sum(row: Any, where: str) -> Sum:
    if not isinstance(row, list):
        raise UnreadableFile(f"{where} is no list of terms")
    terms = []
    for term in row:
        if not isinstance(term, dict) or term.keys() != {"index", "value"} or type(term["index"]) is not int:
            raise UnreadableFile(f"{where} has a term that is no {{index, value}}")
        terms.append((term["index"], coefficient(term["value"], where)))
    return tuple(terms)
