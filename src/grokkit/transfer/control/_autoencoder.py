"""A sparse autoencoder: the features of which SWAN-like controllers count the effective ones."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grokkit.scheme import InvalidInput


@final
class SparseAutoencoder(nn.Module):
    """code = ReLU(E x + b), output = D code, columns of D of unit norm so that a small code cannot be bought there."""

    def __init__(self, inputs: int, width: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if inputs < 1 or width < 1:
            raise InvalidInput(f"SparseAutoencoder: {inputs} inputs and width {width}; at least 1 of each is needed")
        decoder = torch.randn(inputs, width, generator=generator)
        decoder /= decoder.norm(dim=0)
        self.encoder = nn.Linear(inputs, width)
        self.code = nn.ReLU()
        self.decoder = nn.Parameter(decoder)
        with torch.no_grad():
            self.encoder.weight.copy_(decoder.T)
            self.encoder.bias.zero_()

    @property
    def width(self) -> int:
        return self.decoder.shape[1]

    def forward(self, x: Float[Tensor, "samples inputs"]) -> Float[Tensor, "samples inputs"]:
        return self.code(self.encoder(x)) @ (self.decoder / self.decoder.norm(dim=0)).T
