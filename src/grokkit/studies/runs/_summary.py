"""What a report says, as plain values: shares with intervals, medians, how runs failed, and where it all comes from."""

from __future__ import annotations

from collections import Counter
from typing import Any

from grokkit.studies._statistics import Proportion
from grokkit.studies.runs._names import MEASURES, METHODS, OUTCOMES
from grokkit.studies.runs._runs import CELL, Runs

DIVERGED = "training ended in infinities or NaN"


def summarize(runs: Runs) -> dict[str, Any]:
    """Every figure of a report, with its n, interval and seeds; what never came about is listed like the rest."""
    study = runs.study
    outcomes = {name: OUTCOMES[name] for name in study.outcomes} | {"diverged": DIVERGED}
    rows = {name: [each.to_json() for each in runs.success(name, by=(CELL,))] for name in outcomes}
    numbers = {name: [each.to_json() for each in runs.typical(name, by=(CELL,))] for name in MEASURES}
    cells = [
        {
            "cell": counted["factors"][CELL],
            "n": counted["n"],
            "outcomes": {name: rows[name][at] for name in outcomes},
            "medians": {name: numbers[name][at] for name in MEASURES},
        }
        for at, counted in enumerate(rows["diverged"])
    ]
    return {
        "title": study.title,
        "question": study.question,
        "digest": study.digest,
        "complete": runs.complete,
        "runs": len(runs),
        "runs_of_protocol": study.total_runs,
        "seed": study.seed,
        "seeds": study.seeds,
        "runs_a_seed": study.runs,
        "randomness": study.randomness,
        "stopping": {"rule": study.stopping.rule, "text": study.stopping.text},
        "analysis": study.to_json().get("analysis"),
        "factors": {name: list(levels) for name, levels in study.factors.items()},
        "outcomes": {name: {"meaning": meaning, **_pooled(runs, name).to_json()} for name, meaning in outcomes.items()},
        "cells": cells,
        "failed_at": {method: _failed(runs, method) for method in METHODS if f"exact_{method}" in study.outcomes},
        "rows_sha256": runs.rows_sha256,
        "cpu_seconds": runs.cpu_seconds,
        "machines": list(runs.machines),
        "versions": list(runs.versions),
    }


def _pooled(runs: Runs, outcome: str) -> Proportion:
    found = runs.success(outcome, by=())
    return found[0].proportion if found else Proportion(0, 0)


def _failed(runs: Runs, method: str) -> dict[str, int]:
    """How many runs failed at which stage of a method."""
    stages = runs.table([f"failed_{method}"]).column(0).to_pylist()
    return dict(Counter(stage for stage in stages if stage).most_common())
