"""The expansion operator, discovered from weights alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Shaped

from grokkit.crystallize import CrystallizedRun, crystallize
from grokkit.execution import recursive_product
from grokkit.scheme import (
    Certificate,
    Scheme,
    Undecided,
    Weights,
    expand,
    find_factors,
    read_weights,
    stabilizer,
)


class NoExpansion(ArithmeticError):
    """The weights do not crystallize, so there is no expansion operator. `metrics` says how far they came."""

    def __init__(self, reason: str, metrics: dict[str, Any]):
        super().__init__(reason)
        self.metrics = metrics


@final
@dataclass(frozen=True)
class ExpansionOperator:
    """T: the scheme found in the weights, used at every level of the recursion and nothing else."""

    scheme: Scheme
    certificate: Certificate

    def __call__(self, a: np.ndarray, b: np.ndarray, levels: int | None = None) -> np.ndarray:
        """The product of matrices of any size; `levels` recursive steps, all of them if None."""
        return recursive_product(self.scheme, a, b, levels)

    def expand(self, levels: int) -> Scheme:
        """The exact scheme of the expanded format."""
        return expand(self.scheme, levels)


def discover_expansion_operator(
    weights: Mapping[str, Any] | str | os.PathLike[str], *, seed: int = 0
) -> tuple[ExpansionOperator, dict[str, Any]]:
    """Find the algorithm in a network's weights and return how it expands to any size.

    Parameters
    ----------
    weights:
        U (slots × n·m), V (slots × m·p) and W (n·p × slots) in a mapping of arrays or tensors, or the
        path of a `.pt`, `.npz` or `.safetensors` file. Names, nesting, orientation and slot masks are
        recognized.
    seed:
        Seeds the restarts of the crystallization.

    Returns T and its metrics:

    ``rank``, ``discrete_values``, ``ternary``, ``digest``, ``certificate``
        of the proven scheme;
    ``mse_before``, ``converged_before_polish``, ``shipped_exact``
        what the weights were worth as they came: mean squared error, and whether plain rounding is exact;
    ``gauge_used``
        how they became exact: polish, gauge, its condition number, rounds, tries;
    ``symmetry``
        order of the scheme's stabilizer under sandwiching, None if undecided;
    ``invariant_subspace_dim``
        dimension of the span of the products u_r ⊗ v_r: no gauge changes it;
    ``confidence``
        how far the weights themselves, as they came, computed the map: the share 1 − mse/mse₀ of the
        product's variance that they explain, in 0..1, with mse₀ the error of predicting zero. 1: training
        had found the algorithm; 0: the solver did all the work;
    ``products_explain``
        the same share with the best possible W: how much of the map lies in the span of the network's own
        products. No gauge and no scale changes it; slots/(nm·mp) is what random products give;
    ``polish_moved``
        how far the solver moved the weights, relative to their norm;
    ``spectrum_before``, ``spectrum_after``
        singular values of U, V and W;
    ``properties``
        the three properties that the expansion is stated to have, as measured numbers (see
        `expansion_properties`).

    Raises `NoExpansion` if the weights do not crystallize, `InvalidInput` or `UnreadableFile` if they
    are not such weights. No known algorithm is ever substituted.
    """
    if isinstance(weights, str | os.PathLike):
        found = find_factors(read_weights(weights), os.fspath(weights))
    else:
        found = find_factors(weights)
    factors = (found.U, found.V, found.W)
    run = crystallize(factors, found.target, seed=seed)[0]
    metrics = _before(found, run)
    if run.scheme is None or run.certificate is None:
        raise NoExpansion(f"the weights do not crystallize: {run.reason}", metrics)
    scheme = run.scheme
    metrics |= {
        "rank": scheme.rank,
        "discrete_values": _discrete_values(scheme),
        "ternary": scheme.ternary,
        "digest": scheme.digest,
        "certificate": run.certificate.to_json(),
        "symmetry": _symmetry(scheme),
        "invariant_subspace_dim": invariant_subspace_dim(scheme),
        "spectrum_after": _spectrum(scheme.floats()),
        "properties": expansion_properties(scheme),
    }
    return ExpansionOperator(scheme, run.certificate), metrics


def _before(found: Weights, run: CrystallizedRun) -> dict[str, Any]:
    plain = crystallize((found.U, found.V, found.W), found.target, method="plain")
    zero_mse = len(found.target.entries[1]) / found.target.shape[2]
    return {
        "format": list(found.target.format),
        "slots": len(found.U),
        "inactive_slots": found.inactive,
        "mse_before": run.path.mse_before,
        "confidence": min(1.0, max(0.0, 1 - run.path.mse_before / zero_mse)),
        "products_explain": products_explain(found.U, found.V, found.target.tensor()),
        "polish_moved": run.path.polish_moved,
        "lattice_distance_before": run.path.distance_before,
        "converged_before_polish": run.path.converged_before_polish,
        "shipped_exact": plain.exact == 1,
        "gauge_used": {
            "gauge": run.path.gauge,
            "condition": run.path.gauge_condition,
            "polish_cycles": run.path.polish_cycles,
            "rounds": run.path.rounds,
            "tries": run.path.tries,
        },
        "spectrum_before": _spectrum((found.U, found.V, found.W)),
    }


def products_explain(
    U: Float[np.ndarray, "slots nm"], V: Float[np.ndarray, "slots mp"], tensor: Shaped[np.ndarray, "nm mp np"]
) -> float:
    """Share of a target's squared norm within the span of the products u_r ⊗ v_r, in 0..1."""
    products = (U[:, :, None] * V[:, None, :]).reshape(len(U), -1)
    norms = np.linalg.norm(products, axis=1, keepdims=True)
    products = (products / np.where(norms > 0, norms, 1.0)).T
    goal = tensor.reshape(len(products), -1).astype(np.float64)
    outputs, *_ = np.linalg.lstsq(products, goal, rcond=None)
    return float(1 - ((goal - products @ outputs) ** 2).sum() / (goal**2).sum())


def _spectrum(factors: tuple[np.ndarray, ...]) -> dict[str, list[float]]:
    return {name: np.linalg.svd(matrix, compute_uv=False).tolist() for name, matrix in zip("UVW", factors, strict=True)}


def _discrete_values(scheme: Scheme) -> list[float]:
    return sorted({float(value) for matrix in scheme.floats() for value in matrix.flat})


def _symmetry(scheme: Scheme) -> dict[str, Any]:
    group = stabilizer(scheme)
    if isinstance(group, Undecided):
        return {"stabilizer_order": None, "reason": group.reason}
    return {"stabilizer_order": len(group), "group": "sandwichings in PGL(n) x PGL(m) x PGL(p)"}


def invariant_subspace_dim(scheme: Scheme) -> int:
    """Dimension of the span of the products u_r ⊗ v_r in the space of bilinear forms.

    Slot permutation and scaling leave the span as it is and sandwiching moves it rigidly, so its dimension
    is a property of the algorithm; it is the rank exactly if no product is redundant.
    """
    u, v, _ = scheme.floats()
    products = (u[:, :, None] * v[:, None, :]).reshape(scheme.rank, -1)
    return int(np.linalg.matrix_rank(products))


def expansion_properties(scheme: Scheme, levels: int = 2) -> dict[str, dict[str, float]]:
    """The three stated properties of the expansion, measured on U, V and W of a scheme.

    For a factor F with singular values σ₁ ≥ … ≥ σ_k > 0 and T(F) its expansion by `levels`:

    ``spectrum_contained``: largest distance of a normalized σ_i/σ₁ to the nearest normalized singular
    value of T(F). ``spectrum_in_order``: the same, but the i-th against the i-th, as "order and size of
    the leading singular values" would have it. ``isometry``: ‖XᵀPX − 1‖ for X the dominant right
    singular vectors of F, each extended by the leading one (x ↦ x ⊗ v₁ ⊗ …), and P the projector onto the
    right singular subspace of T(F). ``norm_ratio``: ‖T(F)‖_F / ‖F‖_F^levels. ``scale_ratio``: condition
    number of T(F) over that of F.
    """
    expanded = expand(scheme, levels)
    target = scheme.target
    result = {}
    for side, (name, base, large) in enumerate(zip("UVW", scheme.floats(), expanded.floats(), strict=True)):
        small = base.T if name == "W" else base
        big = large.T if name == "W" else large
        rows, columns = target.sides()[side]  # type: ignore[attr-defined]
        result[name] = _factor_properties(small, big, (rows, columns), levels)
    return result


def _factor_properties(
    small: Float[np.ndarray, "rank d"],
    big: Float[np.ndarray, "RANK D"],
    shape: tuple[int, int],
    levels: int,
) -> dict[str, float]:
    _, values, right = np.linalg.svd(small, full_matrices=False)
    _, big_values, big_right = np.linalg.svd(big, full_matrices=False)
    k = int((values > 1e-9 * values[0]).sum())
    big_k = int((big_values > 1e-9 * big_values[0]).sum())
    normalized, big_normalized = values[:k] / values[0], big_values[:big_k] / big_values[0]
    extended = []
    for vector in right[:k]:
        x = vector.reshape(shape)
        for _ in range(levels - 1):
            x = np.kron(x, right[0].reshape(shape))
        extended.append(x.ravel())
    coordinates = np.array(extended) @ big_right[:big_k].T
    return {
        "spectrum_contained": float(np.abs(normalized[:, None] - big_normalized[None]).min(axis=1).max()),
        "spectrum_in_order": float(np.abs(normalized - big_normalized[:k]).max()),
        "isometry": float(np.linalg.norm(coordinates @ coordinates.T - np.eye(k))),
        "norm_ratio": float(np.linalg.norm(big) / np.linalg.norm(small) ** levels),
        "scale_ratio": float((big_values[0] / big_values[big_k - 1]) / (values[0] / values[k - 1])),
    }
