"""``grokkit crystallize``: trained factors to proven schemes."""

from __future__ import annotations

import json as json_module
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from grokkit.cli._output import Json, Verb, check_readable, one_line, out_path, plain, plural, print_json, progress_bar

EXAMPLE = """\b
Examples:
  grokkit train --runs 16 --out runs/first
  grokkit crystallize runs/first --method full

A weight file is a .pt, .npz or .safetensors file with U, V and W.

Exit status: 0 at least one run is exact; 1 none is; 2 bad input."""


def register(app: typer.Typer) -> None:
    short = "Turn trained networks into exact, proven schemes."
    app.command("crystallize", cls=Verb, short_help=short, epilog=EXAMPLE)(crystallize)


def crystallize(
    source: Annotated[
        Path, typer.Argument(help="Directory written by grokkit train, or a weight file.", metavar="DIR|FILE")
    ],
    method: Annotated[
        str | None,
        typer.Option(
            help="Round; or fix slot scales and round; or polish, fix the basis and round; or polish, find rationals. "
            "[default: full; of maps that are no matrix products rational]",
            metavar="[plain|scaled|full|rational]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the restarts.", metavar="N", min=0)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Where the schemes go [default: DIR/crystallized-METHOD; for a file: nowhere].",
            metavar="DIR",
            parser=out_path,
        ),
    ] = None,
    fallback: Annotated[
        str | None,
        typer.Option(
            help="Write this textbook scheme (strassen) for failed runs, marked and counted apart.", metavar="NAME"
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Turn trained factors into exact schemes, each proven over the integers."""
    from grokkit.crystallize import METHODS
    from grokkit.crystallize import crystallize as make_exact
    from grokkit.scheme import InvalidInput, MatrixProduct, suggestion

    if method is not None and method not in METHODS:
        raise InvalidInput(f"grokkit crystallize: --method {method!r}{suggestion(method, METHODS)}")
    numbers, factors, target, folder, complete = _read(source)
    method = method or ("full" if isinstance(target, MatrixProduct) else "rational")
    substitute = _fallback(fallback, target)
    folder = out or (folder / f"crystallized-{method}" if folder else None)
    started = time.process_time()
    with progress_bar("crystallizing", len(numbers), "runs") as advance:
        result = make_exact(factors, target, method=method, seed=seed, progress=advance)
    seconds = (time.process_time() - started) / max(1, len(result))
    reasons = Counter(run.reason.split(":")[0] for run in result if not run.exact)
    ranks = {str(rank): count for rank, count in sorted(Counter(scheme.rank for scheme in result.schemes).items())}
    summary: dict[str, Any] = {
        "source": str(source),
        "method": method,
        "seed": seed,
        **target.to_json(),
        "runs": len(result),
        "exact": result.exact,
        "ranks": ranks,
        "complete": complete,
        "converged_before_polish": result.converged_before_polish,
        "fallback": (len(result) - result.exact) if substitute is not None else 0,
        "cpu_seconds_per_run": seconds,
        "failed_at": dict(reasons),
        "out": None if folder is None else str(folder),
    }
    if folder is not None:
        _write(folder, numbers, result, summary, substitute)
    if json:
        print_json(summary)
    else:
        which = ", ".join(f"{count} of rank {rank}" for rank, count in ranks.items())
        print(
            f"{result.exact} of {plural(len(result), 'run')} exact{': ' * bool(which)}{which} "
            f"(method {method}, {1000 * seconds:.1f} ms CPU a run)"
        )
        print(
            f"  {result.converged_before_polish} had converged by training alone "
            "(mean squared error of the tensor below 1e-6)"
        )
        for stage, count in reasons.items():
            first = next(run.reason for run in result if run.reason.startswith(stage))
            print(f"  {count} failed at {stage}, such as: {one_line(first)}")
        if substitute is not None and folder is not None:
            print(f"  {summary['fallback']} replaced by the textbook scheme {fallback} (not counted as exact)")
        elif substitute is not None:
            print(f"  {summary['fallback']} left without a scheme: {fallback} is written for them only with --out")
        if folder is not None:
            print(f"  schemes and table written to {folder}")
        elif result.exact:
            print(next(run.scheme for run in result if run.exact))
    return 0 if result.exact else 1


def _read(source: Path) -> tuple[list[int], Any, Any, Path | None, bool | None]:
    """Run numbers, factors, target, the population's directory and whether its training is complete.

    For a weight file the last two are None.
    """
    from grokkit.scheme import find_factors, read_weights

    if source.is_dir():
        from grokkit.training import load_population

        population = load_population(source)
        config = population.config
        if not population.complete:
            done = int((population.steps_done == config.total_steps).sum())
            warning = f"{source}: training is incomplete, {done} of {plural(config.runs, 'run')} trained to the end"
            hint = "give the same grokkit train command again to go on"
            print(one_line(f"grokkit crystallize: {warning}; {hint}"), file=sys.stderr)
        return population.runs.tolist(), population.factors, config.target, source, population.complete
    check_readable(source)
    found = find_factors(read_weights(source), str(source))
    return [0], (found.U, found.V, found.W), found.target, None, None


def _fallback(name: str | None, target: Any) -> Any:
    """The textbook scheme that replaces failed runs; only on request."""
    if name is None:
        return None
    from grokkit.scheme import InvalidInput, Provenance
    from grokkit.scheme.catalog import catalog

    if name not in catalog:
        raise InvalidInput(f"grokkit crystallize: --fallback {name!r} is not in the catalog; use strassen")
    scheme = catalog[name]
    if scheme.target != target:
        raise InvalidInput(f"grokkit crystallize: --fallback {name} computes {scheme.target}, the runs {target}")
    return scheme.with_provenance(Provenance("fallback", configuration={"scheme": name}))


def _write(folder: Path, numbers: list[int], result: Any, summary: dict[str, Any], substitute: Any) -> None:
    from grokkit.scheme import save, verify, write_atomically

    (folder / "schemes").mkdir(parents=True, exist_ok=True)
    rows = []
    for number, run in zip(numbers, result, strict=True):
        row = {
            "run": number,
            "exact": run.exact,
            "fallback": False,
            "reason": run.reason,
            "path": asdict(run.path),
        }
        path = folder / "schemes" / f"run-{number:06d}.json"
        if run.exact:
            save(run.scheme, path, run.certificate)
            row |= {"digest": run.scheme.digest, "file": f"schemes/{path.name}"}
        elif substitute is not None:
            save(substitute, path, verify(substitute))
            row |= {"fallback": True, "digest": substitute.digest, "file": f"schemes/{path.name}"}
        else:
            path.unlink(missing_ok=True)
        rows.append(row)
    text = json_module.dumps(plain({"summary": summary, "runs": rows}), indent=1, sort_keys=True, allow_nan=False)
    write_atomically(folder / "crystallization.json", text + "\n")
