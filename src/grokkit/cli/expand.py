"""``grokkit expand``: a scheme to larger formats, with the errors that come of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from grokkit.cli._output import (
    Json,
    Verb,
    as_float,
    check_readable,
    is_standard_output,
    one_line,
    out_path,
    plural,
    print_json,
    print_table,
    proven,
    say_no,
)
from grokkit.cli._schemes import facts, read, split

LARGEST_EXPANSION: Final = 10**8
"""Coefficients of an expanded scheme, at most."""
MOST_PRODUCTS: Final = 10**10
"""Multiplications of numbers for one error table, at most: some twenty minutes."""

EXAMPLE = """\b
Examples:
  grokkit expand strassen --levels 4 --out 16x16x16.json
  grokkit expand 16x16x16.json --levels 1 --sizes 16,32

An expanded scheme of more than 10^8 coefficients is refused, and so is an error table of more than 10^10
multiplications.

Exit status: 0 done; 1 the scheme is refuted or the weights hold none; 2 bad input."""


def register(app: typer.Typer) -> None:
    short = "Expand a scheme to larger matrices; tabulate its errors."
    app.command("expand", cls=Verb, short_help=short, epilog=EXAMPLE)(expand)


def expand(
    source: Annotated[
        str,
        typer.Argument(
            help="A scheme file of any known format, FILE#NAME, a catalog name (strassen, 2x2x2:7), or a weight file.",
            metavar="SCHEME",
        ),
    ],
    levels: Annotated[
        int, typer.Option(help="Recursive steps of the expanded scheme.", metavar="N", min=0, max=32)
    ] = 2,
    sizes: Annotated[
        str, typer.Option(help="Matrix sizes of the error table, such as 2,4,8 or 2 4 8.", metavar="N,N,...")
    ] = "2,4,8,16,32,64",
    dtype: Annotated[str, typer.Option(help="Precision of the error table.", metavar="[float32|float64]")] = "float32",
    pairs: Annotated[
        int, typer.Option(help="Independent pairs of matrices a size.", metavar="N", min=1, max=10_000)
    ] = 25,
    seed: Annotated[int, typer.Option(help="Seed of the matrices.", metavar="N", min=0)] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the expanded scheme here.", metavar="FILE", parser=out_path),
    ] = None,
    json: Json = False,
) -> int:
    """Expand a scheme exactly, prove the result, and measure what recursion costs in accuracy."""
    from grokkit import scheme as room
    from grokkit.studies import NoExpansion

    if dtype not in ("float32", "float64"):
        raise room.InvalidInput(f"grokkit expand: --dtype {dtype!r}; use float32 or float64")
    wanted = _sizes(sizes)
    if json and out is not None and is_standard_output(out):
        raise room.InvalidInput("grokkit expand: --out is the standard output, where --json prints; choose a file")
    try:
        base, metrics = _base(source, seed)
    except NoExpansion as error:
        return say_no("expand", str(error), {"metrics": error.metrics}, json)
    except room.Refuted as error:
        return say_no("expand", f"{source}: {error}", {}, json)
    _check_work(base, levels, wanted, pairs)
    large = room.expand(base, levels)
    certificate = room.verify(large)
    if out is not None:
        room.save(large, out, certificate)
    rows, missing = _table(base, wanted, dtype, pairs, seed)
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
                "no_table": missing,
            }
        )
        return 0
    facts = _facts(base)
    value = facts["growth_factor"]
    growth = "not computed" if value is None else f"{value:g}" if math.isfinite(value) else "too large for a float"
    print(f"{base.name} over {base.ring}, {plural(facts['additions'], 'addition')}, growth {growth}")
    print(f"{plural(levels, 'level')}: {large.name}, {proven(certificate.equations)}")
    if out is not None:
        print(f"written to {out}")
    if missing is None:
        print_errors(rows, dtype)
    else:
        print(f"no error table: {one_line(missing)}")
    return 0


def print_errors(rows: list[Any], dtype: str) -> None:
    """The error table, down to single entries, beside what the source states."""
    pairs = plural(rows[0].pairs, "Gaussian pair")
    print(f"errors of the full recursion in {dtype}, median of {pairs} [95 % interval]:")
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


def _check_work(base: Any, levels: int, sizes: list[int], pairs: int) -> None:
    """Refuse what would take hours or more memory than there is."""
    from grokkit.execution import full_depth
    from grokkit.scheme import InvalidInput, MatrixProduct

    coefficients = base.rank**levels * sum(side**levels for side in base.target.shape)
    if coefficients > LARGEST_EXPANSION:
        raise InvalidInput(
            f"grokkit expand: --levels {levels}: {base.rank}^{levels} products with {coefficients:.1e} coefficients "
            "are too many; 10^8 coefficients are allowed"
        )
    if not isinstance(base.target, MatrixProduct):
        return
    products = pairs * sum(base.rank ** full_depth(base.target.format, (size, size, size)) for size in sizes)
    if products > MOST_PRODUCTS:
        raise InvalidInput(
            f"grokkit expand: --sizes to {max(sizes)} with --pairs {pairs} take {products:.1e} multiplications; "
            "10^10 are allowed"
        )


def _table(base: Any, sizes: list[int], dtype: str, pairs: int, seed: int) -> tuple[list[Any], str | None]:
    """The error table, or why there is none."""
    import numpy as np

    from grokkit.scheme import InvalidInput
    from grokkit.studies import expansion_table

    try:
        with np.errstate(over="raise", invalid="raise"):
            return expansion_table(base, sizes, dtype=dtype, pairs=pairs, seed=seed), None
    except InvalidInput as error:  # over GF(p), say
        return [], str(error)
    except ArithmeticError:
        return [], f"the coefficients are too large for {dtype}"


def _base(source: str, seed: int) -> tuple[Any, dict[str, Any] | None]:
    """The scheme to expand, proven; with metrics if it had to be found in weights."""
    from grokkit.studies import discover_expansion_operator

    path, member = split(source)
    if member or not path.is_file() or not _holds_weights(path):
        return read(source, "expand").scheme, None
    operator, metrics = discover_expansion_operator(path, seed=seed)
    return operator.scheme, metrics


def _holds_weights(path: Path) -> bool:
    """Whether a file holds trained weights, in which a scheme must be found, rather than schemes."""
    from grokkit.scheme import holds_weights

    check_readable(path)
    return holds_weights(path)


def _facts(scheme: Any) -> dict[str, Any]:
    from grokkit import scheme as room

    return facts(scheme) | {
        "additions": room.additions(scheme).total,
        "growth_factor": None if scheme.ring.complex else as_float(room.growth_factor(scheme)),
    }
