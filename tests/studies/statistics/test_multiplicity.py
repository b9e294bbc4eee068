import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.studies.statistics import Estimate, NotEstimable, adjust, summarize

# R: p.adjust(p, "holm") and p.adjust(p, "BH"), p of Benjamini and Hochberg (1995), section 3
BH_P = (
    0.0001,
    0.0004,
    0.0019,
    0.0095,
    0.0201,
    0.0278,
    0.0298,
    0.0344,
    0.0459,
    0.3240,
    0.4262,
    0.5719,
    0.6528,
    0.7590,
    1.0,
)


def test_the_example_of_benjamini_and_hochberg():
    family = {f"H{at}": p for at, p in enumerate(BH_P, 1)}
    by_bh = [row.name for row in adjust(family, "benjamini-hochberg").rows if float(row.adjusted_p) <= 0.05]
    by_holm = [row.name for row in adjust(family, "holm").rows if float(row.adjusted_p) <= 0.05]
    assert by_bh == ["H1", "H2", "H3", "H4"]  # the four that the article rejects
    assert by_holm == ["H1", "H2", "H3"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjusted_p_values_against_their_definitions(p_values):
    family = {str(at): p for at, p in enumerate(p_values)}
    m, order = len(p_values), np.argsort(p_values, kind="stable")
    p = np.array(p_values)[order]
    holm = np.minimum(1, np.maximum.accumulate((m - np.arange(m)) * p))
    bh = np.minimum(1, np.minimum.accumulate((m / (np.arange(m) + 1) * p)[::-1])[::-1])
    for method, expected in (("holm", holm), ("benjamini-hochberg", bh)):
        found = np.array([float(row.adjusted_p) for row in adjust(family, method).rows])[order]
        assert found == pytest.approx(expected, abs=1e-12)


def test_what_is_not_estimable_does_not_count():
    family = adjust({"a": 0.02, "b": NotEstimable("one class"), "c": 0.04})
    assert family.size == 2
    assert family["a"].adjusted_p == pytest.approx(0.04)
    assert isinstance(family["b"].adjusted_p, NotEstimable)
    assert adjust({}).rows == ()


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value(p):
    with pytest.raises(InvalidInput, match=r"0\.\.1"):
        adjust({"a": p})


def test_an_unknown_adjustment():
    with pytest.raises(Exception, match="holm"):
        adjust({"a": 0.1}, "bonferroni")  # pyright: ignore[reportArgumentType]


def test_claims_are_one_family():
    claims = summarize(
        {
            "rate rises": (Estimate(0.2, 0.1, 0.3, 60, "Newcombe"), 0.01, 60),
            "delta falls": (NotEstimable("no run converged"), NotEstimable("no run converged"), 0),
            "slots matter": (Estimate(2.0, 1.5, 2.5, 50, "Wald"), 0.02, 50),
        }
    )
    assert [claim.adjusted_p for claim in claims.rows if not isinstance(claim.adjusted_p, NotEstimable)] == [0.02, 0.02]
    assert claims["slots matter"].n == 50
    assert "family-wise" in str(claims) and "no run converged" in str(claims)
