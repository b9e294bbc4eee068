"""Packaging check, run by ``make package``: the wheel alone, in an empty environment, does its job.

Builds the source distribution and the wheel from it, installs the wheel with its base dependencies only,
and checks there that it imports, proves, multiplies and crystallizes without torch. Then builds once more
with no usable C++ compiler: that must succeed too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SMOKE = """
import importlib.util, json, subprocess, sys
import numpy as np
import grokkit as gk

assert importlib.util.find_spec("torch") is None, "torch must not be there"
assert importlib.util.find_spec("scipy") is None
a, b = np.arange(35).reshape(5, 7), np.arange(21).reshape(7, 3)
assert (gk.matmul(a, b) == a @ b).all()
assert (gk.matmul(a, b, scheme="strassen", levels=2) == a @ b).all()
assert gk.verify(gk.expand(gk.catalog["strassen"], 2)).rank == 49
rng = np.random.default_rng(0)
u, v, w = (rng.standard_normal(shape) for shape in ((7, 4), (7, 4), (4, 7)))
found = gk.crystallize((u, v, w))
assert found.exact == 1 and gk.equivalent(found[0].scheme, gk.catalog["winograd"])
gk.save(found[0].scheme, "found.json", found[0].certificate)
assert gk.load("found.json") == found[0].scheme
assert "torch" not in sys.modules

def cli(*arguments):
    return subprocess.run([sys.executable, "-m", "grokkit", *arguments], capture_output=True, text=True)

assert cli("verify", "found.json").returncode == 0
report = json.loads(cli("doctor", "--json").stdout)
assert report["healthy"] and report["lab"]["torch"] is None, report
trained = cli("train", "--runs", "2", "--steps", "50", "--retrain-steps", "50", "--out", "runs")
if report["native_core"].startswith("loaded"):
    assert trained.returncode == 0, trained
    assert cli("crystallize", "runs").returncode == 0
else:
    assert trained.returncode == 2 and "pip install 'grokkit[lab]'" in trained.stderr, trained
from importlib import resources
standalone = resources.files("grokkit.scheme") / "verify_standalone.py"
command = [sys.executable, "-I", "-S", str(standalone), "found.json"]
done = subprocess.run(command, capture_output=True, text=True)
assert done.returncode == 0 and found[0].scheme.digest in done.stdout, done
assert report["native_core"].startswith(sys.argv[1]), report["native_core"]
print("ok:", report["native_core"])
"""


def run(*command: str | Path, **options: object) -> str:
    """Run a command; on failure show all it printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
        raise SystemExit(f"packaging check failed: {' '.join(map(str, command))}")
    return done.stdout


def build(folder: Path, environment: dict[str, str]) -> Path:
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, env=environment)
    wheels = list(folder.glob("*.whl"))
    assert len(wheels) == 1, wheels
    return wheels[0]


def check_contents(wheel: Path, native: bool) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "grokkit/scheme/data/strassen.json",
        "grokkit/scheme/verify_standalone.py",
        "grokkit/training/presets/source.toml",
        "grokkit/studies/templates/demo.html",
    ):
        assert wanted in names, f"{wanted} is missing from the wheel"
    cores = [n for n in names if n.startswith("grokkit/_native/grokkit_")]
    assert bool(cores) == native, f"native parts: {cores}"
    assert wheel.name.startswith("grokkit-") and "-py3-none-" in wheel.name, wheel.name
    assert wheel.name.endswith("-any.whl") != native, wheel.name
    strange = [n for n in names if not n.startswith("grokkit")]
    assert not strange, f"the wheel holds {strange}"


def check_installed(wheel: Path, folder: Path, native: str) -> None:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel)
    smoke = folder / "smoke.py"
    smoke.write_text(SMOKE)
    print(wheel.name, run(python, "-W", "error", smoke, native, cwd=folder).strip())


def main() -> None:
    plain = dict(os.environ)
    without_compiler = plain | {"CXX": "/nonexistent/c++", "CC": "/nonexistent/cc"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel = build(folder / "plain", plain)
        check_contents(wheel, native=True)
        check_installed(wheel, folder / "one", "loaded, for ")
        wheel = build(folder / "fallback", without_compiler)
        check_contents(wheel, native=False)
        check_installed(wheel, folder / "two", "not loaded: not built")


if __name__ == "__main__":
    main()
