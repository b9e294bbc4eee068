"""Why rounding fails and fixing the basis works, in one picture: `python benchmarks/gauge.py [--runs N] [--picture FILE]`.

Trains networks on 2x2 products, rounds their weights, and rounds them again after the basis was fixed; then turns the basis of
an exact scheme, and measures the loss, the distance to integers and the coefficients that rounding gets wrong on the way.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from scipy.linalg import expm

import grokkit as gk
from grokkit.studies import Proportion
from grokkit.studies._figures import BLUE, GREY, INK, ORANGE, STYLE, figure

Pair = tuple[np.ndarray, np.ndarray]


def factors(scheme: gk.Scheme) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    u, v, w = (np.array(x, dtype=np.float64) for x in (scheme.U, scheme.V, scheme.W))
    return u, v, w


def product(u: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.einsum("ri,rj,kr->ijk", u, v, w)


def turned(scheme: gk.Scheme, angle: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The scheme in bases turned by an angle: A -> P A Q⁻¹, B -> Q B R⁻¹, C -> P C R⁻¹, along fixed directions."""
    rng = np.random.default_rng(5)
    p, q, r = (expm(angle * rng.standard_normal((2, 2))) for _ in range(3))
    inverse = np.linalg.inv
    u, v, w = factors(scheme)
    turned_u = np.einsum("rij,ia,jb->rab", u.reshape(-1, 2, 2), p, inverse(q).T).reshape(u.shape)
    turned_v = np.einsum("rij,ia,jb->rab", v.reshape(-1, 2, 2), q, inverse(r).T).reshape(v.shape)
    # C is formed in the old basis and brought to the new one by the inverse changes
    turned_w = np.einsum("ijr,ai,bj->abr", w.reshape(2, 2, -1), inverse(p), r.T).reshape(w.shape)
    return turned_u, turned_v, turned_w


def along(scheme: gk.Scheme, angles: np.ndarray) -> list[dict[str, float]]:
    target = product(*factors(scheme))
    rows = []
    for angle in angles:
        some = turned(scheme, float(angle))
        flat = np.concatenate([x.ravel() for x in some])
        wrong = np.rint(product(*(np.rint(x) for x in some))) != target
        rows.append(
            {
                "angle": float(angle),
                "error": float(np.abs(product(*some) - target).max()),
                "distance": float(np.abs(flat - np.rint(flat)).mean()),
                "wrong": int(wrong.sum()),
            }
        )
    return rows


def draw(weights: Pair, one: Pair, rows: list[dict[str, float]], path: Path) -> None:
    """Coefficients of all networks and of one, each as trained and in the fixed basis; and the turn between."""
    with mpl.rc_context(STYLE):
        made = figure(11.4, 3.7)
        counts, walk, matrices = made.subplots(1, 3, width_ratios=(1, 1.15, 1.1))
        bins = np.linspace(-2.2, 2.2, 89)
        for values, color, label in zip(weights, (ORANGE, BLUE), ("as trained", "basis fixed"), strict=True):
            counts.hist(np.clip(values, -2.2, 2.2), bins, color=color, alpha=0.75, label=label)
        counts.set(yscale="log", xlabel="coefficient", ylabel="how many", title="Same networks, same loss")
        counts.legend(frameon=False, fontsize=8, loc="upper right")
        angles = [row["angle"] for row in rows]
        walk.plot(angles, [row["distance"] for row in rows], color=ORANGE, label="mean distance to integers")
        walk.plot(angles, [row["wrong"] / 64 for row in rows], color=INK, lw=0.9, label="equations wrong, rounded")
        walk.plot(angles, [row["error"] for row in rows], color=BLUE, lw=2, label="largest error, not rounded")
        walk.set(xlabel="turn of the basis", ylim=(-0.03, 1.1), title="Strassen's scheme, turned")
        walk.legend(frameon=False, fontsize=8, loc="upper left")
        pair = np.concatenate([one[0], np.full((len(one[0]), 1), np.nan), one[1]], axis=1)
        limit = float(np.nanmax(np.abs(pair)))
        image = matrices.imshow(pair, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="equal")
        matrices.set(xticks=[1.5, 6.5], yticks=range(7), ylabel="product", title="One network's sums of A")
        matrices.set_xticklabels(["as trained", "basis fixed"])
        for spine in matrices.spines.values():
            spine.set_visible(False)
        made.colorbar(image, ax=matrices, shrink=0.7, label="coefficient").outline.set_edgecolor(GREY)
        made.savefig(
            path, metadata={"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}, dpi=120
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=64)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    population = gk.train(gk.TrainConfig(runs=arguments.runs, shard_size=arguments.runs, seed=11))
    plain, full = gk.crystallize(population, method="plain"), gk.crystallize(population)
    rows = along(gk.catalog["strassen"], np.linspace(0, 1, 201))
    assert max(row["error"] for row in rows) < 1e-12, "turning the basis changed the product"
    weights = np.concatenate([population.U.reshape(-1), population.V.reshape(-1), population.W.reshape(-1)])
    found: dict[str, Any] = {
        "trained": population.converged,
        "rounded": str(Proportion(sum(run.exact for run in plain), arguments.runs)),
        "basis_fixed": str(Proportion(sum(run.exact for run in full), arguments.runs)),
        "mean_distance_trained": float(np.abs(weights - np.rint(weights)).mean()),
        "median_distance_turned": float(np.median([row["distance"] for row in rows[50:]])),
        "right_after_rounding_turned": sum(row["wrong"] == 0 for row in rows),
        "of_turns": len(rows),
    }
    if arguments.picture is not None:
        exact = [(run.run, run.scheme) for run in full if run.scheme is not None]
        fixed = np.concatenate([x.ravel() for _, scheme in exact for x in factors(scheme)])
        draw((weights, fixed), (population.U[exact[0][0]], factors(exact[0][1])[0]), rows, arguments.picture)
    print(json.dumps(found) if arguments.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
