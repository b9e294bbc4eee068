"""Factor matrices as a file holds them, before a convention is chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeAlias, final

import numpy as np

from grokkit.scheme._errors import UnreadableFile
from grokkit.scheme._files import short
from grokkit.scheme._gaussian import Gaussian, parts, simple
from grokkit.scheme._program import Program
from grokkit.scheme._scheme import integer_array

ExactMatrix: TypeAlias = tuple[np.ndarray, int]
"""Integer numerators (rows × columns) and their denominator."""
Shape: TypeAlias = tuple[int, int]
MAX_DYADIC_BITS: Final = 20
LARGEST_FLOAT: Final = 2.0**31


@final
@dataclass(frozen=True)
class Raw:
    """Three factor matrices out of a file, one row a slot, in the order of the file.

    Parameters
    ----------
    kind:
        The format of the file, for people.
    u, v, w:
        The factors as exact matrices, (slots × width).
    format:
        The matrix format (n, m, p) that the file declares, if it does.
    shapes:
        (rows, columns) in which the file writes each factor of a slot as a matrix, where it does.
    rank:
        The number of products that the file declares, if it does.
    member:
        The name of the scheme inside a file of several.
    program:
        The straight-line program that the file holds, if it holds the factors in that form.
    """

    kind: str
    u: ExactMatrix
    v: ExactMatrix
    w: ExactMatrix
    format: tuple[int, int, int] | None = None
    shapes: tuple[Shape | None, Shape | None, Shape | None] = (None, None, None)
    rank: int | None = None
    member: str = ""
    program: Program | None = None


def exact_matrix(rows: Sequence[Sequence[Any]], name: str = "a factor") -> ExactMatrix:
    """Rows of integers, fractions and Gaussian numbers over their common denominator."""
    width = len(rows[0]) if rows else 0
    for r, row in enumerate(rows):
        if len(row) != width:
            raise UnreadableFile(f"{name}: row {r + 1} has {len(row)} entries, row 1 has {width}")
    common = math.lcm(*{part.denominator for row in rows for value in row for part in parts(value)})
    if common.bit_length() > 2**14:
        raise UnreadableFile(f"{name}: a common denominator of {common.bit_length()} bits")
    if any(isinstance(value, Gaussian) for row in rows for value in row):
        whole = [[_scaled(value, common) for value in row] for row in rows]
        return integer_array(whole, name, width, gaussian=True), common
    if common == 1:
        return integer_array([[int(value) for value in row] for row in rows], name, width), 1
    return integer_array([[int(value * common) for value in row] for row in rows], name, width), common


def _scaled(value: Any, factor: int) -> Any:
    re, im = parts(value)
    return simple(int(re * factor), int(im * factor))


def dyadic_matrix(array: np.ndarray, name: str) -> ExactMatrix:
    """A numeric matrix exactly: integers, or floats that are multiples of 2⁻²⁰ and below 2³¹.

    Raises `UnreadableFile` naming the first entry that is no such number: trained weights, say.
    """
    if array.ndim != 2:
        raise UnreadableFile(f"{name} has shape {array.shape}; a matrix is needed")
    if array.dtype.kind in "iub":
        return integer_array(array.astype(np.int64) if array.dtype.kind == "b" else array, name, array.shape[1]), 1
    if array.dtype.kind == "c":
        (real, below_re), (imaginary, below_im) = (
            dyadic_matrix(np.real(array), name),
            dyadic_matrix(np.imag(array), name),
        )
        common = max(below_re, below_im)
        pairs = zip(real.flat, imaginary.flat, strict=True)
        whole = [simple(int(re) * (common // below_re), int(im) * (common // below_im)) for re, im in pairs]
        width = array.shape[1]
        rows = [whole[start : start + width] for start in range(0, len(whole), width)]
        return integer_array(rows, name, width, gaussian=True), common
    if array.dtype.kind != "f":
        raise UnreadableFile(f"{name} has dtype {short(str(array.dtype))[1:-1]}; numbers are needed")
    wide = array.astype(np.float64)
    with np.errstate(invalid="ignore"):
        inside = np.abs(wide) <= LARGEST_FLOAT
        scaled = np.where(inside, wide, 0.5) * 2.0**MAX_DYADIC_BITS
        exact = inside & (scaled == np.rint(scaled))
    if not exact.all():
        r, c = np.argwhere(~exact)[0]
        raise UnreadableFile(
            f"{name}[{r}][{c}] is {wide[r, c]:.6g}, not an exact coefficient: these are trained weights; "
            "grokkit crystallize turns them into a scheme"
        )
    numerators = scaled.astype(np.int64)
    common = int(np.gcd.reduce(numerators, axis=None)) if numerators.size else 0
    twos = min((common & -common).bit_length() - 1, MAX_DYADIC_BITS) if common else MAX_DYADIC_BITS
    return numerators >> twos, 1 << (MAX_DYADIC_BITS - twos)


def coefficient(value: Any, where: str) -> Any:
    """A coefficient out of JSON: an integer, a text such as ``"-1/2"`` or ``"1/2+I"``, or an exact binary fraction."""
    if isinstance(value, bool):
        raise UnreadableFile(f"{where} is {short(value)}; a number is needed")
    if isinstance(value, int):
        return Fraction(value)
    if isinstance(value, float):
        fraction = Fraction(value)
        if fraction.denominator > 2**MAX_DYADIC_BITS:
            raise UnreadableFile(f"{where} is {value!r}, not an exact coefficient; write it as a fraction")
        return fraction
    if isinstance(value, str):
        from grokkit.scheme.formats._text import exact_value

        try:
            return exact_value(value)
        except UnreadableFile as error:
            raise UnreadableFile(f"{where}: {error}") from None
    raise UnreadableFile(f"{where} is {short(value)}; a number is needed")
