"""The pickle inside a `.pt` file, read by a machine of its own that can only build numbers, arrays and containers.

It knows the instructions that torch.save and NumPy write and a fixed list of names. A name is a mark on the
stack, never a Python object: nothing is imported, called or altered, and no attribute is ever set.

Every step is bounded. A container is sealed once another holds it, as pickles write them; so there are
no cycles, and its depth is known. Dictionary keys are plain values, so hashing never recurses.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from grokkit.scheme._errors import UnreadableFile
from grokkit.scheme._files import MAX_FILE_BYTES, short

MAX_PICKLE_BYTES: Final = 16 * 2**20
MAX_INSTRUCTIONS: Final = 2**20
"""A state dict takes about 30 instructions a tensor."""
MAX_DEPTH: Final = 16
"""Containers nested deeper than this are refused."""
MAX_AXES: Final = 32

STORAGES: Final = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bf16",
    "ComplexFloatStorage": "<c8",
    "ComplexDoubleStorage": "<c16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
_NUMPY: Final = frozenset(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"])
_NAMES: Final = (
    {("torch", name) for name in (*STORAGES, "Size")}
    | {("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter")}
    | {("collections", "OrderedDict"), ("_codecs", "encode"), ("numpy", "ndarray"), ("numpy", "dtype")}
    | {(module, "bytes") for module in ("__builtin__", "builtins")}
    | {(f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")}
)
_CONTAINERS: Final = (tuple, list, dict)
_KEYS: Final = (str, int, float, bool, type(None))


def numbers(raw: bytes, kind: str) -> np.ndarray:
    """The numbers in raw bytes, flat. bfloat16 is widened to float32, exactly; any nonzero byte is true."""
    if kind == "bf16":
        wide = np.frombuffer(raw, dtype="<u2").astype("<u4")
        wide <<= 16
        return wide.view("<f4")
    dtype = np.dtype(kind)
    return np.frombuffer(raw, dtype="u1") != 0 if dtype.kind == "b" else np.frombuffer(raw, dtype=dtype)


def itemsize(kind: str) -> int:
    """Bytes that a number of this kind takes in a file."""
    return 2 if kind == "bf16" else np.dtype(kind).itemsize


@final
@dataclass(frozen=True, slots=True)
class _Name:
    module: str
    name: str


@final
@dataclass(frozen=True, slots=True)
class _Storage:
    """`count` numbers of a kind in archive member `key`."""

    kind: str
    key: str
    count: int


@final
class _Built:
    """A NumPy dtype or array in the making: what the instruction BUILD may complete, once."""

    __slots__ = ("done", "value")

    def __init__(self, value: str | None = None):
        self.value: Any = value
        self.done = False


def load(data: bytes, member: Callable[[str], bytes]) -> Any:
    """The content of a pickle; `member` gives the bytes of a storage by its key.

    Raises `UnreadableFile`, or an exception of Python or NumPy where the pickle is malformed.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise UnreadableFile(f"its pickle is larger than {MAX_PICKLE_BYTES // 2**20} MiB")
    return _Machine(data, member).run()


def load_arrays(data: bytes) -> list[np.ndarray]:
    """The numeric arrays in the pickle of a NumPy array of objects with one axis.

    Raises `UnreadableFile`, or an exception of Python or NumPy where the pickle is malformed.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise UnreadableFile(f"its pickle is larger than {MAX_PICKLE_BYTES // 2**20} MiB")
    content = _Machine(data, _no_storage, objects=True).run()
    if not isinstance(content, list) or not all(isinstance(item, np.ndarray) for item in content):
        raise UnreadableFile("holds objects other than numeric arrays")
    return content


def _no_storage(key: str) -> bytes:
    raise UnreadableFile("its pickle asks for a storage, and an array has none")


@final
class _Machine:
    """A stack, the stacks below each mark, and a memo."""

    def __init__(self, data: bytes, member: Callable[[str], bytes], objects: bool = False):
        self._data = data
        self._objects = objects
        self._at = 0
        self._member = member
        self._flat: dict[_Storage, np.ndarray] = {}
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._depth: dict[int, int] = {}  # by id; the containers are kept alive, so no id is used twice
        self._kept: list[Any] = []
        self._sealed: set[int] = set()
        self._budget = MAX_FILE_BYTES

    def run(self) -> Any:
        for _ in range(MAX_INSTRUCTIONS):
            code = self._take(1)
            if code == b".":
                return self._plain(self._stack.pop(), {})
            self._step(code)
        raise UnreadableFile(f"its pickle has more than {MAX_INSTRUCTIONS} instructions")

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise UnreadableFile("its pickle is truncated")
        self._at += count
        return self._data[self._at - count : self._at]

    def _unsigned(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _line(self) -> str:
        end = self._data.index(b"\n", self._at, self._at + 256)
        line = self._take(end - self._at).decode("ascii")
        self._at += 1
        return line

    def _step(self, code: bytes) -> None:
        push = self._stack.append
        match code:
            # memo
            case b"q":
                self._memo[self._unsigned(1)] = self._stack[-1]
            case b"r":
                self._memo[self._unsigned(4)] = self._stack[-1]
            case b"\x94":
                self._memo[len(self._memo)] = self._stack[-1]
            case b"h":
                push(self._memo[self._unsigned(1)])
            case b"j":
                push(self._memo[self._unsigned(4)])
            # numbers and text
            case b"K":
                push(self._unsigned(1))
            case b"M":
                push(self._unsigned(2))
            case b"J":
                push(int.from_bytes(self._take(4), "little", signed=True))
            case b"\x8a":
                push(int.from_bytes(self._take(self._unsigned(1)), "little", signed=True))
            case b"G":
                push(struct.unpack(">d", self._take(8))[0])
            case b"N":
                push(None)
            case b"\x88":
                push(True)
            case b"\x89":
                push(False)
            case b"X":
                push(self._take(self._unsigned(4)).decode("utf-8", "surrogatepass"))
            case b"\x8c":
                push(self._take(self._unsigned(1)).decode("utf-8", "surrogatepass"))
            case b"B":
                push(self._take(self._unsigned(4)))
            case b"C":
                push(self._take(self._unsigned(1)))
            # containers
            case b"(":
                self._below.append(self._stack)
                self._stack = []
            case b")":
                push(())
            case b"]":
                push(self._container([], ()))
            case b"}":
                push(self._container({}, ()))
            case b"t":
                self._tuple(self._marked())
            case b"\x85" | b"\x86" | b"\x87":
                self._tuple([self._stack.pop() for _ in range(code[0] - 0x84)][::-1])
            case b"a":
                self._extend([self._stack.pop()])
            case b"e":
                self._extend(self._marked())
            case b"s":
                self._update([self._stack.pop() for _ in range(2)][::-1])
            case b"u":
                self._update(self._marked())
            # names and what is made by them
            case b"c":
                push(self._name(self._line(), self._line()))
            case b"\x93":
                name = self._stack.pop()
                push(self._name(self._stack.pop(), name))
            case b"Q":
                push(self._storage(*self._arguments()))
            case b"R":
                arguments = self._arguments()
                push(self._make(self._stack.pop(), arguments))
            case b"b":
                state = self._stack.pop()
                self._build(self._stack[-1], state)
            # protocol and frames say nothing about the content
            case b"\x80":
                self._take(1)
            case b"\x95":
                self._take(8)
            case _:
                raise UnreadableFile(f"its pickle uses instruction {code!r}, which is not allowed in a weight file")

    def _marked(self) -> list[Any]:
        items = self._stack
        self._stack = self._below.pop()
        return items

    def _enclose(self, parts: list[Any] | tuple[Any, ...]) -> int:
        """Seal parts, and return the depth of what holds them."""
        depth = 0
        for part in parts:
            if type(part) in _CONTAINERS:
                depth = max(depth, self._depth.get(id(part), 0))
                self._sealed.add(id(part))
        if depth >= MAX_DEPTH:
            raise UnreadableFile(f"nested deeper than {MAX_DEPTH} levels")
        return depth + 1

    def _container(self, container: Any, parts: list[Any] | tuple[Any, ...]) -> Any:
        self._depth[id(container)] = self._enclose(parts)
        self._kept.append(container)
        return container

    def _tuple(self, parts: list[Any]) -> None:
        self._stack.append(self._container(tuple(parts), parts))

    def _open(self, kind: type) -> Any:
        """The container on top of the stack, which must be of a kind and not yet part of another."""
        container = self._stack[-1]
        if type(container) is not kind or id(container) in self._sealed:
            raise UnreadableFile(f"its pickle adds to what is no open {kind.__name__}")
        return container

    def _fill(self, container: Any, parts: list[Any]) -> None:
        self._depth[id(container)] = max(self._depth[id(container)], self._enclose(parts))
        if id(container) in self._sealed:
            raise UnreadableFile("its pickle has a container that holds itself")

    def _extend(self, parts: list[Any]) -> None:
        container = self._open(list)
        self._fill(container, parts)
        container.extend(parts)

    def _update(self, parts: list[Any]) -> None:
        container = self._open(dict)
        keys, values = parts[::2], parts[1::2]
        for key in keys:
            if type(key) not in _KEYS or (type(key) is int and abs(key) >= 2**60):
                raise UnreadableFile(f"its pickle has a dictionary key that is {short(key)}")
        self._fill(container, values)
        container.update(zip(keys, values, strict=True))

    def _arguments(self) -> tuple[Any, ...]:
        arguments = self._stack.pop()
        if type(arguments) is not tuple:
            raise UnreadableFile("its pickle passes arguments that are no tuple")
        return arguments

    def _name(self, module: Any, name: Any) -> _Name:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v3"):
            raise UnreadableFile("holds a tensor of a type that is not read, such as float8; save it as float32")
        if type(module) is not str or type(name) is not str or (module, name) not in _NAMES:
            asked = short(f"{module}.{name}")[1:-1] if type(module) is type(name) is str else "no name"
            raise UnreadableFile(f"its pickle asks for {asked}, which is not allowed in a weight file")
        return _Name(module, name)

    def _storage(self, kind: Any, name: Any, key: Any, _: Any, count: Any) -> _Storage:
        known = type(name) is _Name and name.module == "torch" and name.name in STORAGES
        if kind != "storage" or not known or type(key) is not str or type(count) is not int or count < 0:
            raise UnreadableFile("holds an unknown kind of storage")
        return _Storage(STORAGES[name.name], key, count)

    def _make(self, called: Any, arguments: tuple[Any, ...]) -> Any:
        match called.name if type(called) is _Name else "":
            case "_rebuild_tensor_v2":
                return self._tensor(*arguments)
            case "_rebuild_parameter" if type(arguments[0]) is np.ndarray:
                return arguments[0]
            case "Size" if len(arguments) == 1 and type(arguments[0]) is tuple:
                return arguments[0]
            case "OrderedDict" if not arguments:
                return self._container({}, ())
            case "bytes" if not arguments:
                return b""
            case "encode":
                return self._encode(*arguments)
            case "dtype":
                return self._dtype(*arguments)
            case "_reconstruct":
                return _Built()
            case "scalar" if len(arguments) == 2:
                return self._array((), *arguments)
        raise UnreadableFile("its pickle calls what cannot be called so")

    def _build(self, target: Any, state: Any) -> None:
        if type(target) is dict and type(state) is dict:  # attributes of an OrderedDict, such as _metadata
            return
        if type(target) is not _Built or target.done or type(state) is not tuple:
            raise UnreadableFile("its pickle sets the state of what has none")
        target.done = True
        if target.value is None:
            _, shape, dtype, fortran, raw = state
            if self._objects and type(dtype) is _Built and dtype.value == "|O":
                target.value = self._arrays(shape, raw)
                return
            target.value = self._array(shape, dtype, raw, "F" if fortran is True else "C")
        else:
            order = state[1]
            if type(order) is not str or order not in ("<", ">", "|"):
                raise UnreadableFile("holds an array of unknown byte order")
            target.value = order + target.value[1:]

    def _spend(self, count: int) -> None:
        self._budget -= count
        if self._budget < 0:
            raise UnreadableFile(f"its arrays take more than {MAX_FILE_BYTES // 2**20} MiB")

    def _encode(self, text: Any, encoding: Any) -> bytes:
        if type(text) is not str or encoding != "latin1":
            raise UnreadableFile("its pickle encodes what is no text in latin1")
        self._spend(len(text))
        return text.encode("latin1")

    def _arrays(self, shape: Any, content: Any) -> list[np.ndarray]:
        """What an array of objects holds: numeric arrays that are already complete."""
        built = content if type(content) is list else []
        arrays: list[Any] = [item.value if type(item) is _Built else None for item in built]
        if shape != (len(arrays),) or not all(type(array) is np.ndarray for array in arrays):
            raise UnreadableFile("holds an array of objects other than numeric arrays")
        return arrays

    def _dtype(self, name: Any, *_: Any) -> _Built:
        if self._objects and type(name) is str and name.lstrip("|") in ("O", "O8"):
            return _Built("|O")
        if type(name) is not str or name.lstrip("<>|=") not in _NUMPY:
            raise UnreadableFile(f"holds an array of dtype {short(name)}")
        return _Built((name[0] if name[0] in "<>" else "|") + name.lstrip("<>|="))

    def _array(self, shape: Any, dtype: Any, raw: Any, order: Any = "C") -> np.ndarray:
        if type(dtype) is not _Built or type(dtype.value) is not str or type(raw) is not bytes:
            raise UnreadableFile("holds an object array")
        if product(shape) * itemsize(dtype.value) != len(raw):
            raise UnreadableFile("holds a NumPy array whose shape does not fit its data")
        self._spend(len(raw))
        return numbers(raw, dtype.value).reshape(shape, order=order).copy(order="K")

    def _tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, metadata: Any = None
    ) -> np.ndarray:
        if type(storage) is not _Storage:
            raise UnreadableFile("holds a tensor without storage")
        marks = {} if metadata is None else metadata
        known = type(marks) is dict and all(key in ("conj", "neg") and type(marks[key]) is bool for key in marks)
        if not known:
            raise UnreadableFile("holds a tensor marked in a way that is not known; save a clone of it")
        count = product(size)
        product(stride)
        fits = len(size) == len(stride) and type(offset) is int and offset >= 0
        last = sum((n - 1) * step for n, step in zip(size, stride, strict=False))
        if not fits or (count and offset + last >= storage.count):
            raise UnreadableFile(f"a tensor of size {short(str(size)) if fits else 'unknown'} does not fit its storage")
        self._spend(count * max(4, itemsize(storage.kind)))
        flat = self._numbers(storage)
        if count == 0:
            return np.empty(size, dtype=flat.dtype)
        if offset + last >= len(flat):
            raise UnreadableFile("a tensor does not fit its storage")
        steps = [step * flat.itemsize if n > 1 else 0 for n, step in zip(size, stride, strict=True)]
        tensor = np.lib.stride_tricks.as_strided(flat[offset:], size, steps).copy()
        if marks.get("conj"):
            tensor = np.conj(tensor)
        return -tensor if marks.get("neg") else tensor

    def _numbers(self, storage: _Storage) -> np.ndarray:
        """The numbers of a storage, which is read once, however many tensors view it."""
        if storage not in self._flat:
            raw = self._member(storage.key)
            if len(raw) != storage.count * itemsize(storage.kind):
                key = short(storage.key)[1:-1]
                raise UnreadableFile(f"storage {key} has {len(raw)} bytes, not what it claims")
            if storage.kind in ("bf16", "|b1") or any(storage.key == other.key for other in self._flat):
                self._spend(2 * len(raw))
            self._flat[storage] = numbers(raw, storage.kind)
        return self._flat[storage]

    def _plain(self, content: Any, seen: dict[int, Any]) -> Any:
        """Content without what was left in the making; what is shared stays shared."""
        if type(content) is _Built:
            return content.value if isinstance(content.value, np.ndarray | list) else None
        if type(content) not in _CONTAINERS:
            return None if type(content) in (_Name, _Storage) else content
        if id(content) not in seen:
            if type(content) is dict:
                seen[id(content)] = {key: self._plain(value, seen) for key, value in content.items()}
            else:
                seen[id(content)] = [self._plain(value, seen) for value in content]
        return seen[id(content)]


def product(shape: Any) -> int:
    """Product of a tuple of lengths, which must be plain non-negative integers that fit 63 bits."""
    if type(shape) is not tuple or len(shape) > MAX_AXES:
        raise UnreadableFile("holds an array whose shape is no short tuple")
    if not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise UnreadableFile("holds an array whose shape has entries that are no lengths")
    return math.prod(shape)
