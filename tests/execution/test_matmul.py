import numpy as np
import pytest

import grokkit as gk
from grokkit.scheme import InvalidInput, Refuted, Scheme


def test_auto_is_the_vendor_s_product():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((33, 20)), rng.standard_normal((20, 17))
    assert (gk.matmul(a, b) == a @ b).all()
    assert gk.matmul([[1, 2]], [[3], [4]]).tolist() == [[11]]


@pytest.mark.parametrize("scheme", ["strassen", "2x2x2:7", "winograd", "3x2x1:6"])
def test_named_schemes(scheme):
    a, b = np.arange(35).reshape(5, 7), np.arange(21).reshape(7, 3)
    for levels in (None, 0, 1, 3):
        assert (gk.matmul(a, b, scheme=scheme, levels=levels) == a @ b).all()


def test_only_proven_schemes_are_used():
    strassen = gk.catalog["strassen"]
    wrong = Scheme(strassen.target, strassen.U, strassen.V, -strassen.W)
    with pytest.raises(Refuted):
        gk.matmul(np.eye(2), np.eye(2), scheme=wrong)


def test_bad_arguments():
    with pytest.raises(KeyError, match="no scheme 'coppersmith'"):
        gk.matmul(np.eye(2), np.eye(2), scheme="coppersmith")
    with pytest.raises(InvalidInput, match="explicit scheme"):
        gk.matmul(np.eye(2), np.eye(2), levels=1)
    with pytest.raises(ValueError, match="mismatch"):
        gk.matmul(np.ones((2, 3)), np.ones((2, 3)))
