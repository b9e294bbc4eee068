"""Machine integers by the native kernel: bit for bit NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit import _native
from grokkit.execution import _wrapping
from grokkit.execution._wrapping import wrapping_cost, wrapping_product

pytestmark = pytest.mark.skipif(_native.load() is None, reason=_native.status())
DTYPES = [np.int32, np.uint32, np.int64, np.uint64]


@given(
    st.lists(st.integers(1, 3), max_size=2),
    st.tuples(*[st.integers(0, 70)] * 3),
    st.sampled_from(DTYPES),
    st.booleans(),
    st.integers(0, 2),
    st.integers(0, 2**32),
)
def test_the_whole_range_wraps_as_numpy_does(batch, sizes, dtype, transposed, levels, seed):
    (n, k, p), info, rng = sizes, np.iinfo(dtype), np.random.default_rng(seed)
    a = rng.integers(info.min, info.max, (*batch, n, k), dtype=dtype, endpoint=True)
    b = rng.integers(info.min, info.max, (k, p), dtype=dtype, endpoint=True)
    out = (
        np.empty((*batch, p, n), dtype).swapaxes(-1, -2)
        if transposed
        else np.empty((*batch, n, 2 * p), dtype)[..., ::2]
    )
    before = _wrapping.SMALLEST_LEAF.copy()
    _wrapping.SMALLEST_LEAF.update({32: 8 << (2 - levels), 64: 8 << (2 - levels)})  # several levels on small sides
    try:
        wrapping_product(a, b, out, threads=2)
    finally:
        _wrapping.SMALLEST_LEAF.update(before)
    assert np.array_equal(out, np.matmul(a, b))


def test_costs():
    assert wrapping_cost((512, 512, 512), 32) < wrapping_cost((512, 512, 512), 64) < float("inf")
    assert wrapping_cost((512, 512, 512), 16) == float("inf")
