"""Grokking: where the source states it, where a bilinear network can show it, and where it must be seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from grokkit.studies._statistics import Median, Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.training import TrainConfig, train

SEED: Final = 20260501
RUNS: Final = {"quick": 24, "full": 120}
"""Networks of each kind."""
LONG: Final = {"quick": 100_000, "full": 300_000}
"""Epochs of a training set of 15 samples."""
PUBLISHED: Final = 1000
"""Epochs at B = 32."""
ENOUGH: Final = 20_000
"""Epochs of a training set of 20 samples, or 32."""
LARGE: Final = 5000
"""Epochs at B = 512."""
CONTROLS: Final = {"quick": 1, "full": 5}
"""Networks that learn modular addition, of each kind."""
RECORDS: Final = 2000
"""Logarithmically spaced points of a trajectory; at the end they are less than 1 % apart."""
MODULUS: Final = 31
SEEN: Final = 0.8
"""Share of the pairs that are trained on."""
DECAY: Final = 0.4
ADDITION_EPOCHS: Final = 1200
SEES: Final = "the detector sees grokking where there is some"


def grokking(context: Context) -> dict[str, Measurement]:
    """Claim S10."""
    seed, runs = SEED + context.seed, RUNS[context.scale]
    kinds: dict[str, dict[str, Any]] = {
        "B = 32": {"batch_size": 32, "epochs": PUBLISHED},
        "B = 512": {"batch_size": 512, "epochs": LARGE},
        "15 samples": {"samples": 15, "batch_size": 15, "epochs": LONG[context.scale], "weight_decay": 0.1},
        "15 samples, decay .03": {
            "samples": 15,
            "batch_size": 15,
            "epochs": LONG[context.scale],
            "weight_decay": 0.03,
        },
        "20 samples": {"samples": 20, "batch_size": 20, "epochs": ENOUGH, "weight_decay": 0.1},
        "32 samples": {"samples": 32, "batch_size": 32, "epochs": ENOUGH, "weight_decay": 0.1},
    }
    figures: dict[str, Figure] = {}
    for name, changes in kinds.items():
        context.progress(f"{runs} networks, {name}")
        figures |= _observed(name, _verdicts(runs, seed, changes))
    context.progress("modular addition, true and shuffled labels")
    count = CONTROLS[context.scale]
    true, shuffled = ([_addition(seed + turn, mixed) for turn in range(count)] for mixed in (False, True))
    figures["grokked, modular addition"] = _share(
        (_is(each, "Grokked") for each in true), f"share of networks that grok addition modulo {MODULUS}"
    )
    figures["grokked, shuffled labels"] = _share(
        (_is(each, "Grokked", "GradualDrop") for each in shuffled), "the same with shuffled labels"
    )
    facts: dict[str, bool | str] = {
        SEES: 2 * sum(_is(each, "Grokked") for each in true) > count
        and not any(_is(each, "Grokked", "GradualDrop") for each in shuffled)
    }
    note = (
        "The definition of the claim, abrupt meaning a fall within a quarter of the wait. The error of a bilinear "
        "network is linear in the 16 products of entries, so 16 generic samples determine the map: a training set of "
        "more cannot be fitted without knowing the product. With 15 samples some runs fall after a long plateau."
    )
    told = f"root seed {seed}, {runs} networks of each kind, {count} of addition"
    return {"S10": Measurement("S10", figures, facts, {}, told, context.scale, note)}


def _verdicts(runs: int, seed: int, changes: dict[str, Any]) -> list[Any]:
    """What the losses of each run show."""
    from grokkit.dynamics import detect_grokking

    config = TrainConfig.preset(
        "source", runs=runs, shard_size=runs, seed=seed, prune_to=0, log_points=RECORDS, **changes
    )
    seen = train(config).trajectory
    epochs = seen.steps / config.steps_per_epoch
    return [
        detect_grokking(low, high, epochs=epochs) for low, high in zip(seen.train_loss, seen.test_loss, strict=True)
    ]


def _observed(name: str, verdicts: list[Any]) -> dict[str, Figure]:
    plateau, grokked = ("Grokked", "GradualDrop", "NoDrop"), ("Grokked",)
    figures = {
        f"plateau, {name}": _share((_is(each, *plateau) for each in verdicts), f"share of runs with a plateau, {name}"),
        f"falls, {name}": _share(
            (_is(each, "Grokked", "GradualDrop") for each in verdicts),
            f"share of runs whose test loss falls after a plateau, {name}",
        ),
        f"grokked, {name}": _share(
            (_is(each, *grokked) for each in verdicts), f"share of runs that fall abruptly after a plateau, {name}"
        ),
    }
    epochs = [each.epoch for each in verdicts if _is(each, "Grokked", "GradualDrop")]
    what = f"epoch at which the test loss has fallen, {name}"
    figures[f"epoch, {name}"] = (
        Figure.of(Median.of(epochs), what) if epochs else Figure(None, what=what, reason="no run falls after a plateau")
    )
    return figures


def _is(verdict: Any, *names: str) -> bool:
    return type(verdict).__name__ in names


def _share(found: Iterable[bool], what: str) -> Figure:
    values = list(found)
    return Figure.of(Proportion(sum(values), len(values)), what)


def _addition(seed: int, shuffled: bool) -> Any:
    """What a network of ReLU units shows that learns addition: a large start, and decay (Liu et al. 2022)."""
    import torch
    from torch.nn import functional

    from grokkit.dynamics import detect_grokking

    generator = torch.Generator().manual_seed(seed)
    a, b = torch.triu_indices(MODULUS, MODULUS)
    x, y = (torch.eye(MODULUS)[a] + torch.eye(MODULUS)[b]).double(), (a + b) % MODULUS
    if shuffled:
        y = y[torch.randperm(len(y), generator=generator)]
    order = torch.randperm(len(y), generator=generator)
    seen, unseen = order[: round(SEEN * len(y))], order[round(SEEN * len(y)) :]
    sizes, fan = [(32, MODULUS), (256, 32), (32, 256), (MODULUS, 32)], (2, 32, 256, 32)
    layers = [
        (5.0 / inputs**0.5 * torch.randn(size, generator=generator, dtype=torch.float64)).requires_grad_()
        for size, inputs in zip(sizes, fan, strict=True)
    ]

    def answers(inputs: Any) -> Any:
        hidden = functional.relu(inputs @ layers[0].T @ layers[1].T)
        return hidden @ layers[2].T @ layers[3].T

    def squared(outputs: Any, labels: Any) -> float:
        wrong = outputs.softmax(-1) - functional.one_hot(labels, MODULUS)
        return float(wrong.square().sum(-1).mean())

    optimizer = torch.optim.AdamW(layers, lr=0.01, betas=(0.9, 0.9), weight_decay=DECAY)
    epochs, low, high = [], [], []
    for epoch in range(ADDITION_EPOCHS + 1):
        outputs = answers(x[seen])
        if epoch % 5 == 0:
            with torch.no_grad():
                epochs.append(float(epoch))
                low.append(squared(outputs, y[seen]))
                high.append(squared(answers(x[unseen]), y[unseen]))
        optimizer.zero_grad()
        functional.cross_entropy(outputs, y[seen]).backward()
        optimizer.step()
    return detect_grokking(np.array(low), np.array(high), epochs=np.array(epochs))


PROTOCOLS = (
    Protocol("grokking", "Grokking, where it is stated and where it can be", ("S10",), grokking, ("torch", "scipy")),
)
