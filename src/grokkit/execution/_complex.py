"""Products of complex matrices by three products of real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from grokkit.execution._nonfinite import strips
from grokkit.execution._plan import Plan, plan

SMALLEST: Final = 256**3
"""Multiplications below which three products never gain."""
CLEAR: Final = 1.05
"""Predicted gain from which they are used."""
PASS: Final = {np.dtype(np.float32): 40.0, np.dtype(np.float64): 20.0}
"""Cost of reading or writing one entry once, in multiply-adds of a real product."""
ERROR: Final = math.sqrt(2)
"""Normwise error of three products over that of four, for independent entries of mean zero."""


@final
@dataclass(frozen=True)
class ThreeProducts:
    """How a product of complex matrices is computed: (a₁ + i a₂)(b₁ + i b₂) by three real products instead of four.

    With t₁ = a₁ b₁, t₂ = a₂ b₂ and t₃ = (a₁ + a₂)(b₁ + b₂) it is (t₁ - t₂) + i (t₃ - t₁ - t₂). The real products
    follow the plan `real`, which may be NumPy's own product or a fast one.

    The price is a weaker bound (Higham 1992, "Stability of a method for multiplying complex matrices with three real
    matrix multiplications"). The error stays small against ‖a‖ ‖b‖. But entry by entry that of the imaginary part is
    small only against (|a₁| + |a₂|)(|b₁| + |b₂|): an imaginary part far smaller than the real one may lose digits
    that four products keep.
    """

    real: Plan

    @property
    def speedup(self) -> float:
        """Predicted time of NumPy's product, which does the work of four real ones, over ours."""
        n, m, p = self.real.shape
        gain = 1.0 if self.real.vendor else self.real.expected_speedup
        passes = 3 * n * m + 3 * m * p + 4 * n * p
        return 4 * n * m * p / (3 * n * m * p / gain + passes * PASS[self.real.dtype])

    @property
    def error_estimate(self) -> float:
        """Typical ‖Ĉ − C‖F / ‖C‖F for independent entries of mean zero."""
        return ERROR * self.real.error_estimate

    def execute(self, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> bool:
        """Write a (N, M) times b (M, P) to out; whether every entry of the result is finite.

        All of one complex type and of any strides; out overlaps neither a nor b. Takes half the memory of the three:
        a real matrix in place of each.
        """
        left, right = np.empty_like(a, self.real.dtype), np.empty_like(b, self.real.dtype)
        product = np.empty(out.shape, self.real.dtype)
        finite = True
        with np.errstate(over="ignore", invalid="ignore"):
            for part, add in ((_real, _add_first), (_imaginary, _add_second), (_sum, _add_third)):
                part(a, left)
                part(b, right)
                finite = self.real.execute(left, right, product) and finite
                for index in strips(product):
                    add(product[index], out[index])
        return finite and all(bool(np.isfinite(out[index]).all()) for index in strips(out))


def three_products(
    sizes: tuple[int, int, int], dtype: np.dtype[Any], threads: int | None, accuracy: float | None
) -> ThreeProducts | None:
    """The way to a product of N x M by M x P complex matrices; None where no gain is clear or it is too inaccurate.

    `accuracy` caps the error estimate; `threads` is for the real products.
    """
    n, m, p = sizes
    if n * m * p < SMALLEST:
        return None
    real = np.dtype(np.float32 if dtype == np.complex64 else np.float64)
    cap = None if accuracy is None else accuracy / ERROR
    way = ThreeProducts(plan((n, m), (m, p), real, threads=threads, accuracy=cap))
    if accuracy is not None and way.error_estimate > accuracy:
        return None
    return way if way.speedup >= CLEAR else None


def _real(x: np.ndarray, out: np.ndarray) -> None:
    np.copyto(out, np.real(x))


def _imaginary(x: np.ndarray, out: np.ndarray) -> None:
    np.copyto(out, np.imag(x))


def _sum(x: np.ndarray, out: np.ndarray) -> None:
    np.add(np.real(x), np.imag(x), out=out)


def _add_first(product: np.ndarray, out: np.ndarray) -> None:
    np.copyto(np.real(out), product)
    np.negative(product, out=np.imag(out))


def _add_second(product: np.ndarray, out: np.ndarray) -> None:
    np.subtract(np.real(out), product, out=np.real(out))
    np.subtract(np.imag(out), product, out=np.imag(out))


def _add_third(product: np.ndarray, out: np.ndarray) -> None:
    np.add(np.imag(out), product, out=np.imag(out))
