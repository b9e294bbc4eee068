"""Fusion of two frozen experts on the cyclotron by a gate of the frequency, at held-out frequencies, over ten seeds.

python benchmarks/fusion.py [--protocol shared blind split] [--seeds 10] [--figures FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from grokkit.transfer.fusion import PROTOCOLS, ROWS, FusionStudy, fusion_by_frequency, study_fusion

WHAT = {
    "shared": "both experts see the frequency and are trained over the whole range",
    "blind": "both are trained over the whole range and see no frequency",
    "split": "the smaller is trained on 0.9 to 1.4, the larger on 1.7 to 2.2; both see the frequency",
}


def show(name: str, found: FusionStudy) -> None:
    what, config = WHAT[name], PROTOCOLS[name]
    small, large = (expert.network.parameters for expert in found.runs[0].experts)
    print(f"\n### {name}: {what}\n")
    print(
        f"Experts of {config.widths[0]} and {config.widths[1]} hidden units ({small} and {large} parameters), {len(config.known)} "
        f"frequencies of training, {len(config.held_out)} held out, seeds {found.seeds[0]} to {found.seeds[-1]}.\n"
    )
    print("| predictor | mean squared error, held-out frequencies | over the oracle gate |\n|---|---|---|")
    for row in ROWS:
        print(f"| {row} | {found.error(row)} | {found.ratio(row, 'oracle gate')} |")
    within = sum(run.over_oracle <= 1.05 for run in found.runs)
    better = sum(run.over_better <= 1 for run in found.runs)
    n = len(found.runs)
    print(
        f"\nFused over oracle gate {found.over_oracle}, at most {max(run.over_oracle for run in found.runs):.4f}, within 1.05 in "
        f"{within} of {n} seeds. Fused over the better expert {found.over_better}, at most "
        f"{max(run.over_better for run in found.runs):.4f}, at most 1 in {better} of {n}. Both in {found.wins} of {n}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", nargs="+", choices=list(PROTOCOLS), default=list(PROTOCOLS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    kept = {}
    for name in chosen.protocol:
        found = study_fusion(PROTOCOLS[name], range(chosen.seeds))
        assert all(run.over_oracle <= 1.05 for run in found.runs), f"{name}: a gate is more than 5 % off the oracle's"
        show(name, found)
        kept[name] = found.to_json()
        if chosen.figures:
            fusion_by_frequency(found).savefig(chosen.figures / f"fusion-{name}.png", dpi=110)
    if chosen.json:
        chosen.json.write_text(json.dumps(kept))


if __name__ == "__main__":
    main()
