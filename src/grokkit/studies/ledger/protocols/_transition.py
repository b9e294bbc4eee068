"""What moves while a network groks: the Fisher spectrum, and the noise of its gradients."""

from __future__ import annotations

from typing import Any, Final

from grokkit.studies._statistics import Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement

SEES: Final = "some network groks and is seen to"


def grok(additions: list[dict[str, Any]]) -> bool:
    """Whether any does: the positive control."""
    return any(row["verdict"] == "Grokked" for row in additions)


def transition(additions: list[dict[str, Any]], told: str, scale: str) -> Measurement:
    """Claim K13, from rows of `addition`."""
    from grokkit.studies.ledger.protocols._geometry_models import typical

    rows = [row for row in additions if "drop" in row]
    verdicts = [row["verdict"] for row in additions]
    figures = {
        "grokked": Figure.of(Proportion(verdicts.count("Grokked"), len(verdicts)), "share of networks that grok"),
        "falls": Figure.of(Proportion(len(rows), len(verdicts)), "share whose test error falls after a plateau"),
    }
    for place, words in (("plateau", "on the plateau"), ("drop", "at the drop"), ("after", "after the drop")):
        figures[f"drift, {place}"] = typical(
            [row[place][0] for row in rows], f"relative drift of the Fisher spectrum per epoch {words}"
        )
        figures[f"crossover, {place}"] = typical(
            [row[place][1] for row in rows], f"batch size at which noise and mean gradient are equal, {words}"
        )
    for place in ("drop", "after"):
        for turn, name in enumerate(("drift", "crossover")):
            figures[f"{name}, {place} over plateau"] = typical(
                [_over(row[place][turn], row["plateau"][turn]) for row in rows],
                f"{name} {'at' if place == 'drop' else 'after'} the drop over that on the plateau (below 1: "
                f"{'more stationary' if name == 'drift' else 'more coherent'})",
            )
    note = (
        "Addition modulo 23. Stationary: the sorted spectrum of the empirical Fisher information of unseen pairs moves "
        "less. Coherent: the mean gradient is larger beside the noise, so that the batch size at which they are equal "
        "is smaller. Both are taken over the plateau, the fall of the test error, and what follows."
    )
    return Measurement("K13", figures, {SEES: grok(additions)}, {}, told, scale, note)


def _over(value: float | None, other: float | None) -> float | None:
    return None if value is None or not other else value / other
