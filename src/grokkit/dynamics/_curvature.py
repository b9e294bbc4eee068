"""Curvature at a point as matrix-free products: Hessian, Gauss-Newton matrix, Fisher information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final, overload

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator
from torch import Tensor
from torch.func import grad, vjp, vmap

from grokkit.dynamics._batch import count, pair, part, slices
from grokkit.dynamics._gradients import check_finite
from grokkit.dynamics._loss import Loss, Losses
from grokkit.scheme import InvalidInput

Likelihood = Literal["categorical", "bernoulli", "gaussian"]
Product = Callable[[Loss, Tensor, Any, Tensor], Tensor]
"""(loss, point, batch, vectors × parameters) to the products with those vectors, for the mean over the batch."""


@final
@dataclass(frozen=True, eq=False)
class Curvature:
    """A symmetric d × d matrix, known by its products with vectors.

    Any symmetric linear map will do: `Curvature("mine", d, lambda rows: rows @ matrix, torch.float64)`.

    >>> double = Curvature("2 I", 3, lambda rows: 2 * rows, torch.float64)
    >>> double @ torch.ones(3, dtype=torch.float64)
    tensor([2., 2., 2.], dtype=torch.float64)
    """

    kind: str
    dimension: int
    product: Callable[[Float[Tensor, "vectors parameters"]], Float[Tensor, "vectors parameters"]]
    """Of each row with the matrix."""
    dtype: torch.dtype
    device: torch.device | str = "cpu"

    def __matmul__(self, vectors: Float[Tensor, "parameters *vectors"]) -> Float[Tensor, "parameters *vectors"]:
        """The product with a vector, or with each column of a matrix."""
        if vectors.ndim not in (1, 2) or vectors.shape[0] != self.dimension:
            raise InvalidInput(
                f"the {self.kind} has {self.dimension} columns; the operand has shape {tuple(vectors.shape)}"
            )
        rows = vectors.to(self.device, self.dtype).reshape(self.dimension, -1).T
        return self.product(rows).T.reshape(vectors.shape)

    def dense(self, *, columns: int = 64) -> Float[Tensor, "parameters parameters"]:
        """The matrix itself, symmetrized, from d products, `columns` at a time. For small models."""
        eye = torch.eye(self.dimension, dtype=self.dtype, device=self.device)
        matrix = torch.cat([self.product(rows) for rows in eye.split(columns)])
        return (matrix + matrix.T) / 2

    def as_scipy(self) -> LinearOperator:
        """The matrix as a SciPy operator in float64; products are computed in the model's own type."""

        return _Operator(self)


@final
@dataclass(frozen=True, eq=False)
class Curvatures:
    """The curvature of every run of a population, multiplied all at once. `curvatures[i]` is that of run i."""

    kind: str
    dimension: int
    runs: int
    product: Callable[[Float[Tensor, "runs vectors parameters"]], Float[Tensor, "runs vectors parameters"]]
    of_run: Callable[[int], Curvature]
    dtype: torch.dtype
    device: torch.device

    def __len__(self) -> int:
        return self.runs

    def __getitem__(self, run: int) -> Curvature:
        if not -self.runs <= run < self.runs:
            raise IndexError(f"run {run} of {self.runs}")
        return self.of_run(run % self.runs)

    def dense(self, *, columns: int = 64) -> Float[Tensor, "runs parameters parameters"]:
        """The matrices themselves, symmetrized. For small models."""
        eye = torch.eye(self.dimension, dtype=self.dtype, device=self.device)
        matrix = torch.cat([self.product(rows.expand(self.runs, *rows.shape)) for rows in eye.split(columns)], dim=1)
        return (matrix + matrix.mT) / 2


@final
class _Operator(LinearOperator):
    def __init__(self, curvature: Curvature) -> None:
        super().__init__(np.dtype(np.float64), (curvature.dimension, curvature.dimension))
        self.curvature = curvature

    def _matmat(self, X: np.ndarray) -> np.ndarray:
        return (self.curvature @ torch.as_tensor(np.ascontiguousarray(X))).to("cpu", torch.float64).numpy()

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self._matmat(x)

    def _rmatmat(self, X: np.ndarray) -> np.ndarray:
        return self._matmat(X)

    def _rmatvec(self, x: np.ndarray) -> np.ndarray:
        return self._matmat(x)


@overload
def hessian(loss: Loss, batch: Any, *, chunk: int | None = None) -> Curvature: ...
@overload
def hessian(loss: Losses, batch: Any, *, chunk: int | None = None) -> Curvatures: ...
def hessian(loss: Loss | Losses, batch: Any, *, chunk: int | None = None) -> Curvature | Curvatures:
    """The Hessian of the mean loss over a batch.

    A product costs about four evaluations of the gradient (reverse over reverse mode: Pearlmutter 1994 in another
    order) and no d × d memory; `chunk` bounds the samples held at once.
    """

    def product(one: Loss, point: Tensor, batch: Any, vectors: Tensor) -> Tensor:
        _, pull = _pullback(grad(lambda at: one.mean(at, batch)), point)
        return vmap(pull)(vectors)

    return _curvature("Hessian", loss, batch, product, chunk)


@overload
def gauss_newton(loss: Loss, batch: Any, *, chunk: int | None = None) -> Curvature: ...
@overload
def gauss_newton(loss: Losses, batch: Any, *, chunk: int | None = None) -> Curvatures: ...
def gauss_newton(loss: Loss | Losses, batch: Any, *, chunk: int | None = None) -> Curvature | Curvatures:
    """The generalized Gauss-Newton matrix: the mean over samples of Jᵀ (∂²ℓ/∂f²) J (Schraudolph 2002).

    J is the Jacobian of the model's outputs f, ℓ the criterion. For half the squared error it is the mean of Jᵀ J, and
    it is the Hessian where every residual is zero or the model is linear. Raises `InvalidInput` without a criterion.
    """

    def product(one: Loss, point: Tensor, batch: Any, vectors: Tensor) -> Tensor:
        inputs, targets = pair(batch)
        criterion = one.criterion
        assert criterion is not None  # outputs() has refused otherwise

        def losses(outputs: Tensor) -> Tensor:
            return vmap(lambda output, target: criterion(output, target).reshape(()))(outputs, targets).sum()

        outputs, pull = _pullback(lambda at: one.outputs(at, inputs), point)
        _, weigh = _pullback(grad(losses), outputs)
        return _through(pull, outputs, weigh, vectors)

    return _curvature("Gauss-Newton matrix", loss, batch, product, chunk)


@overload
def fisher(
    loss: Loss, batch: Any, *, likelihood: Likelihood | None = None, variance: float = 1.0, chunk: int | None = None
) -> Curvature: ...
@overload
def fisher(
    loss: Losses, batch: Any, *, likelihood: Likelihood | None = None, variance: float = 1.0, chunk: int | None = None
) -> Curvatures: ...
def fisher(
    loss: Loss | Losses,
    batch: Any,
    *,
    likelihood: Likelihood | None = None,
    variance: float = 1.0,
    chunk: int | None = None,
) -> Curvature | Curvatures:
    """The Fisher information, mean over the inputs of a batch; without a `likelihood`, the empirical one.

    Empirical: the mean of gᵢ gᵢᵀ over the gradients of the samples' losses, targets as given; not centered. It is the
    Fisher information only if the model's own distribution is the data's (Kunstner, Balles and Hennig 2019).

    True: the mean of Jᵀ M J with M that of the likelihood whose parameters the model's outputs are, exactly, without
    drawing: "categorical" (logits on the last axis: diag p − p pᵀ), "bernoulli" (logits: p (1 − p)), "gaussian" (means,
    of the given `variance`: 1/variance). Several outputs of one sample count as independent. Targets are not looked at.
    """
    if not variance > 0:
        raise InvalidInput(f"variance is {variance}; a positive number is needed")
    if likelihood not in (None, "categorical", "bernoulli", "gaussian"):
        raise InvalidInput(f"likelihood is {likelihood!r}; None, 'categorical', 'bernoulli' or 'gaussian' is needed")

    def empirical(one: Loss, point: Tensor, batch: Any, vectors: Tensor) -> Tensor:
        losses, pull = _pullback(lambda at: one.each(at, batch), point)
        return _through(pull, losses, lambda change: change, vectors)

    def true(one: Loss, point: Tensor, batch: Any, vectors: Tensor) -> Tensor:
        outputs, pull = _pullback(lambda at: one.outputs(at, pair(batch)[0]), point)
        return _through(pull, outputs, lambda change: _information(likelihood, outputs, change, variance), vectors)

    if likelihood is None:
        return _curvature("empirical Fisher information", loss, batch, empirical, chunk)
    return _curvature(f"{likelihood} Fisher information", loss, batch, true, chunk)


def _information(likelihood: Likelihood | None, outputs: Tensor, change: Tensor, variance: float) -> Tensor:
    """The Fisher information of the outputs, times a change of them."""
    if likelihood == "categorical":
        p = outputs.softmax(dim=-1)
        return p * change - p * (p * change).sum(dim=-1, keepdim=True)
    if likelihood == "bernoulli":
        p = outputs.sigmoid()
        return p * (1 - p) * change
    return change / variance


def _through(
    pull: Callable[[Tensor], Tensor], outputs: Tensor, metric: Callable[[Tensor], Tensor], vectors: Tensor
) -> Tensor:
    """Mean over samples of Jᵀ M J v, from u ↦ Jᵀ u. The transpose of that linear map is v ↦ J v."""
    _, push = _pullback(pull, torch.zeros_like(outputs))
    return vmap(lambda vector: pull(metric(push(vector))))(vectors) / outputs.shape[0]


def _pullback(function: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The value, and the product of the transposed Jacobian with a cotangent."""
    value, pull, *_ = vjp(function, at)
    return value, lambda cotangent: pull(cotangent)[0]


def _curvature(
    kind: str,
    loss: Loss | Losses,
    batch: Any,
    product: Product,
    chunk: int | None,
) -> Curvature | Curvatures:
    """The mean over a batch of a product, in slices of samples, checked; batched over runs for a population.

    The point is fixed here: later changes of the parameters do not move the curvature.
    """
    if isinstance(loss, Losses):
        losses = loss
        samples, axis, one, points = losses.samples(batch), 1 if losses.own_batches else 0, losses[0], losses.vectors()
        every = vmap(
            lambda at, data, vectors: product(one, at, data, vectors), in_dims=(0, 0 if losses.own_batches else None, 0)
        )
        _refuse_without_outputs(kind, one, batch)

        def products(vectors: Tensor) -> Tensor:
            return _averaged(kind, one, every, points, batch, samples, axis, chunk, vectors)

        def of_run(run: int) -> Curvature:
            found = _curvature(kind, losses[run].at(points[run]), losses.batch_of(batch, run), product, chunk)
            assert isinstance(found, Curvature)
            return found

        return Curvatures(kind, one.dimension, len(losses), products, of_run, points.dtype, points.device)
    samples, point = count(batch), loss.vector()
    _refuse_without_outputs(kind, loss, batch)

    def once(vectors: Tensor) -> Tensor:
        return _averaged(
            kind,
            loss,
            lambda at, data, vectors: product(loss, at, data, vectors),
            point,
            batch,
            samples,
            0,
            chunk,
            vectors,
        )

    return Curvature(kind, loss.dimension, once, point.dtype, point.device)


def _averaged(
    kind: str,
    one: Loss,
    product: Callable[..., Tensor],
    point: Tensor,
    batch: Any,
    samples: int,
    axis: int,
    chunk: int | None,
    vectors: Tensor,
) -> Tensor:
    total = torch.zeros_like(vectors)
    for rows in slices(samples, chunk):
        share = (rows.stop - rows.start) / samples
        total += share * product(point, part(batch, rows, axis), vectors).detach()
    check_finite(one, total, f"a product with the {kind}")
    return total


def _refuse_without_outputs(kind: str, loss: Loss, batch: Any) -> None:
    if kind not in ("Hessian", "empirical Fisher information"):
        pair(batch)
        if loss.criterion is None:
            raise InvalidInput(
                f"the {kind} needs the model's outputs: give Loss(model, parameters, criterion), "
                "not the loss as one function"
            )
