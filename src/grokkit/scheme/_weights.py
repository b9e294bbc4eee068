"""Reading trained weights from files that may be hostile: `.pt`, `.npz`, `.safetensors`. No torch.

Nothing in a file is executed. A `.pt` file holds a pickle; it is interpreted by a restricted reader
that knows eleven names, all of which build plain arrays and containers, and refuses every other.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float

from grokkit.scheme._errors import InvalidInput, MissingExtra, UnreadableFile
from grokkit.scheme._files import MAX_FILE_BYTES, read_bytes
from grokkit.scheme._target import MatrixProduct

MAX_DEPTH: Final = 8
"""Containers nested deeper than this are refused."""
MAX_ARRAYS: Final = 4096
MAX_ELEMENTS: Final = 2**26

_DTYPES: Final = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
_MALFORMED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    SyntaxError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    AssertionError,
    MemoryError,
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
    `.safetensors` (needs the extra ``[lab]``). Raises `UnreadableFile` with the reason for a file that
    is truncated, too large, hostile or of another kind, and `OSError` for a missing one.
    """
    data = read_bytes(path)
    try:
        if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            content = _read_zip(data)
        elif len(data) > 9 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data):
            content = _read_safetensors(data)
        elif data[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            raise UnreadableFile("a bare pickle, which can run code; save it with torch.save or numpy.savez")
        else:
            raise UnreadableFile("neither a .pt, .npz nor .safetensors file")
        arrays: dict[str, np.ndarray] = {}
        _flatten(content, "", 0, arrays)
    except (UnreadableFile, InvalidInput) as error:
        raise UnreadableFile(f"{path}: {error}") from None
    except _MALFORMED as error:
        raise UnreadableFile(f"{path}: damaged or not a weight file ({_first_line(error)})") from None
    if not arrays:
        raise UnreadableFile(f"{path}: holds no arrays")
    return arrays


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file, without any pickle. Raises `UnreadableFile` or `OSError`."""
    try:
        with _open_archive(read_bytes(path)) as archive:
            return _read_npz(archive)
    except UnreadableFile as error:
        raise UnreadableFile(f"{path}: {error}") from None
    except _MALFORMED as error:
        raise UnreadableFile(f"{path}: damaged or not an .npz file ({_first_line(error)})") from None


def find_factors(weights: Mapping[str, Any], where: str = "weights") -> Weights:
    """Pick U, V and W out of named arrays, orient them, and drop slots that a mask switches off.

    Names match by their last component without case and without ``_coefs``-like endings (``U``,
    ``model_state_dict.U_coefs``). An `active` or `slot_mask` vector is honoured, and slots with a zero
    factor, which compute nothing, are dropped. Raises `InvalidInput` if a factor is missing, ambiguous,
    not two-dimensional, not finite, or fits no matrix format.
    """
    arrays: dict[str, np.ndarray] = {}
    _flatten(weights, "", 0, arrays)
    found: dict[str, np.ndarray] = {}
    for letter in "uvw":
        matches = [name for name in arrays if _letter(name) == letter]
        if len(matches) != 1:
            have = ", ".join(sorted(arrays)) or "nothing"
            problem = "no factor" if not matches else f"{len(matches)} arrays named"
            raise InvalidInput(f"{where}: {problem} {letter.upper()}; found {have[:200]}")
        found[letter] = _finite_matrix(arrays[matches[0]], f"{where}: {letter.upper()}")
    u, v, w, target = _orient(found["u"], found["v"], found["w"], where)
    keep = _active_slots(arrays, len(u)) & (np.abs(u).max(1) * np.abs(v).max(1) * np.abs(w).max(0) > 0)
    if not keep.any():
        raise InvalidInput(f"{where}: every slot is zero or switched off")
    return Weights(u[keep], v[keep], w[:, keep], target, int((~keep).sum()))


def _active_slots(arrays: Mapping[str, np.ndarray], slots: int) -> np.ndarray:
    """Which slots the file leaves on: a `slot_mask` of zeros and ones, or `active` as mask or as indices."""
    keep = np.ones(slots, dtype=bool)
    for name, array in arrays.items():
        last = name.rpartition(".")[2].lower()
        if array.ndim != 1 or last not in ("active", "slot_mask"):
            continue
        if len(array) == slots and (last == "slot_mask" or array.dtype == bool):
            keep &= array != 0
        elif array.dtype.kind in "iu" and len(array) and len(set(array.tolist()) & set(range(slots))) == len(array):
            keep &= np.isin(np.arange(slots), array)
    return keep


def _letter(name: str) -> str:
    last = name.removesuffix(".weight").rpartition(".")[2].lower()
    for ending in ("_coefs", "_coef", "_weights", "_weight"):
        last = last.removesuffix(ending)
    return last


def _finite_matrix(array: np.ndarray, what: str) -> np.ndarray:
    if array.ndim != 2:
        raise InvalidInput(f"{what} has shape {array.shape}; a matrix is needed")
    if array.dtype.kind not in "fiub":
        raise InvalidInput(f"{what} has dtype {array.dtype}; real numbers are needed")
    matrix = array.astype(np.float64)
    if not np.isfinite(matrix).all():
        r, c = np.argwhere(~np.isfinite(matrix))[0]
        raise InvalidInput(f"{what}[{r}, {c}] is {matrix[r, c]}; finite numbers are needed")
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


def _flatten(content: Any, prefix: str, depth: int, into: dict[str, np.ndarray]) -> None:
    """Collect arrays from nested mappings under dotted names."""
    if depth > MAX_DEPTH:
        raise UnreadableFile(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(content, Mapping):
        for key, value in content.items():
            _flatten(value, f"{prefix}.{key}" if prefix else str(key), depth + 1, into)
    elif isinstance(content, np.ndarray) or (hasattr(content, "__array__") and hasattr(content, "shape")):
        if len(into) >= MAX_ARRAYS:
            raise UnreadableFile(f"more than {MAX_ARRAYS} arrays")
        tensor: Any = content
        if hasattr(tensor, "detach"):  # a torch tensor that still carries its graph
            tensor = tensor.detach().cpu()
        into[prefix] = np.asarray(tensor)
    elif isinstance(content, list) and content and isinstance(content[0], list | int | float):
        array = np.array(content)
        if array.dtype != object:
            into[prefix] = array


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120] or type(error).__name__


def _read_zip(data: bytes) -> Any:
    with _open_archive(data) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) == 1:
            return _read_torch(archive, pickles[0])
        if names and all(name.endswith(".npy") for name in names):
            return _read_npz(archive)
    raise UnreadableFile("a zip archive, but neither a .pt nor an .npz file")


def _open_archive(data: bytes) -> zipfile.ZipFile:
    """A zip archive whose unpacked size has been checked."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = archive.infolist()
    if len(members) > MAX_ARRAYS:
        raise UnreadableFile(f"more than {MAX_ARRAYS} files in the archive")
    if sum(member.file_size for member in members) > MAX_FILE_BYTES:
        raise UnreadableFile(f"unpacks to more than {MAX_FILE_BYTES // 2**20} MiB")
    return archive


def _read_npz(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    names = archive.namelist()
    if not all(name.endswith(".npy") for name in names):
        raise UnreadableFile("not an .npz file")
    return {name[:-4]: _read_npy(archive.read(name)) for name in names}


def _read_npy(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise UnreadableFile(f".npy version {version} is not read")
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise UnreadableFile("holds object arrays, which are pickles; save numeric arrays")
    if math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise UnreadableFile(f"truncated: shape {shape} does not fit the data")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def _read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ImportError:
        raise MissingExtra("reading .safetensors needs: pip install 'grokkit[lab]'") from None
    try:
        return load(data)
    except SafetensorError as error:
        raise UnreadableFile(f"not a valid .safetensors file ({error})") from None


@final
class _Storage:
    """A torch storage: `count` elements of `dtype` in archive member `key`."""

    def __init__(self, dtype: np.dtype[Any], key: str, count: int):
        self.dtype, self.key, self.count = dtype, key, count


@final
class _Array:
    """A numpy array as pickles build it: made empty, then filled by its state."""

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _DType) or not isinstance(raw, bytes):
            raise UnreadableFile("holds an object array")
        self.value = np.frombuffer(raw, dtype=dtype.dtype).reshape(shape, order="F" if fortran else "C")


@final
class _DType:
    """A numpy dtype of a plain number."""

    def __init__(self, name: str, *_: Any):
        self.dtype = np.dtype(str(name))
        if self.dtype.kind not in "fiub":
            raise UnreadableFile(f"holds an array of dtype {name!r}")

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    return str(text).encode("latin1" if encoding == "latin1" else "ascii")


def _scalar(dtype: Any, raw: Any) -> np.ndarray:
    if not isinstance(dtype, _DType) or not isinstance(raw, bytes):
        raise UnreadableFile("holds an object scalar")
    return np.frombuffer(raw, dtype=dtype.dtype, count=1).reshape(())


@final
class _RestrictedUnpickler(pickle._Unpickler):  # type: ignore[name-defined]  # the Python one: its memo cannot be made to allocate
    """Builds tensors, arrays and containers; every other name is refused before anything is called."""

    def __init__(self, archive: zipfile.ZipFile, member: str):
        super().__init__(io.BytesIO(archive.read(member)))
        self._archive = archive
        self._prefix = member.removesuffix("data.pkl")

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("torch", "Size"): tuple,
            ("collections", "OrderedDict"): OrderedDict,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _DType,
            ("_codecs", "encode"): _encode,
        }
        for package in ("numpy.core.multiarray", "numpy._core.multiarray"):
            known[package, "_reconstruct"] = lambda *_: _Array()
            known[package, "scalar"] = _scalar
        if (module, name) not in known:
            raise UnreadableFile(f"its pickle asks for {module}.{name}, which is not allowed in a weight file")
        return known[module, name]

    def get_extension(self, code: int) -> Any:
        raise UnreadableFile(f"its pickle uses extension code {code}, which is not allowed in a weight file")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(count, int):
            raise UnreadableFile("holds an unknown kind of storage")
        return _Storage(dtype, str(key), count)

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> np.ndarray:
        if not isinstance(storage, _Storage):
            raise UnreadableFile("holds a tensor without storage")
        info = self._archive.getinfo(f"{self._prefix}data/{storage.key}")
        if info.file_size != storage.count * storage.dtype.itemsize:
            raise UnreadableFile(f"storage {storage.key} has {info.file_size} bytes, not what it claims")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        integers = all(isinstance(value, int) and value >= 0 for value in (offset, *size, *stride))
        if not integers or math.prod(size) > MAX_ELEMENTS or (math.prod(size) and last >= storage.count):
            raise UnreadableFile(f"a tensor of size {tuple(size)} does not fit its storage")
        flat = np.frombuffer(self._archive.read(info), dtype=storage.dtype)
        if math.prod(size) == 0:
            return np.empty(size, dtype=storage.dtype)
        steps = [step * storage.dtype.itemsize for step in stride]
        return np.lib.stride_tricks.as_strided(flat[offset:], tuple(size), steps).copy()


def _read_torch(archive: zipfile.ZipFile, member: str) -> Any:
    order = member.removesuffix("data.pkl") + "byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise UnreadableFile("written on a big-endian machine")
    return _plain(_RestrictedUnpickler(archive, member).load(), 0)


def _plain(content: Any, depth: int) -> Any:
    """Replace placeholder arrays by real ones inside containers."""
    if depth > MAX_DEPTH:
        raise UnreadableFile(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(content, _Array):
        return content.value
    if isinstance(content, Mapping):
        if len(content) > MAX_ARRAYS:
            raise UnreadableFile(f"more than {MAX_ARRAYS} entries")
        return {key: _plain(value, depth + 1) for key, value in content.items()}
    return content
