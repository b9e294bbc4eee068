"""Does growth pay? A small transformer on modular addition, grown in mid-training, against the final size from
scratch.

Two experiments on (a, b) -> a + b mod p. *generalizing*: trained on 80 % of the p² pairs, judged by the cross-entropy
on the others, which falls long after that on the training pairs. *fitting*: trained and judged on all pairs. Both ways
train the large model with the same rates and weight decay (AdamW), a batch being all training pairs. Counted are the
floating-point operations of all forward and backward passes in training up to the first evaluation that meets the
goal, by `torch.utils.flop_counter` (matrix products), the small model's in full. A run that does not get there within
`most` steps is counted as if it did then, and told. One JSON file a seed: started again, the run goes on where it
stopped, and with other `--rates` adds those to the files.

A third, *parity*: a network that learned the parity of 3 of 32 bits, on ever more inputs and hidden units, beside one
of random weights in the same places and one of random weights everywhere; and the parity of all 32 bits.

    python benchmarks/growth.py [--experiment generalizing] [--rates 0.004 0.01] [--seeds 10] [--folder results/growth]
    python benchmarks/growth.py --experiment parity
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from scipy import stats
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from grokkit.transfer.embed import (
    PREDICTORS,
    AddPositions,
    DecoderBlock,
    Growth,
    LastToken,
    ParityStudy,
    Placement,
    crop,
    embed,
    study_parity,
)

HEAD = 8


@final
@dataclass(frozen=True)
class Experiment:
    period: int
    share: float
    """Of the pairs that are trained on; 1: the loss is that of all pairs."""
    small: int
    large: int
    """Widths; the small model has one block, the large one two."""
    grow_at: float
    goal: float
    small_rate: float
    rates: tuple[float, ...]
    decay: float
    noise: float
    every: int
    """Steps between evaluations."""
    most: int


EXPERIMENTS = {
    "generalizing": Experiment(31, 0.8, 16, 32, 1.0, 0.2, 1e-2, (4e-3, 1e-2), 1.0, 0.1, 10, 1200),
    "fitting": Experiment(23, 1.0, 16, 64, 0.5, 0.01, 5e-3, (1e-3, 2e-3, 4e-3), 0.01, 0.1, 1, 1000),
}


def transformer(period: int, width: int, blocks: int) -> nn.Sequential:
    middle = [DecoderBlock(width, width // HEAD, 4 * width) for _ in range(blocks)]
    return nn.Sequential(
        nn.Embedding(period, width),
        AddPositions(2, width),
        *middle,
        nn.LayerNorm(width),
        LastToken(),
        nn.Linear(width, period),
    )


def growth(e: Experiment, seed: int) -> Growth:
    """The large width, heads and feed-forward units, and twice the depth."""
    axes = {
        "0": Placement.front(e.small, e.large),
        "2.heads": Placement.front(e.small // HEAD, e.large // HEAD),
        "2.feedforward": Placement.front(4 * e.small, 4 * e.large),
    }
    return Growth(axes, deeper={"2": 1}, noise=e.noise, seed=seed)


def table(e: Experiment, seed: int) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Training pairs with their sums, and those that are judged."""
    pairs = torch.cartesian_prod(torch.arange(e.period), torch.arange(e.period))
    pairs = pairs[torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))]
    sums = pairs.sum(1) % e.period
    cut = int(e.share * len(pairs))
    seen = pairs[:cut], sums[:cut]
    return seen, (seen if cut == len(pairs) else (pairs[cut:], sums[cut:]))


def flops(model: nn.Module, pairs: torch.Tensor, sums: torch.Tensor) -> int:
    """Of one forward and backward pass."""
    with FlopCounterMode(display=False) as counter:
        functional.cross_entropy(model(pairs), sums).backward()
    model.zero_grad()
    return counter.get_total_flops()


def steps_to(model: nn.Module, goal: float, rate: float, e: Experiment, seed: int) -> int | None:
    """Steps until an evaluation is at most `goal`; None if none is within `most`."""
    (pairs, sums), (others, their_sums) = table(e, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=e.decay, fused=True)
    for step in range(1, e.most + 1):
        optimizer.zero_grad()
        functional.cross_entropy(model(pairs), sums).backward()
        optimizer.step()
        if step % e.every == 0:
            with torch.no_grad():
                if functional.cross_entropy(model(others), their_sums).item() <= goal:
                    return step
    return None


def one_seed(e: Experiment, seed: int, row: dict[str, Any] | None = None) -> dict[str, Any]:
    """All runs of a seed; of an earlier `row`, only the rates that it lacks."""
    seen, judged = table(e, seed)
    torch.manual_seed(seed)
    small = transformer(e.period, e.small, 1)
    first = steps_to(small, e.grow_at, e.small_rate, e, seed)
    large = embed(small, growth(e, seed))
    with torch.no_grad():
        difference = float((large(judged[0]) - small(judged[0])).abs().max())
    assert difference < 1e-3, "growth has changed the function"
    back = crop(large, growth(e, seed)).state_dict()
    assert all(torch.allclose(value, back[name], rtol=1e-6) for name, value in small.state_dict().items())
    cheap, dear = flops(small, *seen), flops(large, *seen)
    before = cheap * (first or e.most)
    row = row or {"seed": seed, "experiment": settings(e), "grown": {}, "scratch": {}}
    row |= {"difference": difference, "small": first, "flops": {"small": cheap, "large": dear}}
    for way in ("grown", "scratch"):
        for rate in (r for r in e.rates if str(r) not in row[way]):
            torch.manual_seed(1000 + seed)
            model = embed(small, growth(e, seed)) if way == "grown" else transformer(e.period, e.large, 2)
            steps = steps_to(model, e.goal, rate, e, seed)
            spent = dear * (steps or e.most) + (before if way == "grown" else 0)
            row[way][str(rate)] = {"steps": steps, "flops": spent}
    return row


def settings(e: Experiment) -> dict[str, Any]:
    """What runs of one folder have in common."""
    return {name: value for name, value in asdict(e).items() if name != "rates"}


def summary(rows: list[dict[str, Any]], rates: tuple[float, ...]) -> dict[str, Any]:
    """Geometric means over the seeds at each way's best rate, and the paired ratio with its 95 % Student interval
    (logs)."""

    def logs(way: str, rate: float) -> np.ndarray:
        return np.log([row[way][str(rate)]["flops"] for row in rows])

    means = {way: {rate: float(np.exp(logs(way, rate).mean())) for rate in rates} for way in ("grown", "scratch")}
    best = {way: min(by_rate, key=by_rate.__getitem__) for way, by_rate in means.items()}
    ratio = logs("grown", best["grown"]) - logs("scratch", best["scratch"])
    half = stats.t.ppf(0.975, len(rows) - 1) * ratio.std(ddof=1) / math.sqrt(len(rows))
    return {
        "seeds": len(rows),
        "means": means,
        "best_rates": best,
        "ratio": float(np.exp(ratio.mean())),
        "interval": [float(np.exp(ratio.mean() - half)), float(np.exp(ratio.mean() + half))],
        "cheaper": int((ratio < 0).sum()),
        "never": {way: sum(row[way][str(best[way])]["steps"] is None for row in rows) for way in ("grown", "scratch")},
        "largest_difference_at_growth": max(row["difference"] for row in rows),
    }


def parity(found: ParityStudy, as_json: bool) -> None:
    """The published sizes: accuracy of the grown network and of its controls, and the parity of all bits."""
    if as_json:
        print(json.dumps(found.to_json()))
        return
    print(f"| inputs / hidden | {' | '.join(PREDICTORS)} | right on every row | rank of W1 | seconds |")
    print("|---" * (len(PREDICTORS) + 4) + "|")
    for size in found.sizes:
        rows = [row for row in found.rows if (row.inputs, row.hidden) == size]
        cells = " | ".join(str(found.accuracy(name, size)) for name in PREDICTORS)
        ranks = "/".join(sorted({str(row.rank) for row in rows}))
        seconds = f"{np.median([row.seconds for row in rows]):.2f}"
        print(
            f"| {size[0]} / {size[1]} | {cells} | {found.always_right(PREDICTORS[0], size)} of {len(rows)} | {ranks} | {seconds} |"
        )
    for training, test in zip(found.full_training, found.full_test, strict=True):
        print(f"all 32 bits: trained on {training}; new {test}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", choices=[*sorted(EXPERIMENTS), "parity"], default="generalizing")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--rates", type=float, nargs="+", help="learning rates of the large model")
    parser.add_argument("--folder", type=Path, default=Path("results/growth"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("--seeds: an interval needs at least 2")
    torch.set_num_threads(1)
    if options.experiment == "parity":
        parity(study_parity(range(options.first, options.first + options.seeds)), options.json)
        return
    experiment = EXPERIMENTS[options.experiment]
    if options.rates:
        experiment = replace(experiment, rates=tuple(options.rates))
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in range(options.first, options.first + options.seeds):
        path = options.folder / f"{options.experiment}-{seed}.json"
        row = json.loads(path.read_text()) if path.exists() else None
        if row is not None and row["experiment"] != settings(experiment):
            parser.error(f"{path} is of other settings; give another --folder")
        if row is None or any(str(rate) not in row["scratch"] for rate in experiment.rates):
            row = one_seed(experiment, seed, row)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(row))
            part.replace(path)
        rows.append(row)
        if not options.json:
            print(json.dumps({k: v for k, v in row.items() if k != "experiment"}), flush=True)
    result = summary(rows, experiment.rates)
    print(json.dumps(result) if options.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
