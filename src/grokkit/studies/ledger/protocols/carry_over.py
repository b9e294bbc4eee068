"""The expansion of other algorithms: found from random or trained weights, proven, expanded, checked exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from grokkit.crystallize import crystallize
from grokkit.execution import convolve, recursive_product
from grokkit.scheme import ComplexProduct, MatrixProduct, PolynomialProduct, Scheme, Target, verify
from grokkit.search import find_scheme
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.training import TrainConfig, train

SEED: Final = 20260308
_QUICK: Final = ("poly:2", "complex", "quaternion", "toeplitz:2", "cyclic:3", "poly:3", "2x2x3")
TARGETS: Final = {"quick": _QUICK, "full": (*_QUICK, "2x2x4", "2x3x3")}
"""Karatsuba's and Gauss's algorithms, and others."""
TRAINED: Final = 32
"""Networks of the trained case."""
BUDGET: Final = 120.0
"""Seconds for one search."""


def carry_over(context: Context) -> dict[str, Measurement]:
    """Claim X07."""
    seed = SEED + context.seed
    figures: dict[str, Figure] = {}
    facts: dict[str, bool | str] = {}
    targets = TARGETS[context.scale]
    right = 0
    for name in targets:
        context.progress(f"{name} from random weights")
        found = find_scheme(name, ring="Q", route="numeric", budget=BUDGET, seed=seed)
        good = found.found and expands_exactly(found.scheme, seed)
        facts[f"{name}, from random weights"] = (
            f"{found.scheme.rank} products, expanded exactly" if good else "not found, or not exact"
        )
        right += good
    context.progress("2x2x3 from trained weights")
    config = TrainConfig(format="2x2x3", slots=13, prune_to=11, runs=TRAINED, seed=seed)
    trained = [run.scheme for run in crystallize(train(config), seed=seed) if run.path.converged_before_polish]
    schemes = [each for each in trained if each is not None]
    good = bool(schemes) and all(expands_exactly(each, seed) for each in schemes)
    right += good
    facts["2x2x3, from trained weights"] = (
        f"{schemes[0].rank} products, {len(schemes)} networks, expanded exactly" if good else "not found, or not exact"
    )
    total = len(targets) + 1
    figures["carried over"] = Figure(
        right / total, n=total, what="share of algorithms found, proven and expanded exactly"
    )
    note = (
        "Each is proven, then used at every level of 2 and 3 on random integers and compared exactly with the "
        "schoolbook product. Bilinear maps only: what another algorithm with compact structure is, is not defined."
    )
    seeds = f"root seed {seed}"
    return {"X07": Measurement("X07", figures, facts, {}, seeds, context.scale, note)}


def expands_exactly(scheme: Scheme, seed: int) -> bool:
    """Whether a scheme, proven and then used at every level of a recursion, gives the schoolbook product exactly."""
    verify(scheme)
    rng = np.random.default_rng(seed)
    target = scheme.target
    for levels in (1, 2, 3):
        sizes = [side**levels for side in target.shape[:2]]
        if max(sizes) > 4096:
            break
        x, y = (np.array([int(each) for each in rng.integers(-9, 10, size)], dtype=object) for size in sizes)
        if not (_recursive(scheme, x, y, levels) == _schoolbook(target, x, y, levels)).all():
            return False
    return _as_used(scheme, rng)


def _as_used(scheme: Scheme, rng: np.random.Generator) -> bool:
    """Whether it also gives the larger product that the recursion stands for."""
    target = scheme.target
    if isinstance(target, MatrixProduct):
        n, m, p = (side**3 for side in target.format)
        a = np.array(rng.integers(-9, 10, (n, m)).tolist(), dtype=object)
        b = np.array(rng.integers(-9, 10, (m, p)).tolist(), dtype=object)
        return bool((recursive_product(scheme, a, b, 3) == a @ b).all())
    if isinstance(target, PolynomialProduct) and len(set(target.sizes)) == 1:
        x, y = rng.integers(-99, 100, 61), rng.integers(-99, 100, 47)
        return bool((convolve(x, y, scheme=scheme, levels=3) == np.convolve(x, y)).all())
    if isinstance(target, ComplexProduct):
        z = rng.integers(-99, 100, (2, 2, 8, 8)).astype(object)  # two matrices, real and imaginary parts
        u, v, w = (_exact(each) for each in scheme.fractions())
        products = [
            (u[r, 0] * z[0, 0] + u[r, 1] * z[0, 1]) @ (v[r, 0] * z[1, 0] + v[r, 1] * z[1, 1])
            for r in range(scheme.rank)
        ]
        real, imaginary = (sum(w[side, r] * each for r, each in enumerate(products)) for side in (0, 1))
        goal = z[0, 0] @ z[1, 0] - z[0, 1] @ z[1, 1], z[0, 0] @ z[1, 1] + z[0, 1] @ z[1, 0]
        return bool((real == goal[0]).all() and (imaginary == goal[1]).all())
    return True


def _exact(rows: Sequence[Sequence[object]]) -> np.ndarray:
    return np.array(rows, dtype=object)


def _recursive(scheme: Scheme, x: np.ndarray, y: np.ndarray, levels: int) -> np.ndarray:
    """The scheme's Kronecker power on blocks: x and y of sides to the power of levels, exact numbers."""
    if levels == 0:
        return x * y
    u, v, w = (_exact(each) for each in scheme.fractions())
    left, right = u @ x.reshape(u.shape[1], -1), v @ y.reshape(v.shape[1], -1)
    products = np.stack([_recursive(scheme, a, b, levels - 1) for a, b in zip(left, right, strict=True)])
    return (w @ products).ravel()


def _schoolbook(target: Target, x: np.ndarray, y: np.ndarray, levels: int) -> np.ndarray:
    """The same by the target's own terms, without any scheme."""
    if levels == 0:
        return x * y
    places, values = target.entries
    left, right = x.reshape(target.shape[0], -1), y.reshape(target.shape[1], -1)
    result: list[object] = [0] * target.shape[2]
    for (i, j, k), value in zip(places.tolist(), values.tolist(), strict=True):
        result[k] = result[k] + value * _schoolbook(target, left[i], right[j], levels - 1)  # type: ignore[operator]
    return np.concatenate(result)  # type: ignore[arg-type]


PROTOCOLS = (Protocol("carry-over", "The expansion of other algorithms", ("X07",), carry_over),)
