"""Training and test data of a shard, reduced to what the gradient needs.

With z = a ⊗ b (summed over inner blocks for block products) a bilinear network is c = Mᵀ z, and so is
the target: the error is Eᵀ z. Loss and gradient then depend on a minibatch only through its second
moment G = mean z zᵀ (or, for small minibatches, through the z themselves).

Every random number comes from a generator keyed by (seed, stream, run) and, for streams that go on, by
the position in training. So run i depends on (seed, i) alone, and nothing random needs to be saved.
"""

from __future__ import annotations

from typing import Final, final

import numpy as np
import torch

from grokkit.training._config import TrainConfig

INIT: Final = 0
TRAIN: Final = 1
TEST: Final = 2
ORDER: Final = 3
FRESH: Final = 4
NOISE: Final = 5
CHUNK_VALUES: Final = 2**15
"""Fresh values that one run draws at a time, roughly."""
BY_SAMPLE: Final = 16
"""Largest minibatch whose second moment is not formed."""
EXPANDED_VALUES: Final = 2**26
"""Largest training set of a shard that is kept as z, in numbers."""


def batch_count(config: TrainConfig) -> int:
    """Number of z in a minibatch: one for each sample and output block."""
    return config.batch_size * config.blocks**2


def by_sample(config: TrainConfig) -> bool:
    """Whether the gradient goes through the z one by one instead of forming their moment."""
    return batch_count(config) <= BY_SAMPLE


def generator(seed: int, stream: int, *keys: int) -> np.random.Generator:
    """The random stream of that name; PCG64 seeded by hashing all keys."""
    return np.random.default_rng([seed, stream, *keys])


def operands(config: TrainConfig, rng: np.random.Generator, count: int) -> np.ndarray:
    """`count` operand pairs, flattened and side by side: (count, blocks²·(nm + mp)), float32."""
    shape = (count, operand_values(config))
    if config.distribution == "uniform":
        return rng.random(shape, dtype=np.float32) * np.float32(2) - np.float32(1)
    return rng.standard_normal(shape, dtype=np.float32)


def operand_values(config: TrainConfig) -> int:
    """Numbers in one pair of operands."""
    n, m, p = config.target.format
    return config.blocks**2 * (n * m + m * p)


def features(config: TrainConfig, pairs: torch.Tensor) -> torch.Tensor:
    """z for each sample and output block: (..., count, width) to (..., count·blocks², nm·mp)."""
    n, m, p = config.target.format
    q = config.blocks
    lead = pairs.shape[:-1]
    a = pairs[..., : q * q * n * m].reshape(*lead, q, q, n * m)
    b = pairs[..., q * q * n * m :].reshape(*lead, q, q, m * p)
    if q == 1:
        z = a[..., 0, 0, :, None] * b[..., 0, 0, None, :]
        return z.reshape(*lead, n * m * m * p)
    z = torch.einsum("...ikx,...kjy->...ijxy", a, b)
    return z.reshape(*lead[:-1], lead[-1] * q * q, n * m * m * p)


def second_moment(z: torch.Tensor) -> torch.Tensor:
    """mean z zᵀ over the samples: (..., count, d) to (..., d, d)."""
    return z.transpose(-1, -2) @ z / z.shape[-2]


@final
class ShardData:
    """Minibatches of one shard of runs, by step, and the moments that the losses need."""

    def __init__(self, config: TrainConfig, runs: np.ndarray, device: torch.device):
        self.config = config
        self.runs = runs
        self.device = device
        self.dtype = getattr(torch, config.dtype)
        self.own = config.minibatch == "own"
        self._runs_fastest = self.own and by_sample(config)
        test = operands(config, generator(config.seed, TEST), config.test_samples)
        self.test_moment = second_moment(features(config, torch.from_numpy(test).double())).to(device)
        self._train: torch.Tensor | None = None
        self._expanded = False
        """Whether the training set is kept as z (faster, larger) or as operands."""
        self.train_moment: torch.Tensor | None = None
        if config.samples:
            self._make_training_set()
        self._epoch = self._chunk = self._noise_chunk = -1
        self._order = self._fresh = self._noise = torch.empty(0)

    def _make_training_set(self) -> None:
        config = self.config
        keys = [(int(i),) for i in self.runs] if self.own else [()]
        a, b, _ = config.target.shape
        self._expanded = len(keys) * config.samples * config.blocks**2 * a * b <= EXPANDED_VALUES
        rows, moments = [], []
        for key in keys:
            pairs = operands(config, generator(config.seed, TRAIN, *key), config.samples)
            z = features(config, torch.from_numpy(pairs).double())
            moments.append(second_moment(z))
            rows.append(z.to(self.dtype) if self._expanded else torch.from_numpy(pairs).to(self.dtype))
        train = torch.stack(rows).to(self.device)
        self._train = self._store(train) if self._expanded else train.transpose(0, 1).contiguous()
        self.train_moment = torch.stack(moments).to(self.device)

    def batch(self, step: int) -> torch.Tensor:
        """z of the minibatch of that step: (count, d, runs), or (count, d, 1) where all runs share data.

        Stored with the run fastest for small minibatches and with d fastest otherwise, as the gradient
        wants it.
        """
        return self._fixed(step) if self._train is not None else self._drawn(step)

    def _fixed(self, step: int) -> torch.Tensor:
        """Rows of the training set in the order of the step's epoch.

        The training set is stored sample by sample: a minibatch gathers whole blocks for all runs. All runs
        share the order, which is independent of their data, so they stay independent of each
        other; runs with data of their own never see the same sample.
        """
        assert self._train is not None
        config = self.config
        epoch, position = divmod(step, config.steps_per_epoch)
        if epoch != self._epoch:
            order = generator(config.seed, ORDER, epoch).permutation(config.samples)
            self._order = torch.from_numpy(order).to(self.device)
            self._epoch = epoch
        first = position * config.batch_size
        chosen = self._order[first : first + config.batch_size]
        if not self._expanded:
            return self._arrange(features(config, self._train.index_select(0, chosen).permute(1, 0, 2)))
        per_sample = config.blocks**2  # z of one sample lie together
        rows = self._train.view(config.samples, -1, *self._train.shape[1:]).index_select(0, chosen)
        return self._view(rows.view(len(chosen) * per_sample, *self._train.shape[1:]))

    def _drawn(self, step: int) -> torch.Tensor:
        """Samples never seen before."""
        config = self.config
        values = config.batch_size * operand_values(config)
        steps = max(1, CHUNK_VALUES // values)
        chunk, position = divmod(step, steps)
        if chunk != self._chunk:
            keys = [(int(i), chunk) for i in self.runs] if self.own else [(chunk,)]
            drawn = np.stack(
                [
                    operands(config, generator(config.seed, FRESH, *key), steps * config.batch_size)
                    for key in keys
                ]
            )
            self._fresh = torch.from_numpy(drawn).to(self.device, self.dtype)
            self._chunk = chunk
        first = position * config.batch_size
        return self._arrange(features(config, self._fresh[:, first : first + config.batch_size]))

    def _arrange(self, z: torch.Tensor) -> torch.Tensor:
        """(runs, count, d) to (count, d, runs), stored as the gradient wants it."""
        return self._view(self._store(z))

    def _store(self, z: torch.Tensor) -> torch.Tensor:
        """(runs, count, d) in the order of memory: samples, then runs or d fastest."""
        return z.permute(1, 2, 0).contiguous() if self._runs_fastest else z.permute(1, 0, 2).contiguous()

    def _view(self, stored: torch.Tensor) -> torch.Tensor:
        """Stored samples as (count, d, runs)."""
        return stored if self._runs_fastest else stored.permute(0, 2, 1)

    def weight_noise(self, step: int, slots: int, width: int) -> torch.Tensor:
        """Standard normal noise for all weights at that step: (runs, slots, width)."""
        steps = max(1, CHUNK_VALUES // (self.config.slots * width))
        chunk, position = divmod(step, steps)
        if chunk != self._noise_chunk:
            shape = (steps, self.config.slots, width)
            drawn = np.stack(
                [
                    generator(self.config.seed, NOISE, int(i), chunk).standard_normal(shape, dtype=np.float32)
                    for i in self.runs
                ]
            )
            self._noise = torch.from_numpy(drawn).to(self.device, self.dtype)
            self._noise_chunk = chunk
        return self._noise[:, position, :slots]


def initial_weights(config: TrainConfig, runs: np.ndarray) -> np.ndarray:
    """Starting factors (runs, slots, nm + mp + np): u, v and w of each slot side by side."""
    a, b, c = config.target.shape
    drawn = []
    for i in runs:
        rng = generator(config.seed, INIT, int(i))
        u = rng.standard_normal((config.slots, a))
        v = rng.standard_normal((config.slots, b))
        w = rng.standard_normal((config.slots, c))
        scale_v = config.init_scale
        if config.init == "independent":
            v = rng.uniform(-np.sqrt(3), np.sqrt(3), (config.slots, b))  # unit variance, another law
            scale_v = config.init_scale_v
        elif config.init == "tied":
            v = np.resize(u, (config.slots, b))
        drawn.append(np.concatenate([u * config.init_scale, v * scale_v, w * config.init_scale], axis=1))
    return np.stack(drawn)
