"""Writing schemes in the formats of other collections. Law: what is written reads back as the same scheme."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final, TypeAlias

import numpy as np

from grokkit.scheme._counts import additions
from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short
from grokkit.scheme._program import Program, Sum
from grokkit.scheme._scheme import Scheme, magnitude
from grokkit.scheme._target import MatrixProduct

Rows: TypeAlias = list[list[Fraction]]
EXACT_FLOAT: Final = 2**53


def _sides(scheme: Scheme) -> tuple[Rows, Rows, Rows]:
    """U, V and W by slots, W with C row by row."""
    u, v, w = scheme.fractions()
    return u, v, [list(column) for column in zip(*w, strict=True)] if w else []


def _format(scheme: Scheme) -> tuple[int, int, int]:
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name}: this format holds schemes of matrix products only; write grokkit JSON")
    if not scheme.rank:
        raise InvalidInput(f"{scheme.name}: a scheme without products is written as grokkit JSON only")
    return scheme.target.format


def _matrix(row: list[Fraction], columns: int, transposed: bool = False) -> Rows:
    matrix = [row[start : start + columns] for start in range(0, len(row), columns)]
    return [list(column) for column in zip(*matrix, strict=True)] if transposed else matrix


def perminov(scheme: Scheme) -> dict[str, bytes]:
    """JSON with u, v, w (products × entries), C transposed, and the formulas as text."""
    n, m, p = _format(scheme)
    u, v, w = _sides(scheme)

    def number(value: Fraction) -> int | str:
        return value.numerator if value.denominator == 1 else str(value)

    def rows(matrix: Rows) -> str:
        return ",\n".join("        " + json.dumps([number(value) for value in row]) for row in matrix)

    names = [_names("a", n, m), _names("b", m, p), _names("c", n, p)]
    products = [
        f"m{r + 1} = ({_combination(left, names[0])}) * ({_combination(right, names[1])})"
        for r, (left, right) in enumerate(zip(u, v, strict=True))
    ]
    slots = [f"m{r + 1}" for r in range(scheme.rank)]
    rows_of_w = [list(row) for row in zip(*w, strict=True)]
    outputs = [f"{name} = {_combination(row, slots)}" for name, row in zip(names[2], rows_of_w, strict=True)]
    flat = [[value for line in _matrix(row, p, transposed=True) for value in line] for row in w]
    listed = ",\n".join
    text = (
        f'{{\n    "n": [{n}, {m}, {p}],\n    "m": {scheme.rank},\n'
        f'    "z2": {json.dumps(scheme.ring.characteristic == 2)},\n'
        f'    "multiplications": [\n{listed("        " + json.dumps(line) for line in products)}\n    ],\n'
        f'    "elements": [\n{listed("        " + json.dumps(line) for line in outputs)}\n    ],\n'
        f'    "u": [\n{rows(u)}\n    ],\n    "v": [\n{rows(v)}\n    ],\n    "w": [\n{rows(flat)}\n    ]\n}}\n'
    )
    return {"": text.encode("ascii")}


def reduced_json(scheme: Scheme, program: Program) -> str:
    """JSON with shared subexpressions: new sums in ``*_fresh``, over the originals and earlier ones."""
    n, m, p = _format(scheme)

    def number(value: Fraction) -> int | str:
        return value.numerator if value.denominator == 1 else str(value)

    def sums(rows: Sequence[Sum]) -> str:
        lines = (json.dumps([{"index": i, "value": number(value)} for i, value in row]) for row in rows)
        return "[" + ",".join(f"\n        {line}" for line in lines) + "\n    ]"

    parts = [f'"n": [{n}, {m}, {p}]', f'"m": {scheme.rank}', f'"z2": {json.dumps(scheme.ring.characteristic == 2)}']
    counts = {"naive": additions(scheme).total, "reduced": program.additions}
    parts.append(f'"complexity": {json.dumps(counts)}')
    for side, linear in zip("uvw", (program.a, program.b, program.c), strict=True):
        parts += [f'"{side}_fresh": {sums(linear.steps)}', f'"{side}": {sums(linear.outputs)}']
    return "{\n    " + ",\n    ".join(parts) + "\n}\n"


def _names(letter: str, rows: int, columns: int) -> list[str]:
    """a11, a12, ...; a1_10 where an index has two digits."""
    middle = "_" if max(rows, columns) > 9 else ""
    return [f"{letter}{i + 1}{middle}{j + 1}" for i in range(rows) for j in range(columns)]


def _combination(row: list[Fraction], names: list[str]) -> str:
    """A signed sum such as ``a11 - 2*a12``; ``0`` if empty."""
    text = ""
    for value, name in zip(row, names, strict=True):
        if value:
            sign = ("-" if value < 0 else "") if not text else (" - " if value < 0 else " + ")
            size = abs(value)
            text += sign + (name if size == 1 else f"{size}*{name}")
    return text or "0"


def mathematica(scheme: Scheme) -> dict[str, bytes]:
    """A list of triples of matrices, the third transposed."""
    _, m, p = _format(scheme)
    u, v, w = _sides(scheme)

    def braces(matrix: Rows) -> str:
        return "{" + ", ".join("{" + ", ".join(map(str, row)) + "}" for row in matrix) + "}"

    lines = [
        f"  {{{braces(_matrix(a, m))}, {braces(_matrix(b, p))}, {braces(_matrix(c, p, transposed=True))}}}"
        for a, b, c in zip(u, v, w, strict=True)
    ]
    return {"": ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii")}


def maple(scheme: Scheme) -> dict[str, bytes]:
    """A TriadSet with the matrices of variables before it, and a line that checks it."""
    n, m, p = _format(scheme)
    u, v, w = _sides(scheme)

    def brackets(matrix: list[list[str]]) -> str:
        rows = ",".join("[" + ",".join(row) + "]" for row in matrix)
        return f"Matrix({len(matrix)}, {len(matrix[0])}, [{rows}])"

    def variables(letter: str, rows: int, columns: int) -> str:
        names = [[f"{letter}_{i + 1}_{j + 1}" for j in range(columns)] for i in range(rows)]
        return f"{letter}:={brackets(names)}:"

    def numbers(matrix: Rows) -> str:
        return brackets([[str(value) for value in row] for row in matrix])

    triads = ", ".join(
        f"Triad([{numbers(_matrix(a, m))}, {numbers(_matrix(b, p))}, {numbers(_matrix(c, p, transposed=True))}])"
        for a, b, c in zip(u, v, w, strict=True)
    )
    check = (
        "map(expand,A.B-add(LinearAlgebra:-Trace(LinearAlgebra:-Transpose(op([1,i,1,1],Tensor)).A)"
        "*LinearAlgebra:-Trace(LinearAlgebra:-Transpose(op([1,i,1,2],Tensor)).B)"
        f"*LinearAlgebra:-Transpose(op([1,i,1,3],Tensor)),i=1..{scheme.rank}));"
    )
    lines = [variables("A", n, m), variables("B", m, p), variables("C", p, n), f"Tensor:=TriadSet([{triads}]):", check]
    return {"": ("\n".join(lines) + "\n").encode("ascii")}


def sheet(scheme: Scheme) -> dict[str, bytes]:
    """Three blocks of numbers, a row an entry of A, B or C, a column a product."""
    _format(scheme)
    blocks = ["\n".join(" ".join(map(str, row)) for row in zip(*side, strict=True)) for side in _sides(scheme)]
    return {"": (f"# {scheme.name} over {scheme.ring}\n" + "\n#\n".join(blocks) + "\n").encode("ascii")}


def expressions(scheme: Scheme) -> dict[str, bytes]:
    """One product of three linear forms a line, C transposed."""
    n, m, p = _format(scheme)
    u, v, w = _sides(scheme)
    names = [_names("a", n, m), _names("b", m, p), [name for row in _transposed_names(n, p) for name in row]]

    def form(row: list[Fraction], side: list[str]) -> str:
        # a form that is zero still names its matrix
        return f"({_combination(row, side).replace(' ', '') if any(row) else '0*' + side[0]})"

    lines = ["*".join(map(form, slot, names)) for slot in zip(u, v, w, strict=True)]
    return {"": ("\n".join(lines) + "\n").encode("ascii")}


def _transposed_names(n: int, p: int) -> list[list[str]]:
    middle = "_" if max(n, p) > 9 else ""
    return [[f"c{j + 1}{middle}{i + 1}" for j in range(p)] for i in range(n)]


def sms(scheme: Scheme) -> dict[str, bytes]:
    """Three sparse matrices: products × A, products × B, C × products."""
    _format(scheme)
    u, v, w = scheme.fractions()
    files = {}
    for letter, matrix in zip("LRP", (u, v, w), strict=True):
        entries = [f"{i} {j} {x}" for i, row in enumerate(matrix, 1) for j, x in enumerate(row, 1) if x]
        head = f"{len(matrix)} {len(matrix[0])} R"
        files[f"_{letter}"] = ("\n".join([head, *entries, "0 0 0"]) + "\n").encode("ascii")
    return files


def _numeric(scheme: Scheme) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The factors as int64, or as float64 where the denominators are powers of two and nothing is rounded."""
    if scheme.denominators == (1, 1, 1) and all(x.dtype == np.int64 for x in (scheme.U, scheme.V, scheme.W)):
        return scheme.U.copy(), scheme.V.copy(), scheme.W.copy()
    _check_floats(scheme)
    return scheme.floats()


def _check_floats(scheme: Scheme) -> None:
    """Refuse a scheme whose coefficients would not be read back from floats: see `dyadic_matrix`."""
    if any(d & (d - 1) for d in scheme.denominators) or max(scheme.denominators) > 2**20:
        shown = ", ".join(map(short, scheme.denominators))
        raise InvalidInput(f"{scheme.name}: denominators ({shown}) have no exact form as floats; write grokkit JSON")
    if any(magnitude(x) >= 2**31 for x in (scheme.U, scheme.V, scheme.W)):
        raise InvalidInput(f"{scheme.name}: coefficients from 2^31 are not written as floats; write grokkit JSON")


def alphatensor(scheme: Scheme) -> dict[str, bytes]:
    """An `.npz` archive with one member ``n,m,p``: u, v, w as (entries × products), C transposed.

    Where the three have the same shape they are stacked. Otherwise they are an array of objects, which is a pickle:
    reading it back needs a reader that only builds arrays, as grokkit's is, or ``allow_pickle=True``.
    """
    n, m, p = _format(scheme)
    u, v, w = _numeric(scheme)
    w = w.reshape(n, p, -1).transpose(1, 0, 2).reshape(n * p, -1)
    triple = [np.ascontiguousarray(x) for x in (u.T, v.T, w)]
    if len({x.shape for x in triple}) == 1:
        array = np.stack(triple)
    else:
        array = np.empty(3, dtype=object)
        for at, x in enumerate(triple):
            array[at] = x
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=True)
    return {"": _zip({f"{n},{m},{p}.npy": stream.getvalue()}, zipfile.ZIP_DEFLATED)}


def _zip(members: dict[str, bytes], method: int) -> bytes:
    """An archive with fixed dates: the same content gives the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(info, data)
    return stream.getvalue()


def weights(scheme: Scheme) -> dict[str, bytes]:
    """A `.pt` file with U (products × A), V (products × B) and W (C × products) as float64 tensors.

    ``torch.load(path, weights_only=True)`` reads it.
    """
    _format(scheme)
    _check_floats(scheme)
    arrays = dict(zip("UVW", scheme.floats(), strict=True))
    members = {"weights/data.pkl": _torch_pickle({name: x.shape for name, x in arrays.items()})}
    members["weights/byteorder"] = b"little"
    members |= {f"weights/data/{at}": x.astype("<f8").tobytes() for at, x in enumerate(arrays.values())}
    members["weights/version"] = b"3\n"
    return {"": _zip(members, zipfile.ZIP_STORED)}


def _torch_pickle(shapes: dict[str, tuple[int, ...]]) -> bytes:
    """The pickle of a dict of contiguous float64 tensors, as torch.save writes one."""

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode("ascii")

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    out = b"\x80\x02}("
    for at, (name, (rows, columns)) in enumerate(shapes.items()):
        storage = b"(" + text("storage") + b"ctorch\nDoubleStorage\n" + text(str(at)) + text("cpu")
        out += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + integer(rows * columns) + b"tQ"
        out += integer(0) + integer(rows) + integer(columns) + b"\x86" + integer(columns) + integer(1) + b"\x86"
        out += b"\x89ccollections\nOrderedDict\n)RtR"
    return out + b"u."


WRITERS: Final[dict[str, tuple[str, Callable[[Scheme], dict[str, bytes]]]]] = {
    "alphatensor": (".npz", alphatensor),
    "perminov": (".json", perminov),
    "mathematica": (".m", mathematica),
    "maple": (".mpl", maple),
    "text": (".txt", sheet),
    "exp": (".exp", expressions),
    "sms": (".sms", sms),
    "weights": (".pt", weights),
}
"""Formats that are read back: the usual suffix, and what gives the bytes of each file by what is added to its stem."""
