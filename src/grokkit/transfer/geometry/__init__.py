"""Geometry of learning: what of it is well defined, measured through `grokkit.dynamics`; what is not, shown."""

from grokkit.scheme import need_extra

need_extra("grokkit.transfer.geometry", "torch", "scipy")

from grokkit.transfer.geometry._couplings import (  # noqa: E402
    READINGS,
    Coupling,
    coupling,
    horizon,
    horizon_readings,
    parameters_at,
)
from grokkit.transfer.geometry._curvature import product_metric, scalar_curvature  # noqa: E402
from grokkit.transfer.geometry._gap import PUBLISHED_HBAR, LeastSquaresGap, gap_exponent, published_bound  # noqa: E402
from grokkit.transfer.geometry._law import VariationLaw, variation_law  # noqa: E402
from grokkit.transfer.geometry._natural import NaturalStep, inverse_metric, natural_step  # noqa: E402
from grokkit.transfer.geometry._spectrum_drift import FisherCallback, SpectrumDrift, spectrum_drift  # noqa: E402

__all__ = [
    "PUBLISHED_HBAR",
    "READINGS",
    "Coupling",
    "FisherCallback",
    "LeastSquaresGap",
    "NaturalStep",
    "SpectrumDrift",
    "VariationLaw",
    "coupling",
    "gap_exponent",
    "horizon",
    "horizon_readings",
    "inverse_metric",
    "natural_step",
    "parameters_at",
    "product_metric",
    "published_bound",
    "scalar_curvature",
    "spectrum_drift",
    "variation_law",
]
