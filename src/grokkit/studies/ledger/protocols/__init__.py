"""All protocols of the ledger, by topic."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._protocol import Protocol
from grokkit.studies.ledger.protocols import (
    caches,
    carry_over,
    discovery,
    expansion,
    fields,
    grokking,
    hardware,
    memory,
    minima,
    noise,
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
)
