"""Writing schemes: every format that is read back gives the same scheme; every program computes the product."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings

from grokkit.scheme import (
    InvalidInput,
    MatrixProduct,
    Q,
    Refuted,
    Ring,
    Scheme,
    SchemeFile,
    UnreadableFile,
    load,
    sandwiched,
    save,
    verify,
)
from grokkit.scheme.catalog import catalog, standard
from grokkit.scheme.formats import FORMATS, certificate_path, onnx_network
from strategies import exact_schemes, tiny_formats

STRASSEN = catalog["strassen"]
DYADIC = sandwiched(STRASSEN, [[1, 0], [0, 2]], [[1, 1], [0, 1]], [[4, 0], [1, 1]])
THIRDS = sandwiched(STRASSEN, [[3, 0], [0, 1]], [[1, 2], [0, 1]], [[1, 0], [1, 5]])
BINARY = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, STRASSEN.W, ring=Ring(2, False))
LARGE = standard(2, 11, 3)
READ_BACK = {
    "json": ".json",
    "alphatensor": ".npz",
    "perminov": ".json",
    "mathematica": ".m",
    "maple": ".mpl",
    "text": ".txt",
    "exp": ".exp",
    "sms": ".sms",
    "weights": ".pt",
}
FLOATS = ("alphatensor", "weights")


def reread(scheme: Scheme, folder, kind: str, **more):
    path = folder / f"scheme{READ_BACK[kind]}"
    save(scheme, path, kind=kind, **more)
    path = path.with_name("scheme_R.sms") if kind == "sms" else path
    file = SchemeFile(path)
    return file.read(file.members[0])


@pytest.mark.parametrize("scheme", [STRASSEN, DYADIC, LARGE, standard(1, 1, 1)], ids=lambda s: s.name)
@pytest.mark.parametrize("kind", READ_BACK)
def test_written_and_read_is_the_same(tmp_path, kind, scheme):
    reading = reread(scheme, tmp_path, kind)
    assert reading.scheme == scheme
    assert reading.certificate == verify(scheme)


@given(scheme=exact_schemes(tiny_formats))
@settings(max_examples=10)
@pytest.mark.parametrize("kind", [kind for kind in READ_BACK if kind not in FLOATS])
def test_any_exact_scheme_survives(tmp_path_factory, kind, scheme):
    assert reread(scheme, tmp_path_factory.mktemp("x"), kind).scheme == scheme


def test_schemes_modulo_two_survive(tmp_path):
    for kind in READ_BACK:
        assert reread(BINARY, tmp_path, kind).scheme == BINARY


def test_big_coefficients_survive_or_are_refused(tmp_path):
    big = 10**30 + 7
    scheme = sandwiched(STRASSEN, [[big, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 0], [0, 1]])
    for kind in READ_BACK:
        if kind in FLOATS:
            with pytest.raises(InvalidInput, match=r"as floats; write grokkit JSON"):
                reread(scheme, tmp_path, kind)
        else:
            assert reread(scheme, tmp_path, kind).scheme == scheme
    with pytest.raises(InvalidInput, match="no exact form as floats"):
        save(THIRDS, tmp_path / "x.npz")


def test_a_suffix_names_the_format(tmp_path):
    for kind, suffix in READ_BACK.items():
        if kind not in ("perminov", "sms"):
            save(STRASSEN, tmp_path / f"x{suffix.upper()}")
            file = SchemeFile(tmp_path / f"x{suffix.upper()}")
            assert file.read(file.members[0]).scheme == STRASSEN
    save(STRASSEN, tmp_path / "plain")
    assert json.loads((tmp_path / "plain").read_text())["grokkit"] == "scheme"
    with pytest.raises(InvalidInput, match="format 'docx' is not written; use one of json, alphatensor"):
        save(STRASSEN, tmp_path / "x", kind="docx")
    assert set(READ_BACK) | {"latex", "markdown", "numpy", "c", "lean", "onnx"} == set(FORMATS)


def test_a_certificate_beside_is_checked_again(tmp_path):
    path = tmp_path / "x.exp"
    save(STRASSEN, path, verify(STRASSEN))
    beside = certificate_path(path)
    content = json.loads(beside.read_text())
    assert content["digest"] == STRASSEN.digest
    assert load(path) == STRASSEN
    beside.write_text(json.dumps(content | {"rank": 6}))
    with pytest.raises(UnreadableFile, match="certificate does not belong to this scheme: rank is 6, proven 7"):
        load(path)
    beside.write_text("{}")
    with pytest.raises(UnreadableFile, match=r"x\.exp\.certificate\.json, beside it, is no certificate"):
        load(path)
    save(STRASSEN, tmp_path / "y.sms", verify(STRASSEN))
    assert load(tmp_path / "y_P.sms") == STRASSEN
    with pytest.raises(InvalidInput, match="another scheme"):
        save(STRASSEN, path, verify(catalog["winograd"]))


def test_wrong_schemes_are_written_and_refuted_when_read(tmp_path):
    w = STRASSEN.W.copy()
    w[0, 0] = 0
    wrong = Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, w)
    for kind in READ_BACK:
        with pytest.raises(Refuted):
            reread(wrong, tmp_path, kind)


def test_torch_reads_the_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    save(DYADIC, tmp_path / "x.pt")
    content = torch.load(tmp_path / "x.pt", weights_only=True)
    for name, expected in zip("UVW", DYADIC.floats(), strict=True):
        assert np.array_equal(content[name].numpy(), expected)


def test_numpy_reads_the_archive(tmp_path):
    save(DYADIC, tmp_path / "x.npz")
    u, v, w = np.load(tmp_path / "x.npz")["2,2,2"]
    a, b = np.random.default_rng(0).standard_normal((2, 2, 2))
    c = (w @ ((u.T @ a.ravel()) * (v.T @ b.ravel()))).reshape(2, 2).T
    assert np.allclose(c, a @ b)
    again = tmp_path / "again.npz"
    save(DYADIC, again)
    assert again.read_bytes() == (tmp_path / "x.npz").read_bytes()
    assert zipfile.ZipFile(again).testzip() is None


# programs


@pytest.mark.parametrize("scheme", [STRASSEN, DYADIC, THIRDS, standard(1, 3, 2)], ids=lambda s: s.digest[:6])
def test_numpy_code_computes_the_product(tmp_path, scheme):
    save(scheme, tmp_path / "code.py")
    room: dict = {}
    exec(compile((tmp_path / "code.py").read_text(), "code.py", "exec"), room)
    generator = np.random.default_rng(0)
    for levels, (n, m, p) in ((0, (3, 4, 5)), (1, (4, 6, 8)), (2, (9, 10, 7))):
        a, b = generator.standard_normal((n, m)), generator.standard_normal((m, p))
        assert np.allclose(room["matmul"](a, b, levels), a @ b)
    if scheme == STRASSEN:
        a, b = generator.integers(-50, 50, (2, 8, 8))
        assert np.array_equal(room["matmul"](a, b, 3), a @ b)


@pytest.mark.parametrize("scheme", [STRASSEN, THIRDS, standard(2, 3, 1)], ids=lambda s: s.digest[:6])
def test_c_code_computes_the_product(tmp_path, scheme):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    import ctypes

    assert isinstance(scheme.target, MatrixProduct)
    n, m, p = scheme.target.format
    save(scheme, tmp_path / "code.c")
    command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC", "-o"]
    subprocess.run([*command, str(tmp_path / "code.so"), str(tmp_path / "code.c")], check=True)
    function = getattr(ctypes.CDLL(str(tmp_path / "code.so")), f"matmul_{n}x{m}x{p}")
    pointer, stride = ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t
    function.argtypes = [pointer, stride] * 3
    function.restype = None
    generator = np.random.default_rng(0)
    a, b, c = generator.standard_normal((n, 7)), generator.standard_normal((m, 8)), np.zeros((n, 9))
    function(a.ctypes.data_as(pointer), 7, b.ctypes.data_as(pointer), 8, c.ctypes.data_as(pointer), 9)
    assert np.allclose(c[:, :p], a[:, :m] @ b[:, :p])
    assert not c[:, p:].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("scheme", "levels"), [(STRASSEN, 1), (STRASSEN, 2), (standard(1, 3, 2), 1), (THIRDS, 1)])
def test_the_network_computes_the_product(tmp_path, scheme, levels, dtype):
    runtime = pytest.importorskip("onnxruntime")
    assert isinstance(scheme.target, MatrixProduct)
    session = runtime.InferenceSession(onnx_network(scheme, levels, dtype), providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    for size in (1, 3):
        n, m, p = (side**levels * size for side in scheme.target.format)
        a, b = generator.standard_normal((n, m)).astype(dtype), generator.standard_normal((m, p)).astype(dtype)
        (c,) = session.run(None, {"A": a, "B": b})
        assert c.shape == (n, p)
        assert c.dtype == dtype
        assert np.allclose(c, a @ b, atol=1e-4 if dtype == np.float32 else 1e-11)


def test_the_network_is_a_file(tmp_path):
    onnx = pytest.importorskip("onnx")
    save(STRASSEN, tmp_path / "x.onnx", levels=2)
    model = onnx.load(tmp_path / "x.onnx")
    assert STRASSEN.digest in model.doc_string
    with pytest.raises(InvalidInput, match="at least 1"):
        save(STRASSEN, tmp_path / "x.onnx", levels=0)
    with pytest.raises(InvalidInput, match="too large"):
        save(STRASSEN, tmp_path / "x.onnx", levels=12)
    with pytest.raises(InvalidInput, match="no arithmetic over GF"):
        save(BINARY, tmp_path / "x.onnx")


def test_text_for_people(tmp_path):
    save(THIRDS, tmp_path / "x.md")
    page = (tmp_path / "x.md").read_text()
    assert THIRDS.digest in page
    assert page.count("| M") == 7
    assert page.count("| C") == 4
    save(THIRDS, tmp_path / "x.tex")
    text = (tmp_path / "x.tex").read_text()
    assert text.count(r"\begin{align*}") == text.count(r"\end{align*}") == 1
    assert r"\mathbb{Q}" in text
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("scheme", [STRASSEN, DYADIC, BINARY], ids=lambda s: s.digest[:6])
def test_the_lean_file_states_the_whole_identity(tmp_path, scheme):
    """Its shape and completeness, and its definitions evaluated here as Lean would; and by Lean where it is at hand."""
    save(scheme, tmp_path / "x.lean")
    text = (tmp_path / "x.lean").read_text("utf-8")
    assert scheme.digest in text
    assert text.count("theorem") == text.count("decide +kernel") == 2
    assert "sorry" not in text and "axiom" not in text and "native" not in text
    matrices = [
        ast.literal_eval(re.search(rf"def {name} : List \(List Int\) := (\[.*?\])\n\n", text, re.DOTALL)[1])
        for name in "UVW"
    ]
    assert matrices == [x.tolist() for x in (scheme.U, scheme.V, scheme.W)]
    scale = np.prod([int(x) for x in re.search(r"def scale : Int := (.*)", text)[1].split(" * ")])
    assert scale == np.prod(scheme.denominators)
    u, v, w = (np.array(x, dtype=object) for x in matrices)
    difference = np.einsum("ri,rj,kr->ijk", u, v, w) - scale * scheme.target.tensor()
    assert not (difference % (scheme.ring.characteristic or 10**9)).any()
    assert ("% 2 == 0" in text) == (scheme.ring.characteristic == 2)
    if lean := shutil.which("lean"):
        subprocess.run([lean, str(tmp_path / "x.lean")], check=True)
    with pytest.raises(InvalidInput, match="too many equations"):
        save(standard(5, 5, 5), tmp_path / "large.lean")


def test_what_cannot_be_written_is_said(tmp_path):
    empty = Scheme(MatrixProduct(1, 1, 1), [], [], [[]], ring=Q)
    for kind in READ_BACK:
        if kind != "json":
            with pytest.raises(InvalidInput, match="without products is written as grokkit JSON only"):
                save(empty, tmp_path / "x", kind=kind)
    for kind in ("numpy", "c"):
        with pytest.raises(InvalidInput, match=r"over GF\(2\)"):
            save(BINARY, tmp_path / "x", kind=kind)
    assert not list(tmp_path.iterdir())
