"""The public product."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from grokkit.execution._recursion import recursive_product
from grokkit.scheme import Certificate, InvalidInput, Scheme, verify


def matmul(a: Any, b: Any, *, scheme: Scheme | str = "auto", levels: int | None = None) -> Any:
    """Matrix product with the semantics of `numpy.matmul`.

    Parameters
    ----------
    a, b:
        Operands as `numpy.matmul` takes them.
    scheme:
        ``"auto"`` (default): the vendor's own product; the native core has no product to beat it yet.
        Otherwise a `Scheme`, or a catalog name such as ``"strassen"`` or ``"2x2x2:7"``,
        which is proven before it is used and then applied recursively in NumPy.
    levels:
        Recursive steps, with an explicit scheme only. Default 1. Sizes that do not divide are padded.

    Returns the product in the dtype that `numpy.matmul` gives. Under an explicit scheme infinities and NaN
    spread to other entries, as sums and differences of entries are multiplied. Raises `Refuted` for a scheme that is
    not exact, `KeyError` for an unknown name, `ValueError` for shapes that do not fit.

    >>> import numpy as np
    >>> a = np.arange(15).reshape(3, 5)
    >>> bool((matmul(a, a.T, scheme="strassen", levels=2) == a @ a.T).all())
    True
    """
    if isinstance(scheme, str):
        if scheme == "auto":
            if levels is not None:
                raise InvalidInput("levels needs an explicit scheme, such as scheme='strassen'")
            return np.matmul(a, b)
        from grokkit.scheme.catalog import catalog

        scheme = catalog[scheme]
    _certified(scheme)
    return recursive_product(scheme, a, b, 1 if levels is None else levels)


@lru_cache(maxsize=256)
def _certified(scheme: Scheme) -> Certificate:
    """Proof of a scheme, remembered by its digest."""
    return verify(scheme)
