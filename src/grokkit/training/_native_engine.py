"""The native trainer: runs are SIMD lanes, a stretch of steps is one call."""

from __future__ import annotations

import ctypes
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float64, Int

from grokkit import _native
from grokkit.scheme import MatrixProduct
from grokkit.training._config import TrainConfig
from grokkit.training._data import initial_weights
from grokkit.training._engine import Engine, balances, l1_strength, learning_rate, weight_decay

LARGEST_SIDE: Final = 3
LARGEST_BLOCKS: Final = 4
LARGEST_SLOTS: Final = 64
STRETCH: Final = 1000
"""Steps in one call at most: bounds the arrays that describe them."""
OPTIMIZERS: Final = {"adamw": 0, "adam": 1, "sgd": 2}

_pointer = ctypes.c_void_p
_i32, _i64, _f64 = ctypes.c_int32, ctypes.c_int64, ctypes.c_double


class _Training(ctypes.Structure):
    """grokkit_training of native/include/grokkit_native.h."""

    _fields_ = (
        ("n", _i32),
        ("m", _i32),
        ("p", _i32),
        ("blocks", _i32),
        ("slots", _i32),
        ("groups", _i32),
        ("steps", _i64),
        ("samples", _i64),
        ("shared", _i32),
        ("optimizer", _i32),
        ("operands", _pointer),
        ("rows", _pointer),
        ("counts", _pointer),
        ("rate", _pointer),
        ("decay", _pointer),
        ("mean_scale", _pointer),
        ("root_scale", _pointer),
        ("threshold", _pointer),
        ("balance", _pointer),
        ("noise", _pointer),
        ("beta1", _f64),
        ("beta2", _f64),
        ("epsilon", _f64),
        ("momentum", _f64),
        ("clip", _f64),
        ("first_step", _i32),
        ("theta", _pointer),
        ("mean", _pointer),
        ("square", _pointer),
        ("norms", _pointer),
    )


def why_not(config: TrainConfig) -> str | None:
    """Why the native trainer cannot serve a configuration; None if it can."""
    if _native.load() is None:
        return f"native core {_native.status()}"
    if not isinstance(config.target, MatrixProduct):
        return "it trains matrix products"
    if max(config.target.format) > LARGEST_SIDE or config.blocks > LARGEST_BLOCKS or config.slots > LARGEST_SLOTS:
        return f"it takes formats to 3x3x3, {LARGEST_BLOCKS} blocks and {LARGEST_SLOTS} slots"
    return None


@final
class NativeEngine(Engine):
    """Trains through the native core. The same bits on every processor, whatever its vectors hold."""

    def __init__(self, config: TrainConfig, runs: np.ndarray):
        super().__init__(config, runs)
        core = _native.load()
        assert core is not None
        self.dtype = np.dtype(config.dtype)
        self._lanes = core.lanes(self.dtype.itemsize)
        self._train = getattr(core.library, f"grokkit_train_{config.dtype}")
        self._train.argtypes = (ctypes.POINTER(_Training),)
        weights = initial_weights(config, runs).astype(self.dtype)
        self._theta = self._to_lanes(weights)
        self._mean, self._square = np.zeros_like(self._theta), np.zeros_like(self._theta)
        self._norms = np.zeros((len(self._theta), 2, self._lanes))
        self._operands = self._arrange(self.data.train) if self.data.train is not None else np.empty(0)
        self._fresh_chunk = self._noise_chunk = -1
        self._noise = np.empty(0)

    def _to_lanes(self, x: np.ndarray) -> np.ndarray:
        """(runs, …) to (groups, …, lanes), padded with zeros."""
        groups = -(-len(x) // self._lanes)
        padded = np.zeros((groups * self._lanes, *x.shape[1:]), dtype=x.dtype)
        padded[: len(x)] = x
        return np.ascontiguousarray(np.moveaxis(padded.reshape(groups, self._lanes, *x.shape[1:]), 1, -1))

    def _from_lanes(self, x: np.ndarray) -> np.ndarray:
        """(groups, …, lanes) to (runs, …)."""
        runs = np.moveaxis(x, -1, 1)
        return np.ascontiguousarray(runs.reshape(-1, *runs.shape[2:])[: len(self.runs)])

    def _arrange(self, pairs: np.ndarray) -> np.ndarray:
        """Operands as the native core reads them."""
        typed = pairs.astype(self.dtype)
        return self._to_lanes(typed) if self.data.own else np.ascontiguousarray(typed[0])

    @property
    def slots(self) -> int:
        return self._theta.shape[1]

    def weights(self) -> Float64[np.ndarray, "runs slots width"]:
        return self._from_lanes(self._theta).astype(np.float64)

    def advance(self, until: int) -> None:
        while self.step < until:
            steps = min(until - self.step, STRETCH, self._steps_in_chunks())
            self._stretch(steps)
            self.step += steps

    def _steps_in_chunks(self) -> int:
        """Steps before the current chunk of fresh samples or of noise runs out, whichever is first; loads them."""
        left = STRETCH
        if self.data.train is None:
            length = self.data.fresh_steps()
            chunk, position = divmod(self.step, length)
            if chunk != self._fresh_chunk:
                self._operands, self._fresh_chunk = self._arrange(self.data.fresh(chunk)), chunk
            left = min(left, length - position)
        if self.config.weight_noise:
            width = self._theta.shape[2]
            length = self.data.noise_steps(width)
            chunk, position = divmod(self.step, length)
            if chunk != self._noise_chunk:
                noise = self.data.noise(chunk, width).astype(self.dtype) * self.dtype.type(self.config.weight_noise)
                self._noise, self._noise_chunk = self._to_lanes(noise), chunk
            left = min(left, length - position)
        return left

    def _stretch(self, count: int) -> None:
        """Take `count` steps in one call."""
        config = self.config
        steps = range(self.step, self.step + count)
        rows = [self._rows(step) for step in steps]
        rate = np.array([learning_rate(config, step) for step in steps])
        times = np.arange(self.step + 1, self.step + count + 1, dtype=np.float64)
        mean_scale = rate if config.optimizer == "sgd" else rate / (1 - config.beta1**times)
        noise = None
        if config.weight_noise:
            first = self.step % self.data.noise_steps(self._theta.shape[2])
            noise = np.ascontiguousarray(self._noise[:, first : first + count, : self.slots])
        arrays: dict[str, Any] = {
            "operands": self._operands,
            "rows": np.concatenate(rows).astype(np.int32),
            "counts": np.array([len(part) for part in rows], dtype=np.int32),
            "rate": rate,
            "decay": np.array([weight_decay(config, step) for step in steps]),
            "mean_scale": mean_scale,
            "root_scale": np.sqrt(1 - config.beta2**times),
            "threshold": rate * np.array([l1_strength(config, step) for step in steps]),
            "balance": np.array([balances(config, step) for step in steps], dtype=np.uint8),
            "noise": noise,
            "theta": self._theta,
            "mean": self._mean,
            "square": self._square,
            "norms": self._norms,
        }
        target = config.target
        assert isinstance(target, MatrixProduct), "why_not admits no other"
        n, m, p = target.format
        training = _Training(
            n=n,
            m=m,
            p=p,
            blocks=config.blocks,
            slots=self.slots,
            groups=len(self._theta),
            steps=count,
            samples=self._operands.shape[1 if self.data.own else 0],
            shared=int(not self.data.own),
            optimizer=OPTIMIZERS[config.optimizer],
            beta1=config.beta1,
            beta2=config.beta2,
            epsilon=config.epsilon,
            momentum=config.momentum,
            clip=config.clip,
            first_step=int(self.step == 0),
            **{name: None if array is None else array.ctypes.data for name, array in arrays.items()},
        )
        if self._train(ctypes.byref(training)):
            raise AssertionError("the native trainer refused sizes that why_not admits")

    def _rows(self, step: int) -> np.ndarray:
        if self.data.train is not None:
            return self.data.rows(step)
        first = step % self.data.fresh_steps() * self.config.batch_size
        return np.arange(first, first + self.config.batch_size)

    def _keep(self, kept: Int[np.ndarray, "runs slots"]) -> None:
        self._theta, self._mean, self._square = (
            self._to_lanes(np.take_along_axis(self._from_lanes(x), kept[:, :, None], axis=1))
            for x in (self._theta, self._mean, self._square)
        )

    def _take_norm_sums(self) -> Float64[np.ndarray, "2 runs"]:
        sums = self._from_lanes(self._norms).T.copy()
        self._norms[...] = 0
        return sums

    def state(self) -> dict[str, np.ndarray]:
        return {
            "theta": self._from_lanes(self._theta),
            "mean": self._from_lanes(self._mean),
            "square": self._from_lanes(self._square),
            "norms": self._from_lanes(self._norms),
            "norms_since": np.array(self._norms_since),
            "step": np.array(self.step),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._theta, self._mean, self._square = (
            self._to_lanes(state[name].astype(self.dtype)) for name in ("theta", "mean", "square")
        )
        self._norms = self._to_lanes(state["norms"])
        self._norms_since, self.step = int(state["norms_since"]), int(state["step"])
