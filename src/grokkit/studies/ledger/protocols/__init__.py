"""All protocols of the ledger, by topic."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._protocol import Protocol
from grokkit.studies.ledger.protocols import (
    batch,
    caches,
    carry_over,
    coherence,
    conservation,
    curvature,
    discovery,
    discretization,
    expansion,
    fields,
    grokking,
    hardware,
    memory,
    messages,
    minima,
    noise,
    operators,
    products,
    rivals,
    solutions,
    symmetries,
    training,
    uniqueness,
    variety,
    weight_noise,
    worlds,
)

PROTOCOLS: Final[tuple[Protocol, ...]] = (
    *expansion.PROTOCOLS,
    *uniqueness.PROTOCOLS,
    *discovery.PROTOCOLS,
    *variety.PROTOCOLS,
    *carry_over.PROTOCOLS,
    *noise.PROTOCOLS,
    *memory.PROTOCOLS,
    *solutions.PROTOCOLS,
    *products.PROTOCOLS,
    *training.PROTOCOLS,
    *grokking.PROTOCOLS,
    *minima.PROTOCOLS,
    *weight_noise.PROTOCOLS,
    *caches.PROTOCOLS,
    *rivals.PROTOCOLS,
    *hardware.PROTOCOLS,
    *worlds.PROTOCOLS,
    *fields.PROTOCOLS,
    *symmetries.PROTOCOLS,
    *operators.PROTOCOLS,
    *conservation.PROTOCOLS,
    *batch.PROTOCOLS,
    *discretization.PROTOCOLS,
    *coherence.PROTOCOLS,
    *curvature.PROTOCOLS,
    *messages.PROTOCOLS,
)
