"""Plans: what they promise, obey and state."""

from __future__ import annotations

import gc
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import grokkit as gk
from grokkit import _native
from grokkit.execution import _plan, _profile
from grokkit.execution._cost import VENDOR_WORK, WORK, Split, vendor_work, work
from grokkit.execution._plan import longer_chains, plan, quick_vendor
from grokkit.execution._profile import Prices, Profile
from grokkit.execution._tune import _doubt, relative_fit, tune
from grokkit.scheme import InvalidInput, Refuted, Scheme, composed_error_bound, error_bound
from grokkit.scheme.catalog import catalog, standard

needs_core = pytest.mark.skipif(_native.load() is None, reason=_native.status())
FAST = (1e-11, 1e-10, 1e-10, 1e-10, 1e-10)


def profile(ours=FAST, vendor=(1e-11, 0.0, 0.0), doubt=0.02) -> Profile:
    entries = [
        Prices(dtype, 1, library, tuple(ours), tuple(vendor), doubt)
        for dtype in ("float32", "float64")
        for library in ("numpy", "torch")
    ]
    return Profile(_profile.machine_name(), tuple(entries))


@pytest.fixture
def priced(tmp_path, monkeypatch):
    """Store a profile where plans look for it."""

    def use(stored: Profile) -> Profile:
        path = tmp_path / "profile.json"
        path.write_text(json.dumps(stored.to_json()))
        monkeypatch.setenv(_profile.VARIABLE, str(path))
        _profile.forget_profile()
        return _profile.current_profile()

    yield use
    monkeypatch.undo()
    _profile.forget_profile()


@needs_core
def test_the_fastest_by_the_profile_is_taken(priced):
    assert priced(profile()).measured
    chosen = plan((4096, 4096), (4096, 4096), np.float32, threads=1)
    assert not chosen.vendor and chosen.levels >= 1 and chosen.expected_speedup > 1.02
    slow = priced(profile(ours=(2e-11, *FAST[1:])))
    assert slow.measured
    assert plan((4096, 4096), (4096, 4096), np.float32, threads=1).vendor


@needs_core
def test_no_plan_outlives_its_profile(priced):
    """Profiles that are forgotten one after the other may lie at one address; their plans must not mix."""
    for attempt in range(30):
        fast = attempt % 2 == 0
        priced(profile(ours=FAST if fast else (2e-11, *FAST[1:])))
        gc.collect()
        assert plan((4096, 4096), (4096, 4096), np.float32, threads=1).vendor is not fast


@needs_core
def test_accuracy_is_obeyed(priced):
    priced(profile())
    free = plan((4096, 4096), (4096, 4096), np.float32, threads=1)
    for cap in (free.error_estimate, free.error_estimate / 2, free.error_estimate / 4, 1e-9):
        capped = plan((4096, 4096), (4096, 4096), np.float32, threads=1, accuracy=cap)
        assert capped.vendor or capped.error_estimate <= cap
    assert plan((4096, 4096), (4096, 4096), np.float32, threads=1, accuracy=1e-12).vendor


@needs_core
@given(
    st.tuples(*[st.integers(1, 90)] * 3),
    st.sampled_from(["strassen", "winograd", "2x3x1:6"]),
    st.integers(0, 3),
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 2**32),
)
def test_a_plan_computes_what_it_says(shape, name, levels, dtype, seed):
    n, m, p = shape
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(-3, 4, size).astype(dtype) for size in ((n, m), (m, p)))
    chosen = plan((n, m), (m, p), dtype, scheme=name, levels=levels, threads=1)
    out = np.empty((n, p), dtype)
    assert chosen.execute(a, b, out)
    assert np.array_equal(out, a @ b)
    if not chosen.vendor:
        assert chosen.levels == levels and chosen.products == catalog[name].rank ** levels


@needs_core
@given(st.integers(2, 200), st.integers(0, 3), st.sampled_from(["strassen", "winograd"]), st.data())
def test_spoiled_rows_and_columns_are_among_the_affected(size, levels, name, data):
    chosen = plan((size, size), (size, size), np.float64, scheme=name, levels=levels, threads=1)
    rng = np.random.default_rng(size)
    a, b = rng.standard_normal((2, size, size))
    rows = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3)))
    columns = np.array(data.draw(st.lists(st.integers(0, size - 1), max_size=3)), dtype=int)
    a[rows, rng.integers(0, size, len(rows))] = np.nan
    b[rng.integers(0, size, len(columns)), columns] = np.inf
    out = np.empty((size, size))
    with np.errstate(all="ignore"):
        assert not chosen.execute(a, b, out)
    spoiled = ~np.isfinite(out)
    spoiled[chosen.affected_rows(rows)] = False
    spoiled[:, chosen.affected_columns(columns)] = False
    assert not spoiled.any()


@needs_core
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["strassen", "winograd"])
@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_errors_stay_within_the_bound_and_near_the_estimate(dtype, name, levels):
    rng = np.random.default_rng(levels)
    a, b = (rng.standard_normal(size).astype(dtype) for size in ((256, 384), (384, 320)))
    chosen = plan((256, 384), (384, 320), dtype, scheme=name, levels=levels, threads=1)
    out = np.empty((256, 320), dtype)
    chosen.execute(a, b, out)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    error = out.astype(np.longdouble) - exact
    assert np.abs(error).max() <= chosen.error_bound * np.abs(a).max() * np.abs(b).max()
    relative = float(np.linalg.norm(error.astype(np.float64)) / np.linalg.norm(exact.astype(np.float64)))
    assert relative / 2.5 < chosen.error_estimate < 2.5 * relative


@needs_core
def test_a_plan_states_what_it_will_do():
    chosen = plan((2048, 1024), (1024, 512), "float32", levels=2, scheme="winograd", threads=1)
    for word in ("winograd", "flops", "additions", "workspace", "error bound", "error estimate", "speedup", "why"):
        assert word in str(chosen)
    assert chosen.flops == 2 * 49 * 512 * 256 * 128
    levels = error_bound(catalog["winograd"], 2, 1024, np.float32)
    longer = 3 + 3 + 3  # its longest sums have four terms
    assert chosen.error_bound == pytest.approx(levels.factor * (levels.depth + longer) / levels.depth, rel=1e-4)
    assert json.loads(json.dumps(chosen.to_json(), allow_nan=True))["levels"] == 2
    assert gk.plan((8, 8), (8, 8)).vendor


def test_bad_options():
    with pytest.raises(InvalidInput, match="levels is -1"):
        plan((8, 8), (8, 8), levels=-1)
    with pytest.raises(InvalidInput, match="threads is 0"):
        plan((8, 8), (8, 8), threads=0)
    with pytest.raises(InvalidInput, match="accuracy"):
        plan((8, 8), (8, 8), accuracy=-1.0)
    with pytest.raises(ValueError, match="do not fit"):
        plan((8, 8), (7, 8))
    with pytest.raises(KeyError, match="no scheme"):
        plan((8, 8), (8, 8), scheme="nobody")
    strassen = catalog["strassen"]
    with pytest.raises(Refuted):
        plan((8, 8), (8, 8), scheme=Scheme(strassen.target, strassen.U, -strassen.V, strassen.W))


def test_without_a_core_the_product_is_the_vendor_s(monkeypatch):
    monkeypatch.setattr(_plan._kernel, "library", lambda: None)
    _plan._decide.cache_clear()
    chosen = plan((4000, 4000), (4000, 4000), "float32", threads=1)
    _plan._decide.cache_clear()
    assert chosen.vendor and "native core" in chosen.reason
    out = np.empty((2, 2))
    small = plan((2, 3), (3, 2), threads=1)
    assert small.execute(np.ones((2, 3)), np.ones((3, 2)), out) and (out == 3).all()
    assert quick_vendor(64, 10_000, 10_000, 4) and not quick_vendor(2000, 2000, 2000, 4)


@given(st.integers(0, 2**32))
def test_prices_are_recovered_from_times_that_follow_the_model(seed):
    rng = np.random.default_rng(seed)
    shapes = [(1024, 1024, 1024), (320, 2048, 2048), (2048, 320, 2048), (2048, 2048, 320)]
    splits = [Split(standard(1, 1, 1), 0), Split(catalog["strassen"], 0), Split(catalog["strassen"], 1)]
    amounts = np.array([work(shape, np.float32, split) for shape in shapes for split in splits])
    prices = np.array([1e-11, 3e-10, 5e-10, 4e-10, 1e-10]) * rng.uniform(0.5, 2, len(WORK))
    assert np.allclose(relative_fit(amounts, amounts @ prices), prices, rtol=1e-6)
    assert np.allclose(relative_fit(amounts, amounts @ prices, prices), prices, rtol=1e-6)
    one_kind = relative_fit(amounts[:1], amounts[:1] @ prices, prices)
    assert np.allclose(one_kind, prices, rtol=0.01)  # a single case leaves the usual prices as they are
    vendor = np.array([vendor_work(shape) for shape in shapes])
    fitted = relative_fit(vendor, vendor @ np.array([1e-11, 0, 0]) * rng.uniform(0.97, 1.03, len(vendor)))
    assert (fitted >= 0).all() and len(fitted) == len(VENDOR_WORK) and fitted[0] > 0


@needs_core
def test_tuning_measures_a_profile_that_plans_use(tmp_path, monkeypatch):
    monkeypatch.setenv(_profile.VARIABLE, str(tmp_path / "deep" / "profile.json"))
    from grokkit.execution._tune import store

    lines: list[str] = []
    measured = tune(0.0, shapes=[(96, 96, 96), (48, 96, 96), (96, 96, 48)], report=lines.append)
    assert lines and all(math.isfinite(x) and x >= 0 for price in measured.prices for x in price.ours)
    assert {price.dtype for price in measured.prices} == {"float32", "float64"}
    store(measured)
    assert _profile.current_profile() == measured
    monkeypatch.undo()
    _profile.forget_profile()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "work": 3}', "\x00"])
def test_a_profile_that_is_not_understood_is_passed_over(text, tmp_path, monkeypatch):
    path = tmp_path / "profile.json"
    path.write_text(text)
    monkeypatch.setenv(_profile.VARIABLE, str(path))
    _profile.forget_profile()
    assert not _profile.current_profile().measured
    monkeypatch.undo()
    _profile.forget_profile()


def test_a_profile_of_another_machine_is_not_used(priced):
    other = Profile("another machine", profile().prices)
    assert priced(other).machine == "shipped"


@needs_core
@pytest.mark.parametrize("shape", [(1024, 1024, 1024), (1536, 1536, 1536), (900, 4000, 1000), (3001, 2999, 3003)])
def test_explicit_levels_stay_within_three_quarters_of_a_matrix(shape, monkeypatch):
    def chosen(most):
        monkeypatch.setattr(_plan, "MOST_WORKSPACE", most)
        _plan._decide.cache_clear()
        n, m, p = shape
        return plan((n, m), (m, p), "float32", threads=1)

    dear = profile(ours=(1e-11, 1e-10, 1e-10, 1e-10, 1e-12))  # packing is dear, so that explicit levels gain
    monkeypatch.setattr(_plan, "current_profile", lambda: dear)
    n, m, p = shape
    room = 0.75 * max(n * m, m * p, n * p) * 4
    free, held = chosen(np.inf), chosen(0.75)
    _plan._decide.cache_clear()
    if shape[0] == 1024:
        assert free.explicit_levels and free.workspace > room
    assert held.explicit_levels == 0 or held.workspace <= room


@needs_core
def test_additions_are_counted_as_they_are_done():
    def additions(shape, scheme, levels):
        n, m, p = shape
        return plan((n, m), (m, p), "float64", threads=1, scheme=scheme, levels=levels).additions

    once = plan((64, 32), (32, 16), "float64", threads=1, scheme="winograd", levels=1)
    outer = _plan.Plan(*[getattr(once, name) for name in ("shape", "dtype", "threads", "library")],
                       (_plan.Step(catalog["winograd"], 1, True),), False, "", 1.0, 0)  # fmt: skip
    a, b, c = 32 * 16, 16 * 8, 32 * 8
    assert (
        outer.additions == 5 * a + 5 * b + 7 * c
    )  # s3, s1, s2 (two), s4; as many for B; u2, u3, three results, p3, p4, p2
    assert additions((64, 32, 16), "strassen", 1) == 5 * a + 5 * b + 8 * c


def test_the_bound_counts_the_longer_chains_of_the_lowest_explicit_level():
    assert longer_chains(standard(1, 1, 1)) == 0
    assert longer_chains(catalog["strassen"]) == 1 + 1 + 3
    once = composed_error_bound([(catalog["strassen"], 1)], 64)
    assert composed_error_bound([(catalog["strassen"], 1)], 64, further=5).depth == once.depth + 5
    with pytest.raises(InvalidInput, match="further"):
        composed_error_bound([(catalog["strassen"], 1)], 64, further=-1)


def test_doubt_takes_noise_for_noise_and_misfit_for_misfit():
    rng = np.random.default_rng(0)
    amounts = rng.uniform(1, 2, (40, 2))
    true = np.array([2.0, 1.0])
    exact = amounts @ true
    assert _doubt(amounts, true, exact, np.zeros(40)) == pytest.approx(0, abs=1e-20)
    noisy = exact * np.exp(rng.normal(0, 0.1, 40))
    assert _doubt(amounts, true, noisy, np.zeros(40)) == pytest.approx(0.01, rel=0.5)  # nothing says that it is noise
    assert _doubt(amounts, true, noisy, np.full(40, 0.12)) == pytest.approx(0.0144 * 2 / 40)  # all of it may be


@needs_core
def test_packing_costs_more_where_operands_are_not_stored_by_rows(monkeypatch):
    def gain(*layout):
        held = profile()
        monkeypatch.setattr(_plan, "current_profile", lambda: held)
        _plan._decide.cache_clear()
        return plan((2048, 2048), (2048, 2048), "float32", threads=1, layout=layout, levels=2).expected_speedup

    rows = gain("row", "row", "row")
    assert gain("row", "column", "row") == rows
    assert rows > gain("column", "row", "row") > gain("strided", "row", "row") > gain("strided", "strided", "row")
    _plan._decide.cache_clear()
    with pytest.raises(InvalidInput, match="layout 'diagonal' is not known"):
        plan((9, 9), (9, 9), layout=("row", "diagonal", "row"))
    with pytest.raises(InvalidInput, match="layout names 2 matrices"):
        plan((9, 9), (9, 9), layout=("row", "row"))


@needs_core
@pytest.mark.parametrize("left", ["row", "column", "strided"])
@pytest.mark.parametrize("right", ["row", "column", "strided"])
def test_a_product_by_columns_costs_what_its_transpose_costs(left, right):
    transposed = {"row": "column", "column": "row", "strided": "strided"}
    for split in (Split(standard(1, 1, 1), 0), Split(catalog["strassen"], 1), Split(standard(2, 1, 3), 0)):
        mirrored = Split(standard(3, 1, 2), 0) if split.scheme == standard(2, 1, 3) else split
        by_columns = work((700, 901, 1203), np.float32, split, (left, right, "column"))
        by_rows = work((1203, 901, 700), np.float32, mirrored, (transposed[right], transposed[left], "row"))
        np.testing.assert_array_equal(by_columns, by_rows)
