"""``grokkit verify``: prove scheme files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grokkit.cli._output import Json, print_json

EXAMPLE = """Example: grokkit verify strassen.json other.json --json

Exit status: 0 every file is exact, 1 one is not (refuted or unreadable), 2 a file is missing."""


def register(app: typer.Typer) -> None:
    app.command("verify", epilog=EXAMPLE)(verify)


def verify(
    files: Annotated[list[Path], typer.Argument(help="Scheme files in grokkit's JSON.", metavar="FILE...")],
    json: Json = False,
) -> int:
    """Prove in exact arithmetic that schemes compute what they claim. Certificates in files are rechecked."""
    for path in files:
        path.open("rb").close()  # a missing or unreadable path is bad input, before anything is printed
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
            "expected": str(error.expected),
            "found": str(error.found),
        }
    except room.InvalidInput as error:
        return row | {"reason": str(error)}
    return row | {
        "verdict": "exact",
        "equations": certificate.equations,
        "additions": room.additions(scheme).total,
        "growth_factor": float(room.growth_factor(scheme)),
    }


def _line(row: dict[str, Any]) -> str:
    if row["verdict"] == "exact":
        n, m, p = row["format"]
        kind = ", ternary" if row["ternary"] else ""
        return (
            f"{row['file']}: exact: <{n},{m},{p};{row['rank']}> over {row['ring']}{kind}, "
            f"{row['equations']} equations, {row['additions']} additions, sha256 {row['digest'][:16]}"
        )
    return f"{row['file']}: {row['verdict']}: {row['reason'].removeprefix(row['file'] + ': ')}"
