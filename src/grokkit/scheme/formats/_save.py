"""`save`: writing a scheme in grokkit's own format or another."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short, write_atomically
from grokkit.scheme._json import save_own
from grokkit.scheme._program import Program
from grokkit.scheme._scheme import Scheme
from grokkit.scheme._verify import Certificate
from grokkit.scheme._words import suggestion
from grokkit.scheme.formats._code import TEXTS
from grokkit.scheme.formats._onnx import onnx_network
from grokkit.scheme.formats._write import WRITERS, reduced_json

CERTIFICATE_SUFFIX: Final = ".certificate.json"
"""What is added to a file's name for the certificate beside it."""
SUFFIXES: Final = (
    {".json": "json", ".onnx": "onnx"}
    | {suffix: name for name, (suffix, _) in TEXTS.items()}
    | {suffix: name for name, (suffix, _) in WRITERS.items() if suffix != ".json"}
)
"""The format that a suffix stands for."""
FORMATS: Final = ("json", *WRITERS, *TEXTS, "onnx")
"""Names of all formats that are written."""


def certificate_path(path: str | os.PathLike[str]) -> Path:
    """Where the certificate of a file in a foreign format lies: beside it."""
    return Path(path).with_name(Path(path).name + CERTIFICATE_SUFFIX)


def save(
    scheme: Scheme,
    path: str | os.PathLike[str],
    certificate: Certificate | None = None,
    *,
    kind: str | None = None,
    levels: int = 1,
) -> None:
    """Write a scheme file, whole or not at all. Law: `load` gives back an equal scheme.

    Parameters
    ----------
    scheme, path:
        What is written, and where.
    certificate:
        Stored with the factors in grokkit's JSON, and in a file beside any other format that is read back
        (``NAME.certificate.json``); it is proven again on every load.
    kind:
        The format: ``json`` (grokkit's own), ``alphatensor``, ``perminov``, ``mathematica``, ``maple``, ``text``,
        ``exp``, ``sms`` (three files, ``_L``, ``_R`` and ``_P`` before the suffix) or ``weights``; or, not read back,
        ``latex``, ``markdown``, ``numpy``, ``c``, ``lean`` or ``onnx``. By default the suffix decides, and ``json``
        without a known one.
    levels:
        Recursive steps of an ``onnx`` network.

    The law holds up to provenance, which foreign formats cannot hold, and for schemes over GF(p) up to the ring, where
    the representatives happen to be right over the integers too.

    Raises `InvalidInput` if the file cannot be written, would be larger than `load` reads, or if the format
    cannot hold the scheme exactly.
    """
    path = Path(path)
    kind = SUFFIXES.get(path.suffix.lower(), "json") if kind is None else kind
    if kind not in FORMATS:
        raise InvalidInput(f"format {short(kind)} is not written{suggestion(kind, FORMATS)}")
    if kind == "json":
        save_own(scheme, path, certificate)
        return
    if certificate is not None and certificate.digest != scheme.digest:
        raise InvalidInput("the certificate belongs to another scheme; call verify on this one")
    if kind in WRITERS:
        for addition, data in WRITERS[kind][1](scheme).items():
            file = path.with_name(f"{path.stem}{addition}{path.suffix}") if addition else path
            write_atomically(file, data)
            if certificate is not None:
                write_atomically(certificate_path(file), _certificate_text(certificate.to_json()))
    elif kind == "onnx":
        write_atomically(path, onnx_network(scheme, levels))
    else:
        write_atomically(path, TEXTS[kind][1](scheme))


def _certificate_text(content: dict[str, Any]) -> str:
    return json.dumps({"grokkit": "certificate"} | content, sort_keys=True, indent=2) + "\n"


def save_program(scheme: Scheme, program: Program, path: str | os.PathLike[str]) -> None:
    """Write a scheme with the shared sums of a straight-line program as JSON; `load` expands and proves it.

    Raises `InvalidInput` if the program does not expand to the scheme's factors, or cannot be written.
    """
    u, v, w = scheme.fractions()
    if [program.a.rows(), program.b.rows(), program.c.rows()] != [u, v, w]:
        raise InvalidInput(f"{scheme.name}: the program computes other linear combinations")
    write_atomically(path, reduced_json(scheme, program))


def as_text(scheme: Scheme, kind: str) -> str:
    """The text that `save` writes in a format of one text file. Raises `InvalidInput` for other formats."""
    if kind in TEXTS:
        return TEXTS[kind][1](scheme)
    files = WRITERS[kind][1](scheme) if kind in WRITERS and kind not in ("alphatensor", "weights") else {}
    if files.keys() != {""}:
        raise InvalidInput(f"format {short(kind)} is no single text file")
    return files[""].decode("utf-8")
