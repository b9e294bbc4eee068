"""The page docs/tasks.md runs as it is written, and names every world."""

import re
from pathlib import Path

from grokkit.tasks import WORLDS

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"


def test_the_page_runs():
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        exec(compile(block, str(PAGE), "exec"), names)
    found, run = names["found"], names["run"]
    assert found.counts and run.error[-1].value > 100 * found.error.value  # as the page says: one step tells little


def test_the_page_names_every_world():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in WORLDS)
