"""Training on a GPU, beside the same on this processor."""

from __future__ import annotations

from typing import Final

from grokkit.studies._statistics import Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.training import Population, TrainConfig, train

SEED: Final = 20260506
RUNS: Final = {"quick": 256, "full": 4096}
"""Networks on each device."""
STEPS: Final = 2000
"""Steps before pruning, and after it."""


def gpu() -> str | None:
    """The torch device of a GPU, if there is one."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def hardware(context: Context) -> dict[str, Measurement]:
    """Claim X03."""
    import torch

    device = gpu()
    if device is None:
        reason = "PyTorch finds no GPU here; on a machine with one: grokkit claims X03 --run --full"
        return {"X03": Measurement.unmeasured("X03", reason, context.scale)}
    seed, runs = SEED + context.seed, RUNS[context.scale]
    config = TrainConfig(
        runs=runs, shard_size=min(runs, 4096), seed=seed, steps=STEPS, retrain_steps=STEPS, engine="torch"
    )
    figures: dict[str, Figure] = {}
    for name, where in (("GPU", device), ("processor", "cpu")):
        context.progress(f"{runs} networks on the {name}")
        figures |= _trained(name, train(config, device=where))
    fast, slow = (figures[f"pace, {name}"].value for name in ("GPU", "processor"))
    if fast and slow:
        figures["pace, GPU over processor"] = Figure(fast / slow, what="pace of the GPU over that of the processor")
    names = {"cuda": torch.cuda.get_device_name} if device == "cuda" else {}
    facts: dict[str, bool | str] = {
        "measured on a GPU": device != "cpu",
        "device": names["cuda"]() if names else device,
    }
    note = "Equal configurations and seeds on both devices, by the torch engine; rounding differs, so single runs may."
    told = f"root seed {seed}, {runs} networks on each device"
    return {"X03": Measurement("X03", figures, facts, {}, told, context.scale, note)}


def _trained(name: str, population: Population) -> dict[str, Figure]:
    runs = len(population)
    return {
        f"learned, {name}": Figure.of(
            Proportion(population.converged, runs), f"share of networks that learn the product, {name}"
        ),
        f"pace, {name}": Figure(
            population.runs_steps_per_second, n=runs, what=f"steps of single runs a second, {name}"
        ),
    }


PROTOCOLS = (Protocol("hardware", "Training on a GPU", ("X03",), hardware, ("torch",)),)
