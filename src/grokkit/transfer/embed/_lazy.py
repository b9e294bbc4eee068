"""Zero-padded networks without the zeros: parameters as a small core and the places where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, final

import torch
from torch import nn

from grokkit.scheme import InvalidInput
from grokkit.transfer.embed._growth import Growth, crop_inputs, embed
from grokkit.transfer.embed._placement import Placement, read, write
from grokkit.transfer.embed._structure import ELEMENTWISE, Axis, structure


@final
@dataclass(frozen=True)
class BlockMatrix:
    """A large matrix that is zero but for `core`, whose rows and columns stand where `rows` and `columns` place them.

    Zero rows and columns change neither singular values nor rank, so those of the core are the matrix's.
    """

    core: torch.Tensor
    rows: Placement
    columns: Placement

    @property
    def shape(self) -> tuple[int, int]:
        """Of the large matrix."""
        return self.rows.target, self.columns.target

    def dense(self) -> torch.Tensor:
        """The large matrix itself."""
        return read(write(self.core, 0, self.rows), 1, self.columns)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """matrix @ x for each vector of `x` (..., columns), at the cost of the core: (..., rows)."""
        small = x[..., torch.as_tensor(self.columns.homes)] @ self.core.T
        out = small.new_zeros((*small.shape[:-1], self.rows.target))
        out[..., torch.as_tensor(self.rows.homes)] = small
        return out

    def singular_values(self) -> torch.Tensor:
        """The singular values that are not zero by the padding alone, descending, in float64."""
        return torch.linalg.svdvals(self.core.double())

    def rank(self) -> int:
        """Numerical rank, in float64."""
        return int(torch.linalg.matrix_rank(self.core.double()))


@final
class LazyEmbedding(nn.Module):
    """The zero-padded growth of a Sequential of Linear layers and elementwise activations, in the memory of the core.

    `forward` takes the large inputs and computes f(crop x): every product with a padded zero is left out, so outputs
    are those of the small model to the last bit. The core trains as usual. `dense` makes the large model. Raises
    `InvalidInput` for other layers, for copies, noise or depth.
    """

    def __init__(self, core: nn.Sequential, growth: Growth) -> None:
        super().__init__()
        plan = structure(core)
        for name, layer in core.named_children():
            if type(layer) is not nn.Linear and type(layer) not in ELEMENTWISE:
                raise InvalidInput(
                    f"layer {name} ({type(layer).__name__}): lazy growth takes Linear and activations only"
                )
        if growth.noise or growth.deeper or not all(p.single for p in growth.axes.values()):
            raise InvalidInput("growth: lazy growth places every unit once, without copies, noise or depth")
        for name, placement in growth.axes.items():
            axis = plan.axes.get(name)
            if axis is None or axis.fixed is not None or axis.size != placement.size:
                raise InvalidInput(
                    f"axis {name}: it is not one of this module that can grow from {placement.size} units"
                )
        self.core = core
        self.growth = growth

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.core(crop_inputs(x, self.growth))

    def weights(self) -> dict[str, BlockMatrix]:
        """The large weight of every Linear layer, by its path."""
        found = {}
        for leaf in structure(self.core).leaves:
            layer = cast(nn.Linear, self.core.get_submodule(leaf.path))
            rows, columns = (self.growth.placement(cast(Axis, axis)) for axis in (leaf.writes, leaf.reads))
            found[leaf.path] = BlockMatrix(layer.weight.detach(), rows, columns)
        return found

    def biases(self) -> dict[str, torch.Tensor]:
        """The large bias of every Linear layer that has one, by its path."""
        found = {}
        for leaf in structure(self.core).leaves:
            bias = cast(nn.Linear, self.core.get_submodule(leaf.path)).bias
            if bias is not None:
                found[leaf.path] = write(bias.detach(), 0, self.growth.placement(cast(Axis, leaf.writes)))
        return found

    def dense(self) -> nn.Sequential:
        """The same network with all its zeros."""
        return embed(self.core, self.growth)
