"""Grokking of modular addition at p = 97, in every instrument: `python benchmarks/grokking.py [--p P] [--seeds N] [--folder DIR] [--picture FILE] [--json]`.

The code is that of docs/tutorials/grokking.md. Every run (a seed, with true or with shuffled labels) is a file in the
folder; runs that are there are not repeated, so the command may be killed and given again. One thread.
The answers are asserted: runs on true labels are `Grokked`, runs on shuffled ones `NoDrop`.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from grokkit import dynamics as gd
from grokkit.studies._figures import BLUE, GREY, INK, ORANGE, STYLE, figure

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tutorials" / "grokking.md"
SETTINGS: dict[int, dict[str, Any]] = {
    23: {"p": 23, "fraction": 0.9, "scale": 5.0, "decay": 0.4, "epochs": 1200, "before": 400},
    97: {"p": 97, "fraction": 0.4, "scale": 4.0, "decay": 0.8, "epochs": 2200, "before": 600},
}
KINDS = ("true", "shuffled")
COLUMNS = ("epoch", "training", "test", "training_entropy", "test_entropy", "accuracy")
PANELS = {
    "hessian_trace": "Hessian trace, test pairs",
    "gradients.trace": "Gradient variance, test",
    "phases.purity": "Purity of the waves",
    "phases.psi": "Order ψ of the phases",
}


def tutorial() -> dict[str, Any]:
    """The names that the page defines, without its runs."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        if re.search(r"^(class Run|def figures)", block, re.M):
            exec(compile(block, str(PAGE), "exec"), names)
    return names


def number(value: Any) -> float | None:
    """A figure as JSON holds it; None where it is undefined."""
    return None if value is None or isinstance(value, gd.Undefined) else float(value)


def run(names: dict[str, Any], setting: dict[str, Any], kind: str, seed: int) -> dict[str, Any]:
    """One run: four figures every 100 epochs, and what every instrument says before and after."""
    looks = (setting["before"], setting["epochs"])
    recorder = gd.Recorder(["hessian_trace", "gradients"], every=100, samples=128)
    start = time.process_time()
    made = names["Run"](
        setting["p"], seed, setting["fraction"], shuffled=kind == "shuffled", scale=setting["scale"]
    ).train(setting["epochs"], setting["decay"], looks, recorder)
    trained = time.process_time() - start
    curves = np.array(made.curves).T
    verdict, entropy = made.verdict(), made.verdict((3, 4))
    made.training = tuple(part[:256] for part in made.training)
    made.test = tuple(part[:256] for part in made.test)
    rows = [{"epoch": at} | {name: number(v) for name, v in names["figures"](made, at).items()} for at in looks]
    return {
        "setting": setting,
        "kind": kind,
        "seed": seed,
        "verdict": type(verdict).__name__,
        "entropy_verdict": type(entropy).__name__,
        "epoch": getattr(verdict, "epoch", None),
        "leaves": getattr(verdict, "leaves", None),
        "fitted": verdict.plateau.first if hasattr(verdict, "plateau") else None,
        "curves": dict(zip(COLUMNS, curves.tolist(), strict=True)),
        "recorded": [{name: row.get(name) for name in ("step", *PANELS)} for row in recorder.to_rows()],
        "figures": rows,
        "train_seconds": trained,
        "seconds": time.process_time() - start,
    }


def store(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)


def across(runs: list[dict[str, Any]], name: str, epoch: int) -> str:
    cells = [row[name] for each in runs for row in each["figures"] if row["epoch"] == epoch]
    known = sorted(cell for cell in cells if cell is not None)
    if len(known) < len(cells):
        return f"undefined in {len(cells) - len(known)} of {len(cells)}"
    return f"{np.median(known):.3g} ({known[0]:.3g} to {known[-1]:.3g})"


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """Losses and four instruments over training, every run a line."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        made = figure(9.4, 6.2)
        grid = made.subplots(2, 3)
        _losses(grid[0, 0], [each for each in runs if each["kind"] == "true"], "Labels a + b")
        _losses(grid[1, 0], [each for each in runs if each["kind"] == "shuffled"], "Shuffled labels")
        for axis, (name, title) in zip(grid[:, 1:].flat, PANELS.items(), strict=True):
            for each in runs:
                known = [(row["step"], row[name]) for row in each["recorded"] if row[name] is not None]
                color, line = (BLUE, "-") if each["kind"] == "true" else (GREY, "--")
                axis.plot(*zip(*known, strict=True), color=color, ls=line, lw=1.2, marker=".", ms=4)
            axis.set(xlabel="epoch", title=title)
            axis.set_yscale("linear" if name.startswith("phases") else "log")
        grid[0, 1].plot([], [], color=BLUE, label="labels a + b")
        grid[0, 1].plot([], [], color=GREY, ls="--", label="shuffled labels")
        grid[0, 1].legend(frameon=False, fontsize=8, loc="lower left")
        made.savefig(path, metadata={"Date": None, "Creator": None})


def _losses(axis: Axes, runs: list[dict[str, Any]], title: str) -> None:
    for turn, each in enumerate(runs):
        curves = each["curves"]
        for name, color in (("training", ORANGE), ("test", BLUE)):
            axis.plot(curves["epoch"], curves[name], color=color, lw=1, label=name if turn == 0 else None)
    axis.axhline(1e-6, color=INK, lw=0.7, ls=":")
    axis.set(yscale="log", ylim=(1e-16, 5), xlabel="epoch", ylabel="squared error", title=title)
    axis.legend(frameon=False, fontsize=8, loc="lower left")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--p", type=int, choices=SETTINGS, default=97)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/grokking"))
    parser.add_argument("--picture", type=Path, default=None, help="where to draw, .png or .svg")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    setting = SETTINGS[arguments.p]
    torch.set_num_threads(1)
    names = tutorial()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for seed in range(arguments.seeds):
        for kind in KINDS:
            path = arguments.folder / f"{kind}-{seed}.json"
            if not path.exists():
                store(path, run(names, setting, kind, seed))
            found = json.loads(path.read_text())
            assert found["setting"] == setting, f"{path} is of another setting: name another folder"
            runs.append(found)
    true, shuffled = ([each for each in runs if each["kind"] == kind] for kind in KINDS)
    assert all(each["verdict"] == "Grokked" for each in true), [each["verdict"] for each in true]
    assert all(each["verdict"] == "NoDrop" for each in shuffled), [each["verdict"] for each in shuffled]
    if arguments.picture is not None:
        draw(runs, arguments.picture)
    if arguments.json:
        print(json.dumps(runs))
        return
    seconds = sum(each["seconds"] for each in runs)
    print(f"p = {setting['p']}, {len(true)} runs and {len(shuffled)} controls, {seconds:.0f} CPU s; setting {setting}")
    for each in true:
        print(
            f"seed {each['seed']}: fitted {each['fitted']:.0f}, leaves {each['leaves']:.0f}, down {each['epoch']:.0f}; cross-entropy: {each['entropy_verdict']}"
        )
    before, after = setting["before"], setting["epochs"]
    print(
        f"| instrument | before (epoch {before}) | after (epoch {after}) | shuffled, {before} | shuffled, {after} |\n|---|---|---|---|---|"
    )
    for name in true[0]["figures"][0]:
        if name != "epoch":
            cells = [across(some, name, at) for some in (true, shuffled) for at in (before, after)]
            print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
