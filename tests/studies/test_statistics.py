import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from grokkit.studies import Median, Proportion


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_against_statsmodels(case):
    count, n = case
    low, high = proportion_confint(count, n, method="wilson")
    found = Proportion(count, n)
    assert found.low == pytest.approx(max(low, 0), abs=1e-12)
    assert found.high == pytest.approx(min(high, 1), abs=1e-12)
    assert found.low <= found.share <= found.high


def test_nothing_observed_says_nothing():
    nothing = Proportion(0, 0)
    assert (nothing.low, nothing.high) == (0, 1)
    assert np.isnan(nothing.share)
    assert str(Proportion(3, 4)).startswith("3/4 (")
    assert np.isnan(Median.of([]).value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_median(values):
    found = Median.of(values)
    assert found.value == pytest.approx(np.median(values))
    assert min(values) <= found.low <= found.value <= found.high <= max(values)
    assert found.n == len(values)


@pytest.mark.parametrize("n", [6, 12, 25, 40])
def test_the_interval_of_the_median_covers_it(n):
    rng = np.random.default_rng(n)
    inside = 0
    for _ in range(2000):
        found = Median.of(rng.exponential(size=n).tolist())
        inside += found.low <= np.log(2) <= found.high
    assert inside / 2000 > 0.94


@given(st.integers(1, 300))
def test_the_interval_is_the_narrowest_that_covers(n):
    from scipy.stats import binom

    found = Median.of(range(n))
    at = int(found.low)
    assert found.high == n - 1 - at
    if at:
        assert binom.cdf(at, n, 0.5) <= 0.025
    if n > 6:
        assert binom.cdf(at + 1, n, 0.5) > 0.025


def test_what_is_no_number_has_no_median():
    for values in ([np.nan, 1.0, 2.0], [1.0, np.nan, 2.0]):
        found = Median.of(values)
        assert np.isnan([found.value, found.low, found.high]).all() and found.n == 3


@pytest.mark.parametrize(("count", "n"), [(6, 5), (-1, 5)])
def test_what_is_no_proportion(count, n):
    with pytest.raises(ValueError, match="no proportion"):
        Proportion(count, n)
