"""Reading files that may be hostile, and writing files so that nothing is lost."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from grokkit.scheme._errors import InvalidInput, UnreadableFile

MAX_FILE_BYTES: Final = 256 * 2**20
"""Largest weight file that is read."""
MAX_JSON_BYTES: Final = 48 * 2**20
"""Largest JSON file that is read. With `MAX_JSON_VALUES` it keeps the memory that parsing takes below 1 GiB."""
MAX_JSON_VALUES: Final = 2**20
"""Most lists, most objects and most quotation marks in a JSON file."""


def short(value: Any) -> str:
    """A value for an error message: at most 60 characters in one line, control characters escaped."""
    if isinstance(value, list | tuple | dict):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    text = " ".join((value[:60].__repr__() if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= 60 else text[:57] + "..."


def read_bytes(path: str | os.PathLike[str], limit: int = MAX_FILE_BYTES) -> bytes:
    """The content of a file, refused before it is read when larger than `limit` bytes.

    Raises `FileNotFoundError` and other `OSError`s as they come, `UnreadableFile` when too large.
    """
    with Path(path).open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise UnreadableFile(f"{path}: larger than {limit // 2**20} MiB, the largest file that is read")
    return data


def oversized(data: bytes) -> str:
    """Why JSON text is too large to be read; empty if it is not."""
    if len(data) > MAX_JSON_BYTES:
        return f"larger than {MAX_JSON_BYTES // 2**20} MiB, the largest file that is read"
    for what, mark in (("lists", b"["), ("objects", b"{"), ("quotation marks", b'"')):
        if data.count(mark) > MAX_JSON_VALUES:
            return f"more than {MAX_JSON_VALUES} {what}, the most that are read"
    return ""


def parse_json(data: bytes, path: str | os.PathLike[str]) -> Any:
    """Strict JSON: no duplicate keys, no NaN or infinity, bounded size, nesting and number length.

    Raises `UnreadableFile` with line and column where the parser gives them.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key, value in pairs:
            if key in content:
                raise UnreadableFile(f"{path}: key {short(key)} appears twice in one object; keep one")
            content[key] = value
        return content

    def refuse(constant: str) -> Any:
        raise UnreadableFile(f"{path}: {short(constant)} is not a finite JSON number")

    def finite(number: str) -> float:
        value = float(number)
        return value if math.isfinite(value) else refuse(number)

    if reason := oversized(data):
        raise UnreadableFile(f"{path}: {reason}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path}: not UTF-8 text (byte {error.start})") from None
    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_float=finite)
    except json.JSONDecodeError as error:
        raise UnreadableFile(
            f"{path}: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise UnreadableFile(f"{path}: JSON nested too deeply") from None
    except UnreadableFile:
        raise
    except ValueError:  # an integer with more digits than Python parses
        found = re.search("[0-9]{4301}", text)
        line = f" in line {text.count(chr(10), 0, found.start()) + 1}" if found else ""
        raise UnreadableFile(f"{path}: a number of more than 4300 digits{line}") from None


def write_atomically(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write a whole file or nothing: a temporary file beside it is written, synced and renamed.

    On any error the temporary file is removed and an existing file is left as it was. A path that
    exists and is no regular file (a pipe, a terminal) is written directly; of a link, the file that it
    names is replaced. Raises `InvalidInput` with the path and the reason where it cannot be written; a
    closed pipe stays a `BrokenPipeError`.
    """
    path = Path(path)
    try:
        _write(path, data.encode("utf-8") if isinstance(data, str) else data)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if isinstance(error, FileNotFoundError):
            reason = f"there is no folder {path.parent}; make it first"
        raise InvalidInput(f"{path}: not written: {reason}") from error


def _write(path: Path, content: bytes) -> None:
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            stream.write(content)
        return
    if path.is_symlink():  # replace the file, not the link to it
        path = path.resolve()
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def undone_if_empty(folder: Path) -> Iterator[None]:
    """Make a directory; if the block fails, remove what was made of it and of its parents and is still empty."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise
