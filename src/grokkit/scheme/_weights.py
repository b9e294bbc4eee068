"""Reading trained weights from files that may be hostile: `.pt`, `.npz`, `.safetensors`. No torch.

Nothing in a file is executed, and reading one takes less than a gigabyte and a few seconds: a file, what
it unpacks to and the arrays read from it are each at most 256 MiB.
"""

from __future__ import annotations

import io
import math
import os
import re
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float

from grokkit.scheme import _pickle
from grokkit.scheme._errors import InvalidInput, UnreadableFile
from grokkit.scheme._files import MAX_FILE_BYTES, parse_json, read_bytes, short
from grokkit.scheme._pickle import MAX_DEPTH, MAX_PICKLE_BYTES
from grokkit.scheme._target import MatrixProduct

MAX_ARRAYS: Final = 4096
MAX_ENTRIES: Final = 2**20
"""Most entries of containers and lists that are looked at; what is shared counts each time."""
MAX_NAME: Final = 1024
"""Longest dotted name of an array."""
MAX_HEADER_BYTES: Final = 4 * 2**20
"""Longest header of a `.safetensors` file."""
MAX_FACTOR: Final = 2**24
"""Most entries of one factor."""
LARGEST: Final = 1e50
"""Largest weight: squares of products of three of them do not overflow."""

_SAFETENSORS: Final = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bf16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_MASKS: Final = ("active", "slot_mask")
_BARE_PICKLE: Final = re.compile(
    rb"\x80[\x02-\x05]|\([dl]p\d+\n|\(i[\w.]+\n\w+\n|c[\w.]+\n\w+\n|[]}](?:q.|[.(])|\((?:c[\w.]+\n|[]}lt]q)", re.DOTALL
)
_MALFORMED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    SyntaxError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    MemoryError,
    OSError,
)


@final
@dataclass(frozen=True)
class Weights:
    """The factors of one bilinear network, found in a file or a mapping.

    U is (slots × n·m), V is (slots × m·p), W is (n·p × slots), float64; `target` is the format that
    their widths fit; `inactive` counts slots left out because they are zero or switched off by a mask.
    """

    U: Float[np.ndarray, "slots nm"]
    V: Float[np.ndarray, "slots mp"]
    W: Float[np.ndarray, "np slots"]
    target: MatrixProduct
    inactive: int = 0


def read_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays in a weight file by dotted name, recognized by content rather than by suffix.

    Reads `.pt` files as torch.save writes them since 1.6, `.npz` without object arrays, and
    `.safetensors`; bfloat16 is widened to float32. Raises `UnreadableFile` with the reason for a file
    that is truncated, too large, hostile or of another kind, and `OSError` for a missing one.
    """
    data = read_bytes(path)
    try:
        return weights_in(data)
    except InvalidInput as error:
        raise UnreadableFile(f"{path}: {error}") from None


def is_archive(data: bytes) -> bool:
    """Whether the bytes of a file begin as a zip archive does."""
    return data[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def is_weight_file(data: bytes) -> bool:
    """Whether the bytes of a file begin as those of a weight file do, or of a pickle, which is then refused."""
    return is_archive(data) or _is_safetensors(data) or _BARE_PICKLE.match(data) is not None


def _is_safetensors(data: bytes) -> bool:
    return len(data) > 9 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data)


@contextmanager
def _damaged(kind: str) -> Iterator[None]:
    """What goes wrong in a malformed file, as `UnreadableFile`; complaints that are clear already pass."""
    try:
        yield
    except InvalidInput:
        raise
    except _MALFORMED as error:
        raise UnreadableFile(f"damaged or not {kind} ({_reason(error)})") from None


def weights_in(data: bytes) -> dict[str, np.ndarray]:
    """All arrays in the bytes of a weight file; see `read_weights`. Raises `UnreadableFile` without a path."""
    with _damaged("a weight file"):
        if is_archive(data):
            content = _read_zip(data)
        elif _is_safetensors(data):
            content = _read_safetensors(data)
        elif _BARE_PICKLE.match(data):
            raise UnreadableFile("a bare pickle, which can run code; save it with torch.save or numpy.savez")
        else:
            raise UnreadableFile("neither a .pt, .npz nor .safetensors file")
        arrays = _flatten(content)
    if not arrays:
        raise UnreadableFile("holds no arrays")
    return arrays


def npz_members(data: bytes) -> dict[str, Callable[[], Any]] | None:
    """For each array of an `.npz` archive, by name, what reads it; None for an archive of another kind.

    An array of objects is read as a list of numeric arrays, and refused if it is anything else. Nothing is unpacked
    before it is asked for. Raises `UnreadableFile`, and so do the functions.
    """

    def read(name: str) -> Any:
        with _damaged("an .npz file"), _open_archive(data) as archive:
            return _read_npy(archive.read(name), objects=True)

    with _damaged("an archive"), _open_archive(data) as archive:
        names = archive.namelist()
    if not names or not all(name.endswith(".npy") for name in names):
        return None
    return {name[:-4]: partial(read, name) for name in names}


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file, without any pickle. Raises `UnreadableFile` or `OSError`."""
    data = read_bytes(path)
    try:
        with _damaged("an .npz file"), _open_archive(data) as archive:
            return _read_npz(archive)
    except InvalidInput as error:
        raise UnreadableFile(f"{path}: {error}") from None


def find_factors(weights: Mapping[str, Any], where: str = "weights") -> Weights:
    """Pick U, V and W out of named arrays, orient them, and drop slots that a mask switches off.

    Names match by their last component without case and without ``_coefs``-like endings (``U``,
    ``model_state_dict.U_coefs``). An `active` or `slot_mask` vector beside or above the factors is
    honoured: zeros and ones, one a slot, or (`active`) the indices of slots. Slots with a zero factor,
    which compute nothing, are dropped. Raises `InvalidInput` if a factor is missing, ambiguous, too
    large, not two-dimensional, not finite, or fits no matrix format, or if a mask is not understood.
    """
    try:
        arrays = _flatten(weights)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None
    names = {letter: _named(arrays, letter, where) for letter in "uvw"}
    whats = [f"{where}: {_shown(names[letter])}" for letter in "uvw"]
    raw = [arrays[names[letter]] for letter in "uvw"]
    for array, what in zip(raw, whats, strict=True):
        _check_matrix(array, what)
    *oriented, target = _orient(raw[0], raw[1], raw[2], where)
    u, v, w = (_as_float(array, what) for array, what in zip(oriented, whats, strict=True))
    levels = zip(*(_scope(name) for name in names.values()), strict=False)
    scope = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    keep = _active_slots(arrays, len(u), scope, where) & u.any(1) & v.any(1) & w.any(0)
    if not keep.any():
        raise InvalidInput(f"{where}: every slot is zero or switched off")
    if keep.all():
        return Weights(u, v, w, target)
    return Weights(u[keep], v[keep], w[:, keep], target, int((~keep).sum()))


def _named(arrays: Mapping[str, np.ndarray], letter: str, where: str) -> str:
    matches = [name for name in arrays if _letter(name) == letter]
    if len(matches) == 1:
        return matches[0]
    have = ", ".join(_shown(name) for name in sorted(arrays)[:10]) or "nothing"
    problem = "no factor" if not matches else f"{len(matches)} arrays named"
    raise InvalidInput(f"{where}: {problem} {letter.upper()}; found {have[:200]}")


def _scope(name: str) -> list[str]:
    """The containers that an array lies in."""
    return name.removesuffix(".weight").split(".")[:-1]


def _active_slots(arrays: Mapping[str, np.ndarray], slots: int, scope: list[str], where: str) -> np.ndarray:
    """Which slots the masks leave on that lie in the container of the factors or in one around it."""
    keep = np.ones(slots, dtype=bool)
    for name, array in arrays.items():
        last = name.rpartition(".")[2].lower()
        if last not in _MASKS or (last == "active" and array.ndim == 0):  # a count of slots
            continue
        what = f"{where}: {_shown(name)}"
        if _scope(name) != scope[: len(_scope(name))]:
            raise InvalidInput(f"{what} is a mask, but not beside U, V and W; put it there or leave it out")
        if array.shape == (slots,) and array.dtype.kind in "biuf" and ((array == 0) | (array == 1)).all():
            keep &= array != 0
        elif last == "active" and array.ndim == 1 and array.dtype.kind in "iu" and _distinct(array, slots):
            keep &= np.isin(np.arange(slots), array)
        else:
            raise InvalidInput(f"{what} is not a mask of {slots} zeros and ones; mend it or leave it out")
    return keep


def _distinct(indices: np.ndarray, slots: int) -> bool:
    inside = 0 < len(indices) <= slots and indices.min() >= 0 and indices.max() < slots
    return bool(inside) and len(np.unique(indices)) == len(indices)


def _letter(name: str) -> str:
    last = name.removesuffix(".weight").rpartition(".")[2].lower()
    for ending in ("_coefs", "_coef", "_weights", "_weight"):
        last = last.removesuffix(ending)
    return last


def _check_matrix(array: np.ndarray, what: str) -> None:
    if array.ndim != 2:
        raise InvalidInput(f"{what} has shape {array.shape}; a matrix is needed")
    if array.dtype.kind not in "fiub":
        raise InvalidInput(f"{what} has dtype {short(str(array.dtype))[1:-1]}; real numbers are needed")
    if array.size > MAX_FACTOR:
        raise InvalidInput(f"{what} has {array.size} entries; at most {MAX_FACTOR} are read")


def _as_float(array: np.ndarray, what: str) -> np.ndarray:
    with np.errstate(all="ignore"):  # a long double may overflow; it is then refused
        matrix = array.astype(np.float64)
    wrong = ~(np.abs(matrix) <= LARGEST)
    if wrong.any():
        r, c = np.argwhere(wrong)[0]
        needed = "finite numbers are needed"
        if np.isfinite(matrix[r, c]):
            needed = f"larger than {LARGEST:.0e}, so products overflow; scale it down"
        raise InvalidInput(f"{what}[{r}, {c}] is {matrix[r, c]:.6g}; {needed}")
    return matrix


def _orient(
    u: np.ndarray, v: np.ndarray, w: np.ndarray, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, MatrixProduct]:
    """Transpose factors until the slot axes agree and the widths fit a format; the usual way first."""
    for flips in range(8):
        a, b, c = (matrix.T if flips >> bit & 1 else matrix for bit, matrix in ((2, u), (1, v), (0, w)))
        if len(a) == len(b) == c.shape[1]:
            try:
                return a, b, c, MatrixProduct.from_shape(a.shape[1], b.shape[1], len(c))
            except InvalidInput:
                continue
    raise InvalidInput(
        f"{where}: U {u.shape}, V {v.shape}, W {w.shape} fit no matrix format; "
        "U is slots x n·m, V slots x m·p, W n·p x slots"
    )


def _flatten(content: Any) -> dict[str, np.ndarray]:
    """The arrays in nested mappings by dotted name; lists of numbers count as arrays."""
    arrays: dict[str, np.ndarray] = {}
    entries = 0

    def visit(value: Any, name: str, depth: int) -> None:
        nonlocal entries
        if isinstance(value, Mapping):
            if depth > MAX_DEPTH:
                raise UnreadableFile(f"nested deeper than {MAX_DEPTH} levels")
            for key, inner in value.items():
                last = str(key)
                if len(name) + len(last) >= MAX_NAME:
                    raise UnreadableFile(f"a name longer than {MAX_NAME} characters, {_shown(last)}")
                visit(inner, f"{name}.{last}" if name else last, depth + 1)
        numeric = True
        for inner in _walk(value, 0):
            entries += 1
            if entries > MAX_ENTRIES:
                raise UnreadableFile(f"more than {MAX_ENTRIES} entries")
            numeric = numeric and isinstance(inner, list | tuple | int | float)
        if isinstance(value, list | tuple):
            mask = name.rpartition(".")[2].lower() in _MASKS
            array = _from_list(value) if numeric and (value or mask) else None
        else:
            array = _as_array(value, name)
        if array is None:
            return
        if name in arrays:
            raise UnreadableFile(f"two arrays are called {_shown(name)}; rename one")
        if len(arrays) >= MAX_ARRAYS:
            raise UnreadableFile(f"more than {MAX_ARRAYS} arrays")
        arrays[name] = array

    visit(content, "", 0)
    return arrays


def _walk(value: Any, depth: int) -> Iterator[Any]:
    """A value and, inside lists and tuples, every entry."""
    yield value
    if isinstance(value, list | tuple):
        if depth > MAX_DEPTH:
            raise UnreadableFile(f"nested deeper than {MAX_DEPTH} levels")
        for inner in value:
            yield from _walk(inner, depth + 1)


def _from_list(values: Any) -> np.ndarray | None:
    """Nested lists of numbers as an array; None if they are ragged or too large for one."""
    try:
        array = np.array(values)
    except (ValueError, OverflowError):
        return None
    return array if array.dtype.kind in "biuf" else None


def _as_array(value: Any, name: str) -> np.ndarray | None:
    if isinstance(value, np.ndarray):
        return value
    if not (hasattr(value, "__array__") and hasattr(value, "shape")):
        return None
    try:
        if hasattr(value, "detach"):  # a torch tensor that still carries its graph, or a lazy sign
            value = value.detach().cpu().resolve_conj().resolve_neg()
            value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        return np.asarray(value)
    except (TypeError, RuntimeError) as error:
        raise InvalidInput(f"{_shown(name)} cannot be read as an array ({_reason(error)})") from None


def _shown(name: str) -> str:
    """A name from a file for an error message: short, without control characters."""
    text = short(name)
    return text[1:-1] if text[0] == text[-1] else text[1:]


def _reason(error: BaseException) -> str:
    line = (str(error).splitlines() or [""])[0] or type(error).__name__
    return repr(line[:120])[1:-1]


def _read_zip(data: bytes) -> Any:
    with _open_archive(data) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) == 1:
            return _read_torch(archive, pickles[0].removesuffix("data.pkl"))
        if names and all(name.endswith(".npy") for name in names):
            return _read_npz(archive)
    raise UnreadableFile("a zip archive, but neither a .pt nor an .npz file")


def _open_archive(data: bytes) -> zipfile.ZipFile:
    """A zip archive whose number of members, packing and unpacked size have been checked."""
    if data.count(b"PK\x01\x02") > MAX_ARRAYS:  # before zipfile makes an object for each
        raise UnreadableFile(f"more than {MAX_ARRAYS} files in the archive")
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = archive.infolist()
    if len({member.filename for member in members}) < len(members):
        raise UnreadableFile("two files of the archive have the same name")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise UnreadableFile("packed in another way than deflate; save it again")
    if sum(member.file_size for member in members) > MAX_FILE_BYTES:
        raise UnreadableFile(f"unpacks to more than {MAX_FILE_BYTES // 2**20} MiB")
    return archive


def _read_torch(archive: zipfile.ZipFile, folder: str) -> Any:
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
        raise UnreadableFile("written on a big-endian machine")
    if archive.getinfo(f"{folder}data.pkl").file_size > MAX_PICKLE_BYTES:
        raise UnreadableFile(f"its pickle is larger than {MAX_PICKLE_BYTES // 2**20} MiB")
    return _pickle.load(archive.read(f"{folder}data.pkl"), lambda key: archive.read(f"{folder}data/{key}"))


def _read_npz(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    names = archive.namelist()
    if not all(name.endswith(".npy") for name in names):
        raise UnreadableFile("not an .npz file")
    return {name[:-4]: _read_npy(archive.read(name)) for name in names}


def _read_npy(data: bytes, objects: bool = False) -> Any:
    """The array in a `.npy` file; with `objects`, the list of arrays that an array of objects holds."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise UnreadableFile(f".npy version {version} is not read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the parser, about the file's text
        shape, fortran, dtype = read_header(stream)
    if dtype.hasobject and objects:
        return _pickle.load_arrays(data[stream.tell() :])
    if dtype.hasobject:
        raise UnreadableFile("holds object arrays, which are pickles; save numeric arrays")
    if (
        not dtype.itemsize
        or min(shape, default=0) < 0
        or math.prod(shape) * dtype.itemsize != len(data) - stream.tell()
    ):
        raise UnreadableFile(f"truncated: shape {short(str(shape))[1:-1]} does not fit the data")
    flat = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C").copy(order="K")


def _read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a `.safetensors` file: 8 bytes of length, a JSON header, the arrays without gaps."""
    start = 8 + int.from_bytes(data[:8], "little")
    if start > 8 + MAX_HEADER_BYTES:
        raise UnreadableFile(f"its header is longer than {MAX_HEADER_BYTES // 2**20} MiB")
    header = parse_json(data[8:start], "header")
    header.pop("__metadata__", None)
    if len(header) > MAX_ARRAYS:
        raise UnreadableFile(f"more than {MAX_ARRAYS} arrays")
    arrays: dict[str, np.ndarray] = {}
    size = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        if kind not in _SAFETENSORS:
            raise UnreadableFile(f"{_shown(name)} has dtype {short(kind)}, which is not read; save it as float32")
        count, width = _pickle.product(tuple(shape)), _pickle.itemsize(_SAFETENSORS[kind])
        if type(begin) is not int or type(end) is not int or begin != size or end - begin != count * width:
            raise UnreadableFile(f"{_shown(name)} does not fit its place in the file")
        if kind == "BF16" and 2 * len(data) > MAX_FILE_BYTES:
            raise UnreadableFile(f"its bfloat16 arrays are too large; at most {MAX_FILE_BYTES // 2**21} MiB are read")
        size = end
        if start + size > len(data):
            raise UnreadableFile(f"truncated: {_shown(name)} is not there")
        arrays[name] = _pickle.numbers(data[start + begin : start + end], _SAFETENSORS[kind]).reshape(shape).copy()
    if start + size != len(data):
        raise UnreadableFile("has bytes after its last array")
    return arrays
