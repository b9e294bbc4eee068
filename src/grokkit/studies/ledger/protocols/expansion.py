"""Zero-shot expansion: errors by size, commutation, permuted slots, stated properties, and the bound on errors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from grokkit.execution import full_depth, recursive_product
from grokkit.scheme import MatrixProduct, Scheme, error_bound, expand, sandwiched
from grokkit.scheme.catalog import catalog, standard
from grokkit.studies._expansion_operator import expansion_properties
from grokkit.studies._expansion_tables import SIZES, STATED, expansion_table, permutation_test
from grokkit.studies._statistics import Median
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols._networks import networks

SEED: Final = 20260301
PAIRS: Final = {"quick": 25, "full": 100}
"""Pairs of matrices of each size."""
MATRICES: Final[dict[str, Callable[[np.random.Generator, int], np.ndarray]]] = {
    "Gaussian": lambda rng, n: rng.standard_normal((n, n)),
    "uniform [0, 1]": lambda rng, n: rng.random((n, n)),
    "uniform [-1, 1]": lambda rng, n: rng.uniform(-1, 1, (n, n)),
}
"""Laws of independent entries. The documents do not say which one they used."""


def expansion(context: Context) -> dict[str, Measurement]:
    """Claims E01 to E05 and E08."""
    seed, pairs = SEED + context.seed, PAIRS[context.scale]
    context.progress("training a network to expand")
    learned = networks("default", 16, seed).scheme
    schemes = {"Strassen": catalog["strassen"], "learned": learned}
    context.progress(f"errors on {pairs} pairs a size")
    relative, largest = _errors(schemes, pairs, seed)
    seeds = f"root seed {seed}, {pairs} pairs of matrices a size"
    note = (
        "float32, recursion down to single entries, against the product in float64. The documents do not say which "
        "matrices were multiplied, so three laws are tried."
    )
    return {
        "E01": Measurement("E01", relative, {}, {}, seeds, context.scale, note),
        "E02": Measurement("E02", largest, {}, {}, seeds, context.scale, note),
        "E03": _commutation(learned, pairs, seed, context.scale),
        "E04": _permutations(context.scale),
        "E05": _properties(context.scale),
        "E08": _bounds(learned, pairs, seed, context.scale),
    }


def _errors(schemes: Mapping[str, Scheme], pairs: int, seed: int) -> tuple[dict[str, Figure], dict[str, Figure]]:
    relative, largest = {}, {}
    for (law, draw), size in itertools.product(MATRICES.items(), SIZES):
        found: dict[str, list[float]] = {name: [] for name in schemes}
        top: list[float] = []
        for pair in range(pairs):
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(list(MATRICES).index(law), size, pair)))
            a, b = (draw(rng, size).astype(np.float32) for _ in range(2))
            exact = a.astype(np.float64) @ b.astype(np.float64)
            for name, scheme in schemes.items():
                error = recursive_product(scheme, a, b) - exact
                found[name].append(float(np.linalg.norm(error) / np.linalg.norm(exact)))
                if name == "Strassen":
                    top.append(float(np.abs(error).max()))
        for name, values in found.items():
            what = f"relative error at N = {size}, {name}, {law}"
            relative[f"{name}, {law}, {size}"] = Figure.of(Median.of(values), what)
        largest[f"{law}, {size}"] = Figure.of(Median.of(top), f"largest error at N = {size}, {law}")
        typical = Median.of([STATED[size][1] / each if each else math.inf for each in top])
        about = f"largest error at N = {size}, {law}"
        largest[f"stated / typical, {law}, {size}"] = Figure.of(typical, f"stated over typical {about}")
        worst = STATED[size][1] / max(top)
        largest[f"stated / worst, {law}, {size}"] = Figure(worst, n=pairs, what=f"stated over worst {about}")
    return relative, largest


def _commutation(learned: Scheme, pairs: int, seed: int, scale: str) -> Measurement:
    figures = {}
    classical = standard(2, 2, 2)
    for name, scheme in (("Strassen", catalog["strassen"]), ("learned", learned), ("classical", classical)):
        for row in expansion_table(scheme, SIZES[1:], pairs=pairs, seed=seed):
            figures[f"{name}, {row.size}"] = Figure.of(row.commutation, f"commutation error at N = {row.size}, {name}")
    exact = all(_commutes_exactly(scheme, seed) for scheme in (catalog["strassen"], learned))
    rng = np.random.default_rng(seed)
    u, v, w = (rng.integers(-2, 3, side.shape) for side in learned.floats())
    wrong = Scheme(classical.target, u, v, w)
    baselines = {name: figure for name, figure in figures.items() if name.startswith("classical")}
    return Measurement(
        "E03",
        {name: figure for name, figure in figures.items() if name not in baselines},
        {
            "commutes exactly over the integers": exact,
            "the classical product does, too": _commutes_exactly(classical, seed),
            "random coefficients do, too": _commutes_exactly(wrong, seed),
        },
        baselines,
        f"root seed {seed}, {pairs} pairs of matrices a size",
        scale,
        "T(f)(A ⊗ X, B ⊗ Y) against f(A, B) ⊗ T(f)(X, Y), in float32 and over the integers. The recursion applies one "
        "bilinear map at every level, so both sides are equal for any coefficients, right or wrong, up to rounding.",
    )


def _commutes_exactly(scheme: Scheme, seed: int) -> bool:
    rng = np.random.default_rng(seed)
    for levels in (2, 3, 4, 5, 6):
        rest = 2 ** (levels - 1)
        a, b = (rng.integers(-9, 10, (2, 2)) for _ in range(2))
        x, y = (rng.integers(-9, 10, (rest, rest)) for _ in range(2))
        whole = recursive_product(scheme, np.kron(a, x), np.kron(b, y), levels)
        parts = np.kron(recursive_product(scheme, a, b, 1), recursive_product(scheme, x, y, levels - 1))
        if not (whole == parts).all():
            return False
    return True


def _permutations(scale: str) -> Measurement:
    scheme = catalog["strassen"]
    test = permutation_test(scheme)
    u, v, w = scheme.floats()
    pairs = {"U": np.einsum("rb,cr->rbc", v, w), "V": np.einsum("ra,cr->rac", u, w), "W": np.einsum("ra,rb->rab", u, v)}
    axes = {"U": (u.T, "as,sbc->abc"), "V": (v.T, "bs,sac->abc"), "W": (w, "cs,sab->abc")}
    target = scheme.target.tensor()
    norm = float(np.linalg.norm(target))
    figures = {
        "exact, coherent": Figure(
            float(test.coherent_exact), what="permutations of U, V and W together that stay exact"
        ),
        "error, coherent": Figure(0.0, what="mean error of coherent permutations other than the identity"),
    }
    for side in "UVW":
        factor, how = axes[side]
        errors = np.array(
            [
                float(np.linalg.norm(np.einsum(how, factor[:, list(order)], pairs[side]) - target)) / norm
                for order in itertools.permutations(range(scheme.rank))
            ]
        )
        wrong = errors[errors > 1e-9]
        figures[f"exact, {side} alone"] = Figure(
            float(len(errors) - len(wrong)), what=f"permutations of {side} alone that stay exact"
        )
        figures[f"error, {side} alone"] = Figure(
            float(wrong.mean()), what=f"mean relative error of permutations of {side} alone that do not stay exact"
        )
    if test.coherent_exact < test.permutations:
        figures["error, coherent"] = Figure(None, what="mean error of coherent permutations", reason="some are wrong")
    facts: dict[str, bool | str] = {
        "only the identity is exact (coherent)": test.coherent_exact == 1,
        "only the identity is exact (one factor)": all(figures[f"exact, {side} alone"].value == 1 for side in "UVW"),
    }
    note = (
        f"All {test.permutations} permutations. Errors are roots of the expected squared error over the expected "
        "squared norm for Gaussian operands, in closed form."
    )
    return Measurement("E04", figures, facts, {}, "", scale, note)


def _properties(scale: str) -> Measurement:
    figures = {}
    scheme = catalog["strassen"]
    levels = (2, 3, 4)
    found = {level: expansion_properties(scheme, level) for level in levels}
    words = {
        "spectrum_in_order": "largest shift of the i-th normalized singular value",
        "spectrum_contained": "largest distance of a normalized singular value to the nearest of the expansion",
        "isometry": "departure from an isometry on the dominant subspace",
    }
    for key, what in words.items():
        worst = max(found[level][side][key] for level in levels for side in "UVW")
        figures[key] = Figure(worst, what=f"{what}, 2 to 4 levels")
    growth = max(abs(found[level][side]["norm_ratio"] - 1) for level in levels for side in "UVW")
    figures["normalized norm"] = Figure(growth, what="departure of ‖T(F)‖ from ‖F‖ to the power of levels")
    norms = {level: float(np.linalg.norm(expand(scheme, level).floats()[0])) for level in (1, *levels)}
    figures["norm growth"] = Figure(norms[4] / norms[3], what="growth of ‖U‖ with each level, not normalized")
    note = (
        "T(F) is the Kronecker power: its singular values are all products of those of F, so those of F reappear "
        "(times the largest), but with others in between; its norm is a power of that of F."
    )
    return Measurement("E05", figures, {}, {}, "", scale, note)


def _bounds(learned: Scheme, pairs: int, seed: int, scale: str) -> Measurement:
    skew = sandwiched(catalog["strassen"], [[1, 1], [0, 1]], [[1, 0], [2, 1]], [[1, 0], [0, 1]])
    schemes = {
        "Strassen": catalog["strassen"],
        "Winograd": catalog["winograd"],
        "learned": learned,
        "Strassen in a skew basis": skew,
        "<3,3,3;23>": catalog["3x3x3:23"],
        "<2,2,3;11>": catalog["2x2x3:11"],
    }
    figures = {}
    for name, scheme in schemes.items():
        figures[name] = Figure(_worst_ratio(scheme, pairs, seed), n=pairs, what=f"largest error over its bound, {name}")
    factors = [error_bound(catalog["strassen"], level, 2**level, np.float32).factor for level in (5, 6)]
    figures["growth"] = Figure(factors[1] / factors[0], what="growth of the bound from N = 32 to N = 64")
    holds = all(figures[name].interval[1] <= 1 for name in schemes)
    note = (
        "‖Ĉ − C‖ ≤ γ_D K e^L ‖A‖ ‖B‖ in the max norm, with e the scheme's growth factor and D its depth: Higham "
        "(2002), chapter 23; Ballard, Benson, Druinsky, Lipshitz and Schwartz (2016). It is proven for every scheme "
        "and type, and checked here in float32 and float64."
    )
    return Measurement(
        "E08",
        figures,
        {"a bound is known and holds": holds},
        {},
        f"root seed {seed}, {pairs} pairs a size",
        scale,
        note,
    )


def _worst_ratio(scheme: Scheme, pairs: int, seed: int) -> float:
    target = scheme.target
    assert isinstance(target, MatrixProduct)
    n, m, p = target.format
    worst = 0.0
    dtypes: tuple[Any, ...] = (np.float32, np.float64)
    for dtype, levels, pair in itertools.product(dtypes, (1, 2, 3, 4), range(max(1, pairs // 5))):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(levels, pair)))
        a = rng.standard_normal((n**levels, m**levels)).astype(dtype)
        b = rng.standard_normal((m**levels, p**levels)).astype(dtype)
        wide = np.longdouble if dtype == np.float64 else np.float64
        error = np.abs(recursive_product(scheme, a, b, levels).astype(wide) - a.astype(wide) @ b.astype(wide)).max()
        depth = full_depth(target.format, (n**levels, m**levels, p**levels))
        bound = error_bound(scheme, depth, m**levels, dtype).factor * float(np.abs(a).max()) * float(np.abs(b).max())
        worst = max(worst, float(error) / bound)
    return worst


PROTOCOLS = (
    Protocol(
        "expansion",
        "Zero-shot expansion: errors by size, commutation, permuted slots, properties, bounds",
        ("E01", "E02", "E03", "E04", "E05", "E08"),
        expansion,
    ),
)
