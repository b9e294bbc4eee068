"""Sanitizer check, run by ``make sanitize``: the native core built with the address and undefined-behaviour
sanitizers trains every kind of network, in every instruction set that this processor has.

Without a C++ compiler there is nothing to check, and with one that has no shared sanitizer libraries (Clang's usual
packages) nothing to preload; this is reported, and with GROKKIT_REQUIRE_NATIVE=1 it is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
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
print(_native.load().instruction_set)
"""


def run(*command: str | Path, **environment: str) -> str:
    """Run a command; on failure show all it printed."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=os.environ | environment
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        raise SystemExit(f"sanitizer check failed: {' '.join(map(str, command))[:200]}")
    return done.stdout.strip()


def main() -> None:
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    required = os.environ.get("GROKKIT_REQUIRE_NATIVE") == "1"
    if compiler is None:
        if required:
            raise SystemExit("sanitizer check: no C++ compiler, and GROKKIT_REQUIRE_NATIVE is 1")
        print("sanitizers: not checked, no C++ compiler")
        return
    runtimes = [run(compiler, f"-print-file-name=lib{name}.so") for name in ("asan", "ubsan")]
    if not all(Path(runtime).is_absolute() for runtime in runtimes):
        if required:
            raise SystemExit(f"sanitizer check: {compiler} has no runtime libraries to preload")
        print(f"sanitizers: not checked, {compiler} has no runtime libraries to preload")
        return
    with tempfile.TemporaryDirectory() as folder:
        run("cmake", "-S", ROOT, "-B", folder, "-DGROKKIT_SANITIZE=ON", f"-DCMAKE_CXX_COMPILER={compiler}")
        run("cmake", "--build", folder)
        from grokkit import _native

        core = _native.load()
        newest = core.instruction_set if core is not None else "baseline"
        for name in _native.SETS[: _native.SETS.index(newest) + 1]:
            environment = {"LD_PRELOAD": ":".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0", _native.VARIABLE: name}
            loaded = run(sys.executable, "-c", TRAIN, folder, **environment)
            assert loaded == name, f"{loaded} was loaded, not {name}"
            print(f"sanitizers: {name} clean")


if __name__ == "__main__":
    main()
