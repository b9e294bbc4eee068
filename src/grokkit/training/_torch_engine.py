"""The torch engine: all runs of a shard advance together, with hand-written gradients.

Parameters of all runs are one tensor of shape (runs, slots, nm + mp + np), stored with the run index fastest, so
that every elementwise operation runs over contiguous runs. The loss is the mean squared error over samples and
outputs, L = tr(Eᵀ G E) / np with E the error of the bilinear map (d × np, d = nm·mp) and G the second moment of
z = a ⊗ b in the minibatch; its gradient needs one product G E.
"""

from __future__ import annotations

import math
from typing import Final, final

import numpy as np
import torch
from jaxtyping import Float64, Int

from grokkit.training._config import TrainConfig
from grokkit.training._data import ShardData, initial_weights
from grokkit.training._engine import Engine, balances, l1_strength, learning_rate, weight_decay

BY_SAMPLE: Final = 16
"""Largest minibatch whose second moment is not formed."""
EXPANDED_VALUES: Final = 2**26
"""Largest training set of a shard that is kept as z, in numbers."""
BROADCAST_VALUES: Final = 2048
"""Numbers a run in an intermediate up to which contractions run as broadcast and sum."""


@final
class TorchEngine(Engine):
    """Trains through torch, on the CPU or on another device.

    The arithmetic of a run is the same in any shard of the same size and in any worker: fixed shapes, one
    thread, no reduction across runs.
    """

    def __init__(self, config: TrainConfig, runs: np.ndarray, device: str = "cpu"):
        super().__init__(config, runs)
        self.device = torch.device(device)
        self.dtype = getattr(torch, config.dtype)
        self._batches = _Batches(config, self.data, self.device)
        self._tensor = torch.from_numpy(config.target.tensor()).to(self.device)
        self._norms = torch.zeros(2, len(runs), dtype=torch.float64, device=self.device)
        theta = self._from_runs(initial_weights(config, runs))
        self._set(theta, torch.zeros_like(theta), torch.zeros_like(theta))

    def _from_runs(self, x: np.ndarray) -> torch.Tensor:
        """(runs, slots, width) to (slots, width, runs), contiguous."""
        return torch.from_numpy(x).to(self.device, self.dtype).permute(1, 2, 0).contiguous()

    def _set(self, theta: torch.Tensor, mean: torch.Tensor, square: torch.Tensor) -> None:
        """Replace parameters and moments, and fit the buffers to them."""
        self._theta, self._mean, self._square = theta, mean, square
        self._gradient = torch.zeros_like(theta)
        self._buffer = torch.empty_like(theta)
        self._work = _Workspace(self.config, theta)

    @property
    def theta(self) -> torch.Tensor:
        """All parameters, (runs, slots, width): a view."""
        return self._theta.permute(2, 0, 1)

    @property
    def slots(self) -> int:
        return self._theta.shape[0]

    def weights(self) -> Float64[np.ndarray, "runs slots width"]:
        return self.theta.double().cpu().numpy().copy()

    def advance(self, until: int) -> None:
        while self.step < until:
            norms = self._one_step().double()
            self._norms += torch.stack([norms, norms * norms])
            self.step += 1

    def _one_step(self) -> torch.Tensor:
        """One optimizer step for every run; returns the gradient norms before clipping."""
        config, step = self.config, self.step
        rate, decay = learning_rate(config, step), weight_decay(config, step)
        at = self._theta
        if config.weight_noise:
            slots, width, _ = at.shape
            at = at + config.weight_noise * self._batches.noise(step, slots, width)
        self.gradient_at(at, self._batches.at(step))
        gradient = self._gradient
        norms = torch.mul(gradient, gradient, out=self._buffer).flatten(0, 1).sum(0).sqrt_()
        if config.clip:
            gradient.mul_((config.clip / (norms + 1e-6)).clamp_(max=1.0))
        if config.optimizer == "sgd":
            self._sgd(rate, decay)
        else:
            self._adam(rate, decay)
        strength = l1_strength(config, step)
        if strength:
            shrunk = self._theta.abs().sub_(rate * strength).clamp_(min=0.0)
            self._theta.copy_(torch.copysign(shrunk, self._theta))
        if balances(config, step):
            self._balance()
        return norms

    def gradient_at(self, theta: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Gradient of the loss on the minibatch z (count, d, runs or 1), into the gradient buffer.

        Both `theta` and the result are stored as (slots, width, runs).
        """
        a, b, c = self.config.target.shape
        slots, _, runs = theta.shape
        work = self._work
        u, v, w = theta[:, :a], theta[:, a : a + b], theta[:, a + b :]
        torch.mul(u[:, :, None], v[:, None, :], out=work.k.view(slots, a, b, runs))
        work.over_slots(w)
        work.error -= self._tensor.view(a * b, c, 1)
        work.apply_moment(z, 2 / c)
        work.over_outputs(w)
        grad, gk = self._gradient, work.gradient_k.view(slots, a, b, runs)
        pairs = work.k_pairs.view(slots, a, b, runs)
        torch.sum(torch.mul(gk, v[:, None, :], out=pairs), 2, out=work.for_u)
        grad[:, :a] = work.for_u
        torch.sum(torch.mul(gk, u[:, :, None], out=pairs), 1, out=work.for_v)
        grad[:, a : a + b] = work.for_v
        work.over_inputs()
        grad[:, a + b :] = work.for_w
        return grad

    def _adam(self, rate: float, decay: float) -> None:
        """torch.optim.AdamW, or Adam with the decay added to the gradient."""
        config, theta, gradient = self.config, self._theta, self._gradient
        if config.optimizer == "adamw":
            theta.mul_(1 - rate * decay)
        elif decay:
            gradient.add_(theta, alpha=decay)
        # torch restarts its bias correction with a new optimizer; ours lives through the pruning
        count = self.step + 1
        self._mean.lerp_(gradient, 1 - config.beta1)
        self._square.mul_(config.beta2).addcmul_(gradient, gradient, value=1 - config.beta2)
        root = torch.sqrt(self._square, out=self._buffer)
        root.div_(math.sqrt(1 - config.beta2**count)).add_(config.epsilon)
        theta.addcdiv_(self._mean, root, value=-rate / (1 - config.beta1**count))

    def _sgd(self, rate: float, decay: float) -> None:
        """torch.optim.SGD with momentum and L2 weight decay."""
        gradient = self._gradient
        if decay:
            gradient.add_(self._theta, alpha=decay)
        if self.config.momentum:
            if self.step == 0:
                self._mean.copy_(gradient)
            else:
                self._mean.mul_(self.config.momentum).add_(gradient)
            gradient = self._mean
        self._theta.add_(gradient, alpha=-rate)

    def _balance(self) -> None:
        """Give u, v and w of each slot equal norms; the bilinear map is unchanged."""
        a, b, _ = self.config.target.shape
        parts = self._theta[:, :a], self._theta[:, a : a + b], self._theta[:, a + b :]
        norms = [part.norm(dim=1, keepdim=True).clamp_(min=1e-9) for part in parts]
        mean = (norms[0] * norms[1] * norms[2]).pow_(1 / 3)
        for part, norm in zip(parts, norms, strict=True):
            part.mul_(mean / norm)

    def _keep(self, kept: Int[np.ndarray, "runs slots"]) -> None:
        index = torch.from_numpy(kept.T.copy()).to(self.device)[:, None, :]
        index = index.expand(-1, self._theta.shape[1], -1)
        theta, mean, square = (x.gather(0, index).contiguous() for x in (self._theta, self._mean, self._square))
        self._set(theta, mean, square)

    def _take_norm_sums(self) -> Float64[np.ndarray, "2 runs"]:
        sums = self._norms.cpu().numpy().copy()
        self._norms.zero_()
        return sums

    def state(self) -> dict[str, np.ndarray]:
        moments = {"theta": self._theta, "mean": self._mean, "square": self._square}
        return {
            **{name: x.permute(2, 0, 1).contiguous().cpu().numpy() for name, x in moments.items()},
            "norms": self._norms.T.contiguous().cpu().numpy(),
            "norms_since": np.array(self._norms_since),
            "step": np.array(self.step),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        theta, mean, square = (self._from_runs(np.array(state[name])) for name in ("theta", "mean", "square"))
        self._set(theta, mean, square)
        self._norms = torch.from_numpy(state["norms"].T.copy()).to(self.device)
        self._norms_since, self.step = int(state["norms_since"]), int(state["step"])


@final
class _Batches:
    """Minibatches as z = a ⊗ b, stored as the gradient wants them: (count, d, runs or 1).

    Small minibatches are stored with the run fastest, larger ones with d fastest. A training set that is not
    too large is kept as z, sample by sample, so that a minibatch gathers a few large blocks of memory.
    """

    def __init__(self, config: TrainConfig, data: ShardData, device: torch.device):
        self.config, self.data, self.device = config, data, device
        self.dtype = getattr(torch, config.dtype)
        self._runs_fastest = data.own and by_sample(config)
        self._expanded = False
        self._train: torch.Tensor | None = None
        self._chunk = self._noise_chunk = -1
        self._fresh = self._noise = torch.empty(0)
        if data.train is not None:
            a, b, _ = config.target.shape
            values = data.train.shape[0] * config.samples * config.blocks**2 * a * b
            self._expanded = values <= EXPANDED_VALUES
            pairs = self._tensor(data.train)
            train = self._store(features(config, pairs)) if self._expanded else pairs.transpose(0, 1)
            self._train = train.reshape(config.samples, -1, *train.shape[1:])

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device, self.dtype)

    def at(self, step: int) -> torch.Tensor:
        """z of a step's minibatch."""
        config = self.config
        if self._train is not None:
            rows = torch.from_numpy(self.data.rows(step)).to(self.device)
            chosen = self._train.index_select(0, rows).flatten(0, 1)
            return self._view(chosen) if self._expanded else self._arrange(chosen.transpose(0, 1))
        chunk, position = divmod(step, self.data.fresh_steps())
        if chunk != self._chunk:
            self._fresh, self._chunk = self._tensor(self.data.fresh(chunk)), chunk
        first = position * config.batch_size
        return self._arrange(self._fresh[:, first : first + config.batch_size])

    def noise(self, step: int, slots: int, width: int) -> torch.Tensor:
        """Noise for all weights at a step: (slots, width, runs)."""
        chunk, position = divmod(step, self.data.noise_steps(width))
        if chunk != self._noise_chunk:
            self._noise, self._noise_chunk = self._tensor(self.data.noise(chunk, width)), chunk
        return self._noise[:, position, :slots].permute(1, 2, 0)

    def _arrange(self, pairs: torch.Tensor) -> torch.Tensor:
        return self._view(self._store(features(self.config, pairs)))

    def _store(self, z: torch.Tensor) -> torch.Tensor:
        """(runs, count, d) in the order of memory: samples, then runs or d fastest."""
        return z.permute(1, 2, 0).contiguous() if self._runs_fastest else z.permute(1, 0, 2).contiguous()

    def _view(self, stored: torch.Tensor) -> torch.Tensor:
        """Stored samples as (count, d, runs)."""
        return stored if self._runs_fastest else stored.permute(0, 2, 1)


def features(config: TrainConfig, pairs: torch.Tensor) -> torch.Tensor:
    """z for each sample and output block: (..., count, values) to (..., count·blocks², len(a)·len(b))."""
    u, v, _ = config.target.shape
    q = config.blocks
    lead = pairs.shape[:-1]
    a = pairs[..., : q * q * u].reshape(*lead, q, q, u)
    b = pairs[..., q * q * u :].reshape(*lead, q, q, v)
    if q == 1:
        z = a[..., 0, 0, :, None] * b[..., 0, 0, None, :]
        return z.reshape(*lead, u * v)
    z = torch.einsum("...ikx,...kjy->...ijxy", a, b)
    return z.reshape(*lead[:-1], lead[-1] * q * q, u * v)


def batch_count(config: TrainConfig) -> int:
    """Number of z in a minibatch: one for each sample and output block."""
    return config.batch_size * config.blocks**2


def by_sample(config: TrainConfig) -> bool:
    """Whether the gradient goes through the z one by one instead of forming their moment."""
    return batch_count(config) <= BY_SAMPLE


@final
class _Workspace:
    """Buffers of one gradient, and the contractions that fill them.

    Fresh memory for every intermediate would cost more than the arithmetic. Contractions of small
    formats run as broadcast and sum over contiguous runs, those of larger ones as batched products.
    """

    def __init__(self, config: TrainConfig, like: torch.Tensor):
        a, b, c = config.target.shape
        slots, _, runs = like.shape
        d, count = a * b, batch_count(config)

        def buffer(*shape: int) -> torch.Tensor:
            return torch.empty(shape, dtype=like.dtype, device=like.device)

        self.k, self.gradient_k, self.k_pairs = (buffer(slots, d, runs) for _ in range(3))
        self.error, self.moment_error = buffer(d, c, runs), buffer(d, c, runs)
        self.for_u, self.for_v, self.for_w = (
            buffer(slots, a, runs),
            buffer(slots, b, runs),
            buffer(slots, c, runs),
        )
        self.broadcast = slots * d * c <= BROADCAST_VALUES
        if self.broadcast:
            self.products = buffer(slots, d, c, runs)
        self.by_sample = by_sample(config)
        if self.by_sample:
            self.sample_products = buffer(count, d, c, runs)
            self.sample_error = buffer(count, c, runs)
        else:
            self.moment = buffer(runs, d, d)
            self.error_by_run, self.result_by_run = buffer(runs, d, c), buffer(runs, d, c)

    def over_slots(self, w: torch.Tensor) -> None:
        """error = Σ_s k[s] ⊗ w[s]."""
        if self.broadcast:
            torch.mul(self.k[:, :, None], w[:, None], out=self.products)
            torch.sum(self.products, 0, out=self.error)
        else:
            self.error.copy_((self.k.permute(2, 1, 0) @ w.permute(2, 0, 1)).permute(1, 2, 0))

    def over_outputs(self, w: torch.Tensor) -> None:
        """gradient_k[s, i] = Σ_c moment_error[i, c] w[s, c]."""
        if self.broadcast:
            torch.mul(self.moment_error[None], w[:, None], out=self.products)
            torch.sum(self.products, 2, out=self.gradient_k)
        else:
            product = w.permute(2, 0, 1) @ self.moment_error.permute(2, 1, 0)
            self.gradient_k.copy_(product.permute(1, 2, 0))

    def over_inputs(self) -> None:
        """for_w[s, c] = Σ_i k[s, i] moment_error[i, c]."""
        if self.broadcast:
            torch.mul(self.k[:, :, None], self.moment_error[None], out=self.products)
            torch.sum(self.products, 1, out=self.for_w)
        else:
            product = self.k.permute(2, 0, 1) @ self.moment_error.permute(2, 0, 1)
            self.for_w.copy_(product.permute(1, 2, 0))

    def apply_moment(self, z: torch.Tensor, scale: float) -> None:
        """moment_error = scale · (mean z zᵀ) · error, run by run; z is (count, d, runs or 1).

        Small minibatches multiply by the samples one after another, larger ones form the moment first.
        """
        count, d, owners = z.shape
        c, runs = self.error.shape[1:]
        if owners == 1:  # one minibatch for all runs: two plain products
            shared = z[:, :, 0]
            product = shared.T @ (shared @ self.error.view(d, c * runs))
            torch.mul(product.view(d, c, runs), scale / count, out=self.moment_error)
        elif self.by_sample:
            products, errors = self.sample_products[:count], self.sample_error[:count]
            torch.mul(z[:, :, None], self.error, out=products)
            torch.sum(products, 1, out=errors)
            torch.mul(z[:, :, None], errors[:, None], out=products)
            torch.sum(products, 0, out=self.moment_error)
            self.moment_error.mul_(scale / count)
        else:
            by_run = z.permute(2, 1, 0)
            torch.bmm(by_run, by_run.transpose(1, 2), out=self.moment)
            self.error_by_run.copy_(self.error.permute(2, 0, 1))
            torch.bmm(self.moment, self.error_by_run, out=self.result_by_run)
            self.moment_error.copy_(self.result_by_run.permute(1, 2, 0))
            self.moment_error.mul_(scale / count)
