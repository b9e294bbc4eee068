"""Frozen protocols at work: `python benchmarks/studies.py [protocols|scaling|kill] [--workers N] [--kills N] [--json]`.

protocols  both protocols of the source, 195 runs: wall and processor time, and what became of the runs; with
           --more N, N times as many seeds
scaling    processor seconds a run of a short protocol, from 10^2 to 10^5 runs
kill       a sweep whose process is killed at random moments, resumed each time, and compared with one that nothing
           interrupted: finished shards must stay as they are, byte for byte, and no row may be lost or repeated
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from grokkit.studies.runs import Runs, Study, open_runs, run_study

ROOT = Path(__file__).resolve().parent.parent
PROTOCOLS = ("protocol-a", "protocol-b")
SIZES = (100, 1000, 10_000, 100_000)
SHORT = {
    "title": "Short runs",
    "question": "What does a run cost?",
    "preset": "source",
    "configuration": {"epochs": 20, "log_points": 20},
    "factors": {"batch_size": [32, 64]},
    "runs": 1,
}
TINY = {
    "title": "Tiny runs",
    "question": "Does a killed sweep come to the same?",
    "preset": "source",
    "configuration": {"epochs": 40, "samples": 40, "test_samples": 20, "log_points": 5},
    "factors": {"batch_size": [1, 2], "init": ["symmetric", "independent", "tied"]},
    "outcomes": ["converged", "exact_plain"],
    "seeds": 8,
    "runs": 2,
    "shard_size": 2,
}
CHILD = """
import sys
from grokkit.studies.runs import run_study
run_study(sys.argv[1], sys.argv[2], engine=sys.argv[3], workers=int(sys.argv[4]), progress=lambda n: print(n, flush=True))
"""


@dataclass
class Kills:
    """What happened to a sweep that was killed again and again."""

    killed: int = 0
    before_any_shard: int = 0
    """Of these, kills before the process had looked at the store."""
    sweeps: int = 0
    """Stores that were filled: a new one was begun whenever one was complete before the last kill."""
    shards: int = 0
    shards_at_kills: list[int] = field(default_factory=list)
    unfinished_files: int = 0
    """Temporary files that kills left behind; no reader sees them."""


def protocol_file(folder: Path, content: dict[str, Any]) -> Path:
    """A protocol as a TOML file; JSON values of these kinds are TOML values too."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in content.items() if not isinstance(value, dict)]
    for table, entries in content.items():
        if isinstance(entries, dict):
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in entries.items())]
    path = folder / "protocol.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def kill_and_resume(
    folder: Path, rng: np.random.Generator, *, kills: int, engine: str, workers: int, protocol: dict[str, Any]
) -> Kills:
    """Kill a sweep at `kills` random moments and check that nothing is lost or repeated. Raises `AssertionError` if it is."""
    path = protocol_file(folder, protocol)
    expected = run_study(path, folder / "uninterrupted", engine="threads")
    seen = Kills(shards=len(expected.shards))
    while seen.killed < kills:
        store = folder / f"killed-{seen.sweeps}"
        seen.sweeps += 1
        finished: dict[str, bytes] = {}
        while True:
            ended = _run_and_kill(path, store, engine, workers, rng, seen, kill=seen.killed < kills)
            there = {each.name: each.read_bytes() for each in store.glob("*.parquet")}
            for name, content in finished.items():
                assert there.get(name) == content, f"{name} was finished, and is lost or was made again"
            finished = there
            if ended:
                break
            seen.shards_at_kills.append(len(there))
            seen.unfinished_files += len(list(store.glob(".*.tmp")))
            if (store / "_study.json").exists():
                assert len(open_runs(store).shards) == len(there)
        assert_same(open_runs(store), expected)
    return seen


def _run_and_kill(
    path: Path, store: Path, engine: str, workers: int, rng: np.random.Generator, seen: Kills, *, kill: bool
) -> bool:
    """Run a sweep in a process of its own; kill it, or let it end. Whether it had ended."""
    command = [sys.executable, "-c", CHILD, str(path), str(store), engine, str(workers)]
    early = kill and rng.random() < 0.1
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        assert child.stdout is not None
        if kill:
            if early:
                time.sleep(rng.uniform(0, 0.5))
            else:
                for _ in range(1 + rng.integers(0, 4)):  # the store has been looked at, then shards were finished
                    child.stdout.readline()
                time.sleep(rng.uniform(0, 0.3))
            child.kill()  # the driver alone; its workers are on their own for a moment
            child.wait()
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        child.stdout.read()
        code = child.wait()
    if code == 0:
        return True
    assert code == -signal.SIGKILL, f"the sweep ended with {code}"
    seen.killed += 1
    seen.before_any_shard += early
    return False


def assert_same(runs: Runs, expected: Runs) -> None:
    """Every row once, and all as in the other store."""
    assert runs.complete
    assert expected.complete
    keys = runs.table(["cell", "seed", "run"]).to_pylist()
    assert len({tuple(key.values()) for key in keys}) == len(keys) == runs.study.total_runs
    assert runs.rows_sha256 == expected.rows_sha256
    assert json.dumps(runs.table().to_pydict()) == json.dumps(expected.table().to_pydict())


def measure_protocols(workers: int, more: int) -> list[dict[str, Any]]:
    rows = []
    for name in PROTOCOLS:
        study = Study.from_toml(ROOT / "studies" / f"{name}.toml")
        study = study.replace(seeds=study.seeds * more)
        with TemporaryDirectory() as folder:
            started = time.perf_counter()
            runs = run_study(study, folder, workers=workers)
            seconds = time.perf_counter() - started
            shares = {outcome: str(runs.success(outcome, by=())[0].proportion) for outcome in study.outcomes}
            medians = [each.median.value for each in runs.typical("lattice_distance")]
            rows.append(
                {
                    "protocol": name,
                    "runs": len(runs),
                    "seed": study.seed,
                    "workers": workers,
                    "wall_seconds": seconds,
                    "cpu_seconds": runs.cpu_seconds,
                    "lattice_distance": [min(medians), max(medians)],
                    "outcomes": shares,
                }
            )
    return rows


def measure_scaling(workers: int) -> list[dict[str, Any]]:
    rows = []
    for runs in SIZES:
        study = Study.from_mapping(SHORT | {"seeds": runs // 2})
        with TemporaryDirectory() as folder:
            started = time.perf_counter()
            found = run_study(study, folder, workers=workers)
            wall = time.perf_counter() - started
            size = sum(path.stat().st_size for path in Path(folder).glob("*.parquet"))
        assert found.complete
        assert len(found) == runs
        row = {"runs": runs, "shards": len(found.shards), "wall_ms_a_run": 1000 * wall / runs}
        rows.append(row | {"cpu_ms_a_run": 1000 * found.cpu_seconds / runs, "bytes_a_run": size / runs})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("protocols", "scaling", "kill"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--more", type=int, default=1, help="times the seeds of the protocols")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--engine", default="joblib", help="of the sweep that is killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.what == "kill":
        with TemporaryDirectory() as folder:
            rng = np.random.default_rng(given.seed)
            options = {"kills": given.kills, "engine": given.engine, "workers": given.workers, "protocol": TINY}
            seen = kill_and_resume(Path(folder), rng, **options)
        rows = [asdict(seen)]
    else:
        rows = (
            measure_protocols(given.workers, given.more)
            if given.what == "protocols"
            else measure_scaling(given.workers)
        )
    if given.json:
        print(json.dumps(rows))
    elif given.what == "kill":
        seen = rows[0]
        left = seen["shards_at_kills"]
        print(
            f"{seen['killed']} kills of a sweep with {seen['shards']} shards on {given.workers} workers ({given.engine}), "
            f"{seen['before_any_shard']} of them while it started; {seen['sweeps']} stores were filled, with {len(set(left))} different "
            f"numbers of finished shards at the kills. No finished shard was lost or made again, and every store's rows are those of a "
            f"sweep that nothing interrupted. {seen['unfinished_files']} times a temporary file was seen after a kill."
        )
    elif given.what == "protocols":
        print(
            "| protocol | runs | wall s | CPU s | median δ by batch size | outcomes (95 % Wilson) |\n|---|---|---|---|---|---|"
        )
        for row in rows:
            shares = ", ".join(f"{name} {share}" for name, share in row["outcomes"].items())
            low, high = row["lattice_distance"]
            print(
                f"| {row['protocol']}, seed {row['seed']} | {row['runs']} | {row['wall_seconds']:.1f} | {row['cpu_seconds']:.1f} | "
                f"{low:.2f} to {high:.2f} | {shares} |"
            )
    else:
        print("| runs | shards | wall ms a run | CPU ms a run | bytes a run |\n|---|---|---|---|---|")
        for row in rows:
            print(
                f"| {row['runs']} | {row['shards']} | {row['wall_ms_a_run']:.1f} | {row['cpu_ms_a_run']:.1f} | {row['bytes_a_run']:.0f} |"
            )


if __name__ == "__main__":
    main()
