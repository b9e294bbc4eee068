"""What every training engine does: advance all runs of a shard together, prune them, and be measured."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import final

import numpy as np
from jaxtyping import Float64, Int

from grokkit.scheme import InvalidInput, lattice_distance, nearest, need_extra
from grokkit.training._config import TrainConfig
from grokkit.training._data import ShardData, initial_weights


class Engine(ABC):
    """One shard in training. Runs never interact, so padding runs are inert.

    Laws: advancing in one go or in pieces, with the state carried through `state` and `restore` in between, gives
    the same bits; a run's result does not depend on the values of other runs.
    """

    def __init__(self, config: TrainConfig, runs: np.ndarray):
        self.config = config
        self.runs = runs
        self.data = ShardData(config, runs)
        self.step = 0
        self._norms_since = 0
        """First step that the running sums of gradient norms cover."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """Slots that each run has now."""

    @abstractmethod
    def weights(self) -> Float64[np.ndarray, "runs slots width"]:
        """All parameters: u, v and w of each slot side by side."""

    @abstractmethod
    def advance(self, until: int) -> None:
        """Take the steps before step number `until`."""

    @abstractmethod
    def _keep(self, kept: Int[np.ndarray, "runs slots"]) -> None:
        """Drop all other slots, with their optimizer state."""

    @abstractmethod
    def _take_norm_sums(self) -> Float64[np.ndarray, "2 runs"]:
        """Sums of gradient norms (before clipping) and of their squares since the last call; then zero them."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Everything needed to go on from here, bit for bit, in a layout that no engine or machine dictates."""

    @abstractmethod
    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from `state`."""

    @final
    def gradient_statistics(self) -> tuple[Float64[np.ndarray, " runs"], Float64[np.ndarray, " runs"]]:
        """Mean gradient norm of each run since the last call, and its coefficient of variation.

        NaN if no step was taken.
        """
        count = self.step - self._norms_since
        self._norms_since = self.step
        total, squares = self._take_norm_sums()
        if count == 0:
            nothing = np.full(len(self.runs), np.nan)
            return nothing, nothing
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        return mean, np.divide(deviation, mean, out=np.full_like(mean, np.nan), where=mean > 0)

    @final
    def prune(self) -> Int[np.ndarray, "runs slots"]:
        """Drop slots: all but the configured ones, or those of least importance. Returns the kept ones."""
        kept = slots_to_keep(self.config, self.weights())
        self._keep(kept)
        return kept

    @final
    def slot_norms_by_factor(self) -> Float64[np.ndarray, "runs slots 3"]:
        """L2 norms of u, v and w of every slot."""
        return _norms_by_factor(self.config, self.weights())

    @final
    def lattice_distances(self) -> tuple[Float64[np.ndarray, " runs"], Float64[np.ndarray, " runs"]]:
        """δ of each run, the largest distance of a weight to {-1, 0, 1}, and the mean distance."""
        flat = self.weights().reshape(len(self.runs), -1)
        return lattice_distance(flat), np.abs(flat - nearest(flat)).mean(axis=1)

    @final
    def losses(self) -> tuple[Float64[np.ndarray, " runs"], Float64[np.ndarray, " runs"]]:
        """Mean squared error per output of each run, on its training set and on the test set, in float64.

        Without a fixed training set both are of the test set: a fresh sample is a test.
        """
        a, b, c = self.config.target.shape
        u, v, w = _split(self.config, self.weights())
        k = (u[..., :, None] * v[..., None, :]).reshape(*u.shape[:2], a * b)
        error = k.swapaxes(1, 2) @ w - self.config.target.tensor().reshape(a * b, c)

        def mse(moment: np.ndarray) -> np.ndarray:
            return np.maximum(((moment @ error) * error).sum(axis=(1, 2)) / c, 0.0)

        test = mse(self.data.test_moment[None])
        return test if self.data.train_moment is None else mse(self.data.train_moment), test


def _split(config: TrainConfig, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b, _ = config.target.shape
    return theta[..., :a], theta[..., a : a + b], theta[..., a + b :]


def _norms_by_factor(config: TrainConfig, theta: np.ndarray) -> Float64[np.ndarray, "runs slots 3"]:
    return np.stack([np.linalg.norm(part, axis=2) for part in _split(config, theta)], axis=2)


def slots_to_keep(config: TrainConfig, theta: Float64[np.ndarray, "runs slots width"]) -> Int[np.ndarray, "runs kept"]:
    """Slots of each run that pruning keeps: the configured ones, or the most important."""
    if config.kept_slots:
        return np.tile(np.array(config.kept_slots), (len(theta), 1))
    norms = _norms_by_factor(config, theta)
    importance = np.sqrt((norms**2).sum(axis=2)) if config.prune_by == "norm" else norms.prod(axis=2)
    return np.sort(np.argsort(-importance, axis=1, kind="stable")[:, : config.prune_to], axis=1)


def untrained(config: TrainConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The factors (U, V, W) that a population starts from, pruned but never trained.

    The control of every claim about training: what a solver makes of these is not the network's doing.
    """
    theta = initial_weights(config, np.arange(config.runs))
    if config.prune_to:
        theta = np.take_along_axis(theta, slots_to_keep(config, theta)[:, :, None], axis=1)
    u, v, w = _split(config, theta)
    return u, v, w.swapaxes(1, 2)


def make_engine(config: TrainConfig, runs: np.ndarray, device: str = "cpu") -> Engine:
    """The engine that the configuration names; see `resolve_engine`."""
    config = resolve_engine(config, device)
    if config.engine == "native":
        from grokkit.training._native_engine import NativeEngine

        return NativeEngine(config, runs)
    from grokkit.training._torch_engine import TorchEngine

    return TorchEngine(config, runs, device)


def resolve_engine(config: TrainConfig, device: str = "cpu") -> TrainConfig:
    """Name the engine: native where it can serve, torch otherwise.

    Raises `InvalidInput` if the native engine is asked for and cannot serve, or if torch does not know the device,
    and `MissingExtra` if torch is needed and not installed.
    """
    if config.engine != "torch":
        from grokkit.training._native_engine import why_not

        reason = "it runs on the CPU only" if device != "cpu" else why_not(config)
        if reason is None:
            return config.replace(engine="native")
        if config.engine == "native":
            raise InvalidInput(f"engine native: {reason}; use --engine torch")
        need_extra(f"training without the native engine ({reason})", "torch")
    need_extra("training with --engine torch", "torch")
    _check_device(device)
    return config.replace(engine="torch")


def _check_device(device: str) -> None:
    """Raise `InvalidInput` if torch cannot use the device."""
    if device == "cpu":
        return
    import torch

    try:
        torch.ones(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidInput(f"device {device!r}: torch cannot use it ({reason}); use cpu") from None


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of a step (counted from 0): constant, or falling to the final one over its phase."""
    late = step >= config.first_steps
    rate = config.retrain_learning_rate if late else config.learning_rate
    kind = config.retrain_schedule if late else config.schedule
    if kind == "constant":
        return rate
    start = config.first_steps if late else 0
    end = config.total_steps if late else config.first_steps
    share = (step - start) / max(1, end - start)
    fall = 0.5 * (1 + math.cos(math.pi * share)) if kind == "cosine" else 1 - share
    return config.final_learning_rate + (rate - config.final_learning_rate) * fall


def weight_decay(config: TrainConfig, step: int) -> float:
    """Weight decay of a step."""
    return config.retrain_weight_decay if step >= config.first_steps else config.weight_decay


def l1_strength(config: TrainConfig, step: int) -> float:
    """Strength of the proximal L1 step: constant, then fading over the last part of retraining."""
    if not config.l1 or (config.l1_phase == "retrain" and step < config.first_steps):
        return 0.0
    length = max(1, config.total_steps - config.first_steps)
    share = (step - config.first_steps) / length
    if share <= 1 - config.l1_release:
        return config.l1
    return config.l1 * (1 - share) / config.l1_release


def balances(config: TrainConfig, step: int) -> bool:
    """Whether the norms of u, v and w of each slot are equalized after a step."""
    return bool(config.balance_every) and (step + 1) % config.balance_every == 0
