"""The vocabulary of protocols: outcomes, metrics and measured columns."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from grokkit.scheme import InvalidInput, suggestion

METHODS: Final = ("plain", "scaled", "full", "rational")
"""Methods of `grokkit.crystallize` whose outcomes are kept apart."""
OUTCOMES: Final[dict[str, str]] = {
    "converged": "test loss below 1e-6 at the end of training",
    "converged_before_pruning": "test loss below 1e-6 just before slots were pruned",
    "discretizable": "every weight within 0.1 of {-1, 0, 1} (lattice distance at most 0.1)",
    "exact_plain": "a proven scheme after clamping and rounding the weights, the published protocol",
    "exact_scaled": "a proven scheme after fixing the scale of each slot and rounding",
    "exact_full": "a proven scheme after polishing, fixing the gauge and rounding",
    "exact_rational": "a proven scheme after polishing and choosing rational values",
    "expands_plain": "exact (plain), and relative error below 1e-5 in float32 at every size up to 64",
    "expands_full": "exact (full), and relative error below 1e-5 in float32 at every size up to 64",
    "control_full": "control: a proven scheme by the method full from the same weights, untrained",
}
"""What can be decided about a run: a column of true and false each."""
METRICS: Final = (
    "train_loss",
    "test_loss",
    "lattice_distance",
    "lattice_distance_mean",
    "gradient_norm",
    "gradient_variation",
    "slot_norms",
)
"""Trajectory columns: a list a run, one entry a point."""
MEASURES: Final[dict[str, str]] = {
    "train_loss": "mean squared error on the training set at the end",
    "test_loss": "mean squared error on the test set at the end",
    "test_loss_before_pruning": "mean squared error on the test set just before slots were pruned",
    "lattice_distance": "largest distance of a weight to {-1, 0, 1} at the end",
    "lattice_distance_mean": "mean distance of the weights to {-1, 0, 1} at the end",
}
"""Numbers that every run has."""


def check_known(where: str, names: Collection[Any], known: Collection[str]) -> None:
    """Raise `InvalidInput` for the first name that is not known."""
    for name in names:
        if name not in known:
            raise InvalidInput(f"{where}: unknown name {str(name)[:60]!r}{suggestion(name, sorted(known))}")
