"""What to say of a word that is not known: the nearest one that is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

LISTED: Final = 20
"""Words up to which all are listed."""


def suggestion(word: object, known: Iterable[str]) -> str:
    """``; did you mean x?`` for the nearest of the known words, or all of them, in their order, where none is
    near and they are few.

    >>> suggestion("adamv", ("adamw", "sgd"))
    '; did you mean adamw?'
    >>> suggestion("lion", ("adamw", "sgd"))
    '; use one of adamw, sgd'
    """
    words = list(known)
    close = difflib.get_close_matches(str(word), words, 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; use one of {', '.join(words)}" if len(words) <= LISTED else ""
