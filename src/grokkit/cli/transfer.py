"""``grokkit transfer``: what carries over to larger models, measured beside baselines, with figures."""

from __future__ import annotations

import json as json_room
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from grokkit.cli._output import Json, Verb, out_path, plural, print_json, print_table, verb_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATUS: Final = "Exit status: 0 done, whatever was found; 2 bad input; 130 interrupted."
FILES: Final = "Writes OUT/results.json, and every figure as PNG and SVG. Intervals are 95 %, n is the number of seeds."
PROBLEMS: Final = ("wave", "extended", "cyclotron", "drift")
PROTOCOLS: Final = ("shared", "blind", "split")

Seeds = Annotated[int, typer.Option(help="Independent repetitions.", metavar="N", min=1, max=1000)]
First = Annotated[
    int, typer.Option("--seed", help="The first seed; the others follow it.", metavar="N", min=0, max=2**31)
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for figures [default: runs/transfer-NAME].", metavar="DIR", parser=out_path),
]


def register(app: typer.Typer) -> None:
    verbs = verb_group("transfer", "Measure what carries over to larger models.", "grokkit transfer parity")
    for function, short, example in (
        (parity, "A learned parity, grown to larger networks.", "grokkit transfer parity --seeds 3"),
        (operator, "Operators carried to finer grids.", "grokkit transfer operator --problem wave --seeds 5"),
        (fusion, "Two frozen experts behind a gate.", "grokkit transfer fusion --seeds 10"),
        (control, "Sparsity in a closed loop, under drift.", "grokkit transfer control --seeds 5"),
    ):
        epilog = f"\b\nExample:\n  {example}\n\n{FILES}\n\n{STATUS}"
        verbs.command(function.__name__, cls=Verb, short_help=short, epilog=epilog)(function)
    app.add_typer(verbs)


def parity(
    sizes: Annotated[
        str | None,
        typer.Option(help="Inputs x hidden units [default: the published five].", metavar="128x2048,..."),
    ] = None,
    samples: Annotated[int, typer.Option(help="Random rows of each judgement.", metavar="N", min=1)] = 2000,
    seeds: Seeds = 3,
    first: First = 0,
    out: Out = None,
    json: Json = False,
) -> int:
    """Train the parity of 3 of 32 bits, grow the network exactly, and judge it beside random controls."""
    import torch

    from grokkit.studies import Proportion
    from grokkit.transfer.embed import PREDICTORS, SIZES, study_parity
    from grokkit.transfer.embed.figures import parity_by_size

    torch.set_num_threads(1)
    chosen = SIZES if sizes is None else tuple(_size(part) for part in sizes.replace(",", " ").split())
    found = study_parity(range(first, first + seeds), chosen, samples=samples)
    content = _finish("parity", out, found.to_json(), {"parity": parity_by_size(found)})
    if json:
        print_json(content)
        return 0
    rows = [
        [
            f"{size[0]} / {size[1]}",
            *(found.accuracy(name, size).brief for name in PREDICTORS),
            str(Proportion(found.always_right(PREDICTORS[0], size), seeds)),
        ]
        for size in found.sizes
    ]
    print_table(["inputs / hidden", *PREDICTORS, "right on every row"], rows)
    learned = sum(each.verdict == "learned" for each in found.full_test)
    print(f"parity of all 32 bits: learned in {learned} of {plural(seeds, 'network')}; on new rows, each")
    for each in found.full_test:
        print(f"  {each}")
    _say_where(content)
    return 0


def operator(
    problem: Annotated[str, typer.Option(help="Which fields.", metavar=f"[{'|'.join(PROBLEMS)}]")] = "wave",
    nodes: Annotated[
        str | None, typer.Option(help="Grids to judge on [default: by problem].", metavar="16,32,...")
    ] = None,
    operators: Annotated[
        int, typer.Option(help="Random operators for the spectral-tail bound.", metavar="N", min=1)
    ] = 500,
    seeds: Seeds = 5,
    first: First = 0,
    out: Out = None,
    json: Json = False,
) -> int:
    """Train operators on a coarse grid and judge them on finer ones, beside wrong embeddings and persistence."""
    import torch

    from grokkit.transfer.operators import (
        CASES,
        KINDS,
        bound_by_resolution,
        bound_violations,
        error_by_resolution,
        fields_side_by_side,
        heat_kernel,
    )

    torch.set_num_threads(1)
    case = CASES[_one_of("--problem", problem, PROBLEMS)]
    found = case.study(range(first, first + seeds), _numbers("--nodes", nodes) if nodes is not None else None)
    bounds = [bound_violations(kind, operators, first) for kind in KINDS]
    figures = {
        "errors": error_by_resolution(found),
        "bound": bound_by_resolution(*heat_kernel(), range(1, 48)),
        "fields": fields_side_by_side(found.grids[:3], {row: each[:3] for row, each in found.examples.items()}),
    }
    content = found.to_json() | {"bound": [each.to_json() for each in bounds]}
    content = _finish("operator", out, content, figures)
    if json:
        print_json(content)
        return 0
    print(f"{found.problem}: trained on {found.trained_on} nodes; mean squared error, predicting zero is 1")
    rows = [[row, *(found.error(row, each).brief for each in found.nodes)] for row in found.rows]
    print_table(["predictor", *(f"{each} nodes" for each in found.nodes)], rows)
    print("the spectral-tail bound on random operators:")
    for each in bounds:
        print(f"  {each.kind}: {each.published} of {each.n} above the published bound, {each.completed} above ours")
    _say_where(content)
    return 0


def fusion(
    protocol: Annotated[str, typer.Option(help="What the experts see.", metavar=f"[{'|'.join(PROTOCOLS)}]")] = "shared",
    steps: Annotated[int, typer.Option(help="Training steps of each expert.", metavar="N", min=1)] = 1500,
    seeds: Seeds = 10,
    first: First = 0,
    out: Out = None,
    json: Json = False,
) -> int:
    """Fuse two frozen experts by a gate of the frequency; judge it at held-out frequencies, beside every baseline.

    Experts are trained over the whole range and see the frequency (shared), or do not see it (blind), or each is
    trained on its half of the range (split).
    """
    from dataclasses import replace

    import torch

    from grokkit.studies import Proportion
    from grokkit.transfer.fusion import PROTOCOLS as CONFIGS
    from grokkit.transfer.fusion import ROWS, fusion_by_frequency, study_fusion

    torch.set_num_threads(1)
    config = replace(CONFIGS[_one_of("--protocol", protocol, PROTOCOLS)], steps=steps)
    found = study_fusion(config, range(first, first + seeds))
    content = found.to_json() | {"protocol": protocol}
    content = _finish("fusion", out, content, {"fusion": fusion_by_frequency(found)})
    if json:
        print_json(content)
        return 0
    rows = [[row, found.error(row).brief, found.ratio(row, "oracle gate").brief] for row in ROWS]
    print_table(["predictor", "mean squared error", "over the oracle gate"], rows)
    wins = Proportion(found.wins, seeds)
    print(f"at most 1.05 of the oracle gate and no worse than the better expert, in seeds: {wins}")
    _say_where(content)
    return 0


def control(seeds: Seeds = 5, first: First = 0, out: Out = None, json: Json = False) -> int:
    """Steer sparsity in a closed loop while the data drift: a fixed strength, ours, and the published sign."""
    import torch

    from grokkit.studies import Proportion
    from grokkit.transfer.control import POLICIES, study_control
    from grokkit.transfer.control.figures import LABELS, controller_traces, two_level_spectrum

    torch.set_num_threads(1)
    found = study_control(range(first, first + seeds))
    traces = [trace for each in found.drifts.values() for trace in each]
    figures = {
        "drift": controller_traces(traces, threshold=found.config.threshold),
        "two-level": two_level_spectrum(),
    }
    content = _finish("control", out, found.to_json(), figures)
    if json:
        print_json(content)
        return 0
    shown = {"psi_before": "psi before", "psi_after": "psi after", "explained_after": "explained after"}
    shown |= {"connected_before": "connected before", "connected_after": "connected after"}
    rows = [
        [
            LABELS[policy],
            str(Proportion(found.collapsed(policy), seeds)),
            *(found.figures(policy)[each].brief for each in shown),
        ]
        for policy in POLICIES
    ]
    print_table(["strength", "collapsed", *shown.values()], rows)
    _say_where(content)
    return 0


def _size(text: str) -> tuple[int, int]:
    from grokkit.scheme import InvalidInput

    try:
        inputs, hidden = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise InvalidInput(f"grokkit transfer parity: --sizes {text[:40]!r}; write sizes such as 128x2048") from None
    return inputs, hidden


def _numbers(option: str, text: str) -> list[int]:
    from grokkit.scheme import InvalidInput

    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise InvalidInput(f"grokkit transfer: {option} {text[:40]!r}; write numbers, such as 16,32") from None


def _one_of(option: str, text: str, names: tuple[str, ...]) -> str:
    from grokkit.scheme import InvalidInput, suggestion

    found = text.strip().lower()
    if found not in names:
        raise InvalidInput(f"grokkit transfer: {option} {text[:40]!r}{suggestion(found, names)}")
    return found


def _finish(name: str, out: Path | None, content: dict[str, Any], figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Write the results and the figures; return the results with the files' names."""
    import io

    from grokkit.cli._output import plain
    from grokkit.scheme import write_atomically

    folder = out or Path("runs") / f"transfer-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for title, made in figures.items():
        for suffix in ("png", "svg"):
            stream = io.BytesIO()
            metadata = {"Software": None} if suffix == "png" else {"Date": None, "Creator": None}
            made.savefig(stream, format=suffix, metadata=metadata, dpi=140)
            path = folder / f"{title}.{suffix}"
            write_atomically(path, stream.getvalue())
            files.append(str(path))
    path = folder / "results.json"
    write_atomically(path, json_room.dumps(plain(content), allow_nan=False, indent=1) + "\n")
    return content | {"out": str(folder), "figures": files, "results": str(path)}


def _say_where(content: dict[str, Any]) -> None:
    print(f"results and {plural(len(content['figures']), 'figure file')} in {content['out']}")
