"""The machine profile: prices of the cost model, measured by ``grokkit doctor --tune`` or shipped."""

from __future__ import annotations

import itertools
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from grokkit import _native
from grokkit.execution._cost import ROWS, VENDOR_WORK, WORK, Layout, Split, vendor_work, work
from grokkit.scheme import InvalidInput

VARIABLE: Final = "GROKKIT_PROFILE"
"""Environment variable: a file to read the profile from and to store it in, or ``default`` for the shipped one."""
FORMAT: Final = 1


@final
@dataclass(frozen=True)
class Prices:
    """Seconds for one unit of each kind of work, for one dtype, number of threads and vendor library."""

    dtype: str
    threads: int
    library: str
    ours: tuple[float, ...]
    """in the order of `WORK`"""
    vendor: tuple[float, ...]
    """in the order of `VENDOR_WORK`"""
    doubt: float = 0.05
    """relative error to expect of a predicted ratio"""

    def seconds(self, shape: tuple[int, int, int], split: Split, layout: Layout = ROWS) -> float:
        """Predicted time of our own product of N x M by M x P."""
        return float(work(shape, np.dtype(self.dtype), split, layout) @ np.array(self.ours))

    def vendor_seconds(self, shape: tuple[int, int, int]) -> float:
        return float(vendor_work(shape) @ np.array(self.vendor))


@final
@dataclass(frozen=True)
class Profile:
    """What a machine's products cost."""

    machine: str
    """`machine_name()` of the machine that was measured, or ``shipped``"""
    prices: tuple[Prices, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measured(self) -> bool:
        return self.machine != "shipped"

    def find(self, dtype: np.dtype[Any], threads: int, library: str) -> Prices | None:
        """Prices for the nearest number of threads that was measured, if the dtype and the library were."""
        fitting = [x for x in self.prices if x.dtype == dtype.name and x.library == library]
        return min(fitting, key=lambda x: abs(np.log(x.threads / threads)), default=None)

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "work": WORK, "vendor_work": VENDOR_WORK, **asdict(self)}

    @classmethod
    def from_json(cls, data: Any) -> Profile:
        """The inverse of `to_json`. Raises `InvalidInput` for anything else."""
        try:
            if data["format"] != FORMAT or tuple(data["work"]) != WORK or tuple(data["vendor_work"]) != VENDOR_WORK:
                raise InvalidInput("the profile is of another version; run `grokkit doctor --tune` again")
            prices = tuple(
                Prices(str(x["dtype"]), int(x["threads"]), str(x["library"]), _numbers(x["ours"], len(WORK)),
                       _numbers(x["vendor"], len(VENDOR_WORK)), float(x["doubt"]))
                for x in data["prices"]
            )  # fmt: skip
            return cls(str(data["machine"]), prices, dict(data["details"]))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput("not a machine profile; run `grokkit doctor --tune` to measure one") from None


def _numbers(values: Any, count: int) -> tuple[float, ...]:
    numbers = tuple(float(x) for x in values)
    if len(numbers) != count or not all(np.isfinite(x) and x >= 0 for x in numbers):
        raise ValueError("prices are finite, not negative, one to each kind of work")
    return numbers


def machine_name() -> str:
    """Processor, instruction set of the native core, and NumPy: what a profile holds for."""
    core = _native.load()
    return f"{_processor()}; {core.instruction_set if core else 'no native core'}; numpy {np.__version__}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def profile_path() -> Path:
    """Where the measured profile lies: `GROKKIT_PROFILE`, else the user's configuration folder."""
    wish = os.environ.get(VARIABLE, "")
    if wish and wish != "default":
        return Path(wish)
    from platformdirs import user_config_path

    return user_config_path("grokkit") / "profile.json"


def current_profile() -> Profile:
    """The measured profile of this machine if there is one, else the shipped one."""
    return _load(os.environ.get(VARIABLE, ""))[1]


def profile_number() -> int:
    """Tells the profiles apart that one process has read: what `current_profile` decides may be kept under it."""
    return _load(os.environ.get(VARIABLE, ""))[0]


def forget_profile() -> None:
    """Read the profile again when it is next needed."""
    _load.cache_clear()


_numbers_of_profiles = itertools.count()


@lru_cache(maxsize=4)
def _load(wish: str) -> tuple[int, Profile]:
    return next(_numbers_of_profiles), _stored_profile(wish)


def _stored_profile(wish: str) -> Profile:
    if wish == "default":
        return shipped_profile()
    try:
        profile = Profile.from_json(json.loads(profile_path().read_text()))
    except (OSError, ValueError):
        return shipped_profile()
    return profile if profile.machine == machine_name() else shipped_profile()


def shipped_profile() -> Profile:
    """Prices measured where grokkit was developed, for the instruction set of the native core; wide doubts."""
    from grokkit.execution._shipped import SHIPPED

    core = _native.load()
    return Profile("shipped", SHIPPED.get(core.instruction_set, ()) if core else ())
