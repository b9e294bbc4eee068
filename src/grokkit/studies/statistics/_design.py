"""Columns of predictors as a model matrix: numbers as they are, categories against their first level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics._columns import levels, numbers, text

INTERCEPT = "intercept"


@final
@dataclass(frozen=True)
class Design:
    """A model matrix with an intercept, and the names of its columns."""

    matrix: Float[np.ndarray, "runs terms"]
    names: tuple[str, ...]


def design(frame: pd.DataFrame, predictors: Sequence[str], categorical: Sequence[str] = ()) -> Design:
    """Intercept, numeric columns as they are, one indicator for each further level of a category.

    Columns that hold no numbers are categories, and so are those named in `categorical`. Raises `InvalidInput` for
    a constant predictor or an unknown name.
    """
    unknown = [name for name in categorical if name not in predictors]
    if unknown:
        raise InvalidInput(f"categorical names {unknown[0]!r}, which is not among the predictors")
    columns, names = [np.ones(len(frame))], [INTERCEPT]
    for name in predictors:
        if name not in categorical and frame[name].dtype.kind in "biuf":
            values = numbers(frame, name)
            if np.ptp(values) == 0:
                raise InvalidInput(f"predictor {name!r} has the one value {values[0]:g}; leave it out")
            columns.append(values)
            names.append(name)
            continue
        distinct, codes = levels(frame, name)
        if len(distinct) < 2:
            raise InvalidInput(f"predictor {name!r} has the one value {distinct[0]!r}; leave it out")
        for at in range(1, len(distinct)):
            columns.append((codes == at).astype(np.float64))
            names.append(f"{name}={text(distinct[at])} (against {text(distinct[0])})")
    return Design(np.stack(columns, axis=1), tuple(names))


def dependent(matrix: Float[np.ndarray, "runs terms"]) -> Bool[np.ndarray, " terms"]:
    """Which columns are a combination of the others."""
    scaled = matrix / np.linalg.norm(matrix, axis=0)
    _, singular, right = np.linalg.svd(scaled, full_matrices=True)
    singular = np.concatenate([singular, np.zeros(matrix.shape[1] - len(singular))])
    null = right[singular <= max(matrix.shape) * np.finfo(float).eps * singular[0]]
    return np.asarray((np.abs(null) > 1e-8).any(axis=0))
