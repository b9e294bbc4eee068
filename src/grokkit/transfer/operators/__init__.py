"""Spectral operators carried from one grid to another on a fixed physical domain.

Weights that belong to modes of the domain go to any grid that holds those modes. `Multiplier` is the linear case,
exact; `NeuralOperator` the learned one; `spectral_tail` bounds what a truncated operator loses.
"""

from grokkit.scheme import need_extra

need_extra("grokkit.transfer.operators", "torch", "scipy", "matplotlib")

from grokkit.transfer.operators._bound import (  # noqa: E402
    KINDS,
    SpectralTail,
    Violations,
    bound_violations,
    heat_kernel,
    spectral_tail,
)
from grokkit.transfer.operators._embedding import embed, restrict, tail_padded  # noqa: E402
from grokkit.transfer.operators._figures import (  # noqa: E402
    bound_by_resolution,
    error_by_resolution,
    fields_side_by_side,
)
from grokkit.transfer.operators._fno import (  # noqa: E402
    NeuralOperator,
    OperatorConfig,
    RingConvolution,
    SpectralConvolution,
)
from grokkit.transfer.operators._grid import Grid, random_coefficients, spectrum, synthesize  # noqa: E402
from grokkit.transfer.operators._multiplier import Multiplier, OnNodes  # noqa: E402
from grokkit.transfer.operators._problems import (  # noqa: E402
    CyclotronFields,
    FieldPairs,
    FieldProblem,
    WaveFields,
)
from grokkit.transfer.operators._study import CASES, TransferCase, TransferStudy, study_transfer  # noqa: E402
from grokkit.transfer.operators._training import TrainedOperator, TrainingSettings, train_operator  # noqa: E402

__all__ = [
    "CASES",
    "KINDS",
    "CyclotronFields",
    "FieldPairs",
    "FieldProblem",
    "Grid",
    "Multiplier",
    "NeuralOperator",
    "OnNodes",
    "OperatorConfig",
    "RingConvolution",
    "SpectralConvolution",
    "SpectralTail",
    "TrainedOperator",
    "TrainingSettings",
    "TransferCase",
    "TransferStudy",
    "Violations",
    "WaveFields",
    "bound_by_resolution",
    "bound_violations",
    "embed",
    "error_by_resolution",
    "fields_side_by_side",
    "heat_kernel",
    "random_coefficients",
    "restrict",
    "spectral_tail",
    "spectrum",
    "study_transfer",
    "synthesize",
    "tail_padded",
    "train_operator",
]
