"""All protocols of the ledger, by topic."""

from __future__ import annotations

from typing import Final

from grokkit.studies.ledger._protocol import Protocol
from grokkit.studies.ledger.protocols import (
    carry_over,
    discovery,
    expansion,
    memory,
    noise,
    products,
    solutions,
    training,
    uniqueness,
    variety,
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
)
