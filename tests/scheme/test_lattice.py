import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grokkit.scheme import lattice_distance, nearest

arrays = hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(-5, 5))


@given(arrays)
def test_nearest_is_the_clamped_rounding(x):
    half = np.abs(np.abs(x) - 0.5) < 1e-12  # ties may go either way
    assert (nearest(x)[~half] == np.clip(np.round(x), -1, 1)[~half]).all()


@given(arrays, st.lists(st.floats(-4, 4), min_size=2, max_size=6, unique=True))
def test_nearest_minimizes_the_distance(x, lattice):
    best = np.abs(x[:, None] - np.array(lattice)).min(axis=1)
    found = nearest(x, lattice)
    assert np.isin(found, lattice).all()
    assert np.allclose(np.abs(x - found), best, atol=1e-12)


@given(arrays)
def test_lattice_distance(x):
    assert lattice_distance(x) == np.abs(x - nearest(x)).max()
    assert lattice_distance(nearest(x)) == 0
    assert lattice_distance(np.stack([x, x * 0])).tolist() == [float(lattice_distance(x)), 0.0]


def test_nothing_is_no_distance():
    assert lattice_distance(np.empty((3, 0))).tolist() == [0, 0, 0]
