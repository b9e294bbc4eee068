"""Reading files that may be hostile, and writing files so that nothing is lost."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from grokkit.scheme._errors import UnreadableFile

MAX_FILE_BYTES: Final = 256 * 2**20
"""Largest scheme or weight file that is read."""


def read_bytes(path: str | os.PathLike[str], limit: int = MAX_FILE_BYTES) -> bytes:
    """The content of a file, refused before it is read when larger than `limit` bytes.

    Raises `FileNotFoundError` and other `OSError`s as they come, `UnreadableFile` when too large.
    """
    with Path(path).open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise UnreadableFile(f"{path}: larger than {limit // 2**20} MiB, the largest file that is read")
    return data


def parse_json(data: bytes, path: str | os.PathLike[str]) -> Any:
    """Strict JSON: no duplicate keys, no NaN or Infinity, bounded nesting and number length.

    Raises `UnreadableFile` with line and column where the parser gives them.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key, value in pairs:
            if key in content:
                raise UnreadableFile(f"{path}: key {key!r} appears twice in one object; keep one")
            content[key] = value
        return content

    def refuse(constant: str) -> Any:
        raise UnreadableFile(f"{path}: {constant} is not a JSON number; coefficients are integers")

    try:
        text = data.decode("utf-8")
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path}: not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise UnreadableFile(
            f"{path}: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise UnreadableFile(f"{path}: JSON nested too deeply") from None
    except UnreadableFile:
        raise
    except ValueError as error:  # an integer with more digits than Python parses
        raise UnreadableFile(f"{path}: {error}") from None


def write_atomically(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write a whole file or nothing: a temporary file beside it is written, synced and renamed.

    On any error the temporary file is removed and an existing file is left as it was. A path that
    exists and is no regular file (a pipe, ``/dev/stdout``) is written directly.
    """
    path = Path(path)
    content = data.encode("utf-8") if isinstance(data, str) else data
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            stream.write(content)
        return
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
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
