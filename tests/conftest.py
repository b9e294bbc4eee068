"""Test set-up: shapes and types of every annotated function are checked while the tests run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# Before the hook, whose finder does not know where an editable installation keeps compiled files.
import grokkit._native  # noqa: F401

install_import_hook("grokkit", "checker.check")

# No deadline: these machines are noisy, and a slow example is not a wrong one.
settings.register_profile("grokkit", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("grokkit")


@pytest.fixture
def test_data() -> Path:
    """Third-party schemes and checkpoints; the test is skipped where they are not at hand."""
    folder = os.environ.get("GROKKIT_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("GROKKIT_TEST_DATA is not set")
    return Path(folder)
