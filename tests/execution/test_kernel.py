"""The native product against plain loops, NumPy, and its own laws."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit import _native
from grokkit.execution import _kernel
from grokkit.scheme import Scheme, expand
from grokkit.scheme.catalog import catalog, standard

pytestmark = pytest.mark.skipif(_native.load() is None, reason=_native.status())

SCHEMES = [
    standard(1, 1, 1), catalog["strassen"], catalog["winograd"], expand(catalog["strassen"], 2), standard(2, 3, 1),
    standard(3, 1, 2),
]  # fmt: skip
DTYPES = [np.dtype(x) for x in ("float32", "float64", "uint32", "uint64")]

sides = st.one_of(st.integers(0, 20), st.integers(20, 130))


def strided(rng: np.random.Generator, rows: int, columns: int, dtype: np.dtype, layout: int) -> np.ndarray:
    """Small whole numbers (wrapped for unsigned types) in a matrix of one of five layouts."""
    big = rng.integers(-4, 5, (2 * rows + 1, 3 * columns + 1)).astype(dtype)
    if layout == 0:
        return np.ascontiguousarray(big[:rows, :columns])
    if layout == 1:
        return np.asfortranarray(big[:rows, :columns])
    if layout == 2:
        return big[:rows, :columns]
    if layout == 3:
        return big[: 2 * rows : 2, : 3 * columns : 3][::-1]
    return np.broadcast_to(big[:1, :columns], (rows, columns))


@given(
    st.tuples(sides, sides, sides),
    st.sampled_from(DTYPES),
    st.tuples(*[st.integers(0, 4)] * 2, st.integers(0, 1)),
    st.sampled_from(SCHEMES),
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
def test_small_integers_are_exact(shape, dtype, layouts, scheme, levels, threads, seed):
    """Products of small integers fit the mantissa, so every path must give the same bits as NumPy."""
    rng, (n, m, p) = np.random.default_rng(seed), shape
    a, b = strided(rng, n, m, dtype, layouts[0]), strided(rng, m, p, dtype, layouts[1])
    out = np.full((p, n), 7, dtype).T if layouts[2] else np.full((n, p), 7, dtype)
    _kernel.multiply(a, b, out, scheme, explicit_levels=levels, threads=threads)
    expected = np.matmul(a, b)
    assert np.array_equal(out, expected)
    plain = np.empty((n, p), dtype)
    _kernel.multiply_reference(a, b, plain, scheme)
    assert np.array_equal(plain, expected)


@given(
    st.tuples(sides, sides, sides),
    st.sampled_from(DTYPES[:2]),
    st.sampled_from(SCHEMES),
    st.integers(0, 2),
    st.integers(0, 99),
)
def test_threads_do_not_change_a_bit(shape, dtype, scheme, levels, seed):
    rng, (n, m, p) = np.random.default_rng(seed), shape
    a, b = rng.standard_normal((n, m)).astype(dtype), rng.standard_normal((m, p)).astype(dtype)
    results = []
    for threads in (1, 2, 3):
        out = np.empty((n, p), dtype)
        _kernel.multiply(a, b, out, scheme, explicit_levels=levels, threads=threads)
        results.append(out.tobytes())
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.parametrize("levels", [0, 2])
def test_a_vector_agrees(dtype, levels):
    """C t against A (B t), at sizes with several blocks of every kind."""
    rng = np.random.default_rng(5)
    a, b, t = (rng.standard_normal(s).astype(dtype) for s in ((530, 1100), (1100, 450), (450,)))
    out = np.empty((530, 450), dtype)
    _kernel.multiply(a, b, out, catalog["strassen"], explicit_levels=levels, threads=2)
    reference = a.astype(np.longdouble) @ (b.astype(np.longdouble) @ t.astype(np.longdouble))
    error = np.abs(out.astype(np.longdouble) @ t.astype(np.longdouble) - reference).max()
    assert error < 400 * np.finfo(dtype).eps * np.abs(reference).max()


def test_a_scheme_with_fractions_and_wide_sums():
    """Coefficients other than ±1, and more terms than the kernel has written out."""
    strassen = catalog["strassen"]
    scaled = Scheme(strassen.target, strassen.U * 2, strassen.V, strassen.W, denominators=(2, 1, 1))
    deep = expand(strassen, 3)
    a, b = np.random.default_rng(1).integers(-3, 4, (2, 70, 70)).astype(np.float64)
    for scheme in (scaled, deep):
        out = np.empty((70, 70))
        _kernel.multiply(a, b, out, scheme, threads=2)
        assert (out == a @ b).all()


def test_what_the_kernel_does_not_take():
    a = np.ones((4, 4))
    with pytest.raises(ValueError, match="no product"):
        _kernel.multiply(a, a, np.ones((8, 8))[::2, ::2], catalog["strassen"])
    with pytest.raises(ValueError, match="no product"):
        _kernel.multiply(a, a, np.ones((4, 4)), standard(20, 20, 1))


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_finiteness(dtype):
    x = np.zeros((37, 53), dtype)
    x[3, 5] = np.finfo(dtype).max
    assert _kernel.all_finite(x) and _kernel.all_finite(x.T) and _kernel.all_finite(x[::2, ::3])
    for value in (np.nan, np.inf, -np.inf):
        for place in ((0, 0), (36, 52), (20, 32)):
            bad = x.copy()
            bad[place] = value
            assert not _kernel.all_finite(bad) and not _kernel.all_finite(bad.T)


def test_workspace_is_within_what_is_promised():
    """At most 0.75 N² words beside the operands, from the sizes where plans gain."""
    for levels in (1, 2, 3):
        for n in (2048, 4099, 8192):
            for threads in (1, 2):
                wanted = {"explicit_levels": levels, "threads": threads}
                words = _kernel.workspace_bytes((n, n, n), np.float64, catalog["strassen"], **wanted) / 8
                assert words <= 0.75 * n * n


@given(*[st.integers(1, 3000)] * 3, st.integers(1, 3), st.sampled_from(SCHEMES), st.sampled_from(DTYPES))
def test_workspace_holds_every_leaf(n, m, p, levels, scheme, dtype):
    """Halves of an odd inner dimension differ by one, and the shorter may need more: 768 are one piece, 769 two."""
    whole = _kernel.workspace_bytes((n, m, p), dtype, scheme, explicit_levels=levels, threads=2)
    if min(n, m, p) >> levels == 0:
        return  # the recursion ends before
    for inner in (m >> levels, -(-m >> levels)):
        leaf = (n >> levels, inner, p >> levels)
        assert whole >= _kernel.workspace_bytes(leaf, dtype, scheme, explicit_levels=0, threads=2)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_halves_on_both_sides_of_whole_pieces(levels):
    rng = np.random.default_rng(levels)
    for m in (2**levels * 768 + 1, 2**levels * 769 - 1, 2**levels * 1280 + 1):
        a, b = rng.integers(-3, 4, (130, m)).astype(np.float32), rng.integers(-3, 4, (m, 600)).astype(np.float32)
        out = np.empty((130, 600), np.float32)
        _kernel.multiply(a, b, out, catalog["strassen"], explicit_levels=levels, threads=1)
        np.testing.assert_array_equal(out, a @ b)


def test_many_python_threads_at_once():
    rng = np.random.default_rng(2)
    a, b = rng.integers(-5, 6, (2, 300, 300)).astype(np.float32)
    expected, outs = a @ b, [np.empty((300, 300), np.float32) for _ in range(6)]

    def work(out):
        for _ in range(3):
            _kernel.multiply(a, b, out, catalog["strassen"], explicit_levels=1, threads=2)

    workers = [threading.Thread(target=work, args=(out,)) for out in outs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((out == expected).all() for out in outs)


FORK = """
import os, sys
import numpy as np
from grokkit.execution import _kernel
from grokkit.scheme.catalog import catalog

def product():
    a = np.arange(90000, dtype=np.float64).reshape(300, 300) % 7
    out = np.empty_like(a)
    _kernel.multiply(a, a, out, catalog["strassen"], explicit_levels=1, threads=3)
    return bool((out == a @ a).all())

assert product()
for _ in range(5):
    child = os.fork()
    if child == 0:
        os._exit(0 if product() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert product()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_products_work_after_a_fork():
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", FORK], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512"])
def test_every_instruction_set_that_this_machine_has(instruction_set):
    core = _native.load()
    assert core is not None
    if _native.SETS.index(instruction_set) > _native.SETS.index(core.instruction_set):
        pytest.skip(f"this machine has no {instruction_set}")
    program = (
        FORK.partition("assert product()")[0]
        + "assert product()\nprint(__import__('grokkit._native')._native.status())"
    )
    environment = os.environ | {_native.VARIABLE: instruction_set}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and instruction_set in done.stdout, done.stderr
