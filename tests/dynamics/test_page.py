"""The page docs/dynamics.md runs as it is written, and names every instrument."""

import re
from pathlib import Path

import pytest

import grokkit.dynamics

PAGE = Path(__file__).parents[2] / "docs" / "dynamics.md"


def test_the_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 10
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "undefined (every gradient is zero" in printed and "Grokked(epoch=600" in printed


@pytest.mark.parametrize("name", [name for name in grokkit.dynamics.__all__ if name[0].islower()])
def test_every_instrument_is_on_the_page(name):
    assert re.search(rf"\b{name}\b", PAGE.read_text(encoding="utf-8"))
