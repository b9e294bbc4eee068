"""The claims of the source documents, as the package's own list of them states them."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, final

from grokkit.scheme import InvalidInput


@final
@dataclass(frozen=True)
class Document:
    """A source document."""

    key: str
    title: str
    author: str
    doi: str
    """Empty where the document has none of its own."""

    def __str__(self) -> str:
        return f"{self.author}, {self.title}" + (f" (doi:{self.doi})" if self.doi else "")


@final
@dataclass(frozen=True)
class Claim:
    """What a source document claims: in our words, with the figure or outcome that it gives."""

    id: str
    document: Document
    statement: str
    stated: str

    def to_json(self) -> dict[str, Any]:
        source = {"key": self.document.key, "title": self.document.title, "doi": self.document.doi or None}
        return {"id": self.id, "document": source, "statement": self.statement, "stated": self.stated}


@cache
def _read() -> dict[str, Claim]:
    text = resources.files("grokkit.studies.ledger").joinpath("claims.toml").read_text("utf-8")
    content = tomllib.loads(text)
    documents = {key: Document(key, **fields) for key, fields in content["documents"].items()}
    found = [
        Claim(each["id"], documents[each["document"]], each["statement"], each["stated"]) for each in content["claim"]
    ]
    return {each.id: each for each in found}


def claims() -> dict[str, Claim]:
    """All claims by id, in the order of the list.

    >>> len(claims())
    87
    """
    return dict(_read())


def find_claim(name: str) -> Claim:
    """The claim of an id, whatever its case. Raises `InvalidInput` that names the nearest id."""
    known = _read()
    wanted = str(name).strip().upper()
    if wanted not in known:
        series = [each for each in known if each[0] == wanted[:1]] or list(known)
        near = difflib.get_close_matches(wanted[:40], series, 1, cutoff=0.0)[0]
        raise InvalidInput(f"no claim {str(name)[:40]!r}; did you mean {near}? grokkit claims lists all")
    return known[wanted]
