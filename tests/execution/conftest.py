from collections.abc import Iterator

import pytest

from grokkit.execution import _integers, _modular


@pytest.fixture
def tiny_tiles(monkeypatch) -> Iterator[None]:
    """Tiles, strips and buffers so small that small operands need many of them, and residues reduced on the way."""
    monkeypatch.setattr(_integers, "TILE_SIDE", 5)
    monkeypatch.setattr(_integers, "TILE_ELEMENTS", 30)
    monkeypatch.setattr(_integers, "STRIP_ELEMENTS", 7)
    monkeypatch.setattr(_modular, "DELAYED", 3)
    for cached in (_integers.split, _integers.strip_indices):
        cached.cache_clear()
    yield
    for cached in (_integers.split, _integers.strip_indices):
        cached.cache_clear()
