"""A short run of the fuzzer of `make fuzz`."""

from __future__ import annotations

from fuzz_readers import run


def test_mutated_files_are_read_or_refused():
    failures = list(run(files=150, seed=1))
    assert not failures, failures[:3]
