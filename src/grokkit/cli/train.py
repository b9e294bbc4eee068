"""``grokkit train``: train a population of bilinear networks, or all runs of a study."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from grokkit.cli._output import Json, Verb, check_readable, out_path, plural, print_json, print_table, progress_bar

CHANGED = ("seed", "shard_size")
"""Fields that a study takes from the command line too."""
OF_STUDIES = (*CHANGED, "engine")

EXAMPLE = """\b
Examples:
  grokkit train --runs 256 --batch-size 32 --out runs/b32
  grokkit train --preset source --seed 7 --out runs/source --json
  grokkit train --study studies/protocol-b.toml --workers 2 --out runs/b

A training that was interrupted goes on when the same command is given again. Results do not depend on
--workers, nor a study's on --engine. Read a study's runs with grokkit report, pandas or DuckDB.

Exit status: 0 trained; 2 bad input; 130 interrupted by Ctrl-C or SIGTERM, and what there is has been saved."""


def register(app: typer.Typer) -> None:
    short = "Train a population of bilinear networks."
    app.command("train", cls=Verb, short_help=short, epilog=EXAMPLE)(_with_configuration_options(train))


def train(
    out: Annotated[Path, typer.Option("--out", help="Directory for the result.", metavar="DIR", parser=out_path)],
    preset: Annotated[
        str | None,
        typer.Option(
            help="Start from ours or from the published protocol. [default: default]", metavar="[default|source]"
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Start from a TOML file of fields instead of a preset.", metavar="FILE"),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option("--study", help="Make the runs of a study: a protocol in a TOML file.", metavar="FILE"),
    ] = None,
    workers: Annotated[int, typer.Option(help="Worker processes.", metavar="N", min=1)] = 1,
    device: Annotated[str, typer.Option(help="A torch device, such as cpu or cuda.", metavar="NAME")] = "cpu",
    json: Json = False,
    **fields: Any,
) -> int:
    """Train many bilinear networks at once, each from its own random weights, or all runs of a study."""
    if study is not None:
        given = [name for name, value in fields.items() if value is not None and name not in OF_STUDIES]
        other = {"preset": preset, "config": config, "device": None if device == "cpu" else device}
        _check_alone([*given, *(name for name, value in other.items() if value is not None)])
        changes = {name: fields[name] for name in CHANGED if fields[name] is not None}
        return _train_study(study, out, fields["engine"] or "joblib", workers, changes, json)

    import time

    from grokkit.scheme import InvalidInput
    from grokkit.training import TrainConfig
    from grokkit.training import train as train_population

    if config is not None and preset is not None:
        raise InvalidInput("grokkit train: --preset and --config both say where to start; give one of them")
    changes = {name: value for name, value in fields.items() if value is not None}
    if config is not None:
        check_readable(config)
        settings = TrainConfig.from_toml(config, **changes)
    else:
        settings = TrainConfig.preset(preset or "default", **changes)
    before = _finished_shards(out)
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
        speed = f"in {summary['seconds']:.1f} s ({population.runs_steps_per_second:,.0f} runs x steps/s a worker)"
        steps = plural(settings.total_steps, "step")
        if not population.complete:
            steps = f"{population.steps_done.mean():.0f} of {steps}"
        print(
            f"{len(population)} of {plural(settings.runs, 'run')}, {steps} each, "
            + ("already trained" if before == settings.shards else speed)
        )
        print(f"{population.converged} converged (test loss below 1e-6); written to {out}")
        if not population.complete:
            print("interrupted: give the same command again to go on")
    return 0 if population.complete else 130


def _check_alone(given: list[str]) -> None:
    from grokkit.scheme import InvalidInput

    if given:
        name = given[0].replace("_", "-")
        raise InvalidInput(f"grokkit train: --{name} does not go with --study; the protocol in its file says all that")


def _train_study(path: Path, out: Path, engine: str, workers: int, changes: dict[str, Any], json: bool) -> int:
    """Make the runs that a study's folder lacks."""
    import time

    from grokkit.studies.runs import Study, run_study

    check_readable(path)
    study = Study.from_toml(path, **changes)
    started = time.perf_counter()
    with progress_bar(study.title, study.total_runs, "runs") as advance:
        runs = run_study(study, out, engine=engine, workers=workers, progress=advance)
    shares = {name: runs.success(name, by=())[0].proportion for name in study.outcomes}
    if json:
        print_json(
            {
                "out": str(out),
                "study": study.title,
                "digest": study.digest,
                "runs": len(runs),
                "cells": len(study.cells),
                "complete": runs.complete,
                "seconds": time.perf_counter() - started,
                "cpu_seconds": runs.cpu_seconds,
                "seed": study.seed,
                "rows_sha256": runs.rows_sha256,
                "outcomes": {name: share.to_json() for name, share in shares.items()},
            }
        )
        return 0
    print(study.title)
    print(f"{plural(len(runs), 'run')} in {plural(len(study.cells), 'cell')}, root seed {study.seed}; 95 % intervals")
    print_table(["outcome", "runs"], [[name, str(share)] for name, share in shares.items()])
    print(f"Written to {out}; grokkit report {out} makes a page of them")
    return 0


def _finished_shards(out: Path) -> int:
    from grokkit.training._train import SHARD_FOLDER

    return sum(path.stem.isdecimal() for path in (out / SHARD_FOLDER).glob("*.npz"))


def _with_configuration_options(command: Callable[..., int]) -> Callable[..., int]:
    """The command with one option for every field of the configuration, taken from its definition."""
    from grokkit.training._config import CHOICES, TrainConfig

    metavars = {int: "N", float: "X", str: "TEXT"}
    hints = get_type_hints(TrainConfig)
    signature = inspect.signature(command, eval_str=True)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    for each in dataclasses.fields(TrainConfig):
        default = each.default if each.default != "" else "none"
        other = "; with --study: joblib, threads, ray or dask" if each.name == "engine" else ""
        text = each.metadata["help"]
        help_text = f"{text[:1].upper()}{text[1:]}{other}. [default preset: {default}]"
        option = typer.Option(
            f"--{each.name.replace('_', '-')}",
            help=help_text,
            metavar=f"[{'|'.join(CHOICES[each.name])}]" if each.name in CHOICES else metavars[hints[each.name]],
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
