"""The equations of a bilinear target, batched over runs: residuals, Jacobian products, normal matrices.

Factors of a population are one array x of shape (runs, slots, a + b + c): for each slot the vectors
u, v and w side by side. The residual is E_ijk = Σ_r u_ri v_rj w_rk − T_ijk. Runs never mix: every
product is a stack of per-run matrix products, so a run's result does not depend on its neighbours.
"""

from __future__ import annotations

from typing import TypeAlias, final

import numpy as np
from jaxtyping import Float, Shaped

from grokkit.scheme import Target

Factors: TypeAlias = Float[np.ndarray, "runs slots width"]
Residual: TypeAlias = Float[np.ndarray, "runs a b c"]


@final
class Problem:
    """The tensor equations of a target at a given number of slots."""

    def __init__(self, target: Target, slots: int):
        self.target = target
        self.slots = slots
        self.a, self.b, self.c = target.shape
        self.width = self.a + self.b + self.c
        self.unknowns = slots * self.width
        self.equations = self.a * self.b * self.c
        self._tensor = target.tensor().astype(np.float64)

    def split(self, x: Shaped[np.ndarray, "*runs slots width"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Views of u (… × slots × a), v (… × b) and w (… × c)."""
        return x[..., : self.a], x[..., self.a : self.a + self.b], x[..., self.a + self.b :]

    def residual(self, x: Factors) -> Residual:
        u, v, w = self.split(x)
        uv = _pairs(u, v).swapaxes(1, 2)
        return (uv @ w).reshape(len(x), self.a, self.b, self.c) - self._tensor

    def loss(self, x: Factors) -> Float[np.ndarray, " runs"]:
        """Sum of squared residuals of each run."""
        return squared(self.residual(x))

    def linearize(self, x: Factors) -> Linearization:
        return Linearization(self, x)


@final
class Linearization:
    """The Jacobian J of the residual at x, as an operator and as normal matrices."""

    def __init__(self, problem: Problem, x: Factors):
        self.problem = problem
        self.u, self.v, self.w = problem.split(x)
        self.uv, self.uw, self.vw = _pairs(self.u, self.v), _pairs(self.u, self.w), _pairs(self.v, self.w)

    def forward(self, step: Factors) -> Residual:
        """J · step."""
        q = self.problem
        du, dv, dw = q.split(step)
        runs = len(step)
        out = (du.swapaxes(1, 2) @ self.vw).reshape(runs, q.a, q.b, q.c)
        out += (self.uv.swapaxes(1, 2) @ dw).reshape(runs, q.a, q.b, q.c)
        out += (self.uw.swapaxes(1, 2) @ dv).reshape(runs, q.a, q.c, q.b).swapaxes(2, 3)
        return out

    def adjoint(self, residual: Residual) -> Factors:
        """Jᵀ · residual."""
        q = self.problem
        runs = len(residual)
        out = np.empty((runs, q.slots, q.width))
        gu, gv, gw = q.split(out)
        gu[...] = self.vw @ residual.reshape(runs, q.a, q.b * q.c).swapaxes(1, 2)
        gv[...] = self.uw @ residual.swapaxes(2, 3).reshape(runs, q.a * q.c, q.b)
        gw[...] = self.uv @ residual.reshape(runs, q.a * q.b, q.c)
        return out

    def gram_of_equations(self, weights: Factors | None) -> Float[np.ndarray, "runs equations equations"]:
        """J diag(weights) Jᵀ; unit weights if None."""
        q = self.problem
        runs = len(self.u)
        h = np.zeros((runs, q.a, q.b, q.c, q.a, q.b, q.c))
        if weights is None:
            bc = (self.vw.swapaxes(1, 2) @ self.vw).reshape(runs, q.b, q.c, q.b, q.c)
            ac = (self.uw.swapaxes(1, 2) @ self.uw).reshape(runs, q.a, q.c, q.a, q.c)
            ab = (self.uv.swapaxes(1, 2) @ self.uv).reshape(runs, q.a, q.b, q.a, q.b)
            for i in range(q.a):
                h[:, i, :, :, i, :, :] += bc
            for j in range(q.b):
                h[:, :, j, :, :, j, :] += ac
            for k in range(q.c):
                h[:, :, :, k, :, :, k] += ab
        else:
            wu, wv, ww = q.split(weights)
            for i in range(q.a):
                part = (self.vw * wu[:, :, i, None]).swapaxes(1, 2) @ self.vw
                h[:, i, :, :, i, :, :] += part.reshape(runs, q.b, q.c, q.b, q.c)
            for j in range(q.b):
                part = (self.uw * wv[:, :, j, None]).swapaxes(1, 2) @ self.uw
                h[:, :, j, :, :, j, :] += part.reshape(runs, q.a, q.c, q.a, q.c)
            for k in range(q.c):
                part = (self.uv * ww[:, :, k, None]).swapaxes(1, 2) @ self.uv
                h[:, :, :, k, :, :, k] += part.reshape(runs, q.a, q.b, q.a, q.b)
        return h.reshape(runs, q.equations, q.equations)

    def gram_of_unknowns(self) -> Float[np.ndarray, "runs unknowns unknowns"]:
        """Jᵀ J, from the Gram matrices of the slots."""
        q = self.problem
        runs = len(self.u)
        h = np.empty((runs, q.slots, q.width, q.slots, q.width))
        gu, gv, gw = (x @ x.swapaxes(1, 2) for x in (self.u, self.v, self.w))
        parts = (
            (slice(0, q.a), self.u),
            (slice(q.a, q.a + q.b), self.v),
            (slice(q.a + q.b, None), self.w),
        )
        for (here, x), gram in zip(parts, (gv * gw, gu * gw, gu * gv), strict=True):
            h[:, :, here, :, here] = gram[:, :, None, :, None] * np.eye(x.shape[2])[None, None, :, None, :]
        for first, second, gram in ((0, 1, gw), (0, 2, gv), (1, 2, gu)):
            (here, x), (there, y) = parts[first], parts[second]
            # ∂/∂x_ri · ∂/∂y_sj = x_si y_rj · gram_rs
            block = gram[:, :, None, :, None] * x.swapaxes(1, 2)[:, None, :, :, None] * y[:, :, None, None, :]
            h[:, :, here, :, there] = block
            h[:, :, there, :, here] = block.transpose(0, 3, 4, 1, 2)
        return h.reshape(runs, q.unknowns, q.unknowns)


def squared(residual: Residual) -> Float[np.ndarray, " runs"]:
    flat = residual.reshape(len(residual), int(np.prod(residual.shape[1:])))
    return (flat * flat).sum(axis=1)


def _pairs(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Outer product of the vectors of each slot, flattened: (runs, slots, len(x)·len(y))."""
    return (x[..., :, None] * y[..., None, :]).reshape(*x.shape[:2], x.shape[2] * y.shape[2])
