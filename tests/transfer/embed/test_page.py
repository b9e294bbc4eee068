"""The page docs/growth.md runs as it is written, and the package knows what it names."""

import re
from pathlib import Path

import grokkit.transfer.embed

PAGE = Path(__file__).parents[3] / "docs" / "growth.md"


def test_the_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "{'input': 4, '0': 8}" in printed and "conservation holds on 100 samples" in printed
    assert "(32768, 2048) learned: accuracy 1.000" in printed


def test_the_page_names_what_a_user_needs():
    text = PAGE.read_text(encoding="utf-8")
    absent = [name for name in grokkit.transfer.embed.__all__ if not re.search(rf"\b{name}\b", text)]
    assert not set(absent) & {
        "Growth",
        "Placement",
        "embed",
        "crop",
        "check_growth",
        "Conservation",
        "LazyEmbedding",
        "axes",
    }
