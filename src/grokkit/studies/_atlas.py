"""The atlas: a searchable, sortable page of schemes, and a page for each, without any network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, final

from jinja2 import Environment, StrictUndefined, Template

from grokkit._version import __version__
from grokkit.scheme import (
    InvalidInput,
    MatrixProduct,
    Scheme,
    additions,
    alternative_basis,
    best_known,
    dumps,
    formulas,
    frobenius_growth,
    growth_factor,
    invariants,
    rational_text,
    reduce_additions,
    scalings,
    svg_picture,
    verify,
    write_atomically,
)
from grokkit.scheme.formats import as_text

MAX_PICTURE: Final = 400
"""Products up to which a page draws the scheme and writes its formulas."""
REDUCTION_TRIES: Final = 60
CODES: Final = (("json", "grokkit JSON"), ("numpy", "NumPy"), ("c", "C"), ("exp", "Products"), ("latex", "LaTeX"))


@final
@dataclass(frozen=True)
class AtlasEntry:
    """A scheme on its way into the atlas: a unique name, and where it is from."""

    name: str
    scheme: Scheme
    origin: str


def write_atlas(entries: Iterable[AtlasEntry], folder: str | os.PathLike[str]) -> Path:
    """Write ``index.html`` and a page for each scheme into a folder, and return the path of the index.

    Every scheme is proven first; `Refuted` is raised for one that is wrong, and nothing is written. Pages hold their
    styles, scripts and drawings inside and load nothing.
    """
    rows = [_row(entry) for entry in entries]
    names = [row["file"] for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"two schemes of the atlas would be called {name}; rename one")
    rows.sort(key=lambda row: (row["order"], row["rank"], row["name"]))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page, index = _template("scheme.html"), _template("atlas.html")
    for row in rows:
        write_atomically(folder / row["file"], page.render(row=row, version=__version__))
    path = folder / "index.html"
    write_atomically(path, index.render(rows=rows, version=__version__))
    return path


def _template(name: str) -> Template:
    source = (resources.files("grokkit.studies") / "templates" / name).read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source)


def _row(entry: AtlasEntry) -> dict[str, Any]:
    """Everything that the pages say of a scheme."""
    scheme = entry.scheme
    target, certificate = scheme.target, verify(scheme)
    exact = scheme.ring.rational
    matrices = isinstance(target, MatrixProduct)
    known = dict(best_known(target.format)) if isinstance(target, MatrixProduct) and max(target.format) <= 6 else {}
    return {
        "name": entry.name,
        "file": f"{_file_name(entry.name)}.html",
        "origin": entry.origin,
        "title": scheme.name,
        "order": (not matrices, target.nonzeros, target.name),
        "volume": target.nonzeros if matrices else target.nonzeros + 10**9,
        "rank": scheme.rank,
        "ring": str(scheme.ring),
        "ternary": scheme.ternary,
        "additions": additions(scheme).total,
        "shared": _shared(scheme) if exact else None,
        "alternative": _alternative(scheme) if exact else None,
        "scalings": scalings(scheme),
        "growth": rational_text(growth_factor(scheme)) if exact else None,
        "growth_value": float(growth_factor(scheme)) if exact else None,
        "frobenius": round(frobenius_growth(scheme), 4) if exact else None,
        "best": known.get("Q" if exact else str(scheme.ring)),
        "invariants": _invariants(scheme),
        "equations": certificate.equations,
        "digest": scheme.digest,
        "method": scheme.provenance.method,
        "seed": scheme.provenance.seed,
        "version": scheme.provenance.version,
        "picture": svg_picture(scheme) if scheme.rank <= MAX_PICTURE else None,
        "formulas": formulas(scheme) if scheme.rank <= MAX_PICTURE else None,
        "codes": _codes(scheme),
    }


def _file_name(name: str) -> str:
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "scheme"
    return text if text != "index" else "index-scheme"


def _shared(scheme: Scheme) -> int | None:
    try:
        return reduce_additions(scheme, 0, REDUCTION_TRIES if scheme.rank < 60 else 2).additions
    except InvalidInput:
        return None


def _alternative(scheme: Scheme) -> int | None:
    if max(scheme.target.shape) > 4:  # larger searches take minutes
        return None
    try:
        return alternative_basis(scheme).additions
    except InvalidInput:
        return None


def _invariants(scheme: Scheme) -> dict[str, Any] | None:
    if scheme.target.nonzeros > 27:  # so do larger Jacobians and stabilizers
        return None
    found = invariants(scheme)
    return {
        "ranks": ", ".join(f"{count} × {ranks}" for ranks, count in found.ranks),
        "parameters": found.parameters,
        "jacobian": found.jacobian_rank,
        "gauge": found.gauge,
        "excess": found.excess,
        "stabilizer": found.stabilizer,
    }


def _codes(scheme: Scheme) -> list[tuple[str, str, str]]:
    """(identifier, label, text) of each way of writing the scheme that exists for it."""
    texts = []
    for kind, label in CODES:
        try:
            text = dumps(scheme, verify(scheme)) if kind == "json" else as_text(scheme, kind)
        except InvalidInput:
            continue
        texts.append((kind, label, text))
    return texts
