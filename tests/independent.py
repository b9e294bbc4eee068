"""The second opinion of the tests: the verifier that shares no code with the package."""

from __future__ import annotations

import tempfile
from pathlib import Path

import grokkit.scheme.verify_standalone as standalone
from grokkit.scheme import Scheme, dumps


def independent_check(scheme: Scheme) -> bool:
    """Whether the standard-library verifier proves a scheme."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scheme.json"
        path.write_text(dumps(scheme), encoding="utf-8")
        status, _ = standalone.check(path)
        return status == 0
