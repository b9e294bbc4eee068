"""One level of Winograd's scheme <2,2,2;7> with two temporaries.

The schedule above the leaves is that of Douglas, Heroux, Slishman and Smith (1994), as Boyer, Dumas, Pernet and Zhou
(2009, "Memory efficient scheduling of Strassen-Winograd's matrix multiplication algorithm", table 1) give it: 15 sums.
At the leaves the product may add to its result, which leaves 11 sums and a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

Blocks: TypeAlias = Sequence[Tensor]
"""The four quarters of a matrix, row by row."""


def over_leaves(a: Blocks, b: Blocks, c: Blocks, x: Tensor, y: Tensor) -> None:
    """C = A B by seven products of torch; `x` has the shape of a quarter of A, `y` of one of B."""
    (a11, a12, a21, a22), (b11, b12, b21, b22), (c11, c12, c21, c22) = a, b, c
    torch.mm(torch.sub(a11, a21, out=x), torch.sub(b22, b12, out=y), out=c21)  # P7 = S3 T3
    torch.mm(torch.add(a21, a22, out=x), torch.sub(b12, b11, out=y), out=c22)  # P5 = S1 T1
    torch.mm(a11, b11, out=c11)  # P1
    c12.copy_(c11)
    c11.addmm_(a12, b21)  # C11 = P1 + P2
    c12.addmm_(x.sub_(a11), torch.sub(b22, y, out=y))  # U2 = P1 + P6, P6 = S2 T2
    c21.add_(c12)  # U3 = U2 + P7
    c12.add_(c22)  # U4 = U2 + P5
    c22.add_(c21)  # C22 = U3 + P5
    c12.addmm_(torch.sub(a12, x, out=x), b22)  # C12 = U4 + P3, P3 = S4 B22
    c21.addmm_(a22, y.sub_(b21), alpha=-1)  # C21 = U3 − P4, P4 = A22 T4


def above_leaves(
    a: Blocks,
    b: Blocks,
    c: Blocks,
    x: Tensor,
    y: Tensor,
    p1: Tensor,
    product: Callable[[Tensor, Tensor, Tensor], None],
) -> None:
    """C = A B by seven calls of `product`, which writes to its last argument; `p1`, shaped as C11, may lie in `x`."""
    (a11, a12, a21, a22), (b11, b12, b21, b22), (c11, c12, c21, c22) = a, b, c
    product(torch.sub(a11, a21, out=x), torch.sub(b22, b12, out=y), c21)  # P7 = S3 T3
    product(torch.add(a21, a22, out=x), torch.sub(b12, b11, out=y), c22)  # P5 = S1 T1
    product(x.sub_(a11), torch.sub(b22, y, out=y), c12)  # P6 = S2 T2
    product(torch.sub(a12, x, out=x), b22, c11)  # P3 = S4 B22
    product(a11, b11, p1)  # P1
    c12.add_(p1)  # U2 = P1 + P6
    c21.add_(c12)  # U3 = U2 + P7
    c12.add_(c22)  # U4 = U2 + P5
    c22.add_(c21)  # C22 = U3 + P5
    c12.add_(c11)  # C12 = U4 + P3
    product(a22, y.sub_(b21), c11)  # P4 = A22 T4
    c21.sub_(c11)  # C21 = U3 − P4
    product(a12, b21, c11)  # P2
    c11.add_(p1)  # C11 = P1 + P2
