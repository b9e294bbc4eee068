"""Is the expansion operator unique? The base scheme up to slots and up to bases, and the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from grokkit.scheme import Equivalence, Scheme, canonical, compose, equivalent, expand, sandwiched, verify
from grokkit.scheme.catalog import catalog
from grokkit.studies._statistics import Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols._networks import networks

SEED: Final = 20260302
RUNS: Final = {"quick": 64, "full": 512}
"""Networks."""
TURN: Final = ((0, 1), (-1, 0))
"""An orthogonal change of basis: it moves no singular value."""


def uniqueness(context: Context) -> dict[str, Measurement]:
    """Claim E06.

    The embedding: T puts a fixed scheme G inside each product of F, F ↦ F ⊗ G, with G = F. The rival has G turned by an
    orthogonal matrix: as linear in F, exact, and with the same singular values.
    """
    seed, runs = SEED + context.seed, RUNS[context.scale]
    context.progress(f"{runs} networks, trained and crystallized")
    found = networks("default", runs, seed).crystallized.schemes
    strassen = catalog["strassen"]
    schemes = [*found, strassen, catalog["winograd"]]
    same = sum(isinstance(equivalent(each, strassen), Equivalence) for each in schemes)
    classes = {_key(each) for each in schemes}
    rival = sandwiched(strassen, TURN, ((1, 0), (0, 1)), ((1, 0), (0, 1)))
    own, other = expand(strassen, 2), compose(strassen, rival)
    verify(other)
    figures = {
        "one orbit": Figure.of(
            Proportion(same, len(schemes)), "share of exact schemes that are Strassen's in other bases"
        ),
        "classes": Figure(float(len(classes)), n=len(schemes), what="classes up to slot order, signs and scales"),
        "spectra": Figure(
            _spectral_distance(own, other), what="largest difference of singular values of T and its rival"
        ),
    }
    facts: dict[str, bool | str] = {
        "base scheme unique up to slots": len(classes) == 1,
        "base scheme unique up to bases": same == len(schemes),
        "embedding unique up to slots": _key(own) == _key(other),
        "rival has the same spectra": _spectral_distance(own, other) < 1e-9,
        "block recursion is linear in the weights": _linear(strassen),
    }
    note = (
        "De Groote (1978) proves that all schemes of 7 products are Strassen's in other bases, which is decided here "
        "for each. A rival of T is exact, as linear and with the same singular values, and differs by more than slot "
        "order."
    )
    seeds = f"root seed {seed}, {runs} networks"
    return {"E06": Measurement("E06", figures, facts, {}, seeds, context.scale, note)}


def _key(scheme: Scheme) -> str:
    form = canonical(scheme, "slots")
    assert isinstance(form, Scheme)
    return form.digest


def _spectral_distance(a: Scheme, b: Scheme) -> float:
    def spectra(scheme: Scheme) -> Sequence[np.ndarray]:
        return [np.linalg.svd(factor, compute_uv=False) for factor in scheme.floats()]

    return max(float(np.abs(x - y).max()) for x, y in zip(spectra(a), spectra(b), strict=True))


def _linear(scheme: Scheme) -> bool:
    """Whether expanding 2 F gives 2 T(F), as a linear T must."""
    u = scheme.floats()[0]
    return bool(np.allclose(np.kron(2 * u, 2 * u), 2 * np.kron(u, u)))


PROTOCOLS = (Protocol("uniqueness", "Uniqueness of the base scheme and of the embedding", ("E06",), uniqueness),)
