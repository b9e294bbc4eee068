"""Population trainer against a plain one-run PyTorch loop of the same protocol, interleaved in one process.

Both train with the same configuration on the same data. The answer is asserted first: after a few dozen steps
in float64 every run's weights agree. Then pieces of both are timed in turn, and the ratio of runs x steps a
second is reported with its spread.

    python benchmarks/training.py [--population 512] [--rounds 9] [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch

from grokkit import _native
from grokkit.studies import Median
from grokkit.training import TrainConfig
from grokkit.training._data import ORDER, TRAIN, generator, initial_weights, operands
from grokkit.training._engine import make_engine, resolve_engine

LOOP_STEPS = 300
PROTOCOLS = {
    "source, own minibatches": {},
    "source, one shared minibatch": {"minibatch": "shared"},
    "source, batch of 1": {"batch_size": 1},
    "source, batch of 128": {"batch_size": 128},
    "source, 4x4 in 2x2 blocks": {"blocks": 2},
    "source, float64": {"dtype": "float64"},
}


class PlainLoop:
    """One run as one would write it: modules of the protocol, autograd, torch.optim.AdamW."""

    def __init__(self, config: TrainConfig, run: int):
        self.config, self.step, self.epoch = config, 0, -1
        dtype = getattr(torch, config.dtype)
        theta = torch.from_numpy(initial_weights(config, np.array([run]))[0]).to(dtype)
        self.U, self.V, self.W = (part.clone().requires_grad_() for part in theta.split(4, dim=1))
        key = (run,) if config.minibatch == "own" else ()
        pairs = torch.from_numpy(operands(config, generator(config.seed, TRAIN, *key), config.samples)).to(dtype)
        q = config.blocks
        self.a = pairs[:, : 4 * q * q].reshape(-1, q, q, 4)
        self.b = pairs[:, 4 * q * q :].reshape(-1, q, q, 4)
        a, b = (x.reshape(-1, q, q, 2, 2).permute(0, 1, 3, 2, 4).reshape(-1, 2 * q, 2 * q) for x in (self.a, self.b))
        self.c = (a @ b).reshape(-1, q, 2, q, 2).permute(0, 1, 3, 2, 4).reshape(-1, q, q, 4)
        if q == 1:
            self.a, self.b, self.c = (x.reshape(-1, 4) for x in (self.a, self.b, self.c))
        self.optimizer = torch.optim.AdamW(
            [self.U, self.V, self.W], lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def advance(self, until: int) -> None:
        config = self.config
        while self.step < until:
            epoch, position = divmod(self.step, config.steps_per_epoch)
            if epoch != self.epoch:
                self.order = torch.from_numpy(generator(config.seed, ORDER, epoch).permutation(config.samples))
                self.epoch = epoch
            rows = self.order[position * config.batch_size : (position + 1) * config.batch_size]
            a, b, c = self.a[rows], self.b[rows], self.c[rows]
            self.optimizer.zero_grad()
            left, right = a @ self.U.T, b @ self.V.T
            if config.blocks == 1:
                output = (left * right) @ self.W
            else:
                output = torch.einsum("niks,nkjs->nijs", left, right) @ self.W
            loss = ((output - c) ** 2).mean()
            loss.backward()
            self.optimizer.step()
            self.step += 1


def assert_same_answer(config: TrainConfig) -> None:
    """Both trainers reach the same weights in float64."""
    config = config.replace(dtype="float64", runs=2, shard_size=2)
    engine = make_engine(config, np.arange(2))
    engine.advance(40)
    for run in range(2):
        loop = PlainLoop(config, run)
        loop.advance(40)
        expected = torch.cat([loop.U, loop.V, loop.W], dim=1).detach().numpy()
        assert np.allclose(engine.weights()[run], expected, rtol=1e-6, atol=1e-8), "the trainers disagree"


def measure(name: str, kind: str, population: int, rounds: int) -> dict[str, Any]:
    """Interleaved timing of one protocol: the one-run loop, then the population, `rounds` times."""
    config = TrainConfig.preset("source", runs=population, shard_size=population, engine=kind, **PROTOCOLS[name])
    assert_same_answer(config)
    engine = make_engine(config, np.arange(population))
    engine.advance(20)
    loop = PlainLoop(config, 0)
    loop.advance(50)
    ratios, ours, theirs = [], [], []
    steps = max(5, int(60 * 512 / population))
    for _ in range(rounds):
        started = time.perf_counter()
        loop.advance(loop.step + LOOP_STEPS)
        plain = LOOP_STEPS / (time.perf_counter() - started)
        started = time.perf_counter()
        engine.advance(engine.step + steps)
        rate = population * steps / (time.perf_counter() - started)
        ratios.append(rate / plain)
        ours.append(rate)
        theirs.append(plain)
        # about as long as the loop took, from the second round on
        steps = max(5, round(steps * LOOP_STEPS / plain * rate / (population * steps)))
    return {
        "protocol": name,
        "engine": kind,
        "population": population,
        "rounds": rounds,
        "runs_steps_per_second": Median.of(ours).to_json(),
        "loop_steps_per_second": Median.of(theirs).to_json(),
        "ratio": Median.of(ratios).to_json(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--population", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kinds = sorted({resolve_engine(TrainConfig()).engine, "torch"})
    rows = [measure(name, kind, arguments.population, arguments.rounds) for name in PROTOCOLS for kind in kinds]
    if arguments.json:
        print(json.dumps({"torch": torch.__version__, "native_core": _native.status(), "rows": rows}))
        return
    print(
        f"Population {arguments.population}, one thread, torch {torch.__version__}, native core {_native.status()}: "
        f"medians of {arguments.rounds} interleaved rounds with 95 % intervals.\n"
    )
    print("| protocol | engine | population, runs x steps/s | one-run loop, steps/s | ratio |\n|---|---|---|---|---|")
    for row in rows:
        ratio, rate, loop = row["ratio"], row["runs_steps_per_second"], row["loop_steps_per_second"]
        print(
            f"| {row['protocol']} | {row['engine']} | {rate['median']:,.0f} | {loop['median']:,.0f} | "
            f"{ratio['median']:.0f} [{ratio['low']:.0f}, {ratio['high']:.0f}] |"
        )


if __name__ == "__main__":
    main()
