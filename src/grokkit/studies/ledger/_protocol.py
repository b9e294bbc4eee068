"""Protocols: what is run to settle claims, and where."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from grokkit.scheme import InvalidInput, need_extra, suggestion
from grokkit.studies.ledger._claim import find_claim
from grokkit.studies.ledger._measurement import SCALES, Measurement
from grokkit.studies.runs import Study

if TYPE_CHECKING:
    from grokkit.studies.runs import Runs

DATA_VARIABLE: Final = "GROKKIT_TEST_DATA"
"""Environment variable that names the folder of files that are not shipped: `checkpoints/` with weight files."""


def silent(text: str) -> None:
    """Progress that nobody reads."""


@final
@dataclass(frozen=True)
class Context:
    """How and where a protocol is run."""

    scale: str
    """``quick`` (all protocols together in minutes) or ``full`` (in hours)."""
    out: Path
    """Folder of this protocol; what is there already is used again."""
    engine: str = "joblib"
    workers: int = 1
    seed: int = 0
    """Added to every root seed of the protocol; 0 is the published one."""
    progress: Callable[[str], None] = field(default=silent)
    """Called with a short line when something begins."""
    data: Path | None = None
    """Folder of files that are not shipped; None: the one that the environment names, if it does."""

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise InvalidInput(f"scale is {self.scale!r}{suggestion(self.scale, SCALES)}")
        if self.workers < 1:
            raise InvalidInput(f"workers is {self.workers}; at least 1 is needed")
        if self.seed < 0:
            raise InvalidInput(f"seed is {self.seed}; 0 or more is allowed")

    @property
    def full(self) -> bool:
        return self.scale == "full"

    def study(self, study: Study | str | os.PathLike[str], *, name: str = "", **changes: Any) -> Runs:
        """Run a study in a sub-folder of `out`, resuming what is there.

        Parameters
        ----------
        study:
            A `Study`, a TOML file, or the name of one of the studies that come with the package (`study_names`).
        name:
            The sub-folder; by default the name of the study or file, or the study's title in small letters.
        changes:
            Entries that differ, as `Study.replace` takes them: ``seeds=50, factors={...}``.

        The context's seed is added to the study's. Raises as `run_study` does.
        """
        from grokkit.studies.runs import run_study

        if isinstance(study, Study):
            frozen, stem = study, re.sub(r"[^a-z0-9]+", "-", study.title.lower()).strip("-")[:80]
        else:
            frozen, stem = load_study(study), Path(study).stem
        frozen = frozen.replace(**changes) if changes else frozen
        frozen = frozen.replace(seed=frozen.seed + self.seed) if self.seed else frozen
        self.progress(f"{frozen.title}: {frozen.total_runs} runs")
        return run_study(frozen, self.out / (name or stem), engine=self.engine, workers=self.workers)

    def data_folder(self, name: str) -> Path | None:
        """A sub-folder of the data that are not shipped, or None if the user named none or it is not there."""
        root = self.data if self.data is not None else os.environ.get(DATA_VARIABLE)
        folder = None if not root else Path(root) / name
        return folder if folder is not None and folder.is_dir() else None


@final
@dataclass(frozen=True)
class Protocol:
    """What is run to settle some claims."""

    name: str
    """One word or two with a hyphen; names the folder and the file of results."""
    title: str
    claims: tuple[str, ...]
    """Ids that it settles."""
    run: Callable[[Context], Mapping[str, Measurement]]
    """One measurement for each of them."""
    needs: tuple[str, ...] = ()
    """Packages."""

    def measure(self, context: Context) -> dict[str, Measurement]:
        """Run it. Raises `MissingExtra` if a package is missing."""
        need_extra(f"the protocol {self.name}", *self.needs)
        found = dict(self.run(context))
        for claim in self.claims:
            find_claim(claim)
        if sorted(found) != sorted(self.claims) or any(each.claim != name for name, each in found.items()):
            raise AssertionError(f"protocol {self.name} measured {sorted(found)}, not {sorted(self.claims)}")
        return {name: found[name] for name in self.claims}


def study_names() -> tuple[str, ...]:
    """Names of the studies that come with the package."""
    folder = resources.files("grokkit.studies.ledger").joinpath("studies")
    if not folder.is_dir():
        return ()
    return tuple(sorted(each.name.removesuffix(".toml") for each in folder.iterdir() if each.name.endswith(".toml")))


def load_study(study: str | os.PathLike[str]) -> Study:
    """A study by the path of a TOML file, or by a name of `study_names`."""
    if Path(study).suffix == ".toml":
        return Study.from_toml(study)
    known = study_names()
    if str(study) not in known:
        raise InvalidInput(
            f"no study {str(study)[:60]!r}{suggestion(study, sorted(known))}, or the path of a .toml file"
        )
    with resources.as_file(resources.files("grokkit.studies.ledger").joinpath("studies", f"{study}.toml")) as path:
        return Study.from_toml(path)
