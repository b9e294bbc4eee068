"""grokkit's own scheme files: versioned JSON, sorted and diffable. The format is docs/scheme-json.md."""

from __future__ import annotations

import json
import os
from typing import Any, Final

from grokkit.scheme._errors import InvalidInput, UnreadableFile
from grokkit.scheme._files import MAX_JSON_BYTES, oversized, parse_json, read_bytes, short, write_atomically
from grokkit.scheme._gaussian import simple
from grokkit.scheme._read_target import target_from_json
from grokkit.scheme._ring import Ring
from grokkit.scheme._scheme import SIDES, Provenance, Scheme
from grokkit.scheme._target import MAX_DIMENSION, MatrixProduct, Target
from grokkit.scheme._targets import FlatTarget
from grokkit.scheme._verify import Certificate, verify

FORMAT_VERSION: Final = 1
_REQUIRED: Final = {"U", "V", "W", "grokkit", "rank", "ring", "version"}
_OPTIONAL: Final = {"certificate", "provenance", "ternary"}
_TARGETS: Final = {"format", "target"}
"""A file has exactly one of these keys."""


def dumps(scheme: Scheme, certificate: Certificate | None = None) -> str:
    """The text of a scheme file. Same scheme, provenance and certificate: same text.

    Raises `InvalidInput` if the certificate belongs to another scheme, and for a target that `read_scheme` does not
    know.
    """
    if not isinstance(scheme.target, MatrixProduct | FlatTarget):
        raise InvalidInput(f"{scheme.name}: its target {type(scheme.target).__name__} has no form in scheme files")
    if certificate is not None and certificate.digest != scheme.digest:
        raise InvalidInput("the certificate belongs to another scheme; call verify on this one")
    content = scheme.identity_json() | {
        "grokkit": "scheme",
        "provenance": scheme.provenance.to_json(),
        "rank": scheme.rank,
        "ternary": scheme.ternary,
        "version": FORMAT_VERSION,
    }
    if certificate is not None:
        content["certificate"] = certificate.to_json()
    lines = []
    for key in sorted(content):
        if key in SIDES:
            rows = ",\n".join("      " + json.dumps(row) for row in content[key]["rows"])
            body = f'{{\n    "denominator": {content[key]["denominator"]},\n    "rows": [\n{rows}\n    ]\n  }}'
        elif isinstance(content[key], dict) and key != "target":
            body = json.dumps(content[key], sort_keys=True, indent=2, allow_nan=False).replace("\n", "\n  ")
        else:
            body = json.dumps(content[key], sort_keys=True)
        lines.append(f'  "{key}": {body}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def save_own(scheme: Scheme, path: str | os.PathLike[str], certificate: Certificate | None = None) -> None:
    """Write a scheme file of grokkit's own, whole or not at all. See `grokkit.save`."""
    data = dumps(scheme, certificate).encode("ascii")
    if reason := oversized(data):
        raise InvalidInput(f"{path}: not written: {scheme.name} as JSON is {reason}")
    write_atomically(path, data)


def read_scheme(path: str | os.PathLike[str]) -> tuple[Scheme, dict[str, Any] | None]:
    """The scheme in a file of grokkit's own and the certificate it claims (unchecked). Proves nothing.

    Raises `UnreadableFile` with the reason for anything that is not a well-formed scheme file.
    """
    return scheme_in(parse_json(read_bytes(path, MAX_JSON_BYTES), path), path)


def scheme_in(content: Any, path: str | os.PathLike[str]) -> tuple[Scheme, dict[str, Any] | None]:
    """The scheme in the parsed JSON of a file, and the certificate it claims (unchecked)."""
    if not isinstance(content, dict) or content.get("grokkit") != "scheme":
        raise UnreadableFile(f'{path}: not a grokkit scheme file (no "grokkit": "scheme")')
    version = content.get("version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise UnreadableFile(f"{path}: file version {short(version)}; this grokkit reads version {FORMAT_VERSION}")
    try:
        _check_keys(content, _REQUIRED, _OPTIONAL | _TARGETS)
        claimed = content.get("certificate")
        if "certificate" in content and not isinstance(claimed, dict):
            raise InvalidInput(f"certificate is {short(claimed)}, not an object")
        return _scheme_from(content), claimed
    except InvalidInput as error:
        raise UnreadableFile(f"{path}: {error}") from None


def load_own(path: str | os.PathLike[str]) -> Scheme:
    """Read a scheme file of grokkit's own; a certificate in it is proven again, never trusted. See `grokkit.load`."""
    scheme, claimed = read_scheme(path)
    if claimed is not None:
        check_claim(claimed, verify(scheme).to_json(), path)
    return scheme


def check_claim(claimed: dict[str, Any], proven: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Compare a certificate found in a file with the one just proven: same keys, types and values.

    Versions may differ. Raises `UnreadableFile`.
    """
    try:
        _check_keys(claimed, set(proven), set(), "certificate: ")
    except InvalidInput as error:
        raise UnreadableFile(f"{path}: {error}") from None
    for key, value in proven.items():
        found = claimed[key]
        if key == "version":
            if not isinstance(found, str):
                raise UnreadableFile(f"{path}: certificate: version is {short(found)}; a string is needed")
        elif json.dumps(found, sort_keys=True) != json.dumps(value, sort_keys=True):  # as text: 7, 7.0 and true differ
            raise UnreadableFile(
                f"{path}: the certificate does not belong to this scheme: "
                f"{key} is {short(found)}, proven {value if isinstance(value, list | dict) else short(value)}"
            )


def _check_keys(content: dict[str, Any], required: set[str], optional: set[str], where: str = "") -> None:
    missing, unknown = required - content.keys(), content.keys() - required - optional
    what = [
        f"{kind} [{', '.join(short(key) for key in sorted(keys)[:3])}{', ...' * (len(keys) > 3)}]"
        for kind, keys in (("missing", missing), ("unknown", unknown))
        if keys
    ]
    if what:
        raise InvalidInput(f"{where}keys {' and '.join(what)}")


def _integer(value: Any, what: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(f"{what} is {short(value)}; an integer in {low}..{high} is needed")
    return value


def _matrix(
    content: Any, name: str, rows: int, columns: int, complex_: bool, fitted: str
) -> tuple[list[list[Any]], int]:
    if not isinstance(content, dict) or content.keys() != {"denominator", "rows"}:
        raise InvalidInput(f'{name} must be an object with "denominator" and "rows"')
    denominator = content["denominator"]
    if isinstance(denominator, bool) or not isinstance(denominator, int) or denominator < 1:
        raise InvalidInput(f"{name}: denominator is {short(denominator)}; a positive integer is needed")
    found = content["rows"]
    if not isinstance(found, list) or len(found) != rows:
        count = len(found) if isinstance(found, list) else short(found)
        raise InvalidInput(f"{name}: {count} rows, but {fitted} and rank need {rows}")
    for r, row in enumerate(found):
        if not isinstance(row, list) or len(row) != columns:
            count = len(row) if isinstance(row, list) else short(row)
            raise InvalidInput(f"{name}: row {r} has {count} entries, but {fitted} and rank need {columns}")
        for c, value in enumerate(row):
            if complex_ and type(value) is list and len(value) == 2 and all(type(part) is int for part in value):
                row[c] = simple(value[0], value[1])
            elif type(value) is not int:
                raise InvalidInput(f"{name}[{r}][{c}] is {short(value)}; an integer is needed")
    return found, denominator


def _target(content: dict[str, Any]) -> Target:
    given = sorted(_TARGETS & content.keys())
    if len(given) != 1:
        found = "both are there" if given else "neither is there"
        raise InvalidInput(f"keys 'format' (matrix products) and 'target' (others): {found}, exactly one is needed")
    if given == ["target"]:
        return target_from_json(content["target"])
    form = content["format"]
    if not isinstance(form, list) or len(form) != 3:
        raise InvalidInput(f"format is {short(form)}; three integers [n, m, p] are needed")
    return MatrixProduct(*(_integer(value, "format", 1, MAX_DIMENSION) for value in form))


def _scheme_from(content: dict[str, Any]) -> Scheme:
    target = _target(content)
    rank = _integer(content["rank"], "rank", 0, 2**31)
    if not isinstance(content["ring"], str):
        raise InvalidInput(f"ring is {short(content['ring'])}; a string is needed")
    ring = Ring.parse(content["ring"])
    a, b, c = target.shape
    matrices = [
        _matrix(content[name], name, rows, columns, ring.complex, "format" if "format" in content else "target")
        for name, rows, columns in (("U", rank, a), ("V", rank, b), ("W", c, rank))
    ]
    scheme = Scheme(
        target,
        *(rows for rows, _ in matrices),
        denominators=(matrices[0][1], matrices[1][1], matrices[2][1]),
        ring=ring,
        provenance=_provenance(content["provenance"]) if "provenance" in content else Provenance(),
    )
    if "ternary" in content and content["ternary"] is not scheme.ternary:
        raise InvalidInput(f"ternary is {short(content['ternary'])}, but the factors say {scheme.ternary}")
    return scheme


def _provenance(content: Any) -> Provenance:
    if not isinstance(content, dict) or not content.keys() <= {"configuration", "method", "seed", "version"}:
        raise InvalidInput("provenance must be an object with method, seed, configuration and version")
    method, seed = content.get("method", "unknown"), content.get("seed")
    configuration, version = content.get("configuration", {}), content.get("version", "unknown")
    for name, value in (("method", method), ("version", version)):
        if not isinstance(value, str):
            raise InvalidInput(f"provenance: {name} is {short(value)}; a string is needed")
    if seed is not None:
        seed = _integer(seed, "provenance: seed", -(2**63), 2**64)
    if not isinstance(configuration, dict):
        raise InvalidInput(f"provenance: configuration is {short(configuration)}, not an object")
    return Provenance(method, seed, configuration, version)
