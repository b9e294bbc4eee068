"""The native core: found, checked and loaded here, privately, one shared object for this processor.

Everything runs without it, slower. `load()` returns None where it is not installed, and `status()` says why.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, final

ABI: Final = 4
SETS: Final = ("baseline", "avx2", "avx512")
"""Instruction sets from the oldest to the newest; each includes the ones before it."""
VARIABLE: Final = "GROKKIT_NATIVE"
"""Environment variable: ``off``, or the newest instruction set to use."""


@final
@dataclass(frozen=True)
class Core:
    """A loaded native core."""

    library: ctypes.CDLL
    instruction_set: str

    def lanes(self, bytes_each: int) -> int:
        """Runs that train side by side in one vector of numbers of 4 or 8 bytes."""
        return int(self.library.grokkit_lanes(bytes_each))


@cache
def load() -> Core | None:
    """The native core for this processor, or None."""
    core, _ = _find()
    return core


def status() -> str:
    """One line on the native core: what is loaded, or why nothing is."""
    core, reason = _find()
    return f"loaded, for {core.instruction_set}" if core is not None else f"not loaded: {reason}"


@cache
def _find() -> tuple[Core | None, str]:
    wish = os.environ.get(VARIABLE, "")
    if wish == "off":
        return None, f"{VARIABLE}=off"
    if wish and wish not in SETS:
        return None, f"{VARIABLE}={wish}; use off or one of {', '.join(SETS)}"
    baseline = _open("baseline")
    if isinstance(baseline, str):
        return None, baseline
    best = SETS.index(baseline.library.grokkit_best_instruction_set().decode())
    if wish:
        best = min(best, SETS.index(wish))
    for name in reversed(SETS[1 : best + 1]):
        core = _open(name)
        if not isinstance(core, str):
            return core, ""
    return baseline, ""


def _open(name: str) -> Core | str:
    """Load one variant; the reason, if it cannot be."""
    for folder in __path__:
        path = Path(folder) / f"grokkit_{name}.so"
        if path.is_file():
            break
    else:
        return "not built (no C++ compiler when grokkit was installed); everything works without it, training slower"
    try:
        library = ctypes.CDLL(str(path))
        found = library.grokkit_abi()
    except (OSError, AttributeError) as error:
        return f"{path.name} does not load: {error}"
    if found != ABI:
        return f"{path.name} has interface {found}, this grokkit needs {ABI}; install grokkit again"
    for function in (library.grokkit_best_instruction_set, library.grokkit_instruction_set):
        function.restype = ctypes.c_char_p
    return Core(library, library.grokkit_instruction_set().decode())
