"""Controllers under drift: `python benchmarks/control.py [--seeds N] [--pictures DIR] [--json]`.

A sparse autoencoder and a sparse graph learner, each with a fixed sparsity weight, with a controller of the sign that relaxes
collapsed features, and with the published sign. One thread; about 2 CPU minutes for 10 seeds. Asserted: at every seed the
published sign collapses and the other does not, and only the other explains any variance.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from grokkit.transfer.control import POLICIES, ControlStudy, study_control


def check(found: ControlStudy) -> None:
    for policy, collapses in (("source", True), ("relax", False)):
        assert all(each.collapsed == collapses for each in found.drifts[policy]), policy
    for relaxed, fixed in zip(found.drifts["relax"], found.drifts["fixed"], strict=True):
        assert relaxed.explained_after > 0.5 > 0.1 > fixed.explained_after, relaxed.seed
    for other in ("fixed", "source"):
        for relaxed, graph in zip(found.graphs["relax"], found.graphs[other], strict=True):
            assert relaxed.connected_after > graph.connected_after, (relaxed.seed, other)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--pictures", type=Path, default=None)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = study_control(range(arguments.seeds))
    if arguments.pictures is not None:
        from grokkit.transfer.control.figures import controller_traces, two_level_spectrum

        arguments.pictures.mkdir(parents=True, exist_ok=True)
        every = [trace for traces in found.drifts.values() for trace in traces]
        controller_traces(every, threshold=found.config.threshold).savefig(
            arguments.pictures / "control-drift.png", metadata={"Software": None}
        )
        two_level_spectrum().savefig(arguments.pictures / "control-two-level.png", metadata={"Software": None})
    if arguments.json:
        print(json.dumps(found.to_json()))
    else:
        names = list(found.figures("fixed"))
        print(f"n = {len(found.seeds)} seeds (mean, 95 % interval)\n\n| policy | collapsed | {' | '.join(names)} |")
        print("|---" * (len(names) + 2) + "|")
        for policy in POLICIES:
            cells = " | ".join(str(each) for each in found.figures(policy).values())
            print(f"| {policy} | {found.collapsed(policy)} | {cells} |")
    check(found)


if __name__ == "__main__":
    main()
