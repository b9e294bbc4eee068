"""The operators ``grokkit::matmul`` and ``grokkit::matmul_out`` of torch's dispatcher.

Both take (..., n, m) and (..., m, p), of equal batch shapes, and a plan. Importing this module registers them.
"""

from __future__ import annotations

from typing import Any, Final, final

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd.function import _SingleLevelFunction

from grokkit.torch._kernel import multiply
from grokkit.torch._operands import broadcast

torch.library.define(
    "grokkit::matmul",
    "(Tensor a, Tensor b, str scheme, int levels, int threads) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
product: Final = torch.ops.grokkit.matmul.default


def _empty(a: Tensor, b: Tensor, scheme: str, levels: int, threads: int) -> Tensor:
    """Room for the result, which is always contiguous."""
    fitting = a.shape[:-2] == b.shape[:-2] and a.shape[-1] == b.shape[-2]
    if not fitting or a.dtype != b.dtype or a.device != b.device:
        shown = " and ".join(f"{tuple(x.shape)} {x.dtype} on {x.device}" for x in (a, b))
        raise RuntimeError(f"grokkit::matmul: (..., n, m) and (..., m, p) alike in all else are needed, not {shown}")
    return torch.empty((*a.shape[:-1], b.shape[-1]), dtype=a.dtype, device=a.device)


def _matmul(a: Tensor, b: Tensor, scheme: str, levels: int, threads: int) -> Tensor:
    out = _empty(a, b, scheme, levels, threads)
    multiply(a, b, out, scheme, levels, threads)
    return out


def _matmul_of_batches(
    info: Any, in_dims: tuple[int | None, ...], a: Tensor, b: Tensor, scheme: str, levels: int, threads: int
) -> tuple[Tensor, int]:
    a, b = (x if dim is None else x.movedim(dim, 0) for x, dim in zip((a, b), in_dims, strict=False))
    return broadcast(a, b, lambda x, y: product(x, y, scheme, levels, threads)), 0


@final
class _Differentiable(_SingleLevelFunction):
    """The product with its derivatives, which are products by the same scheme, in as many levels.

    `torch.library.register_autograd` would do for backward alone: it fails under `torch.func.grad` and, in forward
    mode, drops tangents without a word. This is one level of autograd, as torch's own operators have it.
    """

    @staticmethod
    def forward(a: Tensor, b: Tensor, plan: tuple[str, int, int], modes: tuple[bool, bool]) -> Tensor:
        # autograd switches recording off in here, but the levels of torch.func below this one may need it
        with (
            torch.set_grad_enabled(modes[0]),
            torch.autograd.forward_ad._set_fwd_grad_enabled(modes[1]),
            torch._C._AutoDispatchBelowAutograd(),
        ):
            return product(a, b, *plan)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        a, b, ctx.plan, _ = inputs
        for_a, for_b, *_ = ctx.needs_input_grad
        ctx.save_for_backward(a if for_b else None, b if for_a else None)
        ctx.save_for_forward(a, b)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        a, b = ctx.saved_tensors
        (gradient,) = gradients
        if gradient is None:
            return None, None, None, None
        of_a = None if b is None else product(gradient, b.mH, *ctx.plan)
        of_b = None if a is None else product(a.mH, gradient, *ctx.plan)
        return of_a, of_b, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor | None:
        a, b = ctx.saved_tensors
        da, db, *_ = tangents
        by_a = None if da is None else product(da, b, *ctx.plan)
        by_b = None if db is None else product(a, db, *ctx.plan)
        return by_a if by_b is None else by_b if by_a is None else by_a + by_b


def _matmul_with_derivatives(a: Tensor, b: Tensor, scheme: str, levels: int, threads: int) -> Tensor:
    modes = torch.is_grad_enabled(), torch._C._is_fwd_grad_enabled()
    with enable_single_level_autograd_function():
        return _Differentiable.apply(a, b, (scheme, levels, threads), modes)  # type: ignore[attr-defined]


torch.library.impl("grokkit::matmul", "default", _matmul)
torch.library.impl("grokkit::matmul", "Autograd", _matmul_with_derivatives)
torch.library.register_fake("grokkit::matmul", _empty)
torch.library.register_vmap("grokkit::matmul", _matmul_of_batches)


@torch.library.custom_op(
    "grokkit::matmul_out",
    mutates_args=("out",),
    schema="(Tensor a, Tensor b, Tensor(a!) out, str scheme, int levels, int threads) -> ()",
)
def product_into(a: Tensor, b: Tensor, out: Tensor, scheme: str, levels: int, threads: int) -> None:
    """Write a product to `out`, which may share memory with an operand."""
    if out.untyped_storage().data_ptr() in (a.untyped_storage().data_ptr(), b.untyped_storage().data_ptr()):
        out.copy_(_matmul(a, b, scheme, levels, threads))
    else:
        multiply(a, b, out, scheme, levels, threads)


@product_into.register_fake
def _nothing(a: Tensor, b: Tensor, out: Tensor, scheme: str, levels: int, threads: int) -> None:
    """The result is in `out`."""
