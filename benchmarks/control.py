"""Controllers under drift: `python benchmarks/control.py [--seeds N] [--folder DIR] [--pictures DIR] [--json]`.

A sparse autoencoder and a sparse graph learner, each with a fixed sparsity weight, with a controller of the sign that relaxes
collapsed features, and with the published sign. Every seed is a file in the folder; seeds that are there are not repeated.
One thread; about 2 CPU minutes for 10 seeds. Asserted: at every seed the published sign collapses and the other does not, and only the other explains any variance.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from grokkit.transfer.control import DriftTrace, SparsityController, learn_graph, run_drift

POLICIES = ("fixed", "relax", "source")
SETTING: dict[str, Any] = {
    "autoencoder": {"base": 0.45, "threshold": 0.8, "width": 0.1, "steps": 1500},
    "graph": {"base": 0.2, "threshold": 0.1, "width": 0.04, "steps": 4000},
}
ROWS = (
    "before",
    "after",
    "explained_after",
    "connected_before",
    "connected_after",
    "error_after",
    "cycles",
    "strength",
)


def controller(which: str, policy: Any) -> SparsityController:
    setting = SETTING[which]
    return SparsityController(setting["base"], setting["threshold"], setting["width"], policy)


def run(seed: int) -> dict[str, Any]:
    drift = {p: run_drift(controller("autoencoder", p), seed, steps=SETTING["autoencoder"]["steps"]) for p in POLICIES}
    graph = {p: learn_graph(controller("graph", p), seed, steps=SETTING["graph"]["steps"]) for p in POLICIES}
    return {
        "setting": SETTING,
        "seed": seed,
        "autoencoder": {
            p: {
                "before": r.before,
                "after": r.after,
                "explained_after": r.explained_after,
                "collapsed": r.collapsed,
                "strength": float(r.strength[-1]),
                "trace": [
                    r.steps.tolist(),
                    r.psi.tolist(),
                    r.strength.tolist(),
                    r.explained.tolist(),
                    r.onset,
                    r.width,
                ],
            }
            for p, r in drift.items()
        },
        "graph": {
            p: {
                "connected_before": r.connected_before,
                "connected_after": r.connected_after,
                "error_after": r.error_after,
                "cycles": float(r.cycles[-1]),
                "strength": float(r.strength[-1]),
            }
            for p, r in graph.items()
        },
    }


def store(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)


def interval(values: list[float]) -> str:
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return f"{mean:.3g} (n = 1)"
    half = float(stats.t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / n**0.5
    return f"{mean:.3g} ± {half:.2g}"


def traces(found: dict[str, Any], policy: str) -> DriftTrace:
    steps, psi, strength, explained, onset, width = found["autoencoder"][policy]["trace"]
    return DriftTrace(
        policy, found["seed"], width, np.array(steps), np.array(psi), np.array(strength), np.array(explained), onset
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path("runs/control"))
    parser.add_argument("--pictures", type=Path, default=None)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for seed in range(arguments.seeds):
        path = arguments.folder / f"{seed}.json"
        if not path.exists():
            store(path, run(seed))
        runs.append(json.loads(path.read_text()))
        assert runs[-1]["setting"] == SETTING, f"{path} is of another setting: name another folder"
    if arguments.pictures is not None:
        from grokkit.transfer.control.figures import controller_traces, two_level_spectrum

        arguments.pictures.mkdir(parents=True, exist_ok=True)
        every = [traces(found, policy) for found in runs for policy in POLICIES]
        controller_traces(every, threshold=SETTING["autoencoder"]["threshold"]).savefig(
            arguments.pictures / "control-drift.png", metadata={"Software": None}
        )
        two_level_spectrum().savefig(arguments.pictures / "control-two-level.png", metadata={"Software": None})
    if arguments.json:
        print(json.dumps(runs))
        return
    for which in SETTING:
        names = [name for name in ROWS if name in runs[0][which]["fixed"]]
        print(f"\n{which}, n = {len(runs)} seeds (mean, 95 % interval)\n\n| policy | {' | '.join(names)} |")
        print("|---" * (len(names) + 1) + "|")
        for policy in POLICIES:
            print(f"| {policy} | {' | '.join(interval([r[which][policy][name] for r in runs]) for name in names)} |")
    halved = {p: sum(found["autoencoder"][p]["collapsed"] for found in runs) for p in POLICIES}
    print(
        "\nΨ under half of what it was, autoencoder:", ", ".join(f"{p} {n} of {len(runs)}" for p, n in halved.items())
    )
    for found in runs:
        auto, graph = found["autoencoder"], found["graph"]
        assert auto["source"]["collapsed"], (found["seed"], "autoencoder")
        assert not auto["relax"]["collapsed"], (found["seed"], "autoencoder")
        assert auto["relax"]["explained_after"] > 0.5 > 0.1 > auto["fixed"]["explained_after"], found["seed"]
        assert graph["relax"]["connected_after"] > graph["fixed"]["connected_after"], (found["seed"], "graph")
        assert graph["relax"]["connected_after"] > graph["source"]["connected_after"], (found["seed"], "graph")


if __name__ == "__main__":
    main()
