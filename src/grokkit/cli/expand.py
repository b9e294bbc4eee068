"""``grokkit expand``: a scheme to larger formats, with the errors that come of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grokkit.cli._output import Json, print_json, print_table

EXAMPLE = """Examples: grokkit expand strassen --levels 4 --out 16x16x16.json
grokkit expand weights.pt --sizes 2,4,8,16,32,64

Exit status: 0 done, 1 the scheme is refuted or the weights hold none, 2 bad input."""


def register(app: typer.Typer) -> None:
    app.command("expand", epilog=EXAMPLE)(expand)


def expand(
    source: Annotated[
        str,
        typer.Argument(help="A scheme file, a catalog name (strassen, 2x2x2:7), or a weight file.", metavar="SCHEME"),
    ],
    levels: Annotated[int, typer.Option(help="Recursive steps of the expanded scheme.", min=0, max=32)] = 2,
    sizes: Annotated[
        str, typer.Option(help="Matrix sizes of the error table, such as 2,4,8 or 2 4 8.")
    ] = "2,4,8,16,32,64",
    dtype: Annotated[str, typer.Option(help="Precision of the error table: float32 or float64.")] = "float32",
    pairs: Annotated[int, typer.Option(help="Independent pairs of matrices a size.", min=1)] = 25,
    seed: Annotated[int, typer.Option(help="Seed of the matrices.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Write the expanded scheme here.", metavar="FILE")] = None,
    json: Json = False,
) -> int:
    """Expand a scheme exactly, prove the result, and measure what recursion costs in accuracy."""
    from grokkit import scheme as room
    from grokkit.studies import NoExpansion, expansion_table

    if dtype not in ("float32", "float64"):
        raise room.InvalidInput(f"grokkit expand: --dtype {dtype!r}; use float32 or float64")
    wanted = _sizes(sizes)
    try:
        base, metrics = _base(source, seed)
    except NoExpansion as error:
        return _no(str(error), {"metrics": error.metrics}, json)
    except room.Refuted as error:
        return _no(f"{source}: {error}", {}, json)
    large = room.expand(base, levels)
    certificate = room.verify(large)
    if out is not None:
        room.save(large, out, certificate)
    rows = expansion_table(base, wanted, dtype=dtype, pairs=pairs, seed=seed)
    if json:
        print_json(
            {
                "source": source,
                "scheme": _facts(base),
                "levels": levels,
                "expanded": _facts(large) | {"certificate": certificate.to_json()},
                "out": None if out is None else str(out),
                "metrics": metrics,
                "dtype": dtype,
                "seed": seed,
                "table": [row.to_json() for row in rows],
            }
        )
        return 0
    facts = _facts(base)
    print(f"{base.name} over {base.ring}, {facts['additions']} additions, growth {facts['growth_factor']:g}")
    print(f"{levels} levels: {large.name}, all {certificate.equations} equations proven")
    if out is not None:
        print(f"written to {out}")
    print_errors(rows, dtype)
    return 0


def print_errors(rows: list[Any], dtype: str) -> None:
    """The error table, down to single entries, beside what the source states."""
    print(
        f"errors of the full recursion in {dtype}, median of {rows[0].pairs} Gaussian pairs [95 % interval]:"
        if rows
        else ""
    )
    header = ["N", "relative", "[95 %]", "stated", "largest", "stated", "bound", "classical", "commutation"]
    print_table(header, [_error_cells(row) for row in rows])


def _error_cells(row: Any) -> list[str]:
    return [
        str(row.size),
        f"{row.relative.value:.2e}",
        f"[{row.relative.low:.1e}, {row.relative.high:.1e}]",
        "" if row.stated_relative is None else f"{row.stated_relative:.2e}",
        f"{row.largest.value:.2e}",
        "" if row.stated_largest is None else f"{row.stated_largest:.2e}",
        f"{row.bound.value:.1e}",
        f"{row.classical_relative.value:.2e}",
        "" if row.commutation is None else f"{row.commutation.value:.1e}",
    ]


def _sizes(text: str) -> list[int]:
    from grokkit.scheme import InvalidInput

    try:
        sizes = [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise InvalidInput(f"grokkit expand: --sizes {text!r} are not whole numbers; write 2,4,8") from None
    if not sizes or min(sizes) < 1 or max(sizes) > 4096:
        raise InvalidInput(f"grokkit expand: --sizes {text!r}; sizes of 1 to 4096 are needed")
    return sizes


def _base(source: str, seed: int) -> tuple[Any, dict[str, Any] | None]:
    """The scheme to expand, proven; with metrics if it had to be found in weights."""
    from grokkit import scheme as room
    from grokkit.scheme.catalog import catalog
    from grokkit.studies import discover_expansion_operator

    path = Path(source)
    if not path.exists():
        try:
            return catalog[source], None
        except KeyError as error:
            raise room.InvalidInput(f"grokkit expand: no file of that name, and {error.args[0]}") from None
    if path.is_dir():
        raise room.InvalidInput(f"{source}: a directory; give a scheme file, such as one in its schemes folder")
    with path.open("rb") as stream:
        looks_like_json = stream.read(1) in b"{["
    if looks_like_json:
        scheme = room.load(path)
        room.verify(scheme)
        return scheme, None
    operator, metrics = discover_expansion_operator(path, seed=seed)
    return operator.scheme, metrics


def _facts(scheme: Any) -> dict[str, Any]:
    from grokkit import scheme as room

    return {
        "format": list(scheme.target.format),
        "rank": scheme.rank,
        "ring": str(scheme.ring),
        "ternary": scheme.ternary,
        "digest": scheme.digest,
        "additions": room.additions(scheme).total,
        "growth_factor": float(room.growth_factor(scheme)),
    }


def _no(reason: str, more: dict[str, Any], json: bool) -> int:
    if json:
        print_json({"error": reason, "exit_code": 1, **more})
    else:
        print(f"grokkit expand: {reason}")
    return 1
