"""Training and test data of a shard.

With z = a ⊗ b (summed over inner blocks for block products) a bilinear network is c = Mᵀ z, and so is the target:
the error is Eᵀ z. Losses over a whole set depend on it only through its second moment G = mean z zᵀ.

Every random number comes from a generator keyed by (seed, stream, run) and, for streams that go on, by the
position in training. So run i depends on (seed, i) alone, and nothing random needs to be saved.
"""

from __future__ import annotations

from typing import Final, final

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from grokkit.training._config import TrainConfig

INIT: Final = 0
TRAIN: Final = 1
TEST: Final = 2
ORDER: Final = 3
FRESH: Final = 4
NOISE: Final = 5
CHUNK_VALUES: Final = 2**15
"""Fresh values that one run draws at a time, roughly."""


def generator(seed: int, stream: int, *keys: int) -> np.random.Generator:
    """The random stream of that name: PCG64, seeded by hashing the seed and all keys."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream, *keys)))


def operand_values(config: TrainConfig) -> int:
    """Numbers in one pair of operands."""
    a, b, _ = config.target.shape
    return config.blocks**2 * (a + b)


def operands(config: TrainConfig, rng: np.random.Generator, count: int) -> Float32[np.ndarray, "count values"]:
    """`count` pairs of operands: the blocks of A row by row, then those of B, each flattened."""
    shape = (count, operand_values(config))
    if config.distribution == "uniform":
        return rng.random(shape, dtype=np.float32) * np.float32(2) - np.float32(1)
    return rng.standard_normal(shape, dtype=np.float32)


def second_moment(config: TrainConfig, pairs: Float[np.ndarray, "count values"]) -> Float64[np.ndarray, "d d"]:
    """mean z zᵀ over samples and output blocks, d = len(a)·len(b)."""
    u, v, _ = config.target.shape
    q = config.blocks
    wide = pairs.astype(np.float64)
    a = wide[:, : q * q * u].reshape(-1, q, q, u)
    b = wide[:, q * q * u :].reshape(-1, q, q, v)
    z = np.einsum("sikx,skjy->sijxy", a, b).reshape(-1, u * v)
    return z.T @ z / len(z)


def initial_weights(config: TrainConfig, runs: np.ndarray) -> Float64[np.ndarray, "runs slots width"]:
    """Starting factors: u, v and w of each slot side by side, width = len(a) + len(b) + len(c)."""
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


@final
class ShardData:
    """The data of one shard of runs: its training and test sets, and what is drawn step by step.

    With shared minibatches there is one owner of data, otherwise each run is one.
    """

    def __init__(self, config: TrainConfig, runs: np.ndarray):
        self.config = config
        self.runs = runs
        self.own = config.minibatch == "own"
        test = operands(config, generator(config.seed, TEST), config.test_samples)
        self.test_moment = second_moment(config, test)
        self.train: Float32[np.ndarray, "owners samples values"] | None = None
        self.train_moment: Float64[np.ndarray, "owners d d"] | None = None
        if config.samples:
            self.train = np.stack(
                [operands(config, generator(config.seed, TRAIN, *key), config.samples) for key in self._keys()]
            )
            self.train_moment = np.stack([second_moment(config, pairs) for pairs in self.train])
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def _keys(self) -> list[tuple[int, ...]]:
        return [(int(i),) for i in self.runs] if self.own else [()]

    def rows(self, step: int) -> Int64[np.ndarray, " count"]:
        """Rows of the training set that make up a step's minibatch, in the order of the step's epoch.

        All runs share the order, which is independent of their data, so they stay independent of each other;
        runs with data of their own never see the same sample.
        """
        config = self.config
        epoch, position = divmod(step, config.steps_per_epoch)
        if epoch != self._epoch:
            self._order = generator(config.seed, ORDER, epoch).permutation(config.samples)
            self._epoch = epoch
        first = position * config.batch_size
        return self._order[first : first + config.batch_size]

    def fresh_steps(self) -> int:
        """Steps that one chunk of fresh samples lasts."""
        return max(1, CHUNK_VALUES // (self.config.batch_size * operand_values(self.config)))

    def fresh(self, chunk: int) -> Float32[np.ndarray, "owners count values"]:
        """Samples never seen before, for the steps chunk·fresh_steps() and on."""
        count = self.fresh_steps() * self.config.batch_size
        return np.stack(
            [operands(self.config, generator(self.config.seed, FRESH, *key, chunk), count) for key in self._keys()]
        )

    def noise_steps(self, width: int) -> int:
        """Steps that one chunk of weight noise lasts."""
        return max(1, CHUNK_VALUES // (self.config.slots * width))

    def noise(self, chunk: int, width: int) -> Float32[np.ndarray, "runs steps slots width"]:
        """Standard normal noise for all weights, for the steps chunk·noise_steps(width) and on."""
        shape = (self.noise_steps(width), self.config.slots, width)
        return np.stack(
            [
                generator(self.config.seed, NOISE, int(i), chunk).standard_normal(shape, dtype=np.float32)
                for i in self.runs
            ]
        )
