"""Measurements on a function, its parameters and batches: gradient noise, curvature, order, grokking.

Every instrument takes a `Loss` (`from_module` makes one of any module) and a batch, never a trainer. A figure that does
not exist is `Undefined`, with the reason. `Losses` are a population, measured all at once.
"""

from grokkit.scheme import need_extra

need_extra("grokkit.dynamics", "torch", "scipy")

from grokkit.dynamics._curvature import Curvature, Curvatures, fisher, gauss_newton, hessian  # noqa: E402
from grokkit.dynamics._gradients import (  # noqa: E402
    GradientCovariance,
    NotFinite,
    covariance_of,
    gradient_covariance,
    mean_gradient,
    per_sample_gradients,
)
from grokkit.dynamics._grokking import (  # noqa: E402
    GradualDrop,
    Grokked,
    Grokking,
    NeverFitted,
    NoDrop,
    NoPlateau,
    Plateau,
    detect_grokking,
)
from grokkit.dynamics._learning_coefficient import LearningCoefficient, local_learning_coefficient  # noqa: E402
from grokkit.dynamics._local_complexity import LocalComplexity, local_complexity  # noqa: E402
from grokkit.dynamics._loss import Loss, Losses, from_module, from_modules  # noqa: E402
from grokkit.dynamics._noise import (  # noqa: E402
    Diffusion,
    NoiseScale,
    gradient_noise_scale,
    noise_scale_by_two_sizes,
    noise_scale_of,
    noise_scale_of_two_sizes,
    normalized_diffusion,
)
from grokkit.dynamics._order import Order, order_of_runs, order_parameters, success_probability  # noqa: E402
from grokkit.dynamics._recorder import INSTRUMENTS, Recorder, lightning_callback  # noqa: E402
from grokkit.dynamics._sharpness import Rise, sam_rise, sharpness, worst_case_rise  # noqa: E402
from grokkit.dynamics._spectrum import (  # noqa: E402
    Extremes,
    Rank,
    Spectrum,
    extreme_eigenvalues,
    jacobian_rank,
    spectrum,
    trace,
)
from grokkit.dynamics._values import Estimate, Undefined  # noqa: E402
from grokkit.dynamics._variation import GradientVariation, gradient_variation  # noqa: E402

__all__ = [
    "INSTRUMENTS",
    "Curvature",
    "Curvatures",
    "Diffusion",
    "Estimate",
    "Extremes",
    "GradientCovariance",
    "GradientVariation",
    "GradualDrop",
    "Grokked",
    "Grokking",
    "LearningCoefficient",
    "LocalComplexity",
    "Loss",
    "Losses",
    "NeverFitted",
    "NoDrop",
    "NoPlateau",
    "NoiseScale",
    "NotFinite",
    "Order",
    "Plateau",
    "Rank",
    "Recorder",
    "Rise",
    "Spectrum",
    "Undefined",
    "covariance_of",
    "detect_grokking",
    "extreme_eigenvalues",
    "fisher",
    "from_module",
    "from_modules",
    "gauss_newton",
    "gradient_covariance",
    "gradient_noise_scale",
    "gradient_variation",
    "hessian",
    "jacobian_rank",
    "lightning_callback",
    "local_complexity",
    "local_learning_coefficient",
    "mean_gradient",
    "noise_scale_by_two_sizes",
    "noise_scale_of",
    "noise_scale_of_two_sizes",
    "normalized_diffusion",
    "order_of_runs",
    "order_parameters",
    "per_sample_gradients",
    "sam_rise",
    "sharpness",
    "spectrum",
    "success_probability",
    "trace",
    "worst_case_rise",
]
