"""Fusion of frozen experts by a gate: the closed-form weight, the published criterion, and a study of both.

Two predictors of different size are mixed as α(ω) f₁ + (1 − α(ω)) f₈, with α a small network of the frequency ω.
"""

from grokkit.scheme import need_extra

need_extra("grokkit.transfer.fusion", "torch", "scipy", "matplotlib")

from grokkit.transfer.fusion._expert import Expert, train_expert  # noqa: E402
from grokkit.transfer.fusion._figures import fusion_by_frequency  # noqa: E402
from grokkit.transfer.fusion._gate import Gate, train_gate  # noqa: E402
from grokkit.transfer.fusion._network import Network  # noqa: E402
from grokkit.transfer.fusion._study import PROTOCOLS, ROWS, FusionConfig, FusionRun, FusionStudy, study_fusion  # noqa: E402
from grokkit.transfer.fusion._weights import (  # noqa: E402
    CRITERIA,
    Moments,
    fused_matrix,
    optimal_weight,
    published_weight,
)

__all__ = [
    "CRITERIA",
    "PROTOCOLS",
    "ROWS",
    "Expert",
    "FusionConfig",
    "FusionRun",
    "FusionStudy",
    "Gate",
    "Moments",
    "Network",
    "fused_matrix",
    "fusion_by_frequency",
    "optimal_weight",
    "published_weight",
    "study_fusion",
    "train_expert",
    "train_gate",
]
