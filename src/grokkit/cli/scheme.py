"""``grokkit scheme``: look at schemes, convert, compare, compose, construct and reduce them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from grokkit.cli._output import (
    Json,
    Verb,
    as_float,
    is_standard_output,
    one_line,
    out_path,
    plural,
    print_json,
    print_table,
    proven,
    say_no,
    verb_group,
)
from grokkit.cli._schemes import SOURCE_HELP, facts, read
from grokkit.cli.verify import EXAMPLE as VERIFY_EXAMPLE
from grokkit.cli.verify import verify

if TYPE_CHECKING:
    from grokkit.scheme import Target

LONGEST_LISTING: Final = 100
"""Products up to which `info` prints formulas and a picture."""

Source = Annotated[str, typer.Argument(help=SOURCE_HELP, metavar="SCHEME")]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Write the scheme here; the suffix names the format.", metavar="FILE", parser=out_path),
]
STATUS: Final = "Exit status: 0 done; 1 the scheme is refuted or the answer is no; 2 bad input."


def register(app: typer.Typer) -> None:
    verbs = verb_group(
        "scheme", "Look at schemes, convert, compare, compose and reduce them.", "grokkit scheme info strassen"
    )
    for function, short, example in (
        (info, "Formulas, counts, invariants and a picture.", "grokkit scheme info strassen"),
        (convert, "Write a scheme in another format.", "grokkit scheme convert strassen strassen.exp"),
        (canonical, "The representative of a scheme's class.", "grokkit scheme canonical winograd --group bases"),
        (equivalent, "Whether two schemes are one in other bases.", "grokkit scheme equivalent strassen winograd"),
        (compose, "Kronecker product, direct sum, restriction, ...", "grokkit scheme compose strassen strassen"),
        (construct, "The cheapest known construction of a format.", "grokkit scheme construct 4x5x6 --out 456.json"),
        (reduce, "Fewer additions, or better accuracy.", "grokkit scheme reduce winograd"),
        (atlas, "A searchable page of schemes.", "grokkit scheme atlas --out atlas"),
    ):
        epilog = f"\b\nExample:\n  {example}\n\n{STATUS}"
        verbs.command(function.__name__, cls=Verb, short_help=short, epilog=epilog)(function)
    verbs.command(
        "verify",
        cls=Verb,
        short_help="Prove scheme files, as grokkit verify.",
        epilog=VERIFY_EXAMPLE.replace("grokkit verify", "grokkit scheme verify"),
    )(verify)
    app.add_typer(verbs)


def _counts(scheme: Any) -> dict[str, Any]:
    from grokkit import scheme as room

    added = room.additions(scheme)
    return facts(scheme) | {
        "additions": added.total,
        "additions_by_side": [added.a, added.b, added.c],
        "scalings": room.scalings(scheme),
        "nonzeros": [int((x != 0).sum()) for x in (scheme.U, scheme.V, scheme.W)],
        "growth_factor": None if scheme.ring.complex else as_float(room.growth_factor(scheme)),
        "frobenius_growth": None if scheme.ring.complex else room.frobenius_growth(scheme),
    }


def _write(scheme: Any, out: Path | None, kind: str | None, verb: str, as_json: bool) -> None:
    from grokkit import scheme as room

    if out is not None:
        if as_json and is_standard_output(out):
            raise room.InvalidInput(f"grokkit scheme {verb}: --out is the standard output, where --json prints")
        room.save(scheme, out, room.verify(scheme), kind=kind)


def _read(source: str, verb: str, as_json: bool) -> Any:
    """The reading that a source names, or the exit code of a refuted one."""
    from grokkit import scheme as room

    try:
        return read(source, f"scheme {verb}")
    except room.Refuted as error:
        return say_no(f"scheme {verb}", f"{source}: {error}", {}, as_json)


def info(
    source: Source,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Write a picture here (.svg, .png, .pdf).", metavar="FILE", parser=out_path),
    ] = None,
    json: Json = False,
) -> int:
    """Print what a scheme is: formulas, counts, invariants, error growth, and its factors as blocks."""
    from grokkit import scheme as room

    reading = _read(source, "info", json)
    if isinstance(reading, int):
        return reading
    scheme = reading.scheme
    content = _counts(scheme) | {
        "source": source,
        "kind": reading.kind,
        "convention": reading.convention,
        "provenance": scheme.provenance.to_json(),
        "certificate": reading.certificate.to_json(),
        "shared_additions": reading.program.additions if reading.program else None,
        "best_known": _best_known(scheme),
        "invariants": None,
    }
    try:
        found = room.invariants(scheme)
    except room.InvalidInput:
        found = None
    if found is not None:
        content["invariants"] = {
            "ranks": [[list(ranks), count] for ranks, count in found.ranks],
            "parameters": found.parameters,
            "jacobian_rank": found.jacobian_rank,
            "gauge": found.gauge,
            "excess": found.excess,
            "stabilizer": found.stabilizer,
        }
    if picture is not None:
        _draw(scheme, picture)
    if json:
        print_json(content)
        return 0
    if scheme.rank <= LONGEST_LISTING:
        print(room.formulas(scheme))
        print()
        print(room.text_picture(scheme))
        print()
    _print_facts(content)
    if picture is not None:
        print(f"picture written to {picture}")
    return 0


def _growth(content: dict[str, Any]) -> str:
    if content["growth_factor"] is None:
        return "not computed for complex coefficients"
    return f"{content['growth_factor']:g} (max norm), {content['frobenius_growth']:.4f} (Frobenius)"


def _best_known(scheme: Any) -> dict[str, int]:
    from grokkit import scheme as room

    if not isinstance(scheme.target, room.MatrixProduct):
        return {}
    form = scheme.target.format
    return dict(room.best_known(form)) if max(form) <= 16 else {}


def _print_facts(content: dict[str, Any]) -> None:
    a, b, c = content["additions_by_side"]
    rows = [
        ("scheme", f"{content['name']} over {content['ring']}{', ternary' * content['ternary']}"),
        ("proof", proven(content["certificate"]["equations"])),
        ("additions", f"{content['additions']} ({a} for A, {b} for B, {c} for C)"),
        ("scalings", str(content["scalings"])),
        ("nonzeros", " + ".join(map(str, content["nonzeros"]))),
        ("growth", _growth(content)),
    ]
    if content["shared_additions"] is not None:
        rows.insert(3, ("shared", f"{content['shared_additions']} additions with the subexpressions of the file"))
    if content["best_known"]:
        shown = ", ".join(f"{rank} ({ring})" for ring, rank in content["best_known"].items())
        rows.append(("best known", shown))
    found = content["invariants"]
    if found is not None:
        ranks = ", ".join(f"{count} x ({u},{v},{w})" for (u, v, w), count in found["ranks"])
        rows += [
            ("ranks", f"{ranks} of u, v, w"),
            (
                "deformations",
                f"{found['parameters']} parameters - {found['jacobian_rank']} (Jacobian) = "
                f"{found['parameters'] - found['jacobian_rank']}; {found['gauge']} are gauge, {found['excess']} more",
            ),
            ("stabilizer", "not decided" if found["stabilizer"] is None else f"order {found['stabilizer']}"),
        ]
    rows += [
        ("read from", f"{content['kind']}, {content['convention']}"),
        ("origin", one_line(content["provenance"]["method"])),
        ("sha256", content["digest"]),
    ]
    for name, value in rows:
        print(f"{name + ':':<14}{value}")


def _draw(scheme: Any, path: Path) -> None:
    from grokkit import scheme as room

    if path.suffix.lower() == ".svg":
        room.write_atomically(path, room.svg_picture(scheme))
        return
    room.need_extra("a picture in this format", "matplotlib")
    from grokkit.studies._scheme_figure import draw_scheme

    draw_scheme(scheme, path)


def convert(
    source: Source,
    out: Annotated[Path, typer.Argument(help="The file to write.", metavar="OUT", parser=out_path)],
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="json, alphatensor, perminov, mathematica, maple, text, exp, sms, weights, latex, markdown, numpy, c, "
            "lean, onnx. By default the suffix of OUT decides.",
            metavar="FORMAT",
        ),
    ] = None,
    levels: Annotated[int, typer.Option(help="Recursive steps of an onnx network.", metavar="N")] = 1,
    json: Json = False,
) -> int:
    """Write a scheme in another format. The certificate goes into a file beside it, or inside grokkit's JSON."""
    from grokkit import scheme as room

    reading = _read(source, "convert", json)
    if isinstance(reading, int):
        return reading
    if json and is_standard_output(out):
        raise room.InvalidInput("grokkit scheme convert: OUT is the standard output, where --json prints")
    room.save(reading.scheme, out, reading.certificate, kind=to, levels=levels)
    if json:
        print_json(facts(reading.scheme) | {"out": str(out), "read_as": reading.kind, "convention": reading.convention})
    else:
        print(f"{reading.scheme.name} over {reading.scheme.ring} written to {out}")
    return 0


def canonical(
    source: Source,
    group: Annotated[
        str,
        typer.Option(
            help="slots (order, signs, scales), bases (sandwiching too), all (rotation and transposition too).",
            metavar="[slots|bases|all]",
        ),
    ] = "slots",
    out: Out = None,
    json: Json = False,
) -> int:
    """Print the canonical form of a scheme: two schemes are of one class exactly if these are equal."""
    from grokkit import scheme as room

    if group not in ("slots", "bases", "all"):
        raise room.InvalidInput(
            f"grokkit scheme canonical: --group {group!r}{room.suggestion(group, ('slots', 'bases', 'all'))}"
        )
    reading = _read(source, "canonical", json)
    if isinstance(reading, int):
        return reading
    form = room.canonical(reading.scheme, group)
    if isinstance(form, room.Undecided):
        return say_no("scheme canonical", str(form), {"source": source, "group": group}, json)
    _write(form, out, None, "canonical", json)
    if json:
        print_json(_counts(form) | {"source": source, "group": group, "out": None if out is None else str(out)})
        return 0
    print(room.formulas(form))
    print(f"sha256 {form.digest}")
    return 0


def equivalent(
    first: Source,
    second: Annotated[str, typer.Argument(help="The scheme to compare with.", metavar="OTHER")],
    symmetric: Annotated[bool, typer.Option("--symmetric", help="Try rotation and transposition as well.")] = False,
    json: Json = False,
) -> int:
    """Decide exactly whether two schemes are the same algorithm in other bases, over Q."""
    from grokkit import scheme as room

    readings = []
    for source in (first, second):
        reading = _read(source, "equivalent", json)
        if isinstance(reading, int):
            return reading
        readings.append(reading.scheme)
    verdict = room.equivalent(*readings, symmetric=symmetric)
    name = type(verdict).__name__.lower()
    if json:
        content: dict[str, Any] = {"first": first, "second": second, "verdict": name, "text": str(verdict)}
        if isinstance(verdict, room.Equivalence):
            content |= {
                letter: [[str(x) for x in row] for row in matrix]
                for letter, matrix in zip("PQR", (verdict.P, verdict.Q, verdict.R), strict=True)
            }
            content |= {
                "form": verdict.form,
                "permutation": list(verdict.permutation),
                "scales": [[str(x) for x in triple] for triple in verdict.scales],
            }
        print_json(content)
    else:
        print(str(verdict))
    return 0 if isinstance(verdict, room.Equivalence) else 1


def compose(
    source: Source,
    inner: Annotated[
        str | None, typer.Argument(help="A second scheme: inside every product.", metavar="[OTHER]")
    ] = None,
    along: Annotated[
        str | None, typer.Option(help="Direct sum with OTHER along this letter instead.", metavar="[n|m|p]")
    ] = None,
    restrict: Annotated[
        str | None, typer.Option(help="Then leave out rows and columns down to this format.", metavar="NxMxP")
    ] = None,
    extend: Annotated[
        str | None, typer.Option(help="Then extend to this format by the standard algorithm.", metavar="NxMxP")
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="Then bring the format's letters into this order.", metavar="NxMxP")
    ] = None,
    out: Out = None,
    json: Json = False,
) -> int:
    """Make a scheme out of others: Kronecker product, direct sum, restriction, extension, order of letters."""
    from grokkit import scheme as room

    if along is not None and inner is None:
        raise room.InvalidInput("grokkit scheme compose: --along needs a second scheme")
    reading = _read(source, "compose", json)
    if isinstance(reading, int):
        return reading
    result = reading.scheme
    if inner is not None:
        other = _read(inner, "compose", json)
        if isinstance(other, int):
            return other
        result = room.compose(result, other.scheme) if along is None else room.direct_sum(result, other.scheme, along)
    if restrict is not None:
        n, m, p = room.MatrixProduct.parse(restrict).format
        result = room.restricted(result, range(n), range(m), range(p))
    if extend is not None:
        result = room.extended(result, *room.MatrixProduct.parse(extend).format)
    if order is not None:
        result = room.with_format(result, room.MatrixProduct.parse(order).format)
    return _report_made(result, out, "compose", {}, json)


def _report_made(scheme: Any, out: Path | None, verb: str, more: dict[str, Any], as_json: bool) -> int:
    """Prove what was made, write it, and say what it is."""
    from grokkit import scheme as room

    certificate = room.verify(scheme)
    _write(scheme, out, None, verb, as_json)
    if as_json:
        print_json(
            _counts(scheme) | more | {"certificate": certificate.to_json(), "out": None if out is None else str(out)}
        )
        return 0
    counts = _counts(scheme)
    print(
        f"{scheme.name} over {scheme.ring}: {proven(certificate.equations)}, "
        f"{plural(counts['additions'], 'addition')}, growth {_growth(counts)}, sha256 {scheme.digest[:16]}"
    )
    if out is not None:
        print(f"written to {out}")
    return 0


def construct(
    form: Annotated[
        str,
        typer.Argument(help="The format, such as 4x5x6; sides up to 16; or a map, such as cyclic:5.", metavar="FORMAT"),
    ],
    using: Annotated[
        list[str] | None,
        typer.Option("--using", help="A further scheme file to build from; may be repeated.", metavar="FILE"),
    ] = None,
    ring: Annotated[str, typer.Option(help="Q, Z, ternary or GF(p).", metavar="RING")] = "Q",
    table: Annotated[bool, typer.Option("--table", help="List all formats up to FORMAT's largest side.")] = False,
    out: Out = None,
    json: Json = False,
) -> int:
    """Plan the cheapest construction of a format from the catalog, print its lineage, and build it with --out."""
    from grokkit import scheme as room
    from grokkit.scheme.catalog import catalog

    target = room.parse_target(form)
    if not isinstance(target, room.MatrixProduct):
        return _construct_map(target, using, table, out, json)
    schemes = [scheme for scheme in catalog.schemes() if isinstance(scheme.target, room.MatrixProduct)]
    for source in using or []:
        for name in _members(source):
            reading = _read(name, "construct", json)
            if isinstance(reading, int):
                return reading
            schemes.append(reading.scheme)
    if table:
        return _print_plans(room.plans(schemes, ring, max(target.format)), ring, json)
    plan = room.construct(target, schemes, ring)
    known = dict(room.best_known(target))
    content = {
        "format": list(plan.format),
        "rank": plan.rank,
        "ring": ring,
        "best_known": known,
        "lineage": plan.lineage(),
    }
    if out is not None:
        return _report_made(plan.build(), out, "construct", content, json)
    if json:
        print_json(content)
        return 0
    print("\n".join(plan.lineage()))
    if known:
        print("best known: " + ", ".join(f"{rank} ({key})" for key, rank in known.items()))
    return 0


def _construct_map(target: Target, using: list[str] | None, table: bool, out: Path | None, json: bool) -> int:
    """Polynomials, Toeplitz matrices and cyclic convolutions, by their values at points."""
    from grokkit import scheme as room

    if using or table:
        raise room.InvalidInput(f"{target.name}: --using and --table are for formats, such as 4x5x6")
    scheme = room.interpolated(target)
    content = {"target": target.to_json(), "rank": scheme.rank, "ring": str(scheme.ring)}
    if out is not None:
        return _report_made(scheme, out, "construct", content, json)
    if json:
        print_json(content)
    else:
        print(f"{scheme.name} over {scheme.ring}, by {scheme.provenance.method}: no fewer products are possible")
    return 0


def _members(source: str) -> list[str]:
    """The names of all schemes in a file, or the name itself."""
    from grokkit import scheme as room
    from grokkit.cli._schemes import split

    path, member = split(source)
    if member or not path.is_file():
        return [source]
    return [f"{source}#{name}" if name else source for name in room.SchemeFile(path).members]


def _print_plans(plans: Any, ring: str, as_json: bool) -> int:
    from grokkit import scheme as room

    rows = []
    for form, plan in plans.items():
        known = room.best_known(form).get(ring)
        rows.append(
            {
                "format": list(form),
                "rank": plan.rank,
                "rule": plan.rule,
                "best_known": known,
                "standard": form[0] * form[1] * form[2],
            }
        )
    if as_json:
        print_json({"ring": ring, "rows": rows})
        return 0
    header = ["format", "rank", "standard", "best known", "by"]
    cells = [
        [
            "x".join(map(str, row["format"])),
            str(row["rank"]),
            str(row["standard"]),
            "" if row["best_known"] is None else str(row["best_known"]),
            row["rule"],
        ]
        for row in rows
    ]
    print_table(header, cells)
    return 0


def reduce(
    source: Source,
    orbit: Annotated[
        str | None,
        typer.Option(
            help="First search other bases for fewer additions (also reduced, nonzeros) or less growth (growth, "
            "frobenius).",
            metavar="OBJECTIVE",
        ),
    ] = None,
    lattice: Annotated[str, typer.Option(help="Bases that are tried.", metavar="[unimodular|dyadic]")] = "unimodular",
    steps: Annotated[int, typer.Option(help="Bases that are tried.", metavar="N", min=1, max=10**8)] = 20_000,
    tries: Annotated[int, typer.Option(help="Randomized eliminations.", metavar="N", min=1, max=10**7)] = 400,
    seed: Annotated[int, typer.Option(help="Seed of both searches.", metavar="N", min=0)] = 0,
    out: Out = None,
    program_out: Annotated[
        Path | None,
        typer.Option(
            "--program", help="Write the program with shared sums here (JSON).", metavar="FILE", parser=out_path
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Share common subexpressions, proven by expanding them, and say what an alternative basis would save."""
    from grokkit import scheme as room

    reading = _read(source, "reduce", json)
    if isinstance(reading, int):
        return reading
    scheme = reading.scheme
    if orbit is not None:
        scheme = room.improve(scheme, orbit, seed, steps, lattice)
    program = room.reduce_additions(scheme, seed, tries)
    try:
        basis = room.alternative_basis(scheme)
    except room.InvalidInput:
        basis = None
    _write(scheme, out, None, "reduce", json)
    if program_out is not None:
        room.save_program(scheme, program, program_out)
    content = _counts(scheme) | {
        "source": source,
        "orbit": orbit,
        "seed": seed,
        "tries": tries,
        "shared_additions": program.additions,
        "shared_by_side": [program.a.additions, program.b.additions, program.c.additions],
        "alternative_basis_additions": None if basis is None else basis.additions,
        "alternative_basis_nonzeros": None if basis is None else list(basis.nonzeros),
        "out": None if out is None else str(out),
        "program": None if program_out is None else str(program_out),
    }
    if json:
        print_json(content)
        return 0
    a, b, c = content["shared_by_side"]
    print(f"{scheme.name} over {scheme.ring}, sha256 {scheme.digest[:16]}")
    print(f"additions as written: {content['additions']}")
    print(f"with shared subexpressions: {program.additions} ({a} for A, {b} for B, {c} for C)")
    if basis is not None:
        print(f"in an alternative basis: {basis.additions} a recursive step")
    print(f"growth: {_growth(content)}")
    for path in (out, program_out):
        if path is not None:
            print(f"written to {path}")
    return 0


def atlas(
    out: Annotated[Path, typer.Option("--out", help="The folder to write into.", metavar="DIR", parser=out_path)],
    files: Annotated[
        list[str] | None, typer.Argument(help="Scheme files to show beside the catalog.", metavar="[FILE...]")
    ] = None,
    json: Json = False,
) -> int:
    """Write a page of all schemes of the catalog and of files, with a page for each: search, sort, pictures, code."""
    from grokkit import scheme as room
    from grokkit.scheme.catalog import catalog

    room.need_extra("the atlas", "jinja2")
    from grokkit.studies._atlas import AtlasEntry, write_atlas

    entries = [AtlasEntry(name, catalog[name], "catalog") for name in catalog]
    for source in files or []:
        for name in _members(source):
            reading = _read(name, "atlas", json)
            if isinstance(reading, int):
                return reading
            entries.append(AtlasEntry(Path(name).name, reading.scheme, f"{reading.kind}, {reading.convention}"))
    path = write_atlas(entries, out)
    if json:
        print_json({"schemes": len(entries), "index": str(path)})
    else:
        print(f"{plural(len(entries), 'scheme')} in {path}")
    return 0
