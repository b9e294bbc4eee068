import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ncfdtr

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics import NotEstimable, Test, anova, compare_pairs, welch_anova
from grokkit.studies.statistics._effect_sizes import noncentrality


def numbers(text: str) -> list[float]:
    return [float(word) for word in text.split()]


# R's PlantGrowth (Dobson 1983): weight by group
PLANTS = {
    "weight": numbers(
        "4.17 5.58 5.18 6.11 4.5 4.61 5.17 4.53 5.33 5.14 4.81 4.17 4.41 3.59 5.87 3.83 6.03 4.89 4.32 4.69 "
        "6.31 5.12 5.54 5.5 5.37 5.29 4.92 6.15 5.8 5.26"
    ),
    "group": ["ctrl"] * 10 + ["trt1"] * 10 + ["trt2"] * 10,
}

# R's ToothGrowth (Crampton 1947): len by supp and dose
TEETH = {
    "len": numbers(
        "4.2 11.5 7.3 5.8 6.4 10 11.2 11.2 5.2 7 16.5 16.5 15.2 17.3 22.5 17.3 13.6 14.5 18.8 15.5 23.6 18.5 "
        "33.9 25.5 26.4 32.5 26.7 21.5 23.3 29.5 15.2 21.5 17.6 9.7 14.5 10 8.2 9.4 16.5 9.7 19.7 23.3 23.6 "
        "26.4 20 25.2 25.8 21.2 14.5 27.3 25.5 26.4 22.4 24.5 24.8 30.9 26.4 27.3 29.4 23"
    ),
    "supp": ["VC"] * 30 + ["OJ"] * 30,
    "dose": ([0.5] * 10 + [1.0] * 10 + [2.0] * 10) * 2,
}

# R's warpbreaks (Tippett 1950): breaks by wool and tension
WARPS = {
    "breaks": numbers(
        "26 30 54 25 70 52 51 26 67 18 21 29 17 12 18 35 30 36 36 21 24 18 10 43 28 15 26 27 14 29 19 29 31 "
        "41 20 44 42 26 19 16 39 28 21 39 29 20 21 24 17 13 15 15 16 28"
    ),
    "wool": ["A"] * 27 + ["B"] * 27,
    "tension": (["L"] * 9 + ["M"] * 9 + ["H"] * 9) * 2,
}


def test_one_way_as_r_prints_it():
    found = anova(PLANTS, "weight", "group")  # summary(aov(weight ~ group, PlantGrowth))
    term = found["group"]
    assert (term.df, found.residual_df) == (2, 27)
    assert term.sum_of_squares == pytest.approx(3.766, abs=5e-4)
    assert found.residual_sum_of_squares == pytest.approx(10.492, abs=5e-4)
    assert term.f == pytest.approx(4.846, abs=5e-4)
    assert term.p == pytest.approx(0.0159, abs=5e-5)
    assert float(term.eta_squared) == pytest.approx(3.76634 / (3.76634 + 10.49209), abs=1e-6)
    assert isinstance(found.welch, Test)  # oneway.test(weight ~ group, PlantGrowth)
    assert found.welch.statistic == pytest.approx(5.181, abs=5e-4)
    assert found.welch.df[1] == pytest.approx(17.128, abs=5e-4)
    assert found.welch.p == pytest.approx(0.01739, abs=5e-6)
    assert found.welch == welch_anova(PLANTS, "weight", "group")


@pytest.mark.parametrize(
    ("data", "response", "factors", "expected"),
    [
        # summary(aov(len ~ supp * factor(dose), ToothGrowth))
        (
            TEETH,
            "len",
            ["supp", "dose"],
            [(205.4, 1, 15.572, 0.000231), (2426.4, 2, 92.0, None), (108.3, 2, 4.107, 0.02186)],
        ),
        # summary(aov(breaks ~ wool * tension, warpbreaks))
        (
            WARPS,
            "breaks",
            ["wool", "tension"],
            [(451, 1, 3.765, 0.058213), (2034, 2, 8.498, 0.000693), (1003, 2, 4.189, 0.021044)],
        ),
    ],
)
@pytest.mark.parametrize("sums", ["I", "II", "III"])
def test_two_way_as_r_prints_it(data, response, factors, expected, sums):
    found = anova(data, response, factors, sums=sums)
    assert not isinstance(found.terms, NotEstimable)
    assert [term.name for term in found.terms] == [*factors, " × ".join(factors)]
    for term, (squares, df, f, p) in zip(found.terms, expected, strict=True):
        assert term.sum_of_squares == pytest.approx(squares, abs=0.5)
        assert term.df == df
        assert term.f == pytest.approx(f, abs=6e-4)
        if p is not None:
            assert term.p == pytest.approx(p, abs=6e-7)


def test_tukey_as_r_prints_it():
    # TukeyHSD(aov(weight ~ group, PlantGrowth))
    expected = {
        ("ctrl", "trt1"): (-0.371, -1.0622161, 0.3202161, 0.3908711),
        ("ctrl", "trt2"): (0.494, -0.1972161, 1.1852161, 0.1979960),
        ("trt1", "trt2"): (0.865, 0.1737839, 1.5562161, 0.0120064),
    }
    found = compare_pairs(PLANTS, "weight", "group", "tukey")
    for pair, (difference, low, high, p) in expected.items():
        row = found[pair]
        assert not isinstance(row.difference, NotEstimable)
        assert (row.difference.value, row.difference.low, row.difference.high) == pytest.approx(
            (difference, low, high), abs=1e-6
        )
        assert row.adjusted_p == pytest.approx(p, abs=1e-6)


def test_games_howell_against_scipy():
    rng = np.random.default_rng(3)
    groups = [rng.normal(size=8), rng.normal(1, 3, size=15), rng.normal(0, 0.3, size=11), rng.normal(size=5)]
    data = {"y": np.concatenate(groups), "g": np.repeat(range(4), [len(group) for group in groups])}
    found, oracle = compare_pairs(data, "y", "g"), stats.tukey_hsd(*groups, equal_var=False)
    bounds = oracle.confidence_interval(0.95)
    for row in found.rows:
        a, b = int(row.first), int(row.second)
        assert not isinstance(row.difference, NotEstimable)
        assert row.adjusted_p == pytest.approx(oracle.pvalue[b, a], abs=1e-6)
        assert (row.difference.low, row.difference.high) == pytest.approx(
            (bounds.low[b, a], bounds.high[b, a]), abs=1e-4
        )


def test_holm_pairs_are_welch_tests():
    found = compare_pairs(PLANTS, "weight", "group", "holm")
    weight, group = np.array(PLANTS["weight"]), np.array(PLANTS["group"])
    p_values = [
        stats.ttest_ind(weight[group == row.second], weight[group == row.first], equal_var=False).pvalue
        for row in found.rows
    ]
    assert [row.p for row in found.rows] == pytest.approx(p_values)
    order = np.argsort(p_values)
    assert found.rows[order[0]].adjusted_p == pytest.approx(3 * p_values[order[0]])


def _residual_squares(y, *columns):
    matrix = np.column_stack([np.ones(len(y)), *columns])
    return float(((y - matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0]) ** 2).sum())


@pytest.mark.parametrize("seed", range(3))
def test_the_three_types_by_nested_models(seed):
    rng = np.random.default_rng(seed)
    cells = rng.permutation(np.repeat(np.arange(6), [2, 3, 5, 4, 6, 3]))
    a, b = cells // 3, cells % 3
    y = rng.normal(size=len(cells)) + a + 0.5 * b
    one = np.where(a == 0, 1.0, -1.0)[:, None]
    two = np.stack([(b == level).astype(float) - (b == 2) for level in (0, 1)], axis=1)
    both = one * two
    full = _residual_squares(y, one, two, both)
    main = _residual_squares(y, one, two)
    last = main - full
    expected = {
        "I": (_residual_squares(y) - _residual_squares(y, one), _residual_squares(y, one) - main, last),
        "II": (_residual_squares(y, two) - main, _residual_squares(y, one) - main, last),
        "III": (_residual_squares(y, two, both) - full, _residual_squares(y, one, both) - full, last),
    }
    for sums, squares in expected.items():
        found = anova({"y": y, "a": a, "b": b}, "y", ["a", "b"], sums=sums)
        assert not isinstance(found.terms, NotEstimable)
        assert [term.sum_of_squares for term in found.terms] == pytest.approx(squares)
        assert found.residual_sum_of_squares == pytest.approx(full)
        assert not found.assumptions.balanced and any("differ in size" in note for note in found.notes)


@given(st.floats(0.01, 50), st.integers(1, 10), st.integers(2, 200))
def test_the_bounds_of_noncentrality_put_f_at_its_tails(f, df1, df2):
    bounds = noncentrality(f, df1, df2)
    assert not isinstance(bounds, NotEstimable)
    low, high = bounds
    assert low <= high
    assert (
        ncfdtr(df1, df2, low, f) == pytest.approx(0.975, abs=1e-6) if low else stats.f.cdf(f, df1, df2) <= 0.975 + 1e-9
    )
    assert (
        ncfdtr(df1, df2, high, f) == pytest.approx(0.025, abs=1e-6)
        if high
        else stats.f.cdf(f, df1, df2) <= 0.025 + 1e-9
    )


def test_intervals_of_effect_sizes_cover_the_population():
    rng = np.random.default_rng(0)
    means, runs, trials, inside, omega = np.array([0.0, 0.5, 1.0]), 12, 400, 0, []
    share = means.var() / (means.var() + 1)  # of the variance of a population with equal groups
    for _ in range(trials):
        y = rng.normal(size=(3, runs)) + means[:, None]
        term = anova({"y": y.ravel(), "g": np.repeat(range(3), runs)}, "y", "g")["g"]
        assert not isinstance(term.eta_squared, NotEstimable)
        inside += term.eta_squared.low <= share <= term.eta_squared.high
        omega.append(float(term.omega_squared))
    assert stats.binomtest(inside, trials, 0.95).pvalue > 0.001
    assert abs(np.mean(omega) - share) < 4 * np.std(omega) / np.sqrt(trials)


def test_what_cannot_be_estimated_says_so():
    equal = anova({"y": [2.0] * 8, "g": [0, 1] * 4}, "y", "g")
    assert isinstance(equal["g"].p, NotEstimable) and "all runs are equal" in str(equal)
    apart = anova({"y": [0.1, 0.7] * 4, "g": [0, 1] * 4}, "y", "g")
    assert isinstance(apart["g"].f, NotEstimable) and apart["g"].sum_of_squares == pytest.approx(0.72)
    assert isinstance(apart.welch, NotEstimable) and "zero variance" in apart.welch.reason
    assert apart.assumptions.without_variance == ("g=0", "g=1")
    half = anova({"y": [0.0, 0.0, 0.0, 1.0, 2.0, 4.0], "g": [0, 0, 0, 1, 1, 1]}, "y", "g")
    assert isinstance(half.welch, NotEstimable) and half.assumptions.without_variance == ("g=0",)
    single = anova({"y": [1.0, 2.0, 3.0, 5.0], "a": [0, 0, 1, 1], "b": [0, 1, 0, 1]}, "y", ["a", "b"])
    assert isinstance(single.terms, NotEstimable) and "repeat runs" in str(single)
    empty = anova({"y": [1.0, 2.0, 3.0, 5.0], "a": [0, 0, 1, 1], "b": [0, 0, 1, 0]}, "y", ["a", "b"])
    assert isinstance(empty.terms, NotEstimable) and "no run at a=0, b=1" in empty.terms.reason
    same = anova({"y": [1.0, 2.0, 3.0, 5.0], "a": [0, 0, 1, 1], "b": [0, 0, 1, 1]}, "y", ["a", "b"], interactions=False)
    assert isinstance(same.terms, NotEstimable) and "confounded" in same.terms.reason
    with pytest.raises(InvalidInput, match="no terms"):
        same["a"]
    still = compare_pairs({"y": [0.0, 0.0, 0.0, 0.0, 1.0, 2.0], "g": [0, 0, 1, 1, 2, 2]}, "y", "g")
    assert isinstance(still["0", "1"].adjusted_p, NotEstimable) and not isinstance(
        still["0", "2"].adjusted_p, NotEstimable
    )


def test_unequal_variances_are_noted():
    rng = np.random.default_rng(1)
    data = {"y": np.r_[rng.normal(size=40), 9 * rng.normal(size=40)], "g": [0] * 40 + [1] * 40}
    found = anova(data, "y", "g")
    assert isinstance(found.assumptions.equal_variances, Test)
    oracle = stats.levene(data["y"][:40], data["y"][40:], center="median")
    assert found.assumptions.equal_variances.p == pytest.approx(oracle.pvalue)
    assert any("Games-Howell" in note for note in found.notes)


def test_large_studies_use_jarque_bera():
    rng = np.random.default_rng(1)
    found = anova({"y": rng.normal(size=6000), "g": np.arange(6000) % 3}, "y", "g").assumptions.normal_residuals
    assert isinstance(found, Test) and found.name == "Jarque-Bera"


def test_bad_questions():
    with pytest.raises(InvalidInput, match="one value"):
        anova({"y": [1.0, 2.0], "g": [1, 1]}, "y", "g")
    with pytest.raises(InvalidInput, match="empty"):
        anova({"y": [1.0, 2.0]}, "y", [])
