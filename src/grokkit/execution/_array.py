"""An array whose matrix products, written as NumPy writes them, are `grokkit.matmul`."""

from __future__ import annotations

import inspect
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final, final

import numpy as np

from grokkit.execution._operands import is_plain
from grokkit.scheme import InvalidInput, suggestion

KINDS: Final = "biufc"
"""Kinds of dtypes whose products are `matmul`'s; other entries may be anything, and stay NumPy's to multiply."""
OPERATORS: Final = (
    *("__add__", "__sub__", "__mul__", "__matmul__", "__truediv__", "__floordiv__", "__mod__", "__divmod__", "__pow__"),
    *("__lshift__", "__rshift__", "__and__", "__or__", "__xor__"),
    *("__lt__", "__le__", "__eq__", "__ne__", "__ge__", "__gt__"),
)
"""Operators by which another kind of array may answer first."""
PLAIN_METHODS: Final = ("nonzero", "round", "searchsorted")
"""Methods that give plain arrays whatever kind the array is of."""
MATRIX_AXES: Final = [(-2, -1)] * 3
"""The axes that NumPy names when it computes ``a @= b``: those that it would take anyway."""


def asfast(x: Any, **options: Any) -> FastArray:
    """The same array with fast products: ``x @ y`` becomes ``grokkit.matmul(x, y, **options)``. No copy is made.

    Parameters
    ----------
    x:
        An array, or what `numpy.asarray` makes one of. A `FastArray` keeps its options unless new ones are given.
    options:
        `scheme`, `levels`, `threads`, `accuracy` and `scaling` as `grokkit.matmul` takes them.

    Returns a view of the same memory. Raises `InvalidInput` for an unknown option, and for arrays that mean more than
    their entries: masked ones, matrices, arrays of other libraries.

    >>> x = asfast([[1, 2], [3, 4]], scheme="strassen")
    >>> x @ x
    FastArray([[ 7, 10],
               [15, 22]])
    """
    known = _option_names()
    if unknown := sorted(options.keys() - known):
        raise InvalidInput(f"option {unknown[0]!r} is not known{suggestion(unknown[0], sorted(known))}")
    if isinstance(x, FastArray) and not options:
        return x
    if _is_foreign(x) or _overrides(x):
        kind = f"{type(x).__module__}.{type(x).__qualname__}"
        raise InvalidInput(f"a {kind} is more than its entries; convert it with numpy.asarray first")
    return _fast(np.asarray(x), MappingProxyType(dict(options)))


@cache
def _option_names() -> frozenset[str]:
    """Keyword arguments of `matmul` that change how a product is computed, not what it is or where it goes."""
    from grokkit.execution import matmul

    parameters = inspect.signature(matmul).parameters.values()
    return frozenset(x.name for x in parameters if x.kind is x.KEYWORD_ONLY) - {"out", "mod"}


@final
class FastArray(np.ndarray):
    """A NumPy array whose matrix products are `grokkit.matmul`. Made by `asfast`.

    It is an `numpy.ndarray`: the same memory, strides and dtypes, and whatever takes arrays takes it. ``@``, ``@=``,
    `dot`, and NumPy's `matmul`, `dot`, `inner`, `tensordot`, `einsum` of two operands, `linalg.multi_dot` and
    `linalg.matrix_power` multiply by ``matmul(..., **options)`` where they come down to products of matrices of
    numbers. Everything else gives what it gives for the plain array; arrays among the results are fast again.
    Of two fast operands the options of the first count.

    Laws: `numpy.asarray` gives back a plain array over the same memory; pickling and copying keep entries, order of
    memory and options; masked arrays, `numpy.matrix` and arrays of other libraries have their way with it as they have
    with a plain array.
    """

    _options: Mapping[str, Any] = MappingProxyType({})

    def __array_finalize__(self, obj: Any) -> None:
        if isinstance(obj, FastArray):
            self._options = obj._options

    @property
    def options(self) -> Mapping[str, Any]:
        """Keyword arguments of its products. Read-only."""
        return self._options

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(_overrides(x) for x in (*inputs, *kwargs.get("out", ()))):
            return NotImplemented
        seen = _Unwrapped()
        plain, named = [seen.plain(x) for x in inputs], seen(kwargs)
        found = NotImplemented
        if ufunc is np.matmul and method == "__call__":
            found = _matmul(*plain, options=seen.options or {}, **named)
        if found is NotImplemented:
            found = getattr(ufunc, method)(*plain, **named)
        return seen.wrapped(found, kwargs.get("subok") is not False)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if not all(issubclass(kind, np.ndarray) for kind in types):
            return NotImplemented
        seen = _Unwrapped()
        plain, named = seen(args), seen(kwargs)
        if func in _MADE_OF_PRODUCTS:
            return super().__array_function__(func, types, seen.fast(plain), kwargs)
        found = NotImplemented
        if func in _CONTRACTIONS:
            found = _CONTRACTIONS[func](*plain, options=seen.options or {}, **named)
        if found is NotImplemented:
            found = func(*plain, **named)
        return seen.wrapped(found, kwargs.get("subok") is not False)

    def dot(self, b: Any, out: Any = None) -> Any:
        """As `numpy.dot`."""
        return np.dot(self, b, out)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _unpickled, (self.view(np.ndarray), dict(self._options))

    def __deepcopy__(self, memo: Any) -> FastArray:
        return _fast(self.view(np.ndarray).__deepcopy__(memo), self._options)


def _fast(x: np.ndarray, options: Mapping[str, Any]) -> FastArray:
    view = x.view(FastArray)
    view._options = options
    return view


def _unpickled(x: np.ndarray, options: dict[str, Any]) -> FastArray:
    return _fast(x, MappingProxyType(options))


def _deferring(name: str) -> Callable[[Any, Any], Any]:
    """A binary operator that leaves subclasses of arrays the say that they have beside a plain array."""
    inherited, plain = getattr(np.ndarray, name), getattr(operator, name, divmod)

    def operate(self: FastArray, other: Any) -> Any:
        if _is_foreign(other):
            return plain(self.view(np.ndarray), other)
        return inherited(self, other)

    operate.__name__ = name
    return operate


def _plainly(name: str) -> Callable[..., Any]:
    """A method of the plain array, its results made fast."""
    inherited = getattr(np.ndarray, name)

    def call(self: FastArray, *arguments: Any, **named: Any) -> Any:
        seen = _Unwrapped()
        return seen.wrapped(inherited(seen(self), *seen(arguments), **seen(named)))

    call.__name__, call.__doc__ = name, inherited.__doc__
    return call


for _name in OPERATORS:
    setattr(FastArray, _name, _deferring(_name))
for _name in PLAIN_METHODS:
    setattr(FastArray, _name, _plainly(_name))


def _is_foreign(x: Any) -> bool:
    """Whether an array is of a kind that means something by itself: masked, a `numpy.matrix`, with units."""
    return isinstance(x, np.ndarray) and not isinstance(x, FastArray) and type(x) not in (np.ndarray, np.memmap)


def _overrides(x: Any) -> bool:
    """Whether an object that is not fast decides itself what functions of NumPy do with it."""
    own = getattr(type(x), "__array_ufunc__", np.ndarray.__array_ufunc__)
    return own is not np.ndarray.__array_ufunc__ and not isinstance(x, FastArray)


def _mapped(x: Any, change: Callable[[Any], Any]) -> Any:
    """An argument with its parts changed: those of lists, tuples and dictionaries, or itself."""
    if type(x) in (list, tuple):
        return type(x)([_mapped(part, change) for part in x])
    if type(x) is dict:
        return {key: _mapped(value, change) for key, value in x.items()}
    return change(x)


@final
class _Unwrapped:
    """Arguments with plain arrays in the place of fast ones, and the way back."""

    def __init__(self) -> None:
        self.given: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.options: Mapping[str, Any] | None = None

    def __call__(self, x: Any) -> Any:
        """An argument, whatever it holds."""
        return _mapped(x, self.plain)

    def plain(self, x: Any) -> Any:
        """An array."""
        if not isinstance(x, np.ndarray):
            return x
        plain = x
        if isinstance(x, FastArray):
            plain = x.view(np.ndarray)
            self.options = x._options if self.options is None else self.options
        self.given[id(plain)] = plain, x
        return plain

    def fast(self, x: Any) -> Any:
        """An argument with fast arrays in the place of plain ones."""
        return _mapped(x, lambda part: _fast(part, self.options or {}) if type(part) is np.ndarray else part)

    def wrapped(self, x: Any, fresh: bool = True) -> Any:
        """A result: an argument that is returned is itself again, and fresh arrays are fast ones."""
        if type(x) is np.ndarray:
            if id(x) in self.given:
                return self.given[id(x)][1]
            return _fast(x, self.options or {}) if fresh else x
        if isinstance(x, list | tuple):
            parts = [self.wrapped(part, fresh) for part in x]
            return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
        return x


# Products. Each returns NotImplemented where NumPy is to compute, or to raise


def _operand(x: Any) -> np.ndarray | None:
    """An array of numbers with at least one dimension; None for anything else, and for objects with a say in it."""
    if not is_plain(x):
        return None
    array = np.asarray(x)
    return array if array.ndim and array.dtype.kind in KINDS else None


def _matmul(a: Any, b: Any, *, options: Mapping[str, Any], out: Any = None, **others: Any) -> Any:
    """As `numpy.matmul`."""
    from grokkit.execution import matmul

    left, right = _operand(a), _operand(b)
    if left is None or right is None:
        return NotImplemented
    if others.get("axes") == MATRIX_AXES and min(left.ndim, right.ndim) > 1:
        del others["axes"]
    return NotImplemented if others else matmul(left, right, out=out, **options)


def _dot(a: Any, b: Any, out: Any = None, *, options: Mapping[str, Any]) -> Any:
    """As `numpy.dot`: the last axis of A by the last but one of B."""
    left, right = _operand(a), _operand(b)
    if left is None or right is None or min(left.ndim, right.ndim) < 2 or left.shape[-1] != right.shape[-2]:
        return NotImplemented
    shape, dtype = left.shape[:-1] + right.shape[:-2] + right.shape[-1:], np.result_type(left, right)
    if out is not None and not (out.shape == shape and out.dtype == dtype and out.flags.carray):
        return NotImplemented
    found = _contracted(left, right, ([], []), ([left.ndim - 1], [right.ndim - 2]), options)
    if out is None:
        return found
    np.copyto(out, found)
    return out


def _inner(a: Any, b: Any, *, options: Mapping[str, Any]) -> Any:
    """As `numpy.inner`: the last axis of A by the last of B."""
    left, right = _operand(a), _operand(b)
    if left is None or right is None or min(left.ndim, right.ndim) < 2 or left.shape[-1] != right.shape[-1]:
        return NotImplemented
    return _contracted(left, right, ([], []), ([left.ndim - 1], [right.ndim - 1]), options)


def _tensordot(a: Any, b: Any, axes: Any = 2, *, options: Mapping[str, Any]) -> Any:
    """As `numpy.tensordot`, where axes of both remain and some do not."""
    left, right = _operand(a), _operand(b)
    if left is None or right is None:
        return NotImplemented
    try:
        first, second = (range(-axes, 0), range(axes)) if isinstance(axes, int | np.integer) else axes
        summed, against = _axes(first, left.ndim), _axes(second, right.ndim)
    except (TypeError, ValueError):
        return NotImplemented
    if not 0 < len(summed) < left.ndim or len(against) == right.ndim:
        return NotImplemented
    if [left.shape[axis] for axis in summed] != [right.shape[axis] for axis in against]:
        return NotImplemented
    return _contracted(left, right, ([], []), (summed, against), options)


def _axes(axes: Any, dimensions: int) -> list[int]:
    """Axes counted from 0. Raises `ValueError` for one that is not there, or twice."""
    listed = [operator.index(axis) for axis in (axes if isinstance(axes, Sequence | np.ndarray) else [axes])]
    found = [axis + dimensions if axis < 0 else axis for axis in listed]
    if len(set(found)) != len(found) or not all(0 <= axis < dimensions for axis in found):
        raise ValueError(axes)
    return found


def _einsum(*operands: Any, options: Mapping[str, Any], out: Any = None, optimize: Any = False, **others: Any) -> Any:
    """As `numpy.einsum` of two operands that is a product of matrices, or of stacks of them."""
    if len(operands) != 3 or not isinstance(operands[0], str) or out is not None or others:
        return NotImplemented
    a, b = _operand(operands[1]), _operand(operands[2])
    match = re.fullmatch(r"([A-Za-z]+),([A-Za-z]+)(?:->([A-Za-z]*))?", operands[0].replace(" ", ""))
    if match is None or a is None or b is None:
        return NotImplemented
    left, right, result = match.groups()
    if result is None:
        result = "".join(sorted(set(left) ^ set(right)))
    both = [letter for letter in left if letter in right]
    batch, summed = [x for x in both if x in result], [x for x in both if x not in result]
    rows, columns = [x for x in left if x not in right], [x for x in right if x not in left]
    fits = sorted(result) == sorted(batch + rows + columns) and len(left) == a.ndim and len(right) == b.ndim
    unique = len(set(left)) == len(left) and len(set(right)) == len(right)
    if not (fits and unique and summed and rows and columns):
        return NotImplemented
    if any(a.shape[left.index(x)] != b.shape[right.index(x)] for x in both):
        return NotImplemented
    found = _contracted(a, b, _places(batch, left, right), _places(summed, left, right), options)
    order = batch + rows + columns
    return found.transpose([order.index(x) for x in result])


def _places(letters: list[str], left: str, right: str) -> tuple[list[int], list[int]]:
    return [left.index(x) for x in letters], [right.index(x) for x in letters]


def _contracted(
    a: np.ndarray,
    b: np.ndarray,
    stacked: tuple[list[int], list[int]],
    summed: tuple[list[int], list[int]],
    options: Mapping[str, Any],
) -> Any:
    """Sum over axes of A and of B in step, for each place along the `stacked` ones: these first, then A's, then B's."""
    from grokkit.execution import matmul

    rows = [axis for axis in range(a.ndim) if axis not in stacked[0] + summed[0]]
    columns = [axis for axis in range(b.ndim) if axis not in stacked[1] + summed[1]]
    batch, n, m = ([a.shape[axis] for axis in axes] for axes in (stacked[0], rows, summed[0]))
    p = [b.shape[axis] for axis in columns]
    left = a.transpose(stacked[0] + rows + summed[0]).reshape(*batch, math.prod(n), math.prod(m))
    right = b.transpose(stacked[1] + summed[1] + columns).reshape(*batch, math.prod(m), math.prod(p))
    return matmul(left, right, **options).reshape(*batch, *n, *p)


_CONTRACTIONS: Final = {np.dot: _dot, np.inner: _inner, np.tensordot: _tensordot, np.einsum: _einsum}
_MADE_OF_PRODUCTS: Final = {np.linalg.multi_dot, np.linalg.matrix_power} | {
    getattr(np.linalg, name) for name in ("matmul", "tensordot") if hasattr(np.linalg, name)
}
"""Functions that NumPy computes by those above."""
