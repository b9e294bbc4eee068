"""Batch sizes beside the caches: working sets, time, and success."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from grokkit.studies._statistics import Median, Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols.memory import SLOTS, cache_sizes, memory
from grokkit.training import CONVERGED, TrainConfig, train

SEED: Final = 20260504
BATCHES: Final = (8, 16, 32, 64, 128, 256, 512)
TIMED: Final = (*BATCHES, 1024, 2048, 4096, 8192)
RUNS: Final = {"quick": 32, "full": 400}
"""Networks at each batch size."""
ROUNDS: Final = {"quick": 7, "full": 31}
"""Times that each batch size is timed, in turn."""
LARGE: Final = 256
"""Batch size that is repeated with more epochs."""
STEPS: Final = 32_000
"""Steps of 1000 epochs of 1000 samples at B = 32."""
REPEATS: Final = 30
"""Steps of one timing."""
STATED: Final = {32: (32, 64), 256: (64, 128)}
"""KiB of a cache, and the batch sizes that the document takes from it."""


def caches(context: Context) -> dict[str, Measurement]:
    """Claim M02."""
    from grokkit.studies.statistics import compare_two_rates

    sizes = cache_sizes()
    if not sizes:
        reason = "the sizes of the caches are not known here; Linux tells them in /sys/devices/system/cpu"
        return {"M02": Measurement.unmeasured("M02", reason, context.scale)}
    seed, runs = SEED + context.seed, RUNS[context.scale]
    counted = memory(context)["M01"].figures
    figures = {name: counted[name] for name in ("parameters", "optimizer", "per sample")}
    fixed = counted["parameters"].interval[0] + counted["optimizer"].interval[0]
    per_sample = counted["per sample"].interval[0]
    for size in STATED:
        figures[f"B that fills {size} KiB"] = Figure(
            (size * 1024 - fixed) / per_sample, what=f"batch size whose working set fills {size} KiB"
        )
    facts: dict[str, bool | str] = {}
    for name, size in sizes.items():
        facts[f"{name} of this machine"] = f"{size // 1024} KiB"
        figures[f"B that fills {name} of this machine"] = Figure(
            (size - fixed) / per_sample, what=f"batch size whose working set fills the {name} of this machine"
        )
    context.progress("timing steps")
    figures |= _times(ROUNDS[context.scale])
    learned: dict[int, Proportion] = {}
    for batch in BATCHES:
        context.progress(f"{runs} networks at B = {batch}")
        config = TrainConfig.preset("source", runs=runs, seed=seed + batch, batch_size=batch, prune_to=0)
        learned[batch] = Proportion(int((train(config).test_loss < CONVERGED).sum()), runs)
        figures[f"learned at {batch}"] = Figure.of(
            learned[batch], f"share of networks that learn the product, B = {batch}"
        )
    figures |= _at_equal_steps(runs, seed)
    inside = max((batch for batch in BATCHES if 32 <= batch <= 128), key=lambda batch: learned[batch].share)
    outside = max((batch for batch in BATCHES if not 32 <= batch <= 128), key=lambda batch: learned[batch].share)
    figures["learned at best inside less outside"] = Figure.of(
        compare_two_rates(learned[outside], learned[inside]).difference,
        f"share that learns at B = {inside} (best in 32 to 128) less that at B = {outside} (best outside)",
    )
    note = (
        "The document's own parts: 384 bytes of parameters, 768 of the optimizer and the tensors of a step for each "
        "sample. Times are those of a PyTorch step on this machine, one thread; success is learning the product in "
        "1000 epochs as published, since no batch size makes rounding succeed. At equal epochs a larger batch takes "
        f"fewer steps; B = {LARGE} is repeated with as many steps as B = 32 has."
    )
    told = f"root seed {seed} + B, {runs} networks at each batch size"
    return {"M02": Measurement("M02", figures, facts, {}, told, context.scale, note)}


def _at_equal_steps(runs: int, seed: int) -> dict[str, Figure]:
    config = TrainConfig.preset(
        "source", runs=runs, seed=seed + LARGE, batch_size=LARGE, prune_to=0, epochs=0, steps=STEPS
    )
    share = Proportion(int((train(config).test_loss < CONVERGED).sum()), runs)
    what = f"share of networks that learn the product at B = {LARGE} in {STEPS} steps, as many as B = 32 has"
    return {f"learned at {LARGE}, equal steps": Figure.of(share, what)}


def _times(rounds: int) -> dict[str, Figure]:
    """Time for each sample by batch size, sizes taken in turn, and how it compares with B = 128."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        steps = {batch: _timer(batch) for batch in TIMED}
        for step in steps.values():
            step()
        seconds: dict[int, list[float]] = {batch: [] for batch in TIMED}
        for _ in range(rounds):
            for batch, step in steps.items():
                seconds[batch].append(step() / batch)
    finally:
        torch.set_num_threads(threads)
    figures = {
        f"time at {batch}": Figure.of(
            Median.of((1e9 * np.array(found)).tolist()), f"nanoseconds a sample at B = {batch}"
        )
        for batch, found in seconds.items()
    }
    for batch in (32, 1024, 8192):
        ratio = np.array(seconds[batch]) / np.array(seconds[128])
        figures[f"time at {batch} over 128"] = Figure.of(
            Median.of(ratio.tolist()), f"time for each sample at B = {batch} over that at B = 128"
        )
    return figures


def _timer(batch: int) -> Any:
    """A function that trains for some steps and says how long one took, in seconds."""
    import torch

    generator = torch.Generator().manual_seed(1)
    shapes = ((SLOTS, 4), (SLOTS, 4), (4, SLOTS))
    u, v, w = parameters = [(0.5 * torch.randn(shape, generator=generator)).requires_grad_() for shape in shapes]
    a, b = torch.randn(2, batch, 2, 2, generator=generator)
    goal = (a @ b).reshape(batch, 4)
    left, right = a.reshape(batch, 4), b.reshape(batch, 4)
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-4)

    def timed() -> float:
        begin = time.perf_counter()
        for _ in range(REPEATS):
            optimizer.zero_grad()
            ((((left @ u.T) * (right @ v.T)) @ w.T - goal) ** 2).mean().backward()
            optimizer.step()
        return (time.perf_counter() - begin) / REPEATS

    return timed


PROTOCOLS = (
    Protocol(
        "caches",
        "Batch sizes beside the caches",
        ("M02",),
        caches,
        ("torch", "scipy", "pandas", "statsmodels", "sklearn"),
    ),
)
