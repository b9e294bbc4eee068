"""One product on real tensors, whatever computes it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from grokkit.torch._policy import AUTO, cpu_plan
from grokkit.torch._program import program
from grokkit.torch._recursion import Recursion


def multiply(a: Tensor, b: Tensor, out: Tensor, scheme: str, levels: int, threads: int) -> None:
    """Write a product to `out`: (..., n, m) by (..., m, p), of equal batch shapes, one matrix after the other.

    Where the result is not all finite, torch computes it again, all of it: sums of entries spread infinities and NaN,
    and overflow earlier. Testing the result is enough. As each term of an entry of C is in the entry that the scheme
    gives, an infinity or NaN among the operands reaches every entry that it reaches in torch's product. On CUDA the
    test waits for the device; while a graph is being captured, which cannot wait, the product is torch's.
    """
    a, b, out = a.detach(), b.detach(), out.detach()  # Tensor.numpy wants no derivatives
    with threads_set(threads), _autocast_off(a.device.type):
        capturing = a.is_cuda and torch.cuda.is_current_stream_capturing()
        if capturing or not _by_scheme(a, b, out, scheme, levels):
            torch.matmul(a, b, out=out)


def _by_scheme(a: Tensor, b: Tensor, out: Tensor, scheme: str, levels: int) -> bool:
    """Whether the result stands: it is all finite, or torch's own."""
    indices = itertools.product(*map(range, out.shape[:-2]))
    if scheme == AUTO:
        return all(_by_kernel(a[index], b[index], out[index]) for index in indices)
    run = Recursion(program(scheme), levels, (a.shape[-2], a.shape[-1], b.shape[-1]), a)
    for index in indices:
        run(a[index], b[index], out[index])
    return _finite(out)


def _by_kernel(a: Tensor, b: Tensor, out: Tensor) -> bool:
    finite = _cpu_product(a, b, out)
    if finite is None:
        torch.mm(a, b, out=out)
    return finite is not False


def _cpu_product(a: Tensor, b: Tensor, out: Tensor) -> bool | None:
    """Whether all is finite that the kernel of `grokkit.execution` wrote to `out`, through `Tensor.numpy` views; None
    where it is not predicted to gain."""
    if a.device.type != "cpu" or (1 not in out.stride() and 1 not in out.shape):
        return None
    plan = cpu_plan(a.shape[0], a.shape[1], b.shape[1], a.dtype, (_layout(a), _layout(b), _layout(out)))
    if plan is None or plan.vendor:
        return None
    return plan.execute(a.resolve_neg().numpy(), b.resolve_neg().numpy(), out.numpy())


def _layout(x: Tensor) -> str:
    return "row" if x.stride(1) == 1 else "column" if x.stride(0) == 1 else "strided"


def _finite(x: Tensor) -> bool:
    if not x.numel():
        return True
    low, high = torch.aminmax(torch.view_as_real(x) if x.is_complex() else x)
    return bool(low.isfinite() & high.isfinite())


def _autocast_off(device: str) -> AbstractContextManager[object]:
    """The operands have the type that they should have."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


@contextmanager
def threads_set(count: int) -> Iterator[None]:
    """Let torch use that many threads of this process; 0 leaves it as it is."""
    before = torch.get_num_threads()
    try:
        if count:
            torch.set_num_threads(count)
        yield
    finally:
        if count:
            torch.set_num_threads(before)
