"""One thread, and no type checks where torch.compile reads the code: it cannot read those of jaxtyping."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import config

torch.set_num_threads(1)


@pytest.fixture
def as_shipped():
    """Checks of shapes and types are off, as for users; the compiler starts afresh."""
    config.update("jaxtyping_disable", True)
    torch._dynamo.reset()
    yield
    config.update("jaxtyping_disable", False)
