"""What an installation has, and whether its core works."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_info

from grokkit import _native
from grokkit._version import __version__
from grokkit.execution import current_profile, matmul, store_profile, tune
from grokkit.scheme import Refuted, verify
from grokkit.scheme.catalog import catalog

LAB: Final = ("torch", "scipy", "statsmodels", "joblib", "matplotlib", "jinja2")


def diagnose() -> dict[str, Any]:
    """Versions, libraries and machine, and two quick checks: a proof and a product."""
    return {
        "grokkit": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "numpy": np.__version__,
        "blas": [
            f"{lib.get('internal_api')} {lib.get('version')}, {lib.get('num_threads')} threads"
            for lib in threadpool_info()
            if lib.get("user_api") == "blas"
        ],
        "native_core": _native.status(),
        "machine_profile": _profile_line(),
        "lab": {name: _version(name) for name in LAB},
        "checks": [_check_proof(), _check_product()],
    }


def _profile_line() -> str:
    profile = current_profile()
    if profile.measured:
        return "measured on this machine"
    return "shipped; `grokkit doctor --tune` measures this machine" if profile.prices else "none for this machine"


def tune_machine(seconds: float, report: Callable[[str], None]) -> dict[str, Any]:
    """Measure and store the machine profile, against torch's product too where torch is installed."""
    vendors = {"torch": _torch_product} if importlib.util.find_spec("torch") else {}
    profile = tune(seconds, vendors=vendors, report=report)
    return {"path": store_profile(profile), **profile.to_json()}


@contextmanager
def _torch_product(threads: int) -> Iterator[Callable[[np.ndarray, np.ndarray, np.ndarray], Any]]:
    """torch's product of arrays on a number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield lambda a, b, out: torch.mm(torch.from_numpy(a), torch.from_numpy(b), out=torch.from_numpy(out))
    finally:
        torch.set_num_threads(before)


def _version(name: str) -> str | None:
    if name in sys.modules:
        return str(getattr(sys.modules[name], "__version__", "installed"))
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _check_proof() -> dict[str, Any]:
    try:
        certificate = verify(catalog["strassen"])
    except Refuted as error:
        return {"name": "proof of Strassen's algorithm", "ok": False, "detail": str(error)}
    return {"name": "proof of Strassen's algorithm", "ok": True, "detail": certificate.digest}


def _check_product() -> dict[str, Any]:
    a = np.arange(35).reshape(5, 7) - 17
    b = np.arange(21).reshape(7, 3) - 9
    ok = bool((matmul(a, b, scheme="strassen", levels=2) == a @ b).all())
    return {
        "name": "product of odd shapes",
        "ok": ok,
        "detail": "recursive and direct products differ" if not ok else "",
    }
