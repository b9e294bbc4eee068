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
