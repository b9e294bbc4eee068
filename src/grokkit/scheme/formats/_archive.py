"""Schemes in archives of arrays: AlphaTensor's `.npz`, one scheme a member, and files of weights that are exact.

Object arrays are pickles. They are read by the machine of `grokkit.scheme._pickle`, which can only build arrays.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np

from grokkit.scheme._errors import InvalidInput, UnreadableFile
from grokkit.scheme._scheme import MAX_FACTOR_ENTRIES
from grokkit.scheme._weights import Weights
from grokkit.scheme.formats._raw import Raw, dyadic_matrix

_FORMAT: Final = re.compile(r"<?\s*([0-9]{1,4})\s*[,x_]\s*([0-9]{1,4})\s*[,x_]\s*([0-9]{1,4})\s*>?")


def format_of_name(name: str) -> tuple[int, int, int] | None:
    """The format in a member's name such as ``4,5,5``."""
    match = _FORMAT.fullmatch(name)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def factors_of_member(name: str, content: Any) -> Raw:
    """The factors in one member: three matrices, stacked or as objects, (dimension × slots) or the reverse."""
    matrices: Any = list(content) if isinstance(content, np.ndarray) and content.ndim == 3 else content
    if not isinstance(matrices, list) or len(matrices) != 3 or not all(isinstance(x, np.ndarray) for x in matrices):
        raise UnreadableFile("no triple of matrices u, v, w")
    if any(matrix.ndim != 2 for matrix in matrices):
        shown = ", ".join(str(matrix.shape) for matrix in matrices)
        raise UnreadableFile(f"arrays of shapes {shown[:80]}; three matrices are needed")
    if any(matrix.size > MAX_FACTOR_ENTRIES for matrix in matrices):
        raise UnreadableFile("factors of more entries than are read")
    form = format_of_name(name)
    turned = _slots_last([matrix.shape for matrix in matrices], form)
    exact = [
        dyadic_matrix(matrix.T if turned else matrix, letter) for letter, matrix in zip("UVW", matrices, strict=True)
    ]
    return Raw("AlphaTensor archive", exact[0], exact[1], exact[2], form)


def _slots_last(shapes: list[tuple[int, ...]], form: tuple[int, int, int] | None) -> bool:
    """Whether the slots are the columns, as AlphaTensor writes them; decided by what agrees."""
    for axis in (1, 0):
        same = len({shape[axis] for shape in shapes}) == 1
        widths = [shape[1 - axis] for shape in shapes]
        if same and (
            form is None or sorted(widths) == sorted([form[0] * form[1], form[1] * form[2], form[0] * form[2]])
        ):
            return axis == 1
    return True


def factors_of_weights(weights: Weights) -> Raw:
    """The factors of a weight file whose entries are exact. Raises `UnreadableFile` for trained weights."""
    try:
        u, v, w = (dyadic_matrix(x, name) for x, name in zip((weights.U, weights.V, weights.W.T), "UVW", strict=True))
    except InvalidInput as error:
        raise UnreadableFile(str(error)) from None
    return Raw("weight file", u, v, w, weights.target.format)
