"""Make docs/measurements.md: every measurement of this folder, with the commands that produce it.

python benchmarks/run_all.py
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from grokkit import __version__

HERE = Path(__file__).resolve().parent
SECTIONS = (
    ("Success at every batch size, our protocol", "success.py", []),
    (
        "Success of the published protocol",
        "success.py",
        ["--preset", "source", "--seed", "2000"],
    ),
    ("Recovery from noise", "noise.py", []),
    ("Checkpoints of the published work", "checkpoints.py", []),
    ("Expansion", "expansion.py", []),
    ("Speed of training", "training.py", []),
    ("Speed of proof", "proof.py", []),
)


def processor() -> str:
    """The processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        match = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        if match:
            return match.group(1).strip()
    return platform.processor() or platform.machine()


def main() -> None:
    parts = [
        "# Measurements",
        "Made by `python benchmarks/run_all.py`; each section names its own command. n counts independent runs. "
        f"grokkit {__version__}, {processor()}, one core a measurement, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, torch {torch.__version__}.",
    ]
    for title, script, arguments in SECTIONS:
        started = time.perf_counter()
        print(f"{title} ...", file=sys.stderr)
        done = subprocess.run(
            [sys.executable, str(HERE / script), *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            text = f"Not measured: {done.stderr.strip().splitlines()[-1]}"
        else:
            text = done.stdout.strip()
        seconds = time.perf_counter() - started
        command = " ".join(["python", f"benchmarks/{script}", *arguments])
        parts += [f"## {title}", text, f"`{command}` ({seconds:.0f} s)"]
    (HERE.parent / "docs" / "measurements.md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
