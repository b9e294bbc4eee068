"""How a product is computed: by torch, by the kernel for this processor, or by a scheme, and in how many levels."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from grokkit import execution
from grokkit.execution import SMALLEST_PRODUCT
from grokkit.scheme import InvalidInput, Scheme
from grokkit.torch._program import WINOGRAD, growth_of, key_of

AUTO: Final = "auto"
VARIABLE: Final = "GROKKIT_TORCH_CROSSOVER"
"""Environment variable, read on import: ``off``, or such as ``float32=6144,float64=10240``."""
MAX_LEVELS: Final = 64
MOST_AUTO_LEVELS: Final = 3
_DEFAULT_CROSSOVERS: Final = {torch.float32: 8192}
"""The smallest side from which one more level is taken on CUDA. Unmeasured; `grokkit doctor` does not tune them."""
_NAMES: Final = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}
_NATIVE: Final = {torch.float32: "float32", torch.float64: "float64"}
"""Types of the kernel for this processor."""
FLOATING: Final = frozenset([*_NAMES.values(), torch.complex64, torch.complex128])
"""Types that schemes are used for. Products of others are torch's own."""


class Wish(NamedTuple):
    """What the caller asks for, checked."""

    key: str
    """`AUTO`, or the key of a proven scheme."""
    levels: int | None
    """None: as the policy says."""
    threads: int
    """0: as torch is set."""
    accuracy: float | None


class Plan(NamedTuple):
    """How one product is computed, when torch's own product is not used."""

    key: str
    """`AUTO`: the kernel for this processor. Otherwise the key of a proven scheme."""
    levels: int
    threads: int


Sizes = tuple[int, int, int]
"""Rows and columns of A, columns of B."""


def wish(scheme: Scheme | str, levels: int | str, threads: int | None, accuracy: float | None) -> Wish:
    """The arguments of a product, checked. Raises `InvalidInput`, and what `key_of` raises."""
    key = AUTO if isinstance(scheme, str) and scheme == AUTO else key_of(scheme)
    if levels != AUTO and not whole(levels, 0, MAX_LEVELS):
        raise InvalidInput(f"levels is {levels!r}; 'auto' or a whole number from 0 to {MAX_LEVELS} is needed")
    if threads is not None and not whole(threads, 1, 2**16):
        raise InvalidInput(f"threads is {threads!r}; None or a whole number of at least 1 is needed")
    if accuracy is not None and not (isinstance(accuracy, (int, float)) and 0 < accuracy < math.inf):
        raise InvalidInput(f"accuracy is {accuracy!r}; None or a positive number is needed")
    return Wish(key, None if isinstance(levels, str) else levels, threads or 0, accuracy)


def whole(value: object, low: int, high: int) -> bool:
    """Whether a value is a whole number from `low` to `high`; truth values are not."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def certainly_small(a: Any, b: Any) -> bool:
    """A quicker answer yet, for where a call must cost next to nothing: True where the kernel for this processor is
    certain to leave the product to torch for its size."""
    return (
        isinstance(a, Tensor)
        and isinstance(b, Tensor)
        and a.is_cpu
        and not torch.compiler.is_compiling()  # sizes may be symbols
        and (a.ndim == 0 or a.numel() * b.numel() < SMALLEST_PRODUCT * a.shape[-1])  # at least the product of the sides
    )


def promising(asked: Wish, a: Any) -> bool:
    """A quick answer, from the left operand alone: False where `planned` is certain to leave the product to torch."""
    if asked.key != AUTO or asked.levels is not None:
        return True
    least = LEAST.get(a.device.type) if isinstance(a, Tensor) and a.ndim > 1 else None
    return least is not None and a.shape[-1] >= least


def planned(asked: Wish, sizes: Sizes, dtype: torch.dtype, device: torch.device) -> Plan | None:
    """How a product of these sizes is computed; None: by torch.

    An explicit scheme, or explicit levels, are always used. Otherwise the kernel for this processor, where it gains;
    on CUDA the scheme `WINOGRAD`, one more level each time that the smallest side is at least the crossover of its
    type. Levels are taken off until the typical error keeps to the accuracy that is asked for.
    """
    if dtype not in FLOATING:
        return None
    key, levels = asked.key, asked.levels
    if key == AUTO and levels is None:
        if device.type == "cpu" and _cpu_gains(*sizes, dtype, asked.accuracy):
            return Plan(AUTO, 0, asked.threads)
        levels = _cuda_levels(min(sizes), dtype) if device.type == "cuda" else 0
    key = WINOGRAD if key == AUTO else key
    levels = 1 if levels is None else levels
    if asked.accuracy is not None:
        while levels and typical_error(growth_of(key), levels, sizes[1], dtype) > asked.accuracy:
            levels -= 1
    return Plan(key, levels, asked.threads) if levels else None


def cpu_plan(
    n: int, m: int, p: int, dtype: torch.dtype, layout: tuple[str, str, str] = ("row", "row", "row")
) -> execution.Plan | None:
    """The plan of `grokkit.execution` for the threads that torch is set to; None for types that it does not serve."""
    name = _NATIVE.get(dtype)
    if name is None:
        return None
    return execution.plan((n, m), (m, p), name, layout=layout, threads=torch.get_num_threads(), library="torch")


def _cpu_gains(n: int, m: int, p: int, dtype: torch.dtype, accuracy: float | None) -> bool:
    """Whether the kernel of `grokkit.execution` is predicted to beat torch.mm, and estimated to be so accurate.

    The compiler reads this function, and the sizes may be symbols to it: then only their product counts, and the
    operator asks again when it runs.
    """
    if dtype not in _NATIVE or n * m * p < SMALLEST_PRODUCT:
        return False
    if torch.compiler.is_compiling():
        return accuracy is None
    plan = cpu_plan(n, m, p, dtype)
    return plan is not None and not plan.vendor and (accuracy is None or plan.error_estimate <= accuracy)


def _cuda_levels(side: int, dtype: torch.dtype) -> int:
    crossover = CROSSOVERS.get(dtype)
    if crossover is None or (dtype == torch.float32 and _tensor_float_32()):
        return 0
    levels = 0
    while side >= crossover and levels < MOST_AUTO_LEVELS:
        side, levels = side // 2, levels + 1
    return levels


@torch.compiler.assume_constant_result
def _tensor_float_32() -> bool:
    """Whether products of float32 run in TF32, which schemes have too little to gain on."""
    settings = torch.backends.cuda.matmul
    precision = getattr(settings, "fp32_precision", None)  # since torch 2.9, which refuses to mix both ways of asking
    return bool(settings.allow_tf32) if precision is None else precision == "tf32"


def typical_error(growth: float, levels: int, inner: int, dtype: torch.dtype) -> float:
    """Typical ‖Ĉ − C‖F / ‖C‖F of a product by a scheme with that `typical_growth`.

    u √(inner/6) growth^levels: that of sums in sequence, of independent terms of mean zero, times the growth of every
    level. A vendor's sums, which run in blocks, are some three times better at an inner dimension of 2048.
    """
    return torch.finfo(dtype).eps / 2 * math.sqrt(max(inner, 1) / 6) * growth**levels


def crossovers(text: str, default: Mapping[torch.dtype, int]) -> dict[torch.dtype, int]:
    """The crossovers that the environment variable sets, over the defaults. Raises `InvalidInput`."""
    if text.strip() == "off":
        return {}
    table = dict(default)
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, size = entry.partition("=")
        if name.strip() not in _NAMES or not size.strip().isdecimal() or not int(size):
            raise InvalidInput(f"{VARIABLE}: {entry[:40]!r} is not understood; write off, or such as float32=8192")
        table[_NAMES[name.strip()]] = int(size)
    return table


CROSSOVERS: Final = crossovers(os.environ.get(VARIABLE, ""), _DEFAULT_CROSSOVERS)
LEAST: Final = {"cpu": 256} | ({"cuda": min(CROSSOVERS.values())} if CROSSOVERS else {})
"""The inner size, by device, below which nothing is predicted to gain."""
SMALL: Final = min([SMALLEST_PRODUCT * LEAST["cpu"], *(side**4 for side in CROSSOVERS.values())])
"""Entries of A times those of B, or N M M P, below which torch multiplies on any device. (To ask a tensor for more than
the number of its entries costs a microsecond where the product before has emptied the caches.)"""
