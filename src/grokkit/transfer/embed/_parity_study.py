"""Parity carried to ever larger networks, beside random controls and the parity of all bits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch

from grokkit.scheme import InvalidInput
from grokkit.tasks import Mean
from grokkit.transfer.embed._growth import Growth
from grokkit.transfer.embed._lazy import LazyEmbedding
from grokkit.transfer.embed._parity import (
    Accuracy,
    TrainedParity,
    parity_accuracy,
    parity_labels,
    parity_network,
    random_bits,
    train_parity,
)
from grokkit.transfer.embed._placement import Placement

SIZES: Final = ((128, 2048), (256, 4096), (512, 8192), (1024, 16384), (2048, 32768))
"""Inputs and hidden units of the published table."""
PREDICTORS: Final[tuple[str, ...]] = ("learned, grown", "random core", "random")
"""The learned network grown; random weights in the same places; random weights everywhere."""
BITS: Final = 32
RELEVANT: Final = (1, 5, 9)
HIDDEN: Final = 64


@final
@dataclass(frozen=True)
class ParityRow:
    """One large size and one seed: its own trained network, places, controls and test rows."""

    inputs: int
    hidden: int
    seed: int
    accuracies: dict[str, Accuracy]
    """By predictor."""
    rank: int
    """Of the large first layer."""
    seconds: float
    """To grow and to judge."""

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs,
            "hidden": self.hidden,
            "seed": self.seed,
            "accuracies": {name: each.to_json() for name, each in self.accuracies.items()},
            "rank": self.rank,
            "seconds": self.seconds,
        }


@final
@dataclass(frozen=True)
class ParityStudy:
    """Rows by size and seed, and the parity of all bits, which a network of the same size is trained on."""

    sizes: tuple[tuple[int, int], ...]
    seeds: tuple[int, ...]
    samples: int
    """Rows that each network is judged on."""
    rows: tuple[ParityRow, ...]
    full_training: tuple[Accuracy, ...]
    """Of all bits, a seed each, on the rows trained on."""
    full_test: tuple[Accuracy, ...]
    """The same, on new rows."""

    def accuracy(self, predictor: str, size: tuple[int, int]) -> Mean:
        """Mean over seeds, n independent networks."""
        return Mean.of([row.accuracies[predictor].value for row in self._of(size)])

    def always_right(self, predictor: str, size: tuple[int, int]) -> int:
        """Seeds in which every row is answered rightly."""
        return sum(row.accuracies[predictor].verdict == "learned" for row in self._of(size))

    def _of(self, size: tuple[int, int]) -> list[ParityRow]:
        return [row for row in self.rows if (row.inputs, row.hidden) == size]

    def to_json(self) -> dict[str, Any]:
        return {
            "bits": BITS,
            "relevant": list(RELEVANT),
            "sizes": [list(size) for size in self.sizes],
            "seeds": list(self.seeds),
            "samples": self.samples,
            "accuracies": [
                {
                    "inputs": size[0],
                    "hidden": size[1],
                    **{name: self.accuracy(name, size).to_json() for name in PREDICTORS},
                    "always_right": self.always_right(PREDICTORS[0], size),
                }
                for size in self.sizes
            ],
            "full_parity": {
                "training": [each.to_json() for each in self.full_training],
                "test": [each.to_json() for each in self.full_test],
                "verdicts": [each.verdict for each in self.full_test],
            },
            "rows": [row.to_json() for row in self.rows],
        }


def study_parity(seeds: Sequence[int], sizes: Sequence[tuple[int, int]] = SIZES, *, samples: int = 2000) -> ParityStudy:
    """Train the parity of 3 of 32 bits, grow it to every size, and judge it there beside controls.

    `sizes`: inputs (at least 32) and hidden units (at least 64). `samples`: random rows for each judgement. Raises
    `InvalidInput` for sizes that the small network does not fit into.
    """
    if not seeds or len(set(seeds)) != len(seeds):
        raise InvalidInput(f"seeds: {list(seeds)}; at least one, and none twice")
    if not sizes or samples < 1:
        raise InvalidInput("parity: at least one size and one sample are needed")
    for inputs, hidden in sizes:
        if inputs < BITS or hidden < HIDDEN:
            raise InvalidInput(
                f"sizes: {inputs}x{hidden} is smaller than the learned network; at least {BITS}x{HIDDEN} is needed"
            )
    rows, training, test = [], [], []
    for seed in seeds:
        learned = train_parity(BITS, RELEVANT, hidden=HIDDEN, seed=seed)
        rows += [_row(learned, inputs, hidden, seed, samples) for inputs, hidden in sizes]
        full = train_parity(BITS, hidden=HIDDEN, samples=1024, seed=seed)
        training.append(full.training)
        test.append(full.test)
    return ParityStudy(tuple(sizes), tuple(seeds), samples, tuple(rows), tuple(training), tuple(test))


def _row(learned: TrainedParity, inputs: int, hidden: int, seed: int, samples: int) -> ParityRow:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + inputs)
    start = time.perf_counter()
    places = torch.randperm(inputs, generator=generator)[:BITS].tolist()
    units = torch.randperm(hidden, generator=generator)[:HIDDEN].tolist()
    grown = Growth({"input": Placement.at(BITS, inputs, places), "0": Placement.at(HIDDEN, hidden, units)})
    lazy = LazyEmbedding(learned.model, grown)
    bits = random_bits(samples, inputs, generator)
    relevant = tuple(places[i] for i in learned.relevant)
    found = parity_accuracy(lazy, bits, relevant)
    seconds = time.perf_counter() - start
    core = parity_accuracy(LazyEmbedding(parity_network(BITS, HIDDEN, generator), grown), bits, relevant)
    control = random_network_accuracy(bits, hidden, relevant, generator)
    accuracies: dict[str, Accuracy] = dict(zip(PREDICTORS, (found, core, control), strict=True))
    return ParityRow(inputs, hidden, seed, accuracies, lazy.weights()["0"].rank(), seconds)


def random_network_accuracy(
    bits: torch.Tensor, hidden: int, relevant: tuple[int, ...], generator: torch.Generator, some: int = 1024
) -> Accuracy:
    """Of a dense random network of `hidden` units, made `some` units at a time, never all in memory."""
    inputs = bits.shape[1]
    total = torch.zeros(len(bits), 2)
    for first in range(0, hidden, some):
        units = min(some, hidden - first)
        weight, bias = ((2 * torch.rand(units, n, generator=generator) - 1) * inputs**-0.5 for n in (inputs, 1))
        out = (2 * torch.rand(2, units, generator=generator) - 1) * hidden**-0.5
        total += torch.relu(bits @ weight.T + bias.T) @ out.T
    return Accuracy(int((total.argmax(1) == parity_labels(bits, relevant)).sum()), len(bits))
