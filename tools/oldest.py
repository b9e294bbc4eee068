"""Run the tests with the lowest versions that ``pyproject.toml`` allows, by ``make oldest``.

uv resolves every direct dependency of the base install, the laboratory and the tests to its lowest version (torch stays
as the constraints pin it: older builds for this machine need not exist). Warnings are not errors here, as old versions
warn of newer ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TESTS: Final = (
    "tests/test_package.py",
    "tests/engines",
    "tests/scheme",
    "tests/execution",
    "tests/crystallize",
    "tests/training",
    "tests/dynamics",
    "tests/tasks",
    "tests/studies/statistics",
    "tests/studies/runs",
)


def main() -> None:
    chosen = sys.argv[1:] or list(TESTS)
    with tempfile.TemporaryDirectory() as temporary:
        python = Path(temporary) / "venv" / "bin" / "python"
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", python.parent.parent, "--python", sys.executable], check=True)
        lowest = ["--resolution", "lowest-direct", "--constraint", ROOT / "constraints.txt"]
        subprocess.run([*uv, "pip", "install", "--python", python, *lowest, f"{ROOT}[lab,test]"], check=True)
        subprocess.run([*uv, "pip", "list", "--python", python], check=True)
        flags = ["-q", "-p", "no:cacheprovider", "-W", "default", "-n", "auto", "--dist", "loadfile"]
        done = subprocess.run([python, "-m", "pytest", *flags, *chosen], cwd=ROOT, env=dict(os.environ), check=False)
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
