"""The combined analysis of variance that the source announces: both protocols, by batch size and protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import pandas as pd

from grokkit.scheme import InvalidInput
from grokkit.studies.runs import Runs
from grokkit.studies.statistics import Anova, NotEstimable, anova

RESPONSES: Final = {
    "lattice_distance": "discretization error (largest distance of a weight to {-1, 0, 1})",
    "exact_plain": "exact after pruning, clamping and rounding, as published",
    "exact_full": "exact after grokkit's crystallization",
}
FACTORS: Final = ("batch_size", "protocol")
STATED: Final = (
    "the source states N = 195: batch size F = 15.34, p < 1e-4, eta2 = .244; protocol F = 11.08, p = .001, eta2 = .044"
)


@final
@dataclass(frozen=True)
class Combined:
    """Both protocols together: one analysis for each response that both have."""

    n: int
    seeds: str
    analyses: dict[str, Anova]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"n": self.n, "seeds": self.seeds, "analyses": {k: each.to_json() for k, each in self.analyses.items()}}

    def __str__(self) -> str:
        lines = [f"Combined ANOVA of both protocols, N = {self.n} ({self.seeds})"]
        for response, analysis in self.analyses.items():
            lines.append(f"  {RESPONSES[response]}")
            if isinstance(analysis.terms, NotEstimable):
                lines.append(f"    {analysis.terms}")
                continue
            for term in analysis.terms:
                name = term.name.replace("_", " ")
                if isinstance(term.f, NotEstimable) or isinstance(term.p, NotEstimable):
                    lines.append(f"    {name}: {term.f}")
                    continue
                p = f"p = {term.p:.3g}" if term.p >= 1e-4 else "p < 1e-4"
                lines.append(
                    f"    {name}: F({term.df}, {analysis.residual_df}) = {term.f:.2f}, {p}, eta2 = {term.eta_squared}"
                )
        return "\n".join([*lines, f"  {STATED}"])


def combined(protocols: dict[str, Runs]) -> Combined:
    """Analyse two protocols together: main effects of batch size and protocol, type II, by each response of both.

    Their batch sizes differ, so no interaction can be told. Raises `InvalidInput` for fewer than two protocols, or
    where all runs share one batch size.
    """
    if len(protocols) < 2:
        raise InvalidInput("the combined analysis is of two protocols")
    parts = []
    for name, runs in protocols.items():
        kept = [each for each in RESPONSES if each in runs.columns]
        parts.append(runs.to_pandas(["batch_size", *kept]).assign(protocol=name))
    frame = pd.concat(parts, ignore_index=True)
    shared = [name for name in RESPONSES if all(name in runs.columns for runs in protocols.values())]
    if len(set(frame["batch_size"])) < 2:
        raise InvalidInput("all runs have one batch size; give at least two to compare")
    for name in shared:
        frame[name] = frame[name].astype(float)
    analyses = {name: anova(frame, name, FACTORS, sums="II", interactions=False) for name in shared}
    return Combined(len(frame), "; ".join(f"{name}: {_seeds(runs)}" for name, runs in protocols.items()), analyses)


def _seeds(runs: Runs) -> str:
    study = runs.study
    return f"root seed {study.seed}, {study.seeds} seeds x {study.runs} runs"
