"""One thread; networks of every supported kind, with what feeds them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from grokkit.transfer.embed import AddPositions, DecoderBlock, LastToken, Residual

torch.set_num_threads(1)


def jittered(model, seed=0):
    """Parameters and statistics away from their special starting values."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer += 0.1 * torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype)
    return model.eval()


def mlp(activation=nn.ReLU, bias=True):
    return nn.Sequential(
        nn.Linear(5, 6, bias=bias), activation(), nn.Linear(6, 4, bias=bias), activation(), nn.Linear(4, 3, bias=bias)
    )


def convolutional():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular", bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 4, 3),
    )


def decoder(norm="layer"):
    final = nn.LayerNorm(8) if norm == "layer" else nn.RMSNorm(8)
    return nn.Sequential(
        nn.Embedding(9, 8), AddPositions(5, 8), DecoderBlock(8, 2, 12, norm), final, LastToken(), nn.Linear(8, 9)
    )


def encoder(norm_first=True):
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, norm_first=norm_first, batch_first=True)
    return nn.Sequential(nn.Linear(4, 8), layer, nn.Linear(8, 3))


def residual():
    body = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 6))
    return nn.Sequential(nn.Linear(4, 6), Residual(body), nn.LayerNorm(6), nn.Linear(6, 2))


@pytest.fixture
def make():
    """Models by name, in evaluation mode, with parameters that are nowhere special."""
    kinds = {
        "mlp": mlp,
        "convolutional": convolutional,
        "decoder": decoder,
        "rms decoder": lambda: decoder("rms"),
        "encoder": encoder,
        "post-norm encoder": lambda: encoder(False),
        "residual": residual,
    }

    def made(name, dtype=torch.float64, seed=0):
        torch.manual_seed(seed)
        return jittered(kinds[name]().to(dtype), seed)

    return made


@pytest.fixture
def feed():
    """Inputs for the models of `make`."""

    def fed(name, n=7, dtype=torch.float64, seed=1):
        generator = torch.Generator().manual_seed(seed)
        if "decoder" in name:
            return torch.randint(9, (n, 5), generator=generator)
        shape = {"mlp": (5,), "convolutional": (2, 8, 8), "residual": (4,)}.get(name, (5, 4))
        return torch.randn(n, *shape, generator=generator, dtype=dtype)

    return fed


@pytest.fixture
def activated():
    """An MLP with the given activation."""

    def made(activation, bias=True):
        torch.manual_seed(0)
        return jittered(mlp(activation, bias).double())

    return made
