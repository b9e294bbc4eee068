"""Make docs/measurements.md: every measurement of this folder, with the commands that produce it.

python benchmarks/run_all.py            all of them (hours: the random shapes alone take half an hour)
python benchmarks/run_all.py Products   those with the word in their title; the others stay as they are
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
    ("Studies: both protocols", "studies.py", ["protocols"]),
    ("Studies: ten times as many seeds", "studies.py", ["protocols", "--more", "10"]),
    ("Studies: cost a run", "studies.py", ["scaling", "--workers", "1"]),
    ("Studies: killed fifty times", "studies.py", ["kill"]),
    ("Speed of proof", "proof.py", []),
    ("Search: flips a second", "search.py", ["flips"]),
    ("Search: how often it succeeds", "search.py", ["rates"]),
    ("Search: from random weights", "search.py", ["numeric"]),
    ("Search: how liftings end", "search.py", ["lifting"]),
    ("Products: square sizes", "matmul.py", ["targets"]),
    ("Products: random shapes", "matmul.py", ["shapes"]),
    ("Products: large random shapes", "matmul.py", ["large"]),
    ("Products: overhead of a call", "matmul.py", ["overhead"]),
    ("Products: errors", "matmul.py", ["errors"]),
    ("Products: integers", "matmul.py", ["integers"]),
    ("Products: A Aᵀ", "matmul.py", ["gram"]),
)
PAGE = HERE.parent / "docs" / "measurements.md"


def processor() -> str:
    """The processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        match = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        if match:
            return match.group(1).strip()
    return platform.processor() or platform.machine()


def main() -> None:
    words = [word.lower() for word in sys.argv[1:]]
    chosen = [title for title, _, _ in SECTIONS if not words or any(word in title.lower() for word in words)]
    if not chosen:
        sys.exit(f"no section has {' or '.join(sys.argv[1:])} in its title: {', '.join(t for t, _, _ in SECTIONS)}")
    kept = sections_of(PAGE.read_text()) if PAGE.exists() else {}
    head = (
        "# Measurements\n\nMade by `python benchmarks/run_all.py`; each section names its own command. n counts independent runs. "
        f"grokkit {__version__}, {processor()}, one core a measurement where no other number is given, "
        f"Python {platform.python_version()}, NumPy {np.__version__}, torch {torch.__version__}."
    )
    for title, script, arguments in SECTIONS:
        if title in chosen:
            kept[title] = measured(title, script, arguments)
            own = [title for title, _, _ in SECTIONS]
            parts = [kept[title] for title in (*own, *kept) if title in kept]
            parts = list(dict.fromkeys(parts))  # in this order, then what was written by hand
            PAGE.write_text("\n\n".join([head, *parts]) + "\n")  # each time, so that nothing measured is lost


def sections_of(page: str) -> dict[str, str]:
    """The page's sections by title."""
    sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    return {section.splitlines()[0].removeprefix("## "): section.strip() for section in sections}


def measured(title: str, script: str, arguments: list[str]) -> str:
    """A section, made anew."""
    started = time.perf_counter()
    print(f"{title} ...", file=sys.stderr)
    done = subprocess.run([sys.executable, str(HERE / script), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        text = f"Not measured: {done.stderr.strip().splitlines()[-1]}"
    else:
        text = done.stdout.strip()
    seconds = time.perf_counter() - started
    command = " ".join(["python", f"benchmarks/{script}", *arguments])
    return f"## {title}\n\n{text}\n\n`{command}` ({seconds:.0f} s)"


if __name__ == "__main__":
    main()
