"""The page docs/operators.md runs as it is written."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "operators.md"


def test_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["there"].shape == (256,)
