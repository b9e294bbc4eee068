"""Fusion of two frozen experts on the cyclotron, at frequencies that no training saw, beside every baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float

from grokkit.scheme import InvalidInput
from grokkit.tasks import Cyclotron, Mean
from grokkit.transfer.fusion._expert import Expert, train_expert
from grokkit.transfer.fusion._gate import Gate, train_gate
from grokkit.transfer.fusion._weights import Moments, optimal_weight, published_weight

ROWS: Final = (
    "first expert",
    "second expert",
    "fused",
    "oracle gate",
    "published criterion",
    "constant one half",
    "best constant",
    "persistence",
    "zero",
    "linear",
)
"""What is compared. The oracle gate and the published criterion take each held-out frequency's weight from the test
samples themselves; "best constant" is the one weight that was optimal on the gate's samples; "linear" is least squares
from the state to the next one."""


@final
@dataclass(frozen=True)
class FusionConfig:
    """Which experts, and on what. Ranges are of frequencies; the held-out ones lie midway between those of training."""

    widths: tuple[int, int] = (4, 16)
    first_range: tuple[float, float] = (0.9, 2.2)
    second_range: tuple[float, float] = (0.9, 2.2)
    sees_frequency: bool = True
    dt: float = 0.5
    """From a state to the one that is predicted; ω dt is the angle of gyration."""
    frequencies: int = 14
    """Of training, equidistant over both ranges together."""
    samples: int = 64
    """A frequency of training, for each expert."""
    gate_samples: int = 512
    """A frequency of training, for the gate: others than the experts have seen."""
    test_samples: int = 1024
    """A held-out frequency."""
    steps: int = 1500
    gate_width: int = 6

    def __post_init__(self) -> None:
        if self.frequencies < 3 or min(self.samples, self.gate_samples, self.test_samples) < 1:
            raise InvalidInput(
                f"fusion: {self.frequencies} frequencies; {self.samples}, {self.gate_samples} and {self.test_samples} "
                f"samples; at least 3 frequencies and 1 sample are needed"
            )
        if min(self.widths) < 1 or self.steps < 1 or self.gate_width < 1:
            raise InvalidInput(
                f"fusion: widths {self.widths}, gate {self.gate_width}, {self.steps} steps; all must be at least 1"
            )
        for name, (low, high) in (("first_range", self.first_range), ("second_range", self.second_range)):
            if not 0 < low < high < np.inf:
                raise InvalidInput(f"{name}: {low} to {high}; two rising positive frequencies are needed")
            if not ((self.known >= low) & (self.known <= high)).any():
                raise InvalidInput(f"{name}: {low} to {high} holds none of the training frequencies; take more of them")

    @property
    def known(self) -> Float[np.ndarray, " frequencies"]:
        """Frequencies of training."""
        ends = (*self.first_range, *self.second_range)
        return np.linspace(min(ends), max(ends), self.frequencies)

    @property
    def held_out(self) -> Float[np.ndarray, " frequencies"]:
        return (self.known[1:] + self.known[:-1]) / 2

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


PROTOCOLS: Final = {
    "shared": FusionConfig(),
    "blind": FusionConfig(widths=(4, 8), sees_frequency=False),
    "split": FusionConfig(first_range=(0.9, 1.4), second_range=(1.7, 2.2)),
}
"""Experts of the whole range that see the frequency; such that do not; and each of its part of the range."""


@final
@dataclass(frozen=True)
class FusionRun:
    """One seed: two experts, a gate, and errors at each held-out frequency."""

    seed: int
    frequencies: Float[np.ndarray, " frequencies"]
    errors: dict[str, Float[np.ndarray, " frequencies"]]
    """Mean squared error an entry of the state, for each of `ROWS`."""
    gate_weights: Float[np.ndarray, " frequencies"]
    optimal_weights: Float[np.ndarray, " frequencies"]
    published_weights: Float[np.ndarray, " frequencies"]
    experts: tuple[Expert, Expert]
    gate: Gate

    def average(self, row: str) -> float:
        return float(self.errors[row].mean())

    @property
    def over_oracle(self) -> float:
        """The fused error over the oracle gate's, both averaged over held-out frequencies."""
        return self.average("fused") / self.average("oracle gate")

    @property
    def over_better(self) -> float:
        """The fused error over that of the expert with the smaller average."""
        return self.average("fused") / min(self.average("first expert"), self.average("second expert"))

    def to_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "frequencies": self.frequencies.tolist(),
            "errors": {row: values.tolist() for row, values in self.errors.items()},
            "gate_weights": self.gate_weights.tolist(),
            "optimal_weights": self.optimal_weights.tolist(),
            "published_weights": self.published_weights.tolist(),
            "experts": [expert.to_json() for expert in self.experts],
        }


@final
@dataclass(frozen=True)
class FusionStudy:
    """Runs of one configuration; every figure is a mean over seeds, n = number of seeds."""

    config: FusionConfig
    runs: tuple[FusionRun, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)

    def error(self, row: str) -> Mean:
        """Of the average over held-out frequencies."""
        if row not in ROWS:
            raise InvalidInput(f"row: {row!r}; one of {', '.join(ROWS)}")
        return Mean.of([run.average(row) for run in self.runs])

    def ratio(self, row: str, other: str) -> Mean:
        """Of the two averages of each run, paired by seed."""
        return Mean.of([run.average(row) / run.average(other) for run in self.runs])

    @property
    def over_oracle(self) -> Mean:
        return Mean.of([run.over_oracle for run in self.runs])

    @property
    def over_better(self) -> Mean:
        return Mean.of([run.over_better for run in self.runs])

    @property
    def wins(self) -> int:
        """Runs in which the fused error is at most 1.05 of the oracle gate's and at most the better expert's."""
        return sum(run.over_oracle <= 1.05 and run.over_better <= 1 for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        return {
            "config": self.config.to_json(),
            "seeds": list(self.seeds),
            "errors": {row: self.error(row).to_json() for row in ROWS},
            "over_oracle": self.over_oracle.to_json(),
            "over_better": self.over_better.to_json(),
            "wins": self.wins,
            "rows": [run.to_json() for run in self.runs],
        }

    def __str__(self) -> str:
        lines = [f"{row:20} {self.error(row)}" for row in ROWS]
        return "\n".join(
            [
                *lines,
                f"fused / oracle gate  {self.over_oracle}",
                f"fused / better       {self.over_better}",
                f"wins                 {self.wins} of {len(self.runs)} seeds {', '.join(map(str, self.seeds))}",
            ]
        )


def study_fusion(config: FusionConfig, seeds: Sequence[int]) -> FusionStudy:
    """The whole comparison, once a seed: other experts, other samples, another gate."""
    if not seeds or len(set(seeds)) != len(seeds):
        raise InvalidInput(f"seeds: {list(seeds)}; at least one, and none twice")
    return FusionStudy(config, tuple(_run(config, seed) for seed in seeds))


def _run(config: FusionConfig, seed: int) -> FusionRun:
    experts = tuple(
        _expert(config, seed, index, span) for index, span in enumerate((config.first_range, config.second_range))
    )
    first, second = experts
    states, frequencies, truth = _samples(config, config.known, config.gate_samples, (seed, 2))
    gate = train_gate(
        frequencies, truth, first(states, frequencies), second(states, frequencies), seed, width=config.gate_width
    )
    calibration = Moments.of(truth, first(states, frequencies), second(states, frequencies))
    constant = optimal_weight(calibration)
    linear = np.linalg.lstsq(states, truth, rcond=None)[0]
    held_out = config.held_out
    errors = {row: np.empty(len(held_out)) for row in ROWS}
    optimal, published, gated = np.empty(len(held_out)), np.empty(len(held_out)), gate(held_out)
    for index, frequency in enumerate(held_out):
        states, frequencies, truth = _samples(config, np.array([frequency]), config.test_samples, (seed, 3, index))
        one, other = first(states, frequencies), second(states, frequencies)
        moments = Moments.of(truth, one, other)
        optimal[index], published[index] = optimal_weight(moments), published_weight(moments)
        mixed = {
            "first expert": 1.0,
            "second expert": 0.0,
            "fused": float(gated[index]),
            "oracle gate": float(optimal[index]),
            "published criterion": float(published[index]),
            "constant one half": 0.5,
            "best constant": constant,
        }
        predicted = {row: weight * one + (1 - weight) * other for row, weight in mixed.items()}
        predicted |= {"persistence": states, "zero": 0 * states, "linear": states @ linear}
        for row in ROWS:
            errors[row][index] = ((predicted[row] - truth) ** 2).mean()
    return FusionRun(seed, held_out, errors, gated, optimal, published, (first, second), gate)


def _expert(config: FusionConfig, seed: int, index: int, span: tuple[float, float]) -> Expert:
    known = config.known
    within = known[(known >= span[0]) & (known <= span[1])]
    states, frequencies, following = _samples(config, within, config.samples, (seed, index))
    return train_expert(
        config.widths[index],
        states,
        frequencies,
        following,
        2 * seed + index,
        sees_frequency=config.sees_frequency,
        steps=config.steps,
    )


def _samples(
    config: FusionConfig, frequencies: np.ndarray, count: int, key: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States of the world, `count` a frequency, with the frequency of each and the states that follow."""
    world = Cyclotron(dt=config.dt)
    each = np.repeat(frequencies, count)
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    states = world.generate(len(each), 1, seed).states[:, 0]
    return states, each, world.step(states, {"frequency": each})
