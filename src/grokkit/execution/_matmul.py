"""The public product."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from grokkit.execution._array import FastArray, asfast
from grokkit.execution._complex import SMALLEST as SMALL_COMPLEX
from grokkit.execution._dask import dask_product, is_dask
from grokkit.execution._operands import PLAIN, Operands, is_plain, own_array
from grokkit.execution._plan import quick_vendor
from grokkit.execution._routes import Wish, chunk_product, computed, wished
from grokkit.execution._threads import threads_for
from grokkit.execution._vendor import vendor_product
from grokkit.scheme import InvalidInput, Scheme

AUTO: Final = "auto"
SMALL: Final = 2**16
"""Multiplications up to which NumPy's product is the fastest for any type, and runs on one thread."""
_ndarray: Final = np.ndarray
_numpy: Final = np.matmul


def matmul(
    a: Any,
    b: Any,
    *,
    out: Any = None,
    scheme: Scheme | str = AUTO,
    levels: int | str | None = AUTO,
    threads: int | None = None,
    accuracy: float | None = None,
    mod: int | None = None,
    scaling: bool = False,
) -> Any:
    """Matrix product with the semantics of `numpy.matmul`, faster where a gain is predicted.

    Parameters
    ----------
    a, b:
        Operands as `numpy.matmul` takes them: anything array-like, of any strides and dtypes, vectors, stacks of
        matrices that broadcast; also dask arrays. Objects that have a say in NumPy's functions (subclasses of arrays,
        objects with ``__array_ufunc__`` and the like) have it here: they are handed to `numpy.matmul`.
    out:
        Array for the result, as in `numpy.matmul`; returned. It may overlap the operands.
    scheme:
        ``"auto"`` (default): whatever is predicted to be fastest, NumPy's own product where nothing is faster.
        Otherwise a `Scheme`, or a catalog name such as ``"strassen"`` or ``"2x2x2:7"``, which is proven and then used
        whether it gains or not: natively for float32 and float64, else by recursion in NumPy.
    levels:
        Recursive steps. ``"auto"`` or None: as predicted, or 1 with an explicit scheme. A number without a scheme
        forces so many steps of a suitable one. Sizes that do not divide are no obstacle.
    threads:
        Most threads to use. None: as many as NumPy's BLAS is set to. While NumPy multiplies, the number holds for the
        BLAS of the whole process.
    accuracy:
        Largest admissible typical error ‖Ĉ − C‖F / ‖C‖F of what ``"auto"`` chooses (`Plan.error_estimate`), such as
        1e-6. NumPy's own product is always admitted.
    mod:
        Gives ``(a @ b) % mod`` for integers, exactly, however large the product: see `modular_product`. A scheme may
        then be one over GF(mod).
    scaling:
        Scales rows, columns and the inner dimension by powers of two first (`grokkit.execution._scaling.scaled`). For
        badly scaled floating-point matrices, on which fast schemes lose digits that the classical product keeps.
        It costs a copy of the operands and some passes over them; nothing where NumPy multiplies.

    Returns the product in the dtype that `numpy.matmul` gives, `out` if there is one.

    Integers are bit for bit NumPy's. Floating-point results differ from NumPy's by rounding: with a scheme the error
    is small against ‖A‖ ‖B‖, not against each entry. Complex matrices may be multiplied by three real products, with
    the same reservation (`ThreeProducts`). Infinities and NaN are where NumPy has them, and its warnings of overflow
    and of invalid values are NumPy's own: entries that are not finite are computed again by it. Only where dask arrays
    are multiplied by levels on their grid of chunks, what is not finite may come out as NaN.

    Raises what `numpy.matmul` raises for operands and `out`; `InvalidInput` for other arguments that make no sense,
    `KeyError` for an unknown name, `Refuted` for a scheme that is not exact.

    >>> import numpy as np
    >>> a = np.arange(15).reshape(3, 5)
    >>> bool((matmul(a, a.T, scheme="strassen", levels=2) == a @ a.T).all())
    True
    >>> matmul([[2, -3]], [[5], [7]], mod=1000)
    array([[989]])
    """
    if (
        type(a) is type(b) is _ndarray
        and scheme is AUTO
        and levels is AUTO
        and accuracy is mod is None
        and scaling is False
        and _small(a, b)
    ):
        if threads is None:
            return _numpy(a, b, out=out)
        count = threads_for(threads)
        return _numpy(a, b, out=out) if a.size * b.size <= SMALL else vendor_product(a, b, out, count)
    if isinstance(a, FastArray) or isinstance(b, FastArray) or isinstance(out, FastArray):
        given = (("scheme", scheme, AUTO), ("levels", levels, AUTO), ("threads", threads, None),
                 ("accuracy", accuracy, None), ("mod", mod, None), ("scaling", scaling, False))  # fmt: skip
        asked = {name: value for name, value, usual in given if value is not usual}
        if asked and all(x is None or is_plain(x) or isinstance(x, FastArray) for x in (a, b, out)):
            return _fast_product(a, b, out, asked)
    wish = wished(scheme, levels, threads, accuracy, mod, scaling)
    if is_dask(a) or is_dask(b):
        return _lazy(a, b, out, levels, wish)
    return _product(a, b, out, wish)


def _small(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether arrays are certain to be NumPy's to multiply. Must be quick; may be wrong where it says no."""
    if a.ndim < 2 or b.ndim < 2:
        return True
    kind = a.dtype.char
    if kind in "fd" and a.ndim == 2 == b.ndim:
        n, m = a.shape
        return quick_vendor(n, m, b.shape[1], 8)
    return a.size * b.shape[-1] <= (SMALL_COMPLEX if kind in "FD" else SMALL)


def _product(a: Any, b: Any, out: Any, wish: Wish) -> Any:
    given: Any = out[0] if type(out) is tuple and len(out) == 1 else out
    for x in (a, b, given):
        if x is not None and not is_plain(x):
            _refuse_demands(wish, x)
            return np.matmul(a, b, out=out)
    a, b = own_array(a), own_array(b)
    if given is not None and type(given) not in PLAIN:
        return np.matmul(a, b, out=out)
    target = None if given is None else own_array(given)
    operands = Operands.of(a, b, target)
    if operands is None:
        if target is not None and wish.mod is not None and Operands.of(a, b, None) is not None:
            raise InvalidInput(f"out is {target.dtype} of shape {target.shape}, which cannot take the product")
        return np.matmul(a, b, out=out)
    result = computed(operands, wish)
    if result is None:
        return vendor_product(a, b, out, wish.threads)
    return result if given is None else given


def _fast_product(a: Any, b: Any, out: Any, asked: dict[str, Any]) -> Any:
    """The product of operands of which some are fast arrays: what is asked for here goes before their options."""
    left, right, target = [x.view(np.ndarray) if isinstance(x, FastArray) else x for x in (a, b, out)]
    options = next((x.options for x in (a, b) if isinstance(x, FastArray)), {})
    result = matmul(left, right, out=target, **{**options, **asked})
    if out is not None:
        return out
    return asfast(result, **options) if isinstance(result, np.ndarray) else result


def _refuse_demands(wish: Wish, foreign: Any) -> None:
    """Raise `InvalidInput` where more is asked for than NumPy can do with an object that has a say in its functions."""
    demands = [name for name, made in (("scheme", wish.explicit), ("mod", wish.mod), ("scaling", wish.scaling)) if made]
    if demands:
        kind = f"{type(foreign).__module__}.{type(foreign).__qualname__}"
        raise InvalidInput(f"{demands[0]} is for plain arrays, not {kind}; convert it with numpy.asarray first")


def _lazy(a: Any, b: Any, out: Any, levels: Any, wish: Wish) -> Any:
    for name, given in (("out", out is not None), ("mod", wish.mod is not None), ("scaling", wish.scaling)):
        if given:
            raise InvalidInput(f"{name} is not for dask arrays")
    scheme = AUTO if wish.scheme is None else wish.scheme
    product = chunk_product(wish.threads, wish.accuracy)
    wanted = None if levels == AUTO else levels
    if wanted is None and wish.accuracy is not None and scheme == AUTO:
        wanted = 0  # levels on the grid of chunks would come on top of what the chunks are estimated at
    return dask_product(a, b, scheme=scheme, levels=wanted, product=product)
