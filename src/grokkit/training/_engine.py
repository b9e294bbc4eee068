"""The population trainer: all runs of a shard advance together, with hand-written gradients.

Parameters of all runs are one tensor of shape (runs, slots, nm + mp + np), stored with the run index
fastest, so that every elementwise operation runs over contiguous runs. The loss is the mean squared
error over samples and outputs, L = tr(Eᵀ G E) / np with E the error of the bilinear map (d × np,
d = nm·mp) and G the second moment of z = a ⊗ b in the minibatch; its gradient needs one product G E.
"""

from __future__ import annotations

import math
from typing import Final, final

import numpy as np
import torch

from grokkit.scheme import lattice_distance
from grokkit.training._config import TrainConfig
from grokkit.training._data import ShardData, batch_count, by_sample, initial_weights, second_moment

BROADCAST_VALUES: Final = 2048
"""Numbers a run in an intermediate up to which contractions run as broadcast and sum."""


@final
class Engine:
    """One shard in training. Runs never interact, so padding runs are inert.

    The arithmetic of a run is the same in any shard of the same size and in any worker: fixed shapes,
    one thread, no reduction across runs.
    """

    def __init__(self, config: TrainConfig, runs: np.ndarray, device: str | torch.device = "cpu"):
        self.config = config
        self.runs = runs
        self.device = torch.device(device)
        self.dtype = getattr(torch, config.dtype)
        self.data = ShardData(config, runs, self.device)
        self.step = 0
        self._tensor = torch.from_numpy(config.target.tensor()).to(self.device)
        self._norms = torch.zeros(2, len(runs), dtype=torch.float64, device=self.device)
        self._norm_count = 0
        self._place(initial_weights(config, runs))

    def _place(self, weights: np.ndarray) -> None:
        """Set all parameters and clear the optimizer's moments."""
        theta = torch.from_numpy(weights).to(self.device, self.dtype).permute(1, 2, 0).contiguous()
        self._set(theta, torch.zeros_like(theta), torch.zeros_like(theta))

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

    def advance(self, until: int) -> None:
        """Take the steps before step number `until`."""
        while self.step < until:
            norms = self._one_step().double()
            self._norms += torch.stack([norms, norms * norms])
            self._norm_count += 1
            self.step += 1

    def gradient_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean gradient norm of each run since the last call, and its coefficient of variation.

        NaN if no step was taken.
        """
        total, squares = self._norms.cpu().numpy().copy()
        count = self._norm_count
        self._norms.zero_()
        self._norm_count = 0
        if count == 0:
            nothing = np.full(len(self.runs), np.nan)
            return nothing, nothing
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        return mean, np.divide(deviation, mean, out=np.full_like(mean, np.nan), where=mean > 0)

    def _one_step(self) -> torch.Tensor:
        """One optimizer step for every run; returns the gradient norms before clipping."""
        config, step = self.config, self.step
        late = step >= config.first_steps
        rate = learning_rate(config, step)
        decay = config.retrain_weight_decay if late else config.weight_decay
        at = self._theta
        if config.weight_noise:
            noise = self.data.weight_noise(step, self.slots, self._theta.shape[1]).permute(1, 2, 0)
            at = at + config.weight_noise * noise
        self.gradient_at(at, self.data.batch(step))
        gradient = self._gradient
        norms = torch.mul(gradient, gradient, out=self._buffer).flatten(0, 1).sum(0).sqrt_()
        if config.clip:
            gradient.mul_((config.clip / (norms + 1e-6)).clamp_(max=1.0))
        if config.optimizer == "sgd":
            self._sgd(rate, decay)
        else:
            self._adam(rate, decay)
        strength = self._l1(step)
        if strength:
            shrunk = self._theta.abs().sub_(rate * strength).clamp_(min=0.0)
            self._theta.copy_(torch.copysign(shrunk, self._theta))
        if config.balance_every and (step + 1) % config.balance_every == 0:
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

    def _l1(self, step: int) -> float:
        """Strength of the proximal L1 step now: constant, then fading over the last part of retraining."""
        config = self.config
        if not config.l1 or (config.l1_phase == "retrain" and step < config.first_steps):
            return 0.0
        length = max(1, config.total_steps - config.first_steps)
        share = (step - config.first_steps) / length
        if share <= 1 - config.l1_release:
            return config.l1
        return config.l1 * (1 - share) / config.l1_release

    def _balance(self) -> None:
        """Give u, v and w of each slot equal norms; the bilinear map is unchanged."""
        a, b, _ = self.config.target.shape
        parts = self._theta[:, :a], self._theta[:, a : a + b], self._theta[:, a + b :]
        norms = [part.norm(dim=1, keepdim=True).clamp_(min=1e-9) for part in parts]
        mean = (norms[0] * norms[1] * norms[2]).pow_(1 / 3)
        for part, norm in zip(parts, norms, strict=True):
            part.mul_(mean / norm)

    def prune(self) -> np.ndarray:
        """Drop slots: the configured ones, or those of least importance. Returns the kept ones by run."""
        config = self.config
        norms = self.slot_norms_by_factor()
        if config.kept_slots:
            kept = np.tile(np.array(config.kept_slots), (len(self.runs), 1))
        else:
            importance = np.sqrt((norms**2).sum(axis=2)) if config.prune_by == "norm" else norms.prod(axis=2)
            order = np.argsort(-importance, axis=1, kind="stable")[:, : config.prune_to]
            kept = np.sort(order, axis=1)
        index = torch.from_numpy(kept.T.copy()).to(self.device)[:, None, :]
        index = index.expand(-1, self._theta.shape[1], -1)
        self._set(*(x.gather(0, index).contiguous() for x in (self._theta, self._mean, self._square)))
        return kept

    def slot_norms_by_factor(self) -> np.ndarray:
        """L2 norms of u, v and w of every slot: (runs, slots, 3)."""
        a, b, _ = self.config.target.shape
        theta = self.weights()
        parts = theta[..., :a], theta[..., a : a + b], theta[..., a + b :]
        return np.stack([np.linalg.norm(part, axis=2) for part in parts], axis=2)

    def weights(self) -> np.ndarray:
        """All parameters as float64, (runs, slots, width)."""
        return self.theta.double().cpu().numpy().copy()

    def losses(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean squared error of each run on its training set and on the test set, in float64.

        Without a fixed training set the training loss is that of the minibatch of this step.
        """
        a, b, c = self.config.target.shape
        theta = self.theta.double()
        u, v, w = theta[..., :a], theta[..., a : a + b], theta[..., a + b :]
        k = (u[..., :, None] * v[..., None, :]).reshape(*theta.shape[:2], a * b)
        error = k.transpose(1, 2) @ w - self._tensor.double().view(a * b, c)
        train = self.data.train_moment
        if train is None:
            train = second_moment(self.data.batch(self.step).double().permute(2, 0, 1))

        def mse(moment: torch.Tensor) -> np.ndarray:
            return ((moment @ error) * error).sum((1, 2)).div(c).clamp(min=0).cpu().numpy()

        return mse(train), mse(self.data.test_moment[None])

    def lattice_distance(self) -> np.ndarray:
        """δ of each run: largest distance of a weight to {-1, 0, 1}."""
        return lattice_distance(self.weights().reshape(len(self.runs), -1))

    def state(self) -> dict[str, np.ndarray]:
        """Everything needed to go on from here, bit for bit (the random streams are keyed by step)."""
        return {
            "theta": self._theta.cpu().numpy(),
            "mean": self._mean.cpu().numpy(),
            "square": self._square.cpu().numpy(),
            "norms": self._norms.cpu().numpy(),
            "norm_count": np.array(self._norm_count),
            "step": np.array(self.step),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from `state`."""
        self._set(
            *(
                torch.from_numpy(np.array(state[name])).to(self.device, self.dtype)
                for name in ("theta", "mean", "square")
            )
        )
        self._norms = torch.from_numpy(np.array(state["norms"])).to(self.device)
        self._norm_count = int(state["norm_count"])
        self.step = int(state["step"])


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
