"""Checks of the native core outside Python, run by ``make sanitize``:

- built with the address and undefined-behaviour sanitizers it trains every kind of network and walks every flip graph;
- its product meets plain loops under the address, undefined-behaviour and thread sanitizers;
- the product also with NEON, under emulation, where aarch64-linux-gnu-g++ and qemu-aarch64 are at hand.

Without a C++ compiler there is nothing to check, and with one that has no shared sanitizer libraries (Clang's usual
packages) nothing to preload; this is reported, and with GROKKIT_REQUIRE_NATIVE=1 it is an error. So is a missing
emulation with GROKKIT_REQUIRE_NEON=1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TRAIN = """
import sys
import numpy as np
from grokkit import _native
_native.__path__[:] = [sys.argv[1]]
from grokkit.training import TrainConfig
from grokkit.training._engine import make_engine
BASE = {"runs": 19, "shard_size": 19, "steps": 6, "retrain_steps": 6, "samples": 128, "engine": "native"}
VARIANTS = [
    {}, {"batch_size": 1}, {"samples": 0, "minibatch": "shared", "batch_size": 4}, {"weight_noise": 0.1},
    {"l1": 0.1, "l1_phase": "all", "balance_every": 3}, {"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "adam"},
    {"blocks": 4, "samples": 64}, {"format": "2x1x3", "slots": 7, "prune_to": 6},
    {"format": "3x3x3", "blocks": 4, "slots": 64, "prune_to": 0, "samples": 0, "batch_size": 2},
]
for variant in VARIANTS:
    for dtype in ("float32", "float64"):
        config = TrainConfig(**BASE | variant | {"dtype": dtype})
        engine = make_engine(config, np.arange(19))
        engine.advance(config.first_steps)
        if config.prune_to:
            engine.prune()
        engine.advance(config.total_steps)
        assert np.isfinite(engine.weights()).all()
from grokkit.scheme import MatrixProduct
from grokkit.search._packed import RINGS, holds, standard_packed
from grokkit.search._walk import walk
for form in ((2, 2, 2), (3, 3, 3), (8, 8, 8)):
    target = MatrixProduct(*form)
    for ring in RINGS:
        for temperature in (None, 2.0):
            found = walk(
                [standard_packed(target)] * 4, np.arange(4, dtype=np.uint64), np.array([3, 50, 400, 10**6]), ring=ring,
                entries=max(target.shape), steps=5000, temperature=temperature, threads=2,
            )
            assert all(holds(packed, target, ring) for packed in found.schemes)
print(_native.load().instruction_set)
"""


NATIVE = ROOT / "native"
SOURCES = [
    NATIVE / "src" / name for name in ("core.cpp", "trainer.cpp", "product/product.cpp", "product/reference.cpp")
]
SETS = {"baseline": ("16",), "avx2": ("32", "-march=x86-64-v3"), "avx512": ("64", "-march=x86-64-v4")}
SANITIZERS = {"address, undefined": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}


def run(*command: str | Path, **environment: str) -> str:
    """Run a command; on failure show all it printed."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=os.environ | environment
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        raise SystemExit(f"native check failed: {' '.join(map(str, command))[:200]}")
    return done.stdout.strip()


def build_products(compiler: str, folder: Path, name: str, *flags: str) -> Path:
    """The product's test program for an instruction set."""
    folder.mkdir(exist_ok=True)
    program = folder / "products"
    vector_bytes, *architecture = SETS[name]
    defines = [f'-DGROKKIT_SET="{name}"', f"-DGROKKIT_VECTOR_BYTES={vector_bytes}", f"-I{NATIVE / 'include'}"]
    common = ["-std=c++17", "-O1", "-g", "-ffp-contract=fast", "-Wno-psabi", "-w", "-pthread", *architecture, *defines]
    run(compiler, *common, *flags, *SOURCES, NATIVE / "tests" / "products.cpp", "-o", program)
    return program


def check_products(compiler: str, folder: Path, newest: str) -> None:
    """The oldest and the newest instruction set with memory sanitizers, the newest with that of threads."""
    cases = [(name, "address, undefined") for name in sorted({"baseline", newest})] + [(newest, "thread")]

    def check(case: tuple[str, str]) -> str:
        name, sanitizer = case
        flags = (SANITIZERS[sanitizer], "-fno-sanitize-recover=all")
        program = build_products(compiler, folder / f"{name}-{sanitizer[:4]}", name, *flags)
        return f"products, {sanitizer} sanitizer: {run(program, '60')}"

    with ThreadPoolExecutor(2) as pool:
        for line in pool.map(check, cases):
            print(line)


def check_neon(folder: Path) -> None:
    compiler, emulator = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")
    if compiler is None or emulator is None:
        if os.environ.get("GROKKIT_REQUIRE_NEON") == "1":
            raise SystemExit(
                "native check: aarch64-linux-gnu-g++ or qemu-aarch64 is missing, and GROKKIT_REQUIRE_NEON is 1"
            )
        print("products, NEON: not checked, no aarch64-linux-gnu-g++ or no qemu-aarch64")
        return
    program = build_products(compiler, folder, "baseline", "-static")
    print(f"products, NEON under emulation: {run(emulator, program, '40')}")


def main() -> None:
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    required = os.environ.get("GROKKIT_REQUIRE_NATIVE") == "1"
    if compiler is None:
        if required:
            raise SystemExit("native check: no C++ compiler, and GROKKIT_REQUIRE_NATIVE is 1")
        print("sanitizers: not checked, no C++ compiler")
        return
    runtimes = [run(compiler, f"-print-file-name=lib{name}.so") for name in ("asan", "ubsan")]
    if not all(Path(runtime).is_absolute() for runtime in runtimes):
        if required:
            raise SystemExit(f"native check: {compiler} has no runtime libraries to preload")
        print(f"sanitizers: not checked, {compiler} has no runtime libraries to preload")
        return
    from grokkit import _native

    core = _native.load()
    newest = core.instruction_set if core is not None else "baseline"
    names = list(_native.SETS[: _native.SETS.index(newest) + 1])
    with tempfile.TemporaryDirectory() as folder:
        run("cmake", "-S", ROOT, "-B", folder, "-DGROKKIT_SANITIZE=ON", f"-DCMAKE_CXX_COMPILER={compiler}")
        run("cmake", "--build", folder)
        for name in names:
            environment = {"LD_PRELOAD": ":".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0", _native.VARIABLE: name}
            loaded = run(sys.executable, "-c", TRAIN, folder, **environment)
            assert loaded == name, f"{loaded} was loaded, not {name}"
            print(f"training and walks, address and undefined sanitizers: {name} clean")
        check_products(compiler, Path(folder), newest)
        check_neon(Path(folder))


if __name__ == "__main__":
    main()
