"""Eigenvalues and traces of curvature, dense for small models, matrix-free for large ones; the rank of a Jacobian."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar, final, overload

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, eigsh
from torch import Tensor
from torch.func import jacrev, vmap

from grokkit.dynamics._batch import count, pair, part, slices
from grokkit.dynamics._curvature import Curvature, Curvatures
from grokkit.dynamics._gradients import by_run, check_finite
from grokkit.dynamics._loss import Loss, Losses
from grokkit.dynamics._values import Estimate, Undefined, mean_of
from grokkit.scheme import InvalidInput

Result = TypeVar("Result")
DENSE: Final = 256
"""Up to this many parameters extreme eigenvalues are taken from the dense matrix, which is then the quicker way."""


@final
@dataclass(frozen=True)
class Spectrum:
    """All eigenvalues of a symmetric matrix."""

    eigenvalues: Float[np.ndarray, " parameters"]
    """Ascending."""
    tolerance: float
    """Eigenvalues of at most this magnitude count as zero: d · ε · the largest magnitude, ε the spacing of the model's
    float type at 1."""

    @property
    def rank(self) -> int:
        return int((np.abs(self.eigenvalues) > self.tolerance).sum())

    @property
    def nullity(self) -> int:
        return len(self.eigenvalues) - self.rank

    @property
    def trace(self) -> float:
        return float(self.eigenvalues.sum())

    @property
    def nonzero(self) -> Float[np.ndarray, " rank"]:
        """The eigenvalues above the tolerance in magnitude, ascending."""
        return self.eigenvalues[np.abs(self.eigenvalues) > self.tolerance]

    @property
    def negative(self) -> int:
        """The number of negative directions."""
        return int((self.eigenvalues < -self.tolerance).sum())

    @property
    def condition(self) -> float | Undefined:
        """Largest over smallest magnitude of the nonzero eigenvalues; read it together with `rank`."""
        if not self.rank:
            return Undefined("the matrix is zero and has no condition")
        sizes = np.abs(self.nonzero)
        return float(sizes.max() / sizes.min())


@overload
def spectrum(curvature: Curvature) -> Spectrum: ...
@overload
def spectrum(curvature: Curvatures) -> tuple[Spectrum, ...]: ...
def spectrum(curvature: Curvature | Curvatures) -> Spectrum | tuple[Spectrum, ...]:
    """All eigenvalues, from the dense matrix: d products, d² memory, d³ time. For small models, some thousands of d."""
    matrix = curvature.dense()
    found = torch.linalg.eigvalsh(matrix.to("cpu", torch.float64)).numpy()
    spacing = curvature.dimension * torch.finfo(curvature.dtype).eps

    def answer(eigenvalues: np.ndarray) -> Spectrum:
        return Spectrum(eigenvalues, spacing * float(np.abs(eigenvalues).max()))

    return answer(found) if isinstance(curvature, Curvature) else tuple(answer(one) for one in found)


@overload
def trace(
    curvature: Curvature,
    *,
    probes: int = 100,
    method: Literal["hutchinson", "hutch++"] = "hutchinson",
    generator: torch.Generator | None = None,
    block: int = 16,
) -> Estimate: ...
@overload
def trace(
    curvature: Curvatures,
    *,
    probes: int = 100,
    method: Literal["hutchinson", "hutch++"] = "hutchinson",
    generator: torch.Generator | None = None,
    block: int = 16,
) -> tuple[Estimate, ...]: ...
def trace(
    curvature: Curvature | Curvatures,
    *,
    probes: int = 100,
    method: Literal["hutchinson", "hutch++"] = "hutchinson",
    generator: torch.Generator | None = None,
    block: int = 16,
) -> Estimate | tuple[Estimate, ...]:
    """The trace, from `probes` products with random signs, `block` at a time.

    "hutchinson" (1990): the mean of zᵀ A z over vectors z of independent signs. E z zᵀ = I makes it unbiased; its
    variance is 2 (‖A‖² − Σ Aᵢᵢ²) / probes, Frobenius norm.
    "hutch++" (Meyer, Musco, Musco and Woodruff 2021): a third of the products finds the range that matters, a third its
    trace exactly, and the rest probe what is left. Unbiased too, and far better where a few eigenvalues dominate; the
    standard error is that of the last part, given the range.
    Without a `generator`, one of seed 0. Runs of a population see the same probes.
    Raises `InvalidInput` for fewer probes than 2, or 6 for "hutch++".
    """
    if method not in ("hutchinson", "hutch++"):
        raise InvalidInput(f"method is {method!r}; 'hutchinson' or 'hutch++' is needed")
    least = 2 if method == "hutchinson" else 6
    if probes < least or block < 1:
        raise InvalidInput(
            f"probes is {probes}, block {block}; {method} needs at least {least} probes, and blocks of 1"
        )
    generator = generator or torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (probes, curvature.dimension), generator=generator) * 2 - 1
    signs = signs.to(curvature.device, curvature.dtype)
    if isinstance(curvature, Curvatures):
        signs = signs.expand(curvature.runs, *signs.shape)

    def multiply(rows: Tensor) -> Tensor:
        return torch.cat([curvature.product(some) for some in rows.split(block, dim=-2)], dim=-2)

    if method == "hutchinson":
        known = signs.new_zeros(signs.shape[:-2])
        forms = (signs * multiply(signs)).sum(dim=-1)
    else:
        third = probes // 3
        basis = torch.linalg.qr(multiply(signs[..., :third, :]).mT).Q.mT
        known = (basis * multiply(basis)).sum(dim=(-1, -2))
        rest = signs[..., third : probes - third, :]
        rest = rest - (rest @ basis.mT) @ basis
        forms = (rest * multiply(rest)).sum(dim=-1)
    values = (known.unsqueeze(-1) + forms).to("cpu", torch.float64).numpy()
    return mean_of(values) if isinstance(curvature, Curvature) else tuple(mean_of(one) for one in values)


@final
@dataclass(frozen=True)
class Extremes:
    """Eigenvalues at the ends of a spectrum, each with a unit eigenvector."""

    smallest: Float[np.ndarray, " k"]
    """Ascending, algebraically."""
    largest: Float[np.ndarray, " k"]
    """Descending, algebraically."""
    smallest_vectors: Float[np.ndarray, "k parameters"] = field(repr=False)
    largest_vectors: Float[np.ndarray, "k parameters"] = field(repr=False)


@overload
def extreme_eigenvalues(
    curvature: Curvature,
    k: int = 1,
    *,
    tolerance: float = 1e-6,
    iterations: int | None = None,
    generator: torch.Generator | None = None,
) -> Extremes | Undefined: ...
@overload
def extreme_eigenvalues(
    curvature: Curvatures,
    k: int = 1,
    *,
    tolerance: float = 1e-6,
    iterations: int | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Extremes | Undefined, ...]: ...
def extreme_eigenvalues(
    curvature: Curvature | Curvatures,
    k: int = 1,
    *,
    tolerance: float = 1e-6,
    iterations: int | None = None,
    generator: torch.Generator | None = None,
) -> Extremes | Undefined | tuple[Extremes | Undefined, ...]:
    """The k smallest and k largest eigenvalues.

    Up to 256 parameters from the dense matrix, for the runs of a population together; above, by implicitly restarted
    Lanczos (ARPACK, through scipy.sparse.linalg.eigsh), some ten to a few hundred products and 20 k vectors of memory,
    to the relative `tolerance`. Undefined if that does not converge within `iterations` restarts (None: 10 d).
    The start is drawn by `generator`; without one, of seed 0.
    """
    d = curvature.dimension
    if not 1 <= k <= d:
        raise InvalidInput(f"k is {k}; from 1 to the {d} parameters are needed")
    if d <= max(DENSE, 2 * k + 1):
        values, vectors = np.linalg.eigh(curvature.dense().to("cpu", torch.float64).numpy())
        found = [
            _ends(one, columns, k)
            for one, columns in zip(np.atleast_2d(values), vectors.reshape(-1, d, d), strict=True)
        ]
        return found[0] if isinstance(curvature, Curvature) else tuple(found)
    generator = generator or torch.Generator().manual_seed(0)
    start = torch.randn(d, generator=generator, dtype=torch.float64).numpy()
    if isinstance(curvature, Curvature):
        return _lanczos(curvature, k, tolerance, iterations, start)
    return tuple(_lanczos(curvature[run], k, tolerance, iterations, start) for run in range(len(curvature)))


def _lanczos(
    curvature: Curvature, k: int, tolerance: float, iterations: int | None, start: np.ndarray
) -> Extremes | Undefined:
    operator, found = curvature.as_scipy(), []
    if not operator.matvec(start).any():  # a random vector: the matrix is zero, on which ARPACK cannot start
        zero = np.zeros(curvature.dimension)
        vectors = np.eye(k, curvature.dimension)
        return Extremes(zero[:k], zero[:k], vectors, vectors)
    # ARPACK stops by |λ| times the tolerance, which float32 products cannot give below their own rounding
    reachable = max(tolerance, 10 * torch.finfo(curvature.dtype).eps)
    for which in ("SA", "LA"):
        try:
            found.append(
                eigsh(
                    operator,
                    k,
                    which=which,
                    tol=reachable,  # type: ignore[arg-type]
                    maxiter=iterations,
                    v0=start,
                )
            )
        except ArpackNoConvergence as error:
            return Undefined(f"Lanczos did not converge: {str(error).splitlines()[0]}; raise iterations or tolerance")
    (low, low_vectors), (high, high_vectors) = found
    first, last = np.argsort(low), np.argsort(-high)
    return Extremes(low[first], high[last], low_vectors.T[first], high_vectors.T[last])


def _ends(values: np.ndarray, vectors: np.ndarray, k: int) -> Extremes:
    return Extremes(values[:k], values[::-1][:k], vectors.T[:k], vectors.T[::-1][:k])


@final
@dataclass(frozen=True)
class Rank:
    """The numerical rank of a matrix, with what is needed to judge it."""

    rank: int
    tolerance: float
    """Singular values up to this count as zero."""
    singular_values: Float[np.ndarray, " values"] = field(repr=False)
    """All of them, descending."""
    columns: int

    @property
    def nullity(self) -> int:
        return self.columns - self.rank

    @property
    def gap(self) -> float:
        """The smallest singular value that counts over the largest that does not; inf where that is zero or none."""
        if self.rank == 0 or self.rank == len(self.singular_values) or self.singular_values[self.rank] == 0:
            return math.inf
        return float(self.singular_values[self.rank - 1] / self.singular_values[self.rank])


@overload
def jacobian_rank(loss: Loss, batch: Any, *, relative: float | None = None, chunk: int | None = None) -> Rank: ...
@overload
def jacobian_rank(
    loss: Losses, batch: Any, *, relative: float | None = None, chunk: int | None = None
) -> tuple[Rank, ...]: ...
def jacobian_rank(
    loss: Loss | Losses, batch: Any, *, relative: float | None = None, chunk: int | None = None
) -> Rank | tuple[Rank, ...]:
    """The rank of the Jacobian of all outputs of a batch by the parameters: how many directions change the function.

    Singular values count as zero up to `relative` times the largest; None: max(rows, d) · ε of the model's float type.
    The rows are samples × outputs; the whole Jacobian is held, so this is for small models.
    Raises `InvalidInput` without a criterion.
    """

    def rows_of(one: Loss, point: Tensor, batch: Any) -> Tensor:
        inputs = pair(batch)[0]
        return jacrev(lambda at: one.outputs(at, inputs))(point).reshape(-1, point.shape[-1])

    if isinstance(loss, Losses):
        samples, axis, one, point = loss.samples(batch), 1 if loss.own_batches else 0, loss[0], loss.vectors()
        every: Callable[..., Tensor] = vmap(lambda *data: rows_of(one, *data), in_dims=(0, 0 if axis else None))
    else:
        samples, axis, one, point = count(batch), 0, loss, loss.vector()
        every = lambda *data: rows_of(one, *data)  # noqa: E731
    jacobian = torch.cat([every(point, part(batch, rows, axis)).detach() for rows in slices(samples, chunk)], dim=-2)
    check_finite(one, jacobian, "the Jacobian")
    limit = max(jacobian.shape[-2:]) * torch.finfo(jacobian.dtype).eps if relative is None else relative

    def answer(matrix: Tensor) -> Rank:
        values = torch.linalg.svdvals(matrix.to("cpu", torch.float64)).numpy()
        tolerance = limit * float(values.max(initial=0.0))
        return Rank(int((values > tolerance).sum()), tolerance, values, matrix.shape[-1])

    return by_run(loss, jacobian, answer)
