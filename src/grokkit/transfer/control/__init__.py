"""Conservation control: effective features, sparsity in a closed loop, graphs under drift, a freeze, PT symmetry.

The callbacks (`SparsityCallback`, `SilenceCallback`, `LayerWatch`) work on any module.
"""

from grokkit.scheme import need_extra

need_extra("grokkit.transfer.control", "torch", "scipy")

from grokkit.transfer.control._autoencoder import SparseAutoencoder  # noqa: E402
from grokkit.transfer.control._controller import SparsityCallback, SparsityController  # noqa: E402
from grokkit.transfer.control._drift import DriftingSources, DriftTrace, run_drift  # noqa: E402
from grokkit.transfer.control._features import EffectiveFeatures, activation_entropy, effective_features  # noqa: E402
from grokkit.transfer.control._graph import Connectivity, connectivity, correlation_graph  # noqa: E402
from grokkit.transfer.control._graph_learner import DriftingGraph, GraphTrace, learn_graph  # noqa: E402
from grokkit.transfer.control._silence import (  # noqa: E402
    TOPOLOGY,
    EntropyGap,
    Hysteresis,
    SilenceCallback,
    entropy_gap,
    topological_entropy,
)
from grokkit.transfer.control._study import POLICIES, ControlConfig, ControlStudy, study_control  # noqa: E402
from grokkit.transfer.control._two_level import TwoLevel, pt_violation  # noqa: E402
from grokkit.transfer.control._watch import LayerWatch  # noqa: E402

__all__ = [
    "POLICIES",
    "TOPOLOGY",
    "Connectivity",
    "ControlConfig",
    "ControlStudy",
    "DriftTrace",
    "DriftingGraph",
    "DriftingSources",
    "EffectiveFeatures",
    "EntropyGap",
    "GraphTrace",
    "Hysteresis",
    "LayerWatch",
    "SilenceCallback",
    "SparseAutoencoder",
    "SparsityCallback",
    "SparsityController",
    "TwoLevel",
    "activation_entropy",
    "connectivity",
    "correlation_graph",
    "effective_features",
    "entropy_gap",
    "learn_graph",
    "pt_violation",
    "run_drift",
    "study_control",
    "topological_entropy",
]
