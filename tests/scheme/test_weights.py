"""Weight files: what torch, NumPy and safetensors write is read; what is hostile is refused, unexecuted."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from grokkit.scheme import (
    InvalidInput,
    UnreadableFile,
    _pickle,
    find_factors,
    read_npz,
    read_weights,
)
from grokkit.scheme import _weights as internals


def factors(slots=7, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "U": rng.standard_normal((slots, 4)).astype(np.float32),
        "V": rng.standard_normal((slots, 4)).astype(np.float32),
        "W": rng.standard_normal((4, slots)).astype(np.float32),
    }


def tensors(**more):
    return {name: torch.from_numpy(array) for name, array in factors().items()} | more


TORCH_FILES = {
    "plain": lambda: tensors(),
    "parameters": lambda: {k: torch.nn.Parameter(v) for k, v in tensors().items()},
    "nested": lambda: {
        "model_state_dict": OrderedDict((f"{k}_coefs", v) for k, v in tensors().items()),
        "epoch": 7,
    },
    "float64": lambda: {k: v.double() for k, v in tensors().items()},
    "half": lambda: {k: v.half() for k, v in tensors().items()},
    "transposed views": lambda: {k: v.T.contiguous().T for k, v in tensors().items()},
    "slices": lambda: {k: torch.stack([v, v * 2])[1] / 2 for k, v in tensors().items()},
    "metadata": lambda: tensors(rank=7, verified=True, description="x", values=[-1, 0, 1], loss=1e-9),
    "numpy inside": lambda: tensors(extra=np.arange(3.0), scalar=np.float64(2.5)),
    "module": lambda: torch.nn.ModuleDict(
        {k: torch.nn.Linear(v.shape[1], v.shape[0], bias=False) for k, v in tensors().items()}
    ).state_dict(),
}


@pytest.mark.parametrize("name", TORCH_FILES)
@pytest.mark.parametrize("protocol", [2, 4])
def test_torch_files_read_as_torch_reads_them(tmp_path, name, protocol):
    content = TORCH_FILES[name]()
    path = tmp_path / "w.pt"
    torch.save(content, path, pickle_protocol=protocol)
    found = read_weights(path)
    expected = content.get("model_state_dict", content)
    prefix = "model_state_dict." if "model_state_dict" in content else ""
    for key, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert np.array_equal(found[prefix + key], value.detach().numpy())
    result = find_factors(found)
    assert result.target.format == (2, 2, 2)
    assert result.U.shape == (7, 4)


def test_npz_and_safetensors(tmp_path):
    np.savez(tmp_path / "a.npz", **factors())
    np.savez_compressed(tmp_path / "b.npz", **factors())
    save_file(factors(), tmp_path / "c.safetensors")
    for name in ("a.npz", "b.npz", "c.safetensors"):
        found = read_weights(tmp_path / name)
        assert all(np.array_equal(found[key], array) for key, array in factors().items())


def test_content_decides_not_the_suffix(tmp_path):
    torch.save(tensors(), tmp_path / "weights.npz")
    assert find_factors(read_weights(tmp_path / "weights.npz")).target.format == (2, 2, 2)


def test_names_orientations_and_masks():
    given_ = factors(8)
    reference = find_factors(given_)
    for flips in ((1, 0, 0), (0, 1, 1), (1, 1, 1)):
        turned = {k: v.T if flip else v for (k, v), flip in zip(given_.items(), flips, strict=True)}
        found = find_factors(turned)
        assert np.array_equal(found.U, reference.U) and np.array_equal(found.W, reference.W)
    nested = {"net": {"u.weight": given_["U"], "V_coefs": given_["V"], "w_weight": given_["W"]}}
    assert np.array_equal(find_factors(nested).V, reference.V)
    mask = np.array([1, 1, 0, 1, 1, 1, 1, 1], dtype=np.float32)
    assert find_factors(given_ | {"slot_mask": mask}).inactive == 1
    assert find_factors(given_ | {"active": mask.astype(bool)}).U.shape == (7, 4)
    by_index = find_factors(given_ | {"active": [7, 6, 2, 1, 3, 0, 4]})
    assert np.array_equal(by_index.U, reference.U[[0, 1, 2, 3, 4, 6, 7]])
    assert find_factors(given_ | {"active": 7}).inactive == 0
    off = {k: v.copy() for k, v in given_.items()}
    off["V"][5] = 0
    assert find_factors(off).inactive == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("W"), "no factor W; found U, V"),
        (lambda f: f.update(other={"u": f["U"]}), "2 arrays named U"),
        (lambda f: f.update(U=f["U"][0]), "U has shape .4,.; a matrix"),
        (lambda f: f.update(U=f["U"] * np.nan), r"U\[0, 0\] is nan; finite"),
        (lambda f: f.update(V=f["V"] * 1j), "V has dtype complex64"),
        (lambda f: f.update(U=f["U"][:, :3]), "fit no matrix format"),
        (lambda f: f.update(U=f["U"][:5]), "fit no matrix format"),
        (lambda f: f.update(U=f["U"] * 0), "every slot is zero"),
    ],
)
def test_weights_that_hold_no_network(change, message):
    content = factors()
    change(content)
    with pytest.raises(InvalidInput, match=message):
        find_factors(content)


class Explode:
    """A pickle that would create a file if anything executed it."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def torch_zip(path, payload, storage=b"", name="archive"):
    """A .pt file around a given pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/data.pkl", payload)
        archive.writestr(f"{name}/data/0", storage)
        archive.writestr(f"{name}/version", "3\n")
    return path


def opcodes(module, name):
    return b"\x80\x02c" + f"{module}\n{name}\n".encode()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_qtensor"),
        ("numpy", "load"),
        ("subprocess", "Popen"),
        ("collections", "Counter"),
        ("grokkit.cli", "main"),
    ],
)
def test_pickles_that_ask_for_anything_else_are_refused(tmp_path, module, name):
    path = torch_zip(tmp_path / "evil.pt", opcodes(module, name) + b".")
    with pytest.raises(UnreadableFile, match=f"asks for {module}.{name}, which is not allowed"):
        read_weights(path)


def test_nothing_in_a_file_is_executed(tmp_path):
    marker = tmp_path / "executed"
    payload = pickle.dumps({"U": Explode(marker)})
    nested = pickle.dumps({"U": pickle.dumps(Explode(marker)), "V": [Explode(marker)]})
    for index, content in enumerate((payload, nested)):
        path = torch_zip(tmp_path / f"{index}.pt", content)
        with pytest.raises(UnreadableFile, match="not allowed"):
            read_weights(path)
        bare = tmp_path / f"{index}.pkl"
        bare.write_bytes(content)
        with pytest.raises(UnreadableFile, match=r"bare pickle|neither"):
            read_weights(bare)
    np.save(tmp_path / "objects.npy", np.array([Explode(marker)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "objects.npz", "w") as archive:
        archive.write(tmp_path / "objects.npy", "U.npy")
    with pytest.raises(UnreadableFile, match="object arrays"):
        read_weights(tmp_path / "objects.npz")
    assert not marker.exists()


def state(tensor_args, storage_count=28):
    """A pickle of {"U": _rebuild_tensor_v2(storage, *tensor_args)}."""

    class Storage:
        pass

    class Rebuilt:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (Storage(), *tensor_args)

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return ("storage", torch.FloatStorage, "0", "cpu", storage_count) if isinstance(obj, Storage) else None

    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump({"U": Rebuilt()})
    return stream.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        (0, (7, 5), (5, 1), False, OrderedDict()),
        (1, (7, 4), (4, 1), False, OrderedDict()),
        (-1, (7, 4), (4, 1), False, OrderedDict()),
        (0, (10**12,), (0,), False, OrderedDict()),
        (0, (7, 4), (4, -1), False, OrderedDict()),
        (0, (7, 4), (4,), False, OrderedDict()),
        (0, (-7, -4), (4, 1), False, OrderedDict()),
        ("0", (7, 4), (4, 1), False, OrderedDict()),
    ],
)
def test_tensors_that_reach_outside_their_storage_are_refused(tmp_path, arguments):
    good = torch_zip(tmp_path / "good.pt", state((0, (7, 4), (4, 1), False, OrderedDict())), bytes(112))
    assert read_weights(good)["U"].shape == (7, 4)
    path = torch_zip(tmp_path / "bad.pt", state(arguments), bytes(112))
    with pytest.raises(UnreadableFile):
        read_weights(path)
    lying = torch_zip(tmp_path / "lying.pt", state((0, (7, 4), (4, 1), False, OrderedDict()), 10**9), bytes(112))
    with pytest.raises(UnreadableFile, match="not what it claims"):
        read_weights(lying)


def test_archives_are_measured_before_they_are_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("U.npy", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(internals, "MAX_FILE_BYTES", 10**6)
    with pytest.raises(UnreadableFile, match="unpacks to more than"):
        read_weights(path)


def test_headers_that_claim_more_than_there_is(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    header += b" " * (118 - len(header)) + b"\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("U.npy", data)
    with pytest.raises(UnreadableFile, match="does not fit the data"):
        read_weights(tmp_path / "huge.npz")


def test_deep_and_wide_content_is_refused(tmp_path, monkeypatch):
    deep = {}
    for _ in range(50):
        deep = {"x": deep}
    torch.save(deep, tmp_path / "deep.pt")
    with pytest.raises(UnreadableFile, match="nested deeper"):
        read_weights(tmp_path / "deep.pt")
    monkeypatch.setattr(internals, "MAX_ARRAYS", 5)
    np.savez(tmp_path / "wide.npz", *([np.zeros(1)] * 9))
    with pytest.raises(UnreadableFile, match="more than 5 files"):
        read_weights(tmp_path / "wide.npz")


def test_a_memo_bomb_does_not_allocate(tmp_path):
    """LONG_BINPUT with a huge index makes the C unpickler allocate gigabytes; the Python one keeps a dict."""
    payload = b"\x80\x02}r\xff\xff\xff\x7f."
    path = torch_zip(tmp_path / "memo.pt", payload)
    with pytest.raises(UnreadableFile, match="holds no arrays"):
        read_weights(path)


GARBAGE = {
    "empty": b"",
    "text": b"hello, this is not a weight file",
    "zip without anything": b"PK\x05\x06" + bytes(18),
    "broken zip": b"PK\x03\x04" + bytes(100),
    "safetensors with a broken header": struct.pack("<Q", 20) + b"{" + b"x" * 30,
    "safetensors that claims more": struct.pack("<Q", 2**60) + b"{" + b"x" * 30,
    "bare pickle": pickle.dumps({"U": 1}),
    "json": b'{"grokkit": "scheme"}',
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_unreadable_in_one_line(tmp_path, name):
    path = tmp_path / "garbage"
    path.write_bytes(GARBAGE[name])
    with pytest.raises(UnreadableFile) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["pt", "npz", "safetensors"])
@given(data=st.data())
def test_mutated_files_never_crash(tmp_path_factory, kind, data):
    """A short fuzz of each kind: truncated and flipped files read or are refused in one line."""
    folder = tmp_path_factory.mktemp("fuzz")
    path = folder / "w"
    if kind == "pt":
        torch.save(tensors(extra=np.arange(3.0)), path)
    elif kind == "npz":
        np.savez_compressed(folder / "w.npz", **factors())
        path = folder / "w.npz"
    else:
        save_file(factors(), path)
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    for _ in range(data.draw(st.integers(0, 6))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw))
    try:
        found = read_weights(path)
    except UnreadableFile as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(array, np.ndarray) for array in found.values())


def test_read_npz_reads_only_npz(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    assert read_npz(tmp_path / "a.npz")["x"].tolist() == [0, 1, 2]
    torch.save(tensors(), tmp_path / "b.pt")
    with pytest.raises(UnreadableFile, match=r"not an \.npz"):
        read_npz(tmp_path / "b.pt")
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04nonsense")
    with pytest.raises(UnreadableFile, match="damaged"):
        read_npz(tmp_path / "c.npz")


def test_missing_files_are_the_system_s_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_weights(tmp_path / "nowhere.pt")


def test_the_published_checkpoints_are_read(test_data):
    paths = sorted((test_data / "checkpoints").glob("*.pt"))
    assert len(paths) == 13
    for path in paths:
        found = find_factors(read_weights(path), str(path))
        assert found.target.format == (2, 2, 2)
        assert len(found.U) == 7


def name_of(module, name):
    return f"c{module}\n{name}\n".encode()


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def tensor(count, size, stride, kind="DoubleStorage", metadata=b""):
    """Instructions for a tensor of storage 0."""
    integers = [b"".join(b"J" + struct.pack("<i", n) for n in values) for values in (size, stride)]
    storage = b"(" + text("storage") + name_of("torch", kind) + text("0") + text("cpu") + b"J"
    storage += struct.pack("<i", count) + b"tQ"
    shape = b"K\x00(" + integers[0] + b"t(" + integers[1] + b"t"
    return name_of("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + shape + b"\x89}" + metadata + b"tR"


def doubled(first, pair, times):
    """Each step holds the one before twice."""
    steps = b"".join(b"h" + bytes([k]) + pair(k) + b"q" + bytes([k + 1]) for k in range(times))
    return b"\x80\x02(" + first + b"q\x00" + steps


STORAGE = b"(" + text("storage") + name_of("torch", "DoubleStorage") + text("0") + text("cpu") + b"K\x01tQ"
HOSTILE = {
    "attributes of a storage": (b"\x80\x02" + STORAGE + b"}(" + text("itemsize") + b"K\x01ub.", "state of what"),
    "attributes of a function": (
        b"\x80\x02" + name_of("_codecs", "encode") + b"N}(" + text("__defaults__") + b")u\x86b.",
        "state of what",
    ),
    "attributes of a dtype that NumPy shares": (
        b"\x80\x02" + name_of("torch", "FloatStorage") + b"(K\x03" + text(">") + b"NNNtb.",
        "state of what",
    ),
    "a deep key": (b"\x80\x02})" + b"\x85" * 1_000_000 + b"Ns.", "nested deeper"),
    "a tuple as key": (b"\x80\x02}K\x01\x85Ns.", "key that is a tuple"),
    "a huge integer as key": (b"\x80\x02}\x8a\x09" + b"\xff" * 8 + b"\x00Ns.", "key"),
    "a container in itself": (b"\x80\x02]q\x00h\x00a.", "holds itself"),
    "a late addition": (b"\x80\x02]q\x00]h\x00ah\x00K\x01a.", "no open list"),
    "deep lists": (b"\x80\x02" + b"]" * 500 + b"a" * 499 + b".", "nested deeper"),
    "expanded tensors": (b"\x80\x02}(" + text("x") + tensor(1, (2**13, 2**13), (0, 0)) + b"u.", "more than 256 MiB"),
    "many dictionaries": (b"\x80\x02(" + b"}" * 2000 + b"t.", "instructions"),
    "a long pickle": (b"\x80\x02" + b"N" * (17 * 2**20) + b".", "larger than 16 MiB"),
    "pops": (b"\x80\x02N0N.", "not allowed"),
    "a byte array": (b"\x80\x05\x96" + struct.pack("<Q", 5 * 10**9) + b".", "not allowed"),
    "long bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 5 * 10**9) + b".", "not allowed"),
    "bytes that are not there": (b"\x80\x04B\xff\xff\xff\xff.", "truncated"),
    "text cut off": (b"\x80\x02X\x01", "truncated"),
    "doubled tuples": (doubled(b")", lambda k: b"h" + bytes([k]) + b"\x86", 45) + b".", "nested deeper"),
    "encoded tuples": (b"\x80\x02" + name_of("_codecs", "encode") + b"))\x86" + text("latin1") + b"\x86R.", "no text"),
    "encoded often": (
        b"\x80\x02("
        + text("x" * 2**20)
        + b"q\x00"
        + text("latin1")
        + b"q\x01"
        + (name_of("_codecs", "encode") + b"h\x00h\x01\x86R") * 300
        + b"t.",
        "more than 256 MiB",
    ),
    "marks that are not known": (
        b"\x80\x02" + tensor(1, (1,), (1,), metadata=b"}" + text("odd") + b"\x88s") + b".",
        "marked in a way",
    ),
    "a size of truths": (
        b"\x80\x02" + tensor(1, (1,), (1,)).replace(b"(J\x01\0\0\0t", b"(\x88t", 1) + b".",
        "no lengths",
    ),
    "escapes in a name": (b"\x80\x02cos\n\x1b[31mred\n.", r"os\.\\x1b\[31mred"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused(tmp_path, name, monkeypatch):
    payload, message = HOSTILE[name]
    monkeypatch.setattr(_pickle, "MAX_INSTRUCTIONS", 1500)
    with pytest.raises(UnreadableFile, match=message) as caught:
        read_weights(torch_zip(tmp_path / "h.pt", payload, bytes(8)))
    assert str(caught.value).isprintable()


def test_what_is_shared_is_counted_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(internals, "MAX_ENTRIES", 10_000)
    layers = b"\x80\x02}q\x00" + b"".join(
        b"}(" + b"".join(b"K" + bytes([n]) + b"h" + bytes([k]) for n in range(100)) + b"uq" + bytes([k + 1])
        for k in range(5)
    )
    entries = b"\x80\x02}(" + b"".join(text(str(n)) + tensor(1, (1,), (1,), kind="ByteStorage") for n in range(400))
    path = torch_zip(tmp_path / "shared.pt", entries + b"u.", b"\x05")
    assert len(read_weights(path)) == 400
    with pytest.raises(UnreadableFile, match="entries"):
        read_weights(torch_zip(tmp_path / "dag.pt", layers + b"."))


VIEWS = {
    **{
        str(t): lambda t=t: torch.arange(-6, 6).reshape(3, 4).to(t)
        for t in (
            torch.float64,
            torch.float16,
            torch.bfloat16,
            torch.int8,
            torch.uint8,
            torch.int16,
            torch.int32,
            torch.int64,
            torch.bool,
            torch.complex64,
            torch.complex128,
        )
    },
    "negative view": lambda: torch._neg_view(torch.ones(2, 3)),
    "conjugate": lambda: torch.complex(torch.ones(2), torch.ones(2)).conj(),
    "imaginary part of a conjugate": lambda: torch.complex(torch.ones(2), torch.ones(2)).conj().imag,
    "expanded": lambda: torch.arange(3.0)[:, None].expand(3, 5),
    "strided": lambda: torch.arange(63.0).reshape(7, 9)[1:5:2, ::3],
    "empty": lambda: torch.empty(0, 3),
    "number": lambda: torch.tensor(3.5),
}


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_has_the_values_that_torch_gives_it(tmp_path, name):
    torch.save({"x": VIEWS[name]()}, tmp_path / "v.pt")
    expected = torch.load(tmp_path / "v.pt", weights_only=True)["x"].resolve_neg().resolve_conj()
    found = read_weights(tmp_path / "v.pt")["x"]
    if expected.dtype == torch.bfloat16:
        expected = expected.float()
    assert found.dtype == expected.numpy().dtype and np.array_equal(found, expected.numpy())


def test_bfloat16_and_empty_arrays(tmp_path):
    from safetensors.torch import save_file as save_tensors

    values = torch.randn(7, 4)
    save_tensors({"x": values.bfloat16(), "y": values.double()}, tmp_path / "b.safetensors")
    found = read_weights(tmp_path / "b.safetensors")
    assert np.array_equal(found["x"], values.bfloat16().float().numpy())
    assert np.array_equal(found["y"], values.double().numpy())
    save_tensors({"x": values.to(torch.float8_e4m3fn)}, tmp_path / "f8.safetensors")
    with pytest.raises(UnreadableFile, match="x has dtype 'F8_E4M3', which is not read; save it as float32"):
        read_weights(tmp_path / "f8.safetensors")
    torch.save({"x": np.zeros((0, 3)), "y": np.ones(2, dtype=">i4")}, tmp_path / "e.pt")
    found = read_weights(tmp_path / "e.pt")
    assert found["x"].shape == (0, 3) and found["y"].tolist() == [1, 1]


def test_masks_are_understood_or_refused():
    eight, ones = factors(8), [1, 1, 1, 1, 1, 1, 1, 0]
    for kind in (np.uint8, np.float32, bool):
        assert find_factors(eight | {"active": np.array(ones, kind)}).inactive == 1
    assert (
        find_factors({"U": np.ones((2, 1)), "V": np.ones((2, 1)), "W": np.ones((1, 2)), "active": [1, 0]}).inactive == 1
    )
    assert find_factors({"m": eight, "slot_mask": ones}).inactive == 1
    for change in ({"b": {"slot_mask": ones}}, {"slot_mask": ones[1:]}, {"active": [0, 0, 1]}, {"active": []}):
        with pytest.raises(InvalidInput, match="mask"):
            find_factors(eight | change)
    with pytest.raises(InvalidInput, match=r"two arrays are called m\.U"):
        find_factors({"m.U": eight["U"], "m": {"U": eight["U"]}})


def test_large_and_overflowing_factors_are_refused():
    wide = np.broadcast_to(np.int8(1), (4, 2**24))
    with pytest.raises(InvalidInput, match=r"^f\.npz: U has 67108864 entries"):
        find_factors({"U": wide, "V": wide, "W": wide.T}, "f.npz")
    for value, message in ((1e300, "products overflow"), (np.nan, "finite")):
        changed = {k: v.astype(np.float64) for k, v in factors().items()}
        changed["V"][1, 2] = value
        with pytest.raises(InvalidInput, match=rf"^f\.npz: V\[1, 2\] is .*{message}"):
            find_factors(changed, "f.npz")


@pytest.mark.parametrize("protocol", range(6))
def test_bare_pickles_are_named(tmp_path, protocol):
    for value in ({"U": 1}, [1, 2], Explode("x")):
        (tmp_path / "b").write_bytes(pickle.dumps(value, protocol))
        with pytest.raises(UnreadableFile, match="a bare pickle"):
            read_weights(tmp_path / "b")


def test_other_packings_and_broken_headers_are_refused(tmp_path):
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "p.npz", "w", method) as archive:
            archive.writestr("U.npy", bytes(99))
        with pytest.raises(UnreadableFile, match="deflate"):
            read_weights(tmp_path / "p.npz")
    for shape in ("(" * 3000, "0," * 2000, "-1, -1", "'\\q'"):
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape})}}\n".encode()
        with zipfile.ZipFile(tmp_path / "h.npz", "w") as archive:
            archive.writestr("U.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(8))
        with pytest.raises(UnreadableFile):
            read_npz(tmp_path / "h.npz")


def test_mutated_pickles_never_crash(tmp_path):
    """The CRC of an archive hides its pickle from a fuzz of the whole file; this one goes inside."""
    torch.save(tensors(extra=np.arange(3.0), values=[1, 2]), tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    payload = members["w/data.pkl"]
    rng, read = np.random.default_rng(0), 0
    for _ in range(1000):
        raw = bytearray(payload)
        for place in rng.integers(len(raw), size=rng.integers(1, 4)):
            raw[place] = rng.integers(256)
        with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
            for name, content in (members | {"w/data.pkl": bytes(raw)}).items():
                archive.writestr(name, content)
        try:
            read_weights(tmp_path / "m.pt")
            read += 1
        except UnreadableFile as error:
            assert str(error).isprintable()
    assert 0 < read < 1000
