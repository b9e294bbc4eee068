"""``grokkit demo``: the whole line in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grokkit.cli._output import Json, Verb, out_path, print_json, progress_bar, say_no

EXAMPLE = """\b
Example:
  grokkit demo --seed 1 --out demo-1

Writes OUT/index.html, a page with figures that opens without a network, the example's scheme file, and
summary.json.

Exit status: 0 at least one network became an exact algorithm; 1 none did, and nothing is written; 2 bad input;
130 interrupted by Ctrl-C or SIGTERM."""


def register(app: typer.Typer) -> None:
    short = "Train networks, prove what they became, make a page of it."
    app.command("demo", cls=Verb, short_help=short, epilog=EXAMPLE)(demo)


def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Directory for the page and files.", metavar="DIR", parser=out_path)
    ] = Path("grokkit-demo"),
    runs: Annotated[int, typer.Option(help="Networks to train.", metavar="N", min=1, max=100_000)] = 256,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", metavar="N", min=0)] = 0,
    workers: Annotated[int, typer.Option(help="Worker processes for the training.", metavar="N", min=1)] = 1,
    json: Json = False,
) -> int:
    """Train networks, turn them into proven algorithms, expand one to any size, and show it all."""
    from grokkit.scheme import need_extra, undone_if_empty

    need_extra("grokkit demo", "matplotlib", "jinja2")
    from grokkit.studies._demo import DemoInterrupted, NothingExact, run_demo
    from grokkit.studies._page import write_demo_page

    say = _silent if json else print
    try:
        with undone_if_empty(out):
            result = run_demo(progress_bar, say, runs=runs, seed=seed, workers=workers)
            _write(out, result)
            write_demo_page(result, out / "index.html")
    except DemoInterrupted:
        raise KeyboardInterrupt from None
    except NothingExact as error:
        return say_no("demo", str(error), {}, json)
    if json:
        print_json(result.to_json() | {"out": str(out), "page": str(out / "index.html")})
    else:
        _show(result, out)
    return 0 if result.crystallized["full"].exact else 1


def _silent(text: str) -> None:
    """With --json nothing else goes to stdout."""


def _write(out: Path, result: Any) -> None:
    import json

    from grokkit.scheme import save, write_atomically

    save(result.scheme, out / "scheme.json", result.example.certificate)
    write_atomically(out / "summary.json", json.dumps(result.to_json(), indent=1, sort_keys=True) + "\n")


def _show(result: Any, out: Path) -> None:
    from grokkit.cli.expand import print_errors
    from grokkit.scheme import additions, growth_factor

    for large, certificate in result.expanded:
        print(f"   {large.name}: all {certificate.equations:,} equations proven")
    print()
    print(f"Run {result.population.runs[result.example.run]} became:")
    print(result.scheme)
    print(f"{additions(result.scheme).total} additions, growth factor {growth_factor(result.scheme)}")
    if result.example.path.sandwich:
        names = (f"{letter} = {_matrix(g)}" for letter, g in zip("PQR", result.example.path.sandwich, strict=True))
        print("The trained network's own basis: " + ", ".join(names))
    print(f"To Strassen's algorithm: {result.basis_change}")
    print()
    print_errors(result.table, "float32")
    product = result.product
    n, m, p = product.shape
    print(
        f"{n} x {m} by {m} x {p} with {product.levels} levels in float32, against float64: relative error "
        f"{product.relative_error:.2e}, largest {product.largest_error:.2e}, bound {product.bound:.2e}"
    )
    print()
    print(f"{result.seconds:.0f} s in all. Page: {out / 'index.html'}")


def _matrix(rows: Any) -> str:
    return "[" + "; ".join(" ".join(f"{x:.3f}" for x in row) for row in rows) + "]"
