"""Other ways to a larger or a faster-learned product: fine-tuning a 4x4 network, and a meta-learned start (MAML)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from grokkit.scheme import MatrixProduct, Scheme, expand, verify
from grokkit.studies._statistics import Median, Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols._descent import gradient, loss, start, target_matrix
from grokkit.studies.ledger.protocols._networks import networks
from grokkit.training import CONVERGED

SEED: Final = 20260505
SEEDS: Final = {"quick": 8, "full": 24}
"""Networks of each arm of fine-tuning, and meta-learned starts."""
FINE_STEPS: Final = {"quick": 500, "full": 3000}
FINE_RATE: Final = 3e-3
LARGE: Final = (16, 16)
TRAINED: Final = (100, 1000)
"""Epochs of the 2x2 networks that fine-tuning starts from."""

SMALL: Final = (4, 4)
SLOTS: Final = 8
META_STEPS: Final = {"quick": 150, "full": 1000}
INNER: Final = 10
"""Steps of descent that the start is learned for."""
TASKS: Final = 8
"""Tasks of one meta-step."""
HELD_OUT: Final = 16
"""Tasks for each start that meta-learning has not seen."""
RATE: Final = 0.1
META_RATE: Final = 0.01
LONGER: Final = 1000
"""Steps of descent of the second comparison."""


def fine_tuning(context: Context) -> dict[str, Measurement]:
    """Claim X02: from 2x2 to 4x4 by exact expansion, and by training 49 slots on 4x4 from the Kronecker square."""
    seed, runs, steps = SEED + context.seed, SEEDS[context.scale], FINE_STEPS[context.scale]
    context.progress(f"{runs} networks, expanded")
    figures = _expanded(runs, seed)
    starts: dict[str, np.ndarray] = {}
    for epochs in TRAINED:
        found = networks("source", runs, seed, epochs=epochs, slots=7, prune_to=0).population
        starts[f"2x2 after {epochs} epochs"] = np.stack(
            [kronecker_square(found.U[run], found.V[run], found.W[run]) for run in range(runs)]
        )
    starts["random start"] = start(runs, 49, sum(LARGE) + 16, seed, 0.35).numpy()
    for name, weights in starts.items():
        context.progress(f"{steps} steps of 49 slots on 4x4, {name}")
        before, after = _relative(weights), _relative(_tuned(weights, steps))
        figures[f"before, {name}"] = Figure.of(
            Median.of(before.tolist()), f"relative error on 4x4 before fine-tuning, {name}"
        )
        figures[f"after, {name}"] = Figure.of(
            Median.of(after.tolist()), f"relative error on 4x4 after {steps} steps, {name}"
        )
        learned = int((2 * after**2 < CONVERGED).sum())  # relative to the product, as for 2x2, whose mean square is 2
        figures[f"learned, {name}"] = Figure.of(
            Proportion(learned, runs), f"share of networks with relative squared error below 5e-7, {name}"
        )
    undefined = {name for name, each in figures.items() if each.value is None}
    facts: dict[str, bool | str] = {"compared with fine-tuning": not undefined}
    note = (
        "Exact expansion needs no step and has no error, once a 2x2 network has been crystallized and proven. "
        f"Fine-tuning descends (Adam, rate {FINE_RATE} falling to 0) on the expected error of 4x4 products from the "
        "Kronecker square of the network's own weights, or from random ones. Relative error: root of the expected "
        "squared error over that of the product, Gaussian operands."
    )
    seeds = f"root seed {seed}, {runs} networks of each kind"
    return {"X02": Measurement("X02", figures, facts, {}, seeds, context.scale, note)}


def _expanded(runs: int, seed: int) -> dict[str, Figure]:
    found = networks("source", runs, seed, epochs=TRAINED[-1], slots=7, prune_to=0).crystallized
    schemes = [run.scheme for run in found if run.scheme is not None and run.path.converged_before_polish]
    exact = sum(_exact(each) for each in schemes)
    return {
        "usable": Figure.of(Proportion(len(schemes), runs), "share of 2x2 networks that converge and crystallize"),
        "exact, expanded": Figure.of(
            Proportion(exact, len(schemes)), "share of these whose expansion to 4x4 is proven, without a step"
        ),
    }


def _exact(scheme: Scheme) -> bool:
    return verify(expand(scheme, 2)).rank == scheme.rank**2


def kronecker_square(u: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Factors of 2x2 as factors of 4x4, both levels multiplied out: (slots squared, u, v and w side by side)."""

    def square(side: np.ndarray) -> np.ndarray:
        blocks = side.reshape(-1, 2, 2).astype(np.float64)
        return np.einsum("rij,skl->rsikjl", blocks, blocks).reshape(-1, 16)

    return np.concatenate([square(u), square(v), square(w.T)], axis=1)


def _tuned(weights: np.ndarray, steps: int) -> np.ndarray:
    import torch

    target = torch.from_numpy(target_matrix(MatrixProduct(4, 4, 4))).float()
    theta = torch.from_numpy(weights).float().requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=FINE_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(steps):
        theta.grad = gradient(theta.detach(), target, LARGE)
        optimizer.step()
        schedule.step()
    return theta.detach().double().numpy()


def _relative(weights: np.ndarray) -> np.ndarray:
    import torch

    target = torch.from_numpy(target_matrix(MatrixProduct(4, 4, 4)))
    found = loss(torch.from_numpy(weights).double(), target, LARGE) / (target.square().sum() / 16)
    return found.sqrt().numpy()


def meta_learning(context: Context) -> dict[str, Measurement]:
    """Claim X04: starts learned by MAML on products in other bases, beside the plain starts that they began from."""
    import torch

    seed, seeds, steps = SEED + 1000 + context.seed, SEEDS[context.scale], META_STEPS[context.scale]
    generator = torch.Generator().manual_seed(seed)
    plain = start(seeds, SLOTS, 12, seed)
    context.progress(f"{seeds} starts, {steps} meta-steps")
    learned = _meta_learned(plain, steps, generator)
    held_out = products_in_bases(seeds * HELD_OUT, generator).unflatten(0, (seeds, HELD_OUT))
    product = torch.from_numpy(target_matrix(MatrixProduct(2, 2, 2))).float().expand(seeds, 1, 16, 4)
    figures: dict[str, Figure] = {}
    for tasks, name in ((held_out, "unseen bases"), (product, "the product")):
        for count in (INNER, LONGER):
            found = {
                kind: _after(weights, tasks, count) for kind, weights in (("meta-learned", learned), ("plain", plain))
            }
            for kind, values in found.items():
                figures[f"{kind}, {name}, {count} steps"] = Figure.of(
                    Median.of(values.mean(1).tolist()),
                    f"share of variance not learned, {kind} start, {name}, {count} steps",
                )
                if count == LONGER:
                    done = (values < 1e-3).double().mean(1)
                    figures[f"learned, {kind}, {name}"] = Figure.of(
                        Median.of(done.tolist()), f"share of tasks learned (error below 0.1 %), {kind} start, {name}"
                    )
            gain = (found["plain"].mean(1).log10() - found["meta-learned"].mean(1).log10()).tolist()
            figures[f"gain, {name}, {count} steps"] = Figure.of(
                Median.of(gain), f"decades of error that the meta-learned start is ahead, {name}, {count} steps"
            )
    undefined = {name for name, each in figures.items() if each.value is None}
    facts: dict[str, bool | str] = {"compared with meta-learning": not undefined}
    note = (
        f"MAML of second order: starts of {SLOTS} slots, {steps} meta-steps over {TASKS} tasks of {INNER} steps of "
        f"plain descent (rate {RATE}). A task is C = L A M B N with random L, M, N, near orthogonal. Both starts of a "
        "seed descend equally long on the same unseen tasks; n counts seeds."
    )
    told = f"root seed {seed}, {seeds} starts, {HELD_OUT} unseen tasks each"
    return {"X04": Measurement("X04", figures, facts, {}, told, context.scale, note)}


def products_in_bases(count: int, generator: Any) -> Any:
    """Targets C = L A M B N: (count, 16, 4), with L, M, N random rotations or reflections, stretched a little."""
    import torch

    raw = torch.randn(count, 3, 2, 2, generator=generator)
    stretch = torch.exp(0.4 * torch.rand(count, 3, 1, 2, generator=generator) - 0.2)
    left, middle, right = (torch.linalg.qr(raw)[0] * stretch).unbind(1)
    return torch.einsum("tia,tbc,tdj->tabcdij", left, middle, right).reshape(count, 16, 4)


def adapted(weights: Any, targets: Any, steps: int) -> Any:
    """Weights after steps of plain descent; differentiable."""
    for _ in range(steps):
        weights = weights - RATE * gradient(weights, targets, SMALL)
    return weights


def meta_gradient() -> Callable[..., Any]:
    """Of the error after `INNER` steps, averaged over tasks, by the start: (seeds, ...) and (seeds, tasks, ...)."""
    import torch

    def objective(weights: Any, targets: Any) -> Any:
        each = adapted(weights.expand(targets.shape[0], *weights.shape), targets, INNER)
        return loss(each, targets, SMALL).mean()

    return torch.func.vmap(torch.func.grad(objective))


def _meta_learned(plain: Any, steps: int, generator: Any) -> Any:
    import torch

    weights = plain.clone().requires_grad_()
    optimizer = torch.optim.Adam([weights], lr=META_RATE)
    derivative = meta_gradient()
    for _ in range(steps):
        targets = products_in_bases(len(plain) * TASKS, generator).unflatten(0, (len(plain), TASKS))
        weights.grad = derivative(weights.detach(), targets)
        optimizer.step()
    return weights.detach()


def _after(weights: Any, targets: Any, steps: int) -> Any:
    """Share of each task's variance that is not learned after steps of descent: (seeds, tasks)."""
    found = adapted(weights[:, None].expand(-1, targets.shape[1], -1, -1), targets, steps)
    return (loss(found, targets, SMALL) / (targets.square().sum((-2, -1)) / 4)).double()


PROTOCOLS = (
    Protocol("fine-tuning", "From 2x2 to 4x4: expansion and fine-tuning", ("X02",), fine_tuning, ("torch",)),
    Protocol("meta-learning", "A meta-learned start", ("X04",), meta_learning, ("torch",)),
)
