"""``grokkit crystallize``: trained factors to proven schemes."""

from __future__ import annotations

import json as json_module
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from grokkit.cli._output import Json, print_json, progress_bar

EXAMPLE = """Examples: grokkit crystallize runs/b32 --method full --json
grokkit crystallize weights.pt --out found

Exit status: 0 at least one run is exact, 1 none is, 2 bad input."""


def register(app: typer.Typer) -> None:
    app.command("crystallize", epilog=EXAMPLE)(crystallize)


def crystallize(
    source: Annotated[
        Path, typer.Argument(help="Directory written by grokkit train, or a weight file.", metavar="DIR|FILE")
    ],
    method: Annotated[str, typer.Option(help="plain (round), scaled (fix slot scales, round) or full.")] = "full",
    seed: Annotated[int, typer.Option(help="Seed of the restarts.", min=0)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Where the schemes go [default: DIR/crystallized-METHOD; for a file: nowhere].",
            metavar="DIR",
        ),
    ] = None,
    fallback: Annotated[
        str | None,
        typer.Option(help="Write this textbook scheme (strassen) for failed runs, marked and counted apart."),
    ] = None,
    json: Json = False,
) -> int:
    """Turn trained factors into exact schemes, each proven over the integers."""
    from grokkit import crystallize as crystallize_runs
    from grokkit.crystallize import METHODS
    from grokkit.scheme import InvalidInput

    if method not in METHODS:
        raise InvalidInput(f"grokkit crystallize: --method {method!r}; use one of {', '.join(METHODS)}")
    numbers, factors, target, folder = _read(source)
    substitute = _fallback(fallback, target)
    folder = out or (folder / f"crystallized-{method}" if folder else None)
    started = time.process_time()
    with progress_bar("crystallizing", len(numbers), "runs") as advance:
        result = crystallize_runs(factors, target, method=method, seed=seed, progress=advance)
    seconds = (time.process_time() - started) / max(1, len(result))
    reasons = Counter(run.reason.split(":")[0] for run in result if not run.exact)
    summary: dict[str, Any] = {
        "source": str(source),
        "method": method,
        "seed": seed,
        "format": list(target.format),
        "runs": len(result),
        "exact": result.exact,
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
        print(
            f"{result.exact} of {len(result)} runs exact with method {method} "
            f"({1000 * seconds:.1f} ms CPU a run); "
            f"{result.converged_before_polish} had converged by training alone"
        )
        for stage, count in reasons.items():
            first = next(run.reason for run in result if run.reason.startswith(stage))
            print(f"  {count} failed at {stage}, such as: {first}")
        if substitute is not None:
            print(f"  {summary['fallback']} replaced by the textbook scheme {fallback} (not counted as exact)")
        if folder is not None:
            print(f"  schemes and table written to {folder}")
        elif result.exact:
            print(next(run.scheme for run in result if run.exact))
    return 0 if result.exact else 1


def _read(source: Path) -> tuple[list[int], Any, Any, Path | None]:
    """Run numbers, factors, target and the population's directory (None for a weight file)."""
    from grokkit.scheme import find_factors, read_weights

    if source.is_dir():
        from grokkit.training import load_population

        population = load_population(source)
        return population.runs.tolist(), population.factors, population.config.target, source
    found = find_factors(read_weights(source), str(source))
    return [0], (found.U, found.V, found.W), found.target, None


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
    text = json_module.dumps({"summary": summary, "runs": rows}, indent=1, sort_keys=True)
    write_atomically(folder / "crystallization.json", text + "\n")
