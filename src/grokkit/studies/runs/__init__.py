"""Frozen protocols and the run store: a study is read from TOML, run on any engine, stored as Parquet shards.

Protocols load without pyarrow; the store on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from grokkit.engines import ENGINES, LostWorkers
from grokkit.studies.runs._cells import Cell, Shard
from grokkit.studies.runs._names import MEASURES, METRICS, OUTCOMES
from grokkit.studies.runs._study import Analysis, Stopping, Study

if TYPE_CHECKING:
    from grokkit.studies.runs._early import early_features
    from grokkit.studies.runs._report import write_report
    from grokkit.studies.runs._run import run_study
    from grokkit.studies.runs._runs import Runs, Success, Typical, open_runs

__all__ = [
    "ENGINES",
    "MEASURES",
    "METRICS",
    "OUTCOMES",
    "Analysis",
    "Cell",
    "LostWorkers",
    "Runs",
    "Shard",
    "Stopping",
    "Study",
    "Success",
    "Typical",
    "early_features",
    "open_runs",
    "run_study",
    "write_report",
]

_HOMES = {
    "Runs": "_runs",
    "Success": "_runs",
    "Typical": "_runs",
    "early_features": "_early",
    "open_runs": "_runs",
    "run_study": "_run",
    "write_report": "_report",
}
_NEEDS = {
    "_early": ("pyarrow",),
    "_runs": ("pyarrow",),
    "_run": ("pyarrow", "joblib"),
    "_report": ("pyarrow", "jinja2", "matplotlib"),
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'grokkit.studies.runs' has no attribute {name!r}")
    from grokkit.scheme import need_extra

    need_extra(f"grokkit.studies.runs.{name}", *_NEEDS.get(home, ()))
    value = getattr(importlib.import_module(f"grokkit.studies.runs.{home}"), name)
    globals()[name] = value
    return value
