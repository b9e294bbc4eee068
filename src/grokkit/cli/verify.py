"""``grokkit verify``: prove scheme files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from grokkit.cli._output import Json, Verb, as_float, check_readable, one_line, plural, print_json
from grokkit.cli._schemes import facts, split

EXAMPLE = """\b
Examples:
  grokkit expand strassen --levels 2 --out s4.json
  grokkit verify s4.json

Read are grokkit's JSON, AlphaTensor archives (.npz), JSON with factor matrices, Maple TriadSets, Mathematica lists,
text with three blocks of numbers, products of linear forms (.exp), equations, SMS triples and weight files
with exact entries, recognized by their content. FILE#NAME is one scheme of a file of several.

The verdict on a scheme is exact (over GF(p) where it holds only modulo p), refuted (it is a scheme, and wrong) or
unreadable (empty, cut off, approximate, irrational, or no scheme).

Exit status: 0 every scheme is exact; 1 one is refuted or unreadable; 2 a file is missing, may not be read, or is a
directory, a pipe or a device."""


def register(app: typer.Typer) -> None:
    app.command("verify", cls=Verb, short_help="Prove scheme files in exact arithmetic.", epilog=EXAMPLE)(verify)


def verify(
    files: Annotated[list[str], typer.Argument(help="Scheme files of any known format.", metavar="FILE...")],
    json: Json = False,
) -> int:
    """Prove in exact arithmetic that schemes compute what they claim. Certificates in files are rechecked."""
    sources = [split(name) for name in files]
    for path, _ in sources:
        check_readable(path)  # what cannot be read is bad input, before anything is printed
    results = []
    for path, member in sources:
        for row in _check(path, member):
            results.append(row)
            if not json:
                print(_line(row), flush=True)
    if json:
        print_json({"results": results})
    return 0 if all(row["verdict"] == "exact" for row in results) else 1


def _check(path: Path, member: str) -> Iterator[dict[str, Any]]:
    """A row for each scheme of a file."""
    from grokkit import scheme as room

    empty: dict[str, Any] = {"file": str(path), "member": member, "verdict": "unreadable", "reason": "", "format": None}
    empty |= {"rank": None, "ring": None, "ternary": None, "digest": None, "kind": None, "convention": None}
    try:
        file = room.SchemeFile(path)
    except room.InvalidInput as error:
        yield empty | {"reason": str(error)}
        return
    for name in [member] if member else file.members:
        row = empty | {"member": name}
        try:
            reading = file.read(name)
        except room.Refuted as error:
            yield (
                row
                | facts(error.scheme)
                | {
                    "verdict": "refuted",
                    "reason": str(error),
                    "wrong": error.wrong,
                    "equations": error.equations,
                    "index": list(error.index),
                    "expected": room.rational_text(error.expected),
                    "found": room.rational_text(error.found),
                    "conventions": dict(error.conventions),
                }
            )
        except room.InvalidInput as error:
            yield row | {"reason": str(error)}
        else:
            scheme = reading.scheme
            yield (
                row
                | facts(scheme)
                | {
                    "verdict": "exact",
                    "kind": reading.kind,
                    "convention": reading.convention,
                    "also_modulo": list(reading.also_modulo),
                    "equations": reading.certificate.equations,
                    "additions": room.additions(scheme).total,
                    "shared_additions": reading.program.additions if reading.program else None,
                    "growth_factor": None if scheme.ring.complex else as_float(room.growth_factor(scheme)),
                }
            )


def _line(row: dict[str, Any]) -> str:
    where = f"{row['file']}#{row['member']}" if row["member"] else row["file"]
    if row["verdict"] != "exact":
        reason = row["reason"].removeprefix(row["file"] + ": ").removeprefix(row["member"] + ": ")
        return one_line(f"{where}: {row['verdict']}: {reason}")
    kind = ", ternary" if row["ternary"] else ""
    shared = row["shared_additions"]
    more = "" if shared is None else f" ({shared} with shared subexpressions)"
    convention = "" if row["convention"] == "row by row" else f", read with {row['convention']}"
    also = "".join(f", also modulo {prime}" for prime in row["also_modulo"])
    return one_line(
        f"{where}: exact: {row['name']} over {row['ring']}{kind}, "
        f"{plural(row['equations'], 'equation')}, "
        f"{plural(row['additions'], 'addition')}{more}, sha256 {row['digest'][:16]}{convention}{also}"
    )
