import sys

import pytest
from hypothesis import given

from grokkit.scheme import InvalidInput, Refuted, Scheme, additions, equivalent, verify
from grokkit.scheme.catalog import catalog, standard
from strategies import formats


def test_every_stored_scheme_is_proven():
    assert list(catalog) == ["strassen", "winograd"]
    assert len(catalog) == 2
    for name in catalog:
        assert verify(catalog[name]).ternary
        assert catalog[name].provenance.method == "published"


@given(formats)
def test_the_standard_algorithm_is_exact_for_every_format(form):
    n, m, p = form
    assert verify(standard(n, m, p)).rank == n * m * p
    assert catalog[f"{n}x{m}x{p}:{n * m * p}"] == standard(n, m, p)


def test_keys():
    assert catalog["2x2x2:7"] == catalog["strassen"] == catalog[" Strassen "]
    assert "winograd" in catalog
    assert "2x2x2:6" not in catalog
    assert "nonsense" not in catalog
    with pytest.raises(KeyError, match="standard algorithm of every format, such as 3x4x5:60"):
        catalog["2x2x2:6"]


@pytest.mark.parametrize("key", [3, None, "2x2x2:" + "9" * 5000, "٢x2x2:8", "x\n" * 1000])
def test_what_is_no_key_is_a_key_error_of_one_line(key):
    assert key not in catalog
    with pytest.raises(KeyError) as caught:
        catalog[key]
    assert len(caught.value.args[0]) < 250
    assert "\n" not in caught.value.args[0]


def test_a_changed_stored_file_is_not_served(monkeypatch):
    strassen = catalog["strassen"]
    wrong = Scheme(strassen.target, strassen.U, strassen.V, -strassen.W)
    module = sys.modules["grokkit.scheme.catalog"]
    monkeypatch.setattr(module, "load_own", lambda path: wrong)
    with pytest.raises(Refuted):
        module._stored.__wrapped__("strassen")


def test_best():
    assert catalog.best("2x2x2") == catalog["strassen"]
    assert catalog.best("2x2x2", ring="ternary").rank == 7
    assert catalog.best("2x3x4", ring="Z").rank == 24
    with pytest.raises(InvalidInput, match="ring"):
        catalog.best("2x2x2", ring="GF(2)")
    with pytest.raises(InvalidInput, match="too large to store"):
        catalog.best("1000x1000x1000")


def test_best_by_additions_or_growth():
    assert catalog.best("2x2x2", by="additions") == catalog["winograd"]
    assert catalog.best("2x2x2", by="growth") == catalog.best("2x2x2", by="frobenius") == catalog["strassen"]
    assert catalog.best("2x2x2", by=lambda scheme: -additions(scheme).total) == catalog["winograd"]
    assert catalog.best("1x2x1", by="additions").rank == 2
    with pytest.raises(InvalidInput, match="by 'speed' is not understood; use rank, additions, growth, frobenius"):
        catalog.best("2x2x2", by="speed")


def test_winograd_and_strassen_are_one_algorithm():
    assert equivalent(catalog["winograd"], catalog["strassen"])
