"""Memory of a training step: counted, measured, and beside the caches of this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol

STATED: Final = {128: 41.1, 1024: 321.1}
"""KiB by batch size."""
SLOTS: Final = 8
CACHES: Final = Path("/sys/devices/system/cpu/cpu0/cache")


def memory(context: Context) -> dict[str, Measurement]:
    """Claim M01."""
    context.progress("counting the tensors of a step")
    parameters, state = _model_bytes()
    totals = {batch: _step_bytes(batch) for batch in (64, 128)}
    per_sample = (totals[128] - totals[64]) / 64
    figures = {
        "parameters": Figure(float(parameters), what="bytes of parameters"),
        "optimizer": Figure(float(state), what="bytes of AdamW's two moments"),
        "per sample": Figure(per_sample, what="bytes of all tensors that one step makes, for each sample"),
    }
    for batch, stated in STATED.items():
        counted = (384 + 768 + 320 * batch) / 1024
        figures[f"counted at {batch}"] = Figure(counted, what=f"KiB at B = {batch} by the document's own parts")
        held = (parameters + state + per_sample * batch) / 1024
        figures[f"measured at {batch}"] = Figure(held, what=f"KiB at B = {batch}, measured")
        figures[f"stated over measured at {batch}"] = Figure(stated / held, what=f"stated over measured at B = {batch}")
    facts: dict[str, bool | str] = {}
    for name, size in cache_sizes().items():
        facts[f"{name} of this machine"] = f"{size // 1024} KiB"
        share = figures["measured at 1024"].interval[1] * 1024 / size
        figures[f"share of {name}"] = Figure(share, what=f"working set at B = 1024 over the {name} of this machine")
    if "L3" not in cache_sizes():
        figures["share of L3"] = Figure(None, what="working set over L3", reason="the size of the L3 is not known here")
    note = (
        "The document's totals follow from its parts by arithmetic. That everything fits in L3 does not rule out an "
        "effect of L1 or L2, whose sizes the working set crosses between B = 24 and 1024."
    )
    return {"M01": Measurement("M01", figures, facts, {}, "", context.scale, note)}


def cache_sizes() -> dict[str, int]:
    """Bytes of the data caches that a core sees (L1, L2, L3), as Linux tells; empty elsewhere."""
    found = {}
    for folder in sorted(CACHES.glob("index*")):
        try:
            kind, level, size = ((folder / name).read_text().strip() for name in ("type", "level", "size"))
        except OSError:
            continue
        match = re.fullmatch(r"(\d+)([KM])", size)
        if match and kind in ("Data", "Unified"):
            found[f"L{level}"] = int(match.group(1)) * {"K": 2**10, "M": 2**20}[match.group(2)]
    return found


def _network() -> tuple[Any, Any, Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    shapes = ((SLOTS, 4), (SLOTS, 4), (4, SLOTS))
    u, v, w = (torch.nn.Parameter(0.5 * torch.randn(shape, generator=generator)) for shape in shapes)
    return u, v, w


def _step(parameters: tuple[Any, Any, Any], batch: int) -> Any:
    """One training step as PyTorch does it; returns the optimizer."""
    import torch

    u, v, w = parameters
    a, b = torch.ones(batch, 2, 2), torch.ones(batch, 2, 2)
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-4)
    goal = (a @ b).reshape(batch, 4)
    products = (a.reshape(batch, 4) @ u.T) * (b.reshape(batch, 4) @ v.T)
    loss = ((products @ w.T - goal) ** 2).mean()
    loss.backward()
    optimizer.step()
    return optimizer


def _model_bytes() -> tuple[int, int]:
    parameters = _network()
    state = _step(parameters, 1).state
    moments = [each for entry in state.values() for name, each in entry.items() if name.startswith("exp_avg")]
    return sum(each.nbytes for each in parameters), sum(each.nbytes for each in moments)


def _step_bytes(batch: int) -> int:
    """Bytes of every storage that a step makes: operands, goal, activations, their gradients, moments."""
    from torch import Tensor
    from torch.utils import _pytree as tree
    from torch.utils._python_dispatch import TorchDispatchMode

    made: dict[int, Any] = {}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            for each in tree.tree_leaves(result):
                if isinstance(each, Tensor):
                    storage = each.untyped_storage()
                    made[storage.data_ptr()] = storage  # kept alive, so that no address is used twice
            return result

    parameters = _network()
    with Watch():
        _step(parameters, batch)
    return sum(storage.nbytes() for storage in made.values())


PROTOCOLS = (Protocol("memory", "Memory of a training step, beside the caches", ("M01",), memory, ("torch",)),)
