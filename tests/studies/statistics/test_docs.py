"""The page on statistics runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "statistics.md"


def test_the_page_runs(capsys):
    space: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), space)
    printed = capsys.readouterr().out
    for words in ("Firth", "type II", "not estimable", "Fisher", "Holm", "base rate", "median", "p = 0.1 (exact"):
        assert words in printed, words
