"""The solutions as a set: symmetries, dimension, orbits, the expansion acting on them, and rounding near them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np

from grokkit.crystallize import crystallize
from grokkit.scheme import (
    Equivalence,
    Scheme,
    canonical,
    equivalent,
    expand,
    invariants,
    nearest,
    rescaled,
    sandwiched,
    stabilizer,
    symmetric_forms,
    verify,
)
from grokkit.scheme.catalog import catalog
from grokkit.studies._statistics import Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols._networks import networks

SEED: Final = 20260304
RUNS: Final = {"quick": 32, "full": 256}
"""Networks; and copies of Strassen's scheme of each kind."""
SAMPLES: Final = {"quick": 500, "full": 2000}
"""Points at each distance."""
RADII: Final = (0.1, 0.3, 0.49, 0.51, 0.6, 0.8)


def variety(context: Context) -> dict[str, Measurement]:
    """Claims G01 and P01 to P04."""
    seed, runs = SEED + context.seed, RUNS[context.scale]
    rng = np.random.default_rng(seed)
    context.progress(f"{runs} networks, trained and crystallized")
    found = networks("default", runs, seed).crystallized.schemes
    moved = [_random_copy(catalog["strassen"], rng) for _ in range(runs // 4)]
    seeds = f"root seed {seed}, {runs} networks, {len(moved)} random copies of Strassen's scheme"
    context.progress("symmetries, dimensions and orbits")
    scale = context.scale
    return {
        "G01": _symmetries(rng, RUNS[context.scale], seeds, scale),
        "P01": _dimensions([*found, *moved], seeds, scale),
        "P02": _group([*found, *moved], seeds, scale),
        "P03": _expansion(moved[:8], rng, seeds, scale),
        "P04": _rounding(rng, SAMPLES[context.scale], f"root seed {seed}", scale),
    }


def _unimodular(rng: np.random.Generator) -> list[list[int]]:
    a, b = (int(each) for each in rng.integers(-2, 3, 2))
    return [[1 + a * b, a], [b, 1]]


def _random_copy(scheme: Scheme, rng: np.random.Generator) -> Scheme:
    """The scheme in random integer bases of determinant 1, its slots in random order and of random rational scale."""
    turned = sandwiched(scheme, *(_unimodular(rng) for _ in range(3)))
    return rescaled(_reordered(turned, rng), [_scales(rng) for _ in range(scheme.rank)])


def _scales(rng: np.random.Generator) -> tuple[Fraction, Fraction, Fraction]:
    x, y = (Fraction(int(rng.integers(1, 6)), int(rng.integers(1, 6))) * int(rng.choice([-1, 1])) for _ in range(2))
    return x, y, 1 / (x * y)


def _reordered(scheme: Scheme, rng: np.random.Generator) -> Scheme:
    order = [int(each) for each in rng.permutation(scheme.rank)]
    u, v, w = scheme.fractions()
    rows = [[row[k] for k in order] for row in w]
    return Scheme.from_rationals(scheme.target, [u[k] for k in order], [v[k] for k in order], rows)


def _proven(scheme: Scheme) -> bool:
    return verify(scheme).rank == scheme.rank


def _symmetries(rng: np.random.Generator, samples: int, seeds: str, scale: str) -> Measurement:
    strassen = catalog["strassen"]
    scaled = [rescaled(strassen, [_scales(rng) for _ in range(7)]) for _ in range(samples)]
    ordered = [_reordered(strassen, rng) for _ in range(samples)]
    turned = [sandwiched(strassen, *(_unimodular(rng) for _ in range(3))) for _ in range(samples)]
    signs = [[(s, t, s * t) for s, t in rng.choice([-1, 1], (7, 2)).tolist()] for _ in range(samples)]
    signed = [rescaled(strassen, each) for each in signs]
    integer = sum(each.ternary for each in turned)
    shifted = crystallize(_stacked([_random_floats(strassen, rng) for _ in range(samples)]), method="plain")
    facts: dict[str, bool | str] = {
        "scaling and slot order leave the map unchanged": all(_proven(each) for each in (*scaled, *ordered)),
        "sandwiching leaves the map unchanged": all(_proven(each) for each in turned),
        "signs leave coefficients in {-1, 0, 1}": all(each.ternary for each in signed),
    }
    ternary = [each.ternary for each in scaled]
    figures = {
        "dimension": Figure(14.0, what="dimensions of per-slot scaling, 2 for each of 7 slots"),
        "dimension left": Figure(_ternary_dimension(strassen), what="dimensions of scaling that keep {-1, 0, 1}"),
        "scaled ternary": Figure.of(Proportion(sum(ternary), samples), "share of scaled copies still in {-1, 0, 1}"),
        "turned ternary": Figure.of(Proportion(integer, samples), "share of copies in other bases still in {-1, 0, 1}"),
        "sandwiching dimension": Figure(
            float(invariants(strassen).gauge - 14), what="further dimensions, of sandwiching, that the claim leaves out"
        ),
        "rounds in another basis": Figure.of(
            Proportion(shifted.exact, samples), "share of exact solutions in random bases that rounding leaves exact"
        ),
    }
    note = (
        "Scalings with product 1 and coherent permutations are symmetries by algebra. The scalings that keep a nonzero "
        "coefficient in {-1, 1} are signs, so no dimension is left. Sandwiching adds 9 dimensions."
    )
    return Measurement("G01", figures, facts, {}, seeds, scale, note)


def _ternary_dimension(scheme: Scheme) -> float:
    """Dimensions of the scalings of slots that keep every coefficient in {-1, 0, 1}: rank deficiency of log scales.

    A slot's u, v and w may be scaled by exp(x), exp(y) and exp(-x - y); each nonzero coefficient of magnitude 1 asks
    that its exponent be 0.
    """
    free = 0
    for u, v, w in zip(scheme.U, scheme.V, scheme.W.T, strict=True):
        fixed = [row for row, side in zip(([1, 0], [0, 1], [-1, -1]), (u, v, w), strict=True) if np.any(side != 0)]
        free += 2 - int(np.linalg.matrix_rank(np.array(fixed)))
    return float(free)


def _random_floats(scheme: Scheme, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A scheme's factors in random real bases."""
    u, v, w = scheme.floats()
    bases = [
        np.linalg.qr(rng.standard_normal((2, 2)))[0] @ np.diag(np.exp(rng.uniform(-0.7, 0.7, 2))) for _ in range(3)
    ]
    p, q, r = bases
    p_inverse, q_inverse, r_inverse = (np.linalg.inv(each) for each in bases)
    return (
        (p_inverse.T @ u.reshape(7, 2, 2) @ q.T).reshape(7, 4),
        (q_inverse.T @ v.reshape(7, 2, 2) @ r.T).reshape(7, 4),
        (p @ w.T.reshape(7, 2, 2) @ r_inverse).reshape(7, 4).T,
    )


def _stacked(factors: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    u, v, w = (np.stack(side) for side in zip(*factors, strict=True))
    return u, v, w


def _dimensions(schemes: list[Scheme], seeds: str, scale: str) -> Measurement:
    found = [invariants(each) for each in schemes]
    same = sum(isinstance(equivalent(each, catalog["strassen"]), Equivalence) for each in schemes)
    dimensions = [each.tangent_dimension for each in found]
    n = len(schemes)
    figures = {
        "tangent dimension": Figure(float(max(dimensions)), n=n, what="largest dimension of first-order deformations"),
        "smallest dimension": Figure(
            float(min(dimensions)), n=n, what="smallest dimension of first-order deformations"
        ),
        "gauge": Figure(float(found[0].gauge), what="dimension of the gauge orbit, 14 scalings and 9 of PGL(2)^3"),
        "excess": Figure(
            float(max(each.excess for each in found)), n=n, what="largest dimension beyond the gauge orbit"
        ),
        "one orbit": Figure.of(Proportion(same, n), "share of solutions that are Strassen's in other bases"),
    }
    facts: dict[str, bool | str] = {
        "the solutions found are one smooth orbit": same == n and all(each.excess == 0 for each in found)
    }
    note = (
        "Local dimension: 84 parameters less the Jacobian's rank 61. That all solutions of 7 products form one orbit "
        "is de Groote's theorem (1978); an orbit is smooth, so its dimension is 23 everywhere. Checked at every "
        "solution found."
    )
    return Measurement("P01", figures, facts, {}, seeds, scale, note)


def _group(schemes: list[Scheme], seeds: str, scale: str) -> Measurement:
    strassen = catalog["strassen"]
    group = stabilizer(strassen)
    order = len(group) if isinstance(group, list) else None
    orders = {len(each) if isinstance(each, list) else -1 for each in map(stabilizer, schemes[:16])}
    classes = {_digest(each) for each in schemes}
    turns = [isinstance(equivalent(strassen, each), Equivalence) for _, each in symmetric_forms(strassen)]
    figures = {
        "classes": Figure(
            float(len(classes)), n=len(schemes), what="classes of solutions up to bases, slots and scales"
        ),
        "stabilizer": Figure(None, what="order of Strassen's stabilizer", reason="not decided")
        if order is None
        else Figure(float(order), what="order of Strassen's stabilizer in PGL(2)^3"),
        "forms": Figure(
            float(sum(turns)), what="of 6 rotations and transpositions, those that lead back by sandwiching"
        ),
    }
    facts: dict[str, bool | str] = {
        "the quotient of the solutions found is one point": len(classes) == 1,
        "one stabilizer order": orders == {order},
    }
    note = (
        "PGL(2)^3, per-slot scaling and slot permutations act on the solutions, with finite stabilizers; rotation and"
        " transposition add a group of order 6, which maps the one orbit to itself. The quotient is a point (de "
        "Groote 1978)."
    )
    return Measurement("P02", figures, facts, {}, seeds, scale, note)


def _digest(scheme: Scheme) -> str:
    form = canonical(scheme, "bases")
    return form.digest if isinstance(form, Scheme) else f"undecided: {form.reason}"


def _expansion(schemes: list[Scheme], rng: np.random.Generator, seeds: str, scale: str) -> Measurement:
    exact = equivariant = 0
    for scheme in schemes:
        p, q, r = (_unimodular(rng) for _ in range(3))
        squares: list[Any] = [np.kron(each, each).tolist() for each in (p, q, r)]
        large = expand(scheme, 2)
        exact += _proven(large)
        turned, both = expand(sandwiched(scheme, p, q, r), 2), sandwiched(large, *squares)
        equivariant += all((x == y).all() for x, y in zip(turned.floats(), both.floats(), strict=True))
    n = len(schemes)
    before, after = catalog["strassen"], expand(catalog["strassen"], 2)
    figures = {
        "exact": Figure.of(Proportion(exact, n), "share of solutions that T maps to solutions"),
        "equivariant": Figure.of(Proportion(equivariant, n), "share of changes of basis g with T(g F) = (g ⊗ g) T(F)"),
        "parameters": Figure(float(sum(x.size for x in before.floats())), what="parameters of a solution"),
        "parameters after": Figure(float(sum(x.size for x in after.floats())), what="parameters of its expansion"),
    }
    facts: dict[str, bool | str] = {
        "T maps a space to itself": figures["parameters"].value == figures["parameters after"].value
    }
    note = (
        "T maps solutions for 2x2 to solutions for 4x4 and carries changes of basis along. As all solutions are one "
        "orbit, T is a constant on classes; it maps no space of parameters to itself."
    )
    return Measurement("P03", figures, facts, {}, seeds, scale, note)


def _rounding(rng: np.random.Generator, samples: int, seeds: str, scale: str) -> Measurement:
    exact = np.concatenate([factor.ravel() for factor in catalog["strassen"].floats()])
    figures = {}
    for radius in RADII:
        shift = rng.uniform(-radius, radius, (samples, exact.size))
        at = rng.integers(0, exact.size, samples)
        rows = np.arange(samples)
        shift[rows, at] = radius * rng.choice([-1.0, 1.0], samples)  # so that the max norm is the radius
        # towards the neighbour where there is one: clamping forgives the other side
        shift[rows, at] = np.where(exact[at] == 0, shift[rows, at], -radius * exact[at])
        right = int((nearest(exact + shift) == exact).all(axis=1).sum())
        figures[f"right at {radius}"] = Figure.of(
            Proportion(right, samples), f"share that rounds right at max-norm distance {radius}"
        )
    inside = [f"right at {radius}" for radius in RADII if radius < 0.5]
    outside = [f"right at {radius}" for radius in RADII if radius > 0.5]
    facts: dict[str, bool | str] = {
        "rounding is right up to 1/2 and wrong from there": all(figures[name].value == 1 for name in inside)
        and all(figures[name].value == 0 for name in outside)
    }
    note = (
        "Rounding to the nearest of {-1, 0, 1} is right exactly if every coefficient is nearer to its own value than "
        "to another: within 1/2 of a 0, and on the inner side of a ±1. Points outside are moved towards a neighbour."
    )
    return Measurement("P04", figures, facts, {}, seeds, scale, note)


PROTOCOLS = (
    Protocol(
        "variety",
        "The solutions as a set: symmetries, dimension, orbits, rounding",
        ("G01", "P01", "P02", "P03", "P04"),
        variety,
    ),
)
