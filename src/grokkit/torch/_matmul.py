"""The public product."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling
from torch.overrides import handle_torch_function, has_torch_function

from grokkit.scheme import Scheme
from grokkit.torch._kernel import threads_set
from grokkit.torch._operands import broadcast, regular, sizes_of
from grokkit.torch._operator import product, product_into
from grokkit.torch._policy import AUTO, SMALL, Plan, Wish, certainly_small, planned, promising, wish


def matmul(
    a: Any,
    b: Any,
    *,
    out: Any = None,
    scheme: Scheme | str = AUTO,
    levels: int | str = AUTO,
    threads: int | None = None,
    accuracy: float | None = None,
) -> Any:
    """Matrix product with the semantics of `torch.matmul`, by a scheme where one is named or predicted to gain.

    Parameters
    ----------
    a, b, out:
        As `torch.matmul` takes them, on any device.
    scheme:
        ``"auto"`` (default): `torch.matmul` itself, bit for bit, wherever nothing is predicted to gain on it. On the
        CPU large float32 and float64 products gain by the native kernel (`grokkit.plan` with ``library="torch"`` tells
        which, `grokkit doctor --tune` measures). On CUDA Winograd's scheme runs for float32 with TF32 off, in one level
        from a smallest side of 8192, two from 16384, three from 32768. Nobody measured these defaults and `grokkit
        doctor` does not tune them; the environment variable ``GROKKIT_TORCH_CROSSOVER`` sets others before this module
        is imported, such as ``float32=6144,float64=10240``, or ``off``.
        Otherwise a `Scheme`, the digest of one that was used before, or a catalog name such as ``"strassen"``; it is
        proven before it is used. Winograd's needs fewer additions than Strassen's.
    levels:
        Recursive steps; 0 is `torch.matmul`. ``"auto"`` with an explicit scheme is one; a number with
        ``scheme="auto"`` takes so many levels of Winograd's. Sizes need not divide: what is left over is multiplied
        by itself.
    threads:
        Threads that torch may use on the CPU meanwhile. Default: as torch is set.
    accuracy:
        Largest typical relative error ‖Ĉ − C‖F / ‖C‖F; levels are taken off to keep to it, or the product is torch's.
        The estimate is that of `grokkit.plan` for the native kernel, and for torch's own products in blocks
        u √(inner/6) growth^levels, u the unit roundoff, with a growth of 2 for Strassen's scheme, 2.65 for Winograd's.

    Returns the product, with `torch.matmul`'s type, shape and errors. Derivatives of any order, backward and forward,
    are products by the same scheme, also under `torch.func`. In `torch.compile` name a scheme, or its digest. Under
    autocast operands are cast as `torch.matmul` casts them.

    Even with an explicit scheme, products of integers, with a vector, of sparse or nested tensors and of wrapper
    subclasses are `torch.matmul`'s, as is one for an `out` that it would resize. So is the whole product where the
    scheme's is not all finite; that test waits for a CUDA device. In float16 and bfloat16, sums of entries are rounded
    to that type. Temporaries of a square product take at most two thirds of an operand with Winograd's scheme, a whole
    one with others.

    Raises `InvalidInput` for arguments out of range and for a scheme that is not for matrix products over ordinary
    numbers, `Refuted` for one that is not exact, `KeyError` for an unknown name.

    >>> import torch
    >>> a = torch.arange(15.0, dtype=torch.float64).reshape(3, 5)
    >>> bool((matmul(a, a.T, scheme="strassen", levels=2) == a @ a.T).all())
    True
    """
    if has_torch_function((a, b, out)):
        options = {"out": out, "scheme": scheme, "levels": levels, "threads": threads, "accuracy": accuracy}
        return handle_torch_function(matmul, (a, b, out), a, b, **options)
    if (  # written out, and once more in `certainly_small`, as calls cost a microsecond each
        scheme is AUTO and levels is AUTO and threads is None and accuracy is None
        and isinstance(a, Tensor) and isinstance(b, Tensor)
        and not is_compiling()  # sizes may be symbols
        and (a.numel() * b.numel() < SMALL or certainly_small(a, b))
    ):  # fmt: skip
        return torch.matmul(a, b) if out is None else torch.matmul(a, b, out=out)
    asked = wish(scheme, levels, threads, accuracy)
    plan = _plan(asked, a, b, autocast=out is None) if promising(asked, a) and regular(a, b) else None
    if plan is None or (out is not None and not _accepts(out, a, b)):
        return _torch_product(a, b, out, asked.threads)
    if out is None:
        return broadcast(_autocast(a), _autocast(b), lambda x, y: product(x, y, *plan))
    if out.ndim == 2:
        product_into(a, b, out, *plan)
        return out
    return out.copy_(broadcast(a, b, lambda x, y: product(x, y, *plan)))


def _plan(asked: Wish, a: Tensor, b: Tensor, autocast: bool) -> Plan | None:
    kind, other = (_autocast_type(x) if autocast else x.dtype for x in (a, b))
    return planned(asked, sizes_of(a, b), kind, a.device) if kind == other else None


def _autocast(x: Tensor) -> Tensor:
    return x.to(_autocast_type(x))


def _autocast_type(x: Tensor) -> torch.dtype:
    """The type that autocast gives an operand of `torch.matmul`."""
    device = x.device.type
    casts = x.is_floating_point() and x.dtype != torch.float64 and _knows_autocast(device)
    return torch.get_autocast_dtype(device) if casts and torch.is_autocast_enabled(device) else x.dtype


@torch.compiler.assume_constant_result
def _knows_autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device)


def _accepts(out: Any, a: Tensor, b: Tensor) -> bool:
    """Whether the product can be written to `out`. If not, `torch.matmul` resizes it or says what is wrong."""
    if not isinstance(out, Tensor) or out.dtype != a.dtype or out.device != a.device or out.layout != torch.strided:
        return False
    if torch.is_grad_enabled() and any(x.requires_grad for x in (a, b, out)):
        return False
    batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    repeats = any(stride == 0 and size > 1 for stride, size in zip(out.stride(), out.shape, strict=True))
    return out.shape == (*batch, a.shape[-2], b.shape[-1]) and not repeats


def _torch_product(a: Any, b: Any, out: Any, threads: int) -> Any:
    if not threads or is_compiling():
        return torch.matmul(a, b) if out is None else torch.matmul(a, b, out=out)
    with threads_set(threads):
        return torch.matmul(a, b) if out is None else torch.matmul(a, b, out=out)
