"""Recovery from noise: a scheme in a random basis with Gaussian noise on every coefficient.

Beside it, plain rounding of the scheme in its own integer basis, sampled and in closed form: an entry survives
unclamped rounding with p = erf(0.5 / (σ √2)), all 84 with p^84; with the clamp to {-1, 0, 1} only the z = 48 zeros can
fail on both sides, which gives p^z ((1 + p)/2)^(84 - z).

    python benchmarks/noise.py [--runs 128] [--samples 20000] [--seed 0] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

import numpy as np

from grokkit.crystallize import crystallize
from grokkit.scheme import Equivalence, equivalent, nearest
from grokkit.scheme.catalog import catalog
from grokkit.studies import Proportion

SIGMAS = (0.001, 0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)


def noisy(runs: int, sigma: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strassen's algorithm in a random basis for each run (condition number up to e^1.4), plus noise."""
    u, v, w = catalog["strassen"].floats()
    us, vs, ws = [], [], []
    for _ in range(runs):
        gauge = []
        for _ in range(3):
            rotation, _ = np.linalg.qr(rng.standard_normal((2, 2)))
            gauge.append(rotation @ np.diag(np.exp(rng.uniform(-0.7, 0.7, 2))))
        p, q, r = gauge
        p_inv, q_inv, r_inv = (np.linalg.inv(g) for g in gauge)
        us.append((p_inv.T @ u.reshape(7, 2, 2) @ q.T).reshape(7, 4))
        vs.append((q_inv.T @ v.reshape(7, 2, 2) @ r.T).reshape(7, 4))
        ws.append((p @ w.T.reshape(7, 2, 2) @ r_inv).reshape(7, 4).T)
    factors = np.stack(us), np.stack(vs), np.stack(ws)
    a, b, c = (x + sigma * rng.standard_normal(x.shape) for x in factors)
    return a, b, c


def rounding(sigma: float, samples: int, rng: np.random.Generator) -> tuple[Proportion, Proportion]:
    """Plain rounding in the integer basis: unclamped, and clamped to {-1, 0, 1}."""
    u, v, w = catalog["strassen"].floats()
    exact = np.concatenate([u.ravel(), v.ravel(), w.ravel()])
    noise = exact + sigma * rng.standard_normal((samples, exact.size))
    free = (np.rint(noise) == exact).all(axis=1).sum()
    clamped = (nearest(noise) == exact).all(axis=1).sum()
    return Proportion(int(free), samples), Proportion(int(clamped), samples)


def closed_forms(sigma: float) -> tuple[float, float]:
    p = math.erf(0.5 / (sigma * math.sqrt(2)))
    return p**84, p**48 * ((1 + p) / 2) ** 36


def measure(sigma: float, runs: int, samples: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, int(1000 * sigma)])
    factors = noisy(runs, sigma, rng)
    full = crystallize(factors, seed=seed)
    recognized = sum(isinstance(equivalent(s, catalog["strassen"]), Equivalence) for s in full.schemes)
    assert recognized == full.exact, "an exact run that is not Strassen's algorithm"
    free, clamped = rounding(sigma, samples, rng)
    return {
        "sigma": sigma,
        "full": Proportion(full.exact, runs),
        "plain": Proportion(crystallize(factors, method="plain").exact, runs),
        "scaled": Proportion(crystallize(factors, method="scaled").exact, runs),
        "unclamped": free,
        "unclamped_expected": closed_forms(sigma)[0],
        "clamped": clamped,
        "clamped_expected": closed_forms(sigma)[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=128)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [measure(sigma, arguments.runs, arguments.samples, arguments.seed) for sigma in SIGMAS]
    if arguments.json:
        print(json.dumps(rows, default=lambda value: value.to_json()))
        return
    print(
        f"Random basis: {arguments.runs} runs a row. Integer basis: {arguments.samples} samples a row. Seed "
        f"{arguments.seed}, 95 % Wilson intervals.\n"
    )
    print(
        "| σ | random basis: full | plain | scaled | integer basis: rounded | p^84 | rounded and clamped | closed form |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        free, clamped = row["unclamped"], row["clamped"]
        print(
            f"| {row['sigma']} | {row['full']} | {row['plain'].count} | {row['scaled'].count} | "
            f"{free.share:.4f} [{free.low:.4f}, {free.high:.4f}] | {row['unclamped_expected']:.4f} | "
            f"{clamped.share:.4f} [{clamped.low:.4f}, {clamped.high:.4f}] | {row['clamped_expected']:.4f} |"
        )


if __name__ == "__main__":
    main()
