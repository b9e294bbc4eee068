"""The rule of every claim that a protocol settles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from grokkit.studies.ledger._rules_batch import BATCH
from grokkit.studies.ledger._rules_expansion import EXPANSION
from grokkit.studies.ledger._rules_geometry import GEOMETRY
from grokkit.studies.ledger._rules_numerics import NUMERICS
from grokkit.studies.ledger._rules_solutions import SOLUTIONS
from grokkit.studies.ledger._rules_structure import STRUCTURE
from grokkit.studies.ledger._rules_training import TRAINING
from grokkit.studies.ledger._rules_transfer import TRANSFER
from grokkit.studies.ledger._rules_variants import VARIANTS
from grokkit.studies.ledger._rules_worlds import WORLDS
from grokkit.studies.ledger._verdicts import Rule

_PARTS: Final[tuple[Mapping[str, Rule], ...]] = (
    EXPANSION,
    STRUCTURE,
    NUMERICS,
    SOLUTIONS,
    TRAINING,
    VARIANTS,
    WORLDS,
    TRANSFER,
    BATCH,
    GEOMETRY,
)

RULES: Final[dict[str, Rule]] = {claim: rule for part in _PARTS for claim, rule in part.items()}
"""From the id of a claim to its rule."""
