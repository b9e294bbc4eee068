"""``grokkit verify``: prove scheme files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grokkit.cli._output import Json, Verb, as_float, check_readable, one_line, plural, print_json

EXAMPLE = """\b
Example:
  grokkit expand strassen --levels 2 --out s4.json
  grokkit verify s4.json

The verdict on a file is exact, refuted (it is a scheme, and wrong) or unreadable (empty, cut off, or no scheme file).

Exit status: 0 every file is exact; 1 one is refuted or unreadable; 2 one is missing, may not be read, or is a
directory, a pipe or a device."""


def register(app: typer.Typer) -> None:
    app.command("verify", cls=Verb, short_help="Prove scheme files in exact arithmetic.", epilog=EXAMPLE)(verify)


def verify(
    files: Annotated[list[Path], typer.Argument(help="Scheme files in grokkit's JSON.", metavar="FILE...")],
    json: Json = False,
) -> int:
    """Prove in exact arithmetic that schemes compute what they claim. Certificates in files are rechecked."""
    for path in files:
        check_readable(path)  # what cannot be read is bad input, before anything is printed
    results = [_check(path) for path in files]
    if json:
        print_json({"results": results})
    else:
        for row in results:
            print(_line(row))
    return 0 if all(row["verdict"] == "exact" for row in results) else 1


def _check(path: Path) -> dict[str, Any]:
    from grokkit import scheme as room

    row: dict[str, Any] = {"file": str(path), "verdict": "unreadable", "reason": "", "format": None}
    row |= {"rank": None, "ring": None, "ternary": None, "digest": None}
    try:
        scheme, claimed = room.read_scheme(path)
        row["format"] = list(scheme.target.format) if isinstance(scheme.target, room.MatrixProduct) else None
        row |= {
            "rank": scheme.rank,
            "ring": str(scheme.ring),
            "ternary": scheme.ternary,
            "digest": scheme.digest,
        }
        certificate = room.verify(scheme)
        if claimed is not None:
            room.check_claim(claimed, certificate.to_json(), path)
    except room.Refuted as error:
        return row | {
            "verdict": "refuted",
            "reason": str(error),
            "wrong": error.wrong,
            "equations": error.equations,
            "index": list(error.index),
            "expected": room.rational_text(error.expected),
            "found": room.rational_text(error.found),
        }
    except room.InvalidInput as error:
        return row | {"reason": str(error)}
    return row | {
        "verdict": "exact",
        "equations": certificate.equations,
        "additions": room.additions(scheme).total,
        "growth_factor": as_float(room.growth_factor(scheme)),
    }


def _line(row: dict[str, Any]) -> str:
    if row["verdict"] == "exact":
        n, m, p = row["format"]
        kind = ", ternary" if row["ternary"] else ""
        return one_line(
            f"{row['file']}: exact: <{n},{m},{p};{row['rank']}> over {row['ring']}{kind}, "
            f"{plural(row['equations'], 'equation')}, {plural(row['additions'], 'addition')}, "
            f"sha256 {row['digest'][:16]}"
        )
    return one_line(f"{row['file']}: {row['verdict']}: {row['reason'].removeprefix(row['file'] + ': ')}")
