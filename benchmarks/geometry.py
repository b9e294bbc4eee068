"""What is measurable of the geometry of learning: `python benchmarks/geometry.py [--seeds N] [--folder DIR] [--pictures DIR] [--json]`.

σ/μ of gradient norms against the batch size on the cyclotron and on Strassen, the drift of the Fisher spectrum around a grokking
transition (addition modulo 23), and generalization gaps against the number of parameters. Every seed is a file in the folder;
seeds that are there are not repeated. One thread. Asserted: above the crossover the mean exponent is −1/2 within 0.1; Strassen has no gap.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import nn
from torch.nn import functional

import grokkit as gk
from grokkit import dynamics as gd
from grokkit.tasks import Cyclotron
from grokkit.transfer import geometry as gg

BATCHES = (64, 256, 1024, 4096, 8192)
SETTING: dict[str, Any] = {
    "batches": list(BATCHES),
    "rates": [1e-3, 1e-2],
    "widths": [8, 32],
    "slots": [7, 8],
    "steps": 400,
    "samples": 512,
    "draws": 200,
    "grokking": {"p": 23, "fraction": 0.9, "scale": 5.0, "decay": 0.4, "epochs": 1200, "every": 25},
    "gap_widths": [2, 4, 8, 16, 32],
    "gap_samples": 64,
    "least_squares": {"samples": 200, "parameters": [4, 8, 16, 32, 64]},
}


def cyclotron_pairs(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """State and frequency, and the next state; one pair a run, so that samples are independent."""
    pairs = Cyclotron().generate(count, 1, seed).pairs()
    inputs = np.column_stack([pairs.now, pairs.parameters["frequency"]])
    return torch.tensor(inputs), torch.tensor(pairs.next)


def half_square(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return 0.5 * ((output - target) ** 2).sum(dim=-1).mean()


def network(width: int, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, 4)).double()


def fit(
    parameters: list[torch.Tensor],
    objective: Callable[[tuple[torch.Tensor, ...]], torch.Tensor],
    data: tuple[torch.Tensor, ...],
    rate: float,
    steps: int,
    seed: int,
    size: int = 64,
) -> None:
    optimizer, generator = torch.optim.Adam(parameters, lr=rate), torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(data[0]), (size,), generator=generator)
        optimizer.zero_grad()
        objective(tuple(part[rows] for part in data)).backward()
        optimizer.step()


def number(value: Any) -> float | None:
    return None if value is None or isinstance(value, gd.Undefined) else float(value)


def law(loss: gd.Loss, batch: Any, seed: int, **labels: Any) -> dict[str, Any]:
    found = gg.variation_law(
        loss, batch, BATCHES, draws=SETTING["draws"], generator=np.random.default_rng([seed, len(labels)])
    )
    return labels | {
        "parameters": loss.dimension,
        "loss": loss.value(batch),
        "coefficients": [number(value) for value in found.measured.coefficients],
        "exponent": number(found.measured.exponent),
        "beyond": number(found.beyond()),
        "signal": number(found.signal),
        "floor": number(found.floor),
        "crossover": number(found.crossover),
    }


def cyclotron_laws(seed: int) -> list[dict[str, Any]]:
    rows, data = [], cyclotron_pairs(SETTING["samples"], seed)
    for width in SETTING["widths"]:
        for rate in SETTING["rates"]:
            model = network(width, seed)
            fit(
                list(model.parameters()),
                lambda b, m=model: half_square(m(b[0]), b[1]),
                data,
                rate,
                SETTING["steps"],
                seed,
            )
            loss = gd.from_module(model, half_square)
            rows.append(law(loss, data, seed, task="cyclotron", capacity=width, rate=rate))
    return rows


def bilinear(p: dict[str, torch.Tensor], x: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return p["W"] @ ((p["U"] @ x[0]) * (p["V"] @ x[1]))


def strassen_data(count: int, seed: int) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
    a, b = torch.tensor(np.random.default_rng([seed, 1]).standard_normal((2, count, 4)))
    return (a, b), (a.reshape(-1, 2, 2) @ b.reshape(-1, 2, 2)).flatten(1)


def strassen_laws(seed: int) -> list[dict[str, Any]]:
    rows, data = [], strassen_data(SETTING["samples"], seed)
    for slots in SETTING["slots"]:
        for rate in SETTING["rates"]:
            generator = torch.Generator().manual_seed(seed)
            shapes = {"U": (slots, 4), "V": (slots, 4), "W": (4, slots)}
            factors = {
                name: (0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()
                for name, shape in shapes.items()
            }

            def objective(b: tuple[torch.Tensor, ...], f: dict[str, torch.Tensor] = factors) -> torch.Tensor:
                return half_square(((b[0] @ f["U"].T) * (b[1] @ f["V"].T)) @ f["W"].T, b[2])

            fit(list(factors.values()), objective, (*data[0], data[1]), rate, SETTING["steps"], seed)
            free = {name: value.detach() for name, value in factors.items()}
            rows.append(
                law(gd.Loss(bilinear, free, half_square), data, seed, task="strassen", capacity=slots, rate=rate)
            )
    return rows


def exact_strassen() -> gd.Loss:
    scheme = gk.catalog["strassen"]
    factors = {name: torch.tensor(np.array(getattr(scheme, name)), dtype=torch.float64) for name in "UVW"}
    return gd.Loss(bilinear, factors, half_square)


def grokking(seed: int) -> dict[str, Any]:
    """Addition modulo p, full batches, and the empirical Fisher spectrum of the held-out pairs."""
    s = SETTING["grokking"]
    p, generator = s["p"], torch.Generator().manual_seed(seed)
    a, b = torch.triu_indices(p, p)
    x, y = (torch.eye(p)[a] + torch.eye(p)[b]).double(), (a + b) % p
    order = torch.randperm(len(y), generator=generator)
    cut = round(s["fraction"] * len(y))
    seen, unseen = order[:cut], order[cut:]
    weights = torch.Generator().manual_seed(seed)
    sizes = ((p, 32, 2), (32, 256, 32), (256, 32, 256), (32, p, 32))
    layers = [nn.Linear(i, o, bias=False, dtype=torch.float64) for i, o, _ in sizes]
    for layer, (_, _, inputs) in zip(layers, sizes, strict=True):
        nn.init.normal_(layer.weight, std=s["scale"] / inputs**0.5, generator=weights)
    model = nn.Sequential(layers[0], layers[1], nn.ReLU(), layers[2], layers[3])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.9), weight_decay=s["decay"])
    loss, callback, curves = gd.from_module(model, functional.cross_entropy), gg.FisherCallback(every=s["every"]), []

    def error(outputs: torch.Tensor, labels: torch.Tensor) -> float:
        return float((outputs.softmax(dim=1) - functional.one_hot(labels, p)).square().sum(dim=1).mean())

    for epoch in range(s["epochs"] + 1):
        callback.record(epoch, loss, (x[unseen], y[unseen]))
        outputs = model(x[seen])
        if epoch % 5 == 0:
            with torch.no_grad():
                curves.append((epoch, error(outputs, y[seen]), error(model(x[unseen]), y[unseen])))
        optimizer.zero_grad()
        functional.cross_entropy(outputs, y[seen]).backward()
        optimizer.step()
    epochs, training, test = np.array(curves).T
    verdict, drift = gd.detect_grokking(training, test, epochs=epochs), callback.drift()
    row: dict[str, Any] = {"verdict": type(verdict).__name__, "epochs": drift.epochs.tolist()}
    row |= {"relative": drift.relative.tolist(), "trace": drift.trace.tolist(), "curves": np.array(curves).T.tolist()}
    if isinstance(verdict, gd.Grokked | gd.GradualDrop):
        half = s["every"]
        middle = (verdict.leaves + verdict.epoch) / 2
        span = max(half, (verdict.epoch - verdict.leaves) / 2)
        row |= {
            "leaves": verdict.leaves,
            "down": verdict.epoch,
            "plateau": drift.between(verdict.plateau.first, verdict.leaves),
            "transition": drift.between(middle - span, middle + span),
            "after": drift.between(verdict.epoch, s["epochs"]),
        }
    return row


def gaps(seed: int) -> dict[str, Any]:
    training, test = cyclotron_pairs(SETTING["gap_samples"], 1000 + seed), cyclotron_pairs(4096, 2000 + seed)
    found = []
    for width in SETTING["gap_widths"]:
        model = network(width, seed)
        fit(list(model.parameters()), lambda b, m=model: half_square(m(b[0]), b[1]), training, 1e-2, 1000, seed)
        loss = gd.from_module(model, half_square)
        found.append(loss.value(test) - loss.value(training))
    generator, setting = np.random.default_rng([seed, 3]), SETTING["least_squares"]
    squares = [gg.LeastSquaresGap(setting["samples"], p).draw(generator) for p in setting["parameters"]]
    exact = exact_strassen()
    none = exact.value(strassen_data(256, seed + 50)) - exact.value(strassen_data(256, seed))
    return {"cyclotron": found, "least squares": squares, "strassen": none}


def run(seed: int) -> dict[str, Any]:
    start = time.process_time()
    laws = cyclotron_laws(seed) + strassen_laws(seed)
    return {
        "setting": SETTING,
        "seed": seed,
        "laws": laws,
        "grokking": grokking(seed),
        "gaps": gaps(seed),
        "seconds": time.process_time() - start,
    }


def store(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)


def interval(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return f"undefined in {len(values) - len(known)} of {len(values)}"
    half = float(stats.t.ppf(0.975, len(known) - 1)) * float(np.std(known, ddof=1)) / len(known) ** 0.5
    more = "" if len(known) == len(values) else f" (n = {len(known)})"
    return f"{np.mean(known):.3g} ± {half:.2g}{more}"


def report(runs: list[dict[str, Any]]) -> None:
    n = len(runs)
    print(f"{n} seeds, {sum(found['seconds'] for found in runs):.0f} CPU s; mean and 95 % interval over seeds\n")
    sizes = " | ".join(f"B = {size}" for size in BATCHES)
    print(f"| task | capacity | rate | {sizes} | exponent | crossover B | floor |")
    print("|---" * (len(BATCHES) + 6) + "|")
    for k in range(len(runs[0]["laws"])):
        rows = [found["laws"][k] for found in runs]
        cells = [interval([row["coefficients"][i] for row in rows]) for i in range(len(BATCHES))]
        cells += [interval([row[name] for row in rows]) for name in ("exponent", "crossover", "floor")]
        print(f"| {rows[0]['task']} | {rows[0]['capacity']} | {rows[0]['rate']:g} | {' | '.join(cells)} |")
    grokked = [found["grokking"] for found in runs]
    print("\nverdicts:", ", ".join(row["verdict"] for row in grokked))
    print("\n| drift of the Fisher spectrum per epoch | mean |\n|---|---|")
    for name in ("plateau", "transition", "after"):
        print(f"| {name} | {interval([row.get(name) for row in grokked])} |")
    counts = {
        "cyclotron": [10 * width + 4 for width in SETTING["gap_widths"]],
        "least squares": SETTING["least_squares"]["parameters"],
    }
    print("\n| gap | p | measured | exact | published bound |\n|---|---|---|---|---|")
    for name, parameters in counts.items():
        values = np.array([found["gaps"][name] for found in runs]).T
        for p, row in zip(parameters, values, strict=True):
            exact = (
                f"{gg.LeastSquaresGap(SETTING['least_squares']['samples'], p).value:.3g}"
                if name == "least squares"
                else ""
            )
            print(f"| {name} | {p} | {interval(row.tolist())} | {exact} | {gg.published_bound(p):.2g} |")
        print(f"| {name} | exponent | {gg.gap_exponent(parameters, values)} | | −0.5 |")
    print(
        f"| Strassen's scheme | 84 | {interval([found['gaps']['strassen'] for found in runs])} | 0 | {gg.published_bound(84):.2g} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path("runs/geometry"))
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
        from grokkit.transfer.geometry.figures import spectrum_drift_figure, variation_figure

        arguments.pictures.mkdir(parents=True, exist_ok=True)
        curves = {}
        for k, row in enumerate(runs[0]["laws"]):
            if row["rate"] == SETTING["rates"][-1]:
                curves[f"{row['task']}, {row['capacity']}"] = np.array([r["laws"][k]["coefficients"] for r in runs])
        made = variation_figure(BATCHES, curves)
        made.savefig(arguments.pictures / "geometry-variation.png", metadata={"Software": None})
        made = spectrum_drift_figure([found["grokking"] for found in runs])
        made.savefig(arguments.pictures / "geometry-drift.png", metadata={"Software": None})
    if arguments.json:
        print(json.dumps(runs))
    else:
        report(runs)
    for found in runs:
        assert abs(found["gaps"]["strassen"]) < 1e-25, "rounding only"
    for task in ("cyclotron", "strassen"):
        slopes = [row["beyond"] for found in runs for row in found["laws"] if row["task"] == task]
        known = [slope for slope in slopes if slope is not None]
        assert known, task
        assert abs(np.mean(known) + 0.5) < 0.1, (task, np.mean(known))


if __name__ == "__main__":
    main()
