"""The products of code that knows nothing of grokkit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from grokkit.scheme import InvalidInput, Scheme
from grokkit.torch._operands import regular, sizes_of
from grokkit.torch._operator import product
from grokkit.torch._policy import AUTO, planned, whole, wish

_aten: Final = torch.ops.aten
_COMPOSED: Final = frozenset(
    [_aten.linear.default, _aten.matmul.default, _aten.einsum.default, _aten.tensordot.default]
)
"""Operators that autograd splits into products. In inference mode they arrive whole."""


@final
class fast_products(TorchDispatchMode):
    """Within this context, torch's products run as `grokkit.torch.matmul` does with these arguments.

        with grokkit.torch.fast_products(scheme="winograd", min_size=2048) as routed:
            model(x).sum().backward()
        print(routed.count)

    Rerouted are the products that reach torch's dispatcher as mm, addmm, bmm or baddbmm: those of ``@``,
    `torch.matmul`, `torch.einsum`, `torch.nn.Linear` and their gradients. Not those inside fused operators, such as
    flash attention and the fast path of `torch.nn.TransformerEncoderLayer`, nor products with ``out=``.

    Parameters
    ----------
    scheme, levels, threads, accuracy:
        As for `grokkit.torch.matmul`. Only products that are predicted to gain are rerouted; with an explicit scheme,
        or explicit levels, all of a floating or complex type.
    min_size:
        The smallest side of a product from which it is rerouted.

    Contexts nest: a product that the inner one leaves alone is offered to the outer one. Like all modes of torch a
    context holds for its thread, and for the backward passes that start in it. Functions that `torch.compile` compiled
    run uncompiled inside.

    Raises what `grokkit.torch.matmul` raises for these arguments.
    """

    count: int
    """Products rerouted so far; one for a batch."""

    def __init__(
        self,
        *,
        scheme: Scheme | str = AUTO,
        levels: int | str = AUTO,
        threads: int | None = None,
        accuracy: float | None = None,
        min_size: int = 1024,
    ):
        super().__init__()
        if not whole(min_size, 0, 2**63):
            raise InvalidInput(f"min_size is {min_size!r}; a whole number of at least 0 is needed")
        self.count = 0
        self._wish = wish(scheme, levels, threads, accuracy)
        self._min_size = min_size
        self._rerouted: dict[Any, Callable[..., Tensor | None]] = {
            _aten.mm.default: partial(self._product, 2),
            _aten.bmm.default: partial(self._product, 3),
            _aten.addmm.default: partial(self._sum, 2),
            _aten.baddbmm.default: partial(self._sum, 3),
        }

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = None
        if func in self._rerouted:
            result = self._rerouted[func](*args, **kwargs)
        elif func in _COMPOSED:
            with self:
                result = func.decompose(*args, **kwargs)
        return func(*args, **kwargs) if result is None or result is NotImplemented else result

    def _product(self, ndim: int, a: Tensor, b: Tensor) -> Tensor | None:
        """The product of operands of so many dimensions, where it is rerouted."""
        if not regular(a, b) or not a.ndim == b.ndim == ndim or a.shape[:-2] != b.shape[:-2] or a.dtype != b.dtype:
            return None
        sizes = sizes_of(a, b)
        plan = planned(self._wish, sizes, a.dtype, a.device) if min(sizes) >= self._min_size else None
        if plan is None:
            return None
        self.count += 1
        return product(a, b, *plan)

    def _sum(self, ndim: int, c: Tensor, a: Tensor, b: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor | None:
        """beta · c + alpha · a b, where it is rerouted."""
        if c.dtype != a.dtype or not regular(a, b) or not _expands(c, (*a.shape[:-1], b.shape[-1])):
            return None
        ab = self._product(ndim, a, b)
        if ab is None:
            return None
        scaled = ab if alpha == 1 else ab.mul_(alpha)
        return scaled if beta == 0 else scaled.add_(c, alpha=beta)


def _expands(x: Tensor, shape: tuple[int, ...]) -> bool:
    ends = zip(reversed(x.shape), reversed(shape), strict=False)
    return x.ndim <= len(shape) and all(size in (1, wanted) for size, wanted in ends)
