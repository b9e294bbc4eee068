"""One run, the plain way: a PyTorch loop with autograd and torch.optim.

It is the oracle of the population trainer's tests and the baseline of its benchmark. It shares the random
streams and the learning-rate schedule with the trainer, and nothing else: no moments, no hand-written
gradients, no stacking.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from grokkit.scheme import MatrixProduct
from grokkit.training._config import TrainConfig
from grokkit.training._data import (
    CHUNK_VALUES,
    FRESH,
    NOISE,
    ORDER,
    TRAIN,
    generator,
    initial_weights,
    operand_values,
    operands,
)
from grokkit.training._engine import l1_strength, learning_rate, weight_decay


def train_one(config: TrainConfig, run: int, steps: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train run number `run` for `steps` steps (all by default); returns U, V (slots × …) and W (… × slots).

    A proximal L1 step, balancing and noise are applied as in the population trainer.
    """
    dtype = getattr(torch, config.dtype)
    a, b, _ = config.target.shape
    theta = torch.from_numpy(initial_weights(config, np.array([run]))[0]).to(dtype)
    parameters = [part.clone().requires_grad_() for part in (theta[:, :a], theta[:, a : a + b], theta[:, a + b :])]
    optimizer = _optimizer(config, parameters)
    samples = _TrainingSet(config, run, dtype)
    total = config.total_steps if steps is None else steps
    for step in range(total):
        if step == config.first_steps and config.prune_to:
            parameters, optimizer = _prune(config, parameters, optimizer)
        rate, decay = learning_rate(config, step), weight_decay(config, step)
        for group in optimizer.param_groups:
            group["lr"], group["weight_decay"] = rate, decay
        pairs = samples.batch(step)
        optimizer.zero_grad()
        error = forward(config, _noisy(config, run, step, parameters), pairs) - product(config, pairs)
        loss = error.square().mean()
        loss.backward()
        if config.clip:
            torch.nn.utils.clip_grad_norm_(parameters, config.clip)
        optimizer.step()
        _proximal(config, step, rate, parameters)
    if total == config.first_steps == config.total_steps and config.prune_to:
        parameters, optimizer = _prune(config, parameters, optimizer)
    u, v, w = (part.detach().double().numpy() for part in parameters)
    return u, v, w.T


def forward(config: TrainConfig, parameters: list[torch.Tensor], pairs: torch.Tensor) -> torch.Tensor:
    """The network's product for each sample: c_ij = Σ_k W((U a_ik) ∘ (V b_kj)) over blocks."""
    u, v, w = parameters
    a, b = _blocks(config, pairs)
    q = config.blocks
    rows = [[sum(((a[i][k] @ u.T) * (b[k][j] @ v.T)) @ w for k in range(q)) for j in range(q)] for i in range(q)]
    return torch.stack([torch.stack(row) for row in rows])  # type: ignore[arg-type]


def product(config: TrainConfig, pairs: torch.Tensor) -> torch.Tensor:
    """The true product, block by block, in the layout of `forward`."""
    a, b = _blocks(config, pairs)
    q = config.blocks
    if not isinstance(config.target, MatrixProduct):
        tensor = torch.from_numpy(config.target.tensor()).to(pairs.dtype)
        return torch.einsum("si,sj,ijk->sk", a[0][0], b[0][0], tensor)[None, None]
    n, m, p = config.target.format
    rows = []
    for i in range(q):
        row = []
        for j in range(q):
            parts = [a[i][k].reshape(-1, n, m) @ b[k][j].reshape(-1, m, p) for k in range(q)]
            row.append(sum(parts[1:], parts[0]).reshape(-1, n * p))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def _blocks(config: TrainConfig, pairs: torch.Tensor) -> tuple[list[list[torch.Tensor]], list[list[torch.Tensor]]]:
    u, v, _ = config.target.shape
    q = config.blocks
    left, right = pairs[:, : q * q * u], pairs[:, q * q * u :]
    a, b = left.split(u, dim=1), right.split(v, dim=1)
    return [list(a[i * q : (i + 1) * q]) for i in range(q)], [list(b[i * q : (i + 1) * q]) for i in range(q)]


class _TrainingSet:
    """The samples of one run, as operand pairs, step by step."""

    def __init__(self, config: TrainConfig, run: int, dtype: torch.dtype):
        self.config, self.run, self.dtype = config, run, dtype
        self.key = (run,) if config.minibatch == "own" else ()
        self.fixed = None
        if config.samples:
            drawn = operands(config, generator(config.seed, TRAIN, *self.key), config.samples)
            self.fixed = torch.from_numpy(drawn).to(dtype)

    def batch(self, step: int) -> torch.Tensor:
        config = self.config
        if self.fixed is not None:
            epoch, position = divmod(step, config.steps_per_epoch)
            order = generator(config.seed, ORDER, epoch).permutation(config.samples)
            first = position * config.batch_size
            return self.fixed[torch.from_numpy(order[first : first + config.batch_size])]
        steps = max(1, CHUNK_VALUES // (config.batch_size * operand_values(config)))
        chunk, position = divmod(step, steps)
        drawn = operands(config, generator(config.seed, FRESH, *self.key, chunk), steps * config.batch_size)
        first = position * config.batch_size
        return torch.from_numpy(drawn[first : first + config.batch_size]).to(self.dtype)


def _optimizer(config: TrainConfig, parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    betas, eps = (config.beta1, config.beta2), config.epsilon
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=config.learning_rate, betas=betas, eps=eps)
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=config.learning_rate, betas=betas, eps=eps)
    return torch.optim.SGD(parameters, lr=config.learning_rate, momentum=config.momentum)


def _prune(
    config: TrainConfig, parameters: list[torch.Tensor], optimizer: torch.optim.Optimizer
) -> tuple[list[torch.Tensor], torch.optim.Optimizer]:
    """Keep the chosen slots, with their optimizer state."""
    norms = torch.stack([part.detach().double().norm(dim=1) for part in parameters])
    importance = norms.square().sum(0).sqrt() if config.prune_by == "norm" else norms.prod(0)
    keep = torch.argsort(-importance, stable=True)[: config.prune_to].sort().values
    if config.kept_slots:
        keep = torch.tensor(config.kept_slots)
    kept = [part.detach()[keep].clone().requires_grad_() for part in parameters]
    renewed = _optimizer(config, kept)
    for old, new in zip(parameters, kept, strict=True):
        state: dict[str, Any] = {}
        for name, value in optimizer.state.get(old, {}).items():
            state[name] = value[keep].clone() if getattr(value, "shape", None) == old.shape else value
        if state:
            renewed.state[new] = state
    return kept, renewed


def _noisy(config: TrainConfig, run: int, step: int, parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    if not config.weight_noise:
        return parameters
    width = sum(part.shape[1] for part in parameters)
    steps = max(1, CHUNK_VALUES // (config.slots * width))
    chunk, position = divmod(step, steps)
    shape = (steps, config.slots, width)
    drawn = generator(config.seed, NOISE, run, chunk).standard_normal(shape, dtype=np.float32)
    noise = torch.from_numpy(drawn[position, : len(parameters[0])]).to(parameters[0].dtype)
    parts = noise.split([part.shape[1] for part in parameters], dim=1)
    return [part + config.weight_noise * extra for part, extra in zip(parameters, parts, strict=True)]


def _proximal(config: TrainConfig, step: int, rate: float, parameters: list[torch.Tensor]) -> None:
    """Soft thresholding by rate · strength, then equal norms of u, v and w where asked for."""
    strength = l1_strength(config, step)
    with torch.no_grad():
        if strength:
            for part in parameters:
                part.copy_(torch.sign(part) * torch.clamp(part.abs() - rate * strength, min=0))
        if config.balance_every and (step + 1) % config.balance_every == 0:
            norms = [part.norm(dim=1, keepdim=True).clamp(min=1e-9) for part in parameters]
            mean = (norms[0] * norms[1] * norms[2]) ** (1 / 3)
            for part, norm in zip(parameters, norms, strict=True):
                part.mul_(mean / norm)
