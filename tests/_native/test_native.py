"""The native core: that it is there where it must be, and that its loader refuses what does not fit."""

import os
import subprocess
import sys

import pytest

from grokkit import _native

REQUIRED = "GROKKIT_REQUIRE_NATIVE"


def status(**environment):
    code = "from grokkit import _native; print(_native.status())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return done.stdout.strip()


@pytest.mark.skipif(os.environ.get(REQUIRED) != "1", reason=f"{REQUIRED} is not 1: a build without the core is allowed")
def test_the_core_is_built_and_loaded():
    core = _native.load()
    assert core is not None, _native.status()
    best = core.library.grokkit_best_instruction_set().decode()
    assert core.instruction_set == best


@pytest.mark.skipif(_native.load() is None, reason="no native core")
def test_the_newest_set_that_the_processor_has_is_loaded_or_the_wished_one():
    core = _native.load()
    assert core is not None
    newest = _native.SETS.index(core.instruction_set)
    for number, name in enumerate(_native.SETS):
        assert status(GROKKIT_NATIVE=name) == f"loaded, for {_native.SETS[min(number, newest)]}"
    for bits in (4, 8):
        assert core.lanes(bits) * bits == {"baseline": 16, "avx2": 32, "avx512": 64}[core.instruction_set]


def test_it_can_be_switched_off():
    assert status(GROKKIT_NATIVE="off") == "not loaded: GROKKIT_NATIVE=off"


def test_an_unknown_set_is_named():
    expected = "not loaded: GROKKIT_NATIVE=sse9; use off or one of baseline, avx2, avx512"
    assert status(GROKKIT_NATIVE="sse9") == expected


def test_without_files_it_says_how_that_came(monkeypatch, tmp_path):
    monkeypatch.setattr(_native, "__path__", [str(tmp_path)])
    core, reason = _native._find.__wrapped__()
    assert core is None and reason.startswith("not built (no C++ compiler")


def test_a_damaged_file_is_named(monkeypatch, tmp_path):
    (tmp_path / "grokkit_baseline.so").write_bytes(b"not a library")
    monkeypatch.setattr(_native, "__path__", [str(tmp_path)])
    core, reason = _native._find.__wrapped__()
    assert core is None and reason.startswith("grokkit_baseline.so does not load: ")


@pytest.mark.skipif(_native.load() is None, reason="no native core")
def test_another_interface_is_refused(monkeypatch):
    monkeypatch.setattr(_native, "ABI", _native.ABI + 1)
    core, reason = _native._find.__wrapped__()
    assert core is None
    assert reason == f"grokkit_baseline.so has interface {_native.ABI - 1}, this grokkit needs {_native.ABI}; " + (
        "install grokkit again"
    )
