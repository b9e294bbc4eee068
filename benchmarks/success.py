"""Success at every batch size: what training did, what rounding makes of it, what crystallizing adds.

For each batch size a fresh population is trained and crystallized by each method; every exact run is proven,
and shown to be Strassen's algorithm in another basis.

    python benchmarks/success.py [--runs 256] [--seed 100] [--preset default] [--batch-sizes 1,4,8,...] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from typing import Any

from grokkit.crystallize import METHODS, crystallize
from grokkit.scheme import Equivalence, additions, equivalent, verify
from grokkit.scheme.catalog import catalog
from grokkit.studies import Median, Proportion
from grokkit.training import TrainConfig, train, untrained

BATCH_SIZES = (1, 4, 8, 16, 32, 64, 128, 512, 1024)


def measure(config: TrainConfig, seed: int) -> dict[str, Any]:
    """One row: a population trained, then crystallized by each method."""
    population = train(config)
    row: dict[str, Any] = {
        "batch_size": config.batch_size,
        "runs": len(population),
        "seed": config.seed,
        "steps": config.total_steps,
        "converged": Proportion(population.converged, len(population)),
        "converged_before_pruning": Proportion(population.converged_before_pruning, len(population)),
        "runs_steps_per_second": population.runs_steps_per_second,
    }
    results = {}
    for method in METHODS:
        started = time.process_time()
        results[method] = crystallize(population, method=method, seed=seed)
        row[f"{method}_ms"] = 1000 * (time.process_time() - started) / len(population)
        row[method] = Proportion(results[method].exact, len(population))
        for scheme in results[method].schemes:
            verify(scheme)
    full = results["full"]
    row["converged_by_training"] = full.converged_before_polish
    row["only_by_polish"] = sum(run.exact and not run.path.converged_before_polish for run in full)
    row["cycles"] = dict(sorted(Counter(run.path.polish_cycles for run in full).items()))
    row["gauges"] = dict(Counter(run.path.gauge for run in full))
    row["additions"] = dict(sorted(Counter(additions(scheme).total for scheme in full.schemes).items()))
    control = crystallize(untrained(config), config.target, seed=seed)
    row["control"] = Proportion(control.exact, len(control))
    row["moved"] = Median.of([run.path.polish_moved or 0.0 for run in full if run.path.converged_before_polish])
    row["control_moved"] = Median.of([run.path.polish_moved or 0.0 for run in control])
    row["recognized"] = sum(isinstance(equivalent(scheme, catalog["strassen"]), Equivalence) for scheme in full.schemes)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=256)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--batch-sizes", default=",".join(map(str, BATCH_SIZES)))
    parser.add_argument("--epochs", type=int, default=None, help="instead of the preset's, to save time")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for size in (int(part) for part in arguments.batch_sizes.split(",")):
        changes: dict[str, Any] = {} if arguments.epochs is None else {"epochs": arguments.epochs}
        if arguments.preset == "source" and size > 1000:
            changes["samples"] = size
        config = TrainConfig.preset(
            arguments.preset, runs=arguments.runs, batch_size=size, seed=arguments.seed + size, **changes
        )
        rows.append(measure(config, arguments.seed))
        print(f"B={size}: full {rows[-1]['full']}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(rows, default=lambda value: value.to_json()))
        return
    print(
        f"Preset `{arguments.preset}`, {arguments.runs} independent runs a row (95 % Wilson intervals), seed of a row "
        f"{arguments.seed} + B. *Trained*: test loss below 1e-6 after training alone; *by polish*: exact runs whose training "
        "had not reached that; *control*: the same networks untrained, full; *moved*: how far polishing moved the weights of "
        "networks that had converged, as a share of their norm, and of untrained ones (medians).\n"
    )
    print(
        "| B | steps | trained | plain | scaled | full | by polish | control | moved | Strassen in another basis "
        "| ms CPU a run |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['batch_size']} | {row['steps']} | {row['converged']} | {row['plain']} | {row['scaled']} | {row['full']} | "
            f"{row['only_by_polish']} | {row['control']} | {_size(row['moved'])}, {_size(row['control_moved'])} | "
            f"{row['recognized']} of {row['full'].count} | {row['full_ms']:.1f} |"
        )
    cycles, gauges, sums = Counter(), Counter(), Counter()
    for row in rows:
        cycles.update(row["cycles"])
        gauges.update(row["gauges"])
        sums.update(row["additions"])
    print(f"\nRidge cycles of the polish: {_counts(cycles)}. Gauge that made a run exact: {_counts(gauges)}.")
    print(f"Additions of the schemes found: {_counts(sums)}.")


def _size(median: Median) -> str:
    return f"{median.value:.0e}" if median.n else "no run"


def _counts(counter: Counter[Any]) -> str:
    return ", ".join(f"{key}: {count}" for key, count in sorted(counter.items(), key=lambda item: str(item[0])))


if __name__ == "__main__":
    main()
