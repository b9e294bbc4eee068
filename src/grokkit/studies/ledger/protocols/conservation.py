"""What growth and control conserve (C01 to C08)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol
from grokkit.studies.ledger.protocols.operators import largest_difference, of_mean, seeds_of, share

NEEDS: Final = ("torch", "scipy", "matplotlib")
PARITIES: Final = {"quick": 2, "full": 8}
CONTROLS: Final = {"quick": 2, "full": 10}
MATRICES: Final = {"quick": 10, "full": 40}
FACTORIAL: Final = {"quick": 2, "full": 8}
BITS: Final = 24
PARITY: Final = (2, 7, 11)
RANGES: Final = {
    "short": ((25, 50), (4096, 8192)),
    "long": ((50, 1600), (64, 4096)),
    "ample": ((1200, 2400), (4096, 8192)),
}
"""Of steps and of training rows."""
COLLAPSE: Final = 0.05
"""Ψ of collapsed features."""
STILL: Final = 0.01
"""Relative change under which a quantity counts as conserved."""


def growth(context: Context) -> dict[str, Measurement]:
    """Claims C01, C02 and C08: parity grown, the transfer's algebra, and what decides whether a network scales."""
    import torch

    from grokkit.transfer.embed import PREDICTORS, SIZES, study_parity

    torch.set_num_threads(1)
    seeds = seeds_of(context, PARITIES[context.scale])
    context.progress(f"parity: {len(seeds)} networks at five sizes")
    found = study_parity(seeds, SIZES if context.scale == "full" else (SIZES[0], SIZES[-1]))
    right = sum(
        all(row.accuracies[PREDICTORS[0]].verdict == "learned" for row in found.rows if row.seed == seed)
        for seed in seeds
    )
    rows = [row for row in found.rows if (row.inputs, row.hidden) == found.sizes[-1]]
    pooled = {name: [row.accuracies[name] for row in found.rows] for name in PREDICTORS}
    figures = {
        "right at every size": share(
            right, len(seeds), "share of networks that answer every row rightly at every size"
        ),
        "random core": _pooled(pooled[PREDICTORS[1]], "accuracy of random weights in the same places"),
        "random": _pooled(pooled[PREDICTORS[2]], "accuracy of random weights everywhere"),
        "all bits": _pooled(found.full_test, "accuracy on the parity of all 32 bits, new rows"),
        "seconds": Figure(
            float(np.median([row.seconds for row in rows])), what="seconds to grow to 2048 x 32768 and judge"
        ),
    }
    told = f"seeds {seeds[0]} to {seeds[-1]}, {found.samples} rows a judgement"
    note = (
        "The grown network ignores its new inputs and computes the parity of the same 3 bits; the parity of all bits "
        "is not learned. Accuracies of controls are pooled over sizes; n counts rows."
    )
    return {
        "C01": Measurement("C01", figures, _same_bits(seeds), {}, told, context.scale, note),
        "C02": _algebra(context),
        "C08": _what_decides(context),
    }


def _pooled(found: Any, what: str) -> Figure:
    return share(sum(each.right for each in found), sum(each.n for each in found), what)


def _same_bits(seeds: range) -> dict[str, bool | str]:
    """Whether outputs of trained and of random networks stay the same bits, at 128 x 2048."""
    import torch

    from grokkit.transfer.embed import Growth, Placement, check_growth, embed, parity_network

    grown = Growth({"input": Placement.front(32, 128), "0": Placement.front(64, 2048)})
    kept = []
    for seed in seeds:
        model = parity_network(32, 64, torch.Generator().manual_seed(seed)).double()
        kept.append(check_growth(model, embed(model, grown), grown, [torch.randn(64, 32, dtype=torch.float64)]).within)
    return {"random networks keep their outputs, too": all(kept)}


def _algebra(context: Context) -> Measurement:
    """Claim C02: T twice, crop after embed, ranks and singular values."""
    import torch

    from grokkit.scheme import InvalidInput
    from grokkit.transfer.embed import Growth, Placement, check_growth, crop, embed, parity_network

    seeds = seeds_of(context, PARITIES[context.scale] * 4)
    grown = Growth({"input": Placement.front(32, 48), "0": Placement.front(64, 96)})
    back, spectra, refusal = [], [], ""
    for seed in seeds:
        model = parity_network(32, 64, torch.Generator().manual_seed(seed)).double()
        large = embed(model, grown)
        small = crop(large, grown)
        assert isinstance(small, torch.nn.Module)
        back.append(
            largest_difference(
                [p.detach().numpy() for p in model.parameters()], [p.detach().numpy() for p in small.parameters()]
            )
        )
        found = check_growth(model, large, grown, [torch.randn(64, 32, dtype=torch.float64)])
        spectra.append(all(each.preserved for each in found.spectra.values()))
        try:
            embed(large, grown)
        except InvalidInput as error:
            refusal = str(error)
    figures = {
        "crop after embed": Figure(max(back), n=len(back), what="largest change of a weight by crop after embed"),
        "spectra kept": share(sum(spectra), len(spectra), "share of networks whose ranks and singular values are kept"),
    }
    facts: dict[str, bool | str] = {"T applies to its own result": not refusal, "refusal": refusal or "none"}
    note = (
        "T takes models of the small shape to models of the large one, and refuses its own result. What type-checks: "
        "crop(embed(f)) = f, and embed after crop is a projection of models of the large shape."
    )
    return Measurement("C02", figures, facts, {}, f"seeds {seeds[0]} to {seeds[-1]}", context.scale, note)


def _what_decides(context: Context) -> Measurement:
    """Claim C08: carried representation x compute x data, in two ranges of the last two."""
    seeds = seeds_of(context, FACTORIAL[context.scale])
    shares: dict[str, dict[str, Figure]] = {}
    spread: dict[str, float] = {}
    for name, (steps, samples) in RANGES.items():
        context.progress(f"what decides: {name} range, {len(seeds)} seeds")
        table = np.array(
            [
                [[[_accuracy(carried, s, n, seed) for n in samples] for s in steps] for carried in (False, True)]
                for seed in seeds
            ]
        )
        shares[name] = _shares(table, name)
        spread[name] = float(table.std())
    figures = {f"{factor}, {name}": each for name, found in shares.items() for factor, each in found.items()}
    figures |= {
        f"spread, {name}": Figure(each, n=len(seeds), what=f"standard deviation of accuracy over cells, {name} range")
        for name, each in spread.items()
    }
    leads = {
        name: max(found, key=lambda factor: found[factor].value or 0.0) if spread[name] > STILL else "none"
        for name, found in shares.items()
    }
    facts: dict[str, bool | str] = {f"leading factor, {name} range": lead for name, lead in leads.items()}
    facts["one factor leads in every range"] = len(set(leads.values())) == 1
    note = (
        f"Parity of 3 of {BITS} bits: a start that learned it on 12 of the bits, grown, or a random one; steps and "
        "training rows few (short), over factors of 32 and 64 (long), or ample. Shares of the variance of test "
        "accuracy; bootstrap over seeds. The carried start computes the answer from the first step on: what it "
        "explains is what a random start still lacks."
    )
    return Measurement("C08", figures, facts, {}, f"seeds {seeds[0]} to {seeds[-1]}", context.scale, note)


def _accuracy(carried: bool, steps: int, samples: int, seed: int) -> float:
    """Test accuracy after some steps on some rows."""
    import torch
    from torch.nn import functional

    from grokkit.transfer.embed import (
        Growth,
        Placement,
        embed,
        parity_accuracy,
        parity_labels,
        parity_network,
        random_bits,
        train_parity,
    )

    generator = torch.Generator().manual_seed(10_000 + seed)
    model: torch.nn.Module = parity_network(BITS, 64, generator)
    if carried:
        small = train_parity(12, PARITY, steps=1500, seed=seed).model
        model = embed(small, Growth({"input": Placement.front(12, BITS)}))
    model.train().requires_grad_(True)
    rows, fresh = random_bits(samples, BITS, generator), random_bits(1000, BITS, generator)
    labels = parity_labels(rows, PARITY)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    for _ in range(steps):
        drawn = torch.randint(samples, (128,), generator=generator)
        optimizer.zero_grad()
        functional.cross_entropy(model(rows[drawn]), labels[drawn]).backward()
        optimizer.step()
    return parity_accuracy(model.eval(), fresh, PARITY).value


def _shares(table: np.ndarray, name: str) -> dict[str, Figure]:
    """Shares of variance of the main effects, from seeds x carried x steps x samples, with bootstrap intervals."""
    generator = np.random.default_rng(0)
    draws = [generator.integers(0, len(table), len(table)) for _ in range(1000)]
    found = {}
    for axis, factor in ((1, "representation"), (2, "compute"), (3, "data")):
        values = [_share_of(table[drawn], axis) for drawn in draws]
        low, high = (float(x) for x in np.percentile(values, (2.5, 97.5)))
        value = _share_of(table, axis)
        what = f"share of the variance of accuracy that {factor} explains, {name} range"
        found[factor] = Figure(value, min(low, value), max(high, value), len(table), what)
    return found


def _share_of(table: np.ndarray, axis: int) -> float:
    total = float(((table - table.mean()) ** 2).sum())
    others = tuple(each for each in range(table.ndim) if each != axis)
    means = table.mean(axis=others)
    return 0.0 if total == 0 else float(table.size / len(means) * ((means - table.mean()) ** 2).sum() / total)


def control(context: Context) -> dict[str, Measurement]:
    """Claims C03 to C07: sparsity in a closed loop, the freeze, PT symmetry, and what of it is conserved."""
    import torch

    from grokkit.transfer.control import study_control

    torch.set_num_threads(1)
    seeds = seeds_of(context, CONTROLS[context.scale])
    context.progress(f"control: {len(seeds)} seeds")
    found = study_control(seeds)
    told = f"seeds {seeds[0]} to {seeds[-1]}"
    published, ours = (found.config.controller(policy) for policy in ("source", "relax"))
    figures = {
        "published strength": Figure(
            published.strength(COLLAPSE) / published.base, what=f"published weight at psi = {COLLAPSE} over its base"
        ),
        "our strength": Figure(
            ours.strength(COLLAPSE) / ours.base, what=f"weight with the sign turned, at psi = {COLLAPSE}, over its base"
        ),
        **{
            f"collapsed, {policy}": share(
                found.collapsed(policy), len(seeds), f"share of seeds that collapse, {policy}"
            )
            for policy in found.drifts
        },
    }
    note = "A sparse autoencoder under drift; relax turns the published sign: pressure falls when features collapse."
    after, before = (
        np.array([getattr(trace, name) for trace in found.drifts["relax"]]) for name in ("after", "before")
    )
    from grokkit.tasks import Mean

    silence = _silence(context)
    table = {
        "psi kept": of_mean(Mean.of(list(after / before)), "effective features after the drift over those before"),
        "connected": of_mean(
            found.figures("relax")["connected_after"], "share of records with the learned graph connected, controlled"
        ),
        "moved while frozen": silence.figures["moved while frozen"],
    }
    second = "Effective features settle lower than they were; connectivity is kept, and a freeze keeps all."
    return {
        "C03": Measurement("C03", figures, {}, {}, told, context.scale, note),
        "C04": silence,
        "C05": _parity_time(context),
        "C06": Measurement("C06", table, {}, {}, told, context.scale, second),
        "C07": _balance(context),
    }


def _train(below: float, seed: int, steps: int = 60) -> tuple[list[dict[str, float]], float, Any, list[np.ndarray]]:
    """Train a small network behind a `SilenceCallback`; its rows, the largest move, the model and its activations."""
    import torch
    from torch import nn
    from torch.nn import functional

    from grokkit.transfer.control import LayerWatch, SilenceCallback

    generator = torch.Generator().manual_seed(seed)
    layers = nn.Linear(8, 16), nn.Linear(16, 4)
    with torch.no_grad():
        for layer in layers:
            layer.weight.normal_(0, 0.5, generator=generator)
            layer.bias.zero_()
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1])
    goal = torch.randn(8, 4, generator=generator)
    before = [p.detach().numpy().copy() for p in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    activations, losses = [], []
    watch = LayerWatch(model, "1")
    with SilenceCallback(model, "1", optimizer, below=below) as silence:
        for _ in range(steps):
            x = torch.randn(64, 8, generator=generator)
            loss = functional.mse_loss(model(x), torch.tanh(x @ goal))
            losses.append(loss.item())
            activations.append(watch.latest().detach().numpy().copy())
            optimizer.zero_grad()
            loss.backward()
            silence.step()
        rows = silence.rows
    watch.close()
    moved = largest_difference(before, [p.detach().numpy() for p in model.parameters()])
    for row, value in zip(rows, losses, strict=True):
        row["loss"] = value
    return rows, moved, model, activations


def _silence(context: Context) -> Measurement:
    """Claim C04: updates stop exactly below the threshold; which steps these are depends on what S_top is taken for."""
    from grokkit.transfer.control import TOPOLOGY

    seeds = seeds_of(context, MATRICES[context.scale])
    frozen, free, differ = [], [], []
    for seed in seeds:
        rows, moved, _, _ = _train(1e9, seed)
        frozen.append(moved)
        rows, moved, _, _ = _train(-1e9, seed)
        free.append(moved)
        gaps = np.array([row["gap"] for row in rows])
        others = np.array([row["entropy"] - row["cycles"] * np.log(2) for row in rows])
        threshold = float(np.median(gaps))
        differ.append(float(((gaps < threshold) != (others < threshold)).mean()))
    figures = {
        "moved while frozen": Figure(max(frozen), n=len(seeds), what="largest move of a parameter while silent"),
        "moved while free": Figure(min(free), n=len(seeds), what="largest move while not silent, least over seeds"),
        "steps that differ": Figure(
            float(np.mean(differ)), n=len(seeds), what="share of steps frozen under one S_top and not under another"
        ),
    }
    facts: dict[str, bool | str] = {"choices of S_top freeze the same steps": max(differ) == 0.0, "choice": TOPOLOGY}
    note = (
        "The source does not define S_top(b1). Compared at one threshold: log(1 + b1), grokkit's choice, and b1 log 2."
    )
    return Measurement("C04", figures, facts, {}, f"seeds {seeds[0]} to {seeds[-1]}", context.scale, note)


def _parity_time(context: Context) -> Measurement:
    """Claim C05: whether training leaves a matrix PT-symmetric, and whether the symmetry keeps its spectrum real."""
    from grokkit.transfer.control import TwoLevel, pt_violation

    seeds = seeds_of(context, MATRICES[context.scale])
    start, end = [], []
    for seed in seeds:
        generator = np.random.default_rng([seed, 5])
        h = generator.standard_normal((6, 6)) + 1j * generator.standard_normal((6, 6))
        h = (h + h[::-1, ::-1].conj()) / 2
        x = generator.standard_normal((6, 64)) + 1j * generator.standard_normal((6, 64))
        y = (generator.standard_normal((6, 6)) + 1j * generator.standard_normal((6, 6))) @ x
        start.append(pt_violation(h))
        for _ in range(100):
            h = h - 0.05 * (h @ x - y) @ x.conj().T / x.shape[1]
        end.append(pt_violation(h))
    from grokkit.tasks import Mean

    broken = TwoLevel(1.0, 1.5)
    figures = {
        "violation before": Figure(max(start), n=len(seeds), what="largest violation of PT symmetry before training"),
        "violation after": of_mean(Mean.of(end), "violation of PT symmetry after 100 steps of gradient descent"),
        "violation, broken": Figure(pt_violation(broken.matrix()), what="violation at gain 1.5 x coupling"),
    }
    real = bool(np.abs(np.linalg.eigvals(broken.matrix()).imag).max() < 1e-9)
    facts: dict[str, bool | str] = {"PT symmetry keeps the spectrum real": real}
    note = (
        "Matrices made PT-symmetric, then fitted to random maps. The symmetry has to be imposed at every step; and it "
        "does not keep a spectrum real beyond gain = coupling."
    )
    return Measurement("C05", figures, facts, {}, f"seeds {seeds[0]} to {seeds[-1]}", context.scale, note)


def _balance(context: Context) -> Measurement:
    """Claim C07: what dI/dt is depends on what I is; under a freeze every choice has none."""
    from grokkit.transfer.control import activation_entropy, effective_features

    seeds = seeds_of(context, MATRICES[context.scale])
    changes: dict[str, list[float]] = {"loss": [], "entropy": [], "effective features": [], "parameters": []}
    frozen = []
    for seed in seeds:
        rows, _, model, activations = _train(-1e9, seed)
        count = float(sum(p.numel() for p in model.parameters()))
        readings = {
            "loss": (rows[0]["loss"], rows[-1]["loss"]),
            "entropy": (activation_entropy(activations[0]), activation_entropy(activations[-1])),
            "effective features": tuple(effective_features(a).count for a in (activations[0], activations[-1])),
            "parameters": (count, count),
        }
        for name, (first, last) in readings.items():
            changes[name].append(abs(last - first) / abs(first))
        frozen.append(_train(1e9, seed)[1])
    from grokkit.tasks import Mean

    figures = {
        f"change, {name}": of_mean(Mean.of(values), f"relative change in training of {name}")
        for name, values in changes.items()
    }
    figures["moved while frozen"] = Figure(max(frozen), n=len(seeds), what="largest move of a parameter while frozen")
    kept = {name: max(values) <= STILL for name, values in changes.items()}
    facts: dict[str, bool | str] = {"readings of I agree": len(set(kept.values())) == 1}
    note = (
        "The source defines neither I nor C. Taken for I: the loss, two entropies of features, the count of parameters."
    )
    return Measurement("C07", figures, facts, {}, f"seeds {seeds[0]} to {seeds[-1]}", context.scale, note)


PROTOCOLS = (
    Protocol("growth", "Parity grown, and the algebra of growth", ("C01", "C02", "C08"), growth, NEEDS),
    Protocol("control", "Sparsity, silence and symmetry", ("C03", "C04", "C05", "C06", "C07"), control, NEEDS),
)
