"""Exact growth of networks: more inputs, units, heads and layers, the same function; `crop` takes them away again."""

from grokkit.scheme import need_extra

need_extra("grokkit.transfer.embed", "torch", "scipy")

from grokkit.transfer.embed._blocks import AddPositions, DecoderBlock, LastToken, Residual  # noqa: E402
from grokkit.transfer.embed._check import Conservation, Spectrum, check_growth  # noqa: E402
from grokkit.transfer.embed._enclosure import Enclosed, enclose  # noqa: E402
from grokkit.transfer.embed._growth import Growth, crop, crop_inputs, embed, embed_inputs  # noqa: E402
from grokkit.transfer.embed._lazy import BlockMatrix, LazyEmbedding  # noqa: E402
from grokkit.transfer.embed._parity import (  # noqa: E402
    Accuracy,
    TrainedParity,
    parity_accuracy,
    parity_labels,
    parity_network,
    random_bits,
    train_parity,
)
from grokkit.transfer.embed._parity_study import (  # noqa: E402
    PREDICTORS,
    SIZES,
    ParityRow,
    ParityStudy,
    study_parity,
)
from grokkit.transfer.embed._placement import NEW, Placement  # noqa: E402
from grokkit.transfer.embed._structure import axes  # noqa: E402

__all__ = [
    "NEW",
    "PREDICTORS",
    "SIZES",
    "Accuracy",
    "AddPositions",
    "BlockMatrix",
    "Conservation",
    "DecoderBlock",
    "Enclosed",
    "Growth",
    "LastToken",
    "LazyEmbedding",
    "ParityRow",
    "ParityStudy",
    "Placement",
    "Residual",
    "Spectrum",
    "TrainedParity",
    "axes",
    "check_growth",
    "crop",
    "crop_inputs",
    "embed",
    "embed_inputs",
    "enclose",
    "parity_accuracy",
    "parity_labels",
    "parity_network",
    "random_bits",
    "study_parity",
    "train_parity",
]
