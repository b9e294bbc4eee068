"""Opening a scheme file of any known format, recognized by its content."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, final

from grokkit.scheme._errors import InvalidInput, UnreadableFile
from grokkit.scheme._files import parse_json, read_bytes, short
from grokkit.scheme._json import check_claim, load_own, scheme_in
from grokkit.scheme._scheme import Scheme
from grokkit.scheme._verify import verify
from grokkit.scheme._weights import find_factors, is_archive, is_weight_file, npz_members, weights_in
from grokkit.scheme.formats._archive import factors_of_member, factors_of_weights
from grokkit.scheme.formats._convention import Reading, settle
from grokkit.scheme.formats._expressions import looks_like_expressions, read_expressions
from grokkit.scheme.formats._nested import looks_like_maple, looks_like_mathematica, read_maple, read_mathematica
from grokkit.scheme.formats._perminov import looks_like_factors, read_factors
from grokkit.scheme.formats._raw import Raw
from grokkit.scheme.formats._save import certificate_path
from grokkit.scheme.formats._sheets import looks_like_sheet, read_sheet
from grokkit.scheme.formats._sms import looks_like_sms, read_triple
from grokkit.scheme.formats._text import MAX_TEXT_BYTES, decoded

OWN: Final = "grokkit JSON"
_TEXTS: Final[tuple[tuple[Callable[[str], bool], Callable[[str], Raw]], ...]] = (
    (looks_like_maple, read_maple),
    (looks_like_mathematica, read_mathematica),
    (looks_like_expressions, read_expressions),
    (looks_like_sheet, read_sheet),
)
"""How to tell a text format, and how to read it; the first that fits is used."""
_NAMED: Final = (
    re.compile(r"(?<![0-9])([0-9]{1,2})x([0-9]{1,2})x([0-9]{1,2})[-_:. ]+(?:m|r|rank)?_?([0-9]{1,5})(?![0-9x])"),
    re.compile(r"(?<![0-9])([1-9])([1-9])([1-9])-([0-9]{1,4})(?![0-9])"),
)


@final
class SchemeFile:
    """A file of one or more schemes.

    `members` holds the names of the schemes inside a file of several (an archive), and one empty name otherwise.
    Raises `UnreadableFile` for a file that is of no known format, and `OSError` for one that cannot be opened.

    Read are grokkit's own JSON; AlphaTensor archives (`.npz`); JSON with factor matrices, equations or shared
    subexpressions; Maple ``TriadSet``s; Mathematica lists; text with three blocks of numbers; products of
    three linear forms (`.exp`); equations; SMS triples; weight files with exact entries. What kind a file is
    follows from its content. Nothing in a file is executed.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._read: Mapping[str, Callable[[], Reading]] = self._named(self._open)
        self.members = tuple(self._read)

    def read(self, member: str = "") -> Reading:
        """The scheme of that name, proven, in grokkit's convention; without a name the only one.

        Raises `UnreadableFile` with the reason and the place, `Refuted` if the factors are no scheme under any
        convention, and `InvalidInput` for an unknown name.
        """
        if not member and len(self.members) == 1:
            member = self.members[0]
        if member not in self._read:
            if member and self.members == ("",):
                raise InvalidInput(f"{self.path}: holds one scheme without a name, not {short(member)}")
            what = f"no scheme {short(member)}" if member else f"holds {len(self.members)} schemes; choose one"
            shown = ", ".join(map(_shown, self.members[:6])) + (", ..." if len(self.members) > 6 else "")
            raise InvalidInput(f"{self.path}: {what} of {shown}")
        return self._named(self._read[member], member)

    def _named(self, action: Callable[[], Any], member: str = "") -> Any:
        """Run an action; every complaint about the file begins with its name."""
        where = f"{self.path}: {_shown(member)}: " if member else f"{self.path}: "
        try:
            return action()
        except InvalidInput as error:
            text = str(error)
            raise UnreadableFile(text if text.startswith(f"{self.path}: ") else where + text) from None

    def _open(self) -> Mapping[str, Callable[[], Reading]]:
        data = read_bytes(self.path)
        if not data.strip():
            raise UnreadableFile("empty")
        if is_archive(data):
            members = npz_members(data)
            if members is not None and not _named_factors(members):
                return {name: partial(self._member, name, content) for name, content in members.items()}
        if is_weight_file(data):
            return {"": lambda: self._settled(factors_of_weights(find_factors(weights_in(data), "weights")))}
        return {"": self._text(data)}

    def _text(self, data: bytes) -> Callable[[], Reading]:
        if self.path.suffix.lower() == ".json" or re.match(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*["}]|\[)', data):
            content = parse_json(data.removeprefix(b"\xef\xbb\xbf"), self.path)
            if isinstance(content, dict) and "grokkit" in content:
                return partial(self._own, content)
            if looks_like_factors(content):
                return lambda: self._settled(read_factors(content))
            raise UnreadableFile("JSON, but neither a grokkit scheme file nor one with factor matrices u, v, w")
        if b"\0" in data[:4096]:
            raise UnreadableFile("a binary file, but no archive of arrays and no weight file")
        text = decoded(data)
        if looks_like_sms(text):
            read = partial(read_bytes, limit=MAX_TEXT_BYTES)
            return lambda: self._settled(read_triple(self.path, text, read))
        for fits, read_text in _TEXTS:
            if fits(text):
                return lambda: self._settled(read_text(text))
        raise UnreadableFile(f"of no known format: it begins with {short(text.lstrip()[:24])}")

    def _own(self, content: dict[str, Any]) -> Reading:
        scheme, claimed = scheme_in(content, self.path)
        certificate = verify(scheme)
        if claimed is not None:
            check_claim(claimed, certificate.to_json(), self.path)
        return Reading(scheme, certificate, OWN, "row by row")

    def _member(self, name: str, content: Callable[[], Any]) -> Reading:
        reading = self._settled(factors_of_member(name, content()))
        return Reading(**{**vars(reading), "member": name})

    def _settled(self, raw: Raw) -> Reading:
        self._check_name(raw)
        reading = settle(raw)
        self._check_certificate(reading)
        return reading

    def _check_certificate(self, reading: Reading) -> None:
        """Compare the certificate in the file beside, if there is one, with what has just been proven."""
        beside = certificate_path(self.path)
        if not beside.exists():
            return
        content = parse_json(read_bytes(beside, MAX_TEXT_BYTES), beside)
        if not isinstance(content, dict) or content.get("grokkit") != "certificate":
            raise UnreadableFile(f"{beside.name}, beside it, is no certificate")
        claimed = {key: value for key, value in content.items() if key != "grokkit"}
        check_claim(claimed, reading.certificate.to_json(), beside.name)

    def _check_name(self, raw: Raw) -> None:
        """Refuse a file whose name states another number of products than it holds."""
        for pattern in _NAMED:
            match = pattern.search(self.path.name)
            if match is None:
                continue
            rank = int(match.group(4))
            held = len(raw.u[0])
            if rank != held:
                raise UnreadableFile(f"its name says {rank} products, it holds {held}; mend or rename it")
            return


def _shown(member: str) -> str:
    """A member's name from a file for an error message: short, without control characters."""
    return short(member)[1:-1]


def holds_weights(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds weights by name (`.pt`, `.safetensors`, `.npz` with U, V, W) rather than schemes."""
    data = read_bytes(path)
    if is_archive(data):
        try:
            members = npz_members(data)
        except UnreadableFile:
            return True
        return members is None or _named_factors(members)
    return is_weight_file(data)


def _named_factors(members: Iterable[str]) -> bool:
    return {name.lower() for name in members} >= {"u", "v", "w"}


def load(path: str | os.PathLike[str], member: str = "") -> Scheme:
    """Read a scheme file of any known format (see `SchemeFile`), recognized by its content.

    `member` names the scheme inside a file of several. For grokkit's own JSON, loading is not proving: without
    a certificate in the file nothing is checked but the form; call `grokkit.verify`. A certificate in the file
    is never trusted: the scheme is proven again and compared with it. Schemes in other formats are proven, as only
    proof tells which convention a file follows; one that holds only modulo a prime p comes with the ring GF(p).

    Raises `UnreadableFile` for a malformed file or a certificate that does not match its scheme, and `Refuted`
    for a file that claims a certificate but is not exact, or whose factors are exact under no convention.
    """
    data = read_bytes(path)
    if member == "" and re.match(rb'(?:\xef\xbb\xbf)?\s*\{\s*["}]', data) and b'"grokkit"' in data:
        return load_own(path)
    return SchemeFile(path).read(member).scheme
