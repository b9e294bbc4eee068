"""What expansion costs and keeps: errors by size, commutation, permuted slots."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np

from grokkit.execution import full_depth, recursive_product
from grokkit.scheme import InvalidInput, MatrixProduct, Scheme, error_bound
from grokkit.studies._statistics import Median

SIZES: Final = (2, 4, 8, 16, 32, 64)
PAIRS: Final = 25
STATED: Final[dict[int, tuple[float, float]]] = {
    2: (1.21e-7, 2.38e-7),
    4: (9.37e-8, 1.91e-6),
    8: (2.99e-7, 6.20e-6),
    16: (5.89e-7, 2.15e-5),
    32: (8.66e-7, 8.13e-5),
    64: (1.69e-6, 2.94e-4),
}
"""Relative and largest absolute error by size as the source documents state them (claims E01, E02)."""


@final
@dataclass(frozen=True)
class ExpansionRow:
    """Errors of a recursive product at one size, over independent pairs of Gaussian matrices.

    Relative error: Frobenius norm of the error over that of the product, which is computed in float64
    (in long double for float64).
    """

    size: int
    levels: int
    pairs: int
    relative: Median
    largest: Median
    classical_relative: Median
    classical_largest: Median
    bound: Median
    """Rigorous bound on the largest error, for the same pairs."""
    commutation: Median | None
    """Relative distance of f(A ⊗ X, B ⊗ Y) and f(A, B) ⊗ f(X, Y); None at the base size."""
    stated_relative: float | None
    stated_largest: float | None

    def to_json(self) -> dict[str, Any]:
        content = asdict(self)
        for key, value in content.items():
            if isinstance(getattr(self, key), Median):
                content[key] = getattr(self, key).to_json()
            else:
                content[key] = value
        return content


def expansion_table(
    scheme: Scheme,
    sizes: Sequence[int] = SIZES,
    *,
    dtype: Any = np.float32,
    pairs: int = PAIRS,
    seed: int = 0,
    levels: int | None = None,
) -> list[ExpansionRow]:
    """Errors of a scheme applied recursively to N × N matrices, down to single entries if `levels` is None.

    Beside them: the classical product's errors on the same matrices, the a priori bound, and the figures
    that the source states for <2,2,2;7>. Pair i of size N is drawn from (seed, N, i).
    """
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name}: expansion tables are for matrix products")
    if pairs < 1:
        raise InvalidInput(f"pairs is {pairs}; at least 1 is needed")
    rows = []
    for size in sizes:
        if size < 1:
            raise InvalidInput(f"size {size}; sizes must be at least 1")
        depth = full_depth(scheme.target.format, (size, size, size)) if levels is None else levels
        rows.append(_row(scheme, int(size), depth, np.dtype(dtype), pairs, seed))
    return rows


def _row(scheme: Scheme, size: int, levels: int, dtype: np.dtype[Any], pairs: int, seed: int) -> ExpansionRow:
    relative, largest, classical_relative, classical_largest, bounds, commutation = [], [], [], [], [], []
    factor = error_bound(scheme, levels, size, dtype).factor
    for i in range(pairs):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(size, i)))
        a, b = (rng.standard_normal((size, size)).astype(dtype) for _ in range(2))
        wide = np.longdouble if dtype == np.float64 else np.float64
        exact = a.astype(wide) @ b.astype(wide)
        norm = float(np.linalg.norm(exact.astype(np.float64)))
        found = recursive_product(scheme, a, b, levels)
        for product, rel, top in ((found, relative, largest), (a @ b, classical_relative, classical_largest)):
            error = (product.astype(wide) - exact).astype(np.float64)
            rel.append(float(np.linalg.norm(error)) / norm)
            top.append(float(np.abs(error).max()))
        bounds.append(factor * float(np.abs(a).max()) * float(np.abs(b).max()))
        if levels >= 2:
            commutation.append(_commutation(scheme, levels, dtype, rng))
    stated = STATED.get(size, (None, None)) if scheme.name == "<2,2,2;7>" else (None, None)
    return ExpansionRow(
        size,
        levels,
        pairs,
        Median.of(relative),
        Median.of(largest),
        Median.of(classical_relative),
        Median.of(classical_largest),
        Median.of(bounds),
        Median.of(commutation) if commutation else None,
        *stated,
    )


def _commutation(scheme: Scheme, levels: int, dtype: np.dtype[Any], rng: np.random.Generator) -> float:
    """T commutes with the function it expands: f_N(A ⊗ X, B ⊗ Y) against f_n(A, B) ⊗ f_N/n(X, Y)."""
    n, m, p = scheme.target.format  # type: ignore[attr-defined]
    rest = levels - 1
    a, b = rng.standard_normal((n, m)).astype(dtype), rng.standard_normal((m, p)).astype(dtype)
    x = rng.standard_normal((n**rest, m**rest)).astype(dtype)
    y = rng.standard_normal((m**rest, p**rest)).astype(dtype)
    whole = recursive_product(scheme, np.kron(a, x), np.kron(b, y), levels)
    parts = np.kron(recursive_product(scheme, a, b, 1), recursive_product(scheme, x, y, rest))
    return float(np.linalg.norm(whole - parts) / np.linalg.norm(parts))


@final
@dataclass(frozen=True)
class PermutationTest:
    """All orders of the slots, applied to U, V and W together (coherent) or to U alone (one-sided)."""

    permutations: int
    coherent_exact: int
    one_sided_exact: int
    one_sided_error: float
    """Mean relative error of the product over the one-sided permutations that are not exact, for Gaussian
    operands: root of the expected squared error over the expected squared norm, exactly, no sampling."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def permutation_test(scheme: Scheme) -> PermutationTest:
    """Is the order of the slots part of the algorithm? All rank! permutations (at most 8 slots).

    For A and B with independent standard Gaussian entries, E‖error‖² is the sum of squares of the wrong
    tensor's deviation from the target, so no sampling is needed.
    """
    if scheme.rank > 8:
        raise InvalidInput(f"{scheme.name}: {scheme.rank}! permutations are too many; 8 slots at most")
    u, v, w = scheme.floats()
    target = scheme.target.tensor()
    norm = math.sqrt(float((target**2).sum()))
    coherent = one_sided = count = 0
    errors = []
    pairs = np.einsum("rb,cr->rbc", v, w)
    for order in itertools.permutations(range(scheme.rank)):
        index = list(order)
        count += 1
        together = np.einsum("ra,rb,cr->abc", u[index], v[index], w[:, index])
        coherent += bool((together == target).all())
        alone = np.tensordot(u[index].T, pairs, axes=1)
        if (alone == target).all():
            one_sided += 1
        else:
            errors.append(float(np.sqrt(((alone - target) ** 2).sum())) / norm)
    return PermutationTest(count, coherent, one_sided, float(np.mean(errors)) if errors else 0.0)
