"""Batches: tensors, or nested tuples, lists and dicts of tensors, that share a leading sample axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from grokkit.scheme import InvalidInput


def count(batch: Any, axis: int = 0) -> int:
    """The number of samples of a batch, or of runs. Raises `InvalidInput` where its tensors disagree."""
    leaves = tree_leaves(batch)
    what = "sample" if axis == 0 else "run and sample"
    if not leaves:
        raise InvalidInput("the batch is empty: give a tensor, or a tuple of tensors such as (inputs, targets)")
    for leaf in leaves:
        if not isinstance(leaf, torch.Tensor):
            raise InvalidInput(
                f"the batch holds a {type(leaf).__name__} where a tensor is needed: convert it with torch.as_tensor"
            )
        if leaf.ndim <= axis:
            raise InvalidInput(f"the batch holds a tensor of shape {tuple(leaf.shape)}, without a leading {what} axis")
    sizes = {tuple(leaf.shape[: axis + 1]) for leaf in leaves}
    if len(sizes) > 1:
        shapes = " and ".join(str(tuple(leaf.shape)) for leaf in leaves)
        raise InvalidInput(f"the tensors of the batch differ in their leading {what} axis: their shapes are {shapes}")
    samples = leaves[0].shape[axis]
    if samples == 0:
        raise InvalidInput("the batch has no samples: give at least one")
    return samples


def part(batch: Any, rows: Any, axis: int = 0) -> Any:
    """The samples of a batch at a slice or an index tensor."""
    index = (slice(None),) * axis
    return tree_map(lambda leaf: leaf[(*index, rows)], batch)


def slices(samples: int, chunk: int | None) -> Iterator[slice]:
    """Successive slices of at most `chunk` samples; all of them at once for None. Raises `InvalidInput`."""
    if chunk is not None and chunk < 1:
        raise InvalidInput(f"chunk is {chunk}; None or a number of samples of at least 1 is needed")
    step = samples if chunk is None else chunk
    for first in range(0, samples, step):
        yield slice(first, min(first + step, samples))


def pair(batch: Any) -> tuple[Any, Any]:
    """Inputs and targets. Raises `InvalidInput` for a batch that is no pair."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise InvalidInput("a loss with a criterion takes batches (inputs, targets); this batch is no such pair")
    return batch[0], batch[1]
