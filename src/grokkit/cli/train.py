"""``grokkit train``: train a population of bilinear networks."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from grokkit.cli._output import Json, print_json, progress_bar

EXAMPLE = """Examples: grokkit train --runs 256 --batch-size 32 --out runs/b32
grokkit train --preset source --seed 7 --out runs/source --json

A training that was interrupted goes on when the same command is given again. Results do not depend on
--workers. Exit status: 0 trained, 2 bad input, 130 interrupted (what there is has been saved)."""


def register(app: typer.Typer) -> None:
    app.command("train", epilog=EXAMPLE)(_with_configuration_options(train))


def train(
    out: Annotated[Path, typer.Option("--out", help="Directory for the result (required).", metavar="DIR")],
    preset: Annotated[
        str, typer.Option(help="Start from: default (ours) or source (the published protocol).")
    ] = "default",
    config: Annotated[
        Path | None, typer.Option("--config", help="Start from a TOML file of fields.", metavar="FILE")
    ] = None,
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
    device: Annotated[str, typer.Option(help="A torch device, such as cpu or cuda.")] = "cpu",
    json: Json = False,
    **fields: Any,
) -> int:
    """Train many bilinear networks at once, each from its own random weights."""
    import time

    from grokkit.training import TrainConfig
    from grokkit.training import train as train_population

    changes = {name: value for name, value in fields.items() if value is not None}
    settings = TrainConfig.from_toml(config, **changes) if config else TrainConfig.preset(preset, **changes)
    started = time.perf_counter()
    with progress_bar("training", settings.runs * settings.total_steps, "runs x steps") as advance:
        population = train_population(settings, out=out, workers=workers, device=device, progress=advance)
    summary = {
        "out": str(out),
        "runs": len(population),
        "converged": population.converged,
        "converged_before_pruning": population.converged_before_pruning,
        "runs_steps_per_second": population.runs_steps_per_second,
        "seconds": time.perf_counter() - started,
        "complete": population.complete,
        "steps": settings.total_steps,
        "slots": settings.final_slots,
        "seed": settings.seed,
        "batch_size": settings.batch_size,
    }
    if json:
        print_json(summary)
    else:
        print(
            f"{len(population)} of {settings.runs} runs, {settings.total_steps} steps each, "
            f"in {summary['seconds']:.1f} s ({population.runs_steps_per_second:,.0f} runs x steps/s a worker)"
        )
        print(f"{population.converged} converged (test loss below 1e-6); written to {out}")
        if not population.complete:
            print("interrupted: give the same command again to go on")
    return 0 if population.complete else 130


def _with_configuration_options(command: Callable[..., int]) -> Callable[..., int]:
    """The command with one option for every field of the configuration, taken from its definition."""
    from grokkit.training._config import TrainConfig

    hints = get_type_hints(TrainConfig)
    signature = inspect.signature(command, eval_str=True)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    for each in dataclasses.fields(TrainConfig):
        default = each.default if each.default != "" else "none"
        help_text = f"{each.metadata['help']} [default preset: {default}]"
        option = typer.Option(
            f"--{each.name.replace('_', '-')}",
            help=help_text,
            show_default=False,
            rich_help_panel="Configuration",
        )
        annotation = Annotated[hints[each.name] | None, option]
        parameters.append(
            inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        )
    positional = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]

    def wrapped(**arguments: Any) -> int:
        return command(**arguments)

    wrapped.__doc__ = command.__doc__
    wrapped.__signature__ = signature.replace(parameters=positional)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in positional} | {"return": int}
    return wrapped
