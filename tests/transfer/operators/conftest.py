"""One thread; and fields evaluated by their definition, without an FFT."""

from __future__ import annotations

import numpy as np
import pytest
import torch

torch.set_num_threads(1)


def by_definition(coefficients, nodes):
    """Σ_k c_k exp(2πi k j / nodes), term by term."""
    half = coefficients.shape[-1] // 2
    waves = np.exp(2j * np.pi / nodes * np.outer(np.arange(-half, half + 1), np.arange(nodes)))
    return coefficients @ waves


@pytest.fixture
def evaluate():
    return by_definition
